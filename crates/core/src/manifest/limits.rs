//! Limits that keep a hostile or mistaken file from exhausting time or memory. They are checked before the parser runs,
//! because the parser keeps every node of a document in memory.

use std::collections::HashSet;
use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// Maximum size of a file, in bytes. A cluster of 100,000 pods dumped by kubectl, one field a line, is about 40 MiB
/// when reduced to what the DNS needs; larger dumps belong in several files.
pub(super) const FILE_BYTES: u64 = 48 << 20;

/// Maximum size of a document, or item of a List, in bytes. etcd accepts no object above 1.5 MiB.
pub(super) const DOCUMENT_BYTES: usize = 4 << 20;

/// Maximum number of structural marks in a document; see [`structure`]. The parser takes about 130 bytes for each node.
pub(super) const DOCUMENT_MARKS: usize = 250_000;

/// Maximum number of structural marks in the YAML documents of a file; the parser takes about 100 ns for each. A dump
/// of kubectl has two or three a line, so that a file of [`FILE_BYTES`] stays far below.
pub(super) const FILE_MARKS: usize = 12_000_000;

/// Maximum nesting depth of brackets. Scanning takes time quadratic in it; Kubernetes' types need about 20.
pub(super) const BRACKET_DEPTH: usize = 1_000;

/// Maximum number of nodes, and bytes of scalars, after the expansion of aliases.
pub(super) const EXPANDED_NODES: usize = DOCUMENT_MARKS;
pub(super) const EXPANDED_BYTES: usize = DOCUMENT_BYTES;

/// Maximum number of objects in a file, and of files in a run.
pub(super) const OBJECTS: usize = 250_000;
pub(super) const FILES: usize = 10_000;

/// Maximum number of reported problems of a document and of a file: enough for a reader, and finding the position of
/// each costs a pass over its document.
pub const DOCUMENT_PROBLEMS: usize = 10;
pub(super) const FILE_PROBLEMS: usize = 50;

/// Maximum size of a document in which the exact position of a problem is determined, in bytes.
pub(super) const LOCATED_BYTES: usize = 256 << 10;

/// Maximum nesting depth of Lists in Lists.
pub(super) const LIST_DEPTH: usize = 4;

/// Maximum number of pods of a StatefulSet, Deployment, ReplicaSet or Job.
pub const REPLICAS: u32 = 250_000;

/// Why a document is not parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LimitExceeded {
    #[error(
        "document of {0} bytes: at most {DOCUMENT_BYTES} are read; put each object into a document of its own"
    )]
    Bytes(usize),
    #[error(
        "document with more than {DOCUMENT_MARKS} fields and items; put each object into a document of its own"
    )]
    Nodes,
    #[error("brackets nested deeper than {BRACKET_DEPTH}")]
    Depth,
}

/// Checks the cost of parsing `document` by its bytes, without parsing it.
///
/// Every node costs at least one mark: a line, a comma, a colon, a dash or a bracket. Marks inside quoted strings are
/// counted as well, so the result is an upper bound.
pub(super) fn structure(document: &str) -> Result<(), LimitExceeded> {
    if document.len() > DOCUMENT_BYTES {
        return Err(LimitExceeded::Bytes(document.len()));
    }
    // Most documents are too short to exceed a limit.
    if document.len() <= BRACKET_DEPTH {
        return Ok(());
    }
    match marks(document) {
        (_, depth) if depth > BRACKET_DEPTH => Err(LimitExceeded::Depth),
        (marks, _) if marks > DOCUMENT_MARKS => Err(LimitExceeded::Nodes),
        _ => Ok(()),
    }
}

/// The marks of `document` that count towards [`FILE_MARKS`] of its `file`: zero if the file is too short to exceed it.
pub(super) fn marks_towards_file(file: &str, document: &str) -> usize {
    if file.len() <= FILE_MARKS / MARKS_PER_BYTE { 0 } else { marks(document).0 }
}

/// Maximum number of marks per byte: a dash or a question mark counts for three.
const MARKS_PER_BYTE: usize = 3;

/// The structural marks in `text`, and the maximum nesting depth of brackets.
pub(super) fn marks(text: &str) -> (usize, usize) {
    let (mut marks, mut depth, mut deepest) = (0, 0usize, 0);
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' | b',' => marks += 1,
            b'[' | b'{' => {
                marks += 1;
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            // In block style these are marks only before white space; after a quote a colon is one without.
            b':' | b'-' | b'?' => {
                let spaced =
                    bytes.get(at + 1).is_none_or(|next| matches!(next, b' ' | b'\t' | b'\n' | b'\r'));
                let quoted = at > 0 && matches!(bytes[at - 1], b'"' | b'\'');
                // A dash or question mark creates a collection with a start, an end and content.
                let weight = if *byte == b':' { 1 } else { MARKS_PER_BYTE };
                marks += if spaced || quoted { weight } else { 0 };
            }
            _ => {}
        }
    }
    (marks, deepest)
}

