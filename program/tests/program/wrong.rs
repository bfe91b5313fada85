//! Wrong uses: each error states what was expected, with an example or the nearest valid word, and what to do.

use std::process::Stdio;

use super::{Directory, RING, field, program, run, serve_ring};

/// A command line, and parts of the error. `API` is a running server with the ring.
const COMMANDS: &[(&str, &[&str])] = &[
    // Verbs.
    ("serv", &["\"serv\" is neither a verb nor a file", "did you mean `clusterlocal serve`?"]),
    ("chekc ring.yaml", &["did you mean `clusterlocal check`?"]),
    ("--ttl 5 chekc ring.yaml", &["did you mean `clusterlocal check`?"]),
    ("fault ad drop", &["unrecognized subcommand 'ad'", "'add'"]),
    ("node dwon node-1", &["unrecognized subcommand 'dwon'", "'down'"]),
    ("clock advnace 5s", &["unrecognized subcommand 'advnace'", "'advance'"]),
    ("get change", &["unrecognized subcommand 'change'", "'changes'"]),
    ("get pods", &["expected one of: changes", "objects: kubectl --server http://127.0.0.1:10054 get pods"]),
    // Flags, and flags of another verb.
    ("serve --lisen 127.0.0.1:0", &["unexpected argument '--lisen'", "'--listen'"]),
    ("check --denny warnings ring.yaml", &["unexpected argument '--denny'", "'--deny'"]),
    ("--listen 127.0.0.1:0 unready db-1", &["unexpected argument '--listen'", "Usage: clusterlocal unready"]),
    // Missing arguments.
    ("query", &["<NAME>", "example: clusterlocal query _cql._tcp.cassandra SRV -n ring"]),
    ("ready", &["<POD>", "example: clusterlocal ready db-1 -n default"]),
    ("clock advance", &["<TIME>", "example: clusterlocal clock advance 5m"]),
    ("play", &["<FILE>", "example: clusterlocal play story.yaml -- ./my-store"]),
    ("play .", &[".: is a directory; name its files with a Scenario", "--manifests ."]),
    ("log --fault", &["a value is required for '--fault <FAULT>'", "example: clusterlocal log"]),
    ("clock stop", &["expected one of: advance, pause, resume"]),
    // Numbers.
    ("serve --ttl forever", &["--ttl", "expected seconds, a whole number from 0 to 3600, such as 30"]),
    ("serve --ttl 3601", &["from 0 to 3600"]),
    ("serve --nodes 0", &["expected a number of nodes, a whole number from 1 to 250, such as 3"]),
    ("serve --seed -1", &["expected a seed, a whole number from 0 on, such as 7"]),
    ("serve --seed=-1", &["expected a seed, a whole number from 0 on, such as 7"]),
    ("serve --max-udp-size 100", &["expected bytes, a whole number from 512 to 65535, such as 1232"]),
    ("serve --query-log 4M", &["expected bytes, a whole number from 0 to", "such as 4194304"]),
    ("serve --query-log 18446744073709551615", &["expected bytes, a whole number from 0 to"]),
    ("log --at-least many", &["expected a count, a whole number from 0 on, such as 1"]),
    ("log --since-serial x", &["expected an SOA serial, a whole number from 0 to 4294967295"]),
    ("fault add drop --times 0", &["expected a number of questions, a whole number from 1"]),
    ("fault add drop --every x", &["expected a number of questions, a whole number from 1", "such as 3"]),
    ("fault add drop --priority high", &["expected a whole number, such as 10"]),
    ("fault add drop --probability 30%", &["\"30%\" is not a probability from 0 to 1, such as 0.25"]),
    // Durations.
    (
        "clock advance 60",
        &["expected a duration with its unit, such as 500ms, 5s or 1m30s", "write 60s for seconds"],
    ),
    ("log --within soon --at-least 1", &["expected a duration with its unit, such as 500ms"]),
    ("fault add drop --for -5s", &["expected a duration with its unit"]),
    ("clock advance -5s", &["expected a duration with its unit"]),
    ("fault add drop --for=-5s", &["expected a duration with its unit"]),
    ("serve --speed fast", &["expected a factor from 0.001x to 100000x, such as 60x"]),
    ("serve --start-time tomorrow", &["such as 2026-01-01T00:00:00Z"]),
    // Addresses.
    ("serve --listen localhost:53", &["expected ADDR:PORT, such as 127.0.0.1:10053", "write 127.0.0.1:53"]),
    ("serve --listen 127.0.0.1", &["the port is missing: write 127.0.0.1:10053"]),
    ("serve --listen ::1:10053:x", &["not a port"]),
    ("serve --api of", &["expected ADDR:PORT", "or off; did you mean off?"]),
    ("unready db-1 --api off", &["off is for serve", "such as 127.0.0.1:10054"]),
    ("unready db-1 --api 10054", &["the address is missing: write 127.0.0.1:10054"]),
    ("serve --upstream sytem", &["expected ADDR:PORT", "did you mean system?"]),
    ("serve --upstream dns.example.com", &["write an IP address"]),
    ("serve --pod-cidr 10.244.0.0", &["is not a network: write ADDRESS/LENGTH, for instance 10.244.0.0/16"]),
    // Words of an enumeration.
    ("serve --outside nxdomian", &["possible values: nxdomain, refused", "'nxdomain'"]),
    ("serve --watch pol", &["possible values: auto, poll, off", "'poll'"]),
    ("serve --feature-gates Everything=true", &["expected MaxUnavailableStatefulSet"]),
    ("log --rcode NXDOMIAN", &["expected a response code such as NXDOMAIN", "did you mean NXDOMAIN?"]),
    ("log --client 10.0.0.0/8", &["expected one address or pod, such as 127.0.0.1 or db-1, not a network"]),
    ("fault add drop --transport udpp", &["\"udpp\" is not udp or tcp; did you mean `udp`?"]),
    ("query db SVR", &["\"SVR\" is not a record type such as A, SRV or TYPE65; did you mean `SRV`?"]),
    ("serve --log verbose", &["\"verbose\" is not a level: expected off, error, warn, info, debug or trace"]),
    ("serve --log debgu", &["did you mean debug?"]),
    (
        "serve --log info,clusterlocl::queries=debug",
        &["there is no log target \"clusterlocl\"", "did you mean clusterlocal?"],
    ),
    (
        "check --allow port-unnamd ring.yaml",
        &["expected the code of a finding, such as port-unnamed; did you mean port-unnamed?"],
    ),
    ("check --deny warning ring.yaml", &["or warnings, for all; did you mean warnings?"]),
    // Names.
    ("query a..b -f ring.yaml", &["\"a..b\" is not a domain name", "no empty labels"]),
    ("query db -n Default -f ring.yaml", &["expected the name of a namespace", "such as default"]),
    ("unready DB-1 --api API", &["expected the name of a pod", "did you mean db-1?"]),
    (
        "unready set/db-1 --api API",
        &["expected the name of a pod, such as db-1 or pod/db-1", "write db-1 -n set"],
    ),
    ("unready db-9 --api API", &["there is no pod db-9 in namespace default", "did you mean db-0?"]),
    (
        "unready db-1 -n other --api API",
        &["there is no pod db-1 in namespace other", "it exists in namespace default: add -n default"],
    ),
    ("node down node-9 --api API", &["there is no node node-9", "did you mean node-1?"]),
    ("node down a/node-1 --api API", &["expected the name of a node, such as node-1 or node/node-1"]),
    ("fault clear lat --api API", &["there is no fault lat; there are no faults"]),
    // Faults.
    ("fault add", &["expected an effect, such as servfail, delay 3s or dns-outage 30s"]),
    (
        "fault add servfial --api API",
        &["is not an action such as servfail, drop or delay 3s", "did you mean `servfail`?"],
    ),
    ("fault add delay --api API", &["`delay D [±J]`, such as delay 3s"]),
    ("fault add ttl x --api API", &["`ttl N`, such as ttl 30"]),
    ("fault add slow --api API", &["`slow D`, such as slow 3s"]),
    ("serve --domain a..b", &["no empty labels", "such as cluster.local"]),
    (
        "fault add a drop --sequence ok --api API",
        &["expected either actions or a --sequence of them, not both"],
    ),
    // Files.
    ("check no-such.yaml", &["no-such.yaml"]),
    ("query db -f no-such.yaml", &["no-such.yaml"]),
];

