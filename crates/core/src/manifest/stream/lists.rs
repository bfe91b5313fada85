//! Reads the items of a YAML List: those that are split by lines, and those that only a parser can split.

use std::sync::Arc;

use super::Stream;
use crate::manifest::decode;
use crate::manifest::documents::Items;
use crate::manifest::json::{Common, ObjectText};
use crate::manifest::locate::Step;
use crate::manifest::meaning::{Head, Meaning};
use crate::manifest::source::{Passage, Place};

impl Stream<'_> {
    /// Reads a List whose items are split by lines.
    pub(super) fn block_list(&mut self, list: &Place, Items { items, rest }: Items, of: &Head, depth: usize) {
        let (objects, problems) = (self.manifest.objects.len(), self.manifest.problems.len());
        let skipped = self.manifest.skipped.clone();
        let others = self.manifest.others.len();
        let before =
            Passage { range: list.passage.range.start..items[0].range.start, ..list.passage.clone() };
        for shell in [before, rest] {
            if let Err(problem) = decode::well_formed(&self.place(shell)) {
                self.report(*problem);
            }
        }
        for item in &items {
            if !self.is_within_limits(item) {
                break;
            }
            self.yaml(item.clone(), of, depth + 1);
        }
        if self.manifest.problems.len() == problems {
            return;
        }
        // A quoted scalar that looks like an item splits its own item: then the whole is well-formed, and the parts are
        // not.
        let broken = items.iter().any(|item| decode::well_formed(&self.place(item.clone())).is_err());
        if broken && decode::well_formed(list).is_ok() {
            self.manifest.objects.truncate(objects);
            self.manifest.problems.truncate(problems);
            self.manifest.skipped = skipped;
            self.manifest.others.truncate(others);
            self.seen.retain(|_, &mut at| at < objects);
            self.whole_list(list, of);
        }
    }

    /// Reads a List that only the parser can split: in flow style, or with aliases between items.
    pub(super) fn whole_list(&mut self, list: &Place, of: &Head) {
        let heads = match decode::item_heads(list) {
            Ok(heads) => heads,
            Err(problem) => return self.report(*problem),
        };
        let item = |at| Place { within: [Step::Key("items".into()), Step::Index(at)].into(), ..list.clone() };
        let mut kinds = Vec::with_capacity(heads.len());
        for (at, head) in heads.into_iter().enumerate() {
            if !self.is_within_limits(&list.passage) {
                return;
            }
            kinds.push(match self.meaning(&item(at), head, of) {
                Some((Meaning::Object(kind), _)) => Some(kind),
                Some((Meaning::Other, kind)) => {
                    *self.manifest.skipped.entry(kind).or_default() += 1;
                    None
                }
                Some((_, kind)) => {
                    let message =
                        format!("a {kind} cannot be read in this List; write it as a document of its own");
                    self.report_at(&item(at), "kind", message);
                    None
                }
                None => None,
            });
        }
        match decode::items(list, &kinds) {
            Ok(objects) => {
                let text: Arc<str> = list.text().into();
                let common = Common::of(objects.len());
                for (at, object) in objects.into_iter().enumerate() {
                    if !self.is_within_limits(&list.passage) {
                        return;
                    }
                    if let Some(object) = object {
                        let item = item(at);
                        let written = ObjectText::item(&item, text.clone(), common.clone());
                        self.given(object, item, written, false);
                    }
                }
            }
            Err(problem) => self.report(*problem),
        }
    }
}
