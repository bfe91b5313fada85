//! Any fault and any query: no reply, or one that can be parsed and fits.

use std::net::IpAddr;
use std::sync::Arc;

use clusterlocal_core::answer::{Answerer, Client, Order, Outside, Query, Verdict};
use clusterlocal_core::fault::{ACTIONS, Action, FaultSpec};
use clusterlocal_core::store::{Change, Fault, Key, Kind, Object, ObjectMeta, Objects, Time};
use clusterlocal_core::{ControlPlane, Settings, manifest};
use hickory_proto::op::Message;
use libtest_mimic::Failed;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// A large set and a small one, and aliases.
const CLUSTER: &str = "apiVersion: clusterlocal.dev/v1
kind: Topology
podCIDR: [127.244.0.0/16, fd00:244::/112]
serviceCIDR: [127.96.0.0/16, fd00:96::/112]
sets:
  db: {replicas: 3, ports: {cql: 9042, intra: 7000}, client: db-client, ipFamilies: [IPv4, IPv6]}
  big: {replicas: 120, ports: {http: 80}}
external: {mail: smtp.example.org, here: db.default.svc.cluster.local}
";

const NAMES: &[&str] = &[
    "db.default.svc.cluster.local",
    "_cql._tcp.db.default.svc.cluster.local",
    "DB-1.db.default.SVC.cluster.local",
    "db-client.default.svc.cluster.local",
    "big.default.svc.cluster.local",
    "_http._tcp.big.default.svc.cluster.local",
    "mail.default.svc.cluster.local",
    "here.default.svc.cluster.local",
    "missing.default.svc.cluster.local",
    "cluster.local",
    "dns-version.cluster.local",
    "1.0.244.127.in-addr.arpa",
    "example.org",
    "",
];

#[derive(Clone, Debug)]
struct Question {
    name: Vec<u8>,
    record_type: u16,
    class: u16,
    edns: Option<u16>,
    client: Client,
    asker: IpAddr,
    /// Time before the query, in seconds.
    later: u32,
}

impl Question {
    fn request(&self) -> Vec<u8> {
        let edns = self.edns.map(|size| {
            let [high, low] = size.to_be_bytes();
            vec![0, 0, 41, high, low, 0, 0, 0, 0, 0, 0]
        });
        let header = [0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns.is_some().into()];
        let [class, record_type] = [self.class, self.record_type].map(u16::to_be_bytes);
        [&header[..], &self.name, &record_type, &class, &edns.unwrap_or_default()].concat()
    }

    fn limit(&self) -> usize {
        if self.client.udp {
            usize::from(self.edns.unwrap_or(512).max(512).min(self.client.max_udp))
        } else {
            usize::from(u16::MAX)
        }
    }
}

fn wire(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        wire.push(label.len() as u8);
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}

fn names() -> impl Strategy<Value = Vec<u8>> {
    let labels = prop::collection::vec(prop::collection::vec(any::<u8>(), 1..=63), 0..4);
    let odd = (labels, prop::sample::select(NAMES)).prop_filter_map("too long", |(labels, below)| {
        let mut name = Vec::new();
        for label in labels {
            name.push(label.len() as u8);
            name.extend(label);
        }
        name.extend(wire(below));
        (name.len() <= 255).then_some(name)
    });
    prop_oneof![3 => prop::sample::select(NAMES).prop_map(wire), 1 => odd]
}

