//! DaemonSets: the nodes that get a pod, and the rollout of a new template.

use std::collections::BTreeSet;
use std::time::Duration;

use clusterlocal_core::ControlPlane;
use clusterlocal_core::store::*;

use super::{ask_for, cluster, minute, pods, ready};

fn manifest(image: &str, strategy: &str, pod: &str) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: DaemonSet, metadata: {{name: agent}}, spec: {{selector: {{matchLabels: {{app: agent}}}}, \
         updateStrategy: {strategy}, template: {{metadata: {{labels: {{app: agent}}}}, spec: {{{pod} containers: [{{name: c, image: \
         {image}}}]}}}}}}}}"
    )
}

/// The nodes with a pod that is not terminating.
fn nodes(cluster: &ControlPlane) -> String {
    let live = pods(cluster).into_iter().filter(|pod| !pod.is_terminating());
    let nodes: BTreeSet<String> = live.map(|pod| pod.spec.node_name.to_string()).collect();
    nodes.into_iter().collect::<Vec<_>>().join(" ")
}

/// Strategy, minimum of ready pods, maximum of pods, on three nodes while a new template is rolled out.
#[test]
fn a_rollout_of_a_daemon_set_stays_within_the_limits_of_its_strategy() {
    let table = [
        ("{rollingUpdate: {maxUnavailable: 1}}", 2, 3),
        ("{rollingUpdate: {maxUnavailable: 2}}", 1, 3),
        ("{rollingUpdate: {maxUnavailable: 34%}}", 1, 3),
        ("{rollingUpdate: {maxUnavailable: 100%}}", 0, 3),
        ("{rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}", 3, 4),
        ("{rollingUpdate: {maxUnavailable: 0, maxSurge: 34%}}", 3, 5),
        ("{rollingUpdate: {maxUnavailable: 0, maxSurge: 3}}", 3, 6),
        // A pod is replaced only after a client deletes it.
        ("{type: OnDelete}", 3, 3),
    ];
    for (strategy, fewest, most) in table {
        let mut cluster = cluster();
        ask_for(&mut cluster, &manifest("v1", strategy, ""));
        minute(&mut cluster);
        assert_eq!(ready(&cluster), 3, "{strategy}");
        ask_for(&mut cluster, &manifest("v2", strategy, ""));
        assert_eq!(minute(&mut cluster), (fewest, most), "{strategy}");
        let set =
            cluster.store().get::<Workload>(Kind::DaemonSet, "default", "agent").expect("the DaemonSet");
        let updated = if strategy == "{type: OnDelete}" { 0 } else { 3 };
        assert_eq!((ready(&cluster), set.status.updated_replicas), (3, updated), "{strategy}");
    }
}

/// Node constraints of the template, and the nodes with a pod. Node-1 has the label, node-2 the taint.
#[test]
fn a_daemon_set_has_a_pod_on_each_node_that_admits_the_template() {
    let table = [
        ("", "node-1 node-3"),
        ("nodeSelector: {disk: ssd},", "node-1"),
        ("nodeSelector: {disk: none},", ""),
        ("tolerations: [{operator: Exists}],", "node-1 node-2 node-3"),
        ("nodeSelector: {kubernetes.io/hostname: node-3},", "node-3"),
    ];
    let mut cluster = cluster();
    ask_for(
        &mut cluster,
        "{apiVersion: v1, kind: Node, metadata: {name: node-1, labels: {disk: ssd, kubernetes.io/hostname: node-1}}}",
    );
    ask_for(
        &mut cluster,
        "{apiVersion: v1, kind: Node, metadata: {name: node-2}, spec: {taints: [{key: a, value: b, effect: NoSchedule}]}}",
    );
    for (pod, expected) in table {
        ask_for(&mut cluster, &manifest("v1", "{}", pod));
        cluster.advance(Duration::from_secs(120));
        assert_eq!(nodes(&cluster), expected, "{pod}");
    }
}

/// Image, and the revisions afterwards; the newest is that of the pods.
#[test]
fn a_former_template_gets_a_new_revision() {
    let table: [(&str, &[u64]); 4] = [("v1", &[1]), ("v2", &[1, 2]), ("v3", &[1, 2, 3]), ("v1", &[2, 3, 4])];
    let mut cluster = cluster();
    for (image, expected) in table {
        ask_for(&mut cluster, &manifest(image, "{}", ""));
        minute(&mut cluster);
        let mut revisions: Vec<_> =
            cluster.store().list_in::<ControllerRevision>(Kind::ControllerRevision, "default").collect();
        revisions.sort_by_key(|revision| revision.revision);
        assert_eq!(
            revisions.iter().map(|revision| revision.revision).collect::<Vec<_>>(),
            expected,
            "{image}"
        );
        let newest = revisions.last().expect("a revision").metadata.labels.get(REVISION_LABEL);
        let of_newest = |pod: &&std::sync::Arc<Pod>| pod.metadata.labels.get(REVISION_LABEL) == newest;
        assert_eq!(pods(&cluster).into_iter().filter(of_newest).count(), 3, "{image}");
    }
}
