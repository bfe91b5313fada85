//! The fast path and the general path of an answer write the same bytes, and use the same random numbers for shuffles.

use clusterlocal_core::Settings;
use clusterlocal_core::answer::{Answerer, Client, Order, Outside, Query};
use clusterlocal_core::zone::{PodNames, Settings as ZoneSettings, Zone};
use proptest::prelude::*;

use crate::common::{self, Asked};

const CLUSTERS: [&str; 6] = ["s1.yaml", "s2.json", "s3.yaml", "s4.yaml", "s5.json", "s6.yaml"];

/// Sets whose answers fit uncompressed, compressed, and not at all, in one address family and in both.
const LARGE: &str = "
apiVersion: clusterlocal.dev/v1
kind: Topology
podCIDR: [10.244.0.0/16, 'fd00:10:244::/112']
sets:
  three: {replicas: 3, ports: {cql: 9042, http: 80}}
  thirty: {replicas: 30, ports: {cql: 9042}}
  hundreds: {replicas: 350, ports: {cql: 9042}}
---
apiVersion: v1
kind: Service
metadata: {name: both}
spec:
  clusterIP: None
  ipFamilyPolicy: RequireDualStack
  ipFamilies: [IPv4, IPv6]
  selector: {app: thirty}
  ports: [{name: cql, port: 9042}]
---
apiVersion: v1
kind: Service
metadata: {name: client}
spec: {selector: {app: thirty}, ports: [{name: cql, port: 9042}, {name: metrics, port: 9090}]}
";

const QUESTIONS: &str = "
three.default.svc.cluster.local A
three.default.svc.cluster.local AAAA
three.default.svc.cluster.local SRV
THREE.default.SVC.Cluster.local A
three-0.three.default.svc.cluster.local A
three-9.three.default.svc.cluster.local A
three-0.three.default.svc.cluster.local SRV
_cql._tcp.three.default.svc.cluster.local SRV
_CQL._tcp.Three.default.svc.cluster.local SRV
_cql._udp.three.default.svc.cluster.local SRV
_._tcp.three.default.svc.cluster.local SRV
thirty.default.svc.cluster.local A
thirty-29.thirty.default.svc.cluster.local AAAA
thirty-29.thirty.default.svc.cluster.local A
_cql._tcp.thirty.default.svc.cluster.local SRV
hundreds.default.svc.cluster.local A
hundreds-349.hundreds.default.svc.cluster.local A
_cql._tcp.hundreds.default.svc.cluster.local SRV
both.default.svc.cluster.local A
both.default.svc.cluster.local AAAA
_cql._tcp.both.default.svc.cluster.local SRV
client.default.svc.cluster.local A
_cql._tcp.client.default.svc.cluster.local SRV
_x._tcp.client.default.svc.cluster.local SRV
default.svc.cluster.local A
nowhere.svc.cluster.local A
svc.cluster.local SRV
cluster.local A
ns.dns.cluster.local A
10-244-0-1.default.pod.cluster.local A
a.b.c.three.default.svc.cluster.local A
three.default.svc.cluster.local.default.svc.cluster.local A
1.0.244.10.in-addr.arpa A
example.com A
";

const CLIENTS: [Client; 4] = [
    common::UDP,
    common::TCP,
    Client { udp: true, ipv6: true, max_udp: u16::MAX },
    Client { udp: true, ipv6: false, max_udp: 1232 },
];

const SIZES: [Option<u16>; 8] =
    [None, Some(0), Some(512), Some(900), Some(1232), Some(1452), Some(4096), Some(65535)];

fn zone(cluster: &str, settings: Settings) -> Zone {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    common::zone_of(&common::objects(cluster, std::fs::read(folder.join(cluster)).unwrap()), settings)
}

fn large() -> Zone {
    let manifest = clusterlocal_core::manifest::read_bytes("large.yaml", LARGE.into());
    let settings = Settings::default().with_overrides(&manifest.overrides).expect("ranges");
    common::zone_of(&common::objects("large.yaml", LARGE), settings)
}

/// Two answerers with the same seed, one of them without the fast path.
struct Both([Answerer; 2]);

impl Both {
    fn new(order: Order) -> Self {
        let answerer = || Answerer::new(order, 7, Outside::NxDomain);
        Both([answerer(), answerer().without_fast_path()])
    }

    fn check(&mut self, what: &str, zone: &Zone, request: &[u8], client: Client) {
        let mut replies = [vec![], vec![]];
        let mut verdicts = Vec::new();
        for (answerer, reply) in self.0.iter_mut().zip(&mut replies) {
            verdicts.push(answerer.answer(zone, &Query::new(request, client), reply));
        }
        assert_eq!(verdicts[0], verdicts[1], "{what} {client:?}");
        assert_eq!(replies[0], replies[1], "{what} {client:?}");
    }
}

