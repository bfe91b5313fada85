//! What the controllers make of manifests, seen through the DNS: which names a cluster has once everything is ready.

mod common;

use std::collections::BTreeMap;

use clusterlocal::answer::forward_records;
use clusterlocal::store::{Kind, Objects, Pod, Service, Time};
use clusterlocal::wire::{Presentation, RecordView};
use clusterlocal::zone::{PodNames, Zone};
use clusterlocal::{ControlPlane, Settings};

/// The records of namespace `default`, but for the API's own: `NAME TYPE DATA`, without the cluster domain. Addresses are
/// numbered in order of appearance.
fn names(manifests: &str) -> Vec<String> {
    let zone = common::zone_of(&common::objects("test.yaml", manifests), settings());
    assert_eq!(zone.record_count(), common::listed(&zone), "records");
    listed(&zone)
}

/// Pods and Services in ranges that are easily told apart.
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
    // Names that are addresses are numbered like the addresses.
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
    // pod6 ends in a digit itself: it is followed by a colon.
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

/// A headless Service `db` and a StatefulSet of three.
const SET: &str = "
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: peer, port: 7000}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 3
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: c, ports: [{name: peer, containerPort: 7000}]}]}
";

#[test]
fn a_set_and_its_governing_service() {
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

/// Each: what differs from the set above, and names that are there or (with a minus) are not.
#[test]
fn variations() {
    type Variation<'t> = (&'t str, &'t [(&'t str, &'t str)], &'t [&'t str]);
    let table: [Variation<'_>; 13] = [
        (
            "first ordinal",
            &[("replicas: 3", "replicas: 2\n  ordinals: {start: 5}")],
            &["db-5.db", "db-6.db", "-db-0.db", "-db-7.db"],
        ),
        ("one replica where nothing is said", &[("  replicas: 3\n", "")], &["db-0.db", "-db-1.db"]),
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
    // Without a target port it is the Service's own, whatever the containers say.
    let manifests = SET.replace("port: 7000}]}\n---", "port: 80}]}\n---");
    assert!(names(&manifests).contains(&"db-0.db SRV 0 100 80 db-0.db".to_string()));
}

#[test]
fn pods_have_their_names_under_their_governing_service_only() {
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
fn dual_stack() {
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
fn other_workloads() {
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
    // Two of the Deployment, two of the Job, one on each of three nodes, and the one that was made by hand: the ReplicaSet,
    // whose selector matches it, adopts it and needs no other.
    assert_eq!(owned("web A "), 8, "{lines:#?}");
    assert_eq!(owned("here.web A "), 1);
    assert_eq!(
        lines.iter().filter(|line| line.starts_with("web A 127.18.0.")).count(),
        3,
        "on the host network"
    );
    assert_eq!(names(manifests), lines, "the same each time");
}

/// A snapshot: (the pod's status and metadata, is it under the Service, is it under one that publishes not-ready pods).
#[test]
fn pods_of_a_snapshot_are_believed() {
    let ready = "conditions: [{type: Ready, status: 'True'}]";
    let unready = "conditions: [{type: Ready, status: 'False'}]";
    let ip = "podIP: 10.1.0.1";
    let table = [
        ("running and ready", "", format!("phase: Running, {ip}, {ready}"), true, true),
        ("running, not ready", "", format!("phase: Running, {ip}, {unready}"), false, true),
        ("pending with an address", "", format!("phase: Pending, {ip}, {unready}"), false, true),
        ("pending without an address", "", "phase: Pending".to_string(), false, false),
        (
            "terminating, still ready",
            "deletionTimestamp: '2026-01-01T00:00:00Z', ",
            format!("phase: Running, {ip}, {ready}"),
            false,
            true,
        ),
        ("failed", "", format!("phase: Failed, {ip}, {ready}"), false, false),
        ("succeeded", "", format!("phase: Succeeded, {ip}, {unready}"), false, false),
    ];
    for (what, metadata, status, normal, publishing) in table {
        let manifests = format!(
            "{SET}---
apiVersion: v1
kind: Service
metadata: {{name: early}}
spec: {{clusterIP: None, publishNotReadyAddresses: true, selector: {{app: db}}, ports: [{{name: peer, port: 7000}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: db-0, {metadata}labels: {{app: db}}}}
spec: {{hostname: db-0, subdomain: db}}
status: {{{status}}}
"
        );
        let lines = names(&manifests);
        let has = |owner: &str| lines.iter().any(|line| line.starts_with(&format!("{owner} A 10.1.0.1")));
        assert_eq!((has("db-0.db"), has("early")), (normal, publishing), "{what}: {lines:#?}");
        assert!(
            !lines.iter().any(|line| line.starts_with("db-1.db")),
            "{what}: the snapshot has one pod only"
        );
    }
}

#[test]
fn slices_and_endpoints_of_a_snapshot_are_believed() {
    let slice = "---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
addressType: IPv4
metadata: {name: anything, labels: {kubernetes.io/service-name: db}}
endpoints: [{addresses: [192.0.2.1], hostname: db-7}]
ports: [{name: peer, port: 7}]
";
    let endpoints = "---
apiVersion: v1
kind: Endpoints
metadata: {name: db, labels: {endpoints.kubernetes.io/managed-by: endpoint-controller}}
subsets: [{addresses: [{ip: 192.0.2.1, hostname: db-7}], notReadyAddresses: [{ip: 192.0.2.2}], ports: [{name: peer, port: 7}]}]
";
    for recorded in [slice, endpoints] {
        let lines = names(&format!("{SET}{recorded}"));
        let expected = [
            "_peer._tcp.db A 192.0.2.1",
            "_peer._tcp.db SRV 0 100 7 db-7.db",
            "db A 192.0.2.1",
            "db SRV 0 100 7 db-7.db",
            "db-7.db A 192.0.2.1",
            "db-7.db SRV 0 100 7 db-7.db",
        ];
        assert_eq!(lines, expected);
    }
}

#[test]
fn hand_made_endpoints_count_for_a_service_without_a_selector() {
    const PLAIN: &str = "
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, ports: [{name: peer, port: 7}]}
";
    let endpoints = |labels: &str, address: &str| {
        format!(
            "---
apiVersion: v1
kind: Endpoints
metadata: {{name: db, labels: {{{labels}}}}}
subsets: [{{addresses: [{{ip: 192.0.2.1{address}}}], ports: [{{name: peer, port: 7}}]}}]
"
        )
    };
    let target = ", targetRef: {kind: Pod, name: db-0}";
    let managed = "endpoints.kubernetes.io/managed-by: endpoint-controller";
    // Service, labels of the Endpoints, what their address says besides, and whether the address is served.
    let table = [
        (PLAIN, "", "", true),
        (PLAIN, "endpointslice.kubernetes.io/skip-mirror: 'true'", "", false),
        (SET, "", "", false),
        (SET, managed, "", true),
        (SET, "", target, true),
    ];
    for (service, labels, address, expected) in table {
        let lines = names(&format!("{service}{}", endpoints(labels, address)));
        let served = lines.iter().any(|line| line == "db A 192.0.2.1");
        assert_eq!(served, expected, "{labels} {address}: {lines:#?}");
    }
}

#[test]
fn verified_pod_names_know_primary_addresses_of_living_pods() {
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
        let reply = common::Asked::parse(question).ask(&zone, clusterlocal::answer::Order::Stable);
        assert_eq!(reply[3] & 0xf == 0, exists, "{question}");
    }
}

/// Every address of every object, by its key.
fn addresses(cluster: &ControlPlane) -> BTreeMap<String, String> {
    let pods = cluster.store().list::<Pod>(Kind::Pod);
    let pods = pods.map(|pod| {
        let ips: Vec<_> = pod.status.ips().map(|ip| ip.to_string()).collect();
        (format!("Pod {}/{}", pod.metadata.namespace, pod.metadata.name), ips.join(","))
    });
    let services = cluster.store().list::<Service>(Kind::Service).map(|service| {
        let ips: Vec<_> = service.addresses().map(|ip| ip.to_string()).collect();
        (format!("Service {}/{}", service.metadata.namespace, service.metadata.name), ips.join(","))
    });
    pods.chain(services).collect()
}

fn many(count: usize, without: Option<usize>) -> Objects {
    let mut objects = Objects::new();
    for n in (0..count).filter(|n| Some(*n) != without) {
        let manifests =
            SET.replace("name: db}", &format!("name: db{n}}}")).replace("app: db}", &format!("app: db{n}}}"));
        objects.extend(common::objects("set.yaml", manifests));
        let client = format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: c{n}}}, spec: {{ports: [{{port: 80}}]}}}}"
        );
        objects.extend(common::objects("client.yaml", client));
    }
    objects
}

