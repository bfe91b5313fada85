//! How defaults are set. What is absent is set by `clusterlocal_core::store::fill`.

use clusterlocal_core::store;
use serde_json::{Map, Value};

/// Sets what has the zero value of its type: of a field that is no pointer in Go.
pub(crate) fn set_if_zero(map: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    let is_zero = |value: &Value| value.is_null() || value == "" || value == 0;
    if map.get(field).is_none_or(is_zero) {
        map.insert(field.into(), value.into());
    }
}

/// The object in the field `name` of an object, made if it is not there.
pub(crate) fn object<'v>(value: &'v mut Value, name: &str) -> Option<&'v mut Map<String, Value>> {
    value.as_object_mut().map(|map| store::object(map, name))
}
