//! The rules by which a Job fails or succeeds before its end (`pkg/apis/batch/validation`, validatePodFailurePolicyRule and
//! validateSuccessPolicyRule), and the indexes that they name.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::jobs::NOT_NEGATIVE;
use super::words::{duplicate, invalid, not_supported, required, too_long, too_many};
use super::{Cause, rules};
use crate::schema::field;

/// Maximum number of patterns of a rule (maxPodFailurePolicyOnPodConditionsPatterns).
const PATTERNS_MAX: usize = 20;
/// Maximum number of exit codes of a rule (maxPodFailurePolicyOnExitCodesValues).
const EXIT_CODES_MAX: usize = 255;
/// Maximum length of `succeededIndexes`, in bytes (maxJobSuccessPolicySucceededIndexesLimit).
const SUCCEEDED_INDEXES_MAX: usize = 64 * 1024;
const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];
const STATUSES: [&str; 3] = ["False", "True", "Unknown"];

/// A type of Kubernetes as errors show it: Go's names of its fields, each with its own in JSON and its type. A list is shown
/// by the type of its items.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Plain,
    Fields(&'static [(&'static str, &'static str, Shape)]),
}

/// `PodFailurePolicy`
pub(super) const FAILURE_POLICY: Shape = Shape::Fields(&[(
    "Rules",
    "rules",
    Shape::Fields(&[
        ("Action", "action", Shape::Plain),
        (
            "OnExitCodes",
            "onExitCodes",
            Shape::Fields(&[
                ("ContainerName", "containerName", Shape::Plain),
                ("Operator", "operator", Shape::Plain),
                ("Values", "values", Shape::Plain),
            ]),
        ),
        (
            "OnPodConditions",
            "onPodConditions",
            Shape::Fields(&[("Type", "type", Shape::Plain), ("Status", "status", Shape::Plain)]),
        ),
    ]),
)]);

/// `SuccessPolicy`
pub(super) const SUCCESS_POLICY: Shape = Shape::Fields(&[(
    "Rules",
    "rules",
    Shape::Fields(&[
        ("SucceededIndexes", "succeededIndexes", Shape::Plain),
        ("SucceededCount", "succeededCount", Shape::Plain),
    ]),
)]);

/// `value` as an error shows it.
pub(super) fn shown(value: &Value, shape: Shape) -> String {
    match (value, shape) {
        (Value::Array(items), Shape::Fields(_)) => {
            let items: Vec<String> = items.iter().map(|item| shown(item, shape)).collect();
            format!("[{}]", items.join(","))
        }
        (Value::Object(object), Shape::Fields(fields)) => {
            let field = |(go, json, shape): &(&str, &str, Shape)| {
                format!("{go:?}:{}", shown(object.get(*json).unwrap_or(&Value::Null), *shape))
            };
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","))
        }
        _ => value.to_string(),
    }
}

/// A field that has to be one of a few words (`Required`, `NotSupported`).
fn word(causes: &mut Vec<Cause>, json: &Value, path: &str, name: &str, known: &[&str]) {
    match field::text(json, &format!("/{name}")) {
        "" => {
            let known: Vec<String> = known.iter().map(|word| format!("{word:?}")).collect();
            causes.push(required(format!("{path}.{name}"), &format!("valid values: [{}]", known.join(" "))));
        }
        other if !known.contains(&other) => {
            causes.push(not_supported(format!("{path}.{name}"), other, known))
        }
        _ => {}
    }
}

