//! Unreachable nodes: which of them lose their pods, and when; and which pods stay.

use std::time::Duration;

use clusterlocal_core::store::*;
use clusterlocal_core::{ControlPlane, Settings};

use crate::common;

/// A cluster with this number of nodes, and a pod `p-N` on each of them, with these tolerations.
fn cluster(nodes: u32, tolerations: &str) -> ControlPlane {
    let mut cluster = ControlPlane::new(Settings::default());
    cluster.advance_to(Time::from_unix_millis(1_700_000_000_000));
    cluster.apply(&Objects::new());
    for number in 1..=nodes {
        write(&mut cluster, &format!("{{apiVersion: v1, kind: Node, metadata: {{name: node-{number}}}}}"));
        write(
            &mut cluster,
            &format!(
                "{{apiVersion: v1, kind: Pod, metadata: {{name: p-{number}}}, spec: {{nodeName: node-{number}, \
                 tolerations: {tolerations}, containers: [{{name: c}}]}}}}"
            ),
        );
    }
    cluster
}

fn write(cluster: &mut ControlPlane, manifest: &str) {
    cluster.request(common::objects("x.yaml", manifest).into_values().map(Change::Put).collect());
}

fn machine(cluster: &mut ControlPlane, numbers: &[u32], machine: &str) {
    for number in numbers {
        let annotations = format!("{{clusterlocal.dev/machine: {machine}}}");
        let node = format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: node-{number}, annotations: {annotations}}}, spec: {{taints: []}}}}"
        );
        write(cluster, &node);
    }
}

fn advance(cluster: &mut ControlPlane, seconds: u64) {
    cluster.advance(Duration::from_secs(seconds));
}

