//! The answers of CoreDNS in a kubeadm cluster, query by query: `contract/answers.txt` for `contract/cluster.yaml`.

use std::net::IpAddr;

use clusterlocal_core::Settings;
use clusterlocal_core::answer::{Answerer, Order, Outside, Query, Verdict};
use clusterlocal_core::store::Objects;
use clusterlocal_core::zone::{self, Feed, PodNames, Zone};
use hickory_proto::op::Message;

use crate::common::{self, Asked, TCP, UDP};

const CLUSTER: &str = include_str!("../contract/cluster.yaml");
const ANSWERS: &str = include_str!("../contract/answers.txt");

/// A row of the table.
struct Row<'t> {
    number: &'t str,
    setting: &'t str,
    name: &'t str,
    record_type: &'t str,
    class: u16,
    answer: &'t str,
}

fn rows() -> Vec<Row<'static>> {
    let rows = ANSWERS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|line| {
        let [number, setting, question, answer] = line.splitn(4, '|').map(str::trim).collect::<Vec<_>>()[..]
        else {
            panic!("four columns: {line}")
        };
        let words: Vec<_> = question.split_whitespace().collect();
        let class = match words.get(2) {
            None => 1,
            Some(&"CH") => 3,
            Some(other) => panic!("unknown class {other}"),
        };
        Row { number, setting, name: words[0], record_type: words[1], class, answer }
    })
    .collect()
}

/// The zone with the plugin's setting of a row.
fn zone(objects: &Objects, setting: &str) -> Zone {
    let mut settings = Settings::default();
    let zone = &mut settings.zone;
    match setting.split_once('=').unwrap_or((setting, "")) {
        ("", _) | ("not-synced", _) => {}
        ("pods", "disabled") => zone.pods = PodNames::Disabled,
        ("pods", "verified") => zone.pods = PodNames::Verified,
        ("endpoint-pod-names", _) => zone.endpoint_pod_names = true,
        ("ignore-empty-services", _) => zone.ignore_empty_services = true,
        ("no-endpoints", _) => zone.no_endpoints = true,
        ("namespaces", only) => zone.namespaces = vec![only.into()],
        ("reverse-zone", name) => zone.reverse_zones = vec![name.parse().unwrap()],
        ("nameserver", ips) => {
            zone.nameserver = ips.split(',').map(|ip| ip.parse::<IpAddr>().unwrap()).collect()
        }
        ("ttl", seconds) => zone.ttl = seconds.parse().unwrap(),
        _ => panic!("unknown setting {setting}"),
    }
    if setting == "not-synced" {
        return not_synced(objects, settings.zone);
    }
    common::zone_of(objects, settings)
}

/// A zone before its first synchronization: it has the objects, but does not know whether they are complete.
fn not_synced(objects: &Objects, settings: zone::Settings) -> Zone {
    let mut store = clusterlocal_core::store::Store::new();
    for object in objects.values() {
        store.apply(clusterlocal_core::store::Change::Put(object.clone()));
    }
    let mut feed = Feed::new(settings);
    feed.take_in(&store, None);
    feed.zone().clone()
}

/// The expected answer of a row, in the format of [`got`].
fn expected(row: &Row<'_>) -> Vec<String> {
    let ttl = |text: &str| match row.setting.strip_prefix("ttl=") {
        Some(ttl) if text != "SOA" => ttl.to_string(),
        Some(ttl) => ttl.parse::<u32>().unwrap().min(300).to_string(),
        None => "30".to_string(),
    };
    let minimum = row.setting.strip_prefix("ttl=").unwrap_or("30");
    let mut words = row.answer.split_whitespace();
    let code = words.next().unwrap();
    if let (Some("outside"), code) = (words.clone().next(), code) {
        return vec![if code == "NODATA" { "NOERROR ra" } else { "NXDOMAIN ra" }.into()];
    }
    if matches!(code, "NODATA" | "NXDOMAIN" | "SERVFAIL") {
        let zone = words.find(|word| !word.contains('=')).unwrap_or("cluster.local.");
        let rcode = if code == "NODATA" { "NOERROR" } else { code };
        let soa = format!("ns.dns.{zone} hostmaster.{zone} SERIAL 7200 1800 86400 {minimum}");
        return vec![format!("{rcode} aa"), format!("authority {zone} {} SOA {soa}", ttl("SOA"))];
    }
    if code == "REFUSED" {
        return vec!["REFUSED".into()];
    }
    let owner = format!("{}.", row.name);
    let mut lines = vec!["NOERROR aa".to_string()];
    let (answers, additional) = row.answer.split_once(" + ").unwrap_or((row.answer, ""));
    for (section, records) in [("answer", answers), ("additional", additional)] {
        for record in records.split("; ").filter(|record| !record.is_empty()) {
            let mut words: Vec<_> = record.split(' ').map(str::to_string).collect();
            if words[0] == "@" {
                words[0].clone_from(&owner);
            }
            match words[1].strip_prefix("ttl=") {
                Some(seconds) => words[1] = seconds.to_string(),
                None => words.insert(1, ttl(&words[1])),
            }
            lines.push(format!("{section} {}", words.join(" ")));
        }
    }
    lines.sort();
    lines
}

