//! TCP: framing, and the limits of connections.

use super::*;

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
async fn a_query_received_byte_by_byte_is_answered() {
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
async fn a_client_that_closed_its_sending_side_is_answered() {
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
    for bytes in [&b"\0\0"[..], b"\0\x05hello", b"\0\x0bhello world"] {
        let mut stream = server.connect().await;
        stream.write_all(bytes).await.unwrap();
        expect_closed(&mut stream).await;
    }
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let idle = Duration::from_millis(200);
    let server = Server::with_limits(|limits| limits.idle = idle).await;
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
async fn a_message_that_takes_too_long_ends_the_connection() {
    let message = Duration::from_millis(300);
    let server = Server::with_limits(|limits| (limits.message, limits.idle) = (message, TIMEOUT * 10)).await;
    let (mut reader, mut writer) = server.connect().await.into_split();
    let began = Instant::now();
    // The first bytes are the length of the longest possible message.
    let send_slowly = async {
        while writer.write_all(b"\xff").await.is_ok() {
            tokio::time::sleep(message / 10).await;
        }
    };
    let closed = async {
        let _ = reader.read_u8().await;
    };
    soon(async {
        tokio::select! { () = send_slowly => {}, () = closed => {} }
    })
    .await;
    assert!(began.elapsed() >= message);
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answers_is_disconnected() {
    let write = Duration::from_millis(200);
    let set = |limits: &mut TcpLimits| {
        (limits.write, limits.idle, limits.message) = (write, TIMEOUT * 10, TIMEOUT * 10);
    };
    let server = Server::with_limits(set).await;
    let mut stream = server.connect().await;
    let batch: Vec<u8> = (0..1000).flat_map(framed).collect();
    // Until the buffers of both ends are full and the server's time-out has passed.
    soon(async { while stream.write_all(&batch).await.is_ok() {} }).await;
    assert!(server.stats.dropped.get() > 0);
    ask_udp(server.address(), 1).await;
}

#[tokio::test]
async fn at_the_limit_the_longest_idle_connection_is_closed() {
    let server = Server::with_limits(|limits| limits.connections = 2).await;
    let mut streams = [server.connect().await, server.connect().await];
    for stream in &mut streams {
        stream.write_all(&framed(1)).await.unwrap();
        expect_answer(stream, 1).await;
    }
    let [mut first, mut second] = streams;
    // Idle times are measured in milliseconds.
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
