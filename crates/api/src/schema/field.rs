//! Fields of an object as the API shows it, read by JSON pointer (RFC 6901), with what stands for absence.

use serde_json::Value;

/// What is at `pointer`. A table asks a dozen times for each row, and serde_json's own pointers allocate each time.
pub(crate) fn at<'a>(object: &'a Value, pointer: &str) -> Option<&'a Value> {
    pointer.split('/').skip(1).try_fold(object, |value, token| match value {
        Value::Object(map) if token.contains('~') => map.get(&token.replace("~1", "/").replace("~0", "~")),
        Value::Object(map) => map.get(token),
        Value::Array(items) => items.get(token.parse::<usize>().ok()?),
        _ => None,
    })
}

/// The text at `pointer`; empty if there is none.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    at(object, pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number at `pointer`; 0 if there is none.
pub(crate) fn number(object: &Value, pointer: &str) -> i64 {
    at(object, pointer).and_then(Value::as_i64).unwrap_or_default()
}

/// Whether `true` is at `pointer`.
pub(crate) fn flag(object: &Value, pointer: &str) -> bool {
    at(object, pointer).and_then(Value::as_bool).unwrap_or_default()
}

/// Whether anything is at `pointer`.
pub(crate) fn is_set(object: &Value, pointer: &str) -> bool {
    at(object, pointer).is_some_and(|value| !value.is_null())
}

/// The items of the list at `pointer`; none if there is no list.
pub(crate) fn items<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    at(object, pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The status (`True`, `False`, `Unknown`) of the condition called `name`.
pub(crate) fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    let all = items(object, "/status/conditions");
    all.iter().find(|condition| text(condition, "/type") == name).map(|condition| text(condition, "/status"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pointers_lead_where_those_of_serde_json_do() {
        let object = json!({ "a": { "b/c": [1, { "d~e": "f" }] }, "": 2 });
        for pointer in
            ["", "/a", "/a/b~1c/0", "/a/b~1c/1/d~0e", "/a/b~1c/2", "/a/x", "/", "/a/b~1c/d", "/a/b~1c/0/x"]
        {
            assert_eq!(at(&object, pointer), object.pointer(pointer), "{pointer:?}");
        }
    }
}
