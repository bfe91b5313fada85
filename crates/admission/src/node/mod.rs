//! Takes the place of `pkg/apis/node`: RuntimeClasses.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::core::nodes::node_label_deprecated_message;
use crate::core::validation::resources::validate_container_resource_requirements;
use crate::core::validation::scheduling;
use crate::field::{At, Causes};
use crate::primitives::{metadata, names};
use crate::schema::go_json;
use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[Strategy {
    unconditional_update: false,
    validate: validate_runtime_class,
    validate_update: |class, before, causes| {
        validate_runtime_class(class, causes);
        metadata::validate_object_meta_update(&class.at("metadata"), &before.at("metadata"), causes);
        metadata::validate_immutable(&class.at("handler"), &before.at("handler"), causes);
    },
    warnings: |class, _| warnings_for_runtime_class(&At::root(class)),
    ..Strategy::of("node.k8s.io", "RuntimeClass", false)
}];

fn validate_runtime_class(class: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&class.at("metadata"), false, names::dns_subdomain, causes);
    let handler = class.at("handler");
    if handler.is_empty() {
        causes.required(&handler, "");
    } else {
        names::check(&handler, names::dns_label, causes);
    }
    let overhead = class.at("overhead");
    if overhead.is_set() {
        // `validateOverhead`: what a Pod needs on top of its containers is a limit.
        let limits = json!({ "limits": overhead.at("podFixed").value() });
        validate_container_resource_requirements(&overhead.with(&limits), &BTreeSet::new(), causes);
    }
    let scheduling = class.at("scheduling");
    metadata::validate_labels(&scheduling.at("nodeSelector"), causes);
    validate_tolerations(&scheduling.at("tolerations"), causes);
}

/// `validateTolerations`: how long a taint is tolerated makes no other toleration.
fn validate_tolerations(tolerations: &At<'_>, causes: &mut Causes) {
    scheduling::validate_tolerations(tolerations, causes);
    let mut seen = BTreeSet::new();
    for toleration in tolerations.items() {
        let key = ["key", "operator", "value", "effect"].map(|name| toleration.at(name).text());
        if !seen.insert(key) {
            causes.duplicate(&toleration, go_json("Toleration", toleration.value()));
        }
    }
}

/// `GetWarningsForRuntimeClass`
fn warnings_for_runtime_class(class: &At<'_>) -> Vec<String> {
    let selector = class.at("scheduling.nodeSelector");
    let messages = selector
        .map()
        .into_iter()
        .flatten()
        .filter_map(|(key, _): (&String, &Value)| node_label_deprecated_message(key));
    messages.map(|message| format!("{selector}: {message}")).collect()
}
