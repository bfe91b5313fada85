//! The end of a run, and the signals until then.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{DEADLINE, Directory, RING, Server, answers, becomes, common, serve_ring, soon, wait};

#[test]
fn sigterm_and_sigint_stop_the_server_once_all_queries_are_answered() {
    const QUERIES: usize = 500;
    let query = common::request("db.default.svc.cluster.local", "A", None);
    let framed = [&(query.len() as u16).to_be_bytes(), query.as_slice()].concat();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut server = serve_ring(&Directory::with(&[]), "");
        let mut client = TcpStream::connect(server.address()).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        client.write_all(&framed).unwrap();
        read_answer(&mut client);
        client.write_all(&framed.repeat(QUERIES)).unwrap();
        server.signal(signal);
        for _ in 0..QUERIES {
            read_answer(&mut client);
        }
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "the connection is closed after the answers");
        assert_eq!(wait(&mut server.child).code(), Some(0), "{signal}");
    }
}

fn read_answer(client: &mut TcpStream) {
    let mut length = [0; 2];
    client.read_exact(&mut length).expect("an answer");
    client.read_exact(&mut vec![0; u16::from_be_bytes(length).into()]).expect("the whole answer");
}

#[test]
fn a_second_signal_stops_the_server_at_once() {
    // An upstream that never answers keeps a query, and so the server, waiting.
    let upstream = UdpSocket::bind("127.0.0.1:0").unwrap();
    upstream.set_read_timeout(Some(DEADLINE)).unwrap();
    let directory = Directory::with(&[]);
    let at = upstream.local_addr().unwrap();
    directory.save("ring.yaml", RING);
    let command = format!("serve ring.yaml --listen 127.0.0.1:0 --upstream {at} --ready-file ready");
    let mut server = Server::start(directory.program(&command).stderr(Stdio::piped()));
    let log = super::read_all(server.child.stderr.take().unwrap());
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let query = common::request("www.example.com", "A", None);
    client.send_to(&query, server.address()).unwrap();
    upstream.recv(&mut [0; 512]).expect("the query is forwarded");
    server.signal(Signal::SIGTERM);
    assert!(becomes(&directory.path("ready"), false), "a server that shuts down is not ready");
    // The same signal may arrive twice, for instance from timeout(1): that does not count as a second one.
    server.signal(Signal::SIGTERM);
    assert!(server.child.try_wait().unwrap().is_none(), "the server still waits for the upstream");
    // A later one counts.
    let mut ended = None;
    soon(|| {
        server.signal(Signal::SIGINT);
        ended = server.child.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.expect("an end").code(), Some(130));
    assert!(super::text(&log).contains("SIGINT again"), "the log has the second signal");
}

#[test]
fn sighup_reloads_the_manifests() {
    let directory = Directory::with(&[]);
    let mut server = serve_ring(&directory, "--watch off");
    let question = "db.default.svc.cluster.local A";
    directory.save("ring.yaml", &RING.replace("replicas: 3", "replicas: 4"));
    // Longer than a server that polls each second needs.
    let until = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < until {
        assert_eq!(answers(server.address(), question).len(), 3, "no reload without a signal");
    }
    for _ in 0..100 {
        server.signal(Signal::SIGHUP);
    }
    assert!(soon(|| answers(server.address(), question).len() == 4));
    // A malformed file changes nothing, and the server keeps running.
    directory.save("ring.yaml", "kind: [\n");
    server.signal(Signal::SIGHUP);
    directory.save("ring.yaml", &RING.replace("replicas: 3", "replicas: 2"));
    server.signal(Signal::SIGHUP);
    assert!(soon(|| answers(server.address(), question).len() == 2));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn the_server_ends_with_its_parent() {
    let directory = Directory::with(&[("ring.yaml", RING)]);
    let mut shell = std::process::Command::new("sh");
    shell.current_dir(directory.path(""));
    // The shell runs until its standard input ends, and does not signal its child.
    shell.args([
        "-c",
        "\"$0\" serve ring.yaml --listen 127.0.0.1:0 --exit-with-parent & echo $! > id; read end",
    ]);
    shell.arg(env!("CARGO_BIN_EXE_clusterlocal")).stdin(Stdio::piped()).stderr(Stdio::null());
    let mut parent = Server::start(&mut shell);
    assert_eq!(answers(parent.address(), "db.default.svc.cluster.local A").len(), 3);
    drop(parent.child.stdin.take());
    wait(&mut parent.child);
    // Its standard output ends with the last process that has it.
    if parent.rest.recv_timeout(DEADLINE).is_err() {
        let orphan = fs::read_to_string(directory.path("id")).unwrap().trim().parse().unwrap();
        _ = kill(Pid::from_raw(orphan), Signal::SIGKILL);
        panic!("it outlived its parent");
    }
}