fn questions() -> impl Strategy<Value = Question> {
    let types = prop::sample::select(&[1u16, 2, 5, 6, 12, 16, 28, 33, 33, 252, 255, 65][..]);
    let class = prop_oneof![9 => Just(1u16), 1 => any::<u16>()];
    let edns = prop::option::of(any::<u16>());
    let client = (any::<bool>(), any::<bool>(), prop::sample::select(&[512u16, 1232, u16::MAX][..]));
    let asker = prop_oneof![Just("127.244.0.1".parse().expect("an address")), any::<IpAddr>()];
    (names(), types, class, edns, client, asker, 0u32..40).prop_map(
        |(name, record_type, class, edns, (udp, ipv6, max_udp), asker, later)| {
            let client = Client { udp, ipv6, max_udp };
            Question { name, record_type, class, edns, client, asker, later }
        },
    )
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let filled = |which: &str, number: u16| -> Vec<Action> {
        let fill = |written: &str| {
            written
                .replace("GLOB|N|asker", which)
                .replace("[±J]", "±500ms")
                .replace(" [D]", " 5")
                .replace("[N]", "N")
                .split(' ')
                .map(|word| match word {
                    "N" | "S" => number.to_string(),
                    "D" => "3s".into(),
                    word => word.into(),
                })
                .collect::<Vec<_>>()
                .join(" ")
        };
        ACTIONS.iter().filter_map(|row| fill(row.written).parse().ok()).collect()
    };
    let which = prop::sample::select(&["db-1", "asker", "1", "*", "big-*"][..]);
    let number = prop::sample::select(&[0u16, 1, 3, 512, 700, u16::MAX][..]);
    (which, number).prop_flat_map(move |(which, number)| {
        let all = filled(which, number);
        prop::collection::vec(prop::sample::select(all), 1..4)
    })
}

pub fn any_fault_on_any_question() -> Result<(), Failed> {
    let objects = manifest::read_bytes("cluster.yaml", CLUSTER.into());
    assert!(objects.problems.is_empty(), "{:?}", objects.problems);
    let objects: Objects = objects.objects.into_iter().map(|read| (read.object.key(), read.object)).collect();
    let begin = Time::from_unix_millis(1_700_000_000_000);
    let mut cluster = ControlPlane::new(Settings::default());
    cluster.advance_to(begin);
    cluster.apply(&objects);
    cluster.advance_to(begin.after_secs(600));
    let cluster = std::cell::RefCell::new(cluster);
    let strategy = (actions(), prop::collection::vec(questions(), 1..5), any::<u64>(), any::<bool>());
    let config = Config { cases: 512, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&strategy, |(actions, questions, seed, forwarding)| {
            let mut cluster = cluster.borrow_mut();
            let spec = FaultSpec { seed, ..FaultSpec::new(actions.clone()) };
            let metadata = ObjectMeta { name: "f".into(), ..ObjectMeta::default() };
            cluster.request(vec![Change::Put(Object::Fault(Arc::new(Fault {
                metadata,
                spec,
                ..Fault::default()
            })))]);
            let outside = if forwarding { Outside::Forwarded } else { Outside::NxDomain };
            let mut answerer = Answerer::new(Order::Shuffle, seed, outside);
            let mut now = cluster.now();
            for question in &questions {
                now = now.after_secs(question.later);
                check(&cluster, &mut answerer, question, now, &actions)?;
            }
            cluster.request(vec![Change::Delete(Key::new(Kind::Fault, "", "f"))]);
            prop_assert!(cluster.faults().is_empty());
            Ok(())
        })
        .map_err(|error| error.to_string().into())
}

fn check(
    cluster: &ControlPlane,
    answerer: &mut Answerer,
    question: &Question,
    now: Time,
    actions: &[Action],
) -> Result<(), TestCaseError> {
    let (request, mut reply) = (question.request(), Vec::new());
    let (faults, zone) = (cluster.faults(), cluster.published());
    let hit = faults.hit(&request, question.client, question.asker, now);
    let query = Query { fault: hit.as_ref(), ..Query::new(&request, question.client) };
    let verdict = answerer.answer(&zone.load(), &query, &mut reply);
    if actions.contains(&Action::Drop) && hit.is_some() {
        prop_assert_eq!(verdict, Verdict::Silent);
        return Ok(());
    }
    prop_assert_ne!(verdict, Verdict::Silent);
    prop_assert!(reply.len() <= question.limit(), "{} bytes, {} fit", reply.len(), question.limit());
    let message = Message::from_vec(&reply);
    prop_assert!(message.is_ok(), "{:?}: {:02x?}", message.err(), reply);
    let id = u16::from_be_bytes([reply[0], reply[1]]);
    let wrong = actions.contains(&Action::WrongId) && hit.is_some() && verdict != Verdict::Forward;
    prop_assert_eq!(id == 0xabcd, !wrong);
    prop_assert!(reply[2] & 0x80 != 0);
    Ok(())
}
