//! A value of an object, and the path to it.

use std::fmt::{self, Write as _};
use std::rc::Rc;

use serde_json::{Map, Value};

/// A value of an object, and the path to it. What an object does not have is JSON's null at its path: it reads as the zero
/// value of any type, as in Go.
#[derive(Clone)]
pub(crate) struct At<'o> {
    value: &'o Value,
    path: Path,
}

/// A path is written out only where something is wrong.
type Path = Option<Rc<Node>>;

struct Node {
    parent: Path,
    step: Step,
}

enum Step {
    Field(&'static str),
    Key(Box<str>),
    /// A key that stands as a field.
    Child(Box<str>),
    Item(usize),
}

static NULL: Value = Value::Null;

impl<'o> At<'o> {
    /// A whole object.
    pub(crate) fn root(value: &'o Value) -> Self {
        At { value, path: None }
    }

    fn below(&self, value: Option<&'o Value>, step: Step) -> At<'o> {
        At { value: value.unwrap_or(&NULL), path: Some(Rc::new(Node { parent: self.path.clone(), step })) }
    }

    /// The field `name`: `spec.replicas`. Of several, joined by dots, the last, by the others.
    pub(crate) fn at(&self, names: &'static str) -> At<'o> {
        names.split('.').fold(self.clone(), |at, name| at.below(at.value.get(name), Step::Field(name)))
    }

    /// The field `name`, which may have dots in it.
    pub(crate) fn field(&self, name: &'static str) -> At<'o> {
        self.below(self.value.get(name), Step::Field(name))
    }

    /// The value of `key` in a map: `metadata.labels[app]`.
    pub(crate) fn key(&self, key: &str) -> At<'o> {
        self.below(self.value.get(key), Step::Key(key.into()))
    }

    /// The value of `key` in a map, as if it were a field: `metadata.annotations.a/b`.
    pub(crate) fn child(&self, key: &str) -> At<'o> {
        self.below(self.value.get(key), Step::Child(key.into()))
    }

    /// The item at `index` of a list: `spec.ports[0]`.
    pub(crate) fn item(&self, index: usize) -> At<'o> {
        self.below(self.value.get(index), Step::Item(index))
    }

    /// `other` at this path.
    pub(crate) fn with<'other>(&self, other: &'other Value) -> At<'other> {
        At { value: other, path: self.path.clone() }
    }

    /// The items of a list, in order; none if there is no list.
    pub(crate) fn items(&self) -> impl ExactSizeIterator<Item = At<'o>> + use<'o> {
        let this = self.clone();
        self.list().iter().enumerate().map(move |(index, item)| this.below(Some(item), Step::Item(index)))
    }

    /// The entries of a map, by key; none if there is no map.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'o str, At<'o>)> + use<'o> {
        let this = self.clone();
        let map = self.map().into_iter().flatten();
        map.map(move |(key, value)| (key.as_str(), this.below(Some(value), Step::Key(key.as_str().into()))))
    }

    pub(crate) fn value(&self) -> &'o Value {
        self.value
    }

    /// The string; empty if there is none.
    pub(crate) fn text(&self) -> &'o str {
        self.value.as_str().unwrap_or_default()
    }

    /// The string, if there is one, also if it is empty.
    pub(crate) fn text_if_set(&self) -> Option<&'o str> {
        self.value.as_str()
    }

    /// The whole number; 0 if there is none.
    pub(crate) fn number(&self) -> i64 {
        self.value.as_i64().unwrap_or_default()
    }

    pub(crate) fn number_if_set(&self) -> Option<i64> {
        self.value.as_i64()
    }

    /// Whether it is `true`.
    pub(crate) fn is_true(&self) -> bool {
        self.value.as_bool().unwrap_or_default()
    }

    /// Whether there is anything, also if it is empty: whether Go's pointer is not nil.
    pub(crate) fn is_set(&self) -> bool {
        !self.value.is_null()
    }

    /// Whether there is nothing, or an empty string, list or map: whether Go's `len` is 0.
    pub(crate) fn is_empty(&self) -> bool {
        match self.value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// The items of a list; none if there is no list.
    pub(crate) fn list(&self) -> &'o [Value] {
        self.value.as_array().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn map(&self) -> Option<&'o Map<String, Value>> {
        self.value.as_object()
    }
}

impl fmt::Display for At<'_> {
    /// The path: `spec.ports[0].name`, `metadata.labels[a.b/c]`; of a whole object `<nil>`, as Go writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps = Vec::new();
        let mut node = self.path.as_ref();
        while let Some(Node { parent, step }) = node.map(Rc::as_ref) {
            steps.push(step);
            node = parent.as_ref();
        }
        if steps.is_empty() {
            return f.write_str("<nil>");
        }
        for (index, step) in steps.iter().rev().enumerate() {
            match step {
                Step::Field(name) => {
                    if index > 0 {
                        f.write_char('.')?;
                    }
                    f.write_str(name)?;
                }
                Step::Child(name) => write!(f, ".{name}")?,
                Step::Key(key) => write!(f, "[{key}]")?,
                Step::Item(item) => write!(f, "[{item}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_written_as_apimachinery_does() {
        let object =
            json!({ "spec": { "ports": [{ "name": "http" }] }, "metadata": { "labels": { "a.b/c": "d" } } });
        let root = At::root(&object);
        let table = [
            (root.at("spec.ports").item(0).at("name"), "spec.ports[0].name", "http"),
            (root.at("metadata.labels").key("a.b/c"), "metadata.labels[a.b/c]", "d"),
            (root.at("spec.absent").at("deeper"), "spec.absent.deeper", ""),
            (root.clone(), "<nil>", ""),
        ];
        for (at, path, text) in table {
            assert_eq!((at.to_string().as_str(), at.text()), (path, text));
        }
    }
}