#[test]
fn each_wrong_use_states_what_was_expected() {
    let directory = Directory::with(&[]);
    let server = serve_ring(&directory, "--api 127.0.0.1:0");
    let api = field(&server.ready, "api");
    let mut wrong = Vec::new();
    for (typed, parts) in COMMANDS {
        let ended = run(&mut directory.program(&typed.replace("API", api)));
        let all = format!("{}{}", ended.stdout, ended.stderr);
        let missing: Vec<_> = parts.iter().filter(|part| !all.contains(**part)).collect();
        if ended.code != Some(2) || !missing.is_empty() {
            wrong.push(format!("{typed}: {:?} without {missing:?}: {all}", ended.code));
        }
        is_plain(typed, &all);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Messages have no words of a parser's internals.
fn is_plain(of: &str, message: &str) {
    let jargon = [
        "expected u32",
        "expected u64",
        "invalid digit",
        "invalid socket address",
        "invalid IP address",
        "unit value",
        "struct ",
        "untagged",
        "DURATION",
        "nothing's name",
        "found in string",
        "panicked",
    ];
    for words in jargon {
        assert!(!message.contains(words), "{of}: {words:?} in {message}");
    }
}

/// Variable, value, verb, and parts of the error.
const VARIABLES: &[(&str, &str, &str, &[&str])] = &[
    (
        "CLUSTERLOCAL_TLL",
        "5",
        "check ring.yaml",
        &["CLUSTERLOCAL_TLL is not a variable of clusterlocal; did you mean CLUSTERLOCAL_TTL?"],
    ),
    ("CLUSTERLOCAL_UPSTREEM", "system", "check ring.yaml", &["did you mean CLUSTERLOCAL_UPSTREAM?"]),
    ("CLUSTERLOCAL_TTL", "x", "check ring.yaml", &["--ttl", "whole number from 0 to 3600"]),
    ("CLUSTERLOCAL_WAIT_FOR_MANIFESTS", "maybe", "serve ring.yaml", &["expected true or false"]),
    ("CLUSTERLOCAL_LOG", "loud", "serve ring.yaml", &["\"loud\" is not a level"]),
];

#[test]
fn variables_are_checked_too() {
    let directory = Directory::with(&[("ring.yaml", RING)]);
    for (variable, value, verb, parts) in VARIABLES {
        let ended = run(directory.program(verb).env(variable, value));
        assert_eq!(ended.code, Some(2), "{variable}={value}: {ended:?}");
        parts
            .iter()
            .for_each(|part| assert!(ended.stderr.contains(part), "{variable}={value}: {}", ended.stderr));
    }
    // An unknown variable that resembles no known one: the server starts, with a warning.
    let ended = run(directory.program("check ring.yaml").env("CLUSTERLOCAL_SOMETHING_ELSE", "1"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stderr.contains("CLUSTERLOCAL_SOMETHING_ELSE is not a variable of clusterlocal"),
        "{ended:?}"
    );
    let of_kubernetes =
        run(directory.program("check ring.yaml").env("CLUSTERLOCAL_SERVICE_HOST", "10.96.0.9"));
    assert_eq!((of_kubernetes.code, of_kubernetes.stderr.as_str()), (Some(0), ""));
}

/// A file, and parts of the error.
const FILES: &[(&str, &[&str])] = &[
    (
        "kind: Topology\nsets: {db: {replicas: x}}\n",
        &["sets.db.replicas: expected a whole number from 0 to", "not the text \"x\""],
    ),
    ("kind: Topology\nsets: {db: {replicas: -1}}\n", &["expected a whole number from 0 to", "not -1"]),
    ("kind: Topology\nttl: 1h\n", &["ttl: expected a whole number", "such as 3"]),
    ("kind: Topology\nsets: [db]\n", &["sets: expected a mapping of names, such as {db: …}, not a list"]),
    ("kind: Topology\nsets: {db: {ports: {sql: x}}}\n", &["expected a port number", "not the text \"x\""]),
    ("kind: Topology\nsets:\n\tdb: {replicas: 3}\n", &["a tab: YAML is indented with spaces", "two spaces"]),
    ("kind: Topology\nsets:\n  db:\n  \treplicas: 3\n", &["a tab: YAML is indented with spaces"]),
    (
        "kind: Scenario\nsteps: [{at: 5s, scale: {db: x}}]\n",
        &["steps[0].scale.db: expected a whole number", "such as 3"],
    ),
    ("kind: Scenario\nsteps: [{at: 5}]\n", &["\"5\" is not a duration such as 500ms, 5s or 1m30s"]),
    ("kind: Scenario\nsteps: [null]\n", &["steps[0]: expected a step, not nothing"]),
    ("kind: Scenario\nsteps: {at: 5s}\n", &["steps: expected a list, such as [a, b], not a mapping"]),
    (
        "kind: Scenario\nsteps: [{at: 5s, ask: db A, says: {x: 1}}]\n",
        &["expected the words of an answer", "such as says: db-0 db-1"],
    ),
    (
        "kind: Scenario\nsteps: [{at: 5s, bind: {db-0: localhost}}]\n",
        &["expected ADDRESS:PORT, such as 127.0.0.1:10053"],
    ),
    ("kind: Scenario\nseed: lucky\n", &["seed: expected a whole number from 0 to"]),
    (
        "kind: Fault\nmetadata: {name: f}\nspec: {actions: [drop], times: often}\n",
        &["times: expected a whole number"],
    ),
    ("kind: Fault\nmetadata: {name: f}\nspec: {actions: [dorp]}\n", &["did you mean `drop`?"]),
    (
        "kind: Fault\nmetadata: {name: f}\nspec: {actions: [drop], for: long}\n",
        &["\"long\" is not a duration such as"],
    ),
    (
        "kind: Fault\nmetadata: {name: f}\nspec: {actions: 3}\n",
        &["expected an action such as servfail, or a list of them, not 3"],
    ),
];

#[test]
fn errors_in_files_state_what_was_expected() {
    for (text, parts) in FILES {
        let text = format!("apiVersion: clusterlocal.dev/v1\n{text}");
        let directory = Directory::with(&[("a.yaml", &text)]);
        let ended = run(&mut directory.program("check a.yaml"));
        assert_eq!(ended.code, Some(2), "{text}: {ended:?}");
        parts
            .iter()
            .for_each(|part| assert!(ended.stdout.contains(part), "{text}: no {part:?} in {}", ended.stdout));
        is_plain(&text, &ended.stdout);
    }
}

/// Options before the verb have the same effect as after it.
#[test]
fn options_may_stand_before_the_verb() {
    let directory = Directory::with(&[]);
    let server = serve_ring(&directory, "--api 127.0.0.1:0");
    let api = field(&server.ready, "api");
    for typed in [
        format!("--api {api} unready db-1"),
        format!("--api={api} -n default ready pod/db-1"),
        format!("--api {api} clock"),
        format!("--api {api} fault add late delay 1ms"),
        format!("--api {api} fault clear fault/late"),
        format!("--api {api} explain db"),
    ] {
        let ended = run(program(&typed).stdin(Stdio::null()));
        assert_eq!(ended.code, Some(0), "{typed}: {ended:?}");
    }
}
