//! The objects of the controllers, seen through the DNS: the names of a cluster in which everything is ready.

mod changes;
mod snapshots;

use std::collections::BTreeMap;

use clusterlocal_core::answer::forward_records;
use clusterlocal_core::store::{Kind, Objects, Pod, Service, Time};
use clusterlocal_core::wire::{Presentation, RecordView};
use clusterlocal_core::zone::{PodNames, Zone};
use clusterlocal_core::{ControlPlane, Settings};

use crate::common::{self, ring};

/// The records of namespace `default`, except those of Service `kubernetes`: `NAME TYPE DATA`, without the cluster domain.
/// Addresses are numbered in order of appearance.
fn names(manifests: &str) -> Vec<String> {
    let zone = common::zone_of(&common::objects("test.yaml", manifests), settings());
    assert_eq!(zone.record_count(), common::listed(&zone), "records");
    listed(&zone)
}

/// Different ranges for pods and Services.
fn settings() -> Settings {
    Settings {
        pod_range: "10.244.0.0/16,fd00:10:244::/64".parse().unwrap(),
        service_range: "10.96.0.0/16,fd00:10:96::/112".parse().unwrap(),
        ..Settings::default()
    }
}

fn listed(zone: &Zone) -> Vec<String> {
    let mut lines = Vec::new();
    let mut numbers: BTreeMap<String, String> = BTreeMap::new();
    forward_records(zone, |record| {
        let owner = Presentation(record.owner).to_string();
        let Some(owner) = owner.strip_suffix(".default.svc.cluster.local.") else { return };
        if owner.ends_with("kubernetes") {
            return;
        }
        lines.push(format!("{owner} {} {}", record.record_type, data(&record, &mut numbers)));
    });
    // Names derived from addresses get the numbers of the addresses.
    for line in &mut lines {
        for (dashed, number) in numbers.iter().filter(|(dashed, _)| dashed.contains('-')) {
            *line = line.replace(dashed.as_str(), &format!("dashed-{number}"));
        }
    }
    lines.sort();
    lines
}

fn data(record: &RecordView<'_>, numbers: &mut BTreeMap<String, String>) -> String {
    let data = record.data().to_string();
    let kind = match data.get(..6) {
        Some("10.244") => "pod",
        Some("10.96.") => "svc",
        Some("fd00:1") if data.starts_with("fd00:10:244") => "pod6",
        Some("fd00:1") => "svc6",
        _ => return data.replace(".default.svc.cluster.local.", ""),
    };
    if let Some(number) = numbers.get(&data) {
        return number.clone();
    }
    let count = numbers.values().filter(|n| n.trim_end_matches(|c: char| c.is_ascii_digit()) == kind).count();
    // pod6 ends in a digit: a colon separates the number.
    let number = if kind.ends_with('6') {
        format!("{kind}:{}", numbers.values().filter(|n| n.starts_with(&format!("{kind}:"))).count() / 2)
    } else {
        format!("{kind}{}", count / 2)
    };
    numbers.insert(data.clone(), number.clone());
    let dashed = data.replace(['.', ':'], "-");
    numbers.insert(dashed, number.clone());
    number
}

/// A headless Service `db` and a StatefulSet with three replicas.
const SET: &str = ring!("peer", 7000, "containers: [{name: c, ports: [{name: peer, containerPort: 7000}]}]");

#[test]
fn records_of_a_set_and_its_governing_service() {
    let expected = [
        "_peer._tcp.db A pod0",
        "_peer._tcp.db A pod1",
        "_peer._tcp.db A pod2",
        "_peer._tcp.db SRV 0 33 7000 db-0.db",
        "_peer._tcp.db SRV 0 33 7000 db-1.db",
        "_peer._tcp.db SRV 0 33 7000 db-2.db",
        "db A pod0",
        "db A pod1",
        "db A pod2",
        "db SRV 0 33 7000 db-0.db",
        "db SRV 0 33 7000 db-1.db",
        "db SRV 0 33 7000 db-2.db",
        "db-0.db A pod0",
        "db-0.db SRV 0 100 7000 db-0.db",
        "db-1.db A pod1",
        "db-1.db SRV 0 100 7000 db-1.db",
        "db-2.db A pod2",
        "db-2.db SRV 0 100 7000 db-2.db",
    ];
    assert_eq!(names(SET), expected);
}

