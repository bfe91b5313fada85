//! Decodes an object as the API server does: with sigs.k8s.io/json, strictly, into the types of its kind.

use serde_json::{Map, Value};

use super::scalars;
use super::zero::{add_zeros, keep, zero, zero_of, zero_own};
use crate::field::Shown;
use clusterlocal_core::text::Quantity;
use clusterlocal_core::types::{self, Field, Go, Own, Shape, Type};

/// What strict decoding refuses in an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is: `spec.containers[0].port`.
    pub path: String,
    /// The same as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What of the decoder's answer is about it: `json: cannot unmarshal …`, `unknown field "…"`.
    pub message: String,
    /// Whether it is a field that its struct does not have; otherwise it is a value that its field cannot hold.
    pub unknown: bool,
    /// Whether decoding ends with it, and the rest of the object is not read.
    pub fatal: bool,
}

/// The fields that a list of problems has at most, as in sigs.k8s.io/json.
const UNKNOWN_MAX: usize = 100;

/// `object` as the API server writes what it read of it, and all that it refuses, in the order in which it stands.
pub(super) fn decode(of: &'static Type, object: Value) -> (Value, Vec<Problem>) {
    let mut decoder = Decoder { strict: true, ..Decoder::default() };
    let decoded = decoder.named(of, object);
    (decoded, decoder.problems)
}

/// The one wrong value that an API server answers with: what ends decoding, else the first.
pub(super) fn wrong(problems: &[Problem]) -> Option<&Problem> {
    let first = || problems.iter().find(|problem| !problem.unknown);
    problems.iter().find(|problem| problem.fatal).or_else(first)
}

/// Part of the way to a value.
enum Step {
    Field(&'static str),
    /// A struct whose fields are inlined among the others: only messages about wrong values name it.
    Within(&'static str),
    Key(String),
    Item(usize),
}

#[derive(Default)]
struct Decoder {
    path: Vec<Step>,
    /// The struct whose field is being read.
    of: &'static str,
    /// Whether unknown fields count.
    strict: bool,
    problems: Vec<Problem>,
}

/// What a value is called in Go's errors.
fn described(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Number(_) => "number",
    }
}

impl Decoder {
    fn named(&mut self, of: &'static Type, value: Value) -> Value {
        match (of.shape(), value) {
            (Shape::Other(other), value) => self.other(of, other, value),
            (Shape::Own(own), value) => self.own(*own, value),
            (Shape::Struct(fields), Value::Object(map)) => self.fields(of, fields, map),
            (Shape::Struct(_), Value::Null) => zero_of(of),
            (Shape::Struct(_), value) => self.wrong(&value, &Go::Named(of)),
        }
    }

    /// A named type that is no struct: errors have its name.
    fn other(&mut self, of: &'static Type, other: &Go, value: Value) -> Value {
        let fits = match other {
            Go::Text => value.is_string(),
            Go::Boolean => value.is_boolean(),
            Go::Map(..) => value.is_object(),
            Go::List(_) => value.is_array(),
            Go::Integer(_, least, greatest) => integer(&value, *least, *greatest).is_some(),
            _ => true,
        };
        if fits || value.is_null() { self.value(other, value) } else { self.wrong(&value, &Go::Named(of)) }
    }

    fn fields(&mut self, of: &'static Type, fields: &'static [Field], map: Map<String, Value>) -> Value {
        let outer = self.of;
        let mut decoded = Map::new();
        for (key, value) in map {
            let Some(field) = fields.iter().find(|field| field.json == key) else {
                if self.strict {
                    self.unknown(&key);
                }
                continue;
            };
            let length = self.path.len();
            self.path.extend(field.within.iter().map(|name| Step::Within(name)));
            self.path.push(Step::Field(field.json));
            self.of = of.name;
            let value = self.value(&field.go, value);
            self.path.truncate(length);
            self.of = outer;
            keep(&mut decoded, field, value);
        }
        add_zeros(&mut decoded, fields);
        Value::Object(decoded)
    }

