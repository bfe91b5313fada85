//! Every flag is also an environment variable, and the flag on the command line overrides it.

use super::flags::upstream;
use super::{Directory, RING, Server, ask, in_order, run};

/// A variable behaves as its flag: the same invalid value gives the same error.
#[test]
fn an_invalid_value_is_refused_in_flag_and_variable() {
    let table = [
        ("domain", "a..b"),
        ("ttl", "3601"),
        ("pods", "all"),
        ("pod-cidr", "10.0.0.0/33"),
        ("service-cidr", "x"),
        ("listen", "localhost"),
        ("api", "on"),
        ("order", "sorted"),
        ("seed", "-1"),
        ("upstream", "dns.example.com"),
        ("outside", "servfail"),
        ("max-udp-size", "511"),
        ("query-log", "4M"),
        ("max-store-size", "512M"),
        ("watch", "sometimes"),
        ("clock", "broken"),
        ("speed", "0x"),
        ("start-delay", "5"),
        ("ready-delay", "-1s"),
        ("stop-delay", "soon"),
        ("address-reuse", "always"),
        ("feature-gates", "Everything=true"),
        ("log", "info,no["),
        ("log-format", "xml"),
    ];
    let directory = Directory::with(&[("zones/a.yaml", RING)]);
    for (flag, value) in table {
        let given = run(directory.program("serve").arg(format!("--{flag}={value}")));
        let variable = variable(flag);
        let set = run(directory.program("serve").env(&variable, value));
        assert_eq!((given.code, set.code), (Some(2), Some(2)), "{flag}: {given:?} {set:?}");
        assert!(
            given.stderr.contains(value) && given.stderr.contains(&format!("--{flag}")),
            "{}",
            given.stderr
        );
        assert_eq!(given.stderr, set.stderr, "{flag}");
    }
}

fn variable(flag: &str) -> String {
    format!("CLUSTERLOCAL_{}", flag.to_uppercase().replace('-', "_"))
}

/// Flag, a value, another value. A variable has the same effect as the flag; if both are set, the flag overrides the
/// variable.
#[test]
fn flags_override_variables_of_verbs_that_print() {
    let deployment = "---\napiVersion: clusterlocal.dev/v1\nkind: Topology\ndeployments: {web: {headless: true, ports: \
                      {http: 80}}}\n";
    let directory = Directory::with(&[("zones/a.yaml", &format!("{RING}{deployment}"))]);
    let table = [
        ("records zones", "domain", "k8s.test", "other.test"),
        ("records zones", "ttl", "5", "7"),
        ("records zones", "pod-cidr", "10.1.0.0/16", "10.2.0.0/16"),
        ("records zones", "service-cidr", "10.3.0.0/16", "10.4.0.0/16"),
        ("records zones", "output", "zone", "hosts"),
        ("query -f zones 192-0-2-9.default.pod.cluster.local", "pods", "disabled", "insecure"),
    ];
    for (verb, flag, value, other) in table {
        let with = |set: Option<&str>, given: Option<&str>| {
            let mut command = directory.program(verb);
            command.args(given.map(|value| format!("--{flag}={value}")));
            command.envs(set.map(|value| (variable(flag), value)));
            let ended = run(&mut command);
            assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{flag} {set:?} {given:?}");
            ended.stdout
        };
        assert_eq!(with(Some(value), None), with(None, Some(value)), "{flag}");
        assert_ne!(with(Some(value), None), with(Some(other), None), "{flag}");
        assert_eq!(with(Some(value), Some(other)), with(None, Some(other)), "{flag}");
    }
    let paths = Directory::with(&[("a.yaml", RING), ("b.yaml", &RING.replace("db", "other"))]);
    let set = |verb| run(paths.program(verb).env("CLUSTERLOCAL_PATH", "a.yaml")).stdout;
    assert!(set("records").contains("db-0.db.default"));
    assert!(set("records b.yaml").contains("other-0.other") && !set("records b.yaml").contains("db-0.db"));
    assert!(set("query db.default.svc.cluster.local").contains("NOERROR"));
    assert!(set("query -f b.yaml db.default.svc.cluster.local").contains("NXDOMAIN"));
}