/// A reply in lines: the code and AA flag, then the records.
fn got(reply: &[u8]) -> Vec<String> {
    let message = Message::from_vec(reply).expect("a valid message");
    let rcode = clusterlocal_core::ResponseCode(message.metadata.response_code.into());
    let flags = common::flags(reply);
    assert!(flags.starts_with("QR") && !flags.contains("AD"), "{flags}");
    let aa = if message.metadata.authoritative { " aa" } else { "" };
    let ra = if message.metadata.recursion_available { " ra" } else { "" };
    let mut lines = vec![format!("{rcode}{aa}{ra}")];
    for (section, records) in [
        ("answer", &message.answers),
        ("authority", &message.authorities),
        ("additional", &message.additionals),
    ] {
        lines.extend(records.iter().map(|record| format!("{section} {}", common::line(record))));
    }
    lines.sort();
    lines
}

#[test]
fn answers_equal_coredns() {
    let objects = common::objects("cluster.yaml", CLUSTER);
    let mut zones = std::collections::BTreeMap::new();
    let mut wrong = Vec::new();
    let rows = rows();
    for row in &rows {
        let zone = zones.entry(row.setting).or_insert_with(|| zone(&objects, row.setting));
        let mut request = common::request(row.name, row.record_type, Some(4096));
        let class_at = 12 + row.name.len() + 2 + 2;
        request[class_at..class_at + 2].copy_from_slice(&row.class.to_be_bytes());
        for client in [UDP, TCP] {
            let mut reply = Vec::new();
            let verdict = Answerer::new(Order::Shuffle, 1, Outside::NxDomain).answer(
                zone,
                &Query::new(&request, client),
                &mut reply,
            );
            assert_eq!(verdict, Verdict::Reply, "{}", row.number);
            let (got, expected) = (got(&reply), expected(row));
            if got != expected {
                wrong.push(format!(
                    "{} {} {}\n  {}",
                    row.number,
                    row.name,
                    row.record_type,
                    common::difference(&expected, &got)
                ));
            }
        }
    }
    // The count does not consider settings that only hide records.
    let hiding =
        ["namespaces=db", "no-endpoints", "ignore-empty-services", "reverse-zone=0.96.10.in-addr.arpa"];
    for (setting, zone) in zones.into_iter().filter(|(setting, _)| !hiding.contains(setting)) {
        assert_eq!(zone.record_count(), common::listed(&zone), "records, {setting}");
    }
    assert!(rows.len() > 280);
    assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Question, bytes, TC, answers, and additional records without the OPT, for the client that the question describes.
const SIZES: [(&str, usize, bool, usize, usize); 14] = [
    ("kubernetes.default.svc.cluster.local A noedns", 106, false, 1, 0),
    ("kubernetes.default.svc.cluster.local A edns=1232", 117, false, 1, 0),
    ("nope.default.svc.cluster.local A noedns", 141, false, 0, 0),
    ("_https._tcp.kubernetes.default.svc.cluster.local SRV noedns", 222, false, 1, 1),
    ("cass.db.svc.cluster.local SRV noedns", 447, false, 4, 2),
    ("big.db.svc.cluster.local A noedns", 506, true, 29, 0),
    ("big.db.svc.cluster.local A edns=1232", 693, false, 40, 0),
    ("big.db.svc.cluster.local A noedns tcp", 1642, false, 40, 0),
    ("big.db.svc.cluster.local SRV noedns", 492, true, 9, 0),
    ("big.db.svc.cluster.local SRV edns=512", 503, true, 9, 0),
    ("big.db.svc.cluster.local SRV edns=1232", 1216, true, 23, 0),
    ("big.db.svc.cluster.local SRV edns=2200", 2195, true, 40, 7),
    ("big.db.svc.cluster.local SRV edns=2725", 2723, false, 40, 40),
    ("big.db.svc.cluster.local SRV noedns tcp", 4902, false, 40, 40),
];

#[test]
fn sizes_and_truncation_equal_coredns() {
    let mut objects = common::objects("cluster.yaml", CLUSTER);
    objects.extend(common::objects("big.yaml", big_slice()));
    let zone = common::zone_of(&objects, Settings::default());
    let mut got = Vec::new();
    for (question, ..) in SIZES {
        let reply = Asked::parse(question).ask(&zone, Order::Stable);
        let message = Message::from_vec(&reply).unwrap();
        let truncated = message.metadata.truncation;
        got.push((question, reply.len(), truncated, message.answers.len(), message.additionals.len()));
    }
    assert_eq!(got, SIZES);
}

/// Forty endpoints for `big`.
fn big_slice() -> String {
    let endpoints: Vec<_> =
        (1..=40).map(|n| format!("{{addresses: [10.244.9.{n}], hostname: big-{}}}", n - 1)).collect();
    format!(
        "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {{name: big-1, \
         namespace: db, labels: {{kubernetes.io/service-name: big}}}}, endpoints: [{}], ports: [{{name: cql, port: \
         9042}}]}}\n",
        endpoints.join(", ")
    )
}