#[test]
fn a_new_object_moves_nobodys_address() {
    for added in [0, 17, 39] {
        let mut cluster = ControlPlane::new(settings());
        cluster.apply(&many(40, Some(added)));
        let before = addresses(&cluster);
        cluster.apply(&many(40, None));
        let after = addresses(&cluster);
        assert_eq!(after.len(), before.len() + 3 + 2);
        for (key, address) in &before {
            assert_eq!(after.get(key), Some(address), "{key} moved");
        }
        // Nor does it matter much when the cluster is set up anew: only who would have had the very place moves.
        let mut anew = ControlPlane::new(settings());
        anew.apply(&many(40, Some(added)));
        assert_eq!(addresses(&anew), before);
    }
}

#[test]
fn everybody_has_an_address_of_their_own() {
    let mut cluster = ControlPlane::new(settings());
    cluster.apply(&many(200, None));
    let all = addresses(&cluster);
    let given: Vec<_> = all.values().filter(|address| !address.is_empty()).collect();
    let distinct: std::collections::BTreeSet<_> = given.iter().collect();
    assert_eq!((given.len(), distinct.len()), (200 * 4 + 4, 200 * 4 + 4));
}

#[test]
fn the_serial_grows_with_every_visible_change_and_not_without_one() {
    let mut cluster = ControlPlane::new(settings());
    let serial = |cluster: &ControlPlane| cluster.published().load().serial();
    let three = common::objects("set.yaml", SET);
    let two = common::objects("set.yaml", SET.replace("replicas: 3", "replicas: 2"));
    cluster.advance_to(Time::from_unix_millis(100_000));
    cluster.apply(&three);
    assert_eq!(serial(&cluster), 100);
    cluster.advance_to(Time::from_unix_millis(200_000));
    assert!(!cluster.apply(&three), "nothing changed");
    assert_eq!(serial(&cluster), 100);
    assert!(cluster.apply(&two));
    assert_eq!(serial(&cluster), 200);
    let change = cluster.trace().last().expect("a change").clone();
    assert_eq!(change.serial, 200);
    assert_eq!(change.cause, "Pod default/db-2 began to terminate");
    let gone: Vec<_> =
        change.names.iter().map(|n| n.to_string().split("  ").next().unwrap().to_string()).collect();
    assert_eq!(gone, ["- db-2.db.default"]);
    assert!(cluster.apply(&three));
    assert_eq!(serial(&cluster), 201, "also when the clock stands still");
}

