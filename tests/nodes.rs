//! Nodes that nobody hears of: which of them lose their pods, and when; and which pods stay.

mod common;

use std::time::Duration;

use clusterlocal::store::*;
use clusterlocal::{ControlPlane, Settings};

/// A cluster of so many nodes, and a pod `p-N` on each of them, with these tolerations.
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

/// The nodes that drive their pods away, by number.
fn tainted(cluster: &ControlPlane) -> String {
    let nodes = cluster.store().list::<Node>(Kind::Node);
    let tainted = nodes.filter(|node| node.has_taint(UNREACHABLE_TAINT, "NoExecute"));
    tainted
        .map(|node| node.metadata.name.trim_start_matches("node-").to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The pods that terminate, by number.
fn terminating(cluster: &ControlPlane) -> String {
    let pods = cluster.store().list_in::<Pod>(Kind::Pod, "default").filter(|pod| pod.is_terminating());
    pods.map(|pod| pod.metadata.name.trim_start_matches("p-").to_string()).collect::<Vec<_>>().join(" ")
}

#[test]
fn nodes_lose_their_pods_one_after_the_other() {
    let mut cluster = cluster(3, "[]");
    machine(&mut cluster, &[1, 2], "unreachable");
    advance(&mut cluster, 54);
    assert_eq!(tainted(&cluster), "");
    advance(&mut cluster, 1);
    assert_eq!(tainted(&cluster), "1", "after 50 s and another look");
    advance(&mut cluster, 9);
    assert_eq!(tainted(&cluster), "1");
    advance(&mut cluster, 1);
    assert_eq!(tainted(&cluster), "1 2", "one in ten seconds");
    advance(&mut cluster, 290);
    assert_eq!(terminating(&cluster), "1");
    advance(&mut cluster, 10);
    assert_eq!(terminating(&cluster), "1 2");
}

/// (nodes, how many are lost, how many of those drive their pods away)
#[test]
fn when_most_are_lost_the_fault_is_elsewhere() {
    for (nodes, lost, driving) in
        [(3, 1, 1), (3, 2, 2), (3, 3, 0), (5, 2, 2), (5, 3, 0), (6, 3, 3), (6, 4, 0)]
    {
        let mut cluster = cluster(nodes, "[]");
        let numbers: Vec<u32> = (1..=lost).collect();
        machine(&mut cluster, &numbers, "unreachable");
        advance(&mut cluster, 3600);
        let count = tainted(&cluster).split_whitespace().count();
        assert_eq!(count, driving, "{lost} of {nodes}");
        assert_eq!(terminating(&cluster).split_whitespace().count(), driving, "{lost} of {nodes}");
    }
}

#[test]
fn once_fewer_are_lost_the_others_lose_their_pods() {
    let mut cluster = cluster(3, "[]");
    machine(&mut cluster, &[1, 2, 3], "unreachable");
    advance(&mut cluster, 3600);
    assert_eq!(terminating(&cluster), "");
    machine(&mut cluster, &[3], "up");
    advance(&mut cluster, 3600);
    assert_eq!((tainted(&cluster).as_str(), terminating(&cluster).as_str()), ("1 2", "1 2"));
}

/// (tolerations, seconds after the taint, whether the pod terminates)
#[test]
fn pods_stay_as_long_as_they_put_up_with_it() {
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

/// A taint of somebody's own takes effect at once.
#[test]
fn a_taint_by_hand_drives_pods_away() {
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
