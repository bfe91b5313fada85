//! Faults as a client sees them: what each action does to an answer.

mod matching;
mod past;

use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::answer::{Order, Outside};
use crate::fault::FaultSpec;
use crate::store::{Change, Kind, Objects, Pod};
use crate::wire::{DomainName, Header, RecordType, RecordView, sections};
use crate::{ControlPlane, Settings, manifest};

const RING: &str = "apiVersion: clusterlocal.dev/v1
kind: Topology
sets:
  cassandra:
    replicas: 3
    ports: {cql: 9042}
    addresses: {cassandra-0: 127.244.0.1, cassandra-1: 127.244.0.2, cassandra-2: 127.244.0.3}
external: {here: cassandra.default.svc.cluster.local}
";
const SRV: &str = "_cql._tcp.cassandra.default.svc.cluster.local SRV";
const A: &str = "cassandra.default.svc.cluster.local A";
const GONE: &str = "missing.default.svc.cluster.local A";
const ALIAS: &str = "here.default.svc.cluster.local A";
const BEGIN: Time = Time::from_unix_millis(1_700_000_000_000);

/// A cluster that answers questions under faults written as in a file.
struct Fixture {
    cluster: ControlPlane,
    answerer: Answerer,
    client: Client,
    edns: Option<u16>,
    asker: IpAddr,
}

impl Fixture {
    fn new(faults: &str) -> Self {
        let mut cluster = ControlPlane::new(Settings::default());
        cluster.advance_to(BEGIN);
        cluster.apply(&objects(&format!("{RING}{faults}")));
        Fixture {
            cluster,
            answerer: Answerer::new(Order::Stable, 0, Outside::NxDomain),
            client: Client { udp: true, ipv6: false, max_udp: u16::MAX },
            edns: Some(1232),
            asker: "127.0.0.1".parse().expect("an address"),
        }
    }

    /// With one fault, `f`, that has this spec, in YAML's flow style.
    fn with(spec: &str) -> Self {
        Fixture::new(&fault("f", spec))
    }

    fn request(&self, question: &str) -> Vec<u8> {
        let (name, record_type) = question.split_once(' ').expect("a name and a type");
        let name: DomainName = name.parse().expect("a name");
        let mut request = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, self.edns.is_some().into()];
        request.extend_from_slice(name.as_wire());
        request.extend_from_slice(&record_type.parse::<RecordType>().expect("a type").0.to_be_bytes());
        request.extend_from_slice(&[0, 1]);
        if let Some(size) = self.edns {
            request.extend_from_slice(&[0, 0, 41, (size >> 8) as u8, size as u8, 0, 0, 0, 0, 0, 0]);
        }
        request
    }

    fn ask(&mut self, question: &str) -> (Vec<u8>, Option<Hit>) {
        let request = self.request(question);
        let mut reply = Vec::new();
        let (faults, zone) = (self.cluster.faults(), self.cluster.published());
        let now = self.cluster.now();
        let hit = faults.hit(&request, self.client, self.asker, now);
        let query = Query { fault: hit.as_ref(), ..Query::new(&request, self.client) };
        self.answerer.answer(&zone.load(), &query, &mut reply);
        (reply, hit)
    }

    /// The reply in a line: code, `tc`, answers, `+` further addresses.
    fn line(&mut self, question: &str) -> String {
        let (reply, _) = self.ask(question);
        if reply.is_empty() {
            return "silence".into();
        }
        let tc = if reply[2] & 2 != 0 { " tc" } else { "" };
        let Some([answer, _, additional]) = sections(&reply) else { return "compressed".into() };
        let first = |view: &RecordView<'_>| view.data().to_string().replace(".svc.cluster.local.", "");
        let answers: Vec<String> = answer.iter().map(first).collect();
        let glue = if additional.is_empty() { String::new() } else { format!(" +{}", additional.len()) };
        format!(
            "{}{tc} {}{glue}",
            Header::read(&reply).expect("a header").response_code(),
            answers.join(", ")
        )
        .replace("  ", " ")
    }

    /// The codes of as many questions.
    fn codes(&mut self, question: &str, count: usize) -> String {
        let code = |line: String| line.split(' ').next().unwrap_or_default().to_lowercase();
        let codes: Vec<String> = (0..count).map(|_| code(self.line(question))).collect();
        codes.join(" ")
    }

    fn pod(&self, name: &str) -> IpAddr {
        let pod = self.cluster.store().get::<Pod>(Kind::Pod, "default", name).expect("a pod");
        pod.status.ips().next().expect("an address")
    }
}

/// The ring without addresses of its own.
fn unpinned() -> String {
    RING.lines().filter(|line| !line.contains("addresses")).map(|line| format!("{line}\n")).collect()
}

