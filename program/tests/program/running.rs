//! Verbs about a running server: they use its API, find it, and report when there is none.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use super::{Directory, Server, field, run};

/// Two namespaces, one of which has the store.
const STORE: &str = "
apiVersion: clusterlocal.dev/v1
kind: Topology
namespace: store
sets:
  db: {replicas: 2, ports: {cql: 9042}}
---
apiVersion: v1
kind: Namespace
metadata: {name: web}
";

/// A directory with the store, and one for runtime files that the verbs and servers of the test share.
fn directory() -> Directory {
    Directory::with(&[("store.yaml", STORE), ("runtime/.keep", "")])
}

fn verb(directory: &Directory, arguments: &str) -> Command {
    let mut command = directory.program(arguments);
    command.env("XDG_RUNTIME_DIR", directory.path("runtime"));
    command
}

fn serve(directory: &Directory, arguments: &str) -> Server {
    let arguments = format!("serve store.yaml --listen 127.0.0.1:0 {arguments}");
    Server::start(verb(directory, &arguments).stderr(Stdio::null()))
}

/// The current state of the server is reported, not that of the file.
#[test]
fn explain_query_and_records_use_the_running_server() {
    let directory = directory();
    let server = serve(&directory, "--api 127.0.0.1:0 --domain k8s.test");
    let ask = |arguments: &str| {
        let ended = run(verb(&directory, arguments).env("CLUSTERLOCAL_API", field(&server.ready, "api")));
        assert!(ended.stderr.is_empty(), "{arguments}: {ended:?}");
        (ended.code, ended.stdout)
    };
    let records = || ask("records -o hosts").1;
    assert!(records().contains("db-1.db.store.svc.k8s.test"), "{}", records());
    assert!(ask("records -o zone").1.starts_with("$ORIGIN k8s.test.\n$TTL 30\n"));
    assert_eq!(ask("unready pod/db-1 -n store").0, Some(0));
    assert!(!records().contains("db-1.db.store"), "{}", records());
    let (code, output) = ask("explain db-1.db -n store");
    assert_eq!(code, Some(1), "{output}");
    assert!(
        output.starts_with("NXDOMAIN: pod store/db-1 is selected by Service db but is not ready\n"),
        "{output}"
    );
    let (_, output) = ask("query db-0.db -n store");
    let expected = ";; ->>HEADER<<- opcode: QUERY, status: NOERROR\n;; flags: qr aa rd; QUERY: 1, ANSWER: 1";
    assert!(
        output.starts_with(expected) && output.contains("\ndb-0.db.store.svc.k8s.test.\t30\tIN\tA\t127."),
        "{output}"
    );
    // If files are named, they are used.
    for arguments in
        ["explain db-1.db -n store -f store.yaml", "records store.yaml", "query db-1.db.store -f store.yaml"]
    {
        let (code, output) = ask(arguments);
        assert!(
            code == Some(0) && output.contains("db-1.db.store.svc.cluster.local"),
            "{arguments}: {output}"
        );
    }
}

/// Verb, exit code, beginning of the output, further parts.
#[test]
fn the_search_list_is_that_of_a_pod() {
    let directory = directory();
    let server = serve(&directory, "--api 127.0.0.1:0");
    let table: [(&str, i32, &str, &[&str]); 8] = [
        (
            "explain db",
            1,
            "NXDOMAIN: Service db exists in namespace store, not in default\n",
            &[
                "\n  db.default.svc.cluster.local.  NXDOMAIN\n",
                "\n  db.                            NXDOMAIN\n",
                "-n store",
            ],
        ),
        (
            "explain db-0.db",
            1,
            "NXDOMAIN: Service db exists in namespace store, not in default\n",
            &["db-0.db.store"],
        ),
        (
            "explain db -n store",
            0,
            "NOERROR with 2 records\n",
            &["\n  db.store.svc.cluster.local.  NOERROR\n"],
        ),
        (
            "explain db.web",
            1,
            "NXDOMAIN: there is no Service web/db\n",
            &["Service db exists in namespace store"],
        ),
        (
            "explain db.store",
            0,
            "NOERROR with 2 records\n",
            &["\n  db.store.default.svc.cluster.local.  NXDOMAIN\n"],
        ),
        (
            "query db.store",
            0,
            ";; search list: db.store.default.svc.cluster.local. NXDOMAIN\n",
            &["status: NOERROR"],
        ),
        ("query db", 0, ";; search list: db.svc.cluster.local. NXDOMAIN\n", &["status: NXDOMAIN"]),
        (
            "query _cql._tcp.db SRV -n store",
            0,
            ";; ->>HEADER",
            &["ANSWER: 2", "SRV\t0 50 9042 db-0.db.store.svc"],
        ),
    ];
    for (arguments, code, first, parts) in table {
        // The same for the server and for the file that it serves.
        for source in [format!("--api {}", field(&server.ready, "api")), "-f store.yaml".into()] {
            let ended = run(&mut verb(&directory, &format!("{arguments} {source}")));
            assert_eq!(ended.code, Some(code), "{arguments} {source}: {ended:?}");
            assert!(ended.stdout.starts_with(first), "{arguments} {source}: {}", ended.stdout);
            for part in parts {
                assert!(ended.stdout.contains(part), "{arguments} {source}: no {part:?} in {}", ended.stdout);
            }
        }
    }
}

