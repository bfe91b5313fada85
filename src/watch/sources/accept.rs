//! Second half of a pass: compares the contents of all files, and derives the changes of objects. Must not depend on how
//! contents were read.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use tokio::time::Instant;

use super::super::absence::Absence;
use super::super::conflicts::{self, Conflicts, Current};
use super::super::file::Refused;
use super::super::holders::Holders;
use super::super::survey::{STANDARD_INPUT, Survey};
use super::super::{Moment, Report, earlier};
use super::scan::{Contents, Scan, Scope};
use super::{PassResult, Sources};
use crate::manifest::Problem;
use crate::store::{Change, Key};

/// Maximum number of changed objects whose places are reported: a larger edit is rarely made by hand.
const MAX_PLACES: usize = 100;

/// The changes of one pass: first those of single files, then those of all files together.
#[derive(Default)]
struct Changed {
    /// Names of the changed files.
    names: Vec<Arc<str>>,
    changes: Vec<Change>,
}

impl Changed {
    /// Adds the `changes` of the file at `path`.
    fn add(&mut self, name: Arc<str>, path: &Arc<Path>, changes: Vec<Change>, holders: &mut Option<Holders>) {
        if let Some(holders) = holders {
            holders.change(path, &changes);
        }
        self.names.push(name);
        self.changes.extend(changes);
    }
}

impl Sources {
    /// Drops deleted files, accepts those `contents` that do not conflict with others, and reports the changes.
    pub(super) fn accept(
        &mut self,
        contents: Contents,
        Scan { survey, scope, .. }: &Scan<'_>,
        at: Moment<'_>,
        result: &mut PassResult,
    ) {
        let mut changed = Changed::default();
        if *scope != Scope::Renamed {
            self.drop_deleted(survey, at, result, &mut changed);
        }
        self.accept_contents(contents, at, &mut changed);
        if *scope != Scope::Renamed {
            self.report_missing(survey, at, result);
        }
        self.report(changed, survey, at.now, result);
    }

    /// Drops the files that count as deleted.
    fn drop_deleted(
        &mut self,
        survey: &Survey,
        at: Moment<'_>,
        result: &mut PassResult,
        changed: &mut Changed,
    ) {
        let read_once = Path::new(STANDARD_INPUT);
        self.files.retain(|path, file| {
            if survey.files.contains_key(&**path) || **path == *read_once || file.rendering.is_some() {
                return true;
            }
            let absent = file.absent.get_or_insert_with(|| Absence::new(at.now));
            // A path of the command line never counts as deleted.
            let Some(directory) = file.directory else { return true };
            let others = !survey.missing.contains_key(&directory);
            let due = absent.deleted_at(others, at.now, at.timings.absence);
            if due.is_some_and(|due| due <= at.now) {
                tracing::info!("{:?} was deleted, and so are its objects", path.display().to_string());
                if let Some(accepted) = file.accepted.take().filter(|accepted| !accepted.is_empty()) {
                    let deletes = accepted.objects.iter().map(|known| Change::Delete(known.object.key()));
                    changed.add(accepted.name, path, deletes.collect(), &mut self.holders);
                }
                return false;
            }
            result.again = due.map_or(result.again, |due| earlier(result.again, due));
            true
        });
    }

    /// Accepts those contents that do not conflict with others.
    fn accept_contents(&mut self, contents: Contents, at: Moment<'_>, changed: &mut Changed) {
        if contents.is_empty() {
            return;
        }
        if self.holders.is_none() && self.files.len() > 1 {
            let holders = self.holders.insert(Holders::default());
            self.files.iter().for_each(|(path, file)| holders.add(path, file.objects()));
        }
        let existing = self.files.iter().filter(|(_, file)| file.absent.is_none());
        let existing = existing.filter_map(|(path, file)| Some((path, file.accepted.as_ref()?))).collect();
        let none = Holders::default();
        let rank = |path: &Path| self.files.get(path).map_or(0, |file| file.rank);
        let holders = self.holders.as_ref().unwrap_or(&none);
        let existing = Current { files: &existing, holders, rank: &rank };
        let manifests = contents.iter().map(|(path, (_, content))| (path, &content.manifest)).collect();
        let Conflicts { mut refused, warnings } = conflicts::compare(existing, &manifests);
        for (path, (seen, content)) in contents {
            let Some(file) = self.files.get_mut(&path) else { continue };
            let name = content.manifest.name.clone();
            match refused.remove(&path) {
                Some(problems) => file.refuse(&path, problems, Refused::Conflict, seen, at),
                None => {
                    if let Some(changes) = file.accept(content, seen, at) {
                        changed.add(name, &path, changes, &mut self.holders);
                    }
                }
            }
        }
        // Otherwise they are unchanged, and were logged before.
        for warning in warnings.iter().filter(|_| !changed.names.is_empty()) {
            tracing::warn!("{warning}");
        }
    }