    fn value(&mut self, go: &Go, value: Value) -> Value {
        match (go, value) {
            (Go::Any, value) => value,
            (Go::Named(of), value) => self.named(of, value),
            (go, Value::Null) => zero(go),
            (Go::Pointer(to), value) => self.value(to, value),
            (Go::Text, value @ Value::String(_)) | (Go::Boolean, value @ Value::Bool(_)) => value,
            (Go::List(_), Value::String(text)) if go.is_bytes() => match scalars::base64(&text) {
                Ok(text) => text.into(),
                Err(why) => {
                    self.problem(why, false);
                    Value::Null
                }
            },
            (Go::List(of), Value::Array(items)) => {
                let items = items.into_iter().enumerate().map(|(at, item)| {
                    self.path.push(Step::Item(at));
                    let item = self.value(of, item);
                    self.path.pop();
                    item
                });
                let items: Vec<Value> = items.collect();
                if go.is_bytes() {
                    let bytes: Vec<u8> = items.iter().map(|item| item.as_u64().unwrap_or(0) as u8).collect();
                    return scalars::to_base64(&bytes).into();
                }
                Value::Array(items)
            }
            (Go::Map(_, of), Value::Object(entries)) => {
                let entries = entries.into_iter().map(|(key, entry)| {
                    self.path.push(Step::Key(key.clone()));
                    let entry = match self.value(of, entry) {
                        Value::Null if of.is_bytes() => "".into(),
                        entry => entry,
                    };
                    self.path.pop();
                    (key, entry)
                });
                Value::Object(entries.collect())
            }
            (Go::Integer(_, least, greatest), value) => match integer(&value, *least, *greatest) {
                Some(number) => number.into(),
                None => self.wrong(&value, go),
            },
            (Go::Float, Value::Number(number)) => float(&number),
            (go, value) => self.wrong(&value, go),
        }
    }