/// Verb, whether the server has an upstream, exit code, beginning of the output, text that is absent.
#[test]
fn explanations_of_names_outside_the_cluster_consider_the_upstream() {
    const FORWARDED: &str =
        ";; example.org. A is outside the cluster: the server forwards the query to 192.0.2.1:53\n";
    let table = [
        ("query example.org.", true, 0, FORWARDED, "status:"),
        ("query db.store", true, 0, ";; search list:", "forward"),
        ("query example.org.", false, 0, ";; ->>HEADER<<- opcode: QUERY, status: NXDOMAIN", "forward"),
        ("explain example.org.", true, 1, "forwarded to 192.0.2.1:53: the name is neither", "NXDOMAIN"),
        ("explain example.org.", false, 1, "NXDOMAIN: the name is neither", "forwarded"),
    ];
    let directory = directory();
    for (arguments, has_upstream, code, first, absent) in table {
        let upstream = if has_upstream { "--upstream 192.0.2.1" } else { "" };
        let server = serve(&directory, &format!("--api 127.0.0.1:0 {upstream}"));
        let ended = run(verb(&directory, arguments).env("CLUSTERLOCAL_API", field(&server.ready, "api")));
        assert_eq!(ended.code, Some(code), "{arguments} {upstream}: {ended:?}");
        assert!(ended.stdout.starts_with(first), "{arguments} {upstream}: {}", ended.stdout);
        assert!(!ended.stdout.contains(absent), "{arguments} {upstream}: {}", ended.stdout);
    }
}

#[test]
fn faults_are_ignored_with_a_notice() {
    let directory = directory();
    let server = serve(&directory, "--api 127.0.0.1:0");
    let ask = |arguments: &str| {
        run(verb(&directory, arguments).env("CLUSTERLOCAL_API", field(&server.ready, "api")))
    };
    assert_eq!(ask("fault add gone nxdomain").code, Some(0));
    for arguments in ["query db.store", "explain db.store"] {
        let ended = ask(arguments);
        assert!(ended.code == Some(0) && ended.stdout.contains("NOERROR"), "{ended:?}");
        assert!(ended.stderr.contains("without the faults in force (gone)"), "{ended:?}");
    }
}

/// The default port is in use by another server or another program.
#[test]
fn a_server_is_found_if_the_default_port_is_in_use() {
    let directory = directory();
    // In use by this test or by another process.
    let _taken = TcpListener::bind("127.0.0.1:10054");
    let arguments = "serve store.yaml --listen 127.0.0.1:0";
    let log = fs::File::create(directory.path("log")).expect("a file");
    let mut server = Server::start(verb(&directory, arguments).stderr(log));
    let api = field(&server.ready, "api").to_owned();
    assert_ne!(api, "127.0.0.1:10054");
    let warned = format!("the API is at http://{api}, because 127.0.0.1:10054 is in use");
    let log = || fs::read_to_string(directory.path("log")).expect("a log");
    assert!(super::soon(|| log().contains(&warned)), "{}", log());
    let ended = run(&mut verb(&directory, "unready db-0 -n store"));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    // The server that started last, with a notice; --api overrides it.
    let second = Server::start(verb(&directory, arguments).stderr(Stdio::null()));
    let ended = run(&mut verb(&directory, "explain db-0.db -n store"));
    assert_eq!(ended.code, Some(0), "the second server's is ready: {ended:?}");
    let note =
        format!("using the last started, at {}; for another use --api {api}", field(&second.ready, "api"));
    assert!(ended.stderr.contains(&note), "{ended:?}");
    let ended = run(&mut verb(&directory, &format!("explain db-0.db -n store --api {api}")));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""), "{ended:?}");
    // A server that has ended is not found, nor is one that was killed.
    drop(second);
    let ended = run(&mut verb(&directory, "explain db-0.db -n store"));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""), "{ended:?}");
    assert_eq!(server.stop(), Some(0));
    let left = fs::read_dir(directory.path("runtime/clusterlocal")).expect("a directory").count();
    assert_eq!(left, 0);
}

/// A server with its own address is only used if that is given, and listed if no other is found.
#[test]
fn a_server_with_its_own_address_is_listed() {
    let directory = directory();
    let server = serve(&directory, "--api 127.0.0.1:0");
    let ended = run(verb(&directory, "unready db-0 -n store").env("CLUSTERLOCAL_API", "127.0.0.1:1"));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let api = field(&server.ready, "api");
    let file =
        fs::read_dir(directory.path("runtime/clusterlocal")).expect("a directory").next().expect("a file");
    let text = fs::read_to_string(file.expect("a file").path()).expect("text");
    assert_eq!(text, format!("{api} explicit\n"));
}

/// A directory that others can write to is not trusted.
#[test]
fn only_a_private_directory_is_trusted() {
    use std::os::unix::fs::PermissionsExt;
    let directory = directory();
    let open = directory.path("runtime/clusterlocal");
    fs::create_dir(&open).expect("a directory");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("permissions");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let lie = format!("{} default\n", listener.local_addr().expect("an address"));
    fs::write(open.join(std::process::id().to_string()), lie).expect("a file");
    let server = serve(&directory, "--api 127.0.0.1:0");
    assert_eq!(fs::read_dir(&open).expect("a directory").count(), 1, "nothing is written there");
    let ended = run(verb(&directory, "clock").env("CLUSTERLOCAL_API", field(&server.ready, "api")));
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
