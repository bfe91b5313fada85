//! Objects of a file's previous version, so that a change of one document does not cost parsing all of them: unchanged
//! text has an unchanged meaning. Must not depend on the reason for reading a file again.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use rustc_hash::FxHashMap;

use super::Manifest;
use super::Read;
use super::json::ObjectText;
use super::source::Place;
use crate::store::Object;

/// An object that was read before, without its place, which would keep the whole file in memory.
#[derive(Clone, Debug)]
pub struct Known {
    /// The object, as it was read.
    pub object: Object,
    /// The line at which its document started.
    pub line: u32,
    written: Option<Arc<ObjectText>>,
}

impl From<Read> for Known {
    fn from(read: Read) -> Self {
        Known { object: read.object, line: read.place.line(), written: read.written }
    }
}

impl Known {
    /// The same object, read from `place`.
    pub(super) fn read_at(&self, place: Place) -> Read {
        let mut object = self.object.clone();
        object.read_at(place.file(), place.line());
        Read { object, place, written: self.written.clone() }
    }

    fn is_written(&self, text: &str) -> bool {
        self.written.as_ref().is_some_and(|written| written.is(text))
    }
}

/// The objects of `manifest` that were parsed, and not taken from `known`.
pub fn fresh<'a>(manifest: &'a Manifest, known: &[Known]) -> impl Iterator<Item = &'a Read> {
    let known: HashSet<*const ObjectText> =
        known.iter().filter_map(|known| known.written.as_ref().map(Arc::as_ptr)).collect();
    let is_known =
        move |read: &Read| read.written.as_ref().is_some_and(|written| known.contains(&Arc::as_ptr(written)));
    manifest.objects.iter().filter(move |read| !is_known(read))
}

/// The known objects of a file.
pub(super) struct Memory<'a> {
    known: &'a [Known],
    /// Index by text; created on first use.
    by_text: OnceLock<FxHashMap<&'a str, usize>>,
}

/// Maximum number of objects that are compared to find the next one: a few documents are inserted or deleted, and most
/// follow each other as before.
const NEAR: usize = 16;

/// Number of unknown texts after which all known ones are indexed: parsing a few documents takes less time.
const UNKNOWN: usize = 16;

impl<'a> Memory<'a> {
    pub(super) fn of(known: &'a [Known]) -> Self {
        Memory { known, by_text: OnceLock::new() }
    }

    /// Starts a lookup for texts from `line` on.
    pub(super) fn from(&'a self, line: u32) -> Recall<'a> {
        let near = self.known.partition_point(|known| known.line < line);
        Recall { memory: self, next: near.saturating_sub(NEAR / 2), unknown: 0 }
    }

    fn by_text(&self) -> &FxHashMap<&'a str, usize> {
        self.by_text.get_or_init(|| {
            let texts = self.known.iter().map(|known| known.written.as_ref()?.whole());
            texts.enumerate().filter_map(|(at, text)| Some((text?, at))).collect()
        })
    }
}

/// Looks up one text after another.
pub(super) struct Recall<'a> {
    memory: &'a Memory<'a>,
    /// Index after the last match.
    next: usize,
    /// Number of texts that were not found.
    unknown: usize,
}

