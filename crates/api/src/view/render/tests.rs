//! Objects, and their rendering.

mod services;
mod workloads;

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Context, object};
use clusterlocal_core::manifest;
use clusterlocal_core::store::*;

const CREATED: &str = "2026-11-22T12:00:00Z";

fn time(text: &str) -> Time {
    text.parse().expect("a time")
}

/// A store with the objects of a manifest, created at [`CREATED`].
fn store(text: &str) -> Store {
    let manifest = manifest::read_bytes("a.yaml", text.into());
    assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
    let mut store = Store::new();
    store.set_time(time(CREATED));
    for read in manifest.objects {
        store.apply(Change::Put(read.object));
    }
    store
}

fn put(store: &mut Store, object: Object) {
    assert!(store.apply(Change::Put(object)));
}

fn shown(store: &Store, kind: Kind, namespace: &str, name: &str) -> Value {
    object(store.stored(&Key::new(kind, namespace, name)).expect(name), &Context::now(store))
}

/// Compares fields of `object` with a table of JSON pointers and YAML.
fn check(object: &Value, table: &[(&str, &str)]) {
    for (pointer, expected) in table {
        let expected: Value = serde_yaml::from_str(expected).expect(expected);
        let found = object.pointer(pointer).cloned().unwrap_or_default();
        assert_eq!(found, expected, "{pointer} of {object:#}");
    }
}

fn named(name: &str, owner: Option<(Kind, &str)>) -> ObjectMeta {
    ObjectMeta {
        name: name.into(),
        namespace: "default".into(),
        links: owner
            .map(|(kind, name)| Links::of_controller(Owner::controller(kind, name, None), format!("{name}-")))
            .unwrap_or_default(),
        synthesized: true,
        ..ObjectMeta::default()
    }
}

const SET: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: db
  labels: {team: a}
  annotations: {note: x}
  managedFields: [{manager: kubectl}]
  uid: of-another-cluster
  creationTimestamp: null
spec:
  serviceName: db
  replicas: 3
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: db, image: 'db:1', resources: {limits: {cpu: 1, memory: 1Gi}}}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 5Gi}}}
status: {replicas: 9}
";

/// A pod of the set in [`SET`], as created by its controller.
fn pod_of_set(store: &Store) -> Pod {
    let Some(Object::StatefulSet(set)) = store.object(&Key::new(Kind::StatefulSet, "default", "db")) else {
        panic!("no set");
    };
    let template = set.spec.template.clone();
    let spec = PodSpec {
        node_name: "node-1".into(),
        hostname: "db-0".into(),
        shared: Arc::new(SharedSpec {
            subdomain: "db".into(),
            template: Some(template.clone()),
            claim_templates: ["data".into()].into(),
            ..(*template.spec.shared).clone()
        }),
    };
    let metadata = ObjectMeta {
        labels: template.metadata.labels.clone(),
        ..named("db-0", Some((Kind::StatefulSet, "db")))
    };
    Pod { metadata, spec, status: PodStatus::default() }
}

/// An orphaned pod of a DaemonSet keeps the tolerations that its controller added to the template, and its node affinity.
#[test]
fn an_orphaned_pod_of_a_daemon_set_keeps_what_its_controller_added() {
    let manifest = "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: d}
spec:
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec: {tolerations: [{key: a, operator: Exists}], containers: [{name: c, image: i}]}
";
    let mut store = store(manifest);
    let Some(Object::DaemonSet(set)) = store.object(&Key::new(Kind::DaemonSet, "default", "d")) else {
        panic!("no DaemonSet");
    };
    let template = set.spec.template.clone();
    let pressure = Toleration { key: "node.kubernetes.io/disk-pressure".into(), ..Toleration::default() };
    let of_template = &template.spec.shared.tolerations;
    let tolerations = of_template.iter().cloned().chain([pressure]).collect();
    let shared =
        SharedSpec { template: Some(template.clone()), tolerations, ..(*template.spec.shared).clone() };
    let spec = PodSpec { node_name: "node-1".into(), hostname: Name::default(), shared: Arc::new(shared) };
    for owner in [Some((Kind::DaemonSet, "d")), None] {
        let pod = Pod { metadata: named("d-x", owner), spec: spec.clone(), status: PodStatus::default() };
        put(&mut store, Object::Pod(Arc::new(pod)));
        let terms =
            "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
        check(
            &shown(&store, Kind::Pod, "default", "d-x"),
            &[
                ("/spec/tolerations/0/key", "a"),
                ("/spec/tolerations/1/key", "node.kubernetes.io/disk-pressure"),
                (terms, "[{matchFields: [{key: metadata.name, operator: In, values: [node-1]}]}]"),
            ],
        );
    }
}

