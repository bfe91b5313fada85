//! The usage of a ResourceQuota by an object (`pkg/quota/v1/evaluator/core`).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::store::{Kind, Object, pod_spec};
use crate::text::Quantity;

/// Amounts by the name of the resource.
pub(crate) type Amounts = BTreeMap<String, Quantity>;

/// The amounts in a JSON object like `requests`.
pub(crate) fn amounts(json: &Value) -> Amounts {
    let all = json.as_object().into_iter().flatten();
    all.filter_map(|(name, amount)| Some((name.clone(), Quantity::read(amount)?))).collect()
}

fn add(amounts: &mut Amounts, name: impl Into<String>, amount: Quantity) {
    let sum = amounts.entry(name.into()).or_insert(Quantity::ZERO);
    *sum = *sum + amount;
}

/// The resource of a kind as object counts name it: `count/deployments.apps`.
pub(super) fn counted(kind: Kind) -> Option<&'static str> {
    Some(match kind.as_str() {
        "Pod" => "pods",
        "Service" => "services",
        "ConfigMap" => "configmaps",
        "Secret" => "secrets",
        "ServiceAccount" => "serviceaccounts",
        "PersistentVolumeClaim" => "persistentvolumeclaims",
        "ReplicationController" => "replicationcontrollers",
        "ResourceQuota" => "resourcequotas",
        "Endpoints" => "endpoints",
        "LimitRange" => "limitranges",
        "PodTemplate" => "podtemplates",
        "Deployment" => "deployments.apps",
        "ReplicaSet" => "replicasets.apps",
        "StatefulSet" => "statefulsets.apps",
        "DaemonSet" => "daemonsets.apps",
        "ControllerRevision" => "controllerrevisions.apps",
        "Job" => "jobs.batch",
        "CronJob" => "cronjobs.batch",
        "Ingress" => "ingresses.networking.k8s.io",
        "NetworkPolicy" => "networkpolicies.networking.k8s.io",
        "PodDisruptionBudget" => "poddisruptionbudgets.policy",
        "HorizontalPodAutoscaler" => "horizontalpodautoscalers.autoscaling",
        "Lease" => "leases.coordination.k8s.io",
        "Role" => "roles.rbac.authorization.k8s.io",
        "RoleBinding" => "rolebindings.rbac.authorization.k8s.io",
        "EndpointSlice" => "endpointslices.discovery.k8s.io",
        _ => return None,
    })
}

/// The usage of `object`.
pub(crate) fn usage(object: &Object) -> Amounts {
    let mut amounts = Amounts::new();
    let kind = object.kind();
    let Some(name) = counted(kind) else { return amounts };
    add(&mut amounts, format!("count/{name}"), Quantity::ONE);
    let given = object.metadata().given.as_ref().map(|given| given.json());
    match object {
        Object::Pod(pod) if !pod.is_terminal() => pod_usage(&mut amounts, &pod_spec(pod)),
        Object::Pod(_) => {}
        Object::Service(service) => {
            add(&mut amounts, "services", Quantity::ONE);
            let ports = service.spec.ports.len();
            let allocates = given
                .and_then(|json| json.pointer("/spec/allocateLoadBalancerNodePorts"))
                .is_none_or(|allocates| *allocates != false);
            let kind = given.and_then(|json| json.pointer("/spec/type")).and_then(Value::as_str);
            let balanced = kind == Some("LoadBalancer");
            if balanced {
                add(&mut amounts, "services.loadbalancers", Quantity::ONE);
            }
            if kind == Some("NodePort") || (balanced && allocates) {
                (0..ports).for_each(|_| add(&mut amounts, "services.nodeports", Quantity::ONE));
            }
        }
        Object::PersistentVolumeClaim(claim) => {
            add(&mut amounts, name, Quantity::ONE);
            let given = given.or(claim.template.as_ref().map(|template| template.json()));
            let storage = given
                .and_then(|json| json.pointer("/spec/resources/requests/storage"))
                .and_then(Quantity::read);
            let class = given.and_then(|json| json.pointer("/spec/storageClassName")).and_then(Value::as_str);
            if let Some(class) = class.filter(|class| !class.is_empty()) {
                let of_class = format!("{class}.storageclass.storage.k8s.io");
                add(&mut amounts, format!("{of_class}/persistentvolumeclaims"), Quantity::ONE);
                if let Some(storage) = storage {
                    add(&mut amounts, format!("{of_class}/requests.storage"), storage);
                }
            }
            if let Some(storage) = storage {
                add(&mut amounts, "requests.storage", storage);
            }
        }
        _ if !name.contains('.') => add(&mut amounts, name, Quantity::ONE),
        _ => {}
    }
    amounts
}

/// The requests or limits of a pod's containers: the sum over those that run together, or the maximum over the init
/// containers before them (`resourcehelper.PodRequests`, `PodLimits`).
fn of_containers(spec: &Value, which: &str) -> Amounts {
    let of = |container: &Value| {
        let resources = &container["resources"];
        let mut own = amounts(&resources[which]);
        if which == "requests" {
            for (name, limit) in amounts(&resources["limits"]) {
                own.entry(name).or_insert(limit);
            }
        }
        own
    };
    let containers = |list: &str| spec[list].as_array().cloned().unwrap_or_default();
    let mut together = Amounts::new();
    for container in containers("containers") {
        of(&container).into_iter().for_each(|(name, amount)| add(&mut together, name, amount));
    }
    for container in containers("initContainers") {
        for (name, amount) in of(&container) {
            let most = together.entry(name).or_insert(Quantity::ZERO);
            *most = match container["restartPolicy"].as_str() {
                Some("Always") => *most + amount,
                _ => (*most).max(amount),
            };
        }
    }
    together
}

/// `podComputeUsageHelper`
fn pod_usage(into: &mut Amounts, spec: &Value) {
    add(into, "pods", Quantity::ONE);
    for (name, amount) in of_containers(spec, "requests") {
        let basic = matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage");
        if basic || name.starts_with("hugepages-") {
            add(into, name.clone(), amount);
        }
        // Extended resources can be limited by their requests only.
        if basic || name.starts_with("hugepages-") || name.contains('/') {
            add(into, format!("requests.{name}"), amount);
        }
    }
    for (name, amount) in of_containers(spec, "limits") {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
            add(into, format!("limits.{name}"), amount);
        }
    }
}

/// Whether no container of a pod has requests or limits (`qos.GetPodQOS`).
pub(crate) fn is_best_effort(spec: &Value) -> bool {
    let compute = |amounts: Amounts| amounts.keys().any(|name| matches!(name.as_str(), "cpu" | "memory"));
    !compute(of_containers(spec, "requests")) && !compute(of_containers(spec, "limits"))
}

/// The containers that do not specify `resource`; `requests.cpu` and `cpu` are requests, `limits.cpu` is a limit.
pub(crate) fn silent_containers(spec: &Value, resource: &str) -> Vec<String> {
    let (which, name) = match resource.split_once('.') {
        Some((which @ ("requests" | "limits"), name)) => (which, name),
        _ => ("requests", resource),
    };
    let specifies = |container: &Value| {
        let resources = &container["resources"];
        resources[which].get(name).is_some()
            || (which == "requests" && resources["limits"].get(name).is_some())
    };
    let mut silent = Vec::new();
    for list in ["containers", "initContainers"] {
        let containers = spec[list].as_array().into_iter().flatten();
        silent.extend(
            containers
                .filter(|container| !specifies(container))
                .filter_map(|container| Some(container["name"].as_str()?.to_owned())),
        );
    }
    silent.sort();
    silent
}
