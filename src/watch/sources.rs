//! Takes the place of what `kubectl apply` leaves behind: what every file said last that could be served. Each look
//! reads the files that have settled, and keeps the old objects wherever new content is refused or missing. It must
//! not know what made it look, nor what objects mean.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::absence::Absence;
use super::between::{self, Between, Kept};
use super::file::{At, File, Refused};
use super::links::hops;
use super::reading::{self, Content, Reading};
use super::settling::{Fingerprint, Verdict};
use super::survey::{Kind, Named, STANDARD_INPUT, Survey, survey};
use super::{Report, Timings, earlier};
use crate::manifest::{self, Overrides, Problem};
use crate::store::Objects;

/// The files and directories of a command line, and what they said last that could be served.
pub struct Sources {
    named: Vec<Named>,
    files: BTreeMap<PathBuf, File>,
    /// Which of the named paths mean no file.
    missing: BTreeMap<usize, Absence>,
    /// What the Topologies said when all was good first; before that nothing is handed over.
    running: Option<Overrides>,
    /// What they say now, if it is different and that was told.
    told: Option<Overrides>,
}

/// What comes of a look.
#[derive(Default)]
pub(super) struct Looked {
    /// What changed, if anything did.
    pub(super) report: Option<Report>,
    /// Whether any file was read.
    pub(super) read: bool,
    /// Whether a file is another one than before, so that the way to it may have changed.
    pub(super) moved: bool,
    /// When there will be something to do, if nothing happens.
    pub(super) again: Option<Instant>,
}

impl Sources {
    /// Reads everything that `paths` mean; see [`manifest::find_any`]. Returns what is wrong as well; if that has errors,
    /// nothing is kept, and the sources are as [`Sources::waiting`] makes them.
    pub fn read(paths: &[PathBuf]) -> (Self, Vec<Problem>) {
        let mut sources = Sources::waiting(paths);
        let Survey { files, .. } = survey(&mut sources.named);
        let found = match manifest::find_any(paths) {
            Ok(found) => found,
            Err(problems) => return (sources, problems),
        };
        let (now, timings) = (Instant::now(), Timings::default());
        let loaded = manifest::load(&found);
        if loaded.has_errors() {
            return (sources, loaded.problems);
        }
        for (path, manifest) in found.into_iter().zip(loaded.manifests) {
            let mut file = File::default();
            if let Some(&(seen, directory)) = files.get(&path) {
                file.directory = directory;
                // If it changes while it is read, it looks different at the first look.
                file.settling.read_first(seen, now, &timings);
            }
            file.kept = Some(Kept::new(manifest, false));
            sources.files.insert(path, file);
        }
        sources.running = Some(loaded.overrides);
        (sources, loaded.problems)
    }

    /// Sources of which nothing is read yet. Following them hands over the first objects as soon as all of them are
    /// there and good, and one of them says anything.
    pub fn waiting(paths: &[PathBuf]) -> Self {
        Sources {
            named: paths.iter().map(|path| Named::new(path)).collect(),
            files: BTreeMap::new(),
            missing: BTreeMap::new(),
            running: None,
            told: None,
        }
    }

    /// Whether all sources have been good at once, so that there is something to serve.
    pub fn is_ready(&self) -> bool {
        self.running.is_some()
    }

    /// All objects that the files ask for.
    pub fn objects(&self) -> Objects {
        // Where a file that is missing or refused contradicts one that is neither, it gives way.
        let (standing, yielding): (Vec<_>, Vec<_>) =
            self.files.values().partition(|file| file.absent.is_none() && file.refused.is_none());
        let kept = yielding.into_iter().chain(standing).filter_map(|file| file.kept.as_ref());
        kept.flat_map(|kept| &kept.objects)
            .map(|placed| (placed.object.key(), placed.object.clone()))
            .collect()
    }

    /// What the Topologies of all files together say about the cluster.
    pub fn overrides(&self) -> Overrides {
        let mut overrides = Overrides::default();
        for kept in self.files.values().filter_map(|file| file.kept.as_ref()) {
            overrides.merge(&kept.overrides);
        }
        overrides
    }

