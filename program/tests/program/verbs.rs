//! The output of the verbs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use super::{Directory, RING, Server, ask, common, program, run, wait};

/// The zones that are served by default.
const ZONES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../zones");

/// Every record of `-o json` is a server's answer for its name and type, and there are no other answers.
#[test]
fn records_lists_exactly_the_answers_of_a_server() {
    let ended = run(program("records -o json").arg(ZONES));
    let listed: Vec<Value> = serde_json::from_str(&ended.stdout).expect("JSON");
    let mut records: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in &listed {
        let field = |name: &str| record[name].as_str().unwrap_or_else(|| panic!("{name} in {record}"));
        let (name, record_type, mut data) = (field("name"), field("type"), field("data").to_owned());
        if record_type == "SOA" {
            // The time of the list.
            let mut words: Vec<_> = data.split(' ').collect();
            words[2] = "SERIAL";
            data = words.join(" ");
        }
        let line = format!("{name} {} {record_type} {data}", record["ttl"]);
        records.entry(format!("{name} {record_type} tcp")).or_default().push(line);
    }
    assert!(records.len() > 50, "{}", records.len());
    let server = Server::start(program("serve --listen 127.0.0.1:0").arg(ZONES).stderr(Stdio::null()));
    for (question, mut expected) in records {
        let mut answered = common::lines(&ask(server.address(), &question).answers);
        // The target of an alias within the cluster is included in the answer.
        answered.retain(|line| line.split(' ').nth(2) == question.split(' ').nth(1));
        expected.sort();
        assert_eq!(answered, expected, "{question}");
    }
}

#[test]
fn all_output_formats_have_the_same_records() {
    let list = |form| run(program("records").arg(ZONES).args(["-o", form])).stdout;
    let json: Vec<Value> = serde_json::from_str(&list("json")).unwrap();
    let rows: BTreeSet<String> = json
        .iter()
        .map(|row| [&row["name"], &row["ttl"], &row["type"], &row["data"]].map(plain).join(" "))
        .collect();
    let of_table = list("table");
    let of_table = of_table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    assert_eq!(of_table.collect::<BTreeSet<_>>(), rows);
    let zone = list("zone");
    let (head, body): (Vec<_>, Vec<_>) = zone.lines().partition(|line| line.starts_with('$'));
    assert_eq!(head, ["$ORIGIN cluster.local.", "$TTL 30"]);
    let of_zone: BTreeSet<_> = body.iter().map(|line| line.replacen(" IN ", " ", 1)).collect();
    let forward: BTreeSet<_> = rows.iter().filter(|row| !row.contains(".arpa. ")).cloned().collect();
    assert_eq!(of_zone, forward, "a zone file has no reverse names");
    for line in list("hosts").lines() {
        let (address, name) = line.split_once(' ').expect("an address and a name");
        let (address, name) = (address.trim(), name.trim());
        let record_type = if address.contains(':') { "AAAA" } else { "A" };
        assert!(rows.contains(&format!("{name}. 30 {record_type} {address}")), "{line}");
    }
    assert!(list("hosts").lines().count() > 20);
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[test]
fn query_prints_answers_in_digs_layout() {
    let directory = Directory::with(&[("ring.yaml", RING)]);
    let query = |question: &str| {
        run(&mut directory.program(&format!("query -f ring.yaml --service-cidr 10.8.0.0/16 {question}")))
    };
    let answer = query("away.default.svc.cluster.local");
    let expected = "\
;; ->>HEADER<<- opcode: QUERY, status: NOERROR
;; flags: qr aa rd; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 0

;; QUESTION SECTION:
;away.default.svc.cluster.local.\t\tIN\tA

;; ANSWER SECTION:
away.default.svc.cluster.local.\t30\tIN\tCNAME\twww.example.com.
";
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(0), expected));
    let srv = query("_cql._tcp.db.default.svc.cluster.local srv").stdout;
    assert!(srv.contains("ANSWER: 3, AUTHORITY: 0, ADDITIONAL: 3"), "{srv}");
    for part in [";; ADDITIONAL SECTION:\n", "\tSRV\t0 33 9042 db-2.db.default.svc.cluster.local.\n"] {
        assert!(srv.contains(part), "{srv}");
    }
    // An address stands for its reverse name, in either family.
    let forward = query("db-1.db.default.svc.cluster.local").stdout;
    let address = forward.trim_end().rsplit('\t').next().unwrap();
    let reverse = query(address).stdout;
    assert!(reverse.contains("\tIN\tPTR\tdb-1.db.default.svc.cluster.local.\n"), "{reverse}");
    assert!(query("fd00::1").stdout.contains("ip6.arpa.\t\tIN\tPTR\n"));
    let missing = query("nope.default.svc.cluster.local AAAA").stdout;
    assert!(
        missing.contains("status: NXDOMAIN")
            && missing.contains("\n;; AUTHORITY SECTION:\ncluster.local.\t30\tIN\tSOA\t")
    );
    assert_eq!(query("a..b").code, Some(2));
}