#[test]
fn pods_of_controllers_are_rendered() {
    let mut store = store(SET);
    let owner = store.stored(&Key::new(Kind::StatefulSet, "default", "db")).expect("the set").uid();
    let mut pod = pod_of_set(&store);
    put(&mut store, Object::Pod(Arc::new(pod.clone())));
    let pending = shown(&store, Kind::Pod, "default", "db-0");
    assert_eq!(pending["metadata"]["ownerReferences"][0]["uid"], owner.to_string());
    check(
        &pending,
        &[
            ("/metadata/generateName", "db-"),
            ("/metadata/ownerReferences/0/apiVersion", "apps/v1"),
            ("/metadata/ownerReferences/0/controller", "true"),
            ("/spec/hostname", "db-0"),
            ("/spec/nodeName", "node-1"),
            ("/spec/volumes", "[{name: data, persistentVolumeClaim: {claimName: data-db-0}}]"),
            ("/spec/containers/0/resources/requests", "{cpu: 1, memory: 1Gi}"),
            ("/spec/tolerations/1/key", "node.kubernetes.io/unreachable"),
            ("/spec/serviceAccountName", "default"),
            ("/status/phase", "Pending"),
            ("/status/qosClass", "Guaranteed"),
            ("/status/containerStatuses/0/state", "{waiting: {reason: ContainerCreating}}"),
            ("/status/podIP", "~"),
        ],
    );
    pod.status = PodStatus {
        phase: Some(PodPhase::Running),
        ips: [[10, 0, 0, 1].into()].into_iter().collect(),
        ready: true,
        containers_ready: true,
        ready_since: Some(time("2026-11-22T12:00:09Z")),
        since: Some(time("2026-11-22T12:00:05Z")),
        restarts: 2,
        simulated: true,
        ..PodStatus::default()
    };
    put(&mut store, Object::Pod(Arc::new(pod.clone())));
    check(
        &shown(&store, Kind::Pod, "default", "db-0"),
        &[
            ("/status/phase", "Running"),
            ("/status/podIPs", "[{ip: 10.0.0.1}]"),
            ("/status/startTime", "'2026-11-22T12:00:00Z'"),
            ("/status/conditions/2/type", "Ready"),
            ("/status/conditions/2/status", "'True'"),
            ("/status/conditions/2/lastTransitionTime", "'2026-11-22T12:00:09Z'"),
            ("/status/containerStatuses/0/ready", "true"),
            ("/status/containerStatuses/0/restartCount", "2"),
            ("/status/containerStatuses/0/state", "{running: {startedAt: '2026-11-22T12:00:05Z'}}"),
            ("/status/containerStatuses/0/lastState/terminated/reason", "Error"),
        ],
    );
    pod.metadata.deletion_timestamp = Some(time("2026-11-22T12:01:00Z"));
    pod.metadata.deletion_grace_period_seconds = 30;
    (pod.status.ready, pod.status.containers_ready) = (false, false);
    put(&mut store, Object::Pod(Arc::new(pod)));
    check(
        &shown(&store, Kind::Pod, "default", "db-0"),
        &[
            ("/metadata/deletionTimestamp", "'2026-11-22T12:01:00Z'"),
            ("/metadata/deletionGracePeriodSeconds", "30"),
            ("/status/conditions/2/status", "'False'"),
            ("/status/conditions/2/message", "'containers with unready status: [db]'"),
        ],
    );
}

#[test]
fn the_status_of_a_snapshot_is_rendered() {
    let store = store(
        "{apiVersion: v1, kind: Pod, metadata: {name: a, generation: 7}, spec: {containers: [{name: c}]}, status: {phase: Running, podIP: 10.0.0.9, conditions: [], message: hello}}",
    );
    check(
        &shown(&store, Kind::Pod, "default", "a"),
        &[
            ("/status/message", "hello"),
            ("/status/podIP", "10.0.0.9"),
            ("/status/qosClass", "BestEffort"),
            ("/metadata/generation", "1"),
        ],
    );
}

