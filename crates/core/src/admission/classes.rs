//! The admission plugins that look up a class: DefaultStorageClass, DefaultIngressClass, Priority and RuntimeClass
//! (`plugin/pkg/admission/{storage,network,priority,runtimeclass}`). Must not depend on requests.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::store::{self, Extra, Given, Kind, Part, Pod, PodTemplate, Store, Stored};

/// The priority classes that every cluster has, and their values (`SystemPriorityClasses`).
pub const SYSTEM: [(&str, i64); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

/// Sets the default class of a new claim without one.
pub fn default_storage_class(store: &Store, claim: &mut Value) {
    const OLD: &str = "volume.beta.kubernetes.io/storage-class";
    const DEFAULT: [&str; 2] =
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
    if claim.pointer("/spec/storageClassName").is_none_or(Value::is_null)
        && annotation(claim, OLD).is_none()
        && let Some(class) = newest(store, Kind::StorageClass, &DEFAULT)
        && let Some(claim) = claim.as_object_mut()
    {
        store::object(claim, "spec").insert("storageClassName".into(), class.into());
    }
}

/// Sets the default class of a new Ingress without one.
pub fn default_ingress_class(store: &Store, ingress: &mut Value) {
    let Some(kind) = Extra::built_in("networking.k8s.io", "IngressClass") else { return };
    if ingress.pointer("/spec/ingressClassName").is_none_or(Value::is_null)
        && annotation(ingress, "kubernetes.io/ingress.class").is_none()
        && let Some(class) =
            newest(store, Kind::Extra(kind), &["ingressclass.kubernetes.io/is-default-class"])
        && let Some(ingress) = ingress.as_object_mut()
    {
        store::object(ingress, "spec").insert("ingressClassName".into(), class.into());
    }
}

/// Sets the priority of a new pod from its class.
///
/// # Errors
///
/// Why the pod is forbidden: the class does not exist, or the pod contradicts it.
pub fn set_priority(store: &Store, pod: &mut Value) -> Result<(), String> {
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else { return Ok(()) };
    let name = spec.get("priorityClassName").and_then(Value::as_str).unwrap_or_default().to_owned();
    let class = priority_class(store, &name)?;
    let value = class["value"].as_i64().unwrap_or_default();
    if let Some(given) = spec.get("priority").and_then(Value::as_i64).filter(|given| *given != value) {
        return Err(format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller \
             computed {value} from the given PriorityClass name"
        ));
    }
    let policy = class["preemptionPolicy"].as_str().unwrap_or("PreemptLowerPriority");
    if let Some(given) = spec.get("preemptionPolicy").and_then(Value::as_str).filter(|given| *given != policy)
    {
        return Err(format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission \
             controller computed {policy} from the given PriorityClass name"
        ));
    }
    spec.insert("priority".into(), value.into());
    spec.insert("preemptionPolicy".into(), policy.into());
    if let Some(name) =
        class.pointer("/metadata/name").and_then(Value::as_str).filter(|name| !name.is_empty())
    {
        spec.insert("priorityClassName".into(), name.into());
    }
    Ok(())
}

/// `template` with the priority of its class, which all pods of a controller share. Without a class, and without a default class in
/// the cluster, it is unchanged.
pub(crate) fn with_priority<'t>(store: &Store, template: &'t Arc<PodTemplate>) -> Cow<'t, Arc<PodTemplate>> {
    let has_classes = || priority_classes(store).next().is_some();
    if class_of(template).is_none() && !has_classes() {
        return Cow::Borrowed(template);
    }
    let mut json = template.json();
    if set_priority(store, &mut json).is_err() {
        return Cow::Borrowed(template);
    }
    let mut prioritized = PodTemplate::clone(template);
    prioritized.given = Some(Part::new(&Given::from(json), ""));
    Cow::Owned(Arc::new(prioritized))
}