/// The output of `query` has the answer that dig receives.
#[test]
fn query_prints_the_answer_of_a_server() {
    let server =
        Server::start(program("serve --order stable --listen 127.0.0.1:0").arg(ZONES).stderr(Stdio::null()));
    for question in [
        "_intra._tcp.cassandra.ring.svc.cluster.local SRV",
        "gateway.edge.svc.cluster.local AAAA",
        "store.default.svc.cluster.local A",
        "dns-version.cluster.local TXT",
        "cluster.local NS",
    ] {
        let printed = run(program(&format!("query -f {ZONES} {question}")).stdin(Stdio::null())).stdout;
        let answer = printed.split("ANSWER SECTION:\n").nth(1).expect("an answer");
        let lines = answer.lines().take_while(|line| !line.is_empty());
        let printed: Vec<_> = lines.map(|line| line.replace('\t', " ").replacen(" IN ", " ", 1)).collect();
        let sent: Vec<_> =
            ask(server.address(), &format!("{question} tcp")).answers.iter().map(common::line).collect();
        assert_eq!(printed, sent, "{question}");
    }
}

/// Flags, file.
#[test]
fn resolv_conf_prints_the_file_of_a_pod() {
    let elsewhere = "\
# The C library queries port 53 only, and the server is at port 10053. Without root, port 53 is free
# in new namespaces: unshare -U -r -n -m, and in them serve --listen 127.0.0.1:53
";
    let table = [
        (
            "",
            format!(
                "{elsewhere}search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 127.0.0.1\n"
            ),
        ),
        (
            "-n ring --dns 127.0.0.2:53",
            "search ring.svc.cluster.local svc.cluster.local cluster.local\nnameserver 127.0.0.2\n".into(),
        ),
        (
            "--domain k8s.test --dns [::1]:53",
            "search default.svc.k8s.test svc.k8s.test k8s.test\nnameserver ::1\n".into(),
        ),
    ];
    for (flags, expected) in table {
        let ended = run(&mut program(&format!("resolv-conf {flags}")));
        assert_eq!((ended.code, ended.stdout), (Some(0), format!("{expected}options ndots:5\n")), "{flags}");
    }
    assert_eq!(run(&mut program("resolv-conf -n a.b")).code, Some(2));
    assert_eq!(run(&mut program("env --for cobol")).code, Some(2));
}

/// `| head` reads a line and ends.
#[test]
fn a_closed_pipe_is_not_an_error() {
    // More than a pipe holds.
    let directory = Directory::with(&[("many.yaml", &RING.replace("replicas: 3", "replicas: 2000"))]);
    let mut child =
        directory.program("records many.yaml").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("NAME"), "{line}");
    let complaint = super::read_all(child.stderr.take().unwrap());
    assert_eq!(wait(&mut child).code(), Some(0));
    assert_eq!(super::text(&complaint), "");
}

