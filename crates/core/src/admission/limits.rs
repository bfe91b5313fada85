//! The admission plugin LimitRanger: defaults and limits that the LimitRanges of a namespace set for a new pod, created
//! by a client or a controller (`plugin/pkg/admission/limitranger/admission.go`). Must not depend on requests.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Map;
use serde_json::{Value, json};

use super::usage::amounts;
use crate::store::{self, Extra, Given, Kind, Part, PodTemplate, Store};
use crate::text::Quantity;

/// The annotation that records the defaults a pod was given.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// The kind LimitRange.
pub const LIMIT_RANGE: Kind = Kind::Extra(Extra::LIMIT_RANGE);

/// Fills in the fields that follow from other fields of a LimitRange (`SetDefaults_LimitRangeItem`).
pub fn complete(range: &mut Value) {
    let limits = range.pointer_mut("/spec/limits").and_then(Value::as_array_mut);
    for limit in limits.into_iter().flatten().filter_map(Value::as_object_mut) {
        if limit.get("type").and_then(Value::as_str) != Some("Container") {
            continue;
        }
        for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
            let known = limit.get(from).and_then(Value::as_object).cloned().unwrap_or_default();
            let target = store::object(limit, to);
            known.into_iter().for_each(|(name, amount)| store::fill(target, &name, amount));
        }
        for emptied in ["default", "defaultRequest"] {
            if limit.get(emptied).and_then(Value::as_object).is_some_and(Map::is_empty) {
                limit.remove(emptied);
            }
        }
    }
}

/// The limits of `namespace`, in the order of its ranges.
fn limits(store: &Store, namespace: &str) -> Vec<Value> {
    let all = store.all_stored(LIMIT_RANGE, Some(namespace));
    let given = all.filter_map(|stored| stored.object.metadata().given.clone());
    given.flat_map(|given| items(given.json(), "/spec/limits").to_vec()).collect()
}

/// The items of the list at `pointer`; none where there is no list.
fn items<'j>(json: &'j Value, pointer: &str) -> &'j [Value] {
    json.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Whether `namespace` has a LimitRange.
fn is_in(store: &Store, namespace: &str) -> bool {
    store.has_any(LIMIT_RANGE, namespace)
}

/// `template` with the defaults of the ranges of `namespace`, which all pods made from it share.
pub(crate) fn with_defaults<'t>(
    store: &Store,
    namespace: &str,
    template: &'t Arc<PodTemplate>,
) -> Cow<'t, Arc<PodTemplate>> {
    if !is_in(store, namespace) {
        return Cow::Borrowed(template);
    }
    let mut json = template.json();
    for limit in limits(store, namespace).iter().filter(|limit| limit["type"] == "Container") {
        give_defaults(limit, &mut json);
    }
    let mut defaulted = PodTemplate::clone(template);
    if let Some(given) = json["metadata"]["annotations"].get(ANNOTATION).and_then(Value::as_str) {
        let annotations = &mut defaulted.metadata.annotations;
        *annotations = annotations.with([(ANNOTATION, given)]);
    }
    defaulted.given = Some(Part::new(&Given::from(json), ""));
    Cow::Owned(Arc::new(defaulted))
}

/// Why the ranges of `namespace` refuse a pod with this `spec`, to which their defaults are applied.
pub(crate) fn refuses(store: &Store, namespace: &str, spec: impl FnOnce() -> Value) -> Option<String> {
    is_in(store, namespace).then(|| check_all(&limits(store, namespace), &json!({ "spec": spec() })))?
}

/// Applies the defaults of the ranges of `namespace` to the new `pod`, and returns why they refuse it, if they do.
pub fn admit(store: &Store, namespace: &str, pod: &mut Value) -> Option<String> {
    let limits = limits(store, namespace);
    for limit in limits.iter().filter(|limit| limit["type"] == "Container") {
        give_defaults(limit, pod);
    }
    check_all(&limits, pod)
}

fn check_all(limits: &[Value], pod: &Value) -> Option<String> {
    let mut wrong = Vec::new();
    for limit in limits {
        match limit["type"].as_str().unwrap_or_default() {
            "Container" => {
                for list in ["/spec/containers", "/spec/initContainers"] {
                    for container in items(pod, list) {
                        check(limit, "Container", &container["resources"], &mut wrong);
                    }
                }
            }
            "Pod" => check(limit, "Pod", &sums(pod), &mut wrong),
            _ => {}
        }
    }
    match wrong.len() {
        0 => None,
        1 => wrong.pop(),
        _ => Some(format!("[{}]", wrong.join(", "))),
    }
}

