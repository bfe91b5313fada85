//! ResourceQuotas and LimitRanges (`ValidateResourceQuota`, `ValidateLimitRange`).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::validation::metadata;
use super::validation::resources::{
    is_huge_page, is_native, is_standard, validate_container_resource_name, validate_resource_name,
    validate_resource_quantity_value,
};
use crate::field::{At, Causes};
use crate::primitives::defaults::round_up;
use crate::primitives::names;
use crate::primitives::updates::keep_status;
use crate::schema;
use crate::strategy::Strategy;
use clusterlocal_core::text::Quantity;

pub(crate) const RESOURCE_QUOTA: Strategy = Strategy {
    default: |quota| {
        for list in ["/spec/hard", "/status/hard", "/status/used"] {
            round_up(quota.pointer_mut(list));
        }
    },
    prepare_for_create: |quota| {
        quota["status"] = json!({});
    },
    prepare_for_update: keep_status,
    validate: |quota, causes| {
        metadata::validate_object_meta(&quota.at("metadata"), true, names::dns_subdomain, causes);
        validate_resource_quota_spec(&quota.at("spec"), causes);
    },
    validate_update: validate_resource_quota_update,
    validate_status_update: validate_resource_quota_status_update,
    warnings: warnings_for_resource_quota,
    ..Strategy::of("", "ResourceQuota", true)
};

pub(crate) const LIMIT_RANGE: Strategy = Strategy {
    default: |range| {
        let limits = range.pointer_mut("/spec/limits").and_then(Value::as_array_mut);
        limits.into_iter().flatten().for_each(default_limit_range_item);
    },
    validate: validate_limit_range,
    // An update is looked at as a new object.
    validate_update: |range, _, causes| validate_limit_range(range, causes),
    ..Strategy::of("", "LimitRange", true)
};

/// `IsStandardQuotaResourceName`: all standard ones except the storage that a single claim requests.
fn is_standard_quota_resource(name: &str) -> bool {
    is_standard(name) && name != "storage"
}

/// `ValidateResourceQuotaResourceName`
fn validate_resource_quota_resource_name(name: &str, amount: &At<'_>, causes: &mut Causes) {
    validate_resource_name(name, amount, causes);
    if !name.contains('/') && !is_standard_quota_resource(name) {
        causes.invalid(amount, name, "must be a standard resource for quota");
    }
}

/// `ValidateResourceQuotaStatusUpdate`
fn validate_resource_quota_status_update(quota: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta_update(&quota.at("metadata"), &before.at("metadata"), causes);
    for list in ["hard", "used"] {
        for (name, quantity) in quota.at("status").at(list).entries() {
            validate_resource_quota_resource_name(name, &quantity, causes);
            validate_resource_quantity_value(name, &quantity, causes);
        }
    }
}

/// `ValidateResourceQuotaSpec`
fn validate_resource_quota_spec(spec: &At<'_>, causes: &mut Causes) {
    for (name, amount) in spec.at("hard").entries() {
        validate_resource_quota_resource_name(name, &amount, causes);
        validate_resource_quantity_value(name, &amount, causes);
    }
    validate_resource_quota_scopes(spec, causes);
    if spec.at("scopeSelector").is_set() {
        validate_scope_selector(spec, causes);
    }
}

/// `IsStandardResourceQuotaScope`
fn is_standard_scope(scope: &str) -> bool {
    const SCOPES: [&str; 7] = [
        "Terminating",
        "NotTerminating",
        "BestEffort",
        "NotBestEffort",
        "PriorityClass",
        "VolumeAttributesClass",
        "CrossNamespacePodAffinity",
    ];
    SCOPES.contains(&scope)
}

