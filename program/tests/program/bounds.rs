//! Limits on what others can use of the program, and on what it uses: descriptors, time, files, the terminal.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::{DEADLINE, Directory, RING, Server, answers, field, run, serve_ring, soon, text, wait};

/// A flag that names an output file, and an existing file there: it is refused at once and unchanged.
#[test]
fn files_of_other_programs_are_not_overwritten() {
    let scenario =
        "apiVersion: clusterlocal.dev/v1\nkind: Scenario\nmetadata: {name: s}\nsees: x\nsteps: [{at: 1s}]\n";
    let commands = [
        (
            "serve ring.yaml --listen 127.0.0.1:0 --api 127.0.0.1:0 --kubeconfig",
            "cannot write the kubeconfig",
        ),
        (
            "serve ring.yaml --listen 127.0.0.1:0 --api 127.0.0.1:0 --ready-file",
            "cannot write the ready file",
        ),
        ("play scenario.yaml --junit", "cannot write the JUnit report"),
    ];
    for (command, error) in commands {
        let directory = Directory::with(&[
            ("ring.yaml", RING),
            ("scenario.yaml", scenario),
            ("notes", "my notes"),
            ("empty", ""),
            ("other.kubeconfig", "apiVersion: v1\nkind: Config\nclusters: []\n"),
            ("report.xml", "<?xml version=\"1.0\"?>\n<testsuites name=\"mine\"/>\n"),
        ]);
        symlink(directory.path("notes"), directory.path("link")).unwrap();
        mkfifo(&directory.path("fifo"), Mode::S_IRWXU).unwrap();
        let table = [
            ("notes", "was not written by clusterlocal"),
            ("empty", "was not written by clusterlocal"),
            ("other.kubeconfig", "was not written by clusterlocal"),
            ("report.xml", "was not written by clusterlocal"),
            ("link", "it is a link"),
            ("fifo", "it is a device, a pipe or a socket"),
            ("/dev/null", "it is a device, a pipe or a socket"),
            (".", "it is a directory"),
        ];
        for (name, reason) in table {
            let ended = run(&mut directory.program(&format!("{command} {name}")));
            assert_eq!(ended.code, Some(2), "{command} {name}: {}", ended.stderr);
            for part in [error, reason, "name a file that does not exist yet"] {
                assert!(ended.stderr.contains(part), "{command} {name}: {}", ended.stderr);
            }
        }
        assert_eq!(fs::read_to_string(directory.path("notes")).unwrap(), "my notes");
        assert!(fs::symlink_metadata(directory.path("link")).unwrap().is_symlink());
        assert_eq!(fs::read_dir(directory.path("")).unwrap().count(), 8, "no other file is left");
    }
}

#[test]
fn own_files_are_overwritten_and_only_they_are_removed() {
    let directory = Directory::with(&[]);
    let flags = "--api 127.0.0.1:0 --kubeconfig config --ready-file ready";
    for _ in 0..2 {
        let mut server = serve_ring(&directory, flags);
        assert!(directory.path("config").exists() && directory.path("ready").exists());
        assert_eq!(server.stop(), Some(0));
        assert!(directory.path("config").exists() && !directory.path("ready").exists());
    }
    // Another server takes the file over: the first one leaves it unchanged.
    let mut first = serve_ring(&directory, flags);
    let second = serve_ring(&directory, flags);
    assert_eq!(first.stop(), Some(0));
    assert_eq!(fs::read_to_string(directory.path("ready")).unwrap(), second.ready);
    // Another program writes to it: it stays unchanged as well.
    directory.save("ready", "mine now");
    drop(second);
    assert_eq!(fs::read_to_string(directory.path("ready")).unwrap(), "mine now");
}

#[test]
fn other_signals_do_not_stop_the_server() {
    let mut server = serve_ring(&Directory::with(&[]), "");
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGALRM] {
        server.signal(signal);
        assert_eq!(answers(server.address(), "db.default.svc.cluster.local A").len(), 3, "{signal}");
    }
    assert_eq!(server.stop(), Some(0));
}

