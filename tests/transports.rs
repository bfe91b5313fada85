//! What the transports promise, whatever the answers are: one reply for each query, over UDP and TCP, from the address
//! that was asked, within limits, and up to the end.

#[path = "common/sockets.rs"]
mod sockets;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clusterlocal::serve::{ClusterHandler, CutOff, Listeners, Options, Stats, TcpLimits};
use clusterlocal::zone::{Published, Settings, Zone};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// How long anything may take that is to happen at all.
const SOON: Duration = Duration::from_secs(20);

/// A server that runs until it is told to stop.
struct Server {
    addresses: Vec<SocketAddr>,
    stats: Arc<Stats>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), CutOff>>,
}

impl Server {
    async fn start(options: Options) -> Self {
        let listeners = Listeners::bind(&options).await.expect("free ports");
        let (stop, stopped) = oneshot::channel();
        Server {
            addresses: listeners.addresses().to_vec(),
            stats: listeners.stats(),
            stop,
            ended: tokio::spawn(listeners.serve(empty_zone(), async {
                let _ = stopped.await;
            })),
        }
    }

    async fn with_limits(tcp: TcpLimits) -> Self {
        Server::start(Options { tcp, ..Options::default() }).await
    }

    fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.expect("a connection")
    }

    async fn drain(self) {
        self.stop.send(()).expect("a running server");
        soon(self.ended).await.expect("no panic").expect("everybody answered");
    }
}

fn empty_zone() -> Published {
    Published::new(Zone::new(Settings::default()))
}

fn at(address: &str) -> Options {
    Options { listen: vec![address.parse().unwrap()], ..Options::default() }
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(SOON, work).await.expect("something did not happen in time")
}

/// `web-0.db.default.svc.cluster.local. A IN`.
fn query(id: u16) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in ["web-0", "db", "default", "svc", "cluster", "local", ""] {
        query.push(label.len() as u8);
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 1, 0, 1]);
    query
}

/// As TCP wants it.
fn framed(id: u16) -> Vec<u8> {
    let query = query(id);
    [&(query.len() as u16).to_be_bytes(), query.as_slice()].concat()
}

#[track_caller]
fn assert_answers(reply: &[u8], id: u16) {
    assert!(reply.len() >= 12, "{reply:02x?}");
    assert_eq!(reply[..2], id.to_be_bytes(), "the id");
    assert_eq!(reply[2] & 0x80, 0x80, "QR");
}

async fn read_answer(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    soon(async {
        let mut reply = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut reply).await?;
        Ok(reply)
    })
    .await
}

async fn expect_answer(stream: &mut TcpStream, id: u16) {
    assert_answers(&read_answer(stream).await.expect("an answer"), id);
}

/// Nothing more comes over `stream`, and the server has closed it.
async fn expect_closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let _ = soon(stream.read_to_end(&mut rest)).await;
    assert!(rest.is_empty(), "{rest:02x?}");
}

/// Asks from a connected socket, which hears only whom it asked.
async fn ask_udp(server: SocketAddr, id: u16) {
    let any: SocketAddr =
        if server.is_ipv4() { (Ipv4Addr::LOCALHOST, 0).into() } else { (Ipv6Addr::LOCALHOST, 0).into() };
    let socket = UdpSocket::bind(any).await.unwrap();
    socket.connect(server).await.unwrap();
    socket.send(&query(id)).await.unwrap();
    let mut reply = vec![0; 4096];
    let length = soon(socket.recv(&mut reply)).await.expect("a reply");
    assert_answers(&reply[..length], id);
}

#[tokio::test]
async fn udp_and_tcp_answer_on_one_port() {
    let listen = vec!["127.0.0.1:0".parse().unwrap(), "127.0.0.2:0".parse().unwrap()];
    let server = Server::start(Options { listen, ..Options::default() }).await;
    assert_eq!(server.addresses.len(), 2);
    for (id, &address) in (1..).zip(&server.addresses) {
        ask_udp(address, id).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&framed(id)).await.unwrap();
        expect_answer(&mut stream, id).await;
    }
    assert_eq!([&server.stats.queries, &server.stats.udp_replies].map(|count| count.get()), [4, 2]);
    server.drain().await;
}

#[tokio::test]
async fn all_addresses_are_bound_or_none() {
    let free = std::net::UdpSocket::bind("127.0.0.3:0").unwrap().local_addr().unwrap();
    let (udp, tcp) =
        (std::net::UdpSocket::bind("127.0.0.1:0").unwrap(), std::net::TcpListener::bind("127.0.0.1:0"));
    let taken = [(udp.local_addr().unwrap(), "UDP"), (tcp.as_ref().unwrap().local_addr().unwrap(), "TCP")];
    for (taken, transport) in taken {
        let listen = vec![free, taken];
        let error = Listeners::bind(&Options { listen, ..Options::default() }).await.err().expect("an error");
        assert_eq!((error.address, error.transport), (taken, transport));
        assert!(
            error.to_string().starts_with(&format!("cannot listen on {taken} over {transport}: ")),
            "{error}"
        );
        assert!(error.to_string().contains("another program listens there"), "{error}");
    }
    Listeners::bind(&at(&free.to_string())).await.expect("what was bound before the error was let go");
    // TEST-NET-1 (RFC 5737) is nobody's.
    let error = Listeners::bind(&at("192.0.2.1:0")).await.err().expect("an error");
    assert!(error.to_string().contains("no interface of this machine"), "{error}");
}

