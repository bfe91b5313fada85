//! Connections of clients, with a kubelet that answers at once.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::kubelet::{Container, Kubelet, Later, Log, LogOptions, Session, Streams};
use crate::{Options, Server};
use clusterlocal_core::store::Kind;
use clusterlocal_core::{Clock, ControlPlane, Driver, Settings, manifest};

/// What a session did.
type Events = Arc<Mutex<Vec<String>>>;

/// A kubelet whose processes print what they read, and end with code 3 at its end.
#[derive(Default)]
struct Echo {
    events: Events,
    /// What port-forward and proxy lead to.
    target: Option<SocketAddr>,
}

impl Echo {
    fn session(&self, streams: Streams) -> Session {
        let (input, mut read) = mpsc::channel::<Bytes>(1);
        let (write, output) = mpsc::channel(1);
        let (end, exit_code) = oneshot::channel();
        let events = self.events.clone();
        let resized = events.clone();
        tokio::spawn(async move {
            while let Some(bytes) = read.recv().await {
                if write.send((1, bytes)).await.is_err() {
                    break;
                }
            }
            let _ = write.send((2, Bytes::from_static(b"end"))).await;
            drop(write);
            let heard = end.send(3).is_ok();
            events.lock().unwrap().push(if heard { "ended" } else { "abandoned" }.to_owned());
        });
        Session {
            input: streams.stdin.then_some(input),
            output,
            exit_code,
            resize: Box::new(move |width, height| resized.lock().unwrap().push(format!("{width}x{height}"))),
        }
    }
}

impl Kubelet for Echo {
    fn log(&self, container: &Container, options: LogOptions) -> Result<Log, String> {
        let (log, lines) = mpsc::channel(1);
        let line = format!("{} {:?}\n", container.name, options.tail);
        tokio::spawn(async move { log.send(line.into()).await });
        Ok(lines)
    }

    fn exec<'a>(
        &'a self,
        _: &'a Container,
        command: Vec<String>,
        streams: Streams,
    ) -> Later<'a, Result<Session, String>> {
        Box::pin(async move {
            if command == ["none"] { Err("no such program".to_owned()) } else { Ok(self.session(streams)) }
        })
    }

    fn attach(&self, _: &Container, streams: Streams) -> Result<Session, String> {
        Ok(self.session(streams))
    }

    fn forward<'a>(&'a self, _: &'a str, _: u16) -> Later<'a, io::Result<TcpStream>> {
        self.dial(([127, 0, 0, 1], 1).into())
    }

    fn dial(&self, _: SocketAddr) -> Later<'_, io::Result<TcpStream>> {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        Box::pin(async move { TcpStream::connect(self.target.ok_or_else(refused)?).await })
    }
}

/// A server with the pod `db-0`, until the sender is dropped.
async fn server(kubelet: Echo) -> (SocketAddr, oneshot::Sender<()>) {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "db-0", "namespace": "default"},
        "spec": {"nodeName": "node-1", "containers": [{"name": "db", "image": "x", "ports": [{"containerPort": 80}]}]},
    });
    let mut cluster = ControlPlane::new(Settings::default());
    let Ok(pod) = manifest::read_object(Kind::Pod, &pod) else { panic!("a pod is expected") };
    cluster.apply(&[(pod.key(), pod)].into_iter().collect());
    let driver = Driver::new(cluster, Clock::real());
    let server = Server::bind(Options::at(([127, 0, 0, 1], 0).into())).await.unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel();
    let server = server.with_kubelet(Arc::new(kubelet));
    tokio::spawn(server.serve(driver, async move { _ = stopped.await }));
    (address, stop)
}

const EXEC: &str = "/api/v1/namespaces/default/pods/db-0/exec?stdin=true&command=cat";

/// The WebSocket of a request, or the code of the answer and its Status.
async fn open(
    address: SocketAddr,
    path: &str,
    protocol: &'static str,
) -> Result<WebSocketStream<TcpStream>, (u16, Value)> {
    use tokio_tungstenite::tungstenite::Error;
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(protocol));
    let stream = TcpStream::connect(address).await.unwrap();
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => {
            let body = answer.body().as_deref().unwrap_or_default();
            Err((answer.status().as_u16(), serde_json::from_slice(body).unwrap_or_default()))
        }
        Err(error) => panic!("{error}"),
    }
}

/// The messages until the end, those of one channel together.
async fn rest(socket: &mut WebSocketStream<TcpStream>) -> Vec<(u8, String)> {
    let mut messages: Vec<(u8, String)> = Vec::new();
    while let Some(Ok(Message::Binary(bytes))) = timeout(LIMIT, socket.next()).await.expect("an end") {
        let text = String::from_utf8(bytes[1..].to_vec()).unwrap();
        match messages.iter_mut().find(|(channel, _)| *channel == bytes[0]) {
            Some((_, before)) => before.push_str(&text),
            None => messages.push((bytes[0], text)),
        }
    }
    messages
}

/// Maximum time of a test's wait.
const LIMIT: Duration = Duration::from_secs(20);