/// A server that reads manifests for longer than a shutdown may take.
fn busy(directory: &Directory) -> Server {
    let mut server = Server::start(
        directory
            .program("serve ring.yaml --listen 127.0.0.1:0 --watch off --api off")
            .stderr(Stdio::piped()),
    );
    let log = super::read_all(server.child.stderr.take().unwrap());
    let services = (0..60_000).map(|n| {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{n}}}\nspec: {{ports: [{{port: 80}}]}}\n"
        )
    });
    directory.save("ring.yaml", &services.collect::<String>());
    server.signal(Signal::SIGHUP);
    std::thread::sleep(Duration::from_millis(300));
    drop(log);
    server
}

#[test]
fn a_large_file_does_not_delay_the_shutdown() {
    let directory = Directory::with(&[("ring.yaml", RING)]);
    let mut server = busy(&directory);
    let asked = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(wait(&mut server.child).code(), Some(0));
    assert!(asked.elapsed() < Duration::from_millis(5500), "{:?}", asked.elapsed());
    directory.save("ring.yaml", RING);
    let mut server = busy(&directory);
    server.signal(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(300));
    let asked = Instant::now();
    server.signal(Signal::SIGTERM);
    let code = wait(&mut server.child).code();
    assert!(matches!(code, Some(0 | 130)), "{code:?}");
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
}

#[test]
fn idle_api_connections_do_not_affect_dns_and_files() {
    let directory = Directory::with(&[("ring.yaml", RING)]);
    let mut shell = std::process::Command::new("sh");
    shell.current_dir(directory.path(""));
    shell.args(["-c", "ulimit -n 64; exec \"$0\" serve ring.yaml --listen 127.0.0.1:0 --api 127.0.0.1:0"]);
    shell.arg(env!("CARGO_BIN_EXE_clusterlocal")).stderr(Stdio::piped());
    let mut server = Server::start(&mut shell);
    let log = super::read_all(server.child.stderr.take().unwrap());
    let api: std::net::SocketAddr = field(&server.ready, "api").parse().unwrap();
    let idle: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(api).unwrap()).collect();
    let question = "db.default.svc.cluster.local A";
    let query = super::common::request("db.default.svc.cluster.local", "A", None);
    let mut client = TcpStream::connect(server.address()).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.write_all(&[&(query.len() as u16).to_be_bytes(), query.as_slice()].concat()).unwrap();
    client.read_exact(&mut [0; 2]).expect("DNS over TCP answers");
    let mut kubectl = TcpStream::connect(api).unwrap();
    kubectl.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(kubectl, "GET /version HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    kubectl.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    directory.save("ring.yaml", &RING.replace("replicas: 3", "replicas: 5"));
    assert!(soon(|| answers(server.address(), question).len() == 5), "changed manifests are still read");
    drop(idle);
    assert_eq!(server.stop(), Some(0));
    let log = text(&log);
    assert!(log.matches("can be accepted").count() <= 1, "{log}");
}

