//! What pod templates of workloads share: `SetDefaults_PodSpec`, `ValidatePodTemplateSpec`.

use serde_json::Value;

use crate::field::{At, Causes};
use crate::primitives::{metadata, names};

/// `SetDefaults_PodSpec`, with all that is nested in it.
pub(crate) fn default_pod_spec(spec: &mut Value) {
    if let Some(spec) = spec.as_object_mut() {
        clusterlocal_core::store::fill_pod_spec(spec);
    }
}

/// `ValidatePodTemplateSpec`
pub(crate) fn validate_pod_template_spec(template: &At<'_>, causes: &mut Causes) {
    let containers = template.at("spec.containers");
    metadata::validate_labels(&template.at("labels").with(template.at("metadata.labels").value()), causes);
    if containers.is_empty() {
        causes.required(&containers, "");
    }
    for container in containers.items() {
        let (name, image) = (container.at("name"), container.at("image"));
        if name.is_empty() {
            causes.required(&name, "");
        }
        for fault in names::dns_label(name.text()).into_iter().filter(|_| !name.is_empty()) {
            causes.invalid(&name, name.text(), &fault);
        }
        if image.is_empty() {
            causes.required(&image, "");
        }
    }
    let policy = template.at("spec.restartPolicy");
    if !matches!(policy.text(), "Always" | "OnFailure" | "Never") {
        causes.not_supported(&policy, policy.text(), &["Always", "OnFailure", "Never"]);
    }
}
