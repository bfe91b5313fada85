//! Changes of objects: their addresses when they stay and when they are replaced, serials, and revisions.

use super::*;

/// The addresses of all objects.
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
fn a_new_object_changes_no_other_address() {
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
        // In a new cluster without the object, too, the addresses are the same, except of an object with the same preferred
        // address.
        let mut second = ControlPlane::new(settings());
        second.apply(&many(40, Some(added)));
        assert_eq!(addresses(&second), before);
    }
}

#[test]
fn addresses_are_unique() {
    let mut cluster = ControlPlane::new(settings());
    cluster.apply(&many(200, None));
    let all = addresses(&cluster);
    let given: Vec<_> = all.values().filter(|address| !address.is_empty()).collect();
    let distinct: std::collections::BTreeSet<_> = given.iter().collect();
    assert_eq!((given.len(), distinct.len()), (200 * 4 + 4, 200 * 4 + 4));
}

#[test]
fn the_serial_grows_exactly_with_visible_changes() {
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
    assert_eq!(serial(&cluster), 201, "even if the clock stands still");
}

/// A client that watched an earlier cluster must not mistake this one's revisions for those.
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
fn a_change_and_its_reverse_leave_the_same_objects() {
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
        // Events are kept for some time.
        .filter(|key| key.namespace == "default" && key.kind != Kind::Event)
        .collect();
    let expected = [
        (Kind::Service, "kubernetes"),
        (Kind::EndpointSlice, "kubernetes"),
        (Kind::Endpoints, "kubernetes"),
        (Kind::ConfigMap, "kube-root-ca.crt"),
        (Kind::ServiceAccount, "default"),
    ];
    assert_eq!(left, expected.map(|(kind, name)| clusterlocal_core::store::Key::new(kind, "default", name)));
}

#[test]
fn a_replaced_pod_has_a_new_address() {
    let mut cluster = ControlPlane::new(settings());
    cluster.apply(&common::objects("set.yaml", SET));
    let before = addresses(&cluster);
    let other = SET.replace("labels: {app: db}}", "labels: {app: db, version: '2'}}");
    cluster.apply(&common::objects("set.yaml", other));
    let after = addresses(&cluster);
    for pod in ["Pod default/db-0", "Pod default/db-1", "Pod default/db-2"] {
        assert_ne!(before[pod], after[pod], "{pod}");
        assert!(
            !before.values().any(|address| *address == after[pod]),
            "{pod} has the former address of another pod"
        );
    }
    assert_eq!(before["Service default/kubernetes"], after["Service default/kubernetes"]);
}

/// One set is replaced until the range has been used several times; the other one keeps its addresses.
#[test]
fn addresses_of_a_small_range_are_used_again() {
    let small = Settings { pod_range: "10.9.0.0/27".parse().unwrap(), ..settings() };
    let mut cluster = ControlPlane::new(small);
    let set = |name: &str, version: u32| {
        let labels = format!("labels: {{app: db, version: '{name}-{version}'}}}}");
        let manifests = SET.replace("name: db}", &format!("name: {name}}}"));
        common::objects("set.yaml", manifests.replace("labels: {app: db}}", &labels))
    };
    for version in 0..40 {
        let mut objects = set("db", version.min(1));
        objects.extend(set("changing", version));
        cluster.apply(&objects);
        let all = addresses(&cluster);
        let pods = all.iter().filter(|(key, address)| key.starts_with("Pod") && !address.is_empty());
        let distinct: std::collections::BTreeSet<_> = pods.map(|(_, address)| address).collect();
        assert_eq!(distinct.len(), 3 + 3 + 2, "version {version}: {all:?}");
    }
}
