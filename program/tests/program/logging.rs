//! The log on standard error: whatever happens to that, no answer is delayed.

use std::net::UdpSocket;
use std::process::Stdio;

use serde_json::Value;

use super::{DEADLINE, Directory, RING, Server, answers, becomes, common, read_all, soon, text};

const QUESTION: &str = "db.default.svc.cluster.local A";

/// A query for a name whose first label has these bytes.
fn question(label: &[u8]) -> Vec<u8> {
    let mut query = common::request("x.default.svc.cluster.local", "A", None);
    query.splice(12..14, [&[label.len() as u8], label].concat());
    query
}

#[test]
fn the_log_has_no_control_characters() {
    let hostile: [(&[u8], &str); 6] = [
        (b"a\nb", r"a\010b"),
        (b"\x1b]0;x\x07", r"\027]0\;x\007"),
        (b"\0", r"\000"),
        (b"\x9b2J", r"\1552J"),
        (b"\"\\", r#"\"\\"#),
        (b"a.b", r"a\.b"),
    ];
    for form in ["text", "json"] {
        let directory = Directory::with(&[("ring.yaml", RING)]);
        let arguments = format!("serve ring.yaml --listen 127.0.0.1:0 --log debug --log-format {form}");
        let mut server = Server::start(directory.program(&arguments).stderr(Stdio::piped()));
        let log = read_all(server.child.stderr.take().unwrap());
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.address()).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        for (label, _) in hostile {
            client.send(&question(label)).unwrap();
            client.recv(&mut [0; 4096]).expect("an answer");
        }
        assert_eq!(server.stop(), Some(0));
        let log = text(&log);
        assert!(!log.contains(|c: char| c.is_control() && c != '\n'), "{log:?}");
        let messages: Vec<String> = match form {
            "text" => log.lines().map(str::to_owned).collect(),
            _ => log.lines().map(message).collect(),
        };
        for (_, name) in hostile {
            let name = format!("A IN {name}.default.svc.cluster.local. udp");
            let logged = messages.iter().filter(|message| message.contains(&name)).count();
            assert_eq!(logged, 1, "{form}: {name} in:\n{log}");
        }
    }
}

/// The message of a line of JSON, which also has a time and a level.
fn message(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    line["message"].as_str().expect("a message").to_owned()
}

#[test]
fn a_log_that_is_not_read_delays_nothing() {
    let directory = Directory::with(&[("ring.yaml", RING)]);
    let command = "serve ring.yaml --listen 127.0.0.1:0 --log debug";
    let mut server = Server::start(directory.program(command).stderr(Stdio::piped()));
    // More lines than a pipe (64 KiB) and the buffer before it (10,000 lines) hold.
    for _ in 0..11_000 {
        assert_eq!(answers(server.address(), QUESTION).len(), 3);
    }
    directory.save("ring.yaml", &RING.replace("replicas: 3", "replicas: 4"));
    assert!(soon(|| answers(server.address(), QUESTION).len() == 4), "files are still followed");
    assert_eq!(server.stop(), Some(0));
}

/// Standard output and error that are closed, or whose reader has ended, before anything is written.
#[test]
fn it_serves_without_standard_output_and_error() {
    for closing in [">&-", "2>&-", ">&- 2>&- <&-", "2>/dev/full >/dev/full"] {
        let directory = Directory::with(&[("ring.yaml", RING)]);
        let mut shell = std::process::Command::new("sh");
        let command = format!(
            "exec \"$0\" serve ring.yaml --listen 127.0.0.1:0 --log debug --ready-file ready {closing}"
        );
        shell.current_dir(directory.path("")).args(["-c", &command, env!("CARGO_BIN_EXE_clusterlocal")]);
        let child = shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a shell");
        serves(&directory, child);
    }
    let directory = Directory::with(&[("ring.yaml", RING)]);
    let mut command =
        directory.program("serve ring.yaml --listen 127.0.0.1:0 --log debug --ready-file ready");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    serves(&directory, child);
}

fn serves(directory: &Directory, child: std::process::Child) {
    let path = directory.path("ready");
    let mut server =
        Server { child, ready: String::new(), rest: std::sync::mpsc::channel().1, addresses: vec![] };
    assert!(becomes(&path, true), "it does not start");
    let ready = std::fs::read_to_string(path).unwrap();
    server.addresses = vec![super::field(&ready, "dns").parse().unwrap()];
    for _ in 0..3 {
        assert_eq!(answers(server.address(), QUESTION).len(), 3);
    }
    assert_eq!(server.stop(), Some(0));
}
