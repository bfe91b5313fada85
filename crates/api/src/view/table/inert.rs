//! The columns of kinds that are only stored: nothing here depends on their objects.

use serde_json::Value;

use super::age::age;
use super::{AGE, Column, NAME, field, joined, name, or};
use crate::view::selector;
use clusterlocal_core::store::{Kind, Time};

const DATA: Column = Column::number("Data", "The number of entries.");
const ROLE: &[Column] = &[NAME, Column::text("Created At", "The creation time.")];
const BINDING: &[Column] = &[NAME, Column::text("Role", "The role that is granted."), AGE];
const SECRET: &[Column] = &[NAME, Column::text("Type", "The type of the entries."), DATA, AGE];
const POLICY: &[Column] = &[NAME, Column::text("Pod-Selector", "The pods that the policy applies to."), AGE];
const BUDGET: &[Column] = &[
    NAME,
    Column::text("Min Available", "The minimum number of available pods."),
    Column::text("Max Unavailable", "The maximum number of unavailable pods."),
    Column::number("Allowed Disruptions", "The number of pods that may be evicted now."),
    AGE,
];
const INGRESS: &[Column] = &[
    NAME,
    Column::text("Class", "The class of the controller."),
    Column::text("Hosts", "The hosts of its rules."),
    Column::text("Address", "The addresses of its load balancer."),
    Column::text("Ports", "The ports of its load balancer."),
    AGE,
];
const CLASS: &[Column] = &[
    NAME,
    Column::text("Provisioner", "The provisioner of the volumes."),
    Column::text("ReclaimPolicy", "What happens to a volume when its claim is deleted."),
    Column::text("VolumeBindingMode", "When a claim is bound to a volume."),
    Column { cells: "boolean", ..Column::text("AllowVolumeExpansion", "Whether volumes can grow.") },
    AGE,
];

const INGRESS_CLASS: &[Column] = &[
    NAME,
    Column::text("Controller", "The controller that serves the class."),
    Column::text("Parameters", "The object with more parameters."),
    AGE,
];
const LEASE: &[Column] = &[NAME, Column::text("Holder", "The client that holds the lease."), AGE];
const PRIORITY: &[Column] = &[
    NAME,
    Column::number("Value", "The priority of pods of the class."),
    Column {
        cells: "boolean",
        ..Column::text("Global-Default", "Whether this is the class of pods without one.")
    },
    AGE,
    Column::text("PreemptionPolicy", "Whether pods of the class evict others."),
];
const RUNTIME: &[Column] = &[NAME, Column::text("Handler", "The handler of the container runtime."), AGE];
const RANGE: &[Column] = &[NAME, Column::text("CIDRs", "The ranges of Service addresses."), AGE];

/// The columns of an inert kind.
pub(super) fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::ConfigMap => &[NAME, DATA, AGE],
        Kind::Secret => SECRET,
        Kind::Role | Kind::ClusterRole => ROLE,
        Kind::RoleBinding | Kind::ClusterRoleBinding => BINDING,
        Kind::NetworkPolicy => POLICY,
        Kind::PodDisruptionBudget => BUDGET,
        Kind::Ingress => INGRESS,
        Kind::StorageClass => CLASS,
        kind => match built_in(kind) {
            "IngressClass" => INGRESS_CLASS,
            "Lease" => LEASE,
            "PriorityClass" => PRIORITY,
            "RuntimeClass" => RUNTIME,
            "ServiceCIDR" => RANGE,
            _ => &[NAME, AGE],
        },
    }
}

/// The name of a Kubernetes kind without its own type here; empty for others.
fn built_in(kind: Kind) -> &'static str {
    match kind {
        Kind::Extra(extra) if !extra.is_defined() => extra.names().kind,
        _ => "",
    }
}

