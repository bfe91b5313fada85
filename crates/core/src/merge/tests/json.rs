//! JSON patches and JSON merge patches.

use serde_json::{Value, json};

use super::super::{MergeError, json_merge, json_patch};
use super::yaml;

#[test]
fn json_merge_patches() {
    // The table of RFC 7386, Appendix A.
    let table = [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
        (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
        (r#"{"a":"foo"}"#, r#"null"#, r#"null"#),
        (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
        (r#"[1,2]"#, r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
        (r#"{}"#, r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ];
    for (live, patch, expected) in table {
        let mut merged: Value = yaml(live);
        json_merge(&mut merged, &yaml(patch));
        assert_eq!(merged, yaml(expected), "{live}, patched with {patch}");
    }
}

#[test]
fn json_patches() {
    let live = "{metadata: {labels: {a: b}}, spec: {ports: [{port: 1}, {port: 2}]}}";
    let missing = |operation: &str, path: &str| {
        Err(MergeError::DoesNotApply(format!(
            "{operation} operation does not apply: doc is missing path: {path}: missing value"
        )))
    };
    let table = [
        (
            "[{op: replace, path: /spec/ports/0/port, value: 9}, {op: remove, path: /metadata/labels}]",
            Ok("{metadata: {}, spec: {ports: [{port: 9}, {port: 2}]}}"),
        ),
        (
            "[{op: add, path: /spec/ports/-, value: {port: 3}}, {op: add, path: /metadata/labels/x~1y, value: z}]",
            Ok("{metadata: {labels: {a: b, x/y: z}}, spec: {ports: [{port: 1}, {port: 2}, {port: 3}]}}"),
        ),
        (
            "[{op: test, path: /spec/ports/1/port, value: 2}, {op: move, from: /spec/ports/1, path: /spec/ports/0}]",
            Ok("{metadata: {labels: {a: b}}, spec: {ports: [{port: 2}, {port: 1}]}}"),
        ),
        (
            "[{op: copy, from: /metadata/labels, path: /metadata/annotations}]",
            Ok("{metadata: {labels: {a: b}, annotations: {a: b}}, spec: {ports: [{port: 1}, {port: 2}]}}"),
        ),
        (
            "[{op: test, path: /spec/ports/1/port, value: 3}]",
            Err(MergeError::DoesNotApply("testing value /spec/ports/1/port failed".into())),
        ),
        ("[{op: replace, path: /spec/replicas, value: 3}]", missing("replace", "/spec/replicas")),
        ("[{op: remove, path: /spec/ports/2}]", missing("remove", "/spec/ports/2")),
        ("{a: b}", Err(MergeError::Malformed("a JSON patch has to be a list of operations".into()))),
    ];
    for (patch, expected) in table {
        let mut patched = yaml(live);
        let outcome = json_patch(&mut patched, &yaml(patch));
        assert_eq!(outcome.map(|()| patched), expected.map(yaml), "{patch}");
    }
    let no_operation = json_patch(&mut yaml(live), &yaml("[{op: test, path: ''}, {op: jump, path: /a}]"));
    assert!(matches!(no_operation, Err(MergeError::Malformed(_))), "{no_operation:?}");
}

#[test]
fn json_patches_are_bounded() {
    let bomb: Vec<Value> =
        (0..64).map(|at| json!({"op": "copy", "from": "", "path": format!("/{at}")})).collect();
    let many = vec![json!({"op": "test", "path": "/a", "value": "aaaaaaaa"}); 10_001];
    let nest = vec![json!({"op": "copy", "from": "/b", "path": "/b/b"}); 200];
    for patch in [bomb, many, nest] {
        let refused = json_patch(&mut json!({"a": "aaaaaaaa", "b": {}}), &Value::Array(patch));
        assert!(matches!(refused, Err(MergeError::TooLarge(_))), "{refused:?}");
    }
}
