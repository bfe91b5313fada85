//! Deployments, ReplicaSets and DaemonSets over time: the number of pods during a change.

mod daemons;
mod jobs;
mod proportions;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use clusterlocal_core::reconcile::Delays;
use clusterlocal_core::reconcile::delete_pod;
use clusterlocal_core::store::*;
use clusterlocal_core::{ControlPlane, Settings};

use crate::common;

fn deployment(replicas: u32, image: &str, more: &str) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web}}, spec: {{replicas: {replicas}, selector: \
         {{matchLabels: {{app: web}}}}, template: {{metadata: {{labels: {{app: web}}}}, spec: {{containers: [{{name: web, \
         image: {image}}}]}}}}{more}}}}}"
    )
}

/// A cluster whose pods take five seconds to become ready, and three to stop.
fn cluster() -> ControlPlane {
    let second = Duration::from_secs(1);
    let delays = Delays { start: Duration::ZERO, ready: 5 * second, stop: 3 * second };
    let mut cluster = ControlPlane::new(Settings { delays, ..Settings::default() });
    cluster.advance_to(Time::from_unix_millis(1_700_000_000_000));
    cluster.apply(&Objects::new());
    cluster
}

fn ask_for(cluster: &mut ControlPlane, manifest: &str) {
    cluster.request(common::objects("x.yaml", manifest).into_values().map(Change::Put).collect());
}

fn pods(cluster: &ControlPlane) -> Vec<&Arc<Pod>> {
    cluster.store().list_in::<Pod>(Kind::Pod, "default").collect()
}

fn ready(cluster: &ControlPlane) -> usize {
    pods(cluster).iter().filter(|pod| pod.status.ready && !pod.is_terminating()).count()
}

fn sets(cluster: &ControlPlane) -> Vec<(u64, u32)> {
    let sets = cluster.store().list_in::<Workload>(Kind::ReplicaSet, "default");
    let mut sets: Vec<_> = sets.map(|set| (set.revision(), set.spec.replicas.unwrap_or(1))).collect();
    sets.sort_unstable();
    sets
}

/// Advances by a minute, second by second. Returns the minimum of ready pods and the maximum of pods.
fn minute(cluster: &mut ControlPlane) -> (usize, usize) {
    let (mut fewest, mut most) = (usize::MAX, 0);
    for _ in 0..60 {
        fewest = fewest.min(ready(cluster));
        most = most.max(pods(cluster).iter().filter(|pod| !pod.is_terminating()).count());
        cluster.advance(Duration::from_secs(1));
    }
    (fewest, most)
}

/// Strategy, minimum of ready pods, maximum of pods, of four while a new template is rolled out.
#[test]
fn a_rollout_stays_within_the_limits_of_its_strategy() {
    let table = [
        ("", 3, 5),
        (", strategy: {rollingUpdate: {maxSurge: 2, maxUnavailable: 0}}", 4, 6),
        (", strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 2}}", 2, 4),
        (", strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0%}}", 3, 4),
        (", strategy: {type: Recreate}", 0, 4),
    ];
    for (strategy, fewest, most) in table {
        let mut cluster = cluster();
        ask_for(&mut cluster, &deployment(4, "v1", strategy));
        minute(&mut cluster);
        assert_eq!(ready(&cluster), 4, "{strategy}");
        ask_for(&mut cluster, &deployment(4, "v2", strategy));
        assert_eq!(minute(&mut cluster), (fewest, most), "{strategy}");
        assert_eq!((ready(&cluster), sets(&cluster)), (4, vec![(1, 0), (2, 4)]), "{strategy}");
    }
}

#[test]
fn a_former_template_gets_a_new_revision_of_its_replica_set() {
    let mut cluster = cluster();
    for image in ["v1", "v2", "v1"] {
        ask_for(&mut cluster, &deployment(2, image, ""));
        minute(&mut cluster);
    }
    assert_eq!(sets(&cluster), [(2, 0), (3, 2)], "the first ReplicaSet has revision 3");
}

#[test]
fn a_paused_deployment_is_scaled_and_not_rolled_out() {
    let mut cluster = cluster();
    ask_for(&mut cluster, &deployment(2, "v1", ""));
    minute(&mut cluster);
    ask_for(&mut cluster, &deployment(3, "v2", ", paused: true"));
    minute(&mut cluster);
    assert_eq!(sets(&cluster), [(1, 3)]);
    ask_for(&mut cluster, &deployment(3, "v2", ""));
    minute(&mut cluster);
    assert_eq!(sets(&cluster), [(1, 0), (2, 3)]);
}

