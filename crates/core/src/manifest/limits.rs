//! How much of a file is believed: bounds that keep a hostile or mistaken file from costing more than it is worth.
//! They are counted before the parser runs, because the parser itself keeps every node of a document in memory.

use std::collections::HashSet;
use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// The largest file, in bytes. A cluster of 100,000 pods dumped by kubectl, one field a line, is about 40 MiB when
/// only what the DNS needs is kept; larger dumps belong in several files.
pub(super) const FILE_BYTES: u64 = 48 << 20;

/// The largest document, or item of a List, in bytes. etcd takes no object above 1.5 MiB.
pub(super) const DOCUMENT_BYTES: usize = 4 << 20;

/// The most marks of structure in one document; see [`structure`]. The parser keeps about 130 bytes for each node.
pub(super) const DOCUMENT_MARKS: usize = 250_000;

/// The most marks of structure in the YAML documents of one file; the parser takes about 100 ns for each. A dump of
/// kubectl has two or three a line, so that a file of [`FILE_BYTES`] stays far below.
pub(super) const FILE_MARKS: usize = 12_000_000;

/// The deepest nesting of brackets. Time to scan them grows with the square of it; Kubernetes' types need about 20.
pub(super) const BRACKET_DEPTH: usize = 1_000;

/// The most nodes, and bytes of scalars, that aliases may expand a document to.
pub(super) const EXPANDED_NODES: usize = DOCUMENT_MARKS;
pub(super) const EXPANDED_BYTES: usize = DOCUMENT_BYTES;

/// The most objects of one file, the most files of one run.
pub(super) const OBJECTS: usize = 250_000;
pub(super) const FILES: usize = 10_000;

/// The most problems told of one document and of one file; nobody reads more, and finding the place of each costs a
/// pass over its document.
pub const DOCUMENT_PROBLEMS: usize = 10;
pub(super) const FILE_PROBLEMS: usize = 50;

/// The largest document in which the exact place of a problem is looked for, in bytes.
pub(super) const LOCATED_BYTES: usize = 256 << 10;

/// The deepest nesting of Lists in Lists.
pub(super) const LIST_DEPTH: usize = 4;

/// The most pods that one StatefulSet, Deployment, ReplicaSet or Job may ask for.
pub const REPLICAS: u32 = 250_000;

/// Why a document is not handed to the parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TooMuch {
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

/// Bounds the work of parsing `document` by its bytes, without parsing it.
///
/// Every node costs at least one mark: a line, a comma, a colon, a dash or a bracket. Marks inside quoted strings are
/// counted as well, which makes this an upper bound.
pub(super) fn structure(document: &str) -> Result<(), TooMuch> {
    if document.len() > DOCUMENT_BYTES {
        return Err(TooMuch::Bytes(document.len()));
    }
    // Most documents are too short for either bound.
    if document.len() <= BRACKET_DEPTH {
        return Ok(());
    }
    match marks(document) {
        (_, depth) if depth > BRACKET_DEPTH => Err(TooMuch::Depth),
        (marks, _) if marks > DOCUMENT_MARKS => Err(TooMuch::Nodes),
        _ => Ok(()),
    }
}

/// The marks of `document` that count towards [`FILE_MARKS`] of its `file`: none where the file is too short to have so many.
pub(super) fn marks_towards_file(file: &str, document: &str) -> usize {
    if file.len() <= FILE_MARKS / MARKS_PER_BYTE { 0 } else { marks(document).0 }
}

/// Maximum number of marks for one byte: a dash or a question mark counts for three.
const MARKS_PER_BYTE: usize = 3;

/// The marks of structure in `text`, and the deepest nesting of brackets.
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
            // In block style these are marks before white space only; after a quote a colon is one without.
            b':' | b'-' | b'?' => {
                let spaced =
                    bytes.get(at + 1).is_none_or(|next| matches!(next, b' ' | b'\t' | b'\n' | b'\r'));
                let quoted = at > 0 && matches!(bytes[at - 1], b'"' | b'\'');
                // A dash or question mark makes a collection, and that has a beginning, an end and something in it.
                let weight = if *byte == b':' { 1 } else { MARKS_PER_BYTE };
                marks += if spaced || quoted { weight } else { 0 };
            }
            _ => {}
        }
    }
    (marks, deepest)
}

/// Whether `document` may hold an alias: a `*name` for which there is an `&name`. Shell scripts are full of stars and
/// ampersands, but hardly of matching ones.
pub(super) fn has_aliases(document: &str) -> bool {
    let anchors: HashSet<&str> = indicated(document, b'&').collect();
    !anchors.is_empty() && indicated(document, b'*').any(|name| anchors.contains(name))
}

/// The names that follow `indicator` where YAML could see a node begin.
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

/// Walks a document as an ordinary reader would, with aliases expanded, and fails when it becomes too much.
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
        assert_eq!(structure(&"[".repeat(200_000)), Err(TooMuch::Depth));
        assert_eq!(structure(&format!("[{}]", "a,".repeat(DOCUMENT_MARKS))), Err(TooMuch::Nodes));
        assert_eq!(structure(&"- ".repeat(DOCUMENT_MARKS / 3 + 1)), Err(TooMuch::Nodes));
        assert_eq!(structure(&"x".repeat(DOCUMENT_BYTES + 1)), Err(TooMuch::Bytes(DOCUMENT_BYTES + 1)));
        // Timestamps, addresses and hyphenated names are no structure.
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
    fn aliases_are_counted_as_often_as_they_are_read() {
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
