//! Events as a watch sends them: an object that its selectors begin to match is ADDED, one that they no longer match is
//! DELETED. Must not depend on where events come from or lines go.

use std::sync::Arc;

use hyper::body::Bytes;
use serde_json::Value;

use super::{line, shown_bytes};
use crate::http::accept::Form;
use crate::http::outgoing::PIECE_BYTES;
use crate::verbs::journal::Entry;
use crate::verbs::show::{Presentation, Scope};
use clusterlocal_core::ControlPlane;
use clusterlocal_core::store::{Stored, Undone, View};

/// An object in a line of a watch.
enum Shown {
    /// JSON text that all watches share.
    Text(Bytes),
    Json(Value),
}

/// The lines of a watch.
pub(super) struct Lines {
    scope: Scope,
    presentation: Presentation,
    /// Whether the columns of the table have been sent.
    columns_told: bool,
}

impl Lines {
    /// The lines for objects of `scope` in the form of `presentation`.
    pub(super) fn new(scope: Scope, presentation: Presentation) -> Self {
        Lines { scope, presentation, columns_told: false }
    }

    /// The form of objects.
    pub(super) fn form(&self) -> Form {
        self.presentation.form
    }

    /// The lines of objects that exist already.
    pub(super) fn initial(&mut self, objects: &[Stored], cluster: &ControlPlane) -> Vec<u8> {
        objects
            .iter()
            .flat_map(|stored| {
                let object = self.presentation.rendered(stored, cluster, View::now(cluster.store()));
                self.line("ADDED", object, cluster)
            })
            .collect()
    }

    /// The number of `entries`, from the first on and at least one, that fit into a piece of a stream.
    pub(super) fn fitting(&self, entries: &[Arc<Entry>]) -> usize {
        let mut bytes = 0;
        let within = |entry: &&Arc<Entry>| {
            let is_first = bytes == 0;
            if self.scope.is_at(&entry.event.object().key()) {
                bytes += shown_bytes(entry.event.object());
            }
            is_first || bytes <= PIECE_BYTES
        };
        entries.iter().take_while(within).count()
    }

    /// The lines of `entries`, each object as of its revision, even if it is rendered from others that have changed since.
    /// The entries are consecutive in the store.
    pub(super) fn events(&mut self, entries: &[Arc<Entry>], cluster: &ControlPlane) -> Vec<u8> {
        let concerns = |entry: &Arc<Entry>| self.scope.is_at(&entry.event.object().key());
        let Some(last) = entries.last().filter(|_| entries.iter().any(concerns)) else { return Vec::new() };
        let store = cluster.store();
        let mut undone = Undone::since(store, last.event.revision).unwrap_or_default();
        // From the newest to the oldest: the state before an event is the one after the previous event.
        let mut found: Vec<(&'static str, Shown)> = Vec::new();
        for entry in entries.iter().rev() {
            if concerns(entry) {
                let then = self.seen(&entry.event.after, cluster, View::past(store, &undone));
                let after = then.then(|| self.shown(entry, cluster, View::past(store, &undone)));
                undone.undo(&entry.event);
                let view = View::past(store, &undone);
                match (self.seen(&entry.event.before, cluster, view), after) {
                    (false, Some(after)) => found.push(("ADDED", after)),
                    (true, Some(after)) => found.push(("MODIFIED", after)),
                    // An object that is deleted, or no longer matches, is sent in its last state.
                    (true, None) => found.push(("DELETED", self.left(entry, cluster, view))),
                    (false, None) => {}
                }
            } else {
                undone.undo(&entry.event);
            }
        }
        let mut out = Vec::new();
        for (kind, shown) in found.into_iter().rev() {
            match shown {
                Shown::Text(json) => {
                    out.extend_from_slice(format!("{{\"type\":\"{kind}\",\"object\":").as_bytes());
                    out.extend_from_slice(&json);
                    out.extend_from_slice(b"}\n");
                }
                Shown::Json(object) => out.extend(self.line(kind, object, cluster)),
            }
        }
        out
    }

    fn seen(&self, stored: &Option<Stored>, cluster: &ControlPlane, view: View<'_>) -> bool {
        stored.as_ref().is_some_and(|stored| self.scope.admits(stored, cluster, view))
    }

    /// The object after the event; all watches share its JSON.
    fn shown(&self, entry: &Entry, cluster: &ControlPlane, view: View<'_>) -> Shown {
        match self.presentation.form {
            Form::Json if self.presentation.is_stored_form() => Shown::Text(entry.json(cluster, view)),
            _ => Shown::Json(self.presentation.rendered(&entry.object(), cluster, view)),
        }
    }

    /// The object before the event, which no longer matches.
    fn left(&self, entry: &Entry, cluster: &ControlPlane, view: View<'_>) -> Shown {
        let left = entry.before().unwrap_or_else(|| entry.object());
        Shown::Json(self.presentation.rendered(&left, cluster, view))
    }

    fn line(&mut self, event: &str, object: Value, cluster: &ControlPlane) -> Vec<u8> {
        let mut shown = self.presentation.object(object, cluster);
        if self.presentation.form == Form::Table && std::mem::replace(&mut self.columns_told, true) {
            shown["columnDefinitions"] = Value::Null;
        }
        line(event, &shown)
    }
}