#[test]
fn a_deleted_pod_is_replaced_at_once_under_another_name() {
    let mut cluster = cluster();
    ask_for(&mut cluster, &deployment(2, "v1", ""));
    minute(&mut cluster);
    let before: BTreeSet<Name> = pods(&cluster).iter().map(|pod| pod.metadata.name.clone()).collect();
    let doomed = pods(&cluster)[0].clone();
    cluster.request(vec![delete_pod(&doomed, cluster.now(), 30)]);
    assert_eq!(pods(&cluster).len(), 3, "one of them terminates");
    minute(&mut cluster);
    let after: BTreeSet<Name> = pods(&cluster).iter().map(|pod| pod.metadata.name.clone()).collect();
    assert_eq!((after.len(), before.intersection(&after).count()), (2, 1));
}

#[test]
fn pods_that_are_not_ready_are_deleted_first() {
    let mut cluster = cluster();
    ask_for(&mut cluster, &deployment(2, "v1", ""));
    minute(&mut cluster);
    let old: BTreeSet<Name> = pods(&cluster).iter().map(|pod| pod.metadata.name.clone()).collect();
    ask_for(&mut cluster, &deployment(5, "v1", ""));
    ask_for(&mut cluster, &deployment(2, "v1", ""));
    minute(&mut cluster);
    let left: BTreeSet<Name> = pods(&cluster).iter().map(|pod| pod.metadata.name.clone()).collect();
    assert_eq!(left, old);
}

#[test]
fn a_daemon_set_has_a_pod_on_each_node() {
    let mut cluster = cluster();
    let set = |image: &str| {
        format!(
            "{{apiVersion: apps/v1, kind: DaemonSet, metadata: {{name: agent}}, spec: {{selector: {{matchLabels: {{app: agent}}}}, \
             template: {{metadata: {{labels: {{app: agent}}}}, spec: {{containers: [{{name: agent, image: {image}}}]}}}}}}}}"
        )
    };
    ask_for(&mut cluster, &set("v1"));
    minute(&mut cluster);
    let on = |cluster: &ControlPlane| -> Vec<String> {
        pods(cluster)
            .iter()
            .map(|pod| pod.spec.node_name.to_string())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    };
    assert_eq!(on(&cluster), ["node-1", "node-2", "node-3"]);
    ask_for(&mut cluster, "{apiVersion: v1, kind: Node, metadata: {name: node-4}}");
    minute(&mut cluster);
    assert_eq!(on(&cluster), ["node-1", "node-2", "node-3", "node-4"]);
    ask_for(&mut cluster, &set("v2"));
    assert_eq!(minute(&mut cluster), (3, 4), "one at a time");
    ask_for(
        &mut cluster,
        "{apiVersion: v1, kind: Node, metadata: {name: node-4, annotations: {clusterlocal.dev/machine: unreachable}}}",
    );
    cluster.advance(Duration::from_secs(3600));
    assert_eq!(on(&cluster).len(), 4, "pods of a DaemonSet are not evicted");
    assert_eq!(ready(&cluster), 3);
}

#[test]
fn pods_wait_until_a_node_admits_them() {
    let mut cluster = cluster();
    for node in 1..=3 {
        let cordon = format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: node-{node}}}, spec: {{unschedulable: true}}}}"
        );
        ask_for(&mut cluster, &cordon);
    }
    ask_for(&mut cluster, &deployment(2, "v1", ""));
    minute(&mut cluster);
    assert!(
        pods(&cluster).iter().all(|pod| pod.spec.node_name.is_empty() && pod.status.ips().next().is_none())
    );
    ask_for(&mut cluster, "{apiVersion: v1, kind: Node, metadata: {name: node-2}}");
    minute(&mut cluster);
    assert!(pods(&cluster).iter().all(|pod| pod.spec.node_name == "node-2" && pod.status.ready));
}