/// `mergePodResourceRequirements`
fn give_defaults(limit: &Value, pod: &mut Value) {
    let mut applied = Vec::new();
    for (list, what) in [("containers", "container"), ("initContainers", "init container")] {
        let containers = pod.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
            let name = container.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            // A missing request defaults to the container's own limit, before the defaults of the range apply.
            let resources = store::object(container, "resources");
            let own = resources.get("limits").and_then(Value::as_object).cloned().unwrap_or_default();
            let requests = store::object(resources, "requests");
            own.into_iter().for_each(|(name, amount)| store::fill(requests, &name, amount));
            for (default, target, word) in
                [("defaultRequest", "requests", "request"), ("default", "limits", "limit")]
            {
                let target = store::object(resources, target);
                let given = limit[default].as_object().into_iter().flatten();
                let mut set: Vec<&str> = Vec::new();
                for (name, amount) in given {
                    if !target.contains_key(name) {
                        target.insert(name.clone(), amount.clone());
                        set.push(name);
                    }
                }
                if !set.is_empty() {
                    applied.push(format!("{} {word} for {what} {name}", set.join(", ")));
                }
            }
            resources.retain(|_, amounts| amounts.as_object().is_none_or(|amounts| !amounts.is_empty()));
            if resources.is_empty() {
                container.remove("resources");
            }
        }
    }
    if !applied.is_empty() {
        pod["metadata"]["annotations"][ANNOTATION] =
            format!("LimitRanger plugin set: {}", applied.join("; ")).into();
    }
}

/// The sums of requests and limits over the containers of a pod.
fn sums(pod: &Value) -> Value {
    let mut sums = json!({ "requests": {}, "limits": {} });
    for container in items(pod, "/spec/containers") {
        for which in ["requests", "limits"] {
            for (name, amount) in amounts(&container["resources"][which]) {
                let before = Quantity::read(&sums[which][name.as_str()]).unwrap_or(Quantity::ZERO);
                sums[which][name.as_str()] = (before + amount).to_string().into();
            }
        }
    }
    sums
}

/// Adds the constraints of `limit` that `resources` violate (`minConstraint`, `maxConstraint`,
/// `limitRequestRatioConstraint`).
fn check(limit: &Value, what: &str, resources: &Value, wrong: &mut Vec<String>) {
    let (requests, limits) = (amounts(&resources["requests"]), amounts(&resources["limits"]));
    for (name, least) in amounts(&limit["min"]) {
        let bound = format!("minimum {name} usage per {what} is {least}");
        match (requests.get(&name), limits.get(&name)) {
            (None, _) => wrong.push(format!("{bound}.  No request is specified")),
            (Some(request), _) if *request < least => {
                wrong.push(format!("{bound}, but request is {request}"));
            }
            (_, Some(limit)) if *limit < least => wrong.push(format!("{bound}, but limit is {limit}")),
            _ => {}
        }
    }
    for (name, most) in amounts(&limit["max"]) {
        let bound = format!("maximum {name} usage per {what} is {most}");
        match (requests.get(&name), limits.get(&name)) {
            (_, None) => wrong.push(format!("{bound}.  No limit is specified")),
            (_, Some(limit)) if *limit > most => wrong.push(format!("{bound}, but limit is {limit}")),
            (Some(request), _) if *request > most => {
                wrong.push(format!("{bound}, but request is {request}"));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_range_are_defaulted() {
        let mut range = json!({ "spec": { "limits": [
            { "type": "Container", "max": { "cpu": "1" }, "min": { "memory": "1Mi" } },
            { "type": "Pod", "max": { "cpu": "2" } },
        ] } });
        complete(&mut range);
        let limits = &range["spec"]["limits"];
        assert_eq!(limits[0]["default"], json!({ "cpu": "1" }));
        assert_eq!(limits[0]["defaultRequest"], json!({ "cpu": "1", "memory": "1Mi" }));
        assert!(limits[1].get("default").is_none());
    }

    #[test]
    fn violations_have_the_messages_of_kubernetes() {
        let limit = json!({ "type": "Container", "min": { "cpu": "50m" }, "max": { "cpu": "1" } });
        let table = [
            (json!({ "requests": { "cpu": "100m" }, "limits": { "cpu": "500m" } }), vec![]),
            (
                json!({ "requests": { "cpu": "40m" }, "limits": { "cpu": "500m" } }),
                vec!["minimum cpu usage per Container is 50m, but request is 40m"],
            ),
            (
                json!({ "requests": { "cpu": "100m" }, "limits": { "cpu": "2" } }),
                vec!["maximum cpu usage per Container is 1, but limit is 2"],
            ),
            (
                json!({}),
                vec![
                    "minimum cpu usage per Container is 50m.  No request is specified",
                    "maximum cpu usage per Container is 1.  No limit is specified",
                ],
            ),
        ];
        for (resources, expected) in table {
            let mut wrong = Vec::new();
            check(&limit, "Container", &resources, &mut wrong);
            assert_eq!(wrong, expected, "{resources}");
        }
    }
}