/// The nodes with the NoExecute taint, by number.
fn tainted(cluster: &ControlPlane) -> String {
    let nodes = cluster.store().list::<Node>(Kind::Node);
    let tainted = nodes.filter(|node| node.has_taint(UNREACHABLE_TAINT, "NoExecute"));
    tainted
        .map(|node| node.metadata.name.trim_start_matches("node-").to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The terminating pods, by number.
fn terminating(cluster: &ControlPlane) -> String {
    let pods = cluster.store().list_in::<Pod>(Kind::Pod, "default").filter(|pod| pod.is_terminating());
    pods.map(|pod| pod.metadata.name.trim_start_matches("p-").to_string()).collect::<Vec<_>>().join(" ")
}

#[test]
fn unreachable_nodes_are_tainted_one_at_a_time() {
    let mut cluster = cluster(3, "[]");
    machine(&mut cluster, &[1, 2], "unreachable");
    advance(&mut cluster, 54);
    assert_eq!(tainted(&cluster), "");
    advance(&mut cluster, 1);
    assert_eq!(tainted(&cluster), "1", "after 50 s and the next check");
    advance(&mut cluster, 9);
    assert_eq!(tainted(&cluster), "1");
    advance(&mut cluster, 1);
    assert_eq!(tainted(&cluster), "1 2", "one in ten seconds");
    advance(&mut cluster, 290);
    assert_eq!(terminating(&cluster), "1");
    advance(&mut cluster, 10);
    assert_eq!(terminating(&cluster), "1 2");
}

/// Nodes, unreachable nodes, and how many of those evict their pods.
#[test]
fn no_pods_are_evicted_if_most_nodes_are_unreachable() {
    for (nodes, lost, evicting) in
        [(3, 1, 1), (3, 2, 2), (3, 3, 0), (5, 2, 2), (5, 3, 0), (6, 3, 3), (6, 4, 0)]
    {
        let mut cluster = cluster(nodes, "[]");
        let numbers: Vec<u32> = (1..=lost).collect();
        machine(&mut cluster, &numbers, "unreachable");
        advance(&mut cluster, 3600);
        let count = tainted(&cluster).split_whitespace().count();
        assert_eq!(count, evicting, "{lost} of {nodes}");
        assert_eq!(terminating(&cluster).split_whitespace().count(), evicting, "{lost} of {nodes}");
    }
}

#[test]
fn evictions_start_once_fewer_nodes_are_unreachable() {
    let mut cluster = cluster(3, "[]");
    machine(&mut cluster, &[1, 2, 3], "unreachable");
    advance(&mut cluster, 3600);
    assert_eq!(terminating(&cluster), "");
    machine(&mut cluster, &[3], "up");
    advance(&mut cluster, 3600);
    assert_eq!((tainted(&cluster).as_str(), terminating(&cluster).as_str()), ("1 2", "1 2"));
}

/// Tolerations, seconds after the taint, and whether the pod terminates.
#[test]
fn pods_stay_as_long_as_they_tolerate_the_taint() {
    let unreachable = "key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute";
    let table = [
        ("[]".to_string(), 299, false),
        ("[]".to_string(), 300, true),
        (format!("[{{{unreachable}, tolerationSeconds: 10}}]"), 9, false),
        (format!("[{{{unreachable}, tolerationSeconds: 10}}]"), 10, true),
        (format!("[{{{unreachable}, tolerationSeconds: 0}}]"), 0, true),
        (format!("[{{{unreachable}}}]"), 100_000, false),
        ("[{operator: Exists}]".to_string(), 100_000, false),
        ("[{key: other, operator: Exists, effect: NoExecute}]".to_string(), 300, true),
    ];
    for (tolerations, seconds, gone) in table {
        let mut cluster = cluster(3, &tolerations);
        machine(&mut cluster, &[2], "unreachable");
        advance(&mut cluster, 55 + seconds);
        assert_eq!(terminating(&cluster), if gone { "2" } else { "" }, "{tolerations} after {seconds} s");
    }
}

/// A taint that a client sets takes effect at once.
#[test]
fn a_taint_set_by_a_client_evicts_pods() {
    let mut cluster = cluster(3, "[]");
    let taint = "[{key: maintenance, effect: NoExecute}]";
    write(
        &mut cluster,
        &format!("{{apiVersion: v1, kind: Node, metadata: {{name: node-2}}, spec: {{taints: {taint}}}}}"),
    );
    let left: Vec<_> =
        cluster.store().list_in::<Pod>(Kind::Pod, "default").map(|pod| pod.metadata.name.as_str()).collect();
    assert_eq!(left, ["p-1", "p-3"]);
}

/// Conditions and Events of a pod on an unreachable node, before and after the eviction.
#[test]
fn an_evicted_pod_has_the_reason_in_its_conditions() {
    let unreachable = "key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute";
    let mut cluster = cluster(3, &format!("[{{{unreachable}, tolerationSeconds: 5}}]"));
    machine(&mut cluster, &[2], "unreachable");
    advance(&mut cluster, 50);
    let node = cluster.store().get::<Node>(Kind::Node, "", "node-2").expect("the node").clone();
    assert!(
        node.has_taint(UNREACHABLE_TAINT, "NoSchedule") && !node.has_taint(UNREACHABLE_TAINT, "NoExecute")
    );
    let pod = cluster.store().get::<Pod>(Kind::Pod, "default", "p-2").expect("the pod").clone();
    assert!(
        !pod.status.ready && pod.status.containers_ready && pod.status.condition(DISRUPTION_TARGET).is_none()
    );
    advance(&mut cluster, 10);
    let pod = cluster.store().get::<Pod>(Kind::Pod, "default", "p-2").expect("the pod").clone();
    let condition = pod.status.condition(DISRUPTION_TARGET).expect("the condition");
    assert!(pod.is_terminating());
    assert_eq!(
        (&*condition.status, &*condition.reason, &*condition.message),
        ("True", "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")
    );
    cluster.request(vec![Change::Delete(pod.metadata.key(Kind::Pod))]);
    let events = cluster.store().list::<EventRecord>(Kind::Event);
    let evictions = events.filter(|event| event.reason == "TaintManagerEviction");
    // An eviction that has started is not cancelled when the pod is gone.
    let messages: Vec<&str> = evictions.map(|event| event.message.as_str()).collect();
    assert_eq!(messages, ["Marking for deletion Pod default/p-2"]);
}

/// Pods of a deleted node that a finalizer keeps: phase before, phase after, and reason of the condition DisruptionTarget.
#[test]
fn the_garbage_collector_fails_pods_of_a_deleted_node() {
    let table = [
        (PodPhase::Running, PodPhase::Failed, Some("DeletionByPodGC")),
        (PodPhase::Succeeded, PodPhase::Succeeded, None),
        (PodPhase::Failed, PodPhase::Failed, None),
    ];
    for (before, after, reason) in table {
        let mut cluster = cluster(3, "[]");
        let pod = |cluster: &ControlPlane| {
            cluster.store().get::<Pod>(Kind::Pod, "default", "p-2").expect("a finalizer keeps it").clone()
        };
        let mut held = pod(&cluster);
        let changed = std::sync::Arc::make_mut(&mut held);
        changed.metadata.links.set_finalizers(vec!["example.com/hold".into()]);
        cluster.request(vec![Change::Put(Object::Pod(held.clone()))]);
        let changed = std::sync::Arc::make_mut(&mut held);
        (changed.status.phase, changed.status.ready) = (Some(before), before == PodPhase::Running);
        cluster.request_status(&Object::Pod(held));
        cluster.request(vec![Change::Delete(Key::new(Kind::Node, "", "node-2"))]);
        // The collector waits for 40 s, and checks every 20 s.
        advance(&mut cluster, 39);
        assert!(!pod(&cluster).is_terminating(), "{before:?}");
        advance(&mut cluster, 41);
        let pod = pod(&cluster);
        let target = pod.status.condition(DISRUPTION_TARGET);
        let found = target.as_ref().map(|target| (target.status.as_str(), target.reason.as_str()));
        assert_eq!(
            (pod.is_terminating(), pod.status.phase, found),
            (true, Some(after), reason.map(|reason| ("True", reason))),
            "{before:?}"
        );
    }
}

#[test]
fn a_cordoned_node_is_tainted() {
    let mut cluster = cluster(1, "[]");
    let tainted = |cluster: &ControlPlane| {
        let node = cluster.store().get::<Node>(Kind::Node, "", "node-1").expect("the node");
        node.has_taint("node.kubernetes.io/unschedulable", "NoSchedule")
    };
    let cordon = |unschedulable: bool| {
        format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: node-1}}, spec: {{unschedulable: {unschedulable}}}}}"
        )
    };
    write(&mut cluster, &cordon(true));
    assert!(tainted(&cluster));
    write(&mut cluster, &cordon(false));
    assert!(!tainted(&cluster));
}

