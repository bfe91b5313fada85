//! `fault`: faults of a running server.

use hickory_proto::op::ResponseCode;
use serde_json::Value;

use super::{Directory, Ended, Server, ask, field, program, run, serve_ring};

/// The verb, about `server`; `'` quotes words.
fn fault(server: &Server, arguments: &str) -> Ended {
    let mut command = program("fault");
    for (at, part) in arguments.split('\'').enumerate() {
        match at % 2 {
            0 => command.args(part.split_whitespace()),
            _ => command.arg(part),
        };
    }
    run(command.env("CLUSTERLOCAL_API", field(&server.ready, "api")))
}

#[test]
fn faults_are_added_and_cleared() {
    let directory = Directory::with(&[]);
    let server = serve_ring(&directory, "--api 127.0.0.1:0");
    let code = |question: &str| ask(server.address(), question).metadata.response_code;
    let (srv, a) = ("_cql._tcp.db.default.svc.cluster.local SRV", "db-1.db.default.svc.cluster.local A");
    let added = fault(&server, "add srv-fails servfail --type SRV,PTR --match '_cql.*' --client 127.0.0.1");
    let message = "fault/srv-fails added: servfail; name=_cql.* types=SRV,PTR clients=127.0.0.1\n";
    assert_eq!((added.code, added.stdout.as_str()), (Some(0), message), "{added:?}");
    assert_eq!((code(srv), code(a)), (ResponseCode::ServFail, ResponseCode::NoError));
    let listed = fault(&server, "list");
    let expected = "\
NAME       STATE      HITS  EFFECT
srv-fails  Active        1  servfail; name=_cql.* types=SRV,PTR clients=127.0.0.1
";
    assert_eq!((listed.code, listed.stdout.as_str()), (Some(0), expected));
    let listed: Value = serde_json::from_str(&fault(&server, "list -o json").stdout).expect("one object");
    assert_eq!((&listed["kind"], &listed["status"]["hits"]), (&"Fault".into(), &1.into()));
    assert_eq!(fault(&server, "clear srv-fails").stdout, "fault/srv-fails cleared\n");
    assert_eq!(code(srv), ResponseCode::NoError);
    let nameless = fault(&server, "add refused --times 1");
    assert!(
        nameless.stdout.starts_with("fault/fault-")
            && nameless.stdout.ends_with(" added: refused; 1 times\n")
    );
    assert_eq!((code(a), code(a)), (ResponseCode::Refused, ResponseCode::NoError));
    fault(&server, "add turn --sequence 'ok | nxdomain'");
    assert_eq!((code(a), code(a)), (ResponseCode::NoError, ResponseCode::NXDomain));
    assert_eq!(fault(&server, "clear").stdout, "2 faults cleared\n");
    assert_eq!(fault(&server, "list").stdout, "");
}

/// Of two faults the one created first is applied, whatever their names are, unless a priority changes that.
#[test]
fn faults_are_tried_in_the_order_of_creation() {
    let directory = Directory::with(&[]);
    let server = serve_ring(&directory, "--api 127.0.0.1:0");
    let rcode = || ask(server.address(), "db.default.svc.cluster.local A").metadata.response_code;
    let add = |arguments: &str| {
        let ended = fault(&server, &format!("add {arguments}"));
        assert_eq!(ended.code, Some(0), "{arguments}: {ended:?}");
        ended
    };
    assert!(add("servfail --type A").stdout.starts_with("fault/fault-1 added"));
    assert!(add("notimp --type A").stdout.starts_with("fault/fault-2 added"));
    add("aaa formerr --type A");
    assert_eq!(rcode(), ResponseCode::ServFail);
    let first = add("nxdomain --priority 5 --type A").stdout;
    assert!(first.contains("fault/fault-3 added") && first.contains("priority 5"), "{first}");
    add("last refused --priority -1 --type A");
    assert_eq!(rcode(), ResponseCode::NXDomain);
    let listed = fault(&server, "list").stdout;
    let names: Vec<_> = listed.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["fault-3", "fault-1", "fault-2", "aaa", "last"], "{listed}");
    for (name, expected) in [
        ("fault/fault-3", ResponseCode::ServFail),
        ("fault-1", ResponseCode::NotImp),
        ("fault-2", ResponseCode::FormErr),
        ("aaa", ResponseCode::Refused),
    ] {
        assert_eq!(fault(&server, &format!("clear {name}")).code, Some(0), "{name}");
        assert_eq!(rcode(), expected, "after {name}");
    }
}

