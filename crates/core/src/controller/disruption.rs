//! The disruption controller (`pkg/controller/disruption/disruption.go`): the number of pods of a PodDisruptionBudget
//! that may be evicted now.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::reconcile::{Context, SyncResult};
use crate::store::{
    Key, Kind, LabelSelector, Labels, Name, ObjectMeta, Owner, Pod, StatefulSet, Store, Stored, Workload,
};

/// Reporting component of its Events.
const COMPONENT: &str = "controllermanager";

/// The budgets of `namespace`, with their JSON.
pub fn budgets<'s>(
    store: &'s Store,
    namespace: &'s str,
) -> impl Iterator<Item = (&'s ObjectMeta, &'s Value)> {
    let all = store.all_stored(Kind::PodDisruptionBudget, Some(namespace));
    all.filter_map(|stored| {
        let metadata = stored.object.metadata();
        Some((metadata, metadata.given.as_ref()?.json()))
    })
}

/// Whether the selector of the budget `json` matches pods with `labels`. Without a selector it matches none, with an
/// empty one all of its namespace.
pub fn selects(json: &Value, labels: &Labels) -> bool {
    let selector = json.pointer("/spec/selector").filter(|selector| !selector.is_null());
    selector
        .and_then(|json| LabelSelector::deserialize(json).ok())
        .is_some_and(|selector| selector.matches(labels))
}

/// The numbers in a budget's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Allowance {
    current: u32,
    desired: u32,
    expected: u32,
    /// Whether a pod without a controller prevents an exact count.
    unmanaged: bool,
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
pub(super) fn sync(context: Context<'_>, key: &Key) -> SyncResult {
    let mut result = SyncResult::default();
    let Some(stored) = context.store.stored(key) else { return result };
    let Some(given) = &stored.object.metadata().given else { return result };
    let json = given.json();
    let pods = context.store.list_in::<Pod>(Kind::Pod, &key.namespace);
    let pods: Vec<&Arc<Pod>> = pods.filter(|pod| selects(json, &pod.metadata.labels)).collect();
    if pods.is_empty() {
        result.emit_event(COMPONENT, key.clone(), "NoPods", "No matching pods found");
    }
    let allowance = match allowance(context.store, json, &pods) {
        Ok(allowance) => allowance,
        Err(why) => {
            let message = format!("Failed to calculate the number of expected pods: {why}");
            result.emit_warning(COMPONENT, key.clone(), "CalculateExpectedPodCountFailed", message);
            fail_safe(context, stored, json, &why, &mut result);
            return result;
        }
    };
    if allowance.unmanaged {
        let selector = selector_text(&json["spec"]["selector"]);
        let message = format!(
            "Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a result, the \
             status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these \
             pods please set \".spec.minAvailable\" field of the PDB to an integer value."
        );
        result.emit_warning(COMPONENT, key.clone(), "UnmanagedPods", message);
    }
    let allowed = allowance.disruptions();
    let mut status = json["status"].as_object().cloned().unwrap_or_default();
    status.insert("currentHealthy".into(), allowance.current.into());
    status.insert("desiredHealthy".into(), allowance.desired.into());
    status.insert("expectedPods".into(), allowance.expected.into());
    status.insert("disruptionsAllowed".into(), allowed.into());
    status.insert("observedGeneration".into(), stored.generation.into());
    let (holds, reason) =
        if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    set_condition(context, &mut status, (holds, reason, ""));
    write_status(stored, status, &mut result);
    result
}

/// Sets the allowed disruptions to 0 if pods cannot be counted (`failSafe`).
fn fail_safe(context: Context<'_>, stored: &Stored, json: &Value, why: &str, result: &mut SyncResult) {
    let mut status = json["status"].as_object().cloned().unwrap_or_default();
    status.insert("disruptionsAllowed".into(), 0.into());
    for count in ["currentHealthy", "desiredHealthy", "expectedPods"] {
        status.entry(count).or_insert(0.into());
    }
    set_condition(context, &mut status, ("False", "SyncFailed", why));
    write_status(stored, status, result);
}

fn write_status(stored: &Stored, status: Map<String, Value>, result: &mut SyncResult) {
    stored.object.with_given_status(status.into()).into_iter().for_each(|object| result.put(object));
}

/// Sets the condition `DisruptionAllowed` to a status, reason and message.
fn set_condition(
    context: Context<'_>,
    status: &mut Map<String, Value>,
    (status_text, reason, message): (&str, &str, &str),
) {
    let now = context.now.to_string();
    let generation = status.get("observedGeneration").cloned().unwrap_or(0.into());
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    let Some(conditions) = conditions.as_array_mut() else { return };
    let found = conditions.iter_mut().find(|condition| condition["type"] == "DisruptionAllowed");
    let since = match &found {
        Some(condition) if condition["status"] == status_text => condition["lastTransitionTime"].clone(),
        _ => now.into(),
    };
    let condition = json!({
        "type": "DisruptionAllowed",
        "status": status_text,
        "observedGeneration": generation,
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    });
    match found {
        Some(found) => *found = condition,
        None => conditions.push(condition),
    }
}

