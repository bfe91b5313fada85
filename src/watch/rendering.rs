//! Decides when a kustomization is rendered again, from the files that it is made from: what a new `kubectl apply -k` would
//! do. Must not depend on what is rendered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::Moment;
use super::fingerprint::Fingerprint;
use super::hints::Names;
use super::links::hops;
use super::reading::{self, Reading, Review};
use super::settling::{LastEvent, Settling, Verdict};
use crate::manifest::Known;
use crate::manifest::kustomize::{self, Sources};

/// A kustomization, with the files that it is made from.
#[derive(Default)]
pub(super) struct Rendering {
    directory: PathBuf,
    sources: Sources,
    files: BTreeMap<PathBuf, Source>,
}

/// One of the files.
#[derive(Default)]
struct Source {
    settling: Settling,
    /// Its fingerprint when it last existed.
    seen: Option<Fingerprint>,
    /// Since when it is missing.
    missing: Option<Instant>,
}

impl Rendering {
    /// That of the kustomization in `directory`. Nothing is read yet.
    pub(super) fn of(directory: &Path) -> Self {
        Rendering { directory: directory.to_path_buf(), ..Rendering::default() }
    }

    /// Returns the files that it was made from at the last check, and the directory in which a kustomization may be
    /// created.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(|path| &**path).chain([&*self.directory])
    }

    /// Decides whether it is to be rendered: some file changed, and all of them are complete. `names` has the events since
    /// the last check.
    pub(super) fn see(&mut self, names: &Names, at: Moment<'_>) -> Verdict {
        let there = self.sources.find(&self.directory);
        // A kustomization that does not exist has failed once, and is waited for.
        let (mut read, mut wait) = (false, None);
        for (path, source) in &mut self.files {
            if there.contains_key(path) {
                source.missing = None;
                continue;
            }
            // Editors and git remove files for a moment.
            let due = *source.missing.get_or_insert(at.now) + at.timings.quiet_max;
            if due <= at.now { read = true } else { wait = latest(wait, due) }
        }
        for (path, meta) in &there {
            let seen = Fingerprint::of(meta);
            let source = self.files.entry(path.clone()).or_default();
            source.seen = Some(seen);
            let no_event = names.is_empty() || source.settling.is_as_read(&seen);
            let event = if no_event { LastEvent::None } else { names.last_event(&hops(path)) };
            match source.settling.see(seen, event, at.now, at.timings) {
                Verdict::Unchanged => {}
                Verdict::Read => read = true,
                Verdict::Wait(until) => wait = latest(wait, until),
            }
        }
        match wait {
            Some(until) => Verdict::Wait(until),
            None if read => Verdict::Read,
            None => Verdict::Unchanged,
        }
    }

    /// Renders it. `last` is the hash of its last good result, `known` has the objects of that.
    pub(super) fn read(&mut self, last: Option<u64>, known: &[Known], review: Review) -> Reading {
        let rendered = kustomize::render(&self.directory);
        let there = self.sources.find(&self.directory);
        let seen = |(path, source): (&PathBuf, &Source)| {
            there.get(path).map(Fingerprint::of) == source.seen.filter(|_| source.missing.is_none())
        };
        // Files that were missing before may still be.
        let count = self.files.values().filter(|source| source.missing.is_none()).count();
        if there.len() != count || !self.files.iter().all(seen) {
            return Reading::Torn;
        }
        match rendered {
            Ok(bytes) => reading::judge_bytes(&kustomize::name(&self.directory), bytes, last, known, review),
            Err(problem) => Reading::Bad(vec![*problem]),
        }
    }

    /// Records that the files were rendered as they were seen; `good` states whether the result was accepted.
    pub(super) fn rendered(&mut self, good: bool, at: Moment<'_>) {
        self.files.retain(|_, source| source.missing.is_none());
        for source in self.files.values_mut() {
            if let Some(seen) = source.seen
                && !source.settling.is_read(&seen, at.now)
            {
                source.settling.read(seen, good, at.now, at.timings);
            }
        }
    }

    /// Records that a file changed during the rendering. Returns when to try again.
    pub(super) fn torn(&mut self, at: Moment<'_>) -> Instant {
        for source in self.files.values_mut() {
            source.settling.torn(at.now, at.timings);
        }
        at.now + at.timings.quiet
    }

    /// Marks it to be rendered again, whether or not its files change.
    pub(super) fn forget(&mut self) {
        self.files.values_mut().for_each(|source| source.settling.forget());
    }

    /// When to render it once more although no file may have changed.
    pub(super) fn confirm_at(&self) -> Option<Instant> {
        self.files.values().filter_map(|source| source.settling.confirm_at()).min()
    }
}

fn latest(wait: Option<Instant>, due: Instant) -> Option<Instant> {
    Some(wait.map_or(due, |wait| wait.max(due)))
}
