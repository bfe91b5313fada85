//! Jobs that are suspended, fail or succeed before all of their pods have ended, on the cluster's clock.

use std::sync::Arc;

use clusterlocal_core::ControlPlane;
use clusterlocal_core::store::*;
use serde_json::json;

use super::{ask_for, cluster, pods};

const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// A Job `j` with this `spec`, whose pods run until a test ends them.
fn manifest(spec: &str) -> String {
    format!(
        "{{apiVersion: batch/v1, kind: Job, metadata: {{name: j}}, spec: {{{spec}, template: {{spec: {{restartPolicy: Never, \
         containers: [{{name: c, image: i}}]}}}}}}}}"
    )
}

fn job(cluster: &ControlPlane) -> &Workload {
    cluster.store().get::<Workload>(Kind::Job, "default", "j").expect("the Job")
}

/// Type and reason of the condition that ended the Job; empty until then.
fn end_of(cluster: &ControlPlane) -> String {
    let conditions = &job(cluster).status.conditions;
    let ends = ["Complete", "Failed"].into_iter().filter(|kind| conditions.holds(kind));
    ends.filter_map(|kind| conditions.get(kind)).map(|end| format!("{} {}", end.kind, end.reason)).collect()
}

/// Pods that run and are not terminating.
fn active(cluster: &ControlPlane) -> Vec<Arc<Pod>> {
    let live = |pod: &&Arc<Pod>| !pod.is_terminal() && !pod.is_terminating();
    pods(cluster).into_iter().filter(live).cloned().collect()
}

/// Records the end of a pod in its status, as its kubelet does: the exit code of its container, and conditions that are
/// true.
fn end(cluster: &mut ControlPlane, pod: &Pod, code: i32, conditions: &[&str]) {
    let mut pod = pod.clone();
    let conditions: Vec<_> =
        conditions.iter().map(|kind| json!({ "type": kind, "status": "True" })).collect();
    let state = json!({ "terminated": { "exitCode": code } });
    let status = json!({ "conditions": conditions, "containerStatuses": [{ "name": "c", "state": state }] });
    pod.status.phase = Some(if code == 0 { PodPhase::Succeeded } else { PodPhase::Failed });
    (pod.status.ready, pod.status.containers_ready) = (false, false);
    pod.status.details_mut().written = Some(Given::from(status));
    cluster.request_status(&Object::Pod(Arc::new(pod)));
}

/// Ends the running pod of an index.
fn end_index(cluster: &mut ControlPlane, index: u32, code: i32) {
    let index = index.to_string();
    let of_index = |pod: &Arc<Pod>| pod.metadata.labels.get(INDEX) == Some(&index);
    let pod = active(cluster).into_iter().find(of_index).expect("a pod of the index");
    end(cluster, &pod, code, &[]);
}

/// Seconds, suspended, active pods, the condition Suspended, whether there is a start time.
#[test]
fn a_suspended_job_has_no_pods_and_starts_again_when_resumed() {
    let mut cluster = cluster();
    let table = [
        (0, true, 0, "True JobSuspended", false),
        (10, false, 2, "False JobResumed", true),
        (25, true, 0, "True JobSuspended", false),
        // The deadline counts from the new start.
        (60, false, 2, "False JobResumed", true),
        (79, false, 2, "False JobResumed", true),
    ];
    let spec = |suspend: bool| {
        manifest(&format!("parallelism: 2, completions: 2, activeDeadlineSeconds: 20, suspend: {suspend}"))
    };
    let begin = cluster.now();
    for (seconds, suspended, count, condition, started) in table {
        cluster.advance_to(begin.after_secs(seconds));
        ask_for(&mut cluster, &spec(suspended));
        let status = &job(&cluster).status;
        let shown = status.conditions.get("Suspended").expect("the condition");
        let shown = format!("{} {}", shown.status.as_str(), shown.reason);
        let start = status.job.as_ref().and_then(|facts| facts.start_time);
        assert_eq!(
            (active(&cluster).len(), shown.as_str(), start.is_some()),
            (count, condition, started),
            "after {seconds} s"
        );
        assert_eq!(end_of(&cluster), "", "after {seconds} s");
    }
    cluster.advance_to(begin.after_secs(90));
    assert_eq!((end_of(&cluster).as_str(), active(&cluster).len()), ("Failed DeadlineExceeded", 0));
}