/// The cells of an object of an inert kind.
pub(super) fn cells(kind: Kind, object: &Value, now: Time) -> Vec<Value> {
    let mut cells = vec![name(object)];
    let text = |pointer: &str| Value::from(field::text(object, pointer));
    match kind {
        Kind::ConfigMap => cells.push((entries(object, "/data") + entries(object, "/binaryData")).into()),
        Kind::Secret => {
            cells.push(or(field::text(object, "/type"), "Opaque").into());
            cells.push((entries(object, "/data") + entries(object, "/stringData")).into());
        }
        Kind::Role | Kind::ClusterRole => {
            cells.push(text("/metadata/creationTimestamp"));
            return cells;
        }
        Kind::RoleBinding | Kind::ClusterRoleBinding => {
            let role =
                format!("{}/{}", field::text(object, "/roleRef/kind"), field::text(object, "/roleRef/name"));
            cells.push(role.into());
        }
        Kind::NetworkPolicy => cells.push(selector::shown(field::at(object, "/spec/podSelector")).into()),
        Kind::PodDisruptionBudget => {
            cells.extend(
                ["/spec/minAvailable", "/spec/maxUnavailable"]
                    .map(|pointer| number_or_share(object, pointer)),
            );
            cells.push(field::number(object, "/status/disruptionsAllowed").into());
        }
        Kind::Ingress => cells.extend(ingress(object).map(Value::from)),
        Kind::StorageClass => {
            cells.push(text("/provisioner"));
            cells.push(or(field::text(object, "/reclaimPolicy"), "Delete").into());
            cells.push(or(field::text(object, "/volumeBindingMode"), "Immediate").into());
            cells.push(field::flag(object, "/allowVolumeExpansion").into());
        }
        kind => match built_in(kind) {
            "IngressClass" => {
                cells.push(text("/spec/controller"));
                cells.push(parameters(object).into());
            }
            "Lease" => cells.push(text("/spec/holderIdentity")),
            "PriorityClass" => {
                cells.push(field::number(object, "/value").into());
                cells.push(field::flag(object, "/globalDefault").into());
                cells.push(age(object, now).into());
                cells.push(or(field::text(object, "/preemptionPolicy"), "PreemptLowerPriority").into());
                return cells;
            }
            "RuntimeClass" => cells.push(text("/handler")),
            "ServiceCIDR" => cells.push(joined(field::items(object, "/spec/cidrs"), "").into()),
            _ => {}
        },
    }
    cells.push(age(object, now).into());
    cells
}

/// `KIND.GROUP/NAME`, the parameters of a class.
fn parameters(class: &Value) -> String {
    let text = |pointer| field::text(class, pointer);
    let group = match text("/spec/parameters/apiGroup") {
        "" => String::new(),
        group => format!(".{group}"),
    };
    match text("/spec/parameters/kind") {
        "" => "<none>".into(),
        kind => format!("{kind}{group}/{}", text("/spec/parameters/name")),
    }
}

fn entries(object: &Value, pointer: &str) -> usize {
    field::at(object, pointer).and_then(Value::as_object).map_or(0, serde_json::Map::len)
}

/// `2`, `50%`, or `N/A`.
fn number_or_share(object: &Value, pointer: &str) -> Value {
    match field::at(object, pointer) {
        Some(Value::String(share)) => share.as_str().into(),
        Some(Value::Number(number)) => number.to_string().into(),
        _ => "N/A".into(),
    }
}

/// Class, hosts, addresses, ports.
fn ingress(ingress: &Value) -> [String; 4] {
    let hosts = joined(field::items(ingress, "/spec/rules"), "/host");
    let served = field::items(ingress, "/status/loadBalancer/ingress").iter();
    let addresses: Vec<_> =
        served.map(|at| or(field::text(at, "/ip"), field::text(at, "/hostname"))).collect();
    let ports = if field::items(ingress, "/spec/tls").is_empty() { "80" } else { "80, 443" };
    [
        or(field::text(ingress, "/spec/ingressClassName"), "<none>").into(),
        or(&hosts, "*").into(),
        addresses.join(","),
        ports.into(),
    ]
}
