//! Shutdown: requests that were received are answered, and no client delays it.

use super::*;

#[tokio::test]
async fn queries_received_before_the_shutdown_are_answered() {
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
        assert!(reader.read_u8().await.is_err(), "the connection is closed after the answers");
    };
    let queries_and_shutdown = async {
        writer.write_all(&all).await.unwrap();
        udp.send(&query(1)).await.unwrap();
        server.drain().await;
    };
    soon(async { tokio::join!(answers, queries_and_shutdown) }).await;
    let mut reply = [0; 4096];
    let length = soon(udp.recv(&mut reply)).await.unwrap();
    assert_answers(&reply[..length], 1);
}

#[tokio::test]
async fn the_shutdown_does_not_wait_for_idle_clients() {
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
async fn the_shutdown_does_not_wait_for_clients_that_keep_asking() {
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
    soon(client).await.expect("the client's connection is closed");
}