/// Whether `document` may contain an alias: a `*name` with a matching `&name`. Shell scripts contain many stars and
/// ampersands, but rarely matching ones.
pub(super) fn has_aliases(document: &str) -> bool {
    let anchors: HashSet<&str> = indicated(document, b'&').collect();
    !anchors.is_empty() && indicated(document, b'*').any(|name| anchors.contains(name))
}

/// The names after `indicator` where YAML allows a node to start.
fn indicated(document: &str, indicator: u8) -> impl Iterator<Item = &str> {
    document.match_indices(char::from(indicator)).filter_map(move |(at, _)| {
        let before = at.checked_sub(1).map_or(b'\n', |before| document.as_bytes()[before]);
        if !matches!(before, b' ' | b'\t' | b'\n' | b'\r' | b'[' | b'{' | b',' | b':') {
            return None;
        }
        let rest = &document[at + 1..];
        let end =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').unwrap_or(rest.len());
        (end > 0).then(|| &rest[..end])
    })
}

/// Deserializes a document with aliases expanded, and fails when it exceeds the limits.
#[derive(Default)]
pub(super) struct Expansion {
    nodes: usize,
    bytes: usize,
}

impl Expansion {
    fn count<E: de::Error>(&mut self, bytes: usize) -> Result<(), E> {
        self.nodes += 1;
        self.bytes += bytes;
        if self.nodes > EXPANDED_NODES || self.bytes > EXPANDED_BYTES {
            return Err(E::custom(format_args!(
                "aliases expand this document to more than {EXPANDED_NODES} values or {EXPANDED_BYTES} bytes"
            )));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Expansion {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Expansion {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.count(1)
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.count(8)
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        self.count(8)
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.count(8)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.count(text.len())
    }
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.count(0)
    }
    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        self.count(0)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.count(0)?;
        while seq.next_element_seed(&mut *self)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.count(0)?;
        while map.next_key_seed(&mut *self)?.is_some() {
            map.next_value_seed(&mut *self)?;
        }
        Ok(())
    }
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<(), A::Error> {
        let (_, value) = tagged.variant_seed(&mut *self)?;
        value.newtype_variant_seed(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structure_is_bounded_before_parsing() {
        assert_eq!(structure("a: [1, 2, {b: c}]\n"), Ok(()));
        assert_eq!(structure(&"[".repeat(200_000)), Err(LimitExceeded::Depth));
        assert_eq!(structure(&format!("[{}]", "a,".repeat(DOCUMENT_MARKS))), Err(LimitExceeded::Nodes));
        assert_eq!(structure(&"- ".repeat(DOCUMENT_MARKS / 3 + 1)), Err(LimitExceeded::Nodes));
        assert_eq!(structure(&"x".repeat(DOCUMENT_BYTES + 1)), Err(LimitExceeded::Bytes(DOCUMENT_BYTES + 1)));
        // Timestamps, addresses and hyphenated names are not structure.
        assert_eq!(structure(&"2026-01-01T00:00:00Z fd00::1 a-b ".repeat(30_000)), Ok(()));
    }

    #[test]
    fn an_alias_needs_its_anchor() {
        let table = [
            ("a: &x 1\nb: *x\n", true),
            ("[&a 1,*a]", true),
            ("run: rm -rf *.txt && echo &done\n", false),
            ("a: &x 1\n", false),
            ("cron: * * * * *\n", false),
        ];
        for (text, expected) in table {
            assert_eq!(has_aliases(text), expected, "{text:?}");
        }
    }

    #[test]
    fn aliases_are_counted_each_time_they_are_expanded() {
        let mut bomb = format!("a0: &a0 [{}]\n", "x,".repeat(100));
        for level in 1..6 {
            bomb += &format!("a{level}: &a{level} [{}]\n", format!("*a{},", level - 1).repeat(10));
        }
        let mut walk = Expansion::default();
        let refused = walk.deserialize(serde_yaml::Deserializer::from_str(&bomb)).unwrap_err();
        assert!(refused.to_string().contains("aliases expand"), "{refused}");
        assert!(
            Expansion::default().deserialize(serde_yaml::Deserializer::from_str("{a: &a 1, b: *a}")).is_ok()
        );
    }
}
