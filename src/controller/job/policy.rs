//! What failed pods mean to a Job (pod_failure_policy.go), and how often containers may be restarted.

use super::Sync;
use crate::store::{ExitCodeOperator, Pod, PodFailureAction, PodFailureRule, PodPhase};

/// The exit code of the containers of a pod that failed here.
const EXIT_CODE: i32 = 1;

impl Sync<'_> {
    /// Why the pod failure policy fails the Job now (getFailJobMessage).
    pub(super) fn policy_failure(&self) -> Option<String> {
        let rules = &self.job.spec.pod_failure_policy.rules;
        if rules.is_empty() {
            return None;
        }
        let failed = self.pods.iter().filter(|pod| pod.status.phase == Some(PodPhase::Failed));
        failed.into_iter().find_map(|pod| {
            let (at, rule) = matching(rules, pod)?;
            (rule.action == PodFailureAction::FailJob).then(|| message(pod, at, rule))
        })
    }

    /// What the policy makes of a failed pod; none where no rule matches.
    pub(super) fn policy_action(&self, pod: &Pod) -> Option<PodFailureAction> {
        let rules = &self.job.spec.pod_failure_policy.rules;
        matching(rules, pod).map(|(_, rule)| rule.action)
    }

    /// Whether containers that are started again have failed too often (pastBackoffLimitOnFailure).
    pub(super) fn restarts_exceed(&self, limit: u32) -> bool {
        if crate::kubelet::restart_policy(&self.job.spec.template) != "OnFailure" {
            return false;
        }
        let there = self.pods.iter().filter(|pod| !pod.is_terminal());
        let restarts = there.map(|pod| pod.status.restarts).sum::<u32>();
        if limit == 0 { restarts > 0 } else { restarts >= limit }
    }
}

/// The first rule that matches a pod, with its place.
fn matching<'r>(rules: &'r [PodFailureRule], pod: &Pod) -> Option<(usize, &'r PodFailureRule)> {
    rules.iter().enumerate().find(|(_, rule)| {
        let by_code = rule.on_exit_codes.as_ref().is_some_and(|codes| {
            let mut containers = pod.spec.shared.containers.iter();
            let named = containers
                .any(|container| codes.container_name.as_ref().is_none_or(|n| *n == container.name));
            let listed = codes.values.contains(&EXIT_CODE);
            named && (codes.operator == ExitCodeOperator::In) == listed
        });
        by_code || rule.on_pod_conditions.iter().any(|pattern| has_condition(pod, &pattern.kind))
    })
}

/// Whether a pod has a condition: one that a controller here sets when it evicts.
fn has_condition(pod: &Pod, kind: &str) -> bool {
    kind == "DisruptionTarget" && pod.status.phase == Some(PodPhase::Failed) && pod.is_terminating()
}

fn message(pod: &Pod, at: usize, rule: &PodFailureRule) -> String {
    let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
    if rule.on_exit_codes.is_some() {
        let container = pod.spec.shared.containers.first().map_or("", |container| container.name.as_str());
        return format!(
            "Container {container} for pod {namespace}/{name} failed with exit code {EXIT_CODE} matching FailJob rule at index {at}"
        );
    }
    let kind = rule.on_pod_conditions.first().map_or("", |pattern| pattern.kind.as_str());
    format!("Pod {namespace}/{name} has condition {kind} matching FailJob rule at index {at}")
}