/// Arguments, warning; none if it is empty.
#[test]
fn faults_that_cannot_hit_cause_a_warning() {
    let directory = Directory::with(&[]);
    let server = serve_ring(&directory, "--api 127.0.0.1:0");
    let table = [
        ("drop --name db.*", ""),
        ("drop --match *.db.*", ""),
        ("drop --name www.example.com", ""),
        ("drop --name db", "write db.*"),
        ("drop --match db-1.db", "write db-1.db.*"),
        ("drop --name etcd", "patterns are for whole names; write etcd.*"),
        ("drop --client db-9", "there is no pod db-9 in namespace default; did you mean db-0?"),
        ("drop --client other/db-1", "it exists in namespace default: write default/db-1"),
        ("drop --client db-1", "no query has come from the pod's address"),
        ("drop --client 127.0.0.1", ""),
        ("drop --client pod/db-9", "there is no pod db-9 in namespace default"),
        ("drop --client db-9 -n other", "there is no pod db-9 in namespace other"),
        ("drop --client ring/db-9 -n other", "there is no pod db-9 in namespace ring"),
        ("drop --client 127.0.0.1 -n other", ""),
    ];
    for (arguments, warned) in table {
        let ended = fault(&server, &format!("add {arguments} --type TXT"));
        assert_eq!(ended.code, Some(0), "{arguments}: {ended:?}");
        assert!(
            ended.stderr.contains(warned) && ended.stderr.is_empty() == warned.is_empty(),
            "{arguments}: {ended:?}"
        );
    }
    // A query from the machine's own address belongs to no pod.
    ask(server.address(), "db.default.svc.cluster.local A");
    let ended = fault(&server, "add drop --client db-1 --type TXT");
    assert!(ended.stderr.contains("queries come from 127.0.0.1, which is no pod's"), "{ended:?}");
    // A fault that hits everything leaves nothing for the next one.
    assert_eq!(fault(&server, "add all servfail").stderr, "");
    let ended = fault(&server, "add behind drop");
    assert!(ended.stderr.contains("fault all is matched first and hits every question"), "{ended:?}");
}

/// Arguments, message.
#[test]
fn invalid_faults_are_refused_with_a_message() {
    let directory = Directory::with(&[]);
    let server = serve_ring(&directory, "--api 127.0.0.1:0");
    let table = [
        ("add", "expected an effect, such as servfail, delay 3s or dns-outage 30s"),
        ("add servfial", "did you mean `servfail`?"),
        ("add drop --type SVR", "did you mean `SRV`?"),
        ("add drop --probability 2", "\"2\" is not a probability from 0 to 1"),
        (
            "add drop --times 0",
            "expected a number of questions, a whole number from 1 to 4294967295, such as 2",
        ),
        ("add servfail, nxdomain", "`nxdomain` and `servfail` cannot both apply to one answer"),
        ("add A! drop", "metadata.name: Invalid value: \"A!\""),
        ("add x drop --sequence ok", "expected either actions or a --sequence of them, not both"),
        ("clear missing", "there is no fault missing; there are no faults"),
    ];
    for (arguments, message) in table {
        let ended = fault(&server, arguments);
        assert_eq!(ended.code, Some(2), "{arguments}: {ended:?}");
        assert!(ended.stderr.contains(message), "{arguments}: {}", ended.stderr);
    }
    let help = run(&mut program("fault add --help")).stdout;
    for written in ["delay D [±J]", "omit GLOB|N|asker", "dns-outage D", "kube-dns-3-of-n"] {
        assert!(help.contains(&format!("\n  {written} ")), "{written} is not in\n{help}");
    }
}