#[test]
fn deleting_a_namespace_deletes_its_objects() {
    let mut cluster = cluster();
    ask_for(&mut cluster, "{apiVersion: v1, kind: Namespace, metadata: {name: ring}}");
    let manifest = deployment(2, "v1", "")
        .replace("name: web}, spec: {replicas", "name: web, namespace: ring}, spec: {replicas");
    ask_for(&mut cluster, &manifest);
    minute(&mut cluster);
    let mut namespace =
        (**cluster.store().get::<Namespace>(Kind::Namespace, "", "ring").expect("the Namespace")).clone();
    namespace.metadata.deletion_timestamp = Some(cluster.now());
    cluster.request(vec![Change::Put(Object::Namespace(Arc::new(namespace)))]);
    minute(&mut cluster);
    let left: Vec<_> = cluster
        .store()
        .objects()
        .map(Object::key)
        .filter(|key| key.namespace == "ring" || key.name == "ring")
        .collect();
    let left: Vec<_> = left.into_iter().filter(|key| key.kind != Kind::Event).collect();
    assert_eq!(left, []);
}

/// No client follows that many steps: pods without delays appear in one change of the DNS.
#[test]
fn many_pods_without_delays_appear_in_one_change() {
    let mut cluster = ControlPlane::new(Settings::default());
    cluster.advance_to(Time::from_unix_millis(1_700_000_000_000));
    cluster.apply(&Objects::new());
    ask_for(
        &mut cluster,
        "{apiVersion: v1, kind: Service, metadata: {name: db}, spec: {clusterIP: None, selector: {app: db}}}",
    );
    let before = cluster.trace().count();
    ask_for(
        &mut cluster,
        "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {serviceName: db, replicas: 300, selector: \
         {matchLabels: {app: db}}, template: {metadata: {labels: {app: db}}, spec: {containers: [{name: db}]}}}}",
    );
    assert_eq!(ready(&cluster), 300);
    assert_eq!(cluster.trace().count(), before + 1);
}

/// Names of pods, without the random suffix, and of their owners, sorted.
fn owned(cluster: &ControlPlane) -> Vec<(String, String)> {
    let owner = |pod: &Pod| pod.metadata.controller().map(|owner| owner.name.to_string()).unwrap_or_default();
    let base = |pod: &Pod| match pod.metadata.links.generate_name().as_str() {
        "" => pod.metadata.name.to_string(),
        prefix => prefix.to_string(),
    };
    let mut all: Vec<_> = pods(cluster).into_iter().map(|pod| (base(pod), owner(pod))).collect();
    all.sort();
    all
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |text: &str| text.split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned()));
    text.split_whitespace().filter_map(pair).collect()
}

const POD_P1: &str = "{apiVersion: v1, kind: Pod, metadata: {name: p1, labels: {app: LABEL}}, spec: {containers: [{name: c, image: i}]}}";

#[test]
fn pods_are_adopted_and_released_by_selector() {
    const TEMPLATE: &str =
        "template: {metadata: {labels: {app: r}}, spec: {containers: [{name: c, image: i}]}}";
    let sets = [
        format!(
            "{{apiVersion: apps/v1, kind: ReplicaSet, metadata: {{name: r}}, spec: {{replicas: 2, selector: {{matchLabels: {{app: r}}}}, {TEMPLATE}}}}}"
        ),
        format!(
            "{{apiVersion: v1, kind: ReplicationController, metadata: {{name: r}}, spec: {{replicas: 2, selector: {{app: r}}, {TEMPLATE}}}}}"
        ),
        format!(
            "{{apiVersion: v1, kind: ReplicationController, metadata: {{name: r}}, spec: {{replicas: 2, {TEMPLATE}}}}}"
        ),
    ];
    for set in sets {
        let mut cluster = cluster();
        // Label of the pod p1; pods with their owners.
        let table = [
            ("r", "p1:r r-:r"),
            ("x", "p1: r-:r r-:r"),
            // One pod too many: the youngest, which is not ready, is deleted.
            ("r", "p1:r r-:r"),
        ];
        ask_for(&mut cluster, &POD_P1.replace("LABEL", "other"));
        cluster.advance(Duration::from_secs(10));
        ask_for(&mut cluster, &set);
        assert_eq!(owned(&cluster), pairs("p1: r-:r r-:r"), "a pod with other labels is not adopted");
        ask_for(&mut cluster, &set.replace("replicas: 2", "replicas: 1"));
        cluster.advance(Duration::from_secs(10));
        ask_for(&mut cluster, &set);
        ask_for(&mut cluster, &set.replace("replicas: 2", "replicas: 1"));
        cluster.advance(Duration::from_secs(10));
        ask_for(&mut cluster, &POD_P1.replace("LABEL", "r"));
        ask_for(&mut cluster, &set);
        for (label, expected) in table {
            ask_for(&mut cluster, &POD_P1.replace("LABEL", label));
            cluster.advance(Duration::from_secs(20));
            assert_eq!(owned(&cluster), pairs(expected), "{label} {set}");
        }
    }
}