/// `IsResourceQuotaScopeValidForResource`
fn is_valid_for_resource(scope: &str, resource: &str) -> bool {
    const COMPUTE: [&str; 6] =
        ["cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
    match scope {
        "Terminating"
        | "NotTerminating"
        | "NotBestEffort"
        | "PriorityClass"
        | "CrossNamespacePodAffinity" => resource == "pods" || COMPUTE.contains(&resource),
        "BestEffort" => resource == "pods",
        "VolumeAttributesClass" => ["persistentvolumeclaims", "requests.storage"].contains(&resource),
        _ => true,
    }
}

/// The resources of a quota that cannot be counted in `scope`.
fn unsupported<'o>(spec: &At<'o>, scope: &'o str) -> impl Iterator<Item = &'o str> {
    let hard = spec.at("hard").map().into_iter().flatten().map(|(name, _)| name.as_str());
    hard.filter(|name| is_standard_quota_resource(name))
        .filter(move |name| !is_valid_for_resource(scope, name))
}

/// Scopes that exclude each other.
const CONFLICTING: [[&str; 2]; 2] = [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];

/// `validateResourceQuotaScopes`
fn validate_resource_quota_scopes(spec: &At<'_>, causes: &mut Causes) {
    let scopes = spec.at("scopes");
    for scope in scopes.items() {
        if !is_standard_scope(scope.text()) {
            causes.invalid(&scopes, scopes.value(), "unsupported scope");
        }
        for _ in unsupported(spec, scope.text()) {
            causes.invalid(&scopes, scopes.value(), "unsupported scope applied to resource");
        }
    }
    for pair in CONFLICTING {
        if pair.iter().all(|scope| scopes.items().any(|one| one.text() == *scope)) {
            causes.invalid(&scopes, scopes.value(), "conflicting scopes");
        }
    }
}

/// `validateScopedResourceSelectorRequirement`: its paths have no index.
fn validate_scope_selector(spec: &At<'_>, causes: &mut Causes) {
    let expressions = spec.at("scopeSelector.matchExpressions");
    for requirement in expressions.items() {
        let at = expressions.with(requirement.value());
        let (scope, operator, values) = (at.at("scopeName"), at.at("operator"), at.at("values"));
        if !is_standard_scope(scope.text()) {
            causes.invalid(&scope, scope.text(), "unsupported scope");
        }
        for _ in unsupported(spec, scope.text()) {
            let shown = schema::go_json("ScopeSelector", spec.at("scopeSelector").value());
            causes.invalid(&expressions, shown, "unsupported scope applied to resource");
        }
        let has_no_values = is_standard_scope(scope.text())
            && !["PriorityClass", "VolumeAttributesClass"].contains(&scope.text());
        if has_no_values && operator.text() != "Exists" {
            let why = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
            causes.invalid(&operator, operator.text(), why);
        }
        match operator.text() {
            "In" | "NotIn" if values.is_empty() => {
                let why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
                causes.required(&values, why);
            }
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                causes.invalid(&values, values.value(), why);
            }
            "Exists" | "DoesNotExist" => {}
            other => causes.invalid(&operator, other, "not a valid selector operator"),
        }
    }
    for pair in CONFLICTING {
        let has = |scope: &&str| expressions.items().any(|one| one.at("scopeName").text() == *scope);
        if pair.iter().all(has) {
            let scopes = spec.at("scopes");
            causes.invalid(&expressions, scopes.value(), "conflicting scopes");
        }
    }
}

/// `ValidateResourceQuotaUpdate`: the scopes stay, in whatever order.
fn validate_resource_quota_update(quota: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta_update(&quota.at("metadata"), &before.at("metadata"), causes);
    validate_resource_quota_spec(&quota.at("spec"), causes);
    let scopes = quota.at("spec.scopes");
    let old = before.at("spec.scopes");
    let set = |of: &At<'_>| of.items().map(|scope| scope.text().to_owned()).collect::<BTreeSet<_>>();
    if set(&scopes) != set(&old) {
        causes.invalid(&scopes, scopes.value(), "field is immutable");
    }
}

