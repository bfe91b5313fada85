//! Events as one watcher sees them: an object that its selectors begin to admit is ADDED, one that they admit no longer
//! is DELETED. It must not know where events come from or lines go.

use std::sync::Arc;

use serde_json::Value;

use super::super::accept::Form;
use super::super::endpoints;
use super::super::show::{self, Scope};
use super::super::table::Include;
use super::journal::Entry;
use super::line;
use crate::ControlPlane;
use crate::store::{Kind, Stored};

/// What a watcher is shown of events, line by line.
pub(super) struct Lines {
    scope: Scope,
    form: Form,
    include: Include,
    /// Whether the columns of the table have been told.
    columns_told: bool,
}

impl Lines {
    /// The objects of `scope` in `form`, the rows of a table with `include`.
    pub(super) fn new(scope: Scope, form: Form, include: Include) -> Self {
        Lines { scope, form, include, columns_told: false }
    }

    /// In which form objects are.
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Objects that are there already.
    pub(super) fn initial(&mut self, objects: &[Stored], cluster: &ControlPlane) -> Vec<u8> {
        objects
            .iter()
            .flat_map(|stored| self.line("ADDED", show::rendered(stored, cluster), cluster))
            .collect()
    }

    /// What `entries` are to this watcher.
    pub(super) fn events(&mut self, entries: &[Arc<Entry>], cluster: &ControlPlane) -> Vec<u8> {
        let mut out = Vec::new();
        for entry in entries {
            if self.scope.kind == Kind::Endpoints {
                out.extend(self.derived(entry, cluster));
            }
            let Some(kind) = self.kind_of(entry, cluster) else { continue };
            // An object that is not admitted any more is shown as it was last.
            let left = (kind == "DELETED")
                .then(|| entry.event.after.as_ref().and_then(|_| entry.before()))
                .flatten();
            match (self.form, left) {
                (Form::Json, None) => {
                    out.extend_from_slice(format!("{{\"type\":\"{kind}\",\"object\":").as_bytes());
                    out.extend_from_slice(&entry.json(cluster));
                    out.extend_from_slice(b"}\n");
                }
                (_, left) => {
                    let stored = left.unwrap_or_else(|| entry.object());
                    out.extend(self.line(kind, show::rendered(&stored, cluster), cluster));
                }
            }
        }
        out
    }

    /// What an event of something else means for the Endpoints that follow from it.
    fn derived(&mut self, entry: &Entry, cluster: &ControlPlane) -> Vec<u8> {
        match endpoints::event(cluster, &entry.event) {
            Some((kind, stored))
                if self.scope.is_at(&stored.object.key()) && self.scope.admits(&stored, cluster) =>
            {
                self.line(kind, show::rendered(&stored, cluster), cluster)
            }
            _ => Vec::new(),
        }
    }

    /// What an event is to this watcher, if anything.
    fn kind_of(&self, entry: &Entry, cluster: &ControlPlane) -> Option<&'static str> {
        let event = &entry.event;
        if !self.scope.is_at(&event.object().key()) {
            return None;
        }
        let admitted = |stored: &Option<Stored>| {
            stored.as_ref().is_some_and(|stored| self.scope.admits(stored, cluster))
        };
        match (admitted(&event.before), admitted(&event.after)) {
            (false, true) => Some("ADDED"),
            (true, true) => Some("MODIFIED"),
            (true, false) => Some("DELETED"),
            (false, false) => None,
        }
    }

    fn line(&mut self, event: &str, object: Value, cluster: &ControlPlane) -> Vec<u8> {
        let mut shown = show::object(self.scope.kind, object, self.form, self.include, cluster.now());
        if self.form == Form::Table && std::mem::replace(&mut self.columns_told, true) {
            shown["columnDefinitions"] = Value::Null;
        }
        line(event, &shown)
    }
}
