//! Takes the place of `k8s.io/kube-aggregator/pkg/apis/apiregistration`: APIServices.

use serde_json::Value;

use crate::core::volumes::put_default;
use crate::field::{At, Causes};
use crate::primitives::updates::keep_status;
use crate::primitives::{metadata, names};
use crate::schema::unbase64;
use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[Strategy {
    unconditional_update: false,
    default: |service| {
        if let Some(reference) =
            service.pointer_mut("/spec/service").filter(|reference| reference.is_object())
        {
            put_default(reference, "port", 443);
        }
    },
    prepare_for_create: |service| {
        if let Some(service) = service.as_object_mut() {
            service.insert("status".into(), Value::Object(serde_json::Map::new()));
        }
    },
    prepare_for_update: keep_status,
    validate: validate_api_service,
    validate_update: |service, before, causes| {
        metadata::validate_object_meta_update(&service.at("metadata"), &before.at("metadata"), causes);
        validate_api_service(service, causes);
    },
    ..Strategy::of("apiregistration.k8s.io", "APIService", false)
}];

/// Maxima of the priorities of a group and a version.
const GROUP_PRIORITY_MAX: i64 = 20_000;
const VERSION_PRIORITY_MAX: i64 = 1000;

fn validate_api_service(service: &At<'_>, causes: &mut Causes) {
    let spec = service.at("spec");
    let (group, version) = (spec.at("group"), spec.at("version"));
    let required = format!("{}.{}", version.text(), group.text());
    let name_faults = |name: &str| {
        let mut faults = names::path_segment(name);
        if faults.is_empty() && name != required {
            faults.push(format!("must be `spec.version+\".\"+spec.group`: {required:?}"));
        }
        faults
    };
    metadata::validate_object_meta(&service.at("metadata"), false, name_faults, causes);
    if group.is_empty() && version.text() != "v1" {
        causes.required(&group, "only v1 may have an empty group and it better be legacy kube");
    }
    if !group.is_empty() {
        names::check(&group, names::dns_subdomain, causes);
    }
    names::check(&version, names::dns_1035_label, causes);
    let priorities =
        [("groupPriorityMinimum", GROUP_PRIORITY_MAX), ("versionPriority", VERSION_PRIORITY_MAX)];
    for (field, max) in priorities {
        let priority = spec.at(field);
        if !(1..=max).contains(&priority.number()) {
            let why = format!("must be positive and less than {max}");
            causes.invalid(&priority, priority.number(), &why);
        }
    }
    validate_server(&spec, causes);
}

/// The server of the version, which is kube-apiserver itself if there is no Service.
fn validate_server(spec: &At<'_>, causes: &mut Causes) {
    let (service, bundle) = (spec.at("service"), spec.at("caBundle"));
    let insecure = spec.at("insecureSkipTLSVerify");
    if !service.is_set() {
        if !bundle.is_empty() {
            let length = unbase64(bundle.text().as_bytes()).map_or(0, |bytes| bytes.len());
            let why = "local APIServices may not have a caBundle";
            causes.invalid(&bundle, format!("{length} bytes").as_str(), why);
        }
        if insecure.is_true() {
            causes.invalid(&insecure, true, "local APIServices may not have insecureSkipTLSVerify");
        }
        return;
    }
    for field in ["namespace", "name"] {
        if service.at(field).is_empty() {
            causes.required(&service.at(field), "");
        }
    }
    let port = service.at("port");
    let faults = names::port_number(port.number());
    if !faults.is_empty() {
        causes.invalid(&port, port.number(), &format!("port is not valid: {}", faults.join(", ")));
    }
    if insecure.is_true() && !bundle.is_empty() {
        causes.invalid(&insecure, true, "may not be true if caBundle is present");
    }
}