#[tokio::test]
async fn threads_share_an_address_with_nobody_else() {
    for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
        let options = Options { udp_threads: 4.try_into().unwrap(), ..at(address) };
        let server = Server::start(options.clone()).await;
        let address = server.address();
        let again = Listeners::bind(&Options { listen: vec![address], ..options }).await;
        assert_eq!(again.err().expect("an error").transport, "UDP", "{address}");
        let host = match address.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        // So many clients come to all threads, and each has more than one query in one batch.
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
async fn silence_to_what_is_no_query() {
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

#[cfg(any(target_os = "linux", target_os = "macos"))]
#[tokio::test]
async fn a_wildcard_listener_replies_from_the_address_that_was_asked() {
    let server = Server::start(at("0.0.0.0:0")).await;
    let port = server.address().port();
    // Elsewhere than on Linux the other loopback addresses have to be configured first.
    let last = if cfg!(target_os = "linux") { 3 } else { 1 };
    for host in 1..=last {
        ask_udp((Ipv4Addr::new(127, 0, 0, host), port).into(), host.into()).await;
    }
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
#[tokio::test]
async fn both_wildcards_are_served_side_by_side() {
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

#[tokio::test]
async fn queries_in_one_write_are_answered_in_order() {
    let server = Server::start(Options::default()).await;
    let mut stream = server.connect().await;
    let all: Vec<u8> = (0..100).flat_map(framed).collect();
    stream.write_all(&all).await.unwrap();
    for id in 0..100 {
        expect_answer(&mut stream, id).await;
    }
}

#[tokio::test]
async fn a_query_may_come_byte_by_byte() {
    let server = Server::start(Options::default()).await;
    let mut stream = server.connect().await;
    stream.set_nodelay(true).unwrap();
    for byte in framed(7).into_iter().chain(framed(8)) {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    expect_answer(&mut stream, 7).await;
    expect_answer(&mut stream, 8).await;
}

#[tokio::test]
async fn a_client_that_closed_its_half_is_answered() {
    let server = Server::start(Options::default()).await;
    let mut stream = server.connect().await;
    let cut = &framed(3)[..9];
    stream.write_all(&[&framed(1), &framed(2), cut].concat()).await.unwrap();
    stream.shutdown().await.unwrap();
    expect_answer(&mut stream, 1).await;
    expect_answer(&mut stream, 2).await;
    expect_closed(&mut stream).await;
}

#[tokio::test]
async fn a_length_shorter_than_a_header_ends_the_connection() {
    let server = Server::start(Options::default()).await;
    for nonsense in [&b"\0\0"[..], b"\0\x05hello", b"\0\x0bhello world"] {
        let mut stream = server.connect().await;
        stream.write_all(nonsense).await.unwrap();
        expect_closed(&mut stream).await;
    }
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let idle = Duration::from_millis(200);
    let server = Server::with_limits(TcpLimits { idle, ..TcpLimits::default() }).await;
    let mut silent = server.connect().await;
    let mut asking = server.connect().await;
    let began = Instant::now();
    asking.write_all(&framed(1)).await.unwrap();
    expect_answer(&mut asking, 1).await;
    expect_closed(&mut silent).await;
    expect_closed(&mut asking).await;
    assert!(began.elapsed() >= idle);
}

#[tokio::test]
async fn a_message_has_a_deadline_however_its_bytes_dribble() {
    let message = Duration::from_millis(300);
    let limits = TcpLimits { message, idle: SOON * 10, ..TcpLimits::default() };
    let server = Server::with_limits(limits).await;
    let (mut reader, mut writer) = server.connect().await.into_split();
    let began = Instant::now();
    // It claims the longest message there is.
    let dribble = async {
        while writer.write_all(b"\xff").await.is_ok() {
            tokio::time::sleep(message / 10).await;
        }
    };
    let closed = async {
        let _ = reader.read_u8().await;
    };
    soon(async {
        tokio::select! { () = dribble => {}, () = closed => {} }
    })
    .await;
    assert!(began.elapsed() >= message);
}

#[tokio::test]
async fn who_does_not_take_the_answers_is_cut_off() {
    let write = Duration::from_millis(200);
    let limits = TcpLimits { write, idle: SOON * 10, message: SOON * 10, ..TcpLimits::default() };
    let server = Server::with_limits(limits).await;
    let mut stream = server.connect().await;
    let batch: Vec<u8> = (0..1000).flat_map(framed).collect();
    // Until the buffers of both ends are full and the server has lost its patience.
    soon(async { while stream.write_all(&batch).await.is_ok() {} }).await;
    assert!(server.stats.dropped.get() > 0);
    ask_udp(server.address(), 1).await;
}

#[tokio::test]
async fn the_longest_idle_connection_makes_room() {
    let server = Server::with_limits(TcpLimits { connections: 2, ..TcpLimits::default() }).await;
    let mut streams = [server.connect().await, server.connect().await];
    for stream in &mut streams {
        stream.write_all(&framed(1)).await.unwrap();
        expect_answer(stream, 1).await;
    }
    let [mut first, mut second] = streams;
    // Idleness is counted in milliseconds.
    tokio::time::sleep(Duration::from_millis(2)).await;
    first.write_all(&framed(2)).await.unwrap();
    expect_answer(&mut first, 2).await;
    let mut third = server.connect().await;
    third.write_all(&framed(3)).await.unwrap();
    expect_answer(&mut third, 3).await;
    expect_closed(&mut second).await;
    first.write_all(&framed(4)).await.unwrap();
    expect_answer(&mut first, 4).await;
    assert_eq!(server.stats.evicted.get(), 1);
}

#[tokio::test]
async fn what_was_asked_before_the_end_is_answered() {
    const QUERIES: u16 = 5000;
    let server = Server::start(Options::default()).await;
    let mut stream = server.connect().await;
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    udp.connect(server.address()).await.unwrap();
    let all: Vec<u8> = (0..QUERIES).flat_map(framed).collect();
    let (mut reader, mut writer) = stream.split();
    let answers = async {
        let mut reader = tokio::io::BufReader::new(&mut reader);
        for id in 0..QUERIES {
            let mut reply = vec![0; usize::from(reader.read_u16().await.expect("an answer"))];
            reader.read_exact(&mut reply).await.unwrap();
            assert_answers(&reply, id);
        }
        assert!(reader.read_u8().await.is_err(), "and then the end");
    };
    let asked_and_stopped = async {
        writer.write_all(&all).await.unwrap();
        udp.send(&query(1)).await.unwrap();
        server.drain().await;
    };
    soon(async { tokio::join!(answers, asked_and_stopped) }).await;
    let mut reply = [0; 4096];
    let length = soon(udp.recv(&mut reply)).await.unwrap();
    assert_answers(&reply[..length], 1);
}

#[tokio::test]
async fn the_end_does_not_wait_for_idle_clients() {
    let server = Server::start(Options::default()).await;
    let mut idle = server.connect().await;
    idle.write_all(&framed(1)).await.unwrap();
    expect_answer(&mut idle, 1).await;
    let address = server.address();
    server.drain().await;
    expect_closed(&mut idle).await;
    Listeners::bind(&at(&address.to_string())).await.expect("the port is free again at once");
}

#[tokio::test]
async fn the_end_comes_even_to_clients_that_never_stop_asking() {
    let server = Server::start(Options::default()).await;
    let mut stream = server.connect().await;
    let (asked, mut is_asking) = tokio::sync::mpsc::channel(1);
    let client = tokio::spawn(async move {
        while stream.write_all(&framed(1)).await.is_ok() && read_answer(&mut stream).await.is_ok() {
            let _ = asked.try_send(());
        }
    });
    soon(is_asking.recv()).await.expect("an answer");
    server.drain().await;
    soon(client).await.expect("a client that saw the end");
}

#[tokio::test]
async fn a_hickory_server_gives_the_same_replies() {
    let ours = Server::start(Options::default()).await;
    let mut theirs = hickory_server::Server::new(ClusterHandler::new(empty_zone(), &Options::default()));
    let (socket, listener) = sockets::both_of_one_port().await;
    let address = socket.local_addr().unwrap();
    theirs.register_socket(socket);
    theirs.register_listener(listener, SOON, 16);
    let mut edns = query(2);
    edns[11] = 1;
    edns.extend_from_slice(b"\0\0\x29\x04\xd0\0\0\x80\0\0\0");
    for query in [query(1), edns] {
        let mut replies = Vec::new();
        for server in [ours.address(), address] {
            let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            client.connect(server).await.unwrap();
            client.send(&query).await.unwrap();
            let mut reply = vec![0; 4096];
            let length = soon(client.recv(&mut reply)).await.unwrap();
            replies.push(reply[..length].to_vec());
            let mut stream = TcpStream::connect(server).await.unwrap();
            stream
                .write_all(&[&(query.len() as u16).to_be_bytes(), query.as_slice()].concat())
                .await
                .unwrap();
            replies.push(read_answer(&mut stream).await.unwrap());
        }
        let messages: Vec<_> = replies
            .iter()
            .map(|reply| hickory_proto::op::Message::from_vec(reply).expect("a message"))
            .collect();
        for other in &messages[1..] {
            assert_eq!(other, &messages[0]);
        }
    }
    theirs.shutdown_gracefully().await.unwrap();
}
