//! Events of both groups (`pkg/apis/core/validation/events.go`): those of `events.k8s.io` have stricter rules.

use serde_json::Value;

use super::validation::metadata;
use crate::field::{At, Causes, Shown};
use crate::primitives::metadata::validate_immutable;
use crate::primitives::names;
use crate::schema::go_json;
use crate::strategy::Strategy;

pub(crate) const EVENT: Strategy = Strategy {
    validate: |event, causes| legacy_validate_event(event, "reportingComponent", causes),
    validate_update: |event, _, causes| legacy_validate_event(event, "reportingComponent", causes),
    ..Strategy::of("", "Event", true)
};

pub(crate) const EVENT_OF_EVENTS: Strategy = Strategy {
    validate: |event, causes| {
        let event = internal(event.value());
        validate_event_create(&At::root(&event), causes);
    },
    validate_update: |event, before, causes| {
        let (event, before) = (internal(event.value()), internal(before.value()));
        validate_event_update(&At::root(&event), &At::root(&before), causes);
    },
    ..Strategy::of("events.k8s.io", "Event", true)
};

/// The field of the controller in causes of an Event of `events.k8s.io`.
const CONTROLLER: &str = "reportingController";

/// An Event of `events.k8s.io` with the names that its fields have in the API server (`pkg/apis/events/v1`, conversions).
fn internal(event: &Value) -> Value {
    const NAMES: [(&str, &str); 6] = [
        ("regarding", "involvedObject"),
        ("note", "message"),
        ("deprecatedSource", "source"),
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
        ("deprecatedCount", "count"),
    ];
    let mut event = event.clone();
    if let Some(event) = event.as_object_mut() {
        for (from, to) in NAMES {
            if let Some(value) = event.remove(from) {
                event.insert(to.into(), value);
            }
        }
    }
    event
}

/// `ValidateEventCreate`, of the versions with strict rules.
fn validate_event_create(event: &At<'_>, causes: &mut Causes) {
    const UNSET: &str = "needs to be unset";
    legacy_validate_event(event, CONTROLLER, causes);
    metadata::validate_object_meta(&event.at("metadata"), true, names::dns_subdomain, causes);
    validate_series(&event.at("series"), causes);
    if event.at("eventTime").is_empty() {
        causes.required(&event.at("eventTime"), "");
    }
    let kind = event.at("type");
    if !matches!(kind.text(), "Normal" | "Warning") {
        causes.invalid(&kind, "", &format!("has invalid value: {}", kind.text()));
    }
    for field in ["firstTimestamp", "lastTimestamp"].map(|name| event.at(name)) {
        if field.is_set() {
            causes.invalid(&field, "", UNSET);
        }
    }
    if event.at("count").number() != 0 {
        causes.invalid(&event.at("count"), "", UNSET);
    }
    let source = event.at("source");
    if !source.at("component").is_empty() || !source.at("host").is_empty() {
        causes.invalid(&source, "", UNSET);
    }
}

/// `validateV1EventSeries`
fn validate_series(series: &At<'_>, causes: &mut Causes) {
    if !series.is_set() {
        return;
    }
    let (count, time) = (series.at("count"), series.at("lastObservedTime"));
    if count.number() < 2 {
        causes.invalid(&count, "", "should be at least 2");
    }
    if time.is_empty() {
        causes.required(&time, "");
    }
}

/// `ValidateEventUpdate`, of the versions with strict rules. A reason that changes is reported twice.
fn validate_event_update(event: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    const TIME: &str = "time";
    const FIELDS: [(&str, &str); 14] = [
        ("involvedObject", "core.ObjectReference"),
        ("reason", ""),
        ("message", ""),
        ("source", "core.EventSource"),
        ("firstTimestamp", TIME),
        ("lastTimestamp", TIME),
        ("count", ""),
        ("reason", ""),
        ("type", ""),
        ("eventTime", TIME),
        ("action", ""),
        ("related", "core.ObjectReference"),
        (CONTROLLER, ""),
        ("reportingInstance", ""),
    ];
    legacy_validate_event(event, CONTROLLER, causes);
    metadata::validate_object_meta_update(&event.at("metadata"), &before.at("metadata"), causes);
    if event.at("series").value() != before.at("series").value() {
        validate_series(&event.at("series"), causes);
    }
    for (name, type_name) in FIELDS {
        let (new, old) = (event.at(name), before.at(name));
        if new.value() == old.value() || type_name.is_empty() {
            validate_immutable(&new, &old, causes);
        } else {
            let shown = match new.value() {
                Value::Null => Shown::nil(),
                time if type_name == TIME => time.into(),
                value => go_json(type_name, value),
            };
            causes.invalid(&new, shown, "field is immutable");
        }
    }
}

/// `legacyValidateEvent`, which calls the field of the controller as the version does that the client sends.
fn legacy_validate_event(event: &At<'_>, controller: &'static str, causes: &mut Causes) {
    let namespace = event.at("namespace").with(event.at("metadata.namespace").value());
    let involved = event.at("involvedObject.namespace");
    let mismatch = |causes: &mut Causes| {
        causes.invalid(&involved, involved.text(), "does not match event.namespace");
    };
    if event.at("eventTime").is_empty() {
        // What has no namespace has its events in `default`.
        let is_same = match involved.text() {
            "" => matches!(namespace.text(), "" | "default"),
            involved => involved == namespace.text(),
        };
        if !is_same {
            mismatch(causes);
        }
    } else {
        if involved.is_empty() && !matches!(namespace.text(), "default" | "kube-system") {
            mismatch(causes);
        }
        let controller = event.at(controller);
        if controller.is_empty() {
            causes.required(&controller, "");
        }
        names::check(&controller, names::label_key, causes);
        for (field, is_needed, max) in [
            ("reportingInstance", true, 128),
            ("action", true, 128),
            ("reason", true, 128),
            ("message", false, 1024),
        ] {
            let field = event.at(field);
            if is_needed && field.is_empty() {
                causes.required(&field, "");
            }
            if field.text().len() > max {
                causes.invalid(&field, "", &format!("can have at most {max} characters"));
            }
        }
    }
    names::check(&namespace, names::dns_subdomain, causes);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_where_their_objects_are() {
        let event = json!({ "metadata": { "namespace": "a" }, "involvedObject": { "namespace": "b" } });
        let mut causes = Causes::default();
        legacy_validate_event(&At::root(&event), "reportingComponent", &mut causes);
        let messages: Vec<String> = causes.into_vec().iter().map(ToString::to_string).collect();
        assert_eq!(
            messages,
            ["involvedObject.namespace: Invalid value: \"b\": does not match event.namespace"]
        );
    }
}
