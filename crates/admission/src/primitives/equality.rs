//! Equality of what clients write (`apimachinery/pkg/api/equality`).

use serde_json::Value;

/// `apiequality.Semantic.DeepEqual`: a list or a map that is empty is as good as none.
pub(crate) fn semantically_equal(one: &Value, other: &Value) -> bool {
    const MAPS: &[&str] = &["limits", "requests", "capacity", "matchLabels", "volumeAttributes", "options"];
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let same = |key: &String| {
                let is_none = |value: Option<&Value>| match value {
                    None | Some(Value::Null) => true,
                    Some(Value::Array(items)) => items.is_empty(),
                    Some(Value::Object(map)) => map.is_empty() && MAPS.contains(&key.as_str()),
                    Some(_) => false,
                };
                match (one.get(key), other.get(key)) {
                    (one, other) if is_none(one) && is_none(other) => true,
                    (Some(one), Some(other)) => semantically_equal(one, other),
                    _ => false,
                }
            };
            one.keys().chain(other.keys()).all(same)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| semantically_equal(one, other))
        }
        (one, other) => one == other,
    }
}