/// Why a controller's `pod` is forbidden: there is no such class as its template names.
pub(crate) fn refuses(store: &Store, pod: &Pod) -> Option<String> {
    priority_class(store, class_of(pod.spec.shared.template.as_ref()?)?).err()
}

/// The name of the priority class of a template, if it has one.
fn class_of(template: &PodTemplate) -> Option<&str> {
    let given = template.given.as_ref().filter(|given| given.may_have("priorityClassName"))?;
    let name = given.json().pointer("/spec/priorityClassName")?.as_str()?;
    Some(name).filter(|name| !name.is_empty())
}

fn priority_classes(store: &Store) -> impl Iterator<Item = &Value> {
    let kind = Extra::built_in("scheduling.k8s.io", "PriorityClass").map(Kind::Extra);
    kind.into_iter().flat_map(|kind| store.all_stored(kind, None)).filter_map(json_of)
}

/// The class called `name`, or the default class for an empty name; without a default, priority 0.
fn priority_class(store: &Store, name: &str) -> Result<Value, String> {
    let mut all = priority_classes(store);
    if name.is_empty() {
        let default = all.filter(|class| class["globalDefault"] == true);
        // Of several default classes, the one with the lowest value.
        return Ok(default
            .min_by_key(|class| class["value"].as_i64())
            .cloned()
            .unwrap_or_else(|| json!({ "value": 0 })));
    }
    let known = all.find(|class| class["metadata"]["name"] == name).cloned();
    let system = || {
        let (_, value) = SYSTEM.into_iter().find(|(system, _)| *system == name)?;
        Some(json!({ "metadata": { "name": name }, "value": value }))
    };
    known.or_else(system).ok_or_else(|| format!("no PriorityClass with name {name} was found"))
}

/// Sets the overhead and the node selector of a new pod from its RuntimeClass.
///
/// # Errors
///
/// Why the pod is forbidden.
pub fn set_runtime_class(store: &Store, pod: &mut Value) -> Result<(), String> {
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else { return Ok(()) };
    const WITHOUT: &str =
        "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead";
    let has_overhead =
        spec.get("overhead").and_then(Value::as_object).is_some_and(|overhead| !overhead.is_empty());
    let Some(name) = spec.get("runtimeClassName").and_then(Value::as_str).map(str::to_owned) else {
        return if has_overhead { Err(WITHOUT.into()) } else { Ok(()) };
    };
    let kind = Extra::built_in("node.k8s.io", "RuntimeClass").map(Kind::Extra);
    let mut all = kind.into_iter().flat_map(|kind| store.all_stored(kind, None)).filter_map(json_of);
    let Some(class) = all.find(|class| class["metadata"]["name"] == *name) else {
        return Err(format!("pod rejected: RuntimeClass {name:?} not found"));
    };
    let overhead = class.pointer("/overhead/podFixed");
    if overhead.is_none() && has_overhead {
        return Err(WITHOUT.into());
    }
    if let Some(overhead) = overhead {
        if spec.get("overhead").is_some_and(|given| given != overhead) {
            return Err("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead".into());
        }
        spec.insert("overhead".into(), overhead.clone());
    }
    let selector = class.pointer("/scheduling/nodeSelector").and_then(Value::as_object);
    for (label, value) in selector.into_iter().flatten() {
        let own = store::object(spec, "nodeSelector");
        if let Some(other) = own.get(label).filter(|other| *other != value) {
            let (other, value) = (other.as_str().unwrap_or_default(), value.as_str().unwrap_or_default());
            return Err(format!(
                "conflict: runtimeClass.scheduling.nodeSelector[{label}] = {value}; pod.spec.nodeSelector[{label}] = {other}"
            ));
        }
        own.insert(label.clone(), value.clone());
    }
    let tolerations = class.pointer("/scheduling/tolerations").and_then(Value::as_array);
    if let Some(tolerations) = tolerations.filter(|all| !all.is_empty()) {
        let own = spec.entry("tolerations").or_insert_with(|| json!([]));
        if let Some(own) = own.as_array_mut() {
            let new: Vec<Value> = tolerations.iter().filter(|one| !own.contains(one)).cloned().collect();
            own.extend(new);
        }
    }
    Ok(())
}

