//! From the command line to the ready line, or to the reason of the failure.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Stdio;

use hickory_proto::op::ResponseCode;

use super::{Directory, RING, Server, answers, ask, field, run, serve_ring, soon, wait};

#[test]
fn the_ready_line_has_addresses_and_counts() {
    let directory = Directory::with(&[]);
    let mut server = serve_ring(&directory, "--listen 127.0.0.2:0 --listen [::1]:0");
    let fields: Vec<_> =
        server.ready.split_whitespace().map(|word| word.split('=').next().unwrap()).collect();
    assert_eq!(fields, ["ready", "dns", "api", "services", "pods", "records"], "{}", server.ready);
    // The Services of the manifest, kubernetes.default and kube-dns.kube-system; three pods of the manifest, and two of
    // CoreDNS.
    assert_eq!((field(&server.ready, "services"), field(&server.ready, "pods")), ("5", "5"));
    let hosts: Vec<_> = server.addresses.iter().map(|address| address.ip().to_string()).collect();
    assert_eq!(hosts, ["127.0.0.1", "127.0.0.2", "::1"]);
    for &address in &server.addresses {
        assert_ne!(address.port(), 0);
        assert_eq!(answers(address, "db.default.svc.cluster.local A").len(), 3, "{address}");
        TcpStream::connect(address).expect("the same over TCP");
    }
    assert_eq!(server.stop(), Some(0));
    let rest = super::text(&server.rest);
    assert_eq!(rest, "", "no output besides the line");
}

#[test]
fn the_ready_file_has_the_line_and_is_complete() {
    let directory = Directory::with(&[]);
    let mut server = serve_ring(&directory, "--ready-file ready");
    let path = directory.path("ready");
    // The file is written before the line: a reader of the line need not wait for it.
    assert_eq!(fs::read_to_string(&path).unwrap(), server.ready);
    let files: Vec<_> =
        fs::read_dir(directory.path("")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files.len(), 2, "a temporary file is left: {files:?}");
    assert_eq!(server.stop(), Some(0));
    assert!(!path.exists(), "the ready file of an ended server");
}

#[test]
fn a_kubeconfig_has_the_api_and_stays() {
    let directory = Directory::with(&[]);
    let mut server = serve_ring(&directory, "--api 127.0.0.1:0 --kubeconfig config");
    let config = fs::read_to_string(directory.path("config")).expect("a kubeconfig");
    assert!(config.contains(&format!("server: http://{}\n", field(&server.ready, "api"))), "{config}");
    TcpStream::connect(field(&server.ready, "api")).expect("the API");
    assert_eq!(server.stop(), Some(0));
    // Without the file kubectl would use another cluster.
    assert_eq!(fs::read_to_string(directory.path("config")).expect("a kubeconfig"), config);
    let server = serve_ring(&directory, "--api off");
    assert!(!server.ready.contains("api="), "{}", server.ready);
}

/// Case, files, arguments, exit code, parts of standard error.
#[test]
fn a_failed_start_reports_the_reason() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let listened = listener.local_addr().unwrap().to_string();
    let bad_name = "apiVersion: v1\nkind: Service\nmetadata: {name: Bad_Name}\nspec: {clusterIP: None}\n";
    let bad_ports = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  ports: [{port: 70000}]\n";
    type Files<'a> = &'a [(&'a str, &'a str)];
    let table: [(&str, Files<'_>, &str, i32, &[&str]); 14] = [
        ("a flag that is none", &[], "serve --nope", 2, &["'--nope'", "--help"]),
        ("a value that is none", &[], "serve --ttl 3601", 2, &["3601", "--ttl", "from 0 to 3600"]),
        ("no such file", &[], "serve missing.yaml", 2, &["missing.yaml", "No such file"]),
        ("no zones directory", &[], "", 2, &["--> zones\n", "No such file", "help: name the manifests"]),
        (
            "all problems of all files",
            &[("a.yaml", bad_name), ("b.yaml", "kind: [\n"), ("c.yaml", bad_ports)],
            "serve a.yaml b.yaml c.yaml",
            2,
            &[
                "a.yaml:3:18\n  |\n3 | metadata: {name: Bad_Name}\n  |                  ^^^^^^^^\n",
                "help: write \"bad-name\"",
                "b.yaml:1:7\n",
                "c.yaml:5:18\n",
                "70000",
            ],
        ),
        ("… of another verb", &[("a.yaml", bad_name)], "records a.yaml", 2, &["a.yaml:3:18", "^^^^^^^^"]),
        (
            "a Topology's ranges",
            &[(
                "a.yaml",
                "apiVersion: clusterlocal.dev/v1\nkind: Topology\npodCIDR: [10.0.0.0/8, 11.0.0.0/8]\n",
            )],
            "serve a.yaml",
            2,
            &["podCIDR"],
        ),
        (
            "an address in use",
            &[("a.yaml", RING)],
            &format!("serve a.yaml --listen {taken}"),
            3,
            &[&taken, "another program listens there"],
        ),
        // TEST-NET-1 (RFC 5737) is not assigned to any host.
        (
            "an address of no interface",
            &[("a.yaml", RING)],
            "serve a.yaml --listen 192.0.2.1:0",
            3,
            &["192.0.2.1:0", "no interface of this machine"],
        ),
        (
            "an API for other machines",
            &[("a.yaml", RING)],
            "serve a.yaml --listen 127.0.0.1:0 --api 0.0.0.0:0",
            2,
            &["0.0.0.0:0", "other machines", "--api-allow-remote"],
        ),
        (
            "an API's address in use",
            &[("a.yaml", RING)],
            &format!("serve a.yaml --listen 127.0.0.1:0 --api {listened}"),
            3,
            &[&listened, "over TCP", "another program listens there"],
        ),
        (
            "a kubeconfig for no API",
            &[("a.yaml", RING)],
            "serve a.yaml --listen 127.0.0.1:0 --api off --kubeconfig config",
            2,
            &["--kubeconfig", "--api off"],
        ),
        (
            "a kubeconfig that cannot be written",
            &[("a.yaml", RING)],
            "serve a.yaml --listen 127.0.0.1:0 --api 127.0.0.1:0 --kubeconfig no/where",
            2,
            &["kubeconfig no/where", "No such file"],
        ),
        (
            "a ready file that cannot be written",
            &[("a.yaml", RING)],
            "serve a.yaml --listen 127.0.0.1:0 --ready-file no/where",
            2,
            &["no/where", "No such file"],
        ),
    ];
    for (what, files, arguments, code, parts) in table {
        let ended = run(&mut Directory::with(files).program(arguments));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{what}: {}", ended.stderr);
        for text in parts {
            assert!(ended.stderr.contains(text), "{what}: no {text:?} in:\n{}", ended.stderr);
        }
    }
}

