//! Verbs about a running server: they ask it, find it, and say where things are instead.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use super::{Directory, Server, field, run};

/// Two namespaces, of which one has the store.
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

/// A directory with the store, and one for runtime files, which the verbs and servers of the test share.
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

/// What the server knows by now is what is said, not what the file says.
#[test]
fn explain_query_and_records_speak_of_the_running_server() {
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
    let (code, said) = ask("explain db-1.db -n store");
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.starts_with("NXDOMAIN: pod store/db-1 is selected by Service db but is not ready\n"),
        "{said}"
    );
    let (_, said) = ask("query db-0.db -n store");
    let expected = ";; ->>HEADER<<- opcode: QUERY, status: NOERROR\n;; flags: qr aa rd; QUERY: 1, ANSWER: 1";
    assert!(
        said.starts_with(expected) && said.contains("\ndb-0.db.store.svc.k8s.test.\t30\tIN\tA\t127."),
        "{said}"
    );
    // Files still mean what they say, where they are named.
    for arguments in
        ["explain db-1.db -n store -f store.yaml", "records store.yaml", "query db-1.db.store -f store.yaml"]
    {
        let (code, said) = ask(arguments);
        assert!(code == Some(0) && said.contains("db-1.db.store.svc.cluster.local"), "{arguments}: {said}");
    }
}

/// (verb, exit code, what comes first, what else is said)
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
    for (arguments, code, first, said) in table {
        // The same of the server and of the file it serves.
        for source in [format!("--api {}", field(&server.ready, "api")), "-f store.yaml".into()] {
            let ended = run(&mut verb(&directory, &format!("{arguments} {source}")));
            assert_eq!(ended.code, Some(code), "{arguments} {source}: {ended:?}");
            assert!(ended.stdout.starts_with(first), "{arguments} {source}: {}", ended.stdout);
            for part in said {
                assert!(ended.stdout.contains(part), "{arguments} {source}: no {part:?} in {}", ended.stdout);
            }
        }
    }
}

/// (verb, whether the server has an upstream, exit code, what comes first, what is not said)
#[test]
fn names_outside_the_cluster_are_those_of_the_upstream() {
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
fn faults_are_left_out_and_that_is_said() {
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

/// The usual port is taken: by another server or by another program.
#[test]
fn a_server_is_found_where_the_usual_port_was_taken() {
    let directory = directory();
    // Taken by this test or by another process: either way it is not free.
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
    // The one that began last, and that is said; --api wins.
    let second = Server::start(verb(&directory, arguments).stderr(Stdio::null()));
    let ended = run(&mut verb(&directory, "explain db-0.db -n store"));
    assert_eq!(ended.code, Some(0), "the second server's is ready: {ended:?}");
    let note =
        format!("using the last started, at {}; for another use --api {api}", field(&second.ready, "api"));
    assert!(ended.stderr.contains(&note), "{ended:?}");
    let ended = run(&mut verb(&directory, &format!("explain db-0.db -n store --api {api}")));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""), "{ended:?}");
    // One that ended is not found; nor is one that was killed.
    drop(second);
    let ended = run(&mut verb(&directory, "explain db-0.db -n store"));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""), "{ended:?}");
    assert_eq!(server.stop(), Some(0));
    let left = fs::read_dir(directory.path("runtime/clusterlocal")).expect("a directory").count();
    assert_eq!(left, 0);
}

/// A server with an address of its own is not asked unless that is named, and is named where none is found.
#[test]
fn a_server_with_an_address_of_its_own_is_named() {
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

/// A directory that others can write to is not believed.
#[test]
fn only_a_private_directory_is_believed() {
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