/// Changes of the set above, and names that exist or, with a minus, do not.
#[test]
fn variations_of_a_set() {
    type Variation<'t> = (&'t str, &'t [(&'t str, &'t str)], &'t [&'t str]);
    let table: [Variation<'_>; 13] = [
        (
            "first ordinal",
            &[("replicas: 3", "replicas: 2\n  ordinals: {start: 5}")],
            &["db-5.db", "db-6.db", "-db-0.db", "-db-7.db"],
        ),
        ("one replica by default", &[("  replicas: 3\n", "")], &["db-0.db", "-db-1.db"]),
        ("no replicas", &[("replicas: 3", "replicas: 0")], &["-db", "-db-0.db"]),
        ("another Service governs", &[("serviceName: db", "serviceName: other")], &["db", "-db-0.db"]),
        (
            "the Service selects nothing",
            &[("selector: {app: db}, ports", "selector: {app: nothing}, ports")],
            &["-db", "-db-0.db"],
        ),
        ("a Service without a selector", &[("selector: {app: db}, ports", "ports")], &["-db"]),
        (
            "the governing Service has an address",
            &[("clusterIP: None, ", "")],
            &["db", "db-0.db", "_peer._tcp.db"],
        ),
        (
            "the target port by name",
            &[("port: 7000}]}\n---", "port: 80, targetPort: peer}]}\n---")],
            &["_peer._tcp.db"],
        ),
        (
            "a target port that no container has",
            &[("port: 7000}]}\n---", "port: 80, targetPort: nope}]}\n---")],
            &["db", "-_peer._tcp.db"],
        ),
        (
            "no port name",
            &[("{name: peer, port: 7000}]}\n---", "{port: 7000}]}\n---")],
            &["db", "-_peer._tcp.db"],
        ),
        (
            "apps/v1beta1 without a selector",
            &[("apps/v1", "apps/v1beta1"), ("  selector: {matchLabels: {app: db}}\n", "")],
            &["db-2.db"],
        ),
        (
            "an address is pinned",
            &[(
                "kind: StatefulSet\nmetadata: {name: db}",
                "kind: StatefulSet\nmetadata: {name: db, annotations: {ip.clusterlocal.dev/db-1: 192.0.2.7}}",
            )],
            &["db-1.db"],
        ),
        (
            "a Deployment in its place",
            &[("StatefulSet", "Deployment"), ("  serviceName: db\n", "")],
            &["db", "-db-0.db"],
        ),
    ];
    for (what, changes, expected) in table {
        let mut manifests = SET.to_string();
        for (from, to) in changes {
            assert!(manifests.contains(from), "{what}: {from}");
            manifests = manifests.replace(from, to);
        }
        let found: Vec<String> =
            names(&manifests).iter().map(|line| line.split(' ').next().unwrap().into()).collect();
        for name in expected {
            let (name, there) = name.strip_prefix('-').map_or((*name, true), |name| (name, false));
            assert_eq!(found.contains(&name.to_string()), there, "{what}: {name} in {found:?}");
        }
    }
}

#[test]
fn an_srv_record_has_the_port_that_the_pod_listens_on() {
    let manifests = SET.replace("port: 7000}]}\n---", "port: 80, targetPort: peer}]}\n---");
    assert!(names(&manifests).contains(&"db-0.db SRV 0 100 7000 db-0.db".to_string()));
    let manifests = SET.replace("port: 7000}]}\n---", "port: 80, targetPort: 7001}]}\n---");
    assert!(names(&manifests).contains(&"db-0.db SRV 0 100 7001 db-0.db".to_string()));
    // Without a target port it is the Service's own, whatever ports the containers have.
    let manifests = SET.replace("port: 7000}]}\n---", "port: 80}]}\n---");
    assert!(names(&manifests).contains(&"db-0.db SRV 0 100 80 db-0.db".to_string()));
}

#[test]
fn pods_have_their_hostnames_only_below_their_governing_service() {
    let more = "
---
apiVersion: v1
kind: Service
metadata: {name: all}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: peer, port: 7000}]}
---
apiVersion: v1
kind: Service
metadata: {name: client}
spec: {selector: {app: db}, ports: [{name: peer, port: 7000}]}
";
    let lines = names(&format!("{SET}{more}"));
    let of = |owner: &str| {
        lines.iter().filter(|line| line.starts_with(&format!("{owner} "))).cloned().collect::<Vec<_>>()
    };
    assert_eq!(of("db-0.db"), ["db-0.db A pod0", "db-0.db SRV 0 100 7000 db-0.db"]);
    assert_eq!(of("db-0.all"), Vec::<String>::new());
    assert_eq!(
        of("dashed-pod0.all"),
        ["dashed-pod0.all A pod0", "dashed-pod0.all SRV 0 100 7000 dashed-pod0.all"]
    );
    assert_eq!(of("client"), ["client A svc0", "client SRV 0 100 7000 client"]);
    assert_eq!(of("dashed-pod0.client").len(), 2);
}

