//! How defaults are set. What is absent is set by `clusterlocal_core::store::fill`.

use clusterlocal_core::store;
use clusterlocal_core::text::Quantity;
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

/// `SetDefaults_ResourceList`: the amounts of a list in whole thousandths, rounded up.
pub(crate) fn round_up(amounts: Option<&mut Value>) {
    for (_, amount) in amounts.and_then(Value::as_object_mut).into_iter().flatten() {
        let quantity = Quantity::of(amount.as_str().unwrap_or_default());
        if quantity.rounded_to_milli() != quantity {
            *amount = quantity.rounded_to_milli().to_string().into();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_rounded_up_to_thousandths() {
        let mut list = json!({ "a": "1n", "b": "999999999n", "c": "1Gi", "d": "-1u" });
        round_up(Some(&mut list));
        assert_eq!(list, json!({ "a": "1m", "b": "1", "c": "1Gi", "d": "-1m" }));
    }
}
