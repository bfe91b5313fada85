//! Values of another type than the field that they are in, in the words of Go's decoder.

use serde_json::Value;

use super::FIELDS_MAX;
use super::step::{Step, place, pointer};
use crate::schema::types::{self, Field};

/// A value that is of another type than its field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WrongType {
    /// Where it is: `metadata.labels[a.b/c]`.
    pub(crate) path: String,
    /// The same as a JSON pointer (RFC 6901).
    pub(crate) pointer: String,
    /// What Go's decoder answers: `cannot unmarshal number into Go struct field …`.
    pub(crate) message: String,
    /// The value as a string, where a string is wanted and it would be one in quotes.
    pub(crate) quoted: Option<String>,
}

/// The values of `object` that are of another type than their fields, at most [`FIELDS_MAX`]. None if the kind is not known.
pub(crate) fn wrong_types(api_version: &str, kind: &str, object: &Value) -> Vec<WrongType> {
    new_wrong_types(api_version, kind, object, None)
}

/// The same, but for the fields of `object` whose values `before` has already: most writes leave the spec as it is.
pub(super) fn new_wrong_types(
    api_version: &str,
    kind: &str,
    object: &Value,
    before: Option<&Value>,
) -> Vec<WrongType> {
    let mut found = Vec::new();
    // Our own kinds have types of their own: a step of a Fault's sequence is a string or a list.
    let known =
        types::of(api_version, kind).filter(|_| !api_version.starts_with(crate::schema::resource::OWN_GROUP));
    if let Some(known) = known {
        Types { path: Vec::new(), found: &mut found }.fields(kind, object, before, known);
    }
    found
}

/// The fields that hold 64 bits; other whole numbers have 32 (`types.go` of each group, as far as they are written by hand).
const LONG: [&str; 12] = [
    "activeDeadlineSeconds",
    "deletionGracePeriodSeconds",
    "expirationSeconds",
    "fsGroup",
    "generation",
    "gracePeriodSeconds",
    "observedGeneration",
    "runAsGroup",
    "runAsUser",
    "supplementalGroups",
    "terminationGracePeriodSeconds",
    "tolerationSeconds",
];

struct Types<'o, 'f> {
    path: Vec<Step<'o>>,
    found: &'f mut Vec<WrongType>,
}

impl<'o> Types<'o, '_> {
    /// Looks at the fields of `object`, which is of the type called `of`, but for those that `before` has with the same value.
    fn fields(&mut self, of: &str, object: &'o Value, before: Option<&Value>, known: &'static [Field]) {
        for (name, value) in object.as_object().into_iter().flatten() {
            if before.is_some_and(|before| before.get(name) == Some(value)) {
                continue;
            }
            let Some(field) = types::named(known, name).filter(|_| !value.is_null()) else { continue };
            self.path.push(Step::Field(name));
            let go = go_type(field);
            match (field.shape, value) {
                (types::Shape::List, Value::Array(items)) => {
                    for (at, item) in items.iter().enumerate() {
                        self.path.push(Step::Item(at));
                        self.value(of, field, &go, item);
                        self.path.pop();
                    }
                }
                (types::Shape::List, other) if field.kind != types::Type::Bytes => {
                    self.wrong(of, other, &format!("[]{go}"));
                }
                (types::Shape::Map, Value::Object(entries)) => {
                    for (key, entry) in entries {
                        self.path.push(Step::Key(key));
                        self.value(of, field, &go, entry);
                        self.path.pop();
                    }
                }
                (types::Shape::Map, other) => self.wrong(of, other, &format!("map[string]{go}")),
                (_, value) => self.value(of, field, &go, value),
            }
            self.path.pop();
        }
    }

    /// Looks at one value of `field` of the type called `of`.
    fn value(&mut self, of: &str, field: &'static Field, go: &str, value: &'o Value) {
        use types::Type;
        let fits = match field.kind {
            _ if value.is_null() => true,
            Type::String | Type::Bytes => value.is_string(),
            Type::Integer => value.is_i64() || value.is_u64(),
            Type::Float => value.is_number(),
            Type::Boolean => value.is_boolean(),
            Type::Named(_) => value.is_object(),
            Type::IntOrString => value.is_i64() || value.is_u64() || value.is_string(),
            _ => true,
        };
        match (fits, field.kind) {
            (false, _) => self.wrong(of, value, go),
            (true, Type::Named(name)) => {
                if let Some(known) = field.kind.fields() {
                    self.fields(name.rsplit('.').next().unwrap_or(name), value, None, known);
                }
            }
            (true, _) => {}
        }
    }

    fn wrong(&mut self, of: &str, value: &Value, wanted: &str) {
        if self.found.len() >= FIELDS_MAX {
            return;
        }
        let got = match value {
            Value::String(_) => "string".into(),
            Value::Bool(_) => "bool".into(),
            Value::Array(_) => "array".into(),
            Value::Object(_) => "object".into(),
            // Go repeats a number that its type cannot hold.
            Value::Number(number) if wanted.starts_with("int") => format!("number {number}"),
            _ => "number".into(),
        };
        let fields: Vec<&str> = self
            .path
            .iter()
            .filter_map(|step| if let Step::Field(name) = step { Some(*name) } else { None })
            .collect();
        let message =
            format!("cannot unmarshal {got} into Go struct field {of}.{} of type {wanted}", fields.join("."));
        let quoted = matches!(value, Value::Number(_) | Value::Bool(_)) && wanted == "string";
        self.found.push(WrongType {
            path: place(&self.path),
            pointer: pointer(&self.path),
            message,
            quoted: quoted.then(|| value.to_string()),
        });
    }
}

/// What Go calls the type of one value of `field`.
fn go_type(field: &Field) -> String {
    use types::Type;
    match field.kind {
        Type::Integer if LONG.contains(&field.name) => "int64".into(),
        Type::Integer => "int32".into(),
        Type::Float => "float64".into(),
        Type::Boolean => "bool".into(),
        Type::Bytes => "[]uint8".into(),
        Type::Named(name) => format!("v1.{}", name.rsplit('.').next().unwrap_or(name)),
        Type::IntOrString => "intstr.IntOrString".into(),
        _ => "string".into(),
    }
}
