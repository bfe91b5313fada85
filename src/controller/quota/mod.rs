//! ResourceQuotas: what a namespace uses of them (`pkg/controller/resourcequota`), and whether a new object exceeds them (the
//! admission plugin ResourceQuota).

mod quantity;
mod usage;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Context, Outcome};
use crate::store::{Extra, Given, Inert, Kind, Name, Object, Store, Stored};

pub(crate) use quantity::Quantity;
pub(crate) use usage::{Amounts, amounts, pod_spec, read};

const QUOTA: Kind = Kind::Extra(Extra::RESOURCE_QUOTA);

/// The quotas of `namespace`, with what was written of them.
fn quotas<'s>(store: &'s Store, namespace: &'s str) -> impl Iterator<Item = (&'s Stored, &'s Value)> {
    let all = store.all_stored(QUOTA, Some(namespace));
    all.filter_map(|stored| Some((stored, stored.object.metadata().given.as_ref()?.json())))
}

/// Whether there is a quota in `namespace`.
pub(super) fn is_in(store: &Store, namespace: &str) -> bool {
    store.all_stored(QUOTA, Some(namespace)).next().is_some()
}

/// The resources that `quota` limits, each with how much of it there may be.
fn hard(quota: &Value) -> Amounts {
    amounts(&quota["spec"]["hard"])
}

/// Whether `object` is in the scopes of `quota`: those that are not pods are in none.
fn is_in_scope(quota: &Value, object: &Object) -> bool {
    let scopes = quota["spec"]["scopes"].as_array().into_iter().flatten();
    let plain = scopes.map(|scope| json!({ "scopeName": scope, "operator": "Exists" }));
    let selected = quota.pointer("/spec/scopeSelector/matchExpressions").and_then(Value::as_array);
    let mut all = plain.chain(selected.into_iter().flatten().cloned()).peekable();
    if all.peek().is_none() {
        return true;
    }
    let Object::Pod(pod) = object else { return false };
    let spec = pod_spec(pod);
    let terminating = spec["activeDeadlineSeconds"].as_i64().is_some_and(|seconds| seconds >= 0);
    all.all(|requirement| match requirement["scopeName"].as_str() {
        Some("Terminating") => terminating,
        Some("NotTerminating") => !terminating,
        Some("BestEffort") => usage::is_best_effort(&spec),
        Some("NotBestEffort") => !usage::is_best_effort(&spec),
        Some("PriorityClass") => {
            let class = spec["priorityClassName"].as_str().unwrap_or_default();
            let values = || requirement["values"].as_array().into_iter().flatten();
            let listed = || values().any(|value| *value == class);
            match requirement["operator"].as_str() {
                Some("In") => listed(),
                Some("NotIn") => !listed(),
                Some("DoesNotExist") => class.is_empty(),
                _ => !class.is_empty(),
            }
        }
        _ => false,
    })
}

/// Writes into the quotas of `namespace` what is used of them (`syncResourceQuota`).
pub(super) fn sync(context: Context<'_>, namespace: &Name) -> Outcome {
    let mut outcome = Outcome::default();
    let store = context.store;
    for (stored, quota) in quotas(store, namespace) {
        let hard = hard(quota);
        let mut used: Amounts = hard.keys().map(|name| (name.clone(), Quantity::ZERO)).collect();
        let counted = store.all_in(namespace).map(|stored| &stored.object);
        for object in counted.filter(|object| is_in_scope(quota, object)) {
            for (name, amount) in usage::usage(object) {
                if let Some(sum) = used.get_mut(&name) {
                    *sum = *sum + amount;
                }
            }
        }
        let status = json!({ "hard": quota["spec"]["hard"], "used": json_of(&used) });
        if quota.get("status") != Some(&status) {
            let mut json = quota.clone();
            json["status"] = status;
            let mut metadata = stored.object.metadata().clone();
            metadata.given = Some(Given::from(json));
            outcome.put(Object::Inert(QUOTA, Arc::new(Inert { metadata })));
        }
    }
    outcome
}

fn json_of(amounts: &Amounts) -> Map<String, Value> {
    amounts.iter().map(|(name, amount)| (name.clone(), amount.to_string().into())).collect()
}

/// The resources whose requests or limits each container has to say, where a quota counts them (`validationSet`).
const TO_BE_SAID: [&str; 6] =
    ["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];

/// Why the quotas of its namespace do not admit the new `object`, if they do not (`CheckRequest`).
pub(crate) fn refuses(store: &Store, object: &Object) -> Option<String> {
    let namespace = &object.metadata().namespace;
    if !is_in(store, namespace) {
        return None;
    }
    let delta = usage::usage(object);
    for (stored, quota) in quotas(store, namespace) {
        if !is_in_scope(quota, object) {
            continue;
        }
        let name = &stored.object.metadata().name;
        let hard = hard(quota);
        if let Object::Pod(pod) = object {
            let spec = pod_spec(pod);
            let silent = TO_BE_SAID.into_iter().filter(|resource| hard.contains_key(*resource));
            let silent = silent.map(|resource| (resource, usage::silent_containers(&spec, resource)));
            let silent: Vec<String> = silent
                .filter(|(_, containers)| !containers.is_empty())
                .map(|(resource, containers)| format!("{resource} for: {}", containers.join(",")))
                .collect();
            if !silent.is_empty() {
                return Some(format!("failed quota: {name}: must specify {}", silent.join("; ")));
            }
        }
        let used = amounts(&quota["status"]["used"]);
        let before = |name: &String| used.get(name).copied().unwrap_or(Quantity::ZERO);
        let exceeded: BTreeSet<&String> = delta
            .iter()
            .filter(|(name, amount)| hard.get(*name).is_some_and(|hard| before(name) + **amount > *hard))
            .map(|(name, _)| name)
            .collect();
        if !exceeded.is_empty() {
            let shown = |amount: &dyn Fn(&String) -> Quantity| {
                let shown = exceeded.iter().map(|name| format!("{name}={}", amount(name)));
                shown.collect::<Vec<_>>().join(",")
            };
            return Some(format!(
                "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
                shown(&|name| delta[name]),
                shown(&before),
                shown(&|name| hard[name]),
            ));
        }
    }
    None
}
