//! The pod failure policy of a Job (pod_failure_policy.go), and its limit of container restarts.

use serde_json::Value;

use super::Sync;
use crate::store::{
    ExitCodeOperator, Name, OnExitCodes, OnPodCondition, Pod, PodFailureAction, PodFailureRule, PodPhase,
};

/// The exit code of containers of a failed pod, unless a client wrote another.
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
            let (at, rule, found) = matching(rules, pod)?;
            (rule.action == PodFailureAction::FailJob).then(|| message(pod, at, &found))
        })
    }

    /// The action of the policy for a failed pod; `None` if no rule matches.
    pub(super) fn policy_action(&self, pod: &Pod) -> Option<PodFailureAction> {
        let rules = &self.job.spec.pod_failure_policy.rules;
        matching(rules, pod).map(|(_, rule, _)| rule.action)
    }

    /// Whether restarted containers have failed too often (pastBackoffLimitOnFailure).
    pub(super) fn restarts_exceed(&self, limit: u32) -> bool {
        if crate::kubelet::restart_policy(&self.job.spec.template) != "OnFailure" {
            return false;
        }
        let there = self.pods.iter().filter(|pod| !pod.is_terminal());
        let restarts = there.map(|pod| pod.status.restarts).sum::<u32>();
        if limit == 0 { restarts > 0 } else { restarts >= limit }
    }
}

/// The first rule that matches a failed pod, its index, and what it matched.
fn matching<'r>(rules: &'r [PodFailureRule], pod: &Pod) -> Option<(usize, &'r PodFailureRule, Match)> {
    rules.iter().enumerate().find_map(|(at, rule)| {
        let found = match &rule.on_exit_codes {
            Some(codes) => exits(pod).into_iter().find(|exit| matches_exit(codes, exit)).map(Match::Exit)?,
            None => {
                let holds = |pattern: &&OnPodCondition| has_condition(pod, pattern);
                Match::Condition(rule.on_pod_conditions.iter().find(holds)?.kind.clone())
            }
        };
        Some((at, rule, found))
    })
}

/// The part of a failed pod that a rule matched.
enum Match {
    Exit(Exit),
    /// The type of a condition.
    Condition(Name),
}

/// A container that has ended with an error.
struct Exit {
    container: Name,
    code: i32,
}

/// The exit codes of containers that ended with an error, init containers last: from the pod's status if a client wrote
/// it, otherwise the same code for all containers.
fn exits(pod: &Pod) -> Vec<Exit> {
    let Some(written) = pod.status.written() else {
        let containers = pod.spec.shared.containers.iter();
        return containers.map(|it| Exit { container: it.name.clone(), code: EXIT_CODE }).collect();
    };
    let lists = ["containerStatuses", "initContainerStatuses"].into_iter();
    let statuses = lists.filter_map(|list| written[list].as_array()).flatten();
    let exit = |status: &Value| {
        let code = i32::try_from(status.pointer("/state/terminated/exitCode")?.as_i64()?).ok()?;
        let container = status["name"].as_str().unwrap_or_default().into();
        (code != 0).then_some(Exit { container, code })
    };
    statuses.filter_map(exit).collect()
}

/// Whether a rule matches the exit code of a container (getMatchingContainerFromList).
fn matches_exit(codes: &OnExitCodes, exit: &Exit) -> bool {
    let named = codes.container_name.as_ref().is_none_or(|name| *name == exit.container);
    named && (codes.operator == ExitCodeOperator::In) == codes.values.contains(&exit.code)
}

/// Whether a pod has a condition with the status of a rule (matchOnPodConditions).
fn has_condition(pod: &Pod, pattern: &OnPodCondition) -> bool {
    let status = if pattern.status.is_empty() { "True" } else { pattern.status.as_str() };
    pod.status.condition(&pattern.kind).is_some_and(|condition| condition.status == status)
}

fn message(pod: &Pod, at: usize, found: &Match) -> String {
    let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
    match found {
        Match::Exit(Exit { container, code }) => format!(
            "Container {container} for pod {namespace}/{name} failed with exit code {code} matching FailJob rule at index {at}"
        ),
        Match::Condition(kind) => {
            format!("Pod {namespace}/{name} has condition {kind} matching FailJob rule at index {at}")
        }
    }
}