/// A selector as Go prints it (`metav1.LabelSelector.String`).
fn selector_text(json: &Value) -> String {
    if json.is_null() {
        return "nil".into();
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut labels: Vec<(&String, &Value)> = json["matchLabels"].as_object().into_iter().flatten().collect();
    labels.sort_by_key(|(key, _)| *key);
    let labels = labels.into_iter().map(|(key, value)| format!("{key}: {},", text(value)));
    let requirements = json["matchExpressions"].as_array().into_iter().flatten().map(|requirement| {
        let values = requirement["values"].as_array().into_iter().flatten().map(text);
        let values = values.collect::<Vec<_>>().join(" ");
        let (key, operator) = (text(&requirement["key"]), text(&requirement["operator"]));
        format!("LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{values}],}},")
    });
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{}}},MatchExpressions:[]LabelSelectorRequirement{{{}}},}}",
        labels.collect::<String>(),
        requirements.collect::<String>(),
    )
}

/// Number of healthy pods of a budget, and the number required (`getExpectedPodCount`, `countHealthyPods`).
///
/// # Errors
///
/// Why the scale of a pod's controller is unknown.
fn allowance(store: &Store, json: &Value, pods: &[&Arc<Pod>]) -> Result<Allowance, String> {
    let healthy = pods.iter().filter(|pod| !pod.is_terminating() && pod.is_running_and_ready());
    let current = count(healthy.count());
    let (expected, desired, unmanaged) =
        match (&json["spec"]["maxUnavailable"], &json["spec"]["minAvailable"]) {
            (Value::Null, Value::Number(least)) => {
                let least = least.as_u64().and_then(|least| u32::try_from(least).ok()).unwrap_or(0);
                (count(pods.len()), least, false)
            }
            (Value::Null, Value::Null) => (0, 0, false),
            (Value::Null, least) => {
                let (expected, unmanaged) = scale(store, pods)?;
                (expected, share(least, expected), unmanaged)
            }
            (most, _) => {
                let (expected, unmanaged) = scale(store, pods)?;
                (expected, expected.saturating_sub(share(most, expected)), unmanaged)
            }
        };
    Ok(Allowance { current, desired, expected, unmanaged })
}

fn count(pods: usize) -> u32 {
    u32::try_from(pods).unwrap_or(u32::MAX)
}

/// A number such as `2`, or a percentage of `all` such as `50%`, rounded up.
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

/// The sum of the replicas of the controllers of `pods`, and whether a pod has none: such a pod is not counted
/// (`getExpectedScale`).
fn scale(store: &Store, pods: &[&Arc<Pod>]) -> Result<(u32, bool), String> {
    let (mut seen, mut total, mut unmanaged) = (BTreeSet::new(), 0u32, false);
    for pod in pods {
        let Some(owner) = pod.metadata.controller() else {
            unmanaged = true;
            continue;
        };
        let key = owner.key(&pod.metadata.namespace);
        if !seen.insert(key.clone()) {
            continue;
        }
        let Some((counted, replicas)) = replicas(store, &key, owner)? else {
            return Err(format!("found no controllers for pod {:?}", pod.metadata.name.as_str()));
        };
        if counted == key || seen.insert(counted) {
            total = total.saturating_add(replicas);
        }
    }
    Ok((total, unmanaged))
}

/// The controller that counts for the pods of the one at `key`, and its replicas; `None` if it has been deleted.
fn replicas(store: &Store, key: &Key, owner: &Owner) -> Result<Option<(Key, u32)>, String> {
    let is_owner = |key: &Key, owner: &Owner| {
        store.stored(key).is_some_and(|stored| owner.uid.is_none() || owner.has_uid(stored.uid()))
    };
    if !is_owner(key, owner) {
        return Ok(None);
    }
    let workload = |key: &Key| store.get::<Workload>(key.kind, &key.namespace, &key.name);
    match key.kind {
        Kind::StatefulSet => {
            let set = store.get::<StatefulSet>(key.kind, &key.namespace, &key.name);
            Ok(set.map(|set| (key.clone(), set.spec.replicas.unwrap_or(1))))
        }
        Kind::ReplicaSet => {
            let Some(set) = workload(key) else { return Ok(None) };
            let deployment = set.metadata.controller().filter(|owner| owner.kind == Kind::Deployment);
            let Some(owner) = deployment else { return Ok(Some((key.clone(), set.replicas()))) };
            let of_deployment = owner.key(&key.namespace);
            let Some(deployment) = workload(&of_deployment).filter(|_| is_owner(&of_deployment, owner))
            else {
                // The finder of ReplicaSets defers to that of Deployments; the scale of the ReplicaSet itself is used
                // last.
                return Ok(Some((key.clone(), set.replicas())));
            };
            Ok(Some((of_deployment, deployment.replicas())))
        }
        Kind::Deployment | Kind::ReplicationController => {
            Ok(workload(key).map(|workload| (key.clone(), workload.replicas())))
        }
        Kind::DaemonSet => Err("daemonsets.apps does not implement the scale subresource".into()),
        Kind::Job => Err("jobs.batch does not implement the scale subresource".into()),
        _ => Ok(None),
    }
}

/// The budgets that a change of a pod with one of `labels` in `namespace` may affect.
pub(super) fn concerned<'a>(
    store: &Store,
    namespace: &Name,
    labels: impl Iterator<Item = &'a Labels> + Clone,
) -> Vec<Key> {
    let budgets = budgets(store, namespace);
    let selecting = budgets.filter(|(_, json)| labels.clone().any(|labels| selects(json, labels)));
    selecting.map(|(metadata, _)| metadata.key(Kind::PodDisruptionBudget)).collect()
}
