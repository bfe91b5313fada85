//! Effects of faults on a server as a whole: a hickory server with our handler, and a server that shuts down.

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use clusterlocal::serve::{ClusterHandler, Listeners, Options};
use libtest_mimic::Failed;
use tokio::sync::oneshot;

use crate::ask::Client;
use crate::ring::Ring;

/// A query for the addresses of the set.
const QUESTION: &str = "A ~";

/// A hickory server also drops and delays answers.
pub fn hickory() -> Result<(), Failed> {
    let mut ring = Ring::with("sequence: [drop, delay 300ms, servfail, ok]");
    let handler = ClusterHandler::new(ring.view(), &Options::default());
    let runtime = runtime();
    let address = runtime.block_on(async {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("an address");
        let mut server = hickory_server::Server::new(handler);
        server.register_socket(socket);
        tokio::spawn(async move { server.block_until_done().await });
        address
    });
    let ask = || Client::Dig.ask(address, QUESTION);
    assert_eq!(ask(), "timed out");
    let begun = Instant::now();
    assert!(ask().starts_with("NOERROR 127.244.0."));
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(ask(), "SERVFAIL");
    ring.remove_fault();
    assert!(ask().starts_with("NOERROR 127.244.0."));
    Ok(())
}

/// A server that shuts down waits neither for delayed answers nor for hanging connections.
pub fn ending() -> Result<(), Failed> {
    let ring = Ring::with("match: {transport: udp}, actions: [delay 1h]");
    let hanging = Ring::with("actions: [tcp hang]");
    for ring in [ring, hanging] {
        let runtime = runtime();
        let listeners = runtime.block_on(Listeners::bind(&Options::default())).expect("a free port");
        let address = listeners.addresses()[0];
        let (end, ended) = oneshot::channel::<()>();
        let serving = runtime.spawn(listeners.serve(ring.view(), async { drop(ended.await) }));
        let _held = ask(address);
        until(|| ring.view().faults.hits("f") > 0)?;
        end.send(()).expect("it serves");
        let asked = Instant::now();
        runtime.block_on(serving).expect("no panic").expect("no client is cut off");
        assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    }
    Ok(())
}

/// On a running clock, faults start and end by themselves.
pub fn running() -> Result<(), Failed> {
    let ring = Ring::running("after: 200s, for: 4000s, actions: [servfail]", 1000.0);
    let faults = ring.view().faults;
    until(|| !faults.is_empty())?;
    assert_eq!(Client::Dig.ask(ring.address, QUESTION), "SERVFAIL");
    until(|| faults.is_empty())?;
    assert!(Client::Dig.ask(ring.address, QUESTION).starts_with("NOERROR 127.244.0."));
    Ok(())
}

/// Sends a query over UDP and connects over TCP, without waiting for answers.
fn ask(address: SocketAddr) -> (UdpSocket, TcpStream) {
    let question =
        b"\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07cluster\x05local\x00\x00\x01\x00\x01";
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    udp.send_to(question, address).expect("sent");
    let tcp = TcpStream::connect(address).expect("connected");
    (udp, tcp)
}

fn until(holds: impl Fn() -> bool) -> Result<(), Failed> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        if Instant::now() > deadline {
            return Err("not within ten seconds".into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime")
}
