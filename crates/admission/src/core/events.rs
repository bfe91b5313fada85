//! Events of `v1` (`legacyValidateEvent`): those of `events.k8s.io` have stricter rules.

use crate::field::{At, Causes};
use crate::primitives::names;
use crate::strategy::Strategy;

pub(crate) const EVENT: Strategy = Strategy {
    validate: legacy_validate_event,
    validate_update: |event, _, causes| legacy_validate_event(event, causes),
    ..Strategy::of("", "Event", true)
};

fn legacy_validate_event(event: &At<'_>, causes: &mut Causes) {
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
        let controller = event.at("reportingComponent");
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
        legacy_validate_event(&At::root(&event), &mut causes);
        let messages: Vec<String> = causes.into_vec().iter().map(ToString::to_string).collect();
        assert_eq!(
            messages,
            ["involvedObject.namespace: Invalid value: \"b\": does not match event.namespace"]
        );
    }
}