fn json_of(stored: &Stored) -> Option<&Value> {
    stored.object.metadata().given.as_ref().map(|given| given.json())
}

fn annotation<'o>(object: &'o Value, name: &str) -> Option<&'o str> {
    object.get("metadata")?.get("annotations")?.get(name)?.as_str()
}

/// The name of the newest class of `kind` that one of the annotations `marks` makes the default; of equally old ones
/// the first by name.
fn newest(store: &Store, kind: Kind, marks: &[&str]) -> Option<String> {
    let is_default = |stored: &&Stored| {
        json_of(stored).is_some_and(|json| marks.iter().any(|mark| annotation(json, mark) == Some("true")))
    };
    let marked = store.all_stored(kind, None).filter(is_default);
    let newest = marked.max_by(|a, b| {
        let by_name = || b.object.metadata().name.cmp(&a.object.metadata().name);
        a.created.cmp(&b.created).then_with(by_name)
    });
    newest.map(|stored| stored.object.metadata().name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(spec: Value) -> Arc<PodTemplate> {
        let json = json!({ "spec": spec });
        let mut template: PodTemplate = serde_json::from_value(json.clone()).expect("a template");
        template.given = Some(Part::new(&Given::from(json), ""));
        Arc::new(template)
    }

    #[test]
    fn pods_of_controllers_have_the_priority_of_their_class() {
        let mut store = Store::new();
        let priority = |store: &Store, template: &Arc<PodTemplate>| {
            let json = with_priority(store, template).json();
            (json["spec"]["priorityClassName"].clone(), json["spec"]["priority"].clone())
        };
        let (system, other) = (json!({ "priorityClassName": "system-node-critical" }), json!({}));
        let (system, other) = (template(system), template(other));
        assert_eq!(priority(&store, &system), (json!("system-node-critical"), json!(2_000_001_000)));
        assert_eq!(priority(&store, &other), (Value::Null, Value::Null), "there is no class");
        let class = json!({ "metadata": { "name": "low" }, "value": -5, "globalDefault": true });
        let kind = Kind::Extra(Extra::built_in("scheduling.k8s.io", "PriorityClass").expect("a kind"));
        let mut class_object = crate::manifest::read_object(kind, &class).expect("a class");
        class_object.keep(Given::from(class));
        store.apply(store::Change::Put(class_object));
        assert_eq!(priority(&store, &other), (json!("low"), json!(-5)));
        let named = |class: &str| {
            let mut pod = Pod::default();
            let shared = Arc::make_mut(&mut pod.spec.shared);
            shared.template = Some(template(json!({ "priorityClassName": class })));
            refuses(&store, &pod)
        };
        assert_eq!(named("x"), Some("no PriorityClass with name x was found".into()));
        assert_eq!([named("low"), named("")], [None, None]);
    }

    #[test]
    fn priorities_follow_the_class() {
        let store = Store::new();
        let table = [
            (json!({}), Ok(json!({ "priority": 0, "preemptionPolicy": "PreemptLowerPriority" }))),
            (
                json!({ "priorityClassName": "system-node-critical" }),
                Ok(json!({ "priorityClassName": "system-node-critical", "priority": 2_000_001_000,
                    "preemptionPolicy": "PreemptLowerPriority" })),
            ),
            (json!({ "priorityClassName": "x" }), Err("no PriorityClass with name x was found".to_owned())),
            (
                json!({ "priority": 5 }),
                Err("the integer value of priority (5) must not be provided in pod spec; priority admission controller \
                     computed 0 from the given PriorityClass name"
                    .into()),
            ),
        ];
        for (spec, expected) in table {
            let mut pod = json!({ "spec": spec });
            let set = set_priority(&store, &mut pod);
            assert_eq!(set.map(|()| pod["spec"].take()), expected, "{spec}");
        }
    }
}