#[test]
fn nodes_claims_and_events_are_rendered() {
    let mut store = store(SET);
    let node = Node {
        metadata: ObjectMeta { namespace: Name::default(), ..named("node-1", None) },
        spec: NodeSpec {
            unschedulable: true,
            taints: vec![Taint {
                key: UNREACHABLE_TAINT.into(),
                effect: "NoExecute".into(),
                time_added: Some(time(CREATED)),
                ..Taint::default()
            }],
        },
        status: NodeStatus {
            addresses: vec![[10, 1, 0, 1].into()],
            ready: ConditionStatus::Unknown,
            ready_since: Some(time("2026-11-22T12:00:40Z")),
            ..NodeStatus::default()
        },
    };
    put(&mut store, Object::Node(Arc::new(node)));
    check(
        &shown(&store, Kind::Node, "", "node-1"),
        &[
            ("/metadata/namespace", "~"),
            (
                "/spec/taints",
                "[{key: node.kubernetes.io/unreachable, effect: NoExecute, timeAdded: '2026-11-22T12:00:00Z'}]",
            ),
            ("/spec/unschedulable", "true"),
            (
                "/status/addresses",
                "[{type: InternalIP, address: 10.1.0.1}, {type: Hostname, address: node-1}]",
            ),
            ("/status/conditions/3/type", "Ready"),
            ("/status/conditions/3/status", "Unknown"),
            ("/status/conditions/3/lastTransitionTime", "'2026-11-22T12:00:40Z'"),
            ("/status/capacity/pods", "'110'"),
        ],
    );
    let Some(Object::StatefulSet(set)) = store.object(&Key::new(Kind::StatefulSet, "default", "db")) else {
        panic!("no set");
    };
    let claim = PersistentVolumeClaim {
        metadata: named("data-db-0", None),
        spec: ClaimSpec { volume_name: "pvc-1".into() },
        status: VolumeStatus { phase: "Bound".into() },
        template: set.spec.volume_claim_templates[0].given.clone(),
    };
    put(&mut store, Object::PersistentVolumeClaim(Arc::new(claim)));
    let reference = ObjectReference {
        kind: "PersistentVolumeClaim".into(),
        name: "data-db-0".into(),
        namespace: "default".into(),
    };
    let volume = PersistentVolume {
        metadata: ObjectMeta { namespace: Name::default(), ..named("pvc-1", None) },
        spec: VolumeSpec { claim_ref: Some(reference), ..VolumeSpec::default() },
        status: VolumeStatus { phase: "Bound".into() },
    };
    put(&mut store, Object::PersistentVolume(Arc::new(volume)));
    check(
        &shown(&store, Kind::PersistentVolumeClaim, "default", "data-db-0"),
        &[
            ("/metadata/finalizers", "[kubernetes.io/pvc-protection]"),
            ("/spec/volumeName", "pvc-1"),
            ("/spec/resources/requests/storage", "5Gi"),
            ("/status", "{phase: Bound, accessModes: [ReadWriteOnce], capacity: {storage: 5Gi}}"),
        ],
    );
    check(
        &shown(&store, Kind::PersistentVolume, "", "pvc-1"),
        &[
            ("/spec/capacity/storage", "5Gi"),
            ("/spec/claimRef/name", "data-db-0"),
            ("/status/phase", "Bound"),
        ],
    );
    let event = EventRecord {
        metadata: named("db.1", None),
        involved_object: ObjectReference {
            kind: "StatefulSet".into(),
            name: "db".into(),
            namespace: "default".into(),
        },
        reason: "SuccessfulCreate".into(),
        message: "create Pod db-0 in StatefulSet db successful".into(),
        event_type: "Normal".into(),
        source: EventSource { component: "statefulset-controller".into() },
        count: 1,
        first_timestamp: Some(time(CREATED)),
        last_timestamp: Some(time(CREATED)),
    };
    put(&mut store, Object::Event(Arc::new(event)));
    check(
        &shown(&store, Kind::Event, "default", "db.1"),
        &[
            ("/involvedObject/apiVersion", "apps/v1"),
            ("/involvedObject/name", "db"),
            ("/reportingComponent", "statefulset-controller"),
            ("/lastTimestamp", "'2026-11-22T12:00:00Z'"),
        ],
    );
}

#[test]
fn former_owners_are_not_rendered() {
    let text = "{apiVersion: v1, kind: Pod, metadata: {name: a, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: old, controller: true}, {apiVersion: x/v1, kind: Database, name: z, uid: theirs}]}, spec: {containers: [{name: c}]}}";
    let mut store = store(&format!("{SET}\n---\n{text}"));
    let set = store.stored(&Key::new(Kind::StatefulSet, "default", "db")).expect("the set").uid();
    let owners =
        |store: &Store| shown(store, Kind::Pod, "default", "a")["metadata"]["ownerReferences"].take();
    let theirs = json!({ "apiVersion": "x/v1", "kind": "Database", "name": "z", "uid": "theirs" });
    let ours = json!({ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": set.to_string(), "controller": true });
    assert_eq!(owners(&store), json!([ours, theirs]));
    let Some(Object::Pod(pod)) = store.object(&Key::new(Kind::Pod, "default", "a")).cloned() else {
        panic!("no pod")
    };
    let mut pod = (*pod).clone();
    pod.metadata.links.set_owners([]);
    put(&mut store, Object::Pod(Arc::new(pod)));
    assert_eq!(owners(&store), json!([theirs]));
}
