//! Decides from the files that a kustomization follows from when it is to be rendered again, as `kubectl apply -k` would be run again.
//! Must not depend on what is rendered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::file::At;
use super::fingerprint::Fingerprint;
use super::hints::Names;
use super::links::hops;
use super::reading::{self, Reading, Review};
use super::settling::{Said, Settling, Verdict};
use crate::manifest::Known;
use crate::manifest::kustomize::{self, Sources};

/// A kustomization, and the files that its rendering follows from.
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
    /// What it was when it was there last.
    seen: Option<Fingerprint>,
    /// Since when it is not there.
    missing: Option<Instant>,
}

impl Rendering {
    /// That of the kustomization in `directory`, of which nothing is read yet.
    pub(super) fn of(directory: &Path) -> Self {
        Rendering { directory: directory.to_path_buf(), ..Rendering::default() }
    }

    /// The files that it followed from at the last look, and the directory that a kustomization may come to be in.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(|path| &**path).chain([&*self.directory])
    }

    /// Whether it is to be rendered: some file changed, and all of them are whole. `names` are those of which something
    /// was heard.
    pub(super) fn see(&mut self, names: &Names, at: At<'_>) -> Verdict {
        let there = self.sources.find(&self.directory);
        // A kustomization that cannot be found at all has failed once, and is waited for.
        let (mut read, mut wait) = (false, None);
        for (path, source) in &mut self.files {
            if there.contains_key(path) {
                source.missing = None;
                continue;
            }
            // Editors and git take files away for a moment.
            let due = *source.missing.get_or_insert(at.now) + at.timings.quiet_max;
            if due <= at.now { read = true } else { wait = latest(wait, due) }
        }
        for (path, meta) in &there {
            let seen = Fingerprint::of(meta);
            let source = self.files.entry(path.clone()).or_default();
            source.seen = Some(seen);
            let unheard = names.is_empty() || source.settling.is_as_read(&seen);
            let said = if unheard { Said::Nothing } else { names.said_of(&hops(path)) };
            match source.settling.see(seen, said, at.now, at.timings) {
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

    /// Renders it. `last` is the hash of what it rendered to when that was good last, `known` the objects of that.
    pub(super) fn read(&mut self, last: Option<u64>, known: &[Known], review: Review) -> Reading {
        let rendered = kustomize::render(&self.directory);
        let there = self.sources.find(&self.directory);
        let seen = |(path, source): (&PathBuf, &Source)| {
            there.get(path).map(Fingerprint::of) == source.seen.filter(|_| source.missing.is_none())
        };
        // What was missing at the look may be so still.
        let count = self.files.values().filter(|source| source.missing.is_none()).count();
        if there.len() != count || !self.files.iter().all(seen) {
            return Reading::Torn;
        }
        match rendered {
            Ok(bytes) => reading::judge_bytes(&kustomize::name(&self.directory), bytes, last, known, review),
            Err(problem) => Reading::Bad(vec![*problem]),
        }
    }

    /// The files as they were seen have been rendered; `good` says that the outcome was accepted.
    pub(super) fn rendered(&mut self, good: bool, at: At<'_>) {
        self.files.retain(|_, source| source.missing.is_none());
        for source in self.files.values_mut() {
            if let Some(seen) = source.seen
                && !source.settling.is_read(&seen, at.now)
            {
                source.settling.read(seen, good, at.now, at.timings);
            }
        }
    }

    /// Some file changed while it was rendered. Returns when to try again.
    pub(super) fn torn(&mut self, at: At<'_>) -> Instant {
        for source in self.files.values_mut() {
            source.settling.torn(at.now, at.timings);
        }
        at.now + at.timings.quiet
    }

    /// It is to be rendered again, whatever its files look like.
    pub(super) fn forget(&mut self) {
        self.files.values_mut().for_each(|source| source.settling.forget());
    }

    /// When it is to be rendered once more although no file may have changed.
    pub(super) fn confirm_at(&self) -> Option<Instant> {
        self.files.values().filter_map(|source| source.settling.confirm_at()).min()
    }
}

fn latest(wait: Option<Instant>, due: Instant) -> Option<Instant> {
    Some(wait.map_or(due, |wait| wait.max(due)))
}
