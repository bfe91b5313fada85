//! `docs/fixture-protocol.md`: the ready line as JSON, and calls that are refused. `sdk/conformance` has the verbs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Directory, RING, wait};

/// Starts `serve` with the output as JSON, and returns the process and the line.
fn serve(directory: &Directory) -> (std::process::Child, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clusterlocal"));
    let arguments =
        ["serve", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0", "--output", "json", "ring.yaml"];
    command.args(arguments).current_dir(directory.path("")).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program");
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
        .unwrap();
    (child, serde_json::from_str(&line).expect("JSON"))
}

/// Sends a request and returns the status code and the reply.
fn call(api: &str, method: &str, path: &str, content_type: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(api.strip_prefix("http://").unwrap()).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{content_type}Content-Length: \
         {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").expect("a reply");
    (head[9..12].parse().unwrap(), serde_json::from_str(body).expect("JSON"))
}

#[test]
fn the_ready_line_as_json_has_what_a_client_needs() {
    let directory = Directory::with(&[("ring.yaml", RING)]);
    let (mut child, ready) = serve(&directory);
    let api = ready["api"].as_str().expect("a URL");
    assert!(ready["dns"][0].as_str().unwrap().starts_with("127.0.0.1:"), "{ready}");
    assert!(ready["kubeconfig"].as_str().unwrap().contains(&format!("server: {api}\n")), "{ready}");
    assert_eq!((ready["domain"].as_str(), ready["pods"].as_u64()), (Some("cluster.local"), Some(5)));
    assert_eq!(ready["version"], env!("CARGO_PKG_VERSION"));
    let serial =
        call(api, "POST", "/fixture/mark", "Content-Type: application/json\r\n", "{}").1["serial"].clone();
    assert_eq!(serial, ready["serial"]);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// (method, path, whether the type of the body is JSON, body, status code, part of the message)
#[test]
fn calls_that_cannot_be_carried_out_are_refused() {
    let directory = Directory::with(&[("ring.yaml", RING)]);
    let (mut child, ready) = serve(&directory);
    let table = [
        ("POST", "scale", true, r#"{"name": "db", "replicas": 4}"#, 200, ""),
        ("GET", "mark", true, "", 405, "does not allow"),
        // A web page can send such a body to any site.
        ("POST", "scale", false, r#"{"name": "db", "replicas": 0}"#, 415, "media type"),
        ("POST", "scale", true, "[]", 400, "an object"),
        ("POST", "scale", true, r#"{"name": "db"}"#, 400, "replicas: Required value: a whole number"),
        ("POST", "scale", true, r#"{"name": "db", "replicas": -1}"#, 400, "replicas: Required value"),
        ("POST", "scale", true, r#"{"name": "dbx", "replicas": 1}"#, 404, "existing: db"),
        ("POST", "scale", true, r#"{"name": "db", "replicas": 4000000000}"#, 400, "the store is full"),
        ("POST", "explode", true, "{}", 404, "could not find the requested resource"),
        ("POST", "pod/explode", true, r#"{"name": "db-0"}"#, 404, "could not find the requested resource"),
        ("POST", "advance", true, r#"{"by": "soon"}"#, 400, "a duration such as 500ms"),
        ("POST", "advance", true, r#"{"by": "169h"}"#, 400, "at most 168h"),
        (
            "POST",
            "delete",
            true,
            r#"{"kind": "Statefulset", "name": "db"}"#,
            400,
            "a kind such as StatefulSet",
        ),
        (
            "POST",
            "pod/bind",
            true,
            r#"{"name": "db-0", "port": "peer", "address": "x"}"#,
            400,
            "address: Invalid value",
        ),
        ("POST", "fault", true, r#"{"does": "servfail", "spec": {"tiems": 2}}"#, 400, "tiems"),
        (
            "POST",
            "wait-for-change",
            true,
            r#"{"serial": 4294967295, "query": 0, "within": "2h"}"#,
            400,
            "at most 1h",
        ),
    ];
    for (method, verb, typed, body, code, message) in table {
        let content_type = if typed { "Content-Type: application/json\r\n" } else { "" };
        let api = ready["api"].as_str().unwrap();
        let (answered, reply) = call(api, method, &format!("/fixture/{verb}"), content_type, body);
        assert_eq!(answered, code, "{method} {verb} {body}: {reply}");
        assert!(reply["message"].as_str().unwrap_or_default().contains(message), "{verb} {body}: {reply}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The parent may end before the program has noted which process it is.
#[test]
fn a_server_without_a_reader_of_its_line_ends_with_its_parent() {
    let directory = Directory::with(&[("ring.yaml", RING)]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_clusterlocal"));
    let arguments = "serve --listen 127.0.0.1:0 --api 127.0.0.1:0 --output json --exit-with-parent ring.yaml";
    command.args(arguments.split(' ')).current_dir(directory.path("")).stderr(Stdio::null());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = command.stdout(writer).spawn().expect("the program");
    assert_eq!(wait(&mut child).code(), Some(3));
}