/// `WarningsOnCreate`: requests above limits.
fn warnings_for_resource_quota(quota: &Value, before: Option<&Value>) -> Vec<String> {
    let hard = At::root(quota).at("spec.hard");
    let mut warnings = Vec::new();
    for name in ["cpu", "memory", "storage", "ephemeral-storage"].into_iter().filter(|_| before.is_none()) {
        let amount = |name: &str| hard.value().get(name).and_then(Value::as_str);
        let (request_name, limit_name) = (format!("requests.{name}"), format!("limits.{name}"));
        let plain = || Some((name, amount(name).filter(|_| matches!(name, "cpu" | "memory"))?));
        let request = amount(&request_name).map(|request| (request_name.as_str(), request)).or_else(plain);
        if let (Some((request_name, request)), Some(limit)) = (request, amount(&limit_name))
            && Quantity::of(request) > Quantity::of(limit)
        {
            warnings.push(format!(
                "ResourceQuota {request_name} ({request}) should be less than {limit_name} ({limit})"
            ));
        }
    }
    warnings
}

/// `SetDefaults_LimitRangeItem`: the default limit is the maximum, and the default request the minimum.
fn default_limit_range_item(item: &mut Value) {
    for list in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
        round_up(item.get_mut(list));
    }
    if item["type"] != "Container" {
        return;
    }
    let map =
        |item: &Value, name: &str| item.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
    let fill = |mut into: Map<String, Value>, from: Map<String, Value>| {
        for (name, amount) in from {
            into.entry(name).or_insert(amount);
        }
        into
    };
    let default = fill(map(item, "default"), map(item, "max"));
    let request = fill(fill(map(item, "defaultRequest"), default.clone()), map(item, "min"));
    for (name, amounts) in [("default", default), ("defaultRequest", request)] {
        if !amounts.is_empty() {
            item[name] = amounts.into();
        }
    }
}

fn validate_limit_range(range: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&range.at("metadata"), true, names::dns_subdomain, causes);
    let mut kinds = BTreeSet::new();
    for limit in range.at("spec.limits").items() {
        let kind = limit.at("type");
        validate_limit_range_type_name(&kind, causes);
        if !kinds.insert(kind.text()) {
            causes.duplicate(&kind, kind.text());
        }
        validate_limit_range_item(&limit, causes);
    }
}

/// `validateLimitRangeTypeName`
fn validate_limit_range_type_name(kind: &At<'_>, causes: &mut Causes) {
    let faults = names::label_key(kind.text());
    for fault in &faults {
        causes.invalid(kind, kind.text(), fault);
    }
    let is_standard = ["Pod", "Container", "PersistentVolumeClaim"].contains(&kind.text());
    if faults.is_empty() && !kind.text().contains('/') && !is_standard {
        causes.invalid(kind, kind.text(), "must be a standard limit type or fully qualified");
    }
}

fn validate_limit_range_item(limit: &At<'_>, causes: &mut Causes) {
    let kind = limit.at("type").text();
    let mut all = BTreeSet::new();
    let mut validate_names = |list: &'static str, causes: &mut Causes| {
        for (name, amount) in limit.at(list).entries() {
            if matches!(kind, "Pod" | "Container") {
                validate_container_resource_name(name, &amount, causes);
            } else {
                validate_resource_name(name, &amount, causes);
            }
            all.insert(name.to_owned());
        }
    };
    validate_names("max", causes);
    validate_names("min", causes);
    for list in ["default", "defaultRequest"] {
        if kind != "Pod" {
            validate_names(list, causes);
        } else if !limit.at(list).is_empty() {
            causes.forbidden(&limit.at(list), "may not be specified when `type` is 'Pod'");
        }
    }
    let has_storage = |list| limit.at(list).value().get("storage").is_some();
    if kind == "PersistentVolumeClaim" && !has_storage("min") && !has_storage("max") {
        let why = "either minimum or maximum storage value is required, but neither was provided";
        causes.required(&limit.at("limits"), why);
    }
    validate_names("maxLimitRequestRatio", causes);
    for name in &all {
        validate_amounts(limit, name, causes);
    }
}

