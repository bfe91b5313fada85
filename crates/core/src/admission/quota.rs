//! The admission plugin ResourceQuota: whether a new object, a client's or a controller's, exceeds a quota of its
//! namespace (`plugin/pkg/admission/resourcequota/controller.go`).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::usage::{self, Amounts, amounts};
use crate::store::{Change, Extra, Kind, Object, Store, Stored, pod_spec};
use crate::text::Quantity;

/// The kind ResourceQuota.
pub(crate) const QUOTA: Kind = Kind::Extra(Extra::RESOURCE_QUOTA);

/// The quotas of `namespace`, with their JSON.
pub(crate) fn quotas<'s>(
    store: &'s Store,
    namespace: &'s str,
) -> impl Iterator<Item = (&'s Stored, &'s Value)> {
    let all = store.all_stored(QUOTA, Some(namespace));
    all.filter_map(|stored| Some((stored, stored.object.metadata().given.as_ref()?.json())))
}

/// Whether `namespace` has a quota.
pub(crate) fn is_in(store: &Store, namespace: &str) -> bool {
    store.has_any(QUOTA, namespace)
}

/// The resources that `quota` limits, and their limits.
pub(crate) fn hard(quota: &Value) -> Amounts {
    amounts(&quota["spec"]["hard"])
}

/// Whether `object` is in the scopes of `quota`: only pods can be.
pub(crate) fn is_in_scope(quota: &Value, object: &Object) -> bool {
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

/// `amounts` as in the status of a quota.
pub(crate) fn json_of(amounts: &Amounts) -> Map<String, Value> {
    amounts.iter().map(|(name, amount)| (name.clone(), amount.to_string().into())).collect()
}

/// The resources whose requests or limits each container has to specify if a quota counts them (`validationSet`).
const REQUIRED_OF_CONTAINERS: [&str; 6] =
    ["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];

/// The quotas of a namespace while several objects are admitted: each counts as soon as it is admitted (`CheckRequest`,
/// `checkQuotas`).
#[derive(Default)]
pub struct Charges(Vec<Charged>);

/// A quota, and its usage including the objects admitted so far.
struct Charged {
    stored: Stored,
    hard: Amounts,
    used: Amounts,
    is_charged: bool,
}

impl Charged {
    fn json(&self) -> &Value {
        self.stored.object.metadata().given.as_ref().map_or(&Value::Null, |given| given.json())
    }

    fn used(&self, name: &str) -> Quantity {
        self.used.get(name).copied().unwrap_or(Quantity::ZERO)
    }

    /// Why the quota does not admit `object`, which adds `delta` to its usage.
    fn refuses(&self, object: &Object, delta: &Amounts) -> Option<String> {
        let name = &self.stored.object.metadata().name;
        if let Object::Pod(pod) = object {
            let spec = pod_spec(pod);
            let silent =
                REQUIRED_OF_CONTAINERS.into_iter().filter(|resource| self.hard.contains_key(*resource));
            let silent = silent.map(|resource| (resource, usage::silent_containers(&spec, resource)));
            let silent: Vec<String> = silent
                .filter(|(_, containers)| !containers.is_empty())
                .map(|(resource, containers)| format!("{resource} for: {}", containers.join(",")))
                .collect();
            if !silent.is_empty() {
                return Some(format!("failed quota: {name}: must specify {}", silent.join("; ")));
            }
        }
        let exceeds = |(name, amount): &(&String, &Quantity)| {
            self.hard.get(*name).is_some_and(|hard| self.used(name) + **amount > *hard)
        };
        let exceeded: BTreeSet<&String> = delta.iter().filter(exceeds).map(|(name, _)| name).collect();
        if exceeded.is_empty() {
            return None;
        }
        let shown = |amount: &dyn Fn(&String) -> Quantity| {
            let shown = exceeded.iter().map(|name| format!("{name}={}", amount(name)));
            shown.collect::<Vec<_>>().join(",")
        };
        Some(format!(
            "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
            shown(&|name| delta[name]),
            shown(&|name| self.used(name)),
            shown(&|name| self.hard[name]),
        ))
    }

    fn charge(&mut self, delta: &Amounts) {
        for (name, amount) in delta.iter().filter(|(name, _)| self.hard.contains_key(*name)) {
            let sum = self.used.entry(name.clone()).or_insert(Quantity::ZERO);
            *sum = *sum + *amount;
            self.is_charged = true;
        }
    }
}

impl Charges {
    /// The quotas of `namespace` as stored.
    pub fn of(store: &Store, namespace: &str) -> Self {
        let charged = |(stored, quota): (&Stored, &Value)| Charged {
            stored: stored.clone(),
            hard: hard(quota),
            used: amounts(&quota["status"]["used"]),
            is_charged: false,
        };
        Charges(quotas(store, namespace).map(charged).collect())
    }

    /// Admits the new `object` and charges its usage.
    ///
    /// # Errors
    ///
    /// Why a quota does not admit it; then nothing is charged.
    pub fn admit(&mut self, object: &Object) -> Result<(), String> {
        if self.0.is_empty() {
            return Ok(());
        }
        let delta = usage::usage(object);
        let in_scope = |charged: &Charged| is_in_scope(charged.json(), object);
        let refused =
            self.0.iter().filter(|quota| in_scope(quota)).find_map(|quota| quota.refuses(object, &delta));
        if let Some(why) = refused {
            return Err(why);
        }
        self.0.iter_mut().filter(|quota| in_scope(quota)).for_each(|quota| quota.charge(&delta));
        Ok(())
    }

    /// The quotas whose usage has grown.
    pub(crate) fn changes(self) -> impl Iterator<Item = Change> {
        self.0.into_iter().filter(|charged| charged.is_charged).filter_map(|charged| {
            let status = json!({ "hard": charged.json()["spec"]["hard"], "used": json_of(&charged.used) });
            charged.stored.object.with_given_status(status).map(Change::Put)
        })
    }
}

/// The resource of `object` as the API names it in an error: `jobs.batch`.
pub(crate) fn resource_of(object: &Object) -> &'static str {
    resource_of_kind(object.kind()).unwrap_or_default()
}

/// The resource of a kind as the API names it in an error, where a quota can count it.
pub(crate) fn resource_of_kind(kind: Kind) -> Option<&'static str> {
    usage::counted(kind)
}
