//! UDP: which listener receives a query, which address the reply comes from, and which packets get none.

use super::*;

#[tokio::test]
async fn udp_threads_share_an_address_that_other_sockets_cannot_bind() {
    for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
        let mut options = at(address);
        options.udp_threads = 4.try_into().unwrap();
        let server = Server::start(options.clone()).await;
        let address = server.address();
        options.listen = vec![address];
        let again = Listeners::bind(&options).await;
        assert_eq!(again.err().expect("an error").transport, "UDP", "{address}");
        let host = match address.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        // This many clients reach all threads, each with several queries in a batch.
        let ask = async |_: u32| {
            let socket = UdpSocket::bind((host, 0)).await.unwrap();
            socket.connect((host, address.port())).await.unwrap();
            for id in 0..20 {
                socket.send(&query(id)).await.unwrap();
            }
            for id in 0..20u16 {
                let mut reply = [0; 512];
                let length = soon(socket.recv(&mut reply)).await.unwrap();
                assert_eq!(reply[..2], id.to_be_bytes());
                assert!(length > 12);
            }
        };
        for client in 0..32 {
            ask(client).await;
        }
        let stats = server.stats.clone();
        server.drain().await;
        assert_eq!((stats.queries.get(), stats.udp_replies.get(), stats.dropped.get()), (640, 640, 0));
        Listeners::bind(&at(&address.to_string())).await.expect("the port is free again at once");
    }
}

#[tokio::test]
async fn packets_that_are_not_queries_get_no_reply() {
    let server = Server::start(Options::default()).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server.address()).await.unwrap();
    let mut response = query(1);
    response[2] |= 0x80;
    for noise in [&b""[..], b"x", &query(2)[..11], &response, &query(3)] {
        socket.send(noise).await.unwrap();
    }
    let mut reply = [0; 4096];
    let length = soon(socket.recv(&mut reply)).await.unwrap();
    assert_answers(&reply[..length], 3);
}

#[cfg(all(target_os = "linux", not(clusterlocal_portable)))]
#[tokio::test]
async fn a_wildcard_listener_replies_from_the_queried_address() {
    let server = Server::start(at("0.0.0.0:0")).await;
    let port = server.address().port();
    for host in 1..=3 {
        ask_udp((Ipv4Addr::new(127, 0, 0, host), port).into(), host.into()).await;
    }
}

#[tokio::test]
async fn the_wildcard_addresses_of_ipv4_and_ipv6_can_be_bound_side_by_side() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        return eprintln!("no IPv6 here");
    }
    let ipv4 = Server::start(at("0.0.0.0:0")).await;
    let port = ipv4.address().port();
    let ipv6 = Server::start(at(&format!("[::]:{port}"))).await;
    ask_udp((Ipv6Addr::LOCALHOST, port).into(), 1).await;
    ask_udp((Ipv4Addr::LOCALHOST, port).into(), 2).await;
    // A reply is counted after it is sent.
    let counts = || [&ipv4, &ipv6].map(|server| server.stats.udp_replies.get());
    for _ in 0..200 {
        if counts() == [1, 1] {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(counts(), [1, 1]);
}