/// Seconds after the end of the Job, its TTL, whether it exists.
#[test]
fn a_finished_job_is_deleted_after_its_ttl() {
    let table = [(0, 0, false), (9, 10, true), (10, 10, false)];
    for (seconds, ttl, there) in table {
        for code in [0, 1] {
            let mut cluster = cluster();
            ask_for(&mut cluster, &manifest(&format!("backoffLimit: 0, ttlSecondsAfterFinished: {ttl}")));
            let pod = active(&cluster).remove(0);
            end(&mut cluster, &pod, code, &[]);
            cluster.advance_to(cluster.now().after_secs(seconds));
            let found = cluster.store().get::<Workload>(Kind::Job, "default", "j").is_some();
            assert_eq!(found, there, "{seconds} s of {ttl}, exit code {code}");
        }
    }
}

/// Each index has its own limit: limit, maximum of failed indexes, pods that end with index and exit code, failed indexes,
/// the end of the Job.
#[test]
fn each_index_has_its_own_backoff_limit() {
    type Ends = &'static [(u32, i32)];
    let table: [(u32, &str, Ends, &str, &str); 5] = [
        (1, "", &[(1, 1)], "", ""),
        (1, "", &[(1, 1), (1, 1)], "1", ""),
        (1, "", &[(1, 1), (1, 1), (0, 0), (2, 0)], "1", "Failed FailedIndexes"),
        (0, "", &[(0, 0), (2, 0), (1, 0)], "", "Complete CompletionsReached"),
        (0, ", maxFailedIndexes: 1", &[(0, 1), (2, 1)], "0,2", "Failed MaxFailedIndexesExceeded"),
    ];
    for (limit, most, ends, failed, expected) in table {
        let mut cluster = cluster();
        ask_for(
            &mut cluster,
            &manifest(&format!(
                "parallelism: 3, completions: 3, completionMode: Indexed, backoffLimitPerIndex: {limit}{most}"
            )),
        );
        for (index, code) in ends {
            end_index(&mut cluster, *index, *code);
            cluster.advance_to(cluster.now().after_secs(30));
        }
        let facts = job(&cluster).status.job.as_ref().expect("a status");
        let indexes = facts.failed_indexes.as_ref().map(ToString::to_string);
        assert_eq!(
            (indexes.as_deref(), end_of(&cluster).as_str()),
            (Some(failed), expected),
            "{limit}{most} {ends:?}"
        );
    }
}

/// Rule, exit code, conditions, pods that count as failed, whether another pod runs, the end of the Job.
type Failure<'a> = (&'a str, i32, &'a [&'a str], u32, bool, &'a str);

#[test]
fn a_failed_pod_is_handled_by_the_pod_failure_policy() {
    const DISRUPTED: &str = "onPodConditions: [{type: DisruptionTarget, status: 'True'}]";
    const OTHER: &str = "onPodConditions: [{type: DisruptionTarget, status: 'False'}]";
    let table: &[Failure<'_>] = &[
        (
            "action: FailJob, onExitCodes: {operator: In, values: [42]}",
            42,
            &[],
            1,
            false,
            "Failed PodFailurePolicy",
        ),
        ("action: FailJob, onExitCodes: {operator: In, values: [42]}", 1, &[], 1, true, ""),
        (
            "action: FailJob, onExitCodes: {operator: NotIn, values: [42]}",
            1,
            &[],
            1,
            false,
            "Failed PodFailurePolicy",
        ),
        ("action: FailJob, onExitCodes: {operator: NotIn, values: [42]}", 42, &[], 1, true, ""),
        (
            "action: FailJob, onExitCodes: {containerName: c, operator: In, values: [42]}",
            42,
            &[],
            1,
            false,
            "Failed PodFailurePolicy",
        ),
        (
            "action: FailJob, onExitCodes: {containerName: other, operator: In, values: [42]}",
            42,
            &[],
            1,
            true,
            "",
        ),
        ("action: Ignore, onExitCodes: {operator: In, values: [42]}", 42, &[], 0, true, ""),
        ("action: Count, onExitCodes: {operator: In, values: [42]}", 42, &[], 1, true, ""),
        (&format!("action: Ignore, {DISRUPTED}"), 1, &["DisruptionTarget"], 0, true, ""),
        (&format!("action: Ignore, {DISRUPTED}"), 1, &[], 1, true, ""),
        (
            &format!("action: FailJob, {DISRUPTED}"),
            1,
            &["DisruptionTarget"],
            1,
            false,
            "Failed PodFailurePolicy",
        ),
        (&format!("action: FailJob, {OTHER}"), 1, &["DisruptionTarget"], 1, true, ""),
    ];
    for (rule, code, conditions, failed, again, expected) in table {
        let mut cluster = cluster();
        ask_for(
            &mut cluster,
            &manifest(&format!("backoffLimit: 3, podFailurePolicy: {{rules: [{{{rule}}}]}}")),
        );
        let pod = active(&cluster).remove(0);
        end(&mut cluster, &pod, *code, conditions);
        cluster.advance_to(cluster.now().after_secs(30));
        let count = job(&cluster).status.job.as_ref().expect("a status").failed;
        assert_eq!(
            (count, !active(&cluster).is_empty(), end_of(&cluster).as_str()),
            (*failed, *again, *expected),
            "{rule} {code} {conditions:?}"
        );
    }
}

