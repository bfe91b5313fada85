//! Nodes: the status reports of simulated kubelets, and the conditions that the node lifecycle controller sets when they
//! stop.

use serde_json::{Value, json};

use super::{Shown, put};
use crate::schema::resource::KUBERNETES_VERSION;
use clusterlocal_core::store::{ConditionStatus, Node, NodeSpec, Taint, fill, object};

pub(super) fn node(shown: &mut Shown<'_>, node: &Node) {
    let NodeSpec { unschedulable, taints } = &node.spec;
    let spec = shown.spec();
    put(spec, "taints", taints.iter().map(taint).collect::<Vec<_>>());
    if *unschedulable {
        drop(spec.insert("unschedulable".into(), true.into()))
    } else {
        drop(spec.remove("unschedulable"))
    }
    let boot = format!("{}/{}", shown.stored.uid(), node.boots());
    let conditions = conditions(shown, node);
    let status = shown.status();
    if !status.contains_key("addresses") {
        let mut addresses: Vec<Value> =
            node.status.addresses.iter().map(|ip| json!({ "type": "InternalIP", "address": ip })).collect();
        addresses.push(json!({ "type": "Hostname", "address": node.metadata.name.as_str() }));
        status.insert("addresses".into(), addresses.into());
    }
    for list in ["capacity", "allocatable"] {
        let resources = object(status, list);
        for (name, quantity) in
            [("cpu", "8"), ("memory", "32Gi"), ("ephemeral-storage", "100Gi"), ("pods", "110")]
        {
            fill(resources, name, quantity);
        }
    }
    let info = object(status, "nodeInfo");
    if node.boots() > 0 {
        info.insert("bootID".into(), boot.as_str().into());
    }
    for (field, text) in [
        ("architecture", "amd64"),
        ("bootID", &*boot),
        ("containerRuntimeVersion", concat!("clusterlocal://", env!("CARGO_PKG_VERSION"))),
        ("kernelVersion", "simulated"),
        ("kubeProxyVersion", KUBERNETES_VERSION),
        ("kubeletVersion", KUBERNETES_VERSION),
        ("machineID", node.metadata.name.as_str()),
        ("operatingSystem", "linux"),
        ("osImage", "clusterlocal"),
        ("systemUUID", node.metadata.name.as_str()),
    ] {
        fill(info, field, text);
    }
    fill(status, "daemonEndpoints", json!({ "kubeletEndpoint": { "Port": 10250 } }));
    status.insert("conditions".into(), conditions.into());
}

fn taint(taint: &Taint) -> Value {
    let mut json = serde_json::Map::new();
    put(&mut json, "key", taint.key.as_str());
    put(&mut json, "value", taint.value.as_str());
    put(&mut json, "effect", taint.effect.as_str());
    put(&mut json, "timeAdded", taint.time_added.map_or_else(String::new, |time| time.to_string()));
    json.into()
}

fn conditions(shown: &Shown<'_>, node: &Node) -> Vec<Value> {
    let created = shown.created();
    let since = node.status.ready_since.map_or_else(|| created.clone(), |time| time.to_string());
    let heartbeat = node.status.last_heartbeat.map_or_else(|| since.clone(), |time| time.to_string());
    let condition = |name: &str, status: &str, since: &str, reason: &str, message: &str| {
        json!({
            "type": name,
            "status": status,
            "reason": reason,
            "message": message,
            "lastHeartbeatTime": heartbeat,
            "lastTransitionTime": since,
        })
    };
    let silent = ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.");
    let good = [
        ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ];
    let mut all: Vec<Value> = good
        .into_iter()
        .map(|(name, reason, message)| match node.status.ready {
            ConditionStatus::Unknown => condition(name, silent.0, &since, silent.1, silent.2),
            _ => condition(name, "False", &created, reason, message),
        })
        .collect();
    let (status, reason, message) = match node.status.ready {
        ConditionStatus::True => ("True", "KubeletReady", "kubelet is posting ready status"),
        ConditionStatus::False => ("False", "KubeletNotReady", "kubelet is not ready"),
        ConditionStatus::Unknown => silent,
    };
    all.push(condition("Ready", status, &since, reason, message));
    all
}