/// After the loss of a node the replacement of a pod with required anti-affinity waits.
#[test]
fn a_replacement_waits_until_a_node_admits_it() {
    let mut cluster = ControlPlane::new(Settings { nodes: Some(3), ..Settings::default() });
    cluster.advance_to(Time::from_unix_millis(1_700_000_000_000));
    cluster.apply(&Objects::new());
    write(
        &mut cluster,
        "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {replicas: 3, serviceName: db, podManagementPolicy: \
         Parallel, selector: {matchLabels: {app: db}}, template: {metadata: {labels: {app: db}}, spec: {containers: [{name: c}], \
         affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, \
         labelSelector: {matchLabels: {app: db}}}]}}}}}}",
    );
    let phases = |cluster: &ControlPlane| {
        let pods = cluster.store().list_in::<Pod>(Kind::Pod, "default");
        pods.map(|pod| format!("{} {}", pod.metadata.name, pod.spec.node_name)).collect::<Vec<_>>()
    };
    assert_eq!(phases(&cluster), ["db-0 node-1", "db-1 node-2", "db-2 node-3"]);
    machine(&mut cluster, &[2], "off");
    advance(&mut cluster, 400);
    cluster.request(vec![Change::Delete(Key::new(Kind::Pod, "default", "db-1"))]);
    assert_eq!(phases(&cluster), ["db-0 node-1", "db-1 ", "db-2 node-3"]);
    machine(&mut cluster, &[2], "up");
    advance(&mut cluster, 60);
    assert_eq!(phases(&cluster), ["db-0 node-1", "db-1 node-2", "db-2 node-3"]);
}

/// Requested nodes, replicas, and the resulting number of nodes.
#[test]
fn the_number_of_nodes_follows_the_pods_unless_it_is_set() {
    for (nodes, replicas, expected) in [(None, 2, 3), (None, 5, 5), (Some(3), 5, 3), (Some(7), 5, 7)] {
        let mut cluster = ControlPlane::new(Settings { nodes, ..Settings::default() });
        let manifest = format!(
            "{{apiVersion: apps/v1, kind: StatefulSet, metadata: {{name: db}}, spec: {{replicas: {replicas}, serviceName: db, selector: \
             {{matchLabels: {{app: db}}}}, template: {{metadata: {{labels: {{app: db}}}}, spec: {{containers: [{{name: c}}], affinity: \
             {{podAntiAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: [{{topologyKey: kubernetes.io/hostname, labelSelector: \
             {{matchLabels: {{app: db}}}}}}]}}}}}}}}}}}}"
        );
        cluster.apply(&common::objects("db.yaml", manifest.as_str()));
        let count = cluster.store().list::<Node>(Kind::Node).count();
        let running =
            cluster.store().list_in::<Pod>(Kind::Pod, "default").filter(|pod| pod.status.ready).count();
        assert_eq!((count, running), (expected, replicas.min(expected)), "{nodes:?} {replicas}");
    }
}

/// The periods of the node controllers begin at a fixed time, so that the same steps happen at the same times.
#[test]
fn the_same_steps_take_the_same_time_in_each_run() {
    let run = || {
        let clock = clusterlocal_core::Clock::manual();
        let mut cluster = ControlPlane::new(Settings::default());
        cluster.advance_to(clock.now());
        cluster.apply(&Objects::new());
        advance(&mut cluster, 7);
        machine(&mut cluster, &[2], "unreachable");
        while tainted(&cluster).is_empty() {
            advance(&mut cluster, 1);
        }
        cluster.now()
    };
    assert_eq!(run(), run());
    assert_eq!(run().since(clusterlocal_core::MANUAL_START), Duration::from_secs(65));
}