/// `validatePodFailurePolicyRule`
pub(super) fn failure_rule(
    causes: &mut Vec<Cause>,
    rule: &Value,
    path: &str,
    has_index_limit: bool,
    containers: &HashSet<&str>,
) {
    match field::text(rule, "/action") {
        "FailIndex" if !has_index_limit => {
            let why = "requires the backoffLimitPerIndex to be set";
            causes.push(invalid(format!("{path}.action"), rule.get("action"), why));
        }
        _ => word(causes, rule, path, "action", &ACTIONS),
    }
    let codes = &rule["onExitCodes"];
    if codes.is_object() {
        exit_codes(causes, codes, &format!("{path}.onExitCodes"), containers);
    }
    let patterns = field::items(rule, "/onPodConditions");
    let of_patterns = format!("{path}.onPodConditions");
    if patterns.len() > PATTERNS_MAX {
        causes.push(too_many(&*of_patterns, patterns.len(), PATTERNS_MAX));
    }
    for (at, pattern) in patterns.iter().enumerate() {
        let path = format!("{of_patterns}[{at}]");
        let kind = field::text(pattern, "/type");
        if let Some(why) = rules::name_broken(kind) {
            causes.push(invalid(format!("{path}.type"), Some(&kind.into()), &why));
        }
        word(causes, pattern, &path, "status", &STATUSES);
    }
    let why = match (codes.is_object(), !patterns.is_empty()) {
        (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
        (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
        _ => return,
    };
    let message = format!("Invalid value: {why}");
    causes.push(Cause { field: path.into(), reason: "FieldValueInvalid", message });
}

/// `validatePodFailurePolicyRuleOnExitCodes`
fn exit_codes(causes: &mut Vec<Cause>, codes: &Value, path: &str, containers: &HashSet<&str>) {
    word(causes, codes, path, "operator", &OPERATORS);
    if let Some(name) = codes["containerName"].as_str().filter(|name| !containers.contains(name)) {
        let why = "must be one of the container or initContainer names in the pod template";
        causes.push(invalid(format!("{path}.containerName"), Some(&name.into()), why));
    }
    let field = format!("{path}.values");
    let values: Vec<i64> = field::items(codes, "/values").iter().filter_map(Value::as_i64).collect();
    let shown = codes.get("values").cloned().unwrap_or_default();
    if values.is_empty() {
        causes.push(invalid(&*field, Some(&shown), "at least one value is required"));
    } else if values.len() > EXIT_CODES_MAX {
        causes.push(too_many(&*field, values.len(), EXIT_CODES_MAX));
    }
    let mut seen = HashSet::new();
    for (at, value) in values.iter().enumerate() {
        let field = format!("{field}[{at}]");
        if *value == 0 && codes["operator"] == "In" {
            causes.push(invalid(&*field, Some(&json!(0)), "must not be 0 for the In operator"));
        }
        if !seen.insert(*value) {
            causes.push(duplicate(field, Some(&json!(value))));
        }
    }
    if !values.is_sorted() {
        causes.push(invalid(field, Some(&shown), "must be ordered"));
    }
}

/// `validateSuccessPolicyRule`
pub(super) fn success_rule(causes: &mut Vec<Cause>, rule: &Value, path: &str, completions: i64) {
    let (indexes, count) = (rule["succeededIndexes"].as_str(), rule["succeededCount"].as_i64());
    if indexes.is_none() && count.is_none() {
        let why = "at least one of succeededCount or succeededIndexes must be specified";
        causes.push(required(path, why));
    }
    let mut total = 0;
    if let Some(indexes) = indexes {
        let field = format!("{path}.succeededIndexes");
        if indexes.len() > SUCCEEDED_INDEXES_MAX {
            causes.push(too_long(&*field, SUCCEEDED_INDEXES_MAX));
        }
        match total_of(indexes, completions) {
            Ok(all) => total = all,
            Err(why) => {
                let why = format!("error parsing succeededIndexes: {why}");
                causes.push(invalid(field, rule.get("succeededIndexes"), &why));
            }
        }
    }
    let Some(count) = count else { return };
    let field = format!("{path}.succeededCount");
    let mut refuse = |why: &str| causes.push(invalid(&*field, rule.get("succeededCount"), why));
    if count < 0 {
        refuse(NOT_NEGATIVE);
    }
    if count > completions {
        refuse(&format!("must be less than or equal to {completions} (the number of specified completions)"));
    }
    if indexes.is_some() && count > total {
        refuse(&format!(
            "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        ));
    }
}

/// The number of indexes in `0,2-4`, all of them below `completions` (validateIndexesFormat).
pub(super) fn total_of(indexes: &str, completions: i64) -> Result<i64, String> {
    let (mut last, mut total) = (None, 0);
    for interval in indexes.split(',').filter(|_| !indexes.is_empty()) {
        let (first, end) = self::interval(interval, completions)?;
        if let Some(last) = last.filter(|last| *last >= first) {
            return Err(format!("non-increasing order, previous: {last}, current: {first}"));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

/// The ends of `2-4`, or of `2` (parseIndexInterval).
pub(super) fn interval(text: &str, completions: i64) -> Result<(i64, i64), String> {
    let index = |text: &str| match text.parse::<i64>() {
        Err(_) => Err(format!("cannot convert string to integer for index: {text:?}")),
        Ok(index) if index >= completions => Err(format!("too large index: {text:?}")),
        Ok(index) => Ok(index),
    };
    match text.split('-').collect::<Vec<_>>()[..] {
        [one] => index(one).map(|index| (index, index)),
        [first, last] => match (index(first)?, index(last)?) {
            (first, last) if first >= last => {
                Err(format!("non-increasing order, previous: {first}, current: {last}"))
            }
            ends => Ok(ends),
        },
        _ => Err(format!(
            "the fragment {text:?} violates the requirement that an index interval can have at most two parts separated by '-'"
        )),
    }
}