#[test]
fn an_indexed_job_completes() {
    let mut cluster = cluster();
    ask_for(
        &mut cluster,
        "{apiVersion: batch/v1, kind: Job, metadata: {name: ix}, spec: {completions: 3, parallelism: 2, completionMode: Indexed, \
         template: {metadata: {annotations: {clusterlocal.dev/completes: 10s}}, spec: {subdomain: ix, restartPolicy: Never, containers: [{name: c, image: i}]}}}}",
    );
    // Seconds, active, succeeded, completed indexes, complete.
    let table = [(0, 2, 0, "", false), (10, 1, 2, "0,1", false), (20, 0, 3, "0-2", true)];
    let start = cluster.now();
    for (seconds, active, succeeded, indexes, complete) in table {
        cluster.advance_to(start.after_secs(seconds));
        let job = cluster.store().get::<Workload>(Kind::Job, "default", "ix").expect("the Job");
        let facts = job.status.job.as_ref().expect("a status");
        assert_eq!(
            (job.status.replicas, facts.succeeded, facts.completed_indexes.to_string().as_str()),
            (active, succeeded, indexes),
            "after {seconds} s"
        );
        assert_eq!(job.status.conditions.holds("Complete"), complete, "after {seconds} s");
    }
    for pod in pods(&cluster) {
        let index = pod.metadata.labels.get("batch.kubernetes.io/job-completion-index").expect("an index");
        assert_eq!(pod.spec.hostname, format!("ix-{index}"));
        assert!(pod.metadata.name.starts_with(&format!("ix-{index}-")), "{}", pod.metadata.name);
        assert_eq!(pod.metadata.labels.get("job-name"), Some("ix"));
        assert!(pod.metadata.links.finalizers().is_empty(), "its end is counted");
    }
}

#[test]
fn a_failing_job_retries_with_increasing_delays() {
    let mut cluster = cluster();
    ask_for(
        &mut cluster,
        "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {backoffLimit: 1, \
         template: {metadata: {annotations: {clusterlocal.dev/fails: 5s}}, spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}",
    );
    // Seconds, failed pods, whether the Job has failed: a pod runs for 5 s, the second one 10 s after the end of the first.
    let table = [(4, 0, false), (5, 1, false), (14, 1, false), (19, 1, false), (20, 2, true)];
    let start = cluster.now();
    for (seconds, failed, over) in table {
        cluster.advance_to(start.after_secs(seconds));
        let job = cluster.store().get::<Workload>(Kind::Job, "default", "j").expect("the Job");
        let facts = job.status.job.as_ref().expect("a status");
        assert_eq!(
            (facts.failed, job.status.conditions.holds("Failed")),
            (failed, over),
            "after {seconds} s"
        );
    }
    let job = cluster.store().get::<Workload>(Kind::Job, "default", "j").expect("the Job");
    assert_eq!(job.status.conditions.get("Failed").expect("the condition").reason, "BackoffLimitExceeded");
}

#[test]
fn a_cron_job_creates_a_job_each_minute() {
    let mut cluster = cluster();
    let cron = |more: &str| {
        format!(
            "{{apiVersion: batch/v1, kind: CronJob, metadata: {{name: c}}, spec: {{schedule: '* * * * *', {more} jobTemplate: {{spec: {{template: \
             {{spec: {{restartPolicy: Never, containers: [{{name: c, image: i}}]}}}}}}}}}}}}"
        )
    };
    // Change, and the number of Jobs two minutes later.
    let table = [
        ("", 2),
        ("suspend: true,", 2),
        ("concurrencyPolicy: Forbid,", 2),
        ("concurrencyPolicy: Replace,", 1),
    ];
    for (more, jobs) in table {
        ask_for(&mut cluster, &cron(more));
        cluster.advance(Duration::from_secs(120));
        let count = cluster.store().list_in::<Workload>(Kind::Job, "default").count();
        assert_eq!(count, jobs, "{more}");
    }
    let job = cluster.store().list_in::<Workload>(Kind::Job, "default").next().expect("a Job");
    let minutes = cluster.now().unix_millis() / 60_000;
    assert_eq!(job.metadata.name, format!("c-{minutes}"));
}
