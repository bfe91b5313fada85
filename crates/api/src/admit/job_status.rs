//! What a client may write into the status of a Job (`pkg/apis/batch/validation`, ValidateJobStatusUpdate; for which changes:
//! `pkg/registry/batch/job/strategy.go`, getStatusValidationOptions).

use std::collections::HashSet;

use serde_json::{Value, json};

use super::words::{duplicate, invalid, required};
use super::{Cause, jobs, policies};
use crate::schema::field;

/// A Job as it would be, and as it is.
struct Check<'a> {
    before: &'a Value,
    after: &'a Value,
    causes: Vec<Cause>,
}

/// What is wrong with the status of the Job `after`, which was `before`.
pub(super) fn check(before: &Value, after: &Value) -> Vec<Cause> {
    let mut check = Check { before, after, causes: Vec::new() };
    check.counts();
    check.uncounted();
    check.conditions();
    check.finished();
    check.indexes();
    check.criteria();
    check.transitions();
    check.causes
}

fn holds(job: &Value, kind: &str) -> bool {
    field::condition(job, kind) == Some("True")
}

fn is_finished(job: &Value) -> bool {
    holds(job, "Complete") || holds(job, "Failed")
}

fn status<'a>(job: &'a Value, name: &str) -> &'a Value {
    &job["status"][name]
}

