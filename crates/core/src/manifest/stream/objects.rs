//! Adds the objects of a file: validated, and each key once.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::Stream;
use crate::manifest::Read;
use crate::manifest::decode::DEFAULT_NAMESPACE;
use crate::manifest::json::ObjectText;
use crate::manifest::problem::Problem;
use crate::manifest::source::Place;
use crate::manifest::validate::{self, Finding};
use crate::store::{Given, Name, Object};

impl Stream<'_> {
    /// Adds `object` with its source `written` at `place`; with `has_head`, the text does not depend on its context.
    pub(super) fn given(&mut self, mut object: Object, place: Place, written: ObjectText, has_head: bool) {
        let written = Arc::new(written);
        object.keep(Given::text(written.clone()));
        object.metadata_mut().links.clear_uids();
        self.keep(object, place, Some(written).filter(|_| has_head));
    }

    /// Adds `object` if it is valid; returns whether it is.
    pub(super) fn keep(
        &mut self,
        mut object: Object,
        place: Place,
        written: Option<Arc<ObjectText>>,
    ) -> bool {
        let namespaced = object.kind().is_namespaced();
        let metadata = object.metadata_mut();
        if !namespaced {
            metadata.namespace = Name::default();
        } else if metadata.namespace.is_empty() {
            metadata.namespace = DEFAULT_NAMESPACE.into();
        }
        object.read_at(place.file(), place.line());
        let key = object.key();
        let findings = validate::check(&object);
        let valid = findings.is_empty();
        for Finding { path, message, help, .. } in findings {
            let problem =
                Problem::at(&place, place.locate(&path), format!("{path}: {message}")).about(key.clone());
            self.manifest.problems.push(match help {
                Some(help) => problem.with_help(help),
                None => problem,
            });
        }
        self.add(Read { object, place, written }, valid);
        valid
    }

    /// Adds the known object with `text` at `place`, if there is one.
    pub(super) fn recalls(&mut self, place: &Place, text: &str) -> bool {
        let Some(known) = self.recall.object(text) else { return false };
        self.add(known.read_at(place.clone()), true);
        true
    }

    /// Adds an object, or replaces an earlier one with its key.
    pub(super) fn add(&mut self, read: Read, valid: bool) {
        let next = self.manifest.objects.len();
        let first = match self.seen.entry(read.object.key()) {
            Entry::Occupied(first) => *first.get(),
            Entry::Vacant(_) if !valid => return,
            Entry::Vacant(entry) => *entry.insert(next),
        };
        if first == next {
            return self.manifest.objects.push(read);
        }
        // The last counts, as if they were applied in order.
        if !self.is_over_warning_limit() {
            let problem = duplicate(&self.manifest.objects[first], &read);
            self.report(problem);
        }
        if valid && self.manifest.objects[first].object != read.object {
            self.manifest.objects[first] = read;
        }
    }
}

/// The problem that `second` has the key of `first`. The last counts, as if they were applied in order.
pub(in crate::manifest) fn duplicate(first: &Read, second: &Read) -> Problem {
    let at = format!("{}:{}", first.place.file(), first.place.locate("metadata.name").line);
    let spot = second.place.locate("metadata.name");
    let problem = if first.object == second.object {
        Problem::at(&second.place, spot, format!("is at {at} already"))
    } else {
        Problem::at(&second.place, spot, format!("is at {at} already, with other contents: this one counts"))
            .with_help("delete one of them, or give it another name or namespace")
    };
    problem.about(second.object.key()).as_warning()
}
