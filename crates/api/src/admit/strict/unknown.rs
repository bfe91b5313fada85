//! Fields that a kind does not have, and which were meant.

use serde_json::Value;

use super::FIELDS_MAX;
use super::step::{Step, place, text};
use crate::schema::types::{self, Field, Shape};

/// A field that a kind does not have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnknownField {
    /// As the API writes it: `spec.replcas`.
    pub(crate) name: String,
    /// Where it is: `metadata.labels[a.b/c]`.
    pub(crate) path: String,
    /// What was probably meant.
    pub(crate) meant: Option<String>,
}

/// The fields of `object` that its kind does not have. None if the kind is not known.
pub(crate) fn unknown_fields(api_version: &str, kind: &str, object: &Value) -> Vec<UnknownField> {
    let mut found = Vec::new();
    if let Some(known) = types::of(api_version, kind) {
        let mut add = |path: &[Step<'_>], siblings: &'static [Field]| {
            if found.len() < FIELDS_MAX {
                found.push(UnknownField {
                    name: text(path),
                    path: place(path),
                    meant: meant(known, path, siblings),
                });
            }
        };
        search(object, None, known, &mut Vec::new(), &mut add);
    }
    found
}

/// What was meant by the field at the end of `path`, beside which there may be `siblings`: one that is a slip away, one that is
/// further out or further in, because it is indented wrongly.
fn meant(kind: &'static [Field], path: &[Step<'_>], siblings: &'static [Field]) -> Option<String> {
    let Some(Step::Field(name)) = path.last() else { return None };
    let inside = siblings.iter().find_map(|sibling| {
        let there = sibling.kind.fields().is_some_and(|fields| types::named(fields, name).is_some());
        (there && matches!(sibling.shape, types::Shape::One { .. }))
            .then(|| format!("{}.{name}", sibling.name))
    });
    let mut outside = None;
    let mut known = kind;
    for at in 0..path.len() {
        if types::named(known, name).is_some() {
            outside = Some(if at == 0 { (*name).into() } else { format!("{}.{name}", text(&path[..at])) });
        }
        if let Step::Field(step) = path[at] {
            match types::named(known, step).and_then(|field| field.kind.fields()) {
                Some(fields) => known = fields,
                None => break,
            }
        }
    }
    let names = siblings.iter().map(|field| field.name).filter(|name| *name != "*");
    clusterlocal_core::store::nearest(name, names).map(str::to_owned).or(outside).or(inside)
}

/// Hands the paths of the fields of `object`, at `path`, that are none of `known` to `found`, with what could be there, but for
/// those whose value is the same in `before`. Every write is searched, and mostly nothing is found: a path is written only then.
pub(super) fn search<'o>(
    object: &'o Value,
    before: Option<&Value>,
    known: &'static [Field],
    path: &mut Vec<Step<'o>>,
    found: &mut impl FnMut(&[Step<'o>], &'static [Field]),
) {
    for (name, value) in object.as_object().into_iter().flatten() {
        let before = before.and_then(|before| before.get(name));
        if before == Some(value) {
            continue;
        }
        let field = match types::named(known, name) {
            Some(field) => field,
            // Whole objects say what they are, and so do those in others (volumeClaimTemplates).
            None if matches!(name.as_str(), "apiVersion" | "kind")
                && types::named(known, "metadata").is_some() =>
            {
                continue;
            }
            None => {
                path.push(Step::Field(name));
                found(path, known);
                path.pop();
                continue;
            }
        };
        let Some(known) = field.kind.fields() else { continue };
        path.push(Step::Field(name));
        match (field.shape, value) {
            (Shape::List, Value::Array(items)) => {
                for (at, item) in items.iter().enumerate() {
                    path.push(Step::Item(at));
                    search(item, before.and_then(|before| before.get(at)), known, path, found);
                    path.pop();
                }
            }
            (Shape::Map, Value::Object(entries)) => {
                for (key, entry) in entries {
                    path.push(Step::Key(key));
                    search(entry, before.and_then(|before| before.get(key)), known, path, found);
                    path.pop();
                }
            }
            (_, value) => search(value, before, known, path, found),
        }
        path.pop();
    }
}