impl Check<'_> {
    fn invalid(&mut self, name: &str, why: &str) {
        let value = self.after["status"].get(name).cloned().unwrap_or_default();
        self.causes.push(invalid(format!("status.{name}"), Some(&value), why));
    }

    fn refuse_conditions(&mut self, why: &str) {
        let message = format!("Invalid value: {why}");
        self.causes.push(Cause { field: "status.conditions".into(), reason: "FieldValueInvalid", message });
    }

    fn changes(&self, name: &str) -> bool {
        status(self.before, name) != status(self.after, name)
    }

    fn changes_condition(&self, kind: &str) -> bool {
        holds(self.before, kind) != holds(self.after, kind)
    }

    fn finishes(&self) -> bool {
        is_finished(self.before) != is_finished(self.after)
    }

    fn counts(&mut self) {
        let names = ["active", "succeeded", "failed", "ready", "terminating"];
        jobs::not_negative(&mut self.causes, &self.after["status"], "status", &names);
    }

    fn uncounted(&mut self) {
        let mut seen = HashSet::new();
        for list in ["succeeded", "failed"] {
            let uids = field::items(self.after, &format!("/status/uncountedTerminatedPods/{list}"));
            for (at, uid) in uids.iter().enumerate() {
                let field = format!("status.uncountedTerminatedPods.{list}[{at}]");
                if uid == "" {
                    self.causes.push(invalid(field, Some(uid), "must not be empty"));
                } else if !seen.insert(uid.as_str()) {
                    self.causes.push(duplicate(field, Some(uid)));
                }
            }
        }
    }

    fn conditions(&mut self) {
        let (complete, failed) = (holds(self.after, "Complete"), holds(self.after, "Failed"));
        let completes = self.changes_condition("Complete");
        let fails = self.changes_condition("Failed");
        let is_target = holds(self.after, "FailureTarget");
        if (completes || fails) && complete && failed {
            self.refuse_conditions("cannot set Complete=True and Failed=true conditions");
        }
        if (completes || self.changes_condition("FailureTarget")) && complete && is_target {
            self.refuse_conditions("cannot set Complete=True and FailureTarget=true conditions");
        }
        let completion = status(self.after, "completionTime").as_str();
        if completes || self.changes("completionTime") {
            if completion.is_some() && !complete {
                let why = "cannot set completionTime when there is no Complete=True condition";
                self.invalid("completionTime", why);
            }
            if completion.is_none() && complete {
                let why = "completionTime is required for Complete jobs";
                self.causes.push(required("status.completionTime", why));
            }
        }
        let start = status(self.after, "startTime").as_str();
        let is_earlier = completion.zip(start).is_some_and(|(completion, start)| completion < start);
        if is_earlier && (self.changes("startTime") || self.changes("completionTime")) {
            self.invalid("completionTime", "must be equal to or after `startTime`");
        }
        if (fails || self.changes("failedIndexes")) && failed && !is_target {
            self.refuse_conditions(
                "cannot set Failed=True condition without the FailureTarget=true condition",
            );
        }
        let met = self.changes_condition("SuccessCriteriaMet");
        if (completes || met) && complete && !holds(self.after, "SuccessCriteriaMet") {
            let why = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition";
            self.refuse_conditions(why);
        }
    }

    fn finished(&mut self) {
        if !is_finished(self.after) {
            return;
        }
        if (self.finishes() || self.changes("active")) && field::number(self.after, "/status/active") > 0 {
            self.invalid("active", "active>0 is invalid for finished job");
        }
        let is_empty = field::flag(self.after, "/spec/suspend") && self.after["spec"]["completions"] == 0;
        let starts = (self.finishes() || self.changes("startTime")) && !is_empty;
        if starts && status(self.after, "startTime").is_null() {
            self.causes.push(required("status.startTime", "startTime is required for finished job"));
        }
        let list = |name: &str| field::items(self.after, &format!("/status/uncountedTerminatedPods/{name}"));
        let (succeeded, failed) = (list("succeeded"), list("failed"));
        let uncounted = !succeeded.is_empty() || !failed.is_empty();
        if uncounted && (self.finishes() || self.changes("uncountedTerminatedPods")) {
            // The value is shown as Go's struct.
            let shown = |list: &[Value]| if list.is_empty() { Value::Null } else { json!(list) };
            let (succeeded, failed) = (shown(succeeded), shown(failed));
            let value = format!("{{\"Succeeded\":{succeeded},\"Failed\":{failed}}}");
            let message = format!("Invalid value: {value}: must be empty for finished job");
            let field = "status.uncountedTerminatedPods".into();
            self.causes.push(Cause { field, reason: "FieldValueInvalid", message });
        }
    }

    fn indexes(&mut self) {
        let completions = self.after["spec"]["completions"].as_i64();
        let has_limit = !self.after["spec"]["backoffLimitPerIndex"].is_null();
        let completed = field::text(self.after, "/status/completedIndexes");
        let failed = status(self.after, "failedIndexes").as_str();
        let (completed_differ, failed_differ) =
            (self.changes("completedIndexes"), self.changes("failedIndexes"));
        if let Some(completions) = completions {
            if completed_differ && let Err(why) = policies::total_of(completed, completions) {
                self.invalid("completedIndexes", &format!("error parsing completedIndexes: {why}"));
            }
            if failed_differ
                && has_limit
                && let Err(why) = policies::total_of(failed.unwrap_or_default(), completions)
            {
                self.invalid("failedIndexes", &format!("error parsing failedIndexes: {why}"));
            }
        }
        let is_indexed = field::text(self.after, "/spec/completionMode") == "Indexed";
        if completed_differ && !completed.is_empty() && !is_indexed {
            let why = "cannot set non-empty completedIndexes when non-indexed completion mode";
            self.invalid("completedIndexes", why);
        }
        if failed_differ && !has_limit && failed.is_some() {
            let why = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
            self.invalid("failedIndexes", why);
        }
        if (completed_differ || failed_differ)
            && let (Some(completions), Some(failed)) = (completions, failed)
            && let Some(at) = overlap(completed, failed, completions)
        {
            let why = format!("failedIndexes and completedIndexes overlap at index: {at}");
            self.invalid("failedIndexes", &why);
        }
        let terminates = self.finishes() || self.changes("terminating");
        if terminates && is_finished(self.after) && field::number(self.after, "/status/terminating") > 0 {
            self.invalid("terminating", "terminating>0 is invalid for finished job");
        }
        let ready = status(self.after, "ready").as_i64();
        let exceeds = ready.is_some_and(|ready| ready > field::number(self.after, "/status/active"));
        if (self.changes("ready") || self.changes("active")) && exceeds {
            self.invalid("ready", "cannot set more ready pods than active");
        }
    }

    fn criteria(&mut self) {
        let met = holds(self.after, "SuccessCriteriaMet");
        if met && holds(self.after, "Failed") {
            self.refuse_conditions("cannot set SuccessCriteriaMet=True and Failed=true conditions");
        }
        if met && holds(self.after, "FailureTarget") {
            self.refuse_conditions("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
        }
        if self.after["spec"]["successPolicy"].is_object() && !met && holds(self.after, "Complete") {
            let why = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True";
            self.refuse_conditions(why);
        }
    }

    /// What a status that was written may not become any more.
    fn transitions(&mut self) {
        for kind in ["Failed", "Complete", "FailureTarget"] {
            if holds(self.before, kind) && !holds(self.after, kind) {
                self.refuse_conditions(&format!("cannot disable the terminal {kind}=True condition"));
            }
        }
        let spec = |name: &str| &self.after["spec"][name];
        let scales = spec("completionMode") == "Indexed" && spec("completions") == spec("parallelism");
        for name in ["failed", "succeeded"] {
            let number = |job: &Value| field::number(job, &format!("/status/{name}"));
            if number(self.after) < number(self.before) && !(name == "succeeded" && scales) {
                // A count of zero is left out.
                let value = json!(number(self.after));
                let why = format!("cannot decrease the {name} counter");
                self.causes.push(invalid(format!("status.{name}"), Some(&value), &why));
            }
        }
        let had = |name: &str| !status(self.before, name).is_null();
        let has = |name: &str| !status(self.after, name).is_null();
        if had("completionTime") && has("completionTime") && self.changes("completionTime") {
            self.invalid("completionTime", "field is immutable");
        }
        let suspended = |job: &Value, is: &str| field::condition(job, "Suspended") == Some(is);
        let resumes = suspended(self.before, "True") && suspended(self.after, "False");
        let may_start = field::flag(self.after, "/spec/suspend") || resumes;
        if had("startTime") && self.changes("startTime") && !may_start {
            self.invalid("startTime", "field is immutable for unsuspended job once set");
        }
        let met = |job: &Value| holds(job, "SuccessCriteriaMet");
        if met(self.before) && !met(self.after) {
            self.refuse_conditions("cannot disable the SuccessCriteriaMet=True condition");
        }
        if holds(self.before, "Complete") && !met(self.before) && met(self.after) {
            let why = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
            self.refuse_conditions(why);
        }
    }
}

/// The first index that is in both lists (validateFailedIndexesNotOverlapCompleted).
fn overlap(completed: &str, failed: &str, completions: i64) -> Option<i64> {
    let intervals = |text: &str| -> Vec<(i64, i64)> {
        text.split(',').filter_map(|text| policies::interval(text, completions).ok()).collect()
    };
    let failed = intervals(failed);
    intervals(completed).into_iter().find_map(|(first, last)| {
        let meets = |(from, to): &&(i64, i64)| first <= *to && *from <= last;
        failed.iter().find(meets).map(|(from, _)| first.max(*from))
    })
}
