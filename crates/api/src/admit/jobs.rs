//! What may be in the spec of a Job, as far as it is not the pods' (`pkg/apis/batch/validation`, validateJobSpec).

use std::collections::HashSet;

use serde_json::Value;

use super::words::{invalid, not_supported, required, rule_broken, too_long, too_many};
use super::{Cause, policies, rules};
use crate::schema::field;
use clusterlocal_core::manifest::NameRule;
use clusterlocal_core::store::is_subdomain;

/// Maximum parallelism of an Indexed Job, and of its failed indexes: it bounds the length of `status.completedIndexes`
/// (maxParallelismForIndexedJob, maxFailedIndexesForIndexedJob).
const INDEXED_MAX: i64 = 100_000;
/// Completions beyond which an Indexed Job with a backoff limit for each index has narrower bounds
/// (completionsSoftLimit).
const COMPLETIONS_SOFT_MAX: i64 = 100_000;
/// Maximum parallelism, and maximum of failed indexes, beyond that (parallelismLimitForHighCompletions).
const HIGH_COMPLETIONS_MAX: i64 = 10_000;
/// Maximum number of rules of a policy (maxPodFailurePolicyRules, maxSuccessPolicyRule).
const RULES_MAX: usize = 20;
/// Maximum length of `managedBy`, in bytes (maxManagedByLength).
const MANAGED_BY_MAX: usize = 63;

/// Why a negative number is refused.
pub(super) const NOT_NEGATIVE: &str = "must be greater than or equal to 0";

/// The spec of a Job, and what is wrong with it.
struct Check<'a> {
    spec: &'a Value,
    path: &'a str,
    causes: Vec<Cause>,
}

/// What is wrong with the spec of a Job at `path` (validateJobSpec).
pub(super) fn spec(json: &Value, path: &str) -> Vec<Cause> {
    let null = Value::Null;
    let spec = field::at(json, &format!("/{}", path.replace('.', "/"))).unwrap_or(&null);
    let mut check = Check { spec, path, causes: Vec::new() };
    check.counts();
    check.managed_by();
    check.completion_mode();
    check.failure_policy();
    check.success_policy();
    check.replacement_policy();
    rules::pod_spec(&mut check.causes, json, &format!("{path}.template.spec"));
    check.restart_policy();
    check.causes
}

/// Refuses fields that are negative (ValidateNonnegativeField).
pub(super) fn not_negative(causes: &mut Vec<Cause>, spec: &Value, path: &str, fields: &[&str]) {
    for name in fields {
        if spec[*name].as_i64().is_some_and(|number| number < 0) {
            causes.push(invalid(format!("{path}.{name}"), spec.get(*name), NOT_NEGATIVE));
        }
    }
}