impl<'a> Recall<'a> {
    /// The known object with this `text`.
    pub(super) fn object(&mut self, text: &str) -> Option<&'a Known> {
        let (known, text) = (self.memory.known, ObjectText::beginning(text));
        let near = known[self.next..].iter().take(NEAR).position(|known| known.is_written(text));
        let at = match near {
            Some(ahead) => self.next + ahead,
            None if self.unknown < UNKNOWN.min(known.len()) => {
                self.unknown += 1;
                return None;
            }
            None => *self.memory.by_text().get(text)?,
        };
        self.next = at + 1;
        Some(&known[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::read_again;

    /// Documents: `a=1` is a Service called `a` with port 1, `a=x` has an invalid port.
    fn text(short: &str) -> String {
        let service = |(name, port): (&str, &str)| {
            format!(
                "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  ports:\n  - port: {port}\n"
            )
        };
        let documents = short.split_whitespace().filter_map(|word| word.split_once('=')).map(service);
        documents.collect::<Vec<_>>().join("---\n")
    }

    /// The same as items of a List, without the separators.
    fn list(short: &str) -> String {
        let items =
            text(short).replace("---\n", "").replace('\n', "\n  ").replace("  apiVersion", "- apiVersion");
        format!("kind: List\napiVersion: v1\nitems:\n- {}", items.trim_end().trim_end_matches("- "))
    }

    fn read(text: String, known: &[Known]) -> Manifest {
        read_again("a.yaml", text.into_bytes(), known)
    }

    fn known(manifest: Manifest) -> Vec<Known> {
        manifest.objects.into_iter().map(Known::from).collect()
    }

    /// Whether both are the same value in memory.
    fn is(a: &Object, b: &Object) -> bool {
        matches!((a, b), (Object::Service(a), Object::Service(b)) if Arc::ptr_eq(a, b))
    }

    #[test]
    fn unchanged_text_is_not_parsed_again() {
        let many = |from: u32, to: u32| (from..to).map(|n| format!("s{n}=80 ")).collect::<String>();
        // The old text, the new text, the minimum number of reused objects, and the lines of problems.
        let table: &[(String, String, usize, &[u32])] = &[
            (text("a=1 b=2 c=3"), text("a=1 b=2 c=3"), 3, &[]),
            (text("a=1 b=2 c=3"), text("a=1 b=4 c=3"), 2, &[]),
            (text("a=1 b=2 c=3"), text("n=1 a=1 b=2 c=3"), 3, &[]),
            (text("a=1 b=2 c=3"), text("c=3 b=2 a=1"), 1, &[]),
            (text("a=1 b=2 c=3"), text("c=3"), 1, &[]),
            // Problems have the new positions of their documents, also those of known objects.
            (text("a=1 b=2 c=3"), text("n=x a=1 b=2 c=3"), 3, &[7]),
            (text("a=1 b=2 c=3"), text("a=1 b=2 c=x"), 2, &[23]),
            (text("a=1 b=2"), text("n=1 a=1 b=2 a=1"), 2, &[28]),
            (list("a=1 b=2 c=3"), list("n=1 a=1 b=2 c=3"), 3, &[]),
            (list("a=1 b=2 c=3"), list("a=1 b=x c=3"), 2, &[17]),
            // In several parts, each of which parses a few documents before it uses the index.
            (text(&many(0, 200)), text(&many(0, 200)), 200, &[]),
            (text(&many(0, 200)), text(&(many(0, 50) + "n=1 " + &many(50, 200))), 200, &[]),
            (text(&many(0, 200)), text(&(many(300, 400) + &many(0, 200))), 200 - 4 * UNKNOWN, &[]),
            (text(&many(0, 200)), text(&(many(150, 200) + &many(0, 150))), 200 - 4 * UNKNOWN, &[]),
        ];
        for (before, now, reused, problems) in table {
            let known = known(read(before.clone(), &[]));
            let again = read(now.clone(), &known);
            let anew = read(now.clone(), &[]);
            let found = |read: &Read| known.iter().any(|known| is(&known.object, &read.object));
            let count = again.objects.iter().filter(|read| found(read)).count();
            assert!(count >= *reused, "{count} instead of {reused} in {now}");
            let lines: Vec<_> = again.problems.iter().map(|problem| problem.line()).collect();
            assert_eq!(lines, *problems, "{:?} in {now}", again.problems);
            // There is no other difference.
            assert_eq!(again.problems, anew.problems);
            let shown = |manifest: &Manifest| -> Vec<_> {
                manifest
                    .objects
                    .iter()
                    .map(|read| (read.object.clone(), format!("{:?}", read.place)))
                    .collect()
            };
            assert_eq!(shown(&again), shown(&anew));
        }
    }

    #[test]
    fn fields_that_items_inherit_from_their_list_are_not_reused_outside() {
        let item = "  metadata: {name: a}\n  spec: {ports: [{port: 1}]}\n";
        let of_services = format!("apiVersion: v1\nkind: ServiceList\nitems:\n- {}", item.trim_start());
        let known = known(read(of_services, &[]));
        assert_eq!(known.len(), 1);
        let alone = read(item.into(), &known);
        assert!(alone.objects.is_empty());
        assert!(
            alone.problems[0].message.contains("apiVersion and kind are missing"),
            "{:?}",
            alone.problems
        );
    }
}