    /// Logs once when a named path has no file, and when it has one again.
    fn report_missing(
        &mut self,
        survey: &Survey,
        Moment { now, timings }: Moment<'_>,
        result: &mut PassResult,
    ) {
        let named = &self.named;
        let name = |at: usize| named[at].path.display().to_string();
        self.missing.retain(|at, absence| {
            let missing = survey.missing.contains_key(at);
            if !missing && absence.is_reported() {
                tracing::info!("{:?} exists again", name(*at));
            }
            missing
        });
        for (&at, why) in &survey.missing {
            let absence = self.missing.entry(at).or_insert_with(|| Absence::new(now));
            match absence.report_at(timings.quiet_max) {
                Some(due) if due <= now => {
                    absence.mark_reported();
                    tracing::warn!("{}", self.missing_problem(at, why));
                }
                Some(due) => result.again = earlier(result.again, due),
                None => {}
            }
        }
    }

    /// The problem that the named path at `at` has no file.
    fn missing_problem(&self, at: usize, why: &str) -> Problem {
        let then = if self.is_ready() { "its previous content is still served" } else { "waiting for it" };
        let name = self.named[at].path.display().to_string();
        Problem::of_file(&name, format!("missing: {why}; {then}")).as_warning()
    }

    /// Why current contents are not served, and which named paths have no file.
    pub(super) fn unserved(&self, survey: &Survey) -> Vec<Problem> {
        let refused = self.files.values().flat_map(|file| file.problems.iter().cloned());
        let missing = self.missing.iter().filter(|(_, absence)| absence.is_reported());
        let missing = missing.filter_map(|(&at, _)| Some(self.missing_problem(at, survey.missing.get(&at)?)));
        refused.chain(missing).collect()
    }

    /// Builds the report if anything `changed`, and schedules further passes.
    fn report(&mut self, changed: Changed, survey: &Survey, now: Instant, result: &mut PassResult) {
        let Changed { mut names, changes } = changed;
        if !names.is_empty() {
            // A content that conflicted with the old one may agree with the new one.
            for file in self.files.values_mut().filter(|file| file.refused == Some(Refused::Conflict)) {
                file.settling.forget();
                result.again = Some(now);
            }
        }
        let overrides = self.overrides();
        let changes = match &self.running {
            Some(_) if names.is_empty() => return,
            Some(running) => {
                let reported = self.reported.as_ref().unwrap_or(running);
                if !conflicts::same(&overrides, reported) {
                    tracing::warn!("domain, ttl or address ranges changed in {names:?}: restart to apply");
                    self.reported = Some(overrides.clone());
                }
                self.resolve(changes)
            }
            None if self.all_are_good(survey) => {
                let accepted = self.files.values().filter_map(|file| file.accepted.as_ref());
                names = accepted.map(|accepted| accepted.name.clone()).collect();
                self.running = Some(overrides.clone());
                self.objects().into_values().map(Change::Put).collect()
            }
            None => return,
        };
        tracing::info!("manifests changed: {names:?}");
        let places = self.places(&changes, &names);
        result.report = Some((Report { changed: names, overrides, places }, changes));
    }

    fn all_are_good(&self, survey: &Survey) -> bool {
        let mut files = self.files.values();
        survey.missing.is_empty()
            && files.all(|file| file.accepted.is_some() && file.refused.is_none() && file.absent.is_none())
            && self.files.values().any(|file| file.accepted.as_ref().is_some_and(|accepted| !accepted.blank))
    }

    /// Returns the resulting changes of objects, from the `changes` of single files: an object that is removed from one
    /// file may be defined in another.
    fn resolve(&self, changes: Vec<Change>) -> Vec<Change> {
        let Some(holders) = &self.holders else { return changes };
        let key = |change| match change {
            Change::Put(object) => object.key(),
            Change::Delete(key) => key,
        };
        let keys: BTreeSet<Key> = changes.into_iter().map(key).collect();
        let resolved = keys.into_iter().map(|key| {
            let holders = holders.of(&key);
            let rank = |path: &Path| self.files.get(path).map(|file| (file.is_current(), file.rank));
            match holders.iter().max_by_key(|holder| (rank(&holder.path), &holder.path)) {
                Some(holder) => Change::Put(holder.object.clone()),
                None => Change::Delete(key),
            }
        });
        resolved.collect()
    }

    /// Returns the places of changed objects in the changed files, unless there are many.
    fn places(&self, changes: &[Change], names: &[Arc<str>]) -> HashMap<Key, (Arc<str>, u32)> {
        if changes.len() > MAX_PLACES {
            return HashMap::new();
        }
        let put = |change: &Change| match change {
            Change::Put(object) => Some(object.key()),
            Change::Delete(_) => None,
        };
        let keys: HashSet<Key> = changes.iter().filter_map(put).collect();
        let accepted = self.files.values().filter_map(|file| file.accepted.as_ref());
        let changed = accepted.filter(|accepted| names.contains(&accepted.name));
        let known = changed.flat_map(|accepted| accepted.objects.iter().map(|known| (&accepted.name, known)));
        known
            .map(|(name, known)| (known.object.key(), (name.clone(), known.line)))
            .filter(|(key, _)| keys.contains(key))
            .collect()
    }
}
