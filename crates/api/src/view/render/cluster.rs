//! Namespaces and Events.

use serde_json::{Map, Value};

use super::{Shown, put};
use clusterlocal_core::store::{EventRecord, Kind, NAMESPACE_NAME_LABEL, Namespace, fill};

pub(super) fn namespace(shown: &mut Shown<'_>, namespace: &Namespace) {
    let meta = &namespace.metadata;
    let labels = clusterlocal_core::store::object(shown.metadata(), "labels");
    labels.insert(NAMESPACE_NAME_LABEL.into(), meta.name.as_str().into());
    let finalizers = namespace.spec_finalizers();
    put(shown.spec(), "finalizers", finalizers.iter().map(|name| name.as_str()).collect::<Vec<_>>());
    let phase = if meta.deletion_timestamp.is_some() { "Terminating" } else { "Active" };
    shown.status().insert("phase".into(), phase.into());
}

pub(super) fn event(shown: &mut Shown<'_>, event: &EventRecord) {
    let mut about = shown.reference(&event.involved_object);
    let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == event.involved_object.kind);
    if let (Some(kind), None) = (kind, about.get("apiVersion")) {
        about["apiVersion"] = kind.api_version().into();
    }
    // The object that a client wrote may have more: a field, a revision.
    let mut given = shown.json.remove("involvedObject").unwrap_or_default();
    match (given.as_object_mut(), about) {
        (Some(given), Value::Object(about)) => {
            about.into_iter().for_each(|(field, value)| fill(given, &field, value));
            shown.json.insert("involvedObject".into(), std::mem::take(given).into());
        }
        (_, about) => drop(shown.json.insert("involvedObject".into(), about)),
    }
    let json = &mut shown.json;
    json.insert("reason".into(), event.reason.as_str().into());
    json.insert("message".into(), event.message.as_str().into());
    json.insert("type".into(), event.event_type.as_str().into());
    let mut source = Map::new();
    put(&mut source, "component", event.source.component.as_str());
    fill(json, "source", source);
    fill(json, "reportingComponent", event.source.component.as_str());
    fill(json, "reportingInstance", "");
    put(json, "count", event.count);
    for (field, time) in [("firstTimestamp", event.first_timestamp), ("lastTimestamp", event.last_timestamp)]
    {
        json.insert(field.into(), time.map_or(Value::Null, |time| time.to_string().into()));
    }
    fill(json, "eventTime", Value::Null);
}
