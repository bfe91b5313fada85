//! Properties of the transports, whatever the answers: one reply for each query, over UDP and TCP, from the address that
//! was queried, within limits, until the shutdown.

mod ending;
mod tcp;
mod udp;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clusterlocal::serve::{ClusterHandler, CutOff, Listeners, Options, Stats, TcpLimits};
use clusterlocal_core::zone::{Published, Settings, Zone};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// Time-out of anything that is expected to happen.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A server that runs until `stop` is sent.
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

    async fn with_limits(set: impl FnOnce(&mut TcpLimits)) -> Self {
        let mut options = Options::default();
        set(&mut options.tcp);
        Server::start(options).await
    }

    fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.expect("a connection")
    }

    async fn drain(self) {
        self.stop.send(()).expect("a running server");
        soon(self.ended).await.expect("no panic").expect("all clients are answered");
    }
}

fn empty_zone() -> Published {
    Published::new(Zone::new(Settings::default()))
}

fn at(address: &str) -> Options {
    listening(&[address.parse().unwrap()])
}

fn listening(addresses: &[SocketAddr]) -> Options {
    let mut options = Options::default();
    options.listen = addresses.into();
    options
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(TIMEOUT, work).await.expect("the expected event within the time-out")
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

/// The query with the length prefix of TCP.
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

/// Expects that the server closes `stream` without sending more.
async fn expect_closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let _ = soon(stream.read_to_end(&mut rest)).await;
    assert!(rest.is_empty(), "{rest:02x?}");
}

/// Sends a query from a connected socket, which receives only from its peer.
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
    let listen = ["127.0.0.1:0".parse().unwrap(), "127.0.0.2:0".parse().unwrap()];
    let server = Server::start(listening(&listen)).await;
    assert_eq!(server.addresses.len(), 2);
    for (id, &address) in (1..).zip(&server.addresses) {
        ask_udp(address, id).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&framed(id)).await.unwrap();
        expect_answer(&mut stream, id).await;
    }
    let stats = server.stats.clone();
    // A reply is counted after it is sent.
    server.drain().await;
    assert_eq!([&stats.queries, &stats.udp_replies].map(|count| count.get()), [4, 2]);
}

#[tokio::test]
async fn all_addresses_are_bound_or_none() {
    let free = std::net::UdpSocket::bind("127.0.0.3:0").unwrap().local_addr().unwrap();
    let (udp, tcp) =
        (std::net::UdpSocket::bind("127.0.0.1:0").unwrap(), std::net::TcpListener::bind("127.0.0.1:0"));
    let taken = [(udp.local_addr().unwrap(), "UDP"), (tcp.as_ref().unwrap().local_addr().unwrap(), "TCP")];
    for (taken, transport) in taken {
        let error = Listeners::bind(&listening(&[free, taken])).await.err().expect("an error");
        assert_eq!((error.address, error.transport), (taken, transport));
        assert!(
            error.to_string().starts_with(&format!("cannot listen on {taken} over {transport}: ")),
            "{error}"
        );
        assert!(error.to_string().contains("another program listens there"), "{error}");
    }
    Listeners::bind(&at(&free.to_string()))
        .await
        .expect("the address that was bound before the error is free");
    // TEST-NET-1 (RFC 5737) is not assigned to any host.
    let error = Listeners::bind(&at("192.0.2.1:0")).await.err().expect("an error");
    assert!(error.to_string().contains("no interface of this machine"), "{error}");
}

#[tokio::test]
async fn a_hickory_server_sends_the_same_replies() {
    let ours = Server::start(Options::default()).await;
    let mut theirs = hickory_server::Server::new(ClusterHandler::new(empty_zone(), &Options::default()));
    let (socket, listener) = crate::sockets::both_of_one_port().await;
    let address = socket.local_addr().unwrap();
    theirs.register_socket(socket);
    theirs.register_listener(listener, TIMEOUT, 16);
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