    /// The directories in which something may happen that changes what is read; their paths have no links.
    pub(super) fn directories(&self) -> BTreeSet<PathBuf> {
        let mut directories = BTreeSet::new();
        let named = self.named.iter().filter(|named| named.kind != Some(Kind::StandardInput));
        let linked = self.files.keys().filter(|path| path.is_symlink());
        for path in named.map(|named| &named.path).chain(linked) {
            let hops = hops(path);
            directories.extend(hops.iter().filter_map(|hop| hop.parent()).map(Path::to_path_buf));
            directories.extend(hops.into_iter().next_back().filter(|end| end.is_dir()));
        }
        directories
    }

    /// Looks at everything, reads what has settled and takes what is good. `forced` reads every file again; `arrived`
    /// are the names that something was renamed to since the last look.
    pub(super) fn look(&mut self, at: At<'_>, forced: bool, arrived: &HashSet<PathBuf>) -> Looked {
        let mut looked = Looked::default();
        let mut contents = Contents::new();
        let survey = survey(&mut self.named);
        for (path, &(seen, directory)) in &survey.files {
            let file = self.files.entry(path.clone()).or_default();
            file.directory = directory;
            file.is_there();
            looked.moved |= file.settling.is_other_file(&seen);
            if forced {
                file.settling.forget();
            }
            let at_once = forced
                || !arrived.is_empty()
                    && !file.settling.is_as_read(&seen)
                    && hops(path).iter().any(|hop| arrived.contains(hop));
            match file.settling.see(seen, at_once, at.now, at.timings) {
                Verdict::Unchanged => {}
                Verdict::Wait(until) => looked.again = earlier(looked.again, until),
                Verdict::Read => match reading::read(path, seen, file.hash) {
                    Reading::Torn => {
                        looked.again = earlier(looked.again, file.settling.torn(at.now, at.timings))
                    }
                    reading => {
                        looked.read |= !matches!(reading, Reading::Same);
                        let good = file.judge(path, reading, Some(seen), at);
                        contents.extend(good.map(|good| (path.clone(), (Some(seen), good))));
                    }
                },
            }
        }
        self.read_standard_input(at, &mut contents);
        let mut changed = self.drop_deleted(&survey, at, &mut looked);
        changed.extend(self.take(contents, at));
        self.tell_missing(&survey, at, &mut looked);
        self.report(changed, &survey, at.now, &mut looked);
        for due in self.files.values().filter_map(|file| file.settling.confirm_at()) {
            looked.again = earlier(looked.again, due);
        }
        looked
    }

    /// Reads standard input, the first time.
    fn read_standard_input(&mut self, at: At<'_>, contents: &mut Contents) {
        for named in self.named.iter().filter(|named| named.kind == Some(Kind::StandardInput)) {
            if !self.files.contains_key(&named.path) {
                let file = self.files.entry(named.path.clone()).or_default();
                let good = file.judge(&named.path, reading::read_standard_input(&named.path), None, at);
                contents.extend(good.map(|good| (named.path.clone(), (None, good))));
            }
        }
    }

    /// Takes those contents that do not contradict others. Returns the names of the files that ask for anything else
    /// than before.
    fn take(&mut self, contents: Contents, at: At<'_>) -> Vec<Arc<str>> {
        if contents.is_empty() {
            return Vec::new();
        }
        let standing = self.files.iter().filter(|(_, file)| file.absent.is_none());
        let standing = standing.filter_map(|(path, file)| Some((path, file.kept.as_ref()?))).collect();
        let manifests = contents.iter().map(|(path, (_, content))| (path, &content.manifest)).collect();
        let Between { mut refused, warnings } = between::compare(&standing, &manifests);
        let mut changed = Vec::new();
        for (path, (seen, content)) in contents {
            let Some(file) = self.files.get_mut(&path) else { continue };
            match refused.remove(&path) {
                Some(problems) => file.refuse(&path, problems, Refused::Between, seen, at),
                None => changed.extend(file.accept(content, seen, at)),
            }
        }
        // They are the same as before otherwise, and were told then.
        for warning in warnings.iter().filter(|_| !changed.is_empty()) {
            tracing::warn!("{warning}");
        }
        changed
    }

