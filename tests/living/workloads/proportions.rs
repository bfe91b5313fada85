//! A Deployment that is scaled while its rollout is stuck: the ReplicaSets are scaled in proportion.

use std::time::Duration;

use clusterlocal_core::store::*;
use clusterlocal_core::{ControlPlane, Settings};

use super::ask_for;

/// Ten pods of a Deployment whose next template no node admits.
fn stuck(strategy: &str) -> ControlPlane {
    let mut cluster = ControlPlane::new(Settings::default());
    cluster.advance_to(Time::from_unix_millis(1_700_000_000_000));
    cluster.apply(&Objects::new());
    ask_for(&mut cluster, &manifest(10, strategy, "", ""));
    ask_for(&mut cluster, &manifest(10, strategy, "nodeSelector: {disk: none},", ""));
    cluster
}

fn manifest(replicas: u32, strategy: &str, pod: &str, more: &str) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web}}, spec: {{replicas: {replicas}, strategy: {{rollingUpdate: \
         {strategy}}}, selector: {{matchLabels: {{app: web}}}}, template: {{metadata: {{labels: {{app: web}}}}, spec: {{{pod} containers: \
         [{{name: web, image: i}}]}}}}{more}}}}}"
    )
}

/// Of the old and the new ReplicaSet: requested replicas, and available ones.
fn sizes(cluster: &ControlPlane) -> Vec<(u32, u32)> {
    let mut sets: Vec<_> = cluster.store().list_in::<Workload>(Kind::ReplicaSet, "default").collect();
    sets.sort_by_key(|set| set.revision());
    sets.iter().map(|set| (set.replicas(), set.status.available_replicas)).collect()
}

/// Type and reason of each condition that is true.
fn true_conditions(cluster: &ControlPlane) -> Vec<String> {
    let web = cluster.store().get::<Workload>(Kind::Deployment, "default", "web").expect("the Deployment");
    let held = web.status.conditions.iter().filter(|condition| condition.status == ConditionStatus::True);
    held.map(|condition| format!("{} {}", condition.kind, condition.reason)).collect()
}

/// ReplicaSets of 8 and 5 pods, or 5 and 5, after the Deployment is scaled from 10, as by kube-controller-manager 1.36. The
/// remainder goes to the largest, and then the rollout continues as far as possible.
#[test]
fn replica_sets_are_scaled_in_proportion() {
    const SURGE: &str = "{maxSurge: 3, maxUnavailable: 2}";
    const NO_SURGE: &str = "{maxSurge: 0, maxUnavailable: 5}";
    // Strategy, replicas, (requested, available) of each ReplicaSet.
    let table = [
        (SURGE, 10, [(8, 8), (5, 0)]),
        (SURGE, 20, [(14, 14), (9, 0)]),
        (SURGE, 12, [(9, 9), (6, 0)]),
        (SURGE, 7, [(5, 5), (5, 0)]),
        (SURGE, 1, [(0, 0), (1, 0)]),
        (SURGE, 0, [(0, 0), (0, 0)]),
        (NO_SURGE, 10, [(5, 5), (5, 0)]),
        (NO_SURGE, 20, [(10, 10), (10, 0)]),
        (NO_SURGE, 12, [(6, 6), (6, 0)]),
        (NO_SURGE, 7, [(2, 2), (5, 0)]),
        (NO_SURGE, 1, [(0, 0), (1, 0)]),
    ];
    for (strategy, replicas, expected) in table {
        let mut cluster = stuck(strategy);
        ask_for(&mut cluster, &manifest(replicas, strategy, "nodeSelector: {disk: none},", ""));
        assert_eq!(sizes(&cluster), expected, "{strategy} {replicas}");
    }
}

/// While the status of an old ReplicaSet still has the pods from before it was scaled, no more are taken from it
/// (cleanupUnhealthyReplicas): otherwise all of them would be deleted.
#[test]
fn a_replica_set_is_scaled_in_again_only_after_its_status_is_updated() {
    const SURGE: &str = "{maxSurge: 3, maxUnavailable: 2}";
    let mut cluster = stuck(SURGE);
    for (replicas, expected) in [(20, [(14, 14), (9, 0)]), (5, [(3, 3), (5, 0)])] {
        ask_for(&mut cluster, &manifest(replicas, SURGE, "nodeSelector: {disk: none},", ""));
        assert_eq!(sizes(&cluster), expected, "{replicas}");
    }
    assert_eq!(
        true_conditions(&cluster),
        ["Available MinimumReplicasAvailable", "Progressing ReplicaSetUpdated"]
    );
}

/// Replicas; requested and available ones of each ReplicaSet; the conditions that are true.
type Step<'a> = (u32, [(u32, u32); 2], &'a [&'a str]);

/// A paused rollout is scaled but does not progress, and its conditions state so.
#[test]
fn a_paused_rollout_is_scaled_in_proportion() {
    const SURGE: &str = "{maxSurge: 3, maxUnavailable: 2}";
    let mut cluster = stuck(SURGE);
    let table: [Step<'_>; 2] =
        [(20, [(14, 14), (9, 0)], &[]), (5, [(5, 5), (3, 0)], &["Available MinimumReplicasAvailable"])];
    for (replicas, expected, conditions) in table {
        ask_for(&mut cluster, &manifest(replicas, SURGE, "nodeSelector: {disk: none},", ", paused: true"));
        cluster.advance(Duration::from_secs(3600));
        assert_eq!(sizes(&cluster), expected, "{replicas}");
        assert_eq!(true_conditions(&cluster), conditions, "{replicas}");
    }
    let web = cluster.store().get::<Workload>(Kind::Deployment, "default", "web").expect("the Deployment");
    let progressing = web.status.conditions.get("Progressing").expect("the condition");
    let (status, reason) = (progressing.status, progressing.reason.as_str());
    assert_eq!(
        (status, reason),
        (ConditionStatus::Unknown, "DeploymentPaused"),
        "the deadline does not apply"
    );
}