    fn own(&mut self, own: Own, value: Value) -> Value {
        let fatal = |this: &mut Self, result: Result<Value, String>| {
            result.unwrap_or_else(|why| {
                this.problem(why, true);
                Value::Null
            })
        };
        match (own, value) {
            (Own::Raw, value) => value,
            (own, Value::Null) => zero_own(own),
            (Own::Time | Own::MicroTime, Value::String(text)) => {
                let time = scalars::time(&text, own == Own::MicroTime);
                fatal(self, time.map(|time| time.map_or(Value::Null, Value::from)))
            }
            (Own::Time | Own::MicroTime, value) => self.wrong_inside(&value, &Go::Text),
            (Own::Quantity, value) => {
                let text = match value {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                fatal(self, Quantity::canonical(&text).map(Value::from).map_err(|error| error.to_string()))
            }
            (Own::IntOrString, value @ Value::String(_)) => value,
            (Own::IntOrString, value) => match integer(&value, i32::MIN.into(), i32::MAX.into()) {
                Some(number) => number.into(),
                None => self.wrong_inside(&value, &INT32),
            },
            (Own::SchemaOrBool, value @ Value::Bool(_)) => value,
            (Own::SchemaOrBool, value) if !value.is_object() => {
                self.problem("boolean or JSON schema expected".into(), true);
                value
            }
            (Own::SchemaOrArray, Value::Array(items)) => {
                self.apart(|this| Value::Array(items.into_iter().map(|item| this.schema(item)).collect()))
            }
            (Own::SchemaOrStrings, value @ Value::Array(_)) => {
                self.apart(|this| this.value(&Go::List(Box::new(Go::Text)), value))
            }
            (_, value @ Value::Object(_)) => self.apart(|this| this.schema(value)),
            (_, _) => Value::Null,
        }
    }

    /// Decodes something that Go decodes by itself: not strictly, and the first error in it ends decoding.
    fn apart(&mut self, decode: impl FnOnce(&mut Self) -> Value) -> Value {
        let before = self.problems.len();
        let strict = std::mem::take(&mut self.strict);
        let value = decode(self);
        self.strict = strict;
        let found = &mut self.problems[before..];
        if let (false, Some(first)) = (found.iter().any(|problem| problem.fatal), found.first_mut()) {
            first.fatal = true;
        }
        value
    }

    fn schema(&mut self, value: Value) -> Value {
        types::named("apiextensions", "JSONSchemaProps").map_or(Value::Null, |of| self.named(of, value))
    }

    fn wrong(&mut self, value: &Value, go: &Go) -> Value {
        self.add_wrong(value, go, false);
        zero(go)
    }

    /// A wrong value in something that decodes itself: that ends decoding.
    fn wrong_inside(&mut self, value: &Value, go: &Go) -> Value {
        self.add_wrong(value, go, true);
        Value::Null
    }

    fn add_wrong(&mut self, value: &Value, go: &Go, fatal: bool) {
        let is_number = |go: &Go| matches!(go, Go::Integer(..) | Go::Float);
        let wants_number = match go {
            Go::Named(of) => matches!(of.shape(), Shape::Other(other) if is_number(other)),
            go => is_number(go),
        };
        // Go repeats a number that its type cannot hold.
        let value = match value {
            Value::Number(number) if wants_number => format!("number {number}"),
            other => described(other).to_owned(),
        };
        let names = self.path.iter().filter_map(|step| match step {
            Step::Field(name) | Step::Within(name) => Some(*name),
            Step::Key(_) | Step::Item(_) => None,
        });
        let names: Vec<&str> = names.collect();
        let go = go.name();
        let message = if names.is_empty() {
            format!("json: cannot unmarshal {value} into Go value of type {go}")
        } else {
            format!(
                "json: cannot unmarshal {value} into Go struct field {}.{} of type {go}",
                self.of,
                names.join(".")
            )
        };
        self.problem(message, fatal);
    }

    fn unknown(&mut self, key: &str) {
        if self.problems.iter().filter(|problem| problem.unknown).count() >= UNKNOWN_MAX {
            return;
        }
        self.path.push(Step::Key(key.to_owned()));
        let (path, pointer) = self.place();
        let message = format!("unknown field {}", Shown::from(self.dotted().as_str()).into_text());
        self.path.pop();
        self.problems.push(Problem { path, pointer, message, unknown: true, fatal: false });
    }

    fn problem(&mut self, message: String, fatal: bool) {
        let (path, pointer) = self.place();
        self.problems.push(Problem { path, pointer, message, unknown: false, fatal });
    }

    /// The path of the value that is being read, as sigs.k8s.io/json writes it.
    fn dotted(&self) -> String {
        self.path.iter().fold(String::new(), |path, step| match step {
            Step::Within(_) => path,
            Step::Item(at) => format!("{path}[{at}]"),
            Step::Field(name) if path.is_empty() => (*name).to_owned(),
            Step::Key(key) if path.is_empty() => key.clone(),
            Step::Field(name) => format!("{path}.{name}"),
            Step::Key(key) => format!("{path}.{key}"),
        })
    }

    /// The path of the value that is being read, with keys that have dots in brackets, and the JSON pointer.
    fn place(&self) -> (String, String) {
        let (mut path, mut pointer) = (String::new(), String::new());
        for step in &self.path {
            let name = match step {
                Step::Within(_) => continue,
                Step::Field(name) => name,
                Step::Key(key) => key.as_str(),
                Step::Item(at) => {
                    path += &format!("[{at}]");
                    pointer += &format!("/{at}");
                    continue;
                }
            };
            path = clusterlocal_core::manifest::tree::below(&path, name);
            pointer.push('/');
            pointer += &name.replace('~', "~0").replace('/', "~1");
        }
        (path, pointer)
    }
}

static INT32: Go = Go::Integer("int32", i32::MIN as i64, i32::MAX as i64);

fn integer(value: &Value, least: i64, greatest: i64) -> Option<i64> {
    value.as_i64().filter(|number| (least..=greatest).contains(number))
}

/// A number as Go writes a `float64`: without a fraction, if it has none.
fn float(number: &serde_json::Number) -> Value {
    match number.as_f64() {
        Some(float) if float.fract() == 0.0 && float.abs() < 1e15 => (float as i64).into(),
        _ => Value::Number(number.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(version: &str, kind: &str, object: Value) -> Result<Value, String> {
        let of = types::of_kind(version, kind).expect(kind);
        let (decoded, problems) = decode(of, object);
        let all = || problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join(", ");
        match wrong(&problems) {
            Some(wrong) => Err(wrong.message.clone()),
            None if problems.is_empty() => Ok(decoded),
            None => Err(format!("strict decoding error: {}", all())),
        }
    }

    #[test]
    fn what_is_read_is_written_as_go_does() {
        let read = read(
            "v1",
            "Service",
            json!({ "metadata": { "name": "a", "labels": {}, "creationTimestamp": null, "finalizers": null },
                    "spec": { "ports": [{ "port": 1 }], "selector": null, "type": "" } }),
        );
        let expected = json!({ "metadata": { "name": "a", "labels": {} },
                               "spec": { "ports": [{ "port": 1, "targetPort": 0 }] }, "status": { "loadBalancer": {} } });
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn the_first_error_in_a_schema_of_a_list_ends_decoding() {
        let schema = json!({ "dependencies": { "x": [5] }, "properties": { "a": { "items": { "type": 5, "unknown": 1 } } } });
        let definition =
            json!({ "spec": { "group": 5, "versions": [{ "schema": { "openAPIV3Schema": schema } }] } });
        let expected = "json: cannot unmarshal number into Go struct field \
            JSONSchemaProps.spec.versions.schema.openAPIV3Schema.dependencies of type string";
        let read = read("apiextensions.k8s.io/v1", "CustomResourceDefinition", definition);
        assert_eq!(read, Err(expected.into()));
    }

    #[test]
    fn errors_are_those_of_go() {
        let table = [
            (
                json!({ "spec": { "a": 1, "containers": [{ "b": {} }] } }),
                r#"strict decoding error: unknown field "spec.a", unknown field "spec.containers[0].b""#,
            ),
            (
                json!({ "spec": { "containers": [{ "livenessProbe": { "exec": "x" } }], "x": 1 } }),
                "json: cannot unmarshal string into Go struct field Probe.spec.containers.livenessProbe.ProbeHandler.exec of type v1.ExecAction",
            ),
            (
                json!({ "spec": { "activeDeadlineSeconds": "1", "containers": [{ "resources": { "limits": { "cpu": true } } }] } }),
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            ),
            (
                json!({ "metadata": { "creationTimestamp": 5 } }),
                "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string",
            ),
        ];
        for (object, expected) in table {
            assert_eq!(read("v1", "Pod", object), Err(expected.into()));
        }
    }
}
