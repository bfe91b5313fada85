//! What may be in the spec of a CronJob (`pkg/apis/batch/validation`, validateCronJobSpec).

use serde_json::Value;

use super::Cause;
use super::jobs::{not_negative, spec};
use super::words::{invalid, not_supported, required};
use crate::schema::field;
use clusterlocal_core::store::{Schedule, TimeZone};

/// What is wrong with the CronJob `json`.
pub(super) fn check(json: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let text = field::text(json, "/spec/schedule");
    if text.is_empty() {
        causes.push(required("spec.schedule", ""));
    } else {
        let value = Some(&json["spec"]["schedule"]);
        if let Err(why) = Schedule::parse(text) {
            causes.push(invalid("spec.schedule", value, &why));
        }
        if text.contains("TZ") {
            let why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
            causes.push(invalid("spec.schedule", value, why));
        }
    }
    not_negative(&mut causes, &json["spec"], "spec", &["startingDeadlineSeconds"]);
    causes.extend(time_zone(&json["spec"]["timeZone"]));
    let policy = &json["spec"]["concurrencyPolicy"];
    match policy.as_str() {
        None if policy.is_null() => {}
        Some("" | "Allow" | "Forbid" | "Replace") | None => {}
        Some(other) => {
            let known = ["Allow", "Forbid", "Replace"];
            causes.push(not_supported("spec.concurrencyPolicy", other, &known));
        }
    }
    causes.extend(spec(json, "spec.jobTemplate.spec"));
    let template = &json["spec"]["jobTemplate"]["spec"];
    if template["selector"].is_object() {
        let why = "`selector` will be auto-generated";
        causes.push(invalid("spec.jobTemplate.spec.selector", template.get("selector"), why));
    }
    if template["manualSelector"] == true {
        let message = "Unsupported value: true: supported values: \"nil\", \"false\"".into();
        let field = "spec.jobTemplate.spec.manualSelector".into();
        causes.push(Cause { field, reason: "FieldValueNotSupported", message });
    }
    not_negative(
        &mut causes,
        &json["spec"],
        "spec",
        &["successfulJobsHistoryLimit", "failedJobsHistoryLimit"],
    );
    causes
}

/// What is wrong with a time zone (validateTimeZone).
fn time_zone(value: &Value) -> Option<Cause> {
    let zone = value.as_str()?;
    let refused = |why: &str| Some(invalid("spec.timeZone", Some(value), why));
    if zone.is_empty() {
        return refused("timeZone must be nil or non-empty string");
    }
    let is_character = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte);
    let is_name = |part: &str| {
        !matches!(part, "." | "..")
            && !part.starts_with('-')
            && (1..=14).contains(&part.len())
            && part.bytes().all(is_character)
    };
    if !zone.split('/').all(is_name) {
        return refused(&format!("unknown time zone {zone}"));
    }
    if zone.eq_ignore_ascii_case("local") {
        return refused(
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
        );
    }
    TimeZone::find(zone).err().and_then(|why| refused(&why))
}
