//! `pkg/apis/discovery/v1/defaults.go`

use serde_json::Value;

/// `SetDefaults_EndpointPort`. A slice without endpoints is written with `endpoints: null`, one without ports with `ports: null`.
pub(super) fn set_defaults_endpoint_slice(slice: &mut Value) {
    let Some(slice) = slice.as_object_mut() else { return };
    for name in ["endpoints", "ports"] {
        if slice.get(name).and_then(Value::as_array).is_none_or(Vec::is_empty) {
            slice.insert(name.into(), Value::Null);
        }
    }
    let ports = slice.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten();
    for port in ports.filter_map(Value::as_object_mut) {
        port.entry("name").or_insert_with(|| "".into());
        port.entry("protocol").or_insert_with(|| "TCP".into());
    }
}
