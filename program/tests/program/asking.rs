//! `log`: the queries of a running server.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Directory, Ended, Server, ask, field, program, run, serve_ring, wait};

/// The verb, about `server`.
fn log(server: &Server, arguments: &str) -> Command {
    let mut command = program(&format!("log {arguments}"));
    command.env("CLUSTERLOCAL_API", field(&server.ready, "api"));
    command
}

/// A server that has received and recorded three queries.
fn asked(directory: &Directory, arguments: &str) -> Server {
    let server = serve_ring(directory, &format!("--api 127.0.0.1:0 {arguments}"));
    for question in [
        "_cql._tcp.db.default.svc.cluster.local SRV",
        "db-1.db.default.svc.cluster.local A",
        "nope.cluster.local A",
    ] {
        ask(server.address(), question);
    }
    server
}

#[test]
fn queries_are_shown() {
    let directory = Directory::with(&[]);
    let server = asked(&directory, "");
    let shown = run(&mut log(&server, "--at-least 3 --within 20s"));
    assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> = shown.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].contains("\"SRV IN _cql._tcp.db.default.svc.cluster.local. udp\" NOERROR"), "{lines:?}");
    let shown = run(&mut log(
        &server,
        "-o json --name DB-1.* --type a --transport udp --rcode noerror --client 127.0.0.1",
    ));
    let query: Value = serde_json::from_str(&shown.stdout).expect("one object");
    assert_eq!(query["name"], "db-1.db.default.svc.cluster.local.");
    assert_eq!(query["reply"]["answers"][0]["type"], "A");
    assert_eq!(run(&mut log(&server, "--rcode nxdomain")).stdout.lines().count(), 1);
    for none in ["--pod db-0", "--fault lost", "--transport tcp", "--since-serial 2147483647"] {
        assert_eq!(run(&mut log(&server, none)).stdout, "", "{none}");
    }
}

/// Flags, exit code, message.
#[test]
fn expectations_decide_the_exit_code() {
    let directory = Directory::with(&[]);
    let server = asked(&directory, "");
    let table = [
        ("--at-least 3 --at-most 3 --within 1s", 0, ""),
        ("--at-most 0 --type TXT", 0, ""),
        ("--at-least 2 --type SRV", 1, "error: expected at least 2 queries with type=SRV, there were 1\n  "),
        (
            "--at-most 0 --rcode NXDOMAIN",
            1,
            "error: expected no queries with rcode=NXDOMAIN, there were 1\n  ",
        ),
        (
            "--rcode MAYBE",
            2,
            "error: invalid value 'MAYBE' for '--rcode <RCODE>': expected a response code such as NXDOMAIN",
        ),
        ("--within 1s", 2, "error: within needs atLeast or atMost"),
        ("--type SRVX", 2, "error: invalid value 'SRVX' for '--type <TYPE>'"),
    ];
    for (flags, code, message) in table {
        let Ended { code: ended, stderr, .. } = run(&mut log(&server, flags));
        assert_eq!(ended, Some(code), "{flags}: {stderr}");
        assert!(stderr.starts_with(message), "{flags}: {stderr}");
    }
    let without_server = run(program("log").env("CLUSTERLOCAL_API", "127.0.0.1:1"));
    assert_eq!(without_server.code, Some(3), "{without_server:?}");
}

#[test]
fn queries_are_followed() {
    let directory = Directory::with(&[]);
    let server = asked(&directory, "");
    let mut child = log(&server, "-f --type A --rcode NOERROR")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("another line").expect("text");
    assert!(next().contains("db-1.db"));
    ask(server.address(), "db.default.svc.cluster.local SRV");
    ask(server.address(), "DB-2.db.default.svc.cluster.local A");
    assert!(next().contains("DB-2.db"));
    // It ends with the server.
    drop(server);
    assert!(matches!(wait(&mut child).code(), Some(0 | 3)));
}

#[test]
fn dropped_queries_are_reported() {
    let directory = Directory::with(&[]);
    let without = asked(&directory, "--query-log 0");
    let ended = run(&mut log(&without, ""));
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("the server was started with --query-log 0"), "{ended:?}");
    let small = asked(&directory, "--query-log 500");
    let shown = run(&mut log(&small, "--at-least 1 --within 20s --rcode NXDOMAIN"));
    assert_eq!((shown.code, shown.stdout.lines().count()), (Some(0), 1), "{shown:?}");
    assert!(shown.stderr.starts_with("note: 2 older queries were dropped"), "{shown:?}");
}
