//! Files together with requests: a change of a file is applied, changes by clients otherwise stay; and a snapshot is the
//! initial state of a cluster until a client changes it.

use std::sync::Arc;

use clusterlocal_core::answer::Order;
use clusterlocal_core::reconcile::delete_pod;
use clusterlocal_core::store::*;
use clusterlocal_core::{ControlPlane, Settings};
use hickory_proto::op::Message;

use crate::common;

const SERVICE: &str =
    "{apiVersion: v1, kind: Service, metadata: {name: db}, spec: {clusterIP: None, selector: {app: db}}}";

fn set(replicas: u32, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: db}}\nspec:\n  serviceName: db\n  replicas: {replicas}\n  \
         selector: {{matchLabels: {{app: db}}}}\n  template:\n    metadata: {{labels: {{app: db}}}}\n    spec: {{containers: \
         [{{name: db, image: {image}}}]}}\n"
    )
}

fn cluster(manifests: &[String]) -> ControlPlane {
    let mut cluster = ControlPlane::new(Settings::default());
    cluster.advance_to(Time::from_unix_millis(1_700_000_000_000));
    save(&mut cluster, manifests);
    cluster
}

fn save(cluster: &mut ControlPlane, manifests: &[String]) {
    cluster.apply(&common::objects("cluster.yaml", manifests.join("\n---\n")));
}

/// Writes a changed object, as a client that has read it does.
fn write(cluster: &mut ControlPlane, kind: Kind, name: &str, change: impl FnOnce(&mut serde_json::Value)) {
    let key = Key::new(kind, "default", name);
    let given = cluster
        .store()
        .object(&key)
        .and_then(|object| object.metadata().given.clone())
        .expect("the object as it was written");
    let mut json = given.json().clone();
    change(&mut json);
    let objects = common::objects("request.json", json.to_string());
    cluster.request(objects.into_values().map(Change::Put).collect());
}

fn pods(cluster: &ControlPlane) -> String {
    let names = cluster.store().list_in::<Pod>(Kind::Pod, "default").map(|pod| pod.metadata.name.to_string());
    names.collect::<Vec<_>>().join(" ")
}

fn answers(cluster: &ControlPlane, question: &str) -> usize {
    let zone = cluster.published().load().clone();
    let reply = common::Asked::parse(question).ask(&zone, Order::Stable);
    Message::from_vec(&reply).expect("a message").answers.len()
}

#[test]
fn fields_a_file_does_not_change_keep_the_clients_values() {
    let mut cluster = cluster(&[SERVICE.into(), set(2, "v1")]);
    write(&mut cluster, Kind::StatefulSet, "db", |json| json["spec"]["replicas"] = 4.into());
    assert_eq!(pods(&cluster), "db-0 db-1 db-2 db-3");
    let published = SERVICE.replace("clusterIP: None", "clusterIP: None, publishNotReadyAddresses: true");
    save(&mut cluster, &[published, set(2, "v1")]);
    assert_eq!(pods(&cluster), "db-0 db-1 db-2 db-3", "the file has another value, but it did not change");
}

#[test]
fn fields_that_a_file_changes_are_set_and_others_stay() {
    let mut cluster = cluster(&[SERVICE.into(), set(2, "v1")]);
    write(&mut cluster, Kind::StatefulSet, "db", |json| {
        json["spec"]["replicas"] = 4.into();
        json["spec"]["podManagementPolicy"] = "Parallel".into();
        json["metadata"]["labels"] = serde_json::json!({"tier": "store"});
    });
    save(&mut cluster, &[SERVICE.into(), set(2, "v2")]);
    assert_eq!(pods(&cluster), "db-0 db-1", "the file sets the replicas");
    let set = cluster.store().get::<StatefulSet>(Kind::StatefulSet, "default", "db").expect("the set");
    assert_eq!(set.metadata.labels.get("tier"), Some("store"));
    assert_eq!(set.spec.pod_management_policy, PodManagementPolicy::Parallel);
    let image = set
        .metadata
        .given
        .as_ref()
        .map(|given| given.json()["spec"]["template"]["spec"]["containers"][0]["image"].clone());
    assert_eq!(image, Some("v2".into()));
    assert_eq!(set.status.updated_replicas, 2, "the image was rolled out");
}

#[test]
fn objects_removed_from_a_file_are_deleted_and_no_others() {
    let mut cluster = cluster(&[SERVICE.into(), set(2, "v1")]);
    let other = "{apiVersion: v1, kind: Service, metadata: {name: other}, spec: {ports: [{port: 80}]}}";
    cluster.request(common::objects("request.yaml", other).into_values().map(Change::Put).collect());
    save(&mut cluster, &[SERVICE.into()]);
    assert_eq!(pods(&cluster), "");
    assert_eq!(answers(&cluster, "other.default.svc.cluster.local A"), 1);
    assert_eq!(answers(&cluster, "db.default.svc.cluster.local A"), 0);
}

/// A snapshot of a cluster, taken while db-1 did not exist.
const SNAPSHOT: &str = "
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: db}
  spec: {clusterIP: None, selector: {app: db}}
- apiVersion: v1
  kind: Pod
  metadata:
    name: db-0
    labels: {app: db}
    ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: x, controller: true}]
  spec: {hostname: db-0, subdomain: db, nodeName: node-1, containers: [{name: db}]}
  status: {phase: Running, podIP: 10.244.0.5, conditions: [{type: Ready, status: 'True'}]}
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata:
    name: db-x
    labels: {kubernetes.io/service-name: db, endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io}
  addressType: IPv4
  ports: []
  endpoints: [{addresses: [10.244.0.5], hostname: db-0, conditions: {ready: true}}]
";

#[test]
fn a_snapshot_is_unchanged_until_a_client_writes() {
    let mut cluster = cluster(&[SNAPSHOT.into(), set(2, "v1")]);
    cluster.advance(std::time::Duration::from_secs(3600));
    assert_eq!(pods(&cluster), "db-0", "db-1 did not exist");
    write(&mut cluster, Kind::StatefulSet, "db", |json| json["spec"]["replicas"] = 3.into());
    assert_eq!(pods(&cluster), "db-0 db-1 db-2");
    assert_eq!(answers(&cluster, "db.default.svc.cluster.local A"), 3, "the endpoints follow the pods");
    assert_eq!(answers(&cluster, "db-0.db.default.svc.cluster.local A"), 1);
    let recorded = cluster.store().get::<Pod>(Kind::Pod, "default", "db-0").expect("the pod").clone();
    cluster.request(vec![delete_pod(&recorded, cluster.now(), 30)]);
    let replaced: &Arc<Pod> = cluster.store().get::<Pod>(Kind::Pod, "default", "db-0").expect("the new pod");
    assert_ne!(replaced.status.ips, recorded.status.ips);
    assert_eq!(answers(&cluster, "db.default.svc.cluster.local A"), 3);
}
