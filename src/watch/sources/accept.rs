//! The second half of a look: what the files say together now, and the changes of objects that lead there. Must not depend on how
//! contents were read.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use tokio::time::Instant;

use super::super::absence::Absence;
use super::super::between::{self, Between, Standing};
use super::super::file::{At, Refused};
use super::super::holders::Holders;
use super::super::survey::{STANDARD_INPUT, Survey};
use super::super::{Report, earlier};
use super::scan::{Contents, Scan, Scope};
use super::{Looked, Sources};
use crate::manifest::Problem;
use crate::store::{Change, Key};

/// The number of changed objects up to which their places are reported: a larger edit is rarely made by hand.
const PLACES_MAX: usize = 100;

/// The changes of one look: first those of single files, then those of all files together.
#[derive(Default)]
struct Changed {
    /// The names of the files.
    names: Vec<Arc<str>>,
    changes: Vec<Change>,
}

impl Changed {
    /// The file at `path` makes these `changes` of what it asks for.
    fn add(&mut self, name: Arc<str>, path: &Arc<Path>, changes: Vec<Change>, holders: &mut Option<Holders>) {
        if let Some(holders) = holders {
            holders.change(path, &changes);
        }
        self.names.push(name);
        self.changes.extend(changes);
    }
}

impl Sources {
    /// Drops files that were deleted, accepts those `contents` that do not contradict others, and reports what follows.
    pub(super) fn accept(
        &mut self,
        contents: Contents,
        Scan { survey, scope, .. }: &Scan<'_>,
        at: At<'_>,
        looked: &mut Looked,
    ) {
        let mut changed = Changed::default();
        if *scope != Scope::Renamed {
            self.drop_deleted(survey, at, looked, &mut changed);
        }
        self.accept_contents(contents, at, &mut changed);
        if *scope != Scope::Renamed {
            self.report_missing(survey, at, looked);
        }
        self.report(changed, survey, at.now, looked);
    }

    /// Drops the files that were deleted.
    fn drop_deleted(&mut self, survey: &Survey, at: At<'_>, looked: &mut Looked, changed: &mut Changed) {
        let read_once = Path::new(STANDARD_INPUT);
        self.files.retain(|path, file| {
            if survey.files.contains_key(&**path) || **path == *read_once || file.rendering.is_some() {
                return true;
            }
            let absent = file.absent.get_or_insert_with(|| Absence::new(at.now));
            // What is named on the command line never counts as deleted.
            let Some(directory) = file.directory else { return true };
            let others = !survey.missing.contains_key(&directory);
            let due = absent.deleted_at(others, at.now, at.timings.absence);
            if due.is_some_and(|due| due <= at.now) {
                tracing::info!("{:?} was deleted: its objects go", path.display().to_string());
                if let Some(kept) = file.kept.take().filter(|kept| !kept.asks_for_nothing()) {
                    let deletes = kept.objects.iter().map(|known| Change::Delete(known.object.key()));
                    changed.add(kept.name, path, deletes.collect(), &mut self.holders);
                }
                return false;
            }
            looked.again = due.map_or(looked.again, |due| earlier(looked.again, due));
            true
        });
    }

    /// Accepts those contents that do not contradict others.
    fn accept_contents(&mut self, contents: Contents, at: At<'_>, changed: &mut Changed) {
        if contents.is_empty() {
            return;
        }
        if self.holders.is_none() && self.files.len() > 1 {
            let holders = self.holders.insert(Holders::default());
            self.files.iter().for_each(|(path, file)| holders.add(path, file.objects()));
        }
        let standing = self.files.iter().filter(|(_, file)| file.absent.is_none());
        let standing = standing.filter_map(|(path, file)| Some((path, file.kept.as_ref()?))).collect();
        let none = Holders::default();
        let rank = |path: &Path| self.files.get(path).map_or(0, |file| file.rank);
        let holders = self.holders.as_ref().unwrap_or(&none);
        let standing = Standing { files: &standing, holders, rank: &rank };
        let manifests = contents.iter().map(|(path, (_, content))| (path, &content.manifest)).collect();
        let Between { mut refused, warnings } = between::compare(standing, &manifests);
        for (path, (seen, content)) in contents {
            let Some(file) = self.files.get_mut(&path) else { continue };
            let name = content.manifest.name.clone();
            match refused.remove(&path) {
                Some(problems) => file.refuse(&path, problems, Refused::Between, seen, at),
                None => {
                    if let Some(changes) = file.accept(content, seen, at) {
                        changed.add(name, &path, changes, &mut self.holders);
                    }
                }
            }
        }
        // They are the same as before otherwise, and were logged then.
        for warning in warnings.iter().filter(|_| !changed.names.is_empty()) {
            tracing::warn!("{warning}");
        }
    }

