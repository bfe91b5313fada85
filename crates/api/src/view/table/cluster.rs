//! The columns of namespaces, nodes and Events.

use std::collections::BTreeSet;

use serde_json::Value;

use super::age::{age, since};
use super::{AGE, Column, NAME, field, name, or};
use clusterlocal_core::store::Time;

pub(super) const NAMESPACE: &[Column] =
    &[NAME, Column::text("Status", "Whether it is in use or being deleted."), AGE];

pub(super) fn namespace(namespace: &Value, now: Time) -> Vec<Value> {
    vec![name(namespace), field::text(namespace, "/status/phase").into(), age(namespace, now).into()]
}

pub(super) const NODE: &[Column] = &[
    NAME,
    Column::text("Status", "The status of the node's condition Ready."),
    Column::text("Roles", "The roles of the node."),
    AGE,
    Column::text("Version", "The version of its kubelet."),
    Column::text("Internal-IP", "Its address in the cluster.").wide(),
    Column::text("External-IP", "Its address outside.").wide(),
    Column::text("OS-Image", "Its operating system.").wide(),
    Column::text("Kernel-Version", "Its kernel.").wide(),
    Column::text("Container-Runtime", "What runs its containers.").wide(),
];

pub(super) fn node(node: &Value, now: Time) -> Vec<Value> {
    let info = |field: &str| field::text(node, &format!("/status/nodeInfo/{field}"));
    vec![
        name(node),
        node_status(node).into(),
        or(&roles(node).join(","), "<none>").into(),
        age(node, now).into(),
        info("kubeletVersion").into(),
        address(node, "InternalIP").into(),
        address(node, "ExternalIP").into(),
        or(info("osImage"), "<unknown>").into(),
        or(info("kernelVersion"), "<unknown>").into(),
        or(info("containerRuntimeVersion"), "<unknown>").into(),
    ]
}

fn node_status(node: &Value) -> String {
    let ready = match field::condition(node, "Ready") {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let cordoned = if field::flag(node, "/spec/unschedulable") { ",SchedulingDisabled" } else { "" };
    format!("{ready}{cordoned}")
}

/// The roles in the labels `node-role.kubernetes.io/ROLE` and `kubernetes.io/role: ROLE`.
fn roles(node: &Value) -> Vec<&str> {
    let labels = node.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    let roles = labels.filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
        None if key == "kubernetes.io/role" => value.as_str(),
        role => role,
    });
    let roles: BTreeSet<&str> = roles.filter(|role| !role.is_empty()).collect();
    roles.into_iter().collect()
}

fn address<'a>(node: &'a Value, kind: &str) -> &'a str {
    let all = field::items(node, "/status/addresses");
    let found = all.iter().find(|address| field::text(address, "/type") == kind);
    found.map_or("<none>", |address| field::text(address, "/address"))
}

pub(super) const EVENT: &[Column] = &[
    Column::text("Last Seen", "The time of the last occurrence."),
    Column::text("Type", "Normal or Warning."),
    Column::text("Reason", "The reason, in one word."),
    Column::text("Object", "The object of the event."),
    Column::text("Subobject", "The part of the object.").wide(),
    Column::text("Source", "The reporting component.").wide(),
    Column::text("Message", "The message."),
    Column::text("First Seen", "The time of the first occurrence.").wide(),
    Column::number("Count", "The number of occurrences.").wide(),
    NAME.wide(),
];

pub(super) fn event(event: &Value, now: Time) -> Vec<Value> {
    let moment = |pointers: [&'static str; 4]| {
        since(pointers.iter().fold("", |found, pointer| or(found, field::text(event, pointer))), now)
    };
    let last = moment(["/series/lastObservedTime", "/lastTimestamp", "/firstTimestamp", "/eventTime"]);
    let count = match (field::number(event, "/series/count"), field::number(event, "/count")) {
        (0, 0) => 1,
        (0, count) | (count, _) => count,
    };
    let kind = field::text(event, "/involvedObject/kind").to_ascii_lowercase();
    let about = match field::text(event, "/involvedObject/name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    let component = or(field::text(event, "/source/component"), field::text(event, "/reportingComponent"));
    let source = match or(field::text(event, "/source/host"), field::text(event, "/reportingInstance")) {
        "" => component.to_owned(),
        host => format!("{component}, {host}"),
    };
    vec![
        last.into(),
        field::text(event, "/type").into(),
        field::text(event, "/reason").into(),
        about.into(),
        field::text(event, "/involvedObject/fieldPath").into(),
        source.into(),
        field::text(event, "/message").trim().into(),
        moment(["/firstTimestamp", "/eventTime", "", ""]).into(),
        count.into(),
        name(event),
    ]
}
