//! What a client may write into the status of a Job: `ValidateJobStatusUpdate`. Most rules hold only for what changes
//! (`getStatusValidationOptions` of `pkg/registry/batch/job/strategy.go`).

use std::collections::HashSet;

use super::indexes::{overlap, validate_indexes_format};
use crate::core::validation::metadata as core_metadata;
use crate::field::{At, Causes, Shown};
use crate::primitives::metadata;
use crate::schema::go_json;

/// `ValidateJobUpdateStatus`
pub(in crate::batch) fn validate_job_status_update(job: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    core_metadata::validate_object_meta_update(&job.at("metadata"), &before.at("metadata"), causes);
    let mut check = Check {
        spec: job.at("spec"),
        status: job.at("status"),
        old: before.at("status"),
        causes: Causes::default(),
    };
    check.counts();
    check.uncounted();
    check.conditions();
    check.finished();
    check.indexes();
    check.criteria();
    check.transitions();
    causes.append(check.causes);
}

/// A Job as it would be, and as it is.
struct Check<'o> {
    spec: At<'o>,
    status: At<'o>,
    old: At<'o>,
    causes: Causes,
}

/// `IsConditionTrue`
fn holds(status: &At<'_>, kind: &str) -> bool {
    is_condition(status, kind, "True")
}

fn is_condition(status: &At<'_>, kind: &str, is: &str) -> bool {
    let mut conditions = status.at("conditions").items();
    conditions.any(|condition| condition.at("type").text() == kind && condition.at("status").text() == is)
}

/// `IsJobFinished`
fn is_finished(status: &At<'_>) -> bool {
    holds(status, "Complete") || holds(status, "Failed")
}