/// Rules, indexes that succeed, and the message of the condition SuccessCriteriaMet.
#[test]
fn a_job_succeeds_as_soon_as_a_rule_of_its_success_policy_is_met() {
    let table: [(&str, &[u32], &str); 8] = [
        ("{succeededIndexes: '0'}", &[1, 2], ""),
        ("{succeededIndexes: '0'}", &[1, 0], "Matched rules at index 0"),
        ("{succeededIndexes: '0-2,4'}", &[0, 1, 2], ""),
        ("{succeededIndexes: '0-2,4'}", &[0, 4, 1, 2], "Matched rules at index 0"),
        ("{succeededIndexes: '0-2,4', succeededCount: 2}", &[3, 4, 1], "Matched rules at index 0"),
        ("{succeededCount: 3}", &[3, 4], ""),
        ("{succeededCount: 3}", &[3, 4, 0], "Matched rules at index 0"),
        ("{succeededIndexes: '0'}, {succeededCount: 2}", &[3, 4], "Matched rules at index 1"),
    ];
    for (rules, succeeded, expected) in table {
        let mut cluster = cluster();
        let spec = format!(
            "parallelism: 5, completions: 5, completionMode: Indexed, successPolicy: {{rules: [{rules}]}}"
        );
        ask_for(&mut cluster, &manifest(&spec));
        for index in succeeded {
            end_index(&mut cluster, *index, 0);
        }
        cluster.advance_to(cluster.now().after_secs(60));
        let conditions = &job(&cluster).status.conditions;
        let met = conditions.get("SuccessCriteriaMet").map_or("", |condition| &condition.message);
        let end = if expected.is_empty() { "" } else { "Complete SuccessPolicy" };
        let left = if expected.is_empty() { 5 - succeeded.len() } else { 0 };
        assert_eq!(
            (met, end_of(&cluster).as_str(), active(&cluster).len()),
            (expected, end, left),
            "[{rules}] {succeeded:?}"
        );
    }
}

#[test]
fn pods_of_an_indexed_job_have_the_hostname_of_their_index() {
    let mut cluster = cluster();
    ask_for(&mut cluster, &manifest("parallelism: 3, completions: 5, completionMode: Indexed"));
    end_index(&mut cluster, 1, 1);
    end_index(&mut cluster, 0, 0);
    cluster.advance_to(cluster.now().after_secs(30));
    let mut names: Vec<_> = active(&cluster).iter().map(|pod| pod.spec.hostname.to_string()).collect();
    names.sort();
    assert_eq!(names, ["j-1", "j-2", "j-3"], "the failed index again, and the next one");
    for pod in active(&cluster) {
        let index = pod.metadata.labels.get(INDEX).expect("an index");
        assert_eq!(
            (pod.spec.hostname.as_str(), pod.metadata.annotations.get(INDEX)),
            (&*format!("j-{index}"), Some(index))
        );
    }
}