fn fault(name: &str, spec: &str) -> String {
    format!("---\napiVersion: clusterlocal.dev/v1\nkind: Fault\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

fn objects(text: &str) -> Objects {
    let manifest = manifest::read_bytes("faults.yaml", text.into());
    assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
    manifest.objects.into_iter().map(|read| (read.object.key(), read.object)).collect()
}

#[test]
fn delays_stay_within_their_jitter() {
    let mut fixture = Fixture::with("{actions: [delay 3s ±500ms]}");
    let delays: Vec<u128> =
        (0..50).map(|_| fixture.ask(A).1.and_then(|hit| hit.delay()).expect("a delay").as_millis()).collect();
    assert!(delays.iter().all(|millis| (2500..=3500).contains(millis)), "{delays:?}");
    assert!(delays.iter().min() != delays.iter().max());
    let whole = Fixture::with("{actions: [delay 20ms]}").ask(A).1.and_then(|hit| hit.delay());
    assert_eq!(whole, Some(std::time::Duration::from_millis(20)));
}

#[test]
fn tcp_faults_apply_to_connections() {
    let fixture = Fixture::with("{match: {clients: [127.0.0.1], every: 2}, actions: [truncate, tcp refuse]}");
    let faults = fixture.cluster.faults();
    let outcome = |ip: &str| faults.connection(ip.parse().expect("an address")).map(|(_, tcp, _)| tcp);
    assert_eq!(["127.0.0.1"; 3].map(outcome), [None, Some(Tcp::Refuse), None]);
    assert_eq!(["127.0.0.2"; 3].map(outcome), [None; 3]);
    assert_eq!(faults.hits("f"), 1);
    let mut only = Fixture::with("{actions: [tcp hang]}");
    assert_eq!(only.codes(A, 1), "noerror", "a TCP fault does not hit questions");
    assert_eq!(only.cluster.faults().hits("f"), 0);
}

#[test]
fn actions_change_records() {
    let every = "NOERROR 0 33 9042 cassandra-0.cassandra.default, 0 33 9042 cassandra-1.cassandra.default, \
                 0 33 9042 cassandra-2.cassandra.default +3";
    let two = |a: u8, b: u8| {
        format!(
            "NOERROR 0 33 9042 cassandra-{a}.cassandra.default, 0 33 9042 cassandra-{b}.cassandra.default +2"
        )
    };
    let one = |a: u8| format!("NOERROR 0 33 9042 cassandra-{a}.cassandra.default +1");
    let table: &[(&str, &str, String)] = &[
        ("ok", SRV, every.into()),
        ("omit cassandra-1.*", SRV, two(0, 2)),
        ("omit cassandra-1", SRV, two(0, 2)),
        ("omit 1", SRV, two(1, 2)),
        ("keep 1", SRV, one(0)),
        ("keep cassandra-2.cassandra.default.svc.cluster.local", SRV, one(2)),
        ("omit cassandra-*", SRV, "NOERROR ".into()),
        ("keep 0", SRV, "NOERROR ".into()),
        ("keep asker", SRV, one(1)),
        ("omit asker", SRV, two(0, 2)),
        ("keep asker", A, "NOERROR 127.244.0.2".into()),
        ("omit cassandra-1", A, "NOERROR 127.244.0.1, 127.244.0.3".into()),
        ("omit cassandra-1", "cassandra-1.cassandra.default.svc.cluster.local A", "NOERROR ".into()),
        ("keep cassandra-0", "2.0.244.127.in-addr.arpa PTR", "NOERROR ".into()),
        ("omit asker", "2.0.244.127.in-addr.arpa PTR", "NOERROR ".into()),
        ("omit cassandra-1", GONE, "NXDOMAIN ".into()),
        ("omit 1", ALIAS, "NOERROR cassandra.default, 127.244.0.2, 127.244.0.3".into()),
        ("keep 1", ALIAS, "NOERROR cassandra.default, 127.244.0.1".into()),
        ("keep asker", ALIAS, "NOERROR cassandra.default, 127.244.0.2".into()),
        ("keep missing", ALIAS, "NOERROR".into()),
        ("omit cassandra", ALIAS, "NOERROR".into()),
        ("keep asker", "dns-version.cluster.local TXT", "NOERROR \"1.1.0\"".into()),
        ("order reversed", ALIAS, "NOERROR cassandra.default, 127.244.0.3, 127.244.0.2, 127.244.0.1".into()),
        ("nodata", SRV, "NOERROR ".into()),
        ("nxdomain", A, "NXDOMAIN ".into()),
        ("formerr", A, "FORMERR ".into()),
        ("notimp", A, "NOTIMP ".into()),
        ("cut 2", SRV, two(0, 1)),
        ("cut 2", A, "NOERROR 127.244.0.1, 127.244.0.2".into()),
        ("truncate", SRV, "NOERROR tc ".into()),
        ("truncate 1", A, "NOERROR tc 127.244.0.1".into()),
        ("glue none", SRV, every.replace(" +3", "")),
        ("target dangling", SRV, every.replace(" +3", "").replace("cassandra-", "gone-cassandra-")),
        ("order reversed", A, "NOERROR 127.244.0.3, 127.244.0.2, 127.244.0.1".into()),
        ("order asker-first", A, "NOERROR 127.244.0.2, 127.244.0.1, 127.244.0.3".into()),
        ("order asker-last", SRV, two(0, 2).replace(" +2", ", 0 33 9042 cassandra-1.cassandra.default +3")),
        ("order stable", SRV, every.into()),
        ("cname", A, "NOERROR alias.cassandra.default, 127.244.0.1, 127.244.0.2, 127.244.0.3".into()),
        ("cname", GONE, "NXDOMAIN ".into()),
        ("unsynced", GONE, "SERVFAIL ".into()),
        ("unsynced", A, "NOERROR 127.244.0.1, 127.244.0.2, 127.244.0.3".into()),
        ("edns formerr", A, "FORMERR ".into()),
    ];
    for (action, question, expected) in table {
        let mut fixture = Fixture::with(&format!("{{actions: [\"{action}\"]}}"));
        fixture.asker = fixture.pod("cassandra-1");
        assert_eq!(fixture.line(question).trim_end(), expected.trim_end(), "{action}: {question}");
    }
}

#[test]
fn denials_come_with_the_soa_and_refusals_without_authority() {
    let table = [("nxdomain", 1, true), ("nodata", 1, true), ("servfail", 0, false), ("refused", 0, false)];
    for (action, authorities, authoritative) in table {
        let (reply, _) = Fixture::with(&format!("{{actions: [{action}]}}")).ask(A);
        let [answer, authority, additional] = sections(&reply).expect("a plain reply");
        assert_eq!((answer.len(), authority.len(), additional.len()), (0, authorities, 0), "{action}");
        assert_eq!(reply[2] & 4 != 0, authoritative, "{action}");
    }
    let (foreign, _) = Fixture::with("{actions: [nxdomain]}").ask("example.org A");
    assert_eq!((foreign[2] & 4, foreign[3] & 15, foreign[9]), (0, 3, 0));
}

#[test]
fn orders_can_be_rotated_and_shuffled() {
    let mut rotated = Fixture::with("{actions: [order rotated]}");
    let firsts: Vec<String> =
        (0..4).map(|_| rotated.line(A).split([' ', ',']).nth(1).unwrap_or("").into()).collect();
    assert_eq!(firsts, ["127.244.0.1", "127.244.0.2", "127.244.0.3", "127.244.0.1"]);
    let mut shuffled = Fixture::with("{actions: [order shuffled]}");
    let orders: std::collections::HashSet<String> = (0..60).map(|_| shuffled.line(SRV)).collect();
    assert_eq!(orders.len(), 6, "every possible order, SRV records too");
}

#[test]
fn actions_change_bytes() {
    let ordinary = Fixture::new("").ask(SRV).0;
    let id = Fixture::with("{actions: [wrong id]}").ask(SRV).0;
    assert_eq!((&id[..2], &id[2..]), (&[0x12, 0x35][..], &ordinary[2..]));
    let question = Fixture::with("{actions: [wrong question]}").ask(SRV).0;
    assert_eq!((&question[12..14], &question[14..]), (&[4, b'x'][..], &ordinary[14..]));
    let ttl = Fixture::with("{actions: [ttl 7]}").ask(SRV).0;
    let replied = sections(&ttl).expect("a plain reply");
    assert!(replied.iter().flatten().all(|record| record.ttl == 7));
    let compressed = Fixture::with("{actions: [target compressed]}").ask(SRV).0;
    assert!(compressed.len() < ordinary.len() && sections(&compressed).is_none());
}

#[test]
fn edns_can_be_ignored_refused_and_limited() {
    let opt = |reply: &[u8]| u16::from_be_bytes([reply[10], reply[11]]);
    let many = RING.replace("replicas: 3", "replicas: 100");
    let ask = |action: &str| {
        let mut fixture = Fixture::new("");
        fixture.edns = Some(4096);
        fixture
            .cluster
            .apply(&objects(&format!("{many}{}", fault("f", &format!("{{actions: [{action}]}}")))));
        fixture.cluster.advance(std::time::Duration::from_secs(3600));
        fixture.ask(A).0
    };
    let (ordinary, ignored) = (ask("ok"), ask("edns ignore"));
    assert!(ordinary.len() > 1232 && ordinary[2] & 2 == 0 && opt(&ordinary) == 1);
    assert!(ignored.len() <= 512 && ignored[2] & 2 == 2 && opt(&ignored) == 0);
    let limited = ask("edns 600");
    assert!(limited.len() <= 600 && limited.len() > 512 && limited[2] & 2 == 2);
    assert_eq!(limited[limited.len() - 8..][..2], 600u16.to_be_bytes(), "the size in the OPT record");
    let refused = ask("edns formerr");
    assert_eq!((refused[3] & 15, opt(&refused)), (1, 0));
    let mut without = Fixture::with("{actions: [edns formerr]}");
    without.edns = None;
    assert_eq!(without.codes(A, 1), "noerror");
}

#[test]
fn faults_can_be_published_without_a_file() {
    let spec = FaultSpec::new([Action::Rcode(ResponseCode::REFUSED)]);
    let rule = Rule {
        name: "f".into(),
        spec,
        clients: Vec::new(),
        in_force: true,
        past: Arc::default(),
        state: Arc::default(),
    };
    let fixture = Fixture::new("");
    let faults = fixture.cluster.faults();
    faults.publish(vec![Arc::new(rule)]);
    assert!(!faults.is_empty());
}
