//! `validateJobSpec`: what a Job and the template of a CronJob have in common.

use super::policies;
use crate::core::validation::pod_spec::validate_pod_template_spec;
use crate::field::{At, Causes};
use crate::primitives::{metadata, names};
use crate::schema::go_json;

/// Maximum parallelism of an Indexed Job, and of its failed indexes: it bounds the length of `status.completedIndexes`
/// (`maxParallelismForIndexedJob`, `maxFailedIndexesForIndexedJob`).
const INDEXED_MAX: i64 = 100_000;
/// Completions beyond which an Indexed Job with a backoff limit for each index has narrower bounds (`completionsSoftLimit`).
const COMPLETIONS_SOFT_MAX: i64 = 100_000;
/// Maximum parallelism, and maximum of failed indexes, beyond that (`parallelismLimitForHighCompletions`).
const HIGH_COMPLETIONS_MAX: i64 = 10_000;
/// Maximum length of `managedBy`, in bytes (`maxManagedByLength`).
const MANAGED_BY_MAX: usize = 63;

/// `validateJobSpec`
pub(super) fn validate_job_spec(spec: &At<'_>, causes: &mut Causes) {
    for name in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        metadata::validate_non_negative(&spec.at(name), causes);
    }
    let per_index = spec.at("backoffLimitPerIndex");
    if spec.at("maxFailedIndexes").is_set() && !per_index.is_set() {
        causes.required(&per_index, "when maxFailedIndexes is specified");
    }
    validate_managed_by(&spec.at("managedBy"), causes);
    validate_completion_mode(spec, causes);
    if spec.at("podFailurePolicy").is_set() {
        policies::validate_pod_failure_policy(spec, causes);
    }
    let success = spec.at("successPolicy");
    if success.is_set() && spec.at("completionMode").text() == "Indexed" {
        policies::validate_success_policy(spec, causes);
    } else if success.is_set() {
        let shown = go_json("SuccessPolicy", success.value());
        causes.invalid(&success, shown, "requires indexed completion mode");
    }
    validate_pod_replacement_policy(spec, causes);
    validate_pod_template_spec(&spec.at("template"), causes);
    validate_restart_policy(spec, causes);
}

/// `IsDomainPrefixedPath`, and the length.
fn validate_managed_by(by: &At<'_>, causes: &mut Causes) {
    let Some(text) = by.text_if_set() else { return };
    match text.split_once('/') {
        _ if text.is_empty() => causes.required(by, ""),
        Some((host, path)) if !host.is_empty() && !path.is_empty() => {
            for fault in names::dns_subdomain(host) {
                causes.invalid(by, host, &fault);
            }
            let is_of_path = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte);
            if !path.bytes().all(is_of_path) {
                let why = names::regex_error("Invalid path", r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", &[]);
                causes.invalid(by, path, &why);
            }
        }
        _ => causes.invalid(by, text, "must be a domain-prefixed path (such as \"acme.io/foo\")"),
    }
    if text.len() > MANAGED_BY_MAX {
        causes.too_long(by, MANAGED_BY_MAX);
    }
}

fn validate_completion_mode(spec: &At<'_>, causes: &mut Causes) {
    let mode = spec.at("completionMode");
    match mode.text_if_set() {
        Some("Indexed") => validate_indexed(spec, causes),
        None | Some("NonIndexed") => {
            for number in ["backoffLimitPerIndex", "maxFailedIndexes"].map(|name| spec.at(name)) {
                if number.is_set() {
                    causes.invalid(&number, number.number(), "requires indexed completion mode");
                }
            }
        }
        Some(other) => causes.not_supported(&mode, other, &["NonIndexed", "Indexed"]),
    }
}

fn validate_indexed(spec: &At<'_>, causes: &mut Causes) {
    let at_most = |number: &At<'_>, max: i64, end: &str, causes: &mut Causes| {
        if number.number() > max {
            let why = format!("must be less than or equal to {max}{end}");
            causes.invalid(number, number.number(), &why);
        }
    };
    let (completions, parallelism) = (spec.at("completions"), spec.at("parallelism"));
    let failed = spec.at("maxFailedIndexes");
    if !completions.is_set() {
        causes.required(&completions, "when completion mode is Indexed");
    }
    at_most(&parallelism, INDEXED_MAX, " when completion mode is Indexed", causes);
    if completions.number_if_set().is_some_and(|completions| failed.number() > completions && failed.is_set())
    {
        causes.invalid(&failed, failed.number(), "must be less than or equal to completions");
    }
    at_most(&failed, INDEXED_MAX, "", causes);
    if completions.number() > COMPLETIONS_SOFT_MAX && spec.at("backoffLimitPerIndex").is_set() {
        if !failed.is_set() {
            let why = format!("must be specified when completions is above {COMPLETIONS_SOFT_MAX}");
            causes.required(&failed, &why);
        }
        let end = format!(
            " when completions are above {COMPLETIONS_SOFT_MAX} and used with backoff limit per index"
        );
        at_most(&parallelism, HIGH_COMPLETIONS_MAX, &end, causes);
        at_most(&failed, HIGH_COMPLETIONS_MAX, &end, causes);
    }
}

/// `validatePodReplacementPolicy`
fn validate_pod_replacement_policy(spec: &At<'_>, causes: &mut Causes) {
    let policy = spec.at("podReplacementPolicy");
    let supported: &[&str] =
        if spec.at("podFailurePolicy").is_set() { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    if policy.text_if_set().is_some_and(|text| !supported.contains(&text)) {
        causes.not_supported(&policy, policy.text(), supported);
    }
}

fn validate_restart_policy(spec: &At<'_>, causes: &mut Causes) {
    let policy = spec.at("template.spec.restartPolicy");
    match policy.text() {
        "" | "Always" => causes.required(&policy, "valid values: \"OnFailure\", \"Never\""),
        "OnFailure" if spec.at("podFailurePolicy").is_set() => {
            let why = "only \"Never\" is supported when podFailurePolicy is specified";
            causes.invalid(&policy, policy.text(), why);
        }
        "OnFailure" | "Never" => {}
        other => causes.not_supported(&policy, other, &["OnFailure", "Never"]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn managers_and_completion_modes() {
        let table: [(Value, &[&str]); 5] = [
            (json!({ "managedBy": "acme.io/foo", "completionMode": "NonIndexed" }), &[]),
            (
                json!({ "managedBy": "acme" }),
                &[
                    "managedBy: Invalid value: \"acme\": must be a domain-prefixed path (such as \"acme.io/foo\")",
                ],
            ),
            (
                json!({ "managedBy": "acme.io/ " }),
                &[
                    r#"managedBy: Invalid value: " ": Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')"#,
                ],
            ),
            (
                json!({ "completionMode": "Indexed", "parallelism": 100_001 }),
                &[
                    "completions: Required value: when completion mode is Indexed",
                    "parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed",
                ],
            ),
            (
                json!({ "maxFailedIndexes": 1 }),
                &["maxFailedIndexes: Invalid value: 1: requires indexed completion mode"],
            ),
        ];
        for (spec, expected) in table {
            let mut causes = Causes::default();
            validate_managed_by(&At::root(&spec).at("managedBy"), &mut causes);
            validate_completion_mode(&At::root(&spec), &mut causes);
            let causes: Vec<String> = causes.into_vec().iter().map(ToString::to_string).collect();
            assert_eq!(causes, expected, "{spec}");
        }
    }
}