/// Of 200 MiB of deleted ConfigMaps, the 64 MiB that the watch history holds remain.
#[cfg(target_os = "linux")]
#[test]
fn memory_of_deleted_objects_is_returned() {
    let directory = Directory::with(&[("ring.yaml", RING)]);
    let mut server = serve_ring(&directory, "--api 127.0.0.1:0");
    let api = field(&server.ready, "api").to_owned();
    let request = |method: &str, body: &str| {
        let mut client = TcpStream::connect(&api).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        let length = body.len();
        write!(
            client,
            "{method} /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut status = [0; 12];
        client.read_exact(&mut status).unwrap();
        std::io::copy(&mut client, &mut std::io::sink()).unwrap();
        String::from_utf8_lossy(&status[9..]).into_owned()
    };
    let large = "x".repeat(1_000_000);
    for number in 0..200 {
        let body = format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"c{number}"}},"data":{{"a":"{large}"}}}}"#
        );
        assert_eq!(request("POST", &body), "201");
    }
    let status = format!("/proc/{}/status", server.child.id());
    let resident = || -> u64 {
        let status = fs::read_to_string(&status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    let full = resident();
    assert!(full > 200_000, "{full} kB");
    assert_eq!(request("DELETE", ""), "200");
    assert!(soon(|| resident() < full / 2), "{} of {full} kB", resident());
    assert_eq!(server.stop(), Some(0));
}

/// Control characters in a Scenario, and the output.
#[test]
fn control_characters_do_not_reach_the_terminal() {
    let scenario = "apiVersion: clusterlocal.dev/v1\nkind: Scenario\nmetadata: {name: \"a\\e[31mb\\a\"}\nsees: \"\\e]0;title\\a \\u009b2J\"\n\
                 steps:\n- {ask: \"db\\e[2J.default A\", says: \"x\\e[1m\"}\n---\n";
    let directory = Directory::with(&[("scenario.yaml", &format!("{scenario}{RING}"))]);
    let played = run(&mut directory.program("play scenario.yaml --junit report.xml"));
    let report = fs::read_to_string(directory.path("report.xml")).unwrap_or_default();
    for (what, text) in [("stdout", &played.stdout), ("stderr", &played.stderr), ("report", &report)] {
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{9b}']), "{what}: {text:?}");
    }
    for arguments in ["play \u{1b}[31m", "query \u{1b}[31m.x A", "fault clear \u{1b}[2J", "serve \u{7}x"] {
        let ended = run(&mut directory.program(arguments));
        let output = ended.stdout + &ended.stderr;
        assert!(!output.contains(['\u{1b}', '\u{7}']), "{arguments:?}: {output:?}");
    }
}

/// Arguments, exit code, message.
#[test]
fn numbers_and_addresses_have_bounds() {
    let scenario = "apiVersion: clusterlocal.dev/v1\nkind: Scenario\nmetadata: {name: s}\nsees: x\nsteps:\n- {scale: {db: 4294967295}}\n---\n";
    let directory = Directory::with(&[("ring.yaml", RING), ("scenario.yaml", &format!("{scenario}{RING}"))]);
    let table = [
        ("serve ring.yaml --query-log 18446744073709551615", 2, "--query-log"),
        ("serve ring.yaml --query-log 1073741825", 2, "--query-log"),
        ("serve ring.yaml --max-store-size 10", 2, "--max-store-size"),
        ("play scenario.yaml", 2, "4294967295 pods exceed the maximum of 250000"),
        (
            "serve ring.yaml --api off --listen 127.0.0.1:15353 --upstream 127.0.0.1:15353",
            3,
            "is this server",
        ),
        ("serve ring.yaml --api off --listen 0.0.0.0:15354 --upstream 127.0.0.1:15354", 3, "is this server"),
    ];
    for (arguments, code, message) in table {
        let ended = run(&mut directory.program(arguments));
        assert_eq!(ended.code, Some(code), "{arguments}: {}", ended.stderr);
        assert!(ended.stderr.contains(message), "{arguments}: {}", ended.stderr);
    }
    let mut server = Server::start(
        directory.program("serve ring.yaml --api off --listen 0.0.0.0:0").stderr(Stdio::piped()),
    );
    let log = super::read_all(server.child.stderr.take().unwrap());
    assert_eq!(server.stop(), Some(0));
    assert!(text(&log).contains("other machines can query the DNS at 0.0.0.0:"));
}

#[test]
fn many_unknown_kinds_are_counted() {
    let kinds =
        (0..1000).map(|n| format!("---\napiVersion: example.org/v1\nkind: Kind{n}\nmetadata: {{name: x}}\n"));
    let directory = Directory::with(&[("a.yaml", &kinds.collect::<String>())]);
    let ended = run(&mut directory.program("check a.yaml"));
    assert!(ended.stdout.contains("and 990 other kinds"), "{}", ended.stdout);
    assert!(ended.stdout.len() < 1000, "{}", ended.stdout.len());
}
