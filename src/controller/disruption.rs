//! The disruption controller (`pkg/controller/disruption/disruption.go`): how many pods of a PodDisruptionBudget may be
//! evicted now.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Context, Outcome};
use crate::store::{
    Given, Inert, Key, Kind, LabelSelector, Labels, Name, Object, ObjectMeta, Pod, StatefulSet, Store,
    Workload,
};

/// The budgets of `namespace`, with what was written of them.
pub(crate) fn budgets<'s>(
    store: &'s Store,
    namespace: &'s str,
) -> impl Iterator<Item = (&'s ObjectMeta, &'s Value)> {
    let all = store.all_stored(Kind::PodDisruptionBudget, Some(namespace));
    all.filter_map(|stored| {
        let metadata = stored.object.metadata();
        Some((metadata, metadata.given.as_ref()?.json()))
    })
}

/// Whether the budget that was written as `json` is about pods with `labels`. One without a selector is about none, one
/// with an empty selector about all of its namespace.
pub(crate) fn selects(json: &Value, labels: &Labels) -> bool {
    let selector = json.pointer("/spec/selector").filter(|selector| !selector.is_null());
    selector
        .and_then(|json| LabelSelector::deserialize(json).ok())
        .is_some_and(|selector| selector.matches(labels))
}

/// What a budget allows (`status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Allowance {
    current: u32,
    desired: u32,
    expected: u32,
}

impl Allowance {
    /// `updatePdbStatus`
    fn disruptions(self) -> u32 {
        match self.expected {
            0 => 0,
            _ => self.current.saturating_sub(self.desired),
        }
    }
}

/// Writes the status of the budget at `key` (`trySync`).
pub(super) fn sync(context: Context<'_>, key: &Key) -> Outcome {
    let mut outcome = Outcome::default();
    let Some(stored) = context.store.stored(key) else { return outcome };
    let Some(given) = &stored.object.metadata().given else { return outcome };
    let json = given.json();
    let pods = context.store.list_in::<Pod>(Kind::Pod, &key.namespace);
    let pods: Vec<&Arc<Pod>> = pods.filter(|pod| selects(json, &pod.metadata.labels)).collect();
    let allowance = allowance(context.store, json, &pods);
    let allowed = allowance.disruptions();
    let mut status = json["status"].as_object().cloned().unwrap_or_default();
    status.insert("currentHealthy".into(), allowance.current.into());
    status.insert("desiredHealthy".into(), allowance.desired.into());
    status.insert("expectedPods".into(), allowance.expected.into());
    status.insert("disruptionsAllowed".into(), allowed.into());
    status.insert("observedGeneration".into(), stored.generation.into());
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    set_condition(conditions, allowed > 0, stored.generation, &context.now.to_string());
    let status = Value::Object(status);
    if json.get("status") != Some(&status) {
        let mut json = json.clone();
        json["status"] = status;
        let mut metadata = stored.object.metadata().clone();
        metadata.given = Some(Given::from(json));
        outcome.put(Object::Inert(key.kind, Arc::new(Inert { metadata })));
    }
    outcome
}

/// `UpdateDisruptionAllowedCondition`
fn set_condition(conditions: &mut Value, allowed: bool, generation: u32, now: &str) {
    let (status, reason) = if allowed { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let Some(conditions) = conditions.as_array_mut() else { return };
    let found = conditions.iter_mut().find(|condition| condition["type"] == "DisruptionAllowed");
    let since = match &found {
        Some(condition) if condition["status"] == status => condition["lastTransitionTime"].clone(),
        _ => now.into(),
    };
    let condition = json!({
        "type": "DisruptionAllowed",
        "status": status,
        "observedGeneration": generation,
        "lastTransitionTime": since,
        "reason": reason,
        "message": "",
    });
    match found {
        Some(found) => *found = condition,
        None => conditions.push(condition),
    }
}

/// How many of `pods`, those of the budget, are healthy and have to be (`getExpectedPodCount`, `countHealthyPods`).
fn allowance(store: &Store, json: &Value, pods: &[&Arc<Pod>]) -> Allowance {
    let healthy = pods.iter().filter(|pod| !pod.is_terminating() && pod.is_running_and_ready());
    let current = count(healthy.count());
    let (expected, desired) = match (&json["spec"]["maxUnavailable"], &json["spec"]["minAvailable"]) {
        (Value::Null, Value::Number(least)) => {
            (count(pods.len()), least.as_u64().and_then(|least| u32::try_from(least).ok()).unwrap_or(0))
        }
        (Value::Null, least) => {
            let expected = scale(store, pods);
            (expected, share(least, expected))
        }
        (most, _) => {
            let expected = scale(store, pods);
            (expected, expected.saturating_sub(share(most, expected)))
        }
    };
    Allowance { current, desired, expected }
}

fn count(pods: usize) -> u32 {
    u32::try_from(pods).unwrap_or(u32::MAX)
}

/// `2`, or the share `50%` of `all`, rounded up.
fn share(value: &Value, all: u32) -> u32 {
    match value {
        Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or(0),
        Value::String(text) => {
            let percent: u64 = text.trim_end_matches('%').parse().unwrap_or(0);
            u32::try_from((percent * u64::from(all)).div_ceil(100)).unwrap_or(u32::MAX)
        }
        _ => 0,
    }
}

/// How many pods the controllers of `pods` want together; a pod without one counts for nothing (`getExpectedScale`).
fn scale(store: &Store, pods: &[&Arc<Pod>]) -> u32 {
    let mut seen = BTreeSet::new();
    let mut total = 0u32;
    for pod in pods {
        let Some(owner) = pod.metadata.controller() else { continue };
        let mut key = owner.key(&pod.metadata.namespace);
        let of_deployment = |key: &Key| {
            let set = store.get::<Workload>(key.kind, &key.namespace, &key.name)?;
            let owner = set.metadata.controller()?;
            (owner.kind == Kind::Deployment).then(|| owner.key(&key.namespace))
        };
        if key.kind == Kind::ReplicaSet
            && let Some(deployment) = of_deployment(&key)
        {
            key = deployment;
        }
        if seen.insert(key.clone()) {
            total = total.saturating_add(replicas(store, &key));
        }
    }
    total
}

fn replicas(store: &Store, key: &Key) -> u32 {
    let replicas = match key.kind {
        Kind::StatefulSet => store
            .get::<StatefulSet>(key.kind, &key.namespace, &key.name)
            .map(|set| set.spec.replicas.unwrap_or(1)),
        // A DaemonSet has no scale: its pods are found to have none.
        Kind::Deployment | Kind::ReplicaSet => store
            .get::<Workload>(key.kind, &key.namespace, &key.name)
            .map(|workload| workload.spec.replicas.unwrap_or(1)),
        _ => None,
    };
    replicas.unwrap_or(0)
}

/// The budgets that a change of a pod with one of `labels` in `namespace` may mean something to.
pub(super) fn concerned<'a>(
    store: &Store,
    namespace: &Name,
    labels: impl Iterator<Item = &'a Labels> + Clone,
) -> Vec<Key> {
    let budgets = budgets(store, namespace);
    let meant = budgets.filter(|(_, json)| labels.clone().any(|labels| selects(json, labels)));
    meant.map(|(metadata, _)| metadata.key(Kind::PodDisruptionBudget)).collect()
}