impl Check<'_> {
    fn invalid(&mut self, name: &'static str, why: &str) {
        let value = self.status.at(name);
        self.causes.invalid(&value, Shown::from(value.value()), why);
    }

    fn refuse_conditions(&mut self, why: &str) {
        self.causes.invalid_without_value(&self.status.at("conditions"), why);
    }

    fn changes(&self, name: &'static str) -> bool {
        self.old.at(name).value() != self.status.at(name).value()
    }

    /// Whether the number, of which none is zero, changes.
    fn changes_count(&self, name: &'static str) -> bool {
        self.old.at(name).number() != self.status.at(name).number()
    }

    fn changes_condition(&self, kind: &str) -> bool {
        holds(&self.old, kind) != holds(&self.status, kind)
    }

    fn finishes(&self) -> bool {
        is_finished(&self.old) != is_finished(&self.status)
    }

    fn counts(&mut self) {
        for name in ["active", "succeeded", "failed", "ready", "terminating"] {
            metadata::validate_non_negative(&self.status.at(name), &mut self.causes);
        }
    }

    fn uncounted(&mut self) {
        let mut seen = HashSet::new();
        for list in ["succeeded", "failed"] {
            for uid in self.status.at("uncountedTerminatedPods").at(list).items() {
                if uid.is_empty() {
                    self.causes.invalid(&uid, "", "must not be empty");
                } else if !seen.insert(uid.text()) {
                    self.causes.duplicate(&uid, uid.text());
                }
            }
        }
    }

    fn conditions(&mut self) {
        let (complete, failed) = (holds(&self.status, "Complete"), holds(&self.status, "Failed"));
        let (completes, fails) = (self.changes_condition("Complete"), self.changes_condition("Failed"));
        let is_target = holds(&self.status, "FailureTarget");
        if (completes || fails) && complete && failed {
            self.refuse_conditions("cannot set Complete=True and Failed=true conditions");
        }
        if (completes || self.changes_condition("FailureTarget")) && complete && is_target {
            self.refuse_conditions("cannot set Complete=True and FailureTarget=true conditions");
        }
        let (completion, start) = (self.status.at("completionTime"), self.status.at("startTime"));
        if completes || self.changes("completionTime") {
            if completion.is_set() && !complete {
                let why = "cannot set completionTime when there is no Complete=True condition";
                self.invalid("completionTime", why);
            }
            if !completion.is_set() && complete {
                self.causes.required(&completion, "completionTime is required for Complete jobs");
            }
        }
        let is_earlier = completion.is_set() && start.is_set() && completion.text() < start.text();
        if is_earlier && (self.changes("startTime") || self.changes("completionTime")) {
            self.invalid("completionTime", "must be equal to or after `startTime`");
        }
        if (fails || self.changes("failedIndexes")) && failed && !is_target {
            let why = "cannot set Failed=True condition without the FailureTarget=true condition";
            self.refuse_conditions(why);
        }
        let met = self.changes_condition("SuccessCriteriaMet");
        if (completes || met) && complete && !holds(&self.status, "SuccessCriteriaMet") {
            let why = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition";
            self.refuse_conditions(why);
        }
    }

    fn finished(&mut self) {
        if !is_finished(&self.status) {
            return;
        }
        let changes_active = self.finishes() || self.changes_count("active");
        if changes_active && self.status.at("active").number() > 0 {
            self.invalid("active", "active>0 is invalid for finished job");
        }
        // `isSuspendedWithZeroCompletions`
        let is_idle =
            self.spec.at("suspend").is_true() && self.spec.at("completions").number_if_set() == Some(0);
        let start = self.status.at("startTime");
        if (self.finishes() || self.changes("startTime")) && !is_idle && !start.is_set() {
            self.causes.required(&start, "startTime is required for finished job");
        }
        let uncounted = self.status.at("uncountedTerminatedPods");
        let has_any = ["succeeded", "failed"].iter().any(|list| !uncounted.at(list).is_empty());
        if has_any && (self.finishes() || self.changes("uncountedTerminatedPods")) {
            let shown = go_json("UncountedTerminatedPods", uncounted.value());
            self.causes.invalid(&uncounted, shown, "must be empty for finished job");
        }
    }

    fn indexes(&mut self) {
        let completions = self.spec.at("completions").number_if_set();
        let has_limit = self.spec.at("backoffLimitPerIndex").is_set();
        let (completed, failed) = (self.status.at("completedIndexes"), self.status.at("failedIndexes"));
        let completed_differ = self.old.at("completedIndexes").text() != completed.text();
        let failed_differ = self.changes("failedIndexes");
        if let Some(completions) = completions {
            if completed_differ && let Err(why) = validate_indexes_format(completed.text(), completions) {
                self.invalid("completedIndexes", &format!("error parsing completedIndexes: {why}"));
            }
            if failed_differ
                && has_limit
                && let Err(why) = validate_indexes_format(failed.text(), completions)
            {
                self.invalid("failedIndexes", &format!("error parsing failedIndexes: {why}"));
            }
        }
        let is_indexed = self.spec.at("completionMode").text() == "Indexed";
        if completed_differ && !completed.is_empty() && !is_indexed {
            let why = "cannot set non-empty completedIndexes when non-indexed completion mode";
            self.invalid("completedIndexes", why);
        }
        if failed_differ && !has_limit && failed.is_set() {
            let why = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
            self.invalid("failedIndexes", why);
        }
        if (completed_differ || failed_differ)
            && let Some(completions) = completions
            && let Some(at) = overlap(completed.text(), failed.text(), completions)
        {
            let why = format!("failedIndexes and completedIndexes overlap at index: {at}");
            self.invalid("failedIndexes", &why);
        }
        let terminates = self.finishes() || self.changes("terminating");
        if terminates && is_finished(&self.status) && self.status.at("terminating").number() > 0 {
            self.invalid("terminating", "terminating>0 is invalid for finished job");
        }
        let exceeds = self.status.at("ready").number() > self.status.at("active").number();
        let has_ready = self.status.at("ready").is_set();
        if (self.changes("ready") || self.changes_count("active")) && has_ready && exceeds {
            self.invalid("ready", "cannot set more ready pods than active");
        }
    }

    fn criteria(&mut self) {
        let met = holds(&self.status, "SuccessCriteriaMet");
        if met && holds(&self.status, "Failed") {
            self.refuse_conditions("cannot set SuccessCriteriaMet=True and Failed=true conditions");
        }
        if met && holds(&self.status, "FailureTarget") {
            self.refuse_conditions("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
        }
        if self.spec.at("successPolicy").is_set() && !met && holds(&self.status, "Complete") {
            let why = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True";
            self.refuse_conditions(why);
        }
    }

    /// What a status that was written may not become any more.
    fn transitions(&mut self) {
        for kind in ["Failed", "Complete", "FailureTarget"] {
            if holds(&self.old, kind) && !holds(&self.status, kind) {
                self.refuse_conditions(&format!("cannot disable the terminal {kind}=True condition"));
            }
        }
        let spec = |name: &'static str| self.spec.at(name).number_if_set();
        let scales =
            self.spec.at("completionMode").text() == "Indexed" && spec("completions") == spec("parallelism");
        for name in ["failed", "succeeded"] {
            let number = self.status.at(name);
            if number.number() < self.old.at(name).number() && !(name == "succeeded" && scales) {
                self.causes.invalid(&number, number.number(), &format!("cannot decrease the {name} counter"));
            }
        }
        let has_both = |name: &'static str| self.old.at(name).is_set() && self.status.at(name).is_set();
        if has_both("completionTime") && self.changes("completionTime") {
            self.invalid("completionTime", "field is immutable");
        }
        let resumes = holds(&self.old, "Suspended") && is_condition(&self.status, "Suspended", "False");
        let may_start = self.spec.at("suspend").is_true() || resumes;
        if self.old.at("startTime").is_set() && self.changes("startTime") && !may_start {
            self.invalid("startTime", "field is immutable for unsuspended job once set");
        }
        let (met, is_met) =
            (holds(&self.old, "SuccessCriteriaMet"), holds(&self.status, "SuccessCriteriaMet"));
        if met && !is_met {
            self.refuse_conditions("cannot disable the SuccessCriteriaMet=True condition");
        }
        if holds(&self.old, "Complete") && !met && is_met {
            let why = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
            self.refuse_conditions(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn changes_of_the_status() {
        let complete = json!([
            { "type": "SuccessCriteriaMet", "status": "True" },
            { "type": "Complete", "status": "True" },
        ]);
        let table: [(Value, Value, &[&str]); 4] = [
            (json!({}), json!({ "active": 1, "ready": 1 }), &[]),
            (
                json!({}),
                json!({ "conditions": complete, "startTime": "2026-01-01T00:00:00Z" }),
                &["status.completionTime: Required value: completionTime is required for Complete jobs"],
            ),
            (
                json!({ "failed": 2 }),
                json!({ "failed": 1 }),
                &["status.failed: Invalid value: 1: cannot decrease the failed counter"],
            ),
            (
                json!({ "conditions": [{ "type": "FailureTarget", "status": "True" }] }),
                json!({}),
                &[
                    "status.conditions: Invalid value: cannot disable the terminal FailureTarget=True condition",
                ],
            ),
        ];
        for (before, after, expected) in table {
            let job = |status: &Value| json!({ "spec": { "completions": 1 }, "status": status });
            let mut causes = Causes::default();
            let (job, before) = (job(&after), job(&before));
            validate_job_status_update(&At::root(&job), &At::root(&before), &mut causes);
            let causes = causes.into_vec();
            let causes: Vec<String> = causes.iter().map(ToString::to_string).collect();
            assert_eq!(causes, expected, "{after}");
        }
    }
}