#[test]
fn dual_stack_services_have_addresses_of_both_families() {
    let manifests = SET.replace("clusterIP: None, ", "clusterIP: None, ipFamilyPolicy: PreferDualStack, ");
    let lines = names(&manifests);
    for line in ["db A pod0", "db AAAA pod6:0", "db-2.db AAAA pod6:2", "db SRV 0 16 7000 db-1.db"] {
        assert!(lines.contains(&line.to_string()), "{line} in {lines:#?}");
    }
    let client = "
apiVersion: v1
kind: Service
metadata: {name: six}
spec: {ipFamilies: [IPv6], ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: both}
spec: {ipFamilyPolicy: RequireDualStack, ports: [{name: http, port: 80}]}
";
    let lines = names(client);
    let addresses: Vec<_> =
        lines.iter().filter(|line| line.starts_with("six A") || line.starts_with("both A")).collect();
    assert_eq!(addresses, ["both A svc0", "both AAAA svc6:0", "six AAAA svc6:1"]);
}

#[test]
fn records_of_other_workloads() {
    let manifests = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: None, selector: {tier: web}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: front}
spec: {replicas: 2, selector: {matchLabels: {tier: web}}, template: {metadata: {labels: {tier: web}}}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: back}
spec: {replicas: 1, selector: {matchLabels: {tier: web}}, template: {metadata: {labels: {tier: web}}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: seed}
spec: {parallelism: 4, completions: 2, template: {metadata: {labels: {tier: web}}}}
---
apiVersion: v1
kind: Pod
metadata: {name: alone, labels: {tier: web}}
spec: {hostname: here, subdomain: web}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec: {selector: {matchLabels: {tier: web}}, template: {metadata: {labels: {tier: web}}, spec: {hostNetwork: true}}}
";
    let lines = names(manifests);
    let owned = |owner: &str| lines.iter().filter(|line| line.starts_with(owner)).count();
    // Two of the Deployment, two of the Job, one on each of three nodes, and the single Pod: the selector of the ReplicaSet
    // matches it, so the ReplicaSet adopts it and creates no other.
    assert_eq!(owned("web A "), 8, "{lines:#?}");
    assert_eq!(owned("here.web A "), 1);
    assert_eq!(
        lines.iter().filter(|line| line.starts_with("web A 127.18.0.")).count(),
        3,
        "on the host network"
    );
    assert_eq!(names(manifests), lines, "the same each time");
}

#[test]
fn verified_pod_names_exist_for_primary_addresses_of_running_pods() {
    let manifests = "
apiVersion: v1
kind: Pod
metadata: {name: two}
status: {phase: Running, podIPs: [{ip: 10.1.0.1}, {ip: 'fd00::20'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: going, deletionTimestamp: '2026-01-01T00:00:00Z'}
status: {phase: Running, podIP: 10.1.0.2}
---
apiVersion: v1
kind: Pod
metadata: {name: done}
status: {phase: Succeeded, podIP: 10.1.0.3}
";
    let mut settings = settings();
    settings.zone.pods = PodNames::Verified;
    let zone = common::zone_of(&common::objects("pods.yaml", manifests), settings);
    let table = [
        ("10-1-0-1.default.pod.cluster.local A", true),
        ("fd00--20.default.pod.cluster.local AAAA", false),
        ("10-1-0-2.default.pod.cluster.local A", false),
        ("10-1-0-3.default.pod.cluster.local A", false),
    ];
    for (question, exists) in table {
        let reply = common::Asked::parse(question).ask(&zone, clusterlocal_core::answer::Order::Stable);
        assert_eq!(reply[3] & 0xf == 0, exists, "{question}");
    }
}