/// Sends every question as every client and with every size.
fn check_all(zone: &Zone, order: Order, questions: &[&str]) {
    let mut both = Both::new(order);
    for question in questions {
        let mut words = question.split_whitespace();
        let (name, record_type) = (words.next().expect("a name"), words.next().expect("a type"));
        for size in SIZES {
            let request = common::request(name, record_type, size);
            for client in CLIENTS {
                both.check(&format!("{question} {size:?}"), zone, &request, client);
            }
        }
    }
}

#[test]
fn both_paths_agree_on_large_sets() {
    let questions: Vec<&str> = QUESTIONS.lines().filter(|line| !line.is_empty()).collect();
    for order in [Order::Shuffle, Order::Stable] {
        check_all(&large(), order, &questions);
    }
}

/// The queries that were recorded with CoreDNS.
fn golden_questions(cluster: &str) -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let lines = std::fs::read_to_string(folder.join(cluster).with_extension("jsonl")).unwrap();
    let question = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["q"].as_str().unwrap().to_string()
    };
    lines.lines().map(question).collect()
}

#[test]
fn both_paths_agree_on_recorded_queries_for_all_settings() {
    let settings = [
        ZoneSettings::default(),
        ZoneSettings { pods: PodNames::Verified, ttl: 0, ..ZoneSettings::default() },
        ZoneSettings { pods: PodNames::Disabled, ttl: 3600, ..ZoneSettings::default() },
        ZoneSettings { endpoint_pod_names: true, ..ZoneSettings::default() },
        ZoneSettings { ignore_empty_services: true, ..ZoneSettings::default() },
        ZoneSettings { no_endpoints: true, ..ZoneSettings::default() },
        ZoneSettings { namespaces: vec!["default".into()], ..ZoneSettings::default() },
        ZoneSettings { domain: "Cluster.Local".parse().unwrap(), ..ZoneSettings::default() },
        ZoneSettings { domain: "local".parse().unwrap(), ..ZoneSettings::default() },
    ];
    for cluster in CLUSTERS {
        let questions = golden_questions(cluster);
        let share = questions.len() / settings.len() + 1;
        for (settings, questions) in settings.iter().zip(questions.chunks(share)) {
            let zone = zone(cluster, Settings { zone: settings.clone(), ..Settings::default() });
            let questions: Vec<&str> = questions.iter().map(String::as_str).collect();
            check_all(&zone, Order::Shuffle, &questions);
        }
    }
}

#[test]
fn both_paths_agree_before_the_first_synchronization() {
    let zone = Zone::new(ZoneSettings::default());
    check_all(
        &zone,
        Order::Shuffle,
        &["web.default.svc.cluster.local A", "svc.cluster.local A", "cluster.local SRV"],
    );
}

/// A change of a packet.
#[derive(Clone, Debug)]
enum Mutation {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Append(Vec<u8>),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        // Includes the bit of a letter's case.
        (any::<prop::sample::Index>(), 0..8u8).prop_map(|(at, bit)| Mutation::Flip(at, 1 << bit)),
        any::<prop::sample::Index>().prop_map(Mutation::Cut),
        prop::collection::vec(any::<u8>(), 1..30).prop_map(Mutation::Append),
    ]
}

impl Mutation {
    fn change(&self, packet: &mut Vec<u8>) {
        match self {
            Mutation::Set(at, byte) if !packet.is_empty() => *at.get_mut(packet) = *byte,
            Mutation::Flip(at, bits) if !packet.is_empty() => *at.get_mut(packet) ^= bits,
            Mutation::Cut(at) if !packet.is_empty() => packet.truncate(at.index(packet.len())),
            Mutation::Append(bytes) => packet.extend_from_slice(bytes),
            _ => {}
        }
    }
}

/// A cluster, and a recorded query about it.
fn asked() -> impl Strategy<Value = (usize, Asked)> {
    let questions: Vec<(usize, String)> = (0..CLUSTERS.len())
        .flat_map(|at| golden_questions(CLUSTERS[at]).into_iter().map(move |question| (at, question)))
        .collect();
    prop::sample::select(questions).prop_map(|(at, question)| (at, Asked::parse(&question)))
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} from {:?}", self.request, self.client)
    }
}

#[test]
fn both_paths_agree_on_mutated_and_random_packets() {
    let zones = CLUSTERS.map(|cluster| zone(cluster, Settings::default()));
    let mutated = (asked(), prop::collection::vec(mutation(), 0..4));
    proptest!(ProptestConfig::with_cases(20_000), |(((at, asked), mutations) in mutated)| {
        let mut request = asked.request;
        mutations.iter().for_each(|mutation| mutation.change(&mut request));
        Both::new(Order::Shuffle).check("mutated", &zones[at], &request, asked.client);
    });
    proptest!(ProptestConfig::with_cases(20_000), |(request in prop::collection::vec(any::<u8>(), 0..600))| {
        Both::new(Order::Shuffle).check("random", &zones[0], &request, common::UDP);
    });
}
