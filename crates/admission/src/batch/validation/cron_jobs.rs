//! `ValidateCronJobCreate`, `ValidateCronJobUpdate`

use clusterlocal_core::store::{Schedule, TimeZone};

use super::job_spec::validate_job_spec;
use crate::core::validation::metadata as core_metadata;
use crate::field::{At, Causes, Shown};
use crate::primitives::{metadata, names};
use crate::schema::go_json;

/// The longest name of a CronJob: its Jobs have eleven characters more.
const NAME_MAX: usize = 52;

/// `ValidateCronJobCreate`
pub(in crate::batch) fn validate_cron_job_create(cron_job: &At<'_>, causes: &mut Causes) {
    let metadata = cron_job.at("metadata");
    core_metadata::validate_object_meta(&metadata, true, names::dns_subdomain, causes);
    validate_cron_job_spec(&cron_job.at("spec"), None, causes);
    let name = metadata.at("name");
    if name.text().len() > NAME_MAX {
        causes.invalid(&name, name.text(), "must be no more than 52 characters");
    }
}

/// `ValidateCronJobUpdate`
pub(in crate::batch) fn validate_cron_job_update(cron_job: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    core_metadata::validate_object_meta_update(&cron_job.at("metadata"), &before.at("metadata"), causes);
    validate_cron_job_spec(&cron_job.at("spec"), Some(&before.at("spec")), causes);
}

/// `validateCronJobSpec`
fn validate_cron_job_spec(spec: &At<'_>, before: Option<&At<'_>>, causes: &mut Causes) {
    let (schedule, zone) = (spec.at("schedule"), spec.at("timeZone"));
    if schedule.is_empty() {
        causes.required(&schedule, "");
    } else {
        let had_zone = before.is_some_and(|before| before.at("schedule").text().contains("TZ"));
        validate_schedule_format(&schedule, had_zone, zone.is_set(), causes);
    }
    metadata::validate_non_negative(&spec.at("startingDeadlineSeconds"), causes);
    if before.is_none_or(|before| before.at("timeZone").value() != zone.value()) {
        validate_time_zone(&zone, causes);
    }
    let policy = spec.at("concurrencyPolicy");
    let policies = ["Allow", "Forbid", "Replace"];
    if policy.is_empty() {
        causes.required(&policy, "");
    } else if !policies.contains(&policy.text()) {
        causes.not_supported(&policy, policy.text(), &policies);
    }
    validate_job_template_spec(&spec.at("jobTemplate.spec"), causes);
    for name in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        metadata::validate_non_negative(&spec.at(name), causes);
    }
}

/// `validateScheduleFormat`
fn validate_schedule_format(schedule: &At<'_>, had_zone: bool, has_time_zone: bool, causes: &mut Causes) {
    let text = schedule.text();
    if let Err(why) = Schedule::parse(text) {
        causes.invalid(schedule, text, &why);
    }
    if had_zone && text.contains("TZ") && has_time_zone {
        causes.invalid(schedule, text, "cannot use both timeZone field and TZ or CRON_TZ in schedule");
    } else if !had_zone && text.contains("TZ") {
        let why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        causes.invalid(schedule, text, why);
    }
}

/// `validateTimeZone`
fn validate_time_zone(zone: &At<'_>, causes: &mut Causes) {
    let Some(text) = zone.text_if_set() else { return };
    if text.is_empty() {
        return causes.invalid(zone, text, "timeZone must be nil or non-empty string");
    }
    let is_character = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte);
    let is_name = |part: &str| {
        !matches!(part, "." | "..")
            && !part.starts_with('-')
            && (1..=14).contains(&part.len())
            && part.bytes().all(is_character)
    };
    if !text.split('/').all(is_name) {
        return causes.invalid(zone, text, &format!("unknown time zone {text}"));
    }
    if text.eq_ignore_ascii_case("local") {
        let why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        causes.invalid(zone, text, why);
    }
    // Go finds the zone of the machine under this name.
    if text != "Local"
        && let Err(why) = TimeZone::find(text)
    {
        causes.invalid(zone, text, &why);
    }
}

/// `ValidateJobTemplateSpec`: a CronJob's Jobs generate their selectors.
fn validate_job_template_spec(spec: &At<'_>, causes: &mut Causes) {
    validate_job_spec(spec, causes);
    let selector = spec.at("selector");
    if selector.is_set() {
        let shown = go_json("LabelSelector", selector.value());
        causes.invalid(&selector, shown, "`selector` will be auto-generated");
    }
    let manual = spec.at("manualSelector");
    if manual.is_true() {
        causes.not_supported(&manual, Shown::from(true), &["nil", "false"]);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schedules_and_time_zones() {
        let table: [(&str, bool, Option<&str>, &[&str]); 4] = [
            ("0 0 * * *", false, Some("Europe/Berlin"), &[]),
            ("TZ=UTC 0 0 * * *", true, None, &[]),
            (
                "TZ=UTC 0 0 * * *",
                false,
                None,
                &[
                    "schedule: Invalid value: \"TZ=UTC 0 0 * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
                ],
            ),
            ("@daily", false, Some("a/b"), &["timeZone: Invalid value: \"a/b\": unknown time zone a/b"]),
        ];
        for (schedule, had_zone, zone, expected) in table {
            let spec = json!({ "schedule": schedule, "timeZone": zone });
            let (spec, mut causes) = (At::root(&spec), Causes::default());
            validate_schedule_format(&spec.at("schedule"), had_zone, zone.is_some(), &mut causes);
            validate_time_zone(&spec.at("timeZone"), &mut causes);
            let causes: Vec<String> = causes.into_vec().iter().map(ToString::to_string).collect();
            assert_eq!(causes, expected, "{schedule} {zone:?}");
        }
    }
}