impl Check<'_> {
    fn at(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.spec[name].as_i64()
    }

    fn invalid(&mut self, name: &str, why: &str) {
        let cause = invalid(self.at(name), self.spec.get(name), why);
        self.causes.push(cause);
    }

    fn require(&mut self, name: &str, why: &str) {
        let cause = required(self.at(name), why);
        self.causes.push(cause);
    }

    fn is_indexed(&self) -> bool {
        self.spec["completionMode"] == "Indexed"
    }

    fn counts(&mut self) {
        const COUNTS: [&str; 7] = [
            "parallelism",
            "completions",
            "activeDeadlineSeconds",
            "backoffLimit",
            "ttlSecondsAfterFinished",
            "backoffLimitPerIndex",
            "maxFailedIndexes",
        ];
        not_negative(&mut self.causes, self.spec, self.path, &COUNTS);
        if self.number("maxFailedIndexes").is_some() && self.number("backoffLimitPerIndex").is_none() {
            self.require("backoffLimitPerIndex", "when maxFailedIndexes is specified");
        }
    }

    /// `IsDomainPrefixedPath`
    fn managed_by(&mut self) {
        let Some(by) = self.spec["managedBy"].as_str() else { return };
        let field = self.at("managedBy");
        match by.split_once('/') {
            _ if by.is_empty() => self.causes.push(required(field, "")),
            Some((host, path)) if !host.is_empty() && !path.is_empty() => {
                if !is_subdomain(host) {
                    let why = rule_broken(NameRule::Subdomain, host);
                    self.causes.push(invalid(&*field, Some(&host.into()), &why));
                }
                let is_of_path =
                    |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte);
                if !path.bytes().all(is_of_path) {
                    let why =
                        r"Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')";
                    self.causes.push(invalid(&*field, Some(&path.into()), why));
                }
            }
            _ => self.invalid("managedBy", "must be a domain-prefixed path (such as \"acme.io/foo\")"),
        }
        if by.len() > MANAGED_BY_MAX {
            let cause = too_long(self.at("managedBy"), MANAGED_BY_MAX);
            self.causes.push(cause);
        }
    }

    fn completion_mode(&mut self) {
        let mode = self.spec["completionMode"].as_str();
        if let Some(mode) = mode.filter(|mode| !matches!(*mode, "NonIndexed" | "Indexed")) {
            let cause = not_supported(self.at("completionMode"), mode, &["NonIndexed", "Indexed"]);
            self.causes.push(cause);
        }
        match mode {
            Some("Indexed") => self.indexed(),
            None | Some("NonIndexed") => {
                for name in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                    if self.number(name).is_some() {
                        self.invalid(name, "requires indexed completion mode");
                    }
                }
            }
            Some(_) => {}
        }
    }

    fn indexed(&mut self) {
        // `SetDefaults_Job`: without both, both are one.
        let parallelism = self.number("parallelism");
        let completions = self.number("completions").or(if parallelism.is_none() { Some(1) } else { None });
        let parallelism = parallelism.unwrap_or(1);
        let failed = self.number("maxFailedIndexes");
        if completions.is_none() {
            self.require("completions", "when completion mode is Indexed");
        }
        if parallelism > INDEXED_MAX {
            let why = format!("must be less than or equal to {INDEXED_MAX} when completion mode is Indexed");
            self.invalid("parallelism", &why);
        }
        if completions.zip(failed).is_some_and(|(completions, failed)| failed > completions) {
            self.invalid("maxFailedIndexes", "must be less than or equal to completions");
        }
        if failed.is_some_and(|failed| failed > INDEXED_MAX) {
            self.invalid("maxFailedIndexes", &format!("must be less than or equal to {INDEXED_MAX}"));
        }
        let is_high = completions.is_some_and(|completions| completions > COMPLETIONS_SOFT_MAX);
        if !is_high || self.number("backoffLimitPerIndex").is_none() {
            return;
        }
        let why = format!(
            "must be less than or equal to {HIGH_COMPLETIONS_MAX} when completions are above {COMPLETIONS_SOFT_MAX} and used with backoff limit per index"
        );
        if failed.is_none() {
            let why = format!("must be specified when completions is above {COMPLETIONS_SOFT_MAX}");
            self.require("maxFailedIndexes", &why);
        }
        if parallelism > HIGH_COMPLETIONS_MAX {
            self.invalid("parallelism", &why);
        }
        if failed.is_some_and(|failed| failed > HIGH_COMPLETIONS_MAX) {
            self.invalid("maxFailedIndexes", &why);
        }
    }

    /// `validatePodFailurePolicy`
    fn failure_policy(&mut self) {
        if !self.spec["podFailurePolicy"].is_object() {
            return;
        }
        let path = self.at("podFailurePolicy.rules");
        let rules = field::items(self.spec, "/podFailurePolicy/rules");
        if rules.len() > RULES_MAX {
            self.causes.push(too_many(&*path, rules.len(), RULES_MAX));
        }
        let containers = ["containers", "initContainers"].into_iter().flat_map(|list| {
            field::items(self.spec, &format!("/template/spec/{list}")).iter().map(|c| field::text(c, "/name"))
        });
        let containers: HashSet<&str> = containers.collect();
        let has_index_limit = self.number("backoffLimitPerIndex").is_some();
        for (at, rule) in rules.iter().enumerate() {
            policies::failure_rule(
                &mut self.causes,
                rule,
                &format!("{path}[{at}]"),
                has_index_limit,
                &containers,
            );
        }
    }

    /// `validateSuccessPolicy`
    fn success_policy(&mut self) {
        if !self.spec["successPolicy"].is_object() {
            return;
        }
        let rules = field::items(self.spec, "/successPolicy/rules");
        if !self.is_indexed() {
            let shown = policies::shown(&self.spec["successPolicy"], policies::SUCCESS_POLICY);
            let message = format!("Invalid value: {shown}: requires indexed completion mode");
            let field = self.at("successPolicy");
            return self.causes.push(Cause { field, reason: "FieldValueInvalid", message });
        }
        let path = self.at("successPolicy.rules");
        if rules.is_empty() {
            let why = "at least one rules must be specified when the successPolicy is specified";
            self.causes.push(required(&*path, why));
        }
        if rules.len() > RULES_MAX {
            self.causes.push(too_many(&*path, rules.len(), RULES_MAX));
        }
        // One that is missing is refused elsewhere.
        let completions = self.number("completions").unwrap_or(1);
        for (at, rule) in rules.iter().enumerate() {
            policies::success_rule(&mut self.causes, rule, &format!("{path}[{at}]"), completions);
        }
    }

    /// `validatePodReplacementPolicy`
    fn replacement_policy(&mut self) {
        let Some(policy) = self.spec["podReplacementPolicy"].as_str() else { return };
        let supported: &[&str] = if self.spec["podFailurePolicy"].is_object() {
            &["Failed"]
        } else {
            &["Failed", "TerminatingOrFailed"]
        };
        if !supported.contains(&policy) {
            let cause = not_supported(self.at("podReplacementPolicy"), policy, supported);
            self.causes.push(cause);
        }
    }

    fn restart_policy(&mut self) {
        let field = self.at("template.spec.restartPolicy");
        let policy = field::text(self.spec, "/template/spec/restartPolicy");
        let has_failure_policy = self.spec["podFailurePolicy"].is_object();
        self.causes.extend(match policy {
            "" | "Always" => Some(required(field, "valid values: \"OnFailure\", \"Never\"")),
            "OnFailure" if has_failure_policy => {
                let why = "only \"Never\" is supported when podFailurePolicy is specified";
                Some(invalid(field, Some(&policy.into()), why))
            }
            "OnFailure" | "Never" => None,
            _ => Some(not_supported(field, policy, &["OnFailure", "Never"])),
        });
    }
}