/// Flags without a value, set to yes or no.
#[test]
fn switches_can_be_set_by_variables() {
    let deployment = "apiVersion: clusterlocal.dev/v1\nkind: Topology\ndeployments: {web: {headless: true, ports: \
                      {http: 80}}}\n";
    let directory = Directory::with(&[("zones/a.yaml", deployment)]);
    let plain = run(&mut directory.program("records zones")).stdout;
    let switched = run(&mut directory.program("records zones --endpoint-pod-names")).stdout;
    assert_ne!(plain, switched);
    for (value, on) in
        [("1", true), ("true", true), ("yes", true), ("on", true), ("0", false), ("false", false)]
    {
        let ended = run(directory.program("records zones").env("CLUSTERLOCAL_ENDPOINT_POD_NAMES", value));
        assert_eq!(
            ended.stdout,
            if on { switched.clone() } else { plain.clone() },
            "{value}: {}",
            ended.stderr
        );
    }
    let waiting = "serve missing.yaml --listen 127.0.0.1:0";
    let mut command = directory.program(waiting);
    command.env("CLUSTERLOCAL_WAIT_FOR_MANIFESTS", "1").stderr(std::process::Stdio::null());
    assert_eq!(Server::start(&mut command).stop(), Some(0));
}

/// The flags of a running server.
#[test]
fn flags_override_variables_of_the_server() {
    let directory = Directory::with(&[("zones/a.yaml", RING)]);
    let [first, second] = ["192.0.2.1", "192.0.2.2"].map(|address| upstream(address).to_string());
    let question = "db.default.svc.cluster.local A";
    type Look = fn(&Server, &Directory) -> String;
    let table: [(&str, &str, &str, Look); 5] = [
        ("listen", "127.0.0.2:0,127.0.0.3:0", "127.0.0.4:0", |server, _| {
            server.addresses.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(" ")
        }),
        ("seed", "1", "2", |server, _| {
            format!("{:?}", [(); 12].map(|()| in_order(server.address(), "db.default.svc.cluster.local A")))
        }),
        ("upstream", &first, &second, |server, _| in_order(server.address(), "www.example.com A").concat()),
        ("max-udp-size", "600", "700", |server, _| {
            let reply = ask(server.address(), "db.default.svc.cluster.local A edns=4096");
            format!("{:?}", super::common::opt_size(&reply))
        }),
        ("ready-file", "one", "two", |_, directory| {
            format!("{:?}", ["one", "two"].map(|name| directory.path(name).exists()))
        }),
    ];
    for (flag, value, other, look) in table {
        let with = |set: Option<&str>, given: Option<&str>| {
            let mut command = directory.program("serve");
            command.args(given.map(|value| format!("--{flag}={value}"))).stderr(std::process::Stdio::null());
            command.env("CLUSTERLOCAL_LISTEN", "127.0.0.1:0");
            command.envs(set.map(|value| (variable(flag), value)));
            let mut server = Server::start(&mut command);
            let seen = look(&server, &directory);
            assert_eq!(server.stop(), Some(0));
            seen
        };
        let (set, given) = (with(Some(value), None), with(None, Some(other)));
        assert_eq!(set, with(None, Some(value)), "{flag}");
        assert_ne!(set, given, "{flag}");
        assert_eq!(given, with(Some(value), Some(other)), "{flag}");
    }
    // An order that does not change is recognized as `stable`.
    let mut command = directory.program("serve --listen 127.0.0.1:0");
    let server =
        Server::start(command.env("CLUSTERLOCAL_ORDER", "stable").stderr(std::process::Stdio::null()));
    let orders = [(); 12].map(|()| in_order(server.address(), question));
    assert!(orders.iter().all(|order| *order == orders[0]), "{orders:?}");
}

/// `serve` and the program without a verb have the same flags: variables that are set for a server do not affect other
/// verbs.
#[test]
fn variables_of_serve_do_not_affect_other_verbs() {
    let directory = Directory::with(&[("zones/a.yaml", RING)]);
    for verb in ["serve --help", "check", "records zones", "query -f zones db.default.svc.cluster.local"] {
        let mut command = directory.program(verb);
        for (flag, value) in
            [("listen", "127.0.0.1:0"), ("order", "stable"), ("ready-file", "ready"), ("seed", "1")]
        {
            command.env(variable(flag), value);
        }
        let ended = run(&mut command);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{verb}");
    }
}