/// One resource of a limit: its amounts have to be in order.
fn validate_amounts(limit: &At<'_>, name: &str, causes: &mut Causes) {
    let is_pod = limit.at("type").text() == "Pod";
    let amount = |list: &'static str| {
        let at = limit.at(list).key(name);
        let text = at.value().as_str().filter(|_| !is_pod || !list.starts_with("default"));
        text.map(|text| (text, Quantity::of(text)))
    };
    let (min, max) = (amount("min"), amount("max"));
    let (default, request, ratio) =
        (amount("default"), amount("defaultRequest"), amount("maxLimitRequestRatio"));
    let mut order = |low: Option<(&str, Quantity)>,
                     high: Option<(&str, Quantity)>,
                     list,
                     shown_high: bool,
                     words: [&str; 2]| {
        if let (Some((low, less)), Some((high, more))) = (low, high)
            && less > more
        {
            let shown = if shown_high { high } else { low };
            let why = format!("{} value {low} is greater than {} value {high}", words[0], words[1]);
            causes.invalid(&limit.at(list).key(name), shown, &why);
        }
    };
    order(min, max, "min", false, ["min", "max"]);
    order(min, request, "defaultRequest", true, ["min", "default request"]);
    order(request, max, "defaultRequest", false, ["default request", "max"]);
    order(request, default, "defaultRequest", false, ["default request", "default limit"]);
    order(min, default, "default", false, ["min", "default"]);
    order(default, max, "default", true, ["default", "max"]);
    if let Some((text, amount)) = ratio {
        validate_ratio(&limit.at("maxLimitRequestRatio").key(name), (text, amount), min, max, causes);
    }
    let is_fixed = !is_native(name) || is_huge_page(name);
    if let (Some((default, one)), Some((request, other))) = (default, request)
        && is_fixed
        && one != other
    {
        let why = format!("default value {default} must equal to defaultRequest value {request} in {name}");
        causes.invalid(&limit.at("defaultRequest").key(name), request, &why);
    }
}

fn validate_ratio(
    at: &At<'_>,
    (text, ratio): (&str, Quantity),
    min: Option<(&str, Quantity)>,
    max: Option<(&str, Quantity)>,
    causes: &mut Causes,
) {
    if ratio < Quantity::ONE {
        causes.invalid(at, text, &format!("ratio {text} is less than 1"));
    }
    let (Some((_, min)), Some((_, max))) = (min, max) else { return };
    // Go counts in thousandths as long as they fit.
    let fits = [ratio, min, max].iter().all(|amount| amount.value() < i128::from(i64::MAX / 1000));
    let count = |amount: Quantity| if fits { amount.milli() as f64 } else { amount.value() as f64 };
    let most = count(max) / count(min);
    let ratio = if fits { ratio.milli() as f64 / 1000.0 } else { ratio.value() as f64 };
    if ratio > most {
        causes.invalid(at, text, &format!("ratio {text} is greater than max/min = {most:.6}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(validate: impl Fn(&At<'_>, &mut Causes), value: &Value) -> Vec<String> {
        let mut causes = Causes::default();
        validate(&At::root(value), &mut causes);
        causes.into_vec().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn limits_are_in_order() {
        let mut item = json!({ "type": "Container", "max": { "cpu": "1" }, "min": { "cpu": "2" } });
        default_limit_range_item(&mut item);
        assert_eq!(item["defaultRequest"], json!({ "cpu": "1" }));
        assert_eq!(
            messages(validate_limit_range_item, &item),
            [
                "min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1",
                "defaultRequest[cpu]: Invalid value: \"1\": min value 2 is greater than default request value 1",
                "default[cpu]: Invalid value: \"2\": min value 2 is greater than default value 1",
            ]
        );
        let item = json!({ "type": "Pod", "max": { "cpu": "1" }, "min": { "cpu": "500m" }, "maxLimitRequestRatio": { "cpu": "3" } });
        assert_eq!(
            messages(validate_limit_range_item, &item),
            ["maxLimitRequestRatio[cpu]: Invalid value: \"3\": ratio 3 is greater than max/min = 2.000000"]
        );
    }

    #[test]
    fn scopes_fit_resources() {
        let spec = json!({ "hard": { "cpu": "1", "a": "1" }, "scopes": ["BestEffort"] });
        let expected = [
            "hard[a]: Invalid value: \"a\": must be a standard resource type or fully qualified",
            "hard[a]: Invalid value: \"a\": must be a standard resource for quota",
            "scopes: Invalid value: [\"BestEffort\"]: unsupported scope applied to resource",
        ];
        assert_eq!(messages(validate_resource_quota_spec, &spec), expected);
    }
}