#[test]
fn denied_findings_are_exit_code_1() {
    // A missing governing Service.
    let set = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec:\n  serviceName: db\n  selector: \
               {matchLabels: {app: db}}\n  template:\n    metadata: {labels: {app: db}}\n    spec: {containers: \
               [{name: db, image: db}]}\n";
    for (manifest, code) in [(RING, 0), (set, 1)] {
        let ended =
            run(&mut Directory::with(&[("a.yaml", manifest)]).program("check --deny warnings a.yaml"));
        assert_eq!(ended.code, Some(code), "{ended:?}");
    }
}

#[test]
fn manifests_may_be_waited_for() {
    let topology = "apiVersion: clusterlocal.dev/v1\nkind: Topology\ndomain: k8s.test\nttl: 7\npodCIDR: 10.9.0.0/16\n\
                    sets: {db: {replicas: 2, ports: {cql: 9042}}}\n";
    for (files, missing) in [(&[][..], true), (&[("a.yaml", "kind: [\n")], false)] {
        let directory = Directory::with(files);
        let command = "serve a.yaml --listen 127.0.0.1:0 --wait-for-manifests";
        let mut server = Server::start(directory.program(command).stderr(Stdio::null()));
        let reply = ask(server.address(), "db.default.svc.cluster.local A");
        assert_eq!(reply.metadata.response_code, ResponseCode::ServFail, "missing: {missing}");
        directory.save("a.yaml", topology);
        let question = "db.default.svc.k8s.test A";
        assert!(soon(|| !answers(server.address(), question).is_empty()), "missing: {missing}");
        // The Topology's settings are those of a server that started with it.
        let answers = answers(server.address(), question);
        assert_eq!(answers.len(), 2);
        for answer in answers {
            assert!(answer.starts_with("db.default.svc.k8s.test. 7 A 10.9."), "{answer}");
        }
        assert_eq!(server.stop(), Some(0));
    }
}

#[test]
fn standard_input_is_a_manifest() {
    for arguments in ["serve - --listen 127.0.0.1:0", "- --listen 127.0.0.1:0"] {
        let mut command = super::program(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(RING.as_bytes()).unwrap();
        let mut server = Server::of(child);
        assert_eq!(answers(server.address(), "db.default.svc.cluster.local A").len(), 3, "{arguments}");
        assert_eq!(server.stop(), Some(0));
    }
    for arguments in ["records -", "query -f - db.default.svc.cluster.local", "check -"] {
        let mut command = super::program(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"kind: [\n").unwrap();
        assert_eq!(wait(&mut child).code(), Some(2), "{arguments}");
    }
}

#[test]
fn verb_and_path_are_optional() {
    let directory = Directory::with(&[("zones/a.yaml", RING), ("b.yaml", &RING.replace("db", "other"))]);
    for (arguments, name) in [("", "db"), ("serve", "db"), ("b.yaml", "other"), ("zones", "db")] {
        let mut command = directory.program(arguments);
        let mut server = Server::start(command.args(["--listen", "127.0.0.1:0"]).stderr(Stdio::null()));
        let found = answers(server.address(), &format!("{name}.default.svc.cluster.local A"));
        assert_eq!(found.len(), 3, "clusterlocal {arguments}");
        assert_eq!(server.stop(), Some(0));
    }
}

/// An empty directory is an empty cluster: it has the default objects, and files that are added are served.
#[test]
fn a_directory_may_be_empty_at_first() {
    let directory = Directory::with(&[]);
    fs::create_dir(directory.path("empty")).unwrap();
    let server = Server::start(&mut directory.program("serve --listen 127.0.0.1:0 empty"));
    assert_eq!((field(&server.ready, "services"), field(&server.ready, "pods")), ("2", "2"));
    assert_eq!(answers(server.address(), "kubernetes.default.svc.cluster.local A").len(), 1);
    fs::write(directory.path("empty/ring.yaml"), RING).unwrap();
    assert!(soon(|| answers(server.address(), "db.default.svc.cluster.local A").len() == 3));
}
