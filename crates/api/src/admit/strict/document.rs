//! The order in which a JSON document has what strict decoding refuses, and its fields that stand more than once, of which a
//! parser takes the last.

use std::collections::HashSet;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::ERRORS_MAX;
use clusterlocal_admission::Problem;

/// The errors of strict decoding of the JSON `body`, in the order in which they stand there (`sigs.k8s.io/json` finds them so):
/// its `unknown` fields, and those that stand twice. Where it is no JSON, the unknown ones as they are: of YAML the API server
/// makes JSON with sorted keys.
pub(super) fn in_order(unknown: Vec<String>, body: &[u8]) -> Vec<String> {
    let mut left: HashSet<String> = unknown.iter().cloned().collect();
    let mut found: Vec<String> = Vec::new();
    walk(body, &mut |path, is_repeated| {
        if !left.is_empty() {
            found.extend(left.take(&format!("unknown field {path:?}")));
        }
        if is_repeated && found.len() < ERRORS_MAX {
            let error = format!("duplicate field {path:?}");
            if !found.contains(&error) {
                found.push(error);
            }
        }
    });
    found.extend(unknown.into_iter().filter(|error| left.contains(error)));
    found
}

/// The wrong value of `problems` that stands first in the JSON `body`: decoding ends with the first that is fatal, and reports the
/// first of the others.
pub(super) fn first_wrong<'p>(problems: &'p [Problem], body: &[u8]) -> Option<&'p Problem> {
    let is_fatal = problems.iter().any(|problem| problem.fatal);
    let wrong = problems.iter().filter(|problem| !problem.unknown && problem.fatal == is_fatal);
    let wrong: Vec<&Problem> = wrong.collect();
    let mut first = None;
    walk(body, &mut |path, _| {
        if first.is_none() {
            first = wrong.iter().find(|problem| problem.path == path).copied();
        }
    });
    first.or_else(|| wrong.first().copied())
}

/// Hands the path of each field and item of the JSON `body` to `found`, in the order of the document, and whether the same field
/// has been found before. Ends where it is no JSON.
fn walk(body: &[u8], found: &mut dyn FnMut(&str, bool)) {
    let mut json = serde_json::Deserializer::from_slice(body);
    _ = Walk { path: String::new(), found }.deserialize(&mut json);
}

/// Walks through what is below `path`.
struct Walk<'f> {
    path: String,
    found: &'f mut dyn FnMut(&str, bool),
}

impl Walk<'_> {
    fn below(&mut self, path: String) -> Walk<'_> {
        Walk { path, found: &mut *self.found }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let mut at = 0;
        loop {
            let path = format!("{}[{at}]", self.path);
            (self.found)(&path, false);
            if items.next_element_seed(self.below(path))?.is_none() {
                return Ok(());
            }
            at += 1;
        }
    }
    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
            (self.found)(&path, !seen.insert(name));
            fields.next_value_seed(self.below(path))?;
        }
        Ok(())
    }
}