    /// Drops the files that were deleted. Returns the names of those that asked for anything.
    fn drop_deleted(&mut self, survey: &Survey, at: At<'_>, looked: &mut Looked) -> Vec<Arc<str>> {
        let mut dropped = Vec::new();
        let read_once = Path::new(STANDARD_INPUT);
        self.files.retain(|path, file| {
            if survey.files.contains_key(path) || path == read_once {
                return true;
            }
            let absent = file.absent.get_or_insert_with(|| Absence::new(at.now));
            // What is named on the command line is never taken for deleted.
            let Some(directory) = file.directory else { return true };
            let others = !survey.missing.contains_key(&directory);
            let due = absent.deleted_at(others, at.now, at.timings.absence);
            if due.is_some_and(|due| due <= at.now) {
                tracing::info!("{:?} was deleted: its objects go", path.display().to_string());
                dropped
                    .extend(file.kept.take().filter(|kept| !kept.asks_for_nothing()).map(|kept| kept.name));
                return false;
            }
            looked.again = due.map_or(looked.again, |due| earlier(looked.again, due));
            true
        });
        dropped
    }

    /// Tells, once, which of the named paths mean nothing, and when they do again.
    fn tell_missing(&mut self, survey: &Survey, At { now, timings }: At<'_>, looked: &mut Looked) {
        let then = if self.is_ready() { "still serving what it had" } else { "waiting for it" };
        let name = |at: usize| self.named[at].path.display().to_string();
        self.missing.retain(|at, absence| {
            let missing = survey.missing.contains_key(at);
            if !missing && absence.tell_at(Duration::ZERO).is_none() {
                tracing::info!("{:?} is there again", name(*at));
            }
            missing
        });
        for (&at, why) in &survey.missing {
            let absence = self.missing.entry(at).or_insert_with(|| Absence::new(now));
            match absence.tell_at(timings.quiet_max) {
                Some(due) if due <= now => {
                    absence.told();
                    tracing::warn!(
                        "{}",
                        Problem::of_file(&name(at), format!("missing: {why}; {then}")).as_warning()
                    );
                }
                Some(due) => looked.again = earlier(looked.again, due),
                None => {}
            }
        }
    }

    /// Puts the report together if anything `changed`, and sees to what else comes of that.
    fn report(&mut self, mut changed: Vec<Arc<str>>, survey: &Survey, now: Instant, looked: &mut Looked) {
        if !changed.is_empty() {
            // What contradicted the old content may agree with the new.
            for file in self.files.values_mut().filter(|file| file.refused == Some(Refused::Between)) {
                file.settling.forget();
                looked.again = Some(now);
            }
        }
        let overrides = self.overrides();
        match &self.running {
            Some(_) if changed.is_empty() => return,
            Some(running) => {
                let told = self.told.as_ref().unwrap_or(running);
                if !between::same(&overrides, told) {
                    tracing::warn!("domain, ttl or address ranges changed in {changed:?}: restart to apply");
                    self.told = Some(overrides.clone());
                }
            }
            None if self.all_are_good(survey) => {
                let names =
                    self.files.values().filter_map(|file| file.kept.as_ref()).map(|kept| kept.name.clone());
                changed = names.collect();
                self.running = Some(overrides.clone());
            }
            None => return,
        }
        tracing::info!("manifests changed: {changed:?}");
        looked.report = Some(Report { changed, overrides });
    }

    fn all_are_good(&self, survey: &Survey) -> bool {
        let mut files = self.files.values();
        survey.missing.is_empty()
            && files.all(|file| file.kept.is_some() && file.refused.is_none() && file.absent.is_none())
            && self.files.values().any(|file| file.kept.as_ref().is_some_and(|kept| !kept.blank))
    }
}

/// What was read and is fine on its own, with what the file looked like.
type Contents = BTreeMap<PathBuf, (Option<Fingerprint>, Box<Content>)>;