/// Whoever watched an earlier cluster must not take this one's revisions for its own.
#[test]
fn a_later_cluster_has_later_revisions() {
    let begun = |seconds: i64| {
        let mut cluster = ControlPlane::new(settings());
        cluster.advance_to(Time::from_unix_millis(seconds * 1000));
        cluster.request(Vec::new());
        cluster.advance_to(Time::from_unix_millis(seconds * 1000 + 5));
        cluster.apply(&many(5, None));
        let revisions =
            cluster.store().objects().map(|object| cluster.store().stored(&object.key()).unwrap().revision);
        (revisions.min().unwrap(), cluster.store().revision())
    };
    let (_, last) = begun(1_700_000_000);
    let (first, _) = begun(1_700_000_001);
    assert!(first > last, "{first} {last}");
}

#[test]
fn a_change_and_its_reverse_leave_nothing_behind() {
    let mut cluster = ControlPlane::new(settings());
    let none = Objects::new();
    cluster.apply(&none);
    let before = listed(&cluster.published().load());
    cluster.apply(&many(5, None));
    assert_ne!(listed(&cluster.published().load()), before);
    cluster.apply(&none);
    assert_eq!(listed(&cluster.published().load()), before);
    let left: Vec<_> = cluster
        .store()
        .objects()
        .map(|object| object.key())
        // Events tell of it for a while.
        .filter(|key| key.namespace == "default" && key.kind != Kind::Event)
        .collect();
    let expected = [
        (Kind::Service, "kubernetes"),
        (Kind::EndpointSlice, "kubernetes"),
        (Kind::Endpoints, "kubernetes"),
        (Kind::ConfigMap, "kube-root-ca.crt"),
        (Kind::ServiceAccount, "default"),
    ];
    assert_eq!(left, expected.map(|(kind, name)| clusterlocal::store::Key::new(kind, "default", name)));
}

#[test]
fn a_replaced_pod_has_another_address() {
    let mut cluster = ControlPlane::new(settings());
    cluster.apply(&common::objects("set.yaml", SET));
    let before = addresses(&cluster);
    let other = SET.replace("labels: {app: db}}", "labels: {app: db, version: '2'}}");
    cluster.apply(&common::objects("set.yaml", other));
    let after = addresses(&cluster);
    for pod in ["Pod default/db-0", "Pod default/db-1", "Pod default/db-2"] {
        assert_ne!(before[pod], after[pod], "{pod}");
        assert!(!before.values().any(|address| *address == after[pod]), "{pod} has what another had");
    }
    assert_eq!(before["Service default/kubernetes"], after["Service default/kubernetes"]);
}

/// The range goes round several times while one set is replaced again and again; the other one keeps its addresses.
#[test]
fn a_small_range_goes_round() {
    let small = Settings { pod_range: "10.9.0.0/27".parse().unwrap(), ..settings() };
    let mut cluster = ControlPlane::new(small);
    let set = |name: &str, version: u32| {
        let labels = format!("labels: {{app: db, version: '{name}-{version}'}}}}");
        let manifests = SET.replace("name: db}", &format!("name: {name}}}"));
        common::objects("set.yaml", manifests.replace("labels: {app: db}}", &labels))
    };
    for version in 0..40 {
        let mut objects = set("db", version.min(1));
        objects.extend(set("restless", version));
        cluster.apply(&objects);
        let all = addresses(&cluster);
        let pods = all.iter().filter(|(key, address)| key.starts_with("Pod") && !address.is_empty());
        let distinct: std::collections::BTreeSet<_> = pods.map(|(_, address)| address).collect();
        assert_eq!(distinct.len(), 3 + 3 + 2, "version {version}: {all:?}");
    }
}
