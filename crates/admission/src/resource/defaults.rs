//! `pkg/apis/resource/v1/defaults.go`. When a taint was added is left as it is: there is no clock here.

use serde_json::{Map, Value};

use crate::primitives::defaults::set_if_zero;

/// The defaults of the requests in `devices` of a claim.
pub(super) fn set_defaults_claim(devices: Option<&mut Value>) {
    let Some(devices) = devices else { return };
    for request in objects(devices, "requests") {
        if let Some(exactly) = request.get_mut("exactly").and_then(Value::as_object_mut) {
            set_defaults_request(exactly);
        }
        if let Some(Value::Array(all)) = request.get_mut("firstAvailable") {
            all.iter_mut().filter_map(Value::as_object_mut).for_each(set_defaults_request);
        }
    }
}

/// `SetDefaults_ExactDeviceRequest`, `SetDefaults_DeviceSubRequest`
fn set_defaults_request(request: &mut Map<String, Value>) {
    set_if_zero(request, "allocationMode", "ExactCount");
    if request["allocationMode"] == "ExactCount" {
        set_if_zero(request, "count", 1);
    }
    if let Some(Value::Array(tolerations)) = request.get_mut("tolerations") {
        for toleration in tolerations.iter_mut().filter_map(Value::as_object_mut) {
            set_if_zero(toleration, "operator", "Equal");
        }
    }
}

/// The objects in a list of an object.
fn objects<'v>(owner: &'v mut Value, list: &str) -> impl Iterator<Item = &'v mut Map<String, Value>> {
    let items = owner.get_mut(list).and_then(Value::as_array_mut);
    items.into_iter().flatten().filter_map(Value::as_object_mut)
}