/// The first events, once they are there.
async fn first(count: usize, events: &Events) -> Vec<String> {
    let there = async {
        loop {
            let events = events.lock().unwrap().clone();
            if events.len() >= count {
                return events;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, there).await.expect("events")
}

#[tokio::test]
async fn streams_of_a_process_have_channels() {
    let echo = Echo::default();
    let events = echo.events.clone();
    let (address, _stop) = server(echo).await;
    let mut socket = open(address, EXEC, "v5.channel.k8s.io").await.unwrap();
    for message in [
        &b"\x00typed "[..],
        b"\x04{\"Width\":80,\"Height\":24}",
        b"\x00twice",
        b"\x09unknown",
        b"",
        b"\xff\x00",
    ] {
        socket.send(Message::Binary(Bytes::copy_from_slice(message))).await.unwrap();
    }
    let status = json!({
        "metadata": {},
        "status": "Failure",
        "message": "command terminated with non-zero exit code: exit status 3",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
    });
    let expected = [(1, "typed twice".to_owned()), (2, "end".to_owned()), (3, status.to_string())];
    assert_eq!(rest(&mut socket).await, expected);
    assert_eq!(first(2, &events).await, ["80x24", "ended"]);
}

#[tokio::test]
async fn a_process_is_abandoned_when_its_client_goes_away() {
    let echo = Echo::default();
    let events = echo.events.clone();
    let (address, _stop) = server(echo).await;
    let mut socket = open(address, EXEC, "v4.channel.k8s.io").await.unwrap();
    socket.send(Message::Binary(Bytes::from_static(b"\x00x"))).await.unwrap();
    while socket.next().await.unwrap().unwrap() != Message::Binary(Bytes::from_static(b"\x01x")) {}
    drop(socket);
    assert_eq!(first(1, &events).await, ["abandoned"]);
}

/// Path, subprotocol, code of the answer, and a part of the message.
#[tokio::test]
async fn requests_that_cannot_be_answered_have_a_status() {
    let (address, _stop) = server(Echo::default()).await;
    let pods = "/api/v1/namespaces/default/pods";
    let table = [
        (format!("{pods}/db-1/exec?command=x"), "v5.channel.k8s.io", 404, "pods \"db-1\" not found"),
        (
            format!("{pods}/db-0/exec?command=x&container=no"),
            "v5.channel.k8s.io",
            400,
            "container no is not valid for pod db-0",
        ),
        (format!("{pods}/db-0/exec"), "v5.channel.k8s.io", 400, "at least one command"),
        (format!("{pods}/db-0/attach"), "channel.k8s.io", 400, "v5.channel.k8s.io, v4.channel.k8s.io"),
        (format!("{pods}/db-0/portforward"), "v5.channel.k8s.io", 400, "SPDY/3.1+portforward.k8s.io"),
    ];
    for (path, protocol, code, part) in table {
        let (answered, status) = open(address, &path, protocol).await.err().unwrap();
        assert_eq!(answered, code, "{path} {status}");
        assert!(status["message"].as_str().unwrap().contains(part), "{path} {status}");
    }
    // What the kubelet refuses comes after the upgrade.
    let mut socket =
        open(address, &format!("{pods}/db-0/exec?command=none"), "v5.channel.k8s.io").await.unwrap();
    let messages = rest(&mut socket).await;
    assert!(
        messages[0].0 == 3 && messages[0].1.contains("Internal error occurred: no such program"),
        "{messages:?}"
    );
}

/// What a client sends to the server, and what it receives until the end.
async fn exchange(address: SocketAddr, sent: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut text = String::new();
    timeout(LIMIT, stream.read_to_string(&mut text)).await.expect("an end").unwrap();
    text
}

#[tokio::test]
async fn logs_are_plain_text() {
    let (address, _stop) = server(Echo::default()).await;
    let path = "/api/v1/namespaces/default/pods/db-0/log?tailLines=7";
    let answer =
        exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
            .await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("content-type: text/plain\r\n"),
        "{answer}"
    );
    assert!(answer.contains("db Some(7)\n"), "{answer}");
}

/// A pod that answers `answer` to each connection, and closes it.
async fn pod(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            if answer.contains(" 101 ") {
                let (mut from, mut to) = stream.split();
                _ = tokio::io::copy(&mut from, &mut to).await;
            }
        }
    });
    address
}

#[tokio::test]
async fn answers_of_pods_are_passed_on_and_broken_ones_end_the_connection() {
    let cut = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n5\r\ncu";
    let table = [
        (
            "HTTP/1.1 201 Created\r\nX-Own: 1\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 201 ",
            "\r\n\r\nok",
        ),
        (cut, "HTTP/1.1 200 ", "whole\r\n"),
        (
            "HTTP/1.1 302 Found\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 302 ",
            "/pods/db-0/proxy/a\r\n",
        ),
        ("nonsense\r\n\r\n", "HTTP/1.1 503 ", "error trying to reach service"),
    ];
    for (answer, begins, part) in table {
        let (address, _stop) = server(Echo { target: Some(pod(answer).await), ..Echo::default() }).await;
        let request = "GET /api/v1/namespaces/default/pods/db-0/proxy/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let got = exchange(address, request).await;
        assert!(got.starts_with(begins) && got.contains(part), "{answer:?}: {got:?}");
        assert!(!got.to_ascii_lowercase().contains("access-control"), "{got}");
        // The last chunk is missing.
        assert!(answer != cut || !got.ends_with("0\r\n\r\n"), "{got:?}");
    }
}

#[tokio::test]
async fn upgraded_connections_are_passed_through() {
    let target =
        pod("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n").await;
    let (address, _stop) = server(Echo { target: Some(target), ..Echo::default() }).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /api/v1/namespaces/default/pods/db-0/proxy/socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(LIMIT, stream.read_u8()).await.unwrap().unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    stream.write_all(b"both ways").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut echoed = String::new();
    timeout(LIMIT, stream.read_to_string(&mut echoed)).await.unwrap().unwrap();
    assert_eq!(echoed, "both ways");
}
