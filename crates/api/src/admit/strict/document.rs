//! The order in which a JSON document has what strict decoding refuses, and its fields that stand more than once, of which a
//! parser takes the last.

use std::collections::HashSet;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::FIELDS_MAX;

/// The errors of strict decoding of the JSON `body`, in the order in which they stand there (`sigs.k8s.io/json` finds them so):
/// its `unknown` fields, and those that stand twice. Where it is no JSON, the unknown ones as they are: of YAML the API server
/// makes JSON with sorted keys.
pub(super) fn in_order(unknown: Vec<String>, body: &[u8]) -> Vec<String> {
    let mut left: HashSet<String> = unknown.iter().cloned().collect();
    let mut found = Vec::new();
    let mut json = serde_json::Deserializer::from_slice(body);
    let search = Search { path: String::new(), unknown: &mut left, found: &mut found };
    _ = search.deserialize(&mut json);
    found.extend(unknown.into_iter().filter(|error| left.contains(error)));
    found
}

/// Searches what is below `path`.
struct Search<'f> {
    path: String,
    /// The errors about unknown fields that have not been found yet.
    unknown: &'f mut HashSet<String>,
    found: &'f mut Vec<String>,
}

impl Search<'_> {
    fn below(&mut self, path: String) -> Search<'_> {
        Search { path, unknown: &mut *self.unknown, found: &mut *self.found }
    }

    /// Reports the field at `path`, if it is unknown or `is_repeated`.
    fn field(&mut self, path: &str, is_repeated: bool) {
        if !self.unknown.is_empty() {
            self.found.extend(self.unknown.take(&format!("unknown field {path:?}")));
        }
        if is_repeated && self.found.len() < FIELDS_MAX {
            let error = format!("duplicate field {path:?}");
            if !self.found.contains(&error) {
                self.found.push(error);
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Search<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Search<'_> {
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
            self.field(&path, !seen.insert(name));
            fields.next_value_seed(self.below(path))?;
        }
        Ok(())
    }
}
