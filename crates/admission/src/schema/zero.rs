//! The zero values of Go's types, and which values Go omits in JSON.

use clusterlocal_core::types::{Field, Go, Own, Shape, Type};
use serde_json::{Map, Value};

/// Writes `value` into `map`, unless Go omits it.
pub(super) fn keep(map: &mut Map<String, Value>, field: &Field, value: Value) {
    let empty = match &value {
        Value::Null => true,
        _ if matches!(field.go, Go::Pointer(_) | Go::Any) || field.go.is_struct() => false,
        Value::String(text) => text.is_empty(),
        // Until it is stored an empty list or map is one: messages show it.
        Value::Array(_) | Value::Object(_) => false,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
    };
    let is_zero = || value == zero(&field.go);
    if value.is_null() || field.omit_empty && empty || field.omit_zero && is_zero() {
        return;
    }
    map.insert(field.json.into(), value);
}

/// Writes the zero values that Go does not omit.
pub(super) fn add_zeros(map: &mut Map<String, Value>, fields: &[Field]) {
    for field in fields {
        if (!field.omit_empty || field.go.is_struct()) && !map.contains_key(field.json) {
            keep(map, field, zero(&field.go));
        }
    }
}

/// The zero value of a type in JSON.
pub(super) fn zero(go: &Go) -> Value {
    match go {
        Go::Pointer(_) | Go::List(_) | Go::Map(..) | Go::Any => Value::Null,
        Go::Named(of) => zero_of(of),
        Go::Text => "".into(),
        Go::Boolean => false.into(),
        Go::Integer(..) | Go::Float => 0.into(),
    }
}

pub(super) fn zero_of(of: &'static Type) -> Value {
    match of.shape() {
        Shape::Other(other) => zero(other),
        Shape::Own(own) => zero_own(*own),
        Shape::Struct(fields) => {
            let mut map = Map::new();
            add_zeros(&mut map, fields);
            Value::Object(map)
        }
    }
}

pub(super) fn zero_own(own: Own) -> Value {
    match own {
        Own::Quantity => "0".into(),
        Own::IntOrString => 0.into(),
        Own::SchemaOrBool => false.into(),
        _ => Value::Null,
    }
}