    /// Logs, once, which of the named paths mean nothing, and when they do again.
    fn report_missing(&mut self, survey: &Survey, At { now, timings }: At<'_>, looked: &mut Looked) {
        let named = &self.named;
        let name = |at: usize| named[at].path.display().to_string();
        self.missing.retain(|at, absence| {
            let missing = survey.missing.contains_key(at);
            if !missing && absence.is_told() {
                tracing::info!("{:?} is there again", name(*at));
            }
            missing
        });
        for (&at, why) in &survey.missing {
            let absence = self.missing.entry(at).or_insert_with(|| Absence::new(now));
            match absence.tell_at(timings.quiet_max) {
                Some(due) if due <= now => {
                    absence.told();
                    tracing::warn!("{}", self.missing_problem(at, why));
                }
                Some(due) => looked.again = earlier(looked.again, due),
                None => {}
            }
        }
    }

    /// That the named path at `at` means no file.
    fn missing_problem(&self, at: usize, why: &str) -> Problem {
        let then = if self.is_ready() { "still serving what it had" } else { "waiting for it" };
        let name = self.named[at].path.display().to_string();
        Problem::of_file(&name, format!("missing: {why}; {then}")).as_warning()
    }

    /// Why the content of a file is not served, and which of the named paths mean none.
    pub(super) fn unserved(&self, survey: &Survey) -> Vec<Problem> {
        let refused = self.files.values().flat_map(|file| file.problems.iter().cloned());
        let missing = self.missing.iter().filter(|(_, absence)| absence.is_told());
        let missing = missing.filter_map(|(&at, _)| Some(self.missing_problem(at, survey.missing.get(&at)?)));
        refused.chain(missing).collect()
    }

    /// Puts the report together if anything `changed`, and schedules what else follows from that.
    fn report(&mut self, changed: Changed, survey: &Survey, now: Instant, looked: &mut Looked) {
        let Changed { mut names, changes } = changed;
        if !names.is_empty() {
            // What contradicted the old content may agree with the new.
            for file in self.files.values_mut().filter(|file| file.refused == Some(Refused::Between)) {
                file.settling.forget();
                looked.again = Some(now);
            }
        }
        let overrides = self.overrides();
        let changes = match &self.running {
            Some(_) if names.is_empty() => return,
            Some(running) => {
                let told = self.told.as_ref().unwrap_or(running);
                if !between::same(&overrides, told) {
                    tracing::warn!("domain, ttl or address ranges changed in {names:?}: restart to apply");
                    self.told = Some(overrides.clone());
                }
                self.resolve(changes)
            }
            None if self.all_are_good(survey) => {
                let kept = self.files.values().filter_map(|file| file.kept.as_ref());
                names = kept.map(|kept| kept.name.clone()).collect();
                self.running = Some(overrides.clone());
                self.objects().into_values().map(Change::Put).collect()
            }
            None => return,
        };
        tracing::info!("manifests changed: {names:?}");
        let places = self.places(&changes, &names);
        looked.report = Some((Report { changed: names, overrides, places }, changes));
    }

    fn all_are_good(&self, survey: &Survey) -> bool {
        let mut files = self.files.values();
        survey.missing.is_empty()
            && files.all(|file| file.kept.is_some() && file.refused.is_none() && file.absent.is_none())
            && self.files.values().any(|file| file.kept.as_ref().is_some_and(|kept| !kept.blank))
    }

    /// What all files ask for now, where `changes` of single files make it possibly different. An object that one file does not have
    /// any more another may have.
    fn resolve(&self, changes: Vec<Change>) -> Vec<Change> {
        let Some(holders) = &self.holders else { return changes };
        let key = |change| match change {
            Change::Put(object) => object.key(),
            Change::Delete(key) => key,
        };
        let keys: BTreeSet<Key> = changes.into_iter().map(key).collect();
        let resolved = keys.into_iter().map(|key| {
            let holders = holders.of(&key);
            let rank = |path: &Path| self.files.get(path).map(|file| (file.stands(), file.rank));
            match holders.iter().max_by_key(|holder| (rank(&holder.path), &holder.path)) {
                Some(holder) => Change::Put(holder.object.clone()),
                None => Change::Delete(key),
            }
        });
        resolved.collect()
    }

    /// Where the objects of `changes` are in the files that changed, unless they are many.
    fn places(&self, changes: &[Change], names: &[Arc<str>]) -> HashMap<Key, (Arc<str>, u32)> {
        if changes.len() > PLACES_MAX {
            return HashMap::new();
        }
        let put = |change: &Change| match change {
            Change::Put(object) => Some(object.key()),
            Change::Delete(_) => None,
        };
        let keys: HashSet<Key> = changes.iter().filter_map(put).collect();
        let kept = self.files.values().filter_map(|file| file.kept.as_ref());
        let changed = kept.filter(|kept| names.contains(&kept.name));
        let known = changed.flat_map(|kept| kept.objects.iter().map(|known| (&kept.name, known)));
        known
            .map(|(name, known)| (known.object.key(), (name.clone(), known.line)))
            .filter(|(key, _)| keys.contains(key))
            .collect()
    }
}