/// (verb, its flags): each has one line, in both forms of help.
#[test]
fn help_has_a_line_for_each_flag() {
    let cluster = "--domain --ttl --pods --endpoint-pod-names --pod-cidr --service-cidr --nodes";
    let folders = "--kustomize --recursive";
    let serve = "--listen --order --seed --upstream --outside --max-udp-size --query-log --api --api-allow-remote \
                 --kubeconfig --max-store-size --clock --start-time --speed --start-delay --ready-delay --stop-delay \
                 --address-reuse --feature-gates --watch --wait-for-manifests --output --ready-file --exit-with-parent \
                 --log --log-format";
    let table = [
        ("serve", format!("--help {folders} {cluster} {serve}")),
        ("health", "--listen --domain --within --help".into()),
        ("check", format!("--output --allow --deny --kubernetes --help {folders} {cluster}")),
        ("records", format!("--output --api --help {folders} {cluster}")),
        ("query", format!("--namespace --api --help --file {folders} {cluster}")),
        (
            "log",
            "--follow --output --api --help --at-least --at-most --within --name --type --client --pod --rcode \
             --transport --fault --since-serial"
                .into(),
        ),
        (
            "fault add",
            "--sequence --api --help --name --type --transport --client --namespace --every --probability --seed \
             --times --priority --after --for"
                .into(),
        ),
        ("play", "--listen --junit --help --manifests --kustomize --recursive".into()),
        ("fault list", "--output --api --help".into()),
        ("fault clear", "--api --help".into()),
        ("env", "--for --namespace --dns --domain --help".into()),
        ("resolv-conf", "--namespace --dns --domain --help".into()),
    ];
    for (verb, flags) in table {
        let [short, long] = ["-h", "--help"].map(|help| run(&mut program(&format!("{verb} {help}"))));
        assert_eq!((short.code, short.stderr.as_str()), (Some(0), ""), "{verb}");
        assert_eq!(short.stdout, long.stdout, "{verb}");
        let lines: Vec<_> = short.stdout.lines().collect();
        let listed: Vec<_> = lines
            .iter()
            .filter(|line| is_flag(line))
            .filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")))
            .collect();
        assert_eq!(listed, flags.split_whitespace().collect::<Vec<_>>(), "{verb}");
        let described = |line: &&&str| line.trim_start().split("  ").nth(1).is_some();
        assert_eq!(
            lines.iter().filter(|line| is_flag(line)).filter(described).count(),
            listed.len(),
            "{verb}"
        );
        assert!(lines.iter().all(|line| line.chars().count() <= 100), "{verb}");
    }
}

/// Whether a line of help begins the entry of a flag.
fn is_flag(line: &str) -> bool {
    let start = line.trim_start();
    line.len() - start.len() <= 6 && start.starts_with('-')
}

#[test]
fn help_lists_verbs_in_groups() {
    let help = run(&mut program("--help")).stdout;
    assert_eq!(help, run(&mut program("-h")).stdout);
    let at =
        |text: &str| help.find(&format!("\n{text}")).unwrap_or_else(|| panic!("{text:?} is not in\n{help}"));
    let order = [
        "The server:\n",
        "  serve ",
        "  health ",
        "Without a server:\n",
        "  check ",
        "  play ",
        "  env ",
        "Of a running server, or of files that are named:\n",
        "  records ",
        "Of a running server:\n",
        "  log ",
        "  fault ",
        "Examples:\n",
        "Exit codes: ",
    ];
    assert!(order.map(at).is_sorted(), "{help}");
    assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    let version = run(&mut program("--version"));
    assert_eq!(version.stdout, concat!("clusterlocal ", env!("CARGO_PKG_VERSION"), "\n"));
}

/// Files that a package installs: a page for each verb, replaced by the next run, and completions.
#[test]
fn manual_pages_and_completions() {
    let directory = Directory::with(&[]);
    for _ in 0..2 {
        let ended = run(&mut directory.program("man share/man"));
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let pages: BTreeSet<_> = ended.stdout.lines().collect();
        for page in ["clusterlocal.1", "clusterlocal-serve.1", "clusterlocal-fault-add.1"] {
            assert!(pages.contains(&*format!("share/man/{page}")), "{page} is not in {pages:?}");
        }
        let page = fs::read_to_string(directory.path("share/man/clusterlocal-serve.1")).expect("a page");
        for part in
            [".TH clusterlocal-serve 1", "CLUSTERLOCAL_MAX_UDP_SIZE", "SIGHUP reads the manifests again"]
        {
            assert!(page.contains(part), "no {part:?} in\n{page}");
        }
    }
    // A file that another program wrote stays.
    let own = "my own page";
    fs::write(directory.path("share/man/clusterlocal.1"), own).expect("a file");
    assert_eq!(run(&mut directory.program("man share/man")).code, Some(2));
    assert_eq!(fs::read_to_string(directory.path("share/man/clusterlocal.1")).expect("a file"), own);
    for (shell, part) in [
        ("bash", "complete -F _clusterlocal"),
        ("zsh", "#compdef clusterlocal"),
        ("fish", "complete -c clusterlocal"),
    ] {
        let script = run(&mut program(&format!("completions {shell}"))).stdout;
        assert!(script.contains(part) && script.contains("max-udp-size"), "{shell}: {script}");
    }
}
