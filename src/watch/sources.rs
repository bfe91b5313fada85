//! Takes the place of what `kubectl apply` leaves behind: what every file said last that could be served. Each look
//! reads the files that have settled, and keeps the old objects wherever new content is refused or missing. It must
//! not know what made it look, nor what objects mean.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::absence::Absence;
use super::between::{self, Between, Kept, Standing};
use super::file::{At, File, Refused};
use super::holders::Holders;
use super::links::hops;
use super::reading::{self, Content, Reading};
use super::settling::{Fingerprint, Verdict};
use super::survey::{Kind, Named, STANDARD_INPUT, Survey, survey};
use super::{Report, Timings, earlier};
use crate::manifest::{self, Overrides, Problem};
use crate::parallel;
use crate::store::{Change, Key, Objects};

/// The number of changed objects up to which their places are reported: a larger edit is rarely made by hand.
const PLACES_MAX: usize = 100;

/// The files and directories of a command line, and what they said last that could be served.
pub struct Sources {
    named: Vec<Named>,
    files: BTreeMap<Arc<Path>, File>,
    /// Who says what, from the first change of several files on: one file contradicts nobody.
    holders: Option<Holders>,
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
    /// What changed, if anything did, and the changes of objects that follow.
    pub(super) report: Option<(Report, Vec<Change>)>,
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
        let read = parallel::map(&found, 2, |path| reading::read_first(path));
        let (hashes, manifests): (Vec<_>, Vec<_>) = read.into_iter().unzip();
        let loaded = manifest::combine(manifests);
        if loaded.has_errors() {
            return (sources, loaded.problems);
        }
        for ((path, hash), manifest) in found.into_iter().zip(hashes).zip(loaded.manifests) {
            let mut file = File::default();
            file.hash = hash;
            if let Some(&(seen, directory)) = files.get(&path) {
                file.directory = directory;
                // If it changes while it is read, it looks different at the first look.
                file.settling.read_first(seen, now, &timings);
            }
            file.kept = Some(Kept::new(manifest, false));
            sources.files.insert(path.into(), file);
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
            holders: None,
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
        let (standing, yielding): (Vec<_>, Vec<_>) = self.files.values().partition(|file| file.stands());
        let known = yielding.into_iter().chain(standing).flat_map(File::objects);
        known.map(|known| (known.object.key(), known.object.clone())).collect()
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
        for path in named.map(|named| &*named.path).chain(linked.map(|path| &**path)) {
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
        // Whole files in the place of others are read before anything else is looked at: with many files that takes long.
        let replaced = if forced { None } else { self.replaced(arrived) };
        let at_first = replaced.is_some();
        let survey = replaced.unwrap_or_else(|| survey(&mut self.named));
        for (path, &(seen, directory)) in &survey.files {
            let file = match self.files.get_mut(&**path) {
                Some(file) => file,
                None => self.files.entry((**path).into()).or_default(),
            };
            file.directory = directory;
            file.is_there();
            looked.moved |= !at_first && file.settling.is_other_file(&seen);
            if forced {
                file.settling.forget();
            }
            let at_once = forced
                || at_first
                || !arrived.is_empty()
                    && !file.settling.is_as_read(&seen)
                    && hops(path).iter().any(|hop| arrived.contains(hop));
            match file.settling.see(seen, at_once, at.now, at.timings) {
                Verdict::Unchanged => {}
                Verdict::Wait(until) => looked.again = earlier(looked.again, until),
                Verdict::Read => match reading::read(path, seen, file.hash, file.objects()) {
                    Reading::Torn => {
                        looked.again = earlier(looked.again, file.settling.torn(at.now, at.timings))
                    }
                    reading => {
                        looked.read |= !matches!(reading, Reading::Same);
                        let good = file.judge(path, reading, Some(seen), at);
                        contents.extend(good.map(|good| ((**path).into(), (Some(seen), good))));
                    }
                },
            }
        }
        let mut changed = Changed::default();
        if at_first {
            self.take(contents, at, &mut changed);
            self.report(changed, &survey, at.now, &mut looked);
            looked.again = earlier(looked.again, at.now);
            return looked;
        }
        self.read_standard_input(at, &mut contents);
        self.drop_deleted(&survey, at, &mut looked, &mut changed);
        self.take(contents, at, &mut changed);
        self.tell_missing(&survey, at, &mut looked);
        self.report(changed, &survey, at.now, &mut looked);
        // What is not there cannot be confirmed, and is not waited for.
        let there = self.files.values().filter(|file| file.absent.is_none());
        for due in there.filter_map(|file| file.settling.confirm_at()) {
            looked.again = earlier(looked.again, due);
        }
        looked
    }

    /// The files that something was renamed to, if all that `arrived` are files which are known, so that nothing else
    /// follows from it. Nobody waits for files in their place, and the way to them is what it was.
    fn replaced(&self, arrived: &HashSet<PathBuf>) -> Option<Survey> {
        if arrived.is_empty() || !self.is_ready() {
            return None;
        }
        let directories = self.named.iter().filter(|named| named.kind == Some(Kind::Directory));
        let directories: Vec<_> =
            directories.filter_map(|named| Some((&named.path, hops(&named.path).pop()?))).collect();
        let mut survey = Survey::default();
        for path in arrived {
            let name = path.file_name()?;
            let (directory, _) = directories.iter().find(|(_, meant)| path.parent() == Some(meant))?;
            let path = directory.join(name);
            let file = self.files.get(&*path).filter(|file| file.stands())?;
            let meta = path.symlink_metadata().ok().filter(Metadata::is_file)?;
            survey.files.insert(path, (Fingerprint::of(&meta), file.directory));
        }
        Some(survey)
    }

    /// Reads standard input, the first time.
    fn read_standard_input(&mut self, at: At<'_>, contents: &mut Contents) {
        for named in self.named.iter().filter(|named| named.kind == Some(Kind::StandardInput)) {
            if !self.files.contains_key(&*named.path) {
                let path: Arc<Path> = (*named.path).into();
                let file = self.files.entry(path.clone()).or_default();
                let good = file.judge(&path, reading::read_standard_input(&path), None, at);
                contents.extend(good.map(|good| (path, (None, good))));
            }
        }
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

    /// Takes those contents that do not contradict others.
    fn take(&mut self, contents: Contents, at: At<'_>, changed: &mut Changed) {
        if contents.is_empty() {
            return;
        }
        if self.holders.is_none() && self.files.len() > 1 {
            let holders = self.holders.insert(Holders::default());
            self.files.iter().for_each(|(path, file)| holders.add(path, file.objects()));
        }
        let standing = self.files.iter().filter(|(_, file)| file.absent.is_none());
        let standing = standing.filter_map(|(path, file)| Some((path, file.kept.as_ref()?))).collect();
        let nobody = Holders::default();
        let standing = Standing { files: &standing, holders: self.holders.as_ref().unwrap_or(&nobody) };
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
        // They are the same as before otherwise, and were told then.
        for warning in warnings.iter().filter(|_| !changed.names.is_empty()) {
            tracing::warn!("{warning}");
        }
    }

    /// Drops the files that were deleted.
    fn drop_deleted(&mut self, survey: &Survey, at: At<'_>, looked: &mut Looked, changed: &mut Changed) {
        let read_once = Path::new(STANDARD_INPUT);
        self.files.retain(|path, file| {
            if survey.files.contains_key(&**path) || **path == *read_once {
                return true;
            }
            let absent = file.absent.get_or_insert_with(|| Absence::new(at.now));
            // What is named on the command line is never taken for deleted.
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

    /// What is asked for now, where `changes` of single files say that it may be something else. What one file does not
    /// say any more another may.
    fn resolve(&self, changes: Vec<Change>) -> Vec<Change> {
        let Some(holders) = &self.holders else { return changes };
        let key = |change| match change {
            Change::Put(object) => object.key(),
            Change::Delete(key) => key,
        };
        let keys: BTreeSet<Key> = changes.into_iter().map(key).collect();
        let resolved = keys.into_iter().map(|key| {
            let holders = holders.of(&key);
            let stands = |path: &Path| self.files.get(path).is_some_and(File::stands);
            match holders.iter().rev().find(|holder| stands(&holder.path)).or(holders.last()) {
                Some(holder) => Change::Put(holder.object.clone()),
                None => Change::Delete(key),
            }
        });
        resolved.collect()
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
}

/// What was read and is fine on its own, with what the file looked like.
type Contents = BTreeMap<Arc<Path>, (Option<Fingerprint>, Box<Content>)>;

/// What comes of the files that ask for anything else than before.
#[derive(Default)]
struct Changed {
    /// What the files are called.
    names: Vec<Arc<str>>,
    changes: Vec<Change>,
}

impl Changed {
    /// The file at `path` asks for these `changes`.
    fn add(&mut self, name: Arc<str>, path: &Arc<Path>, changes: Vec<Change>, holders: &mut Option<Holders>) {
        if let Some(holders) = holders {
            holders.change(path, &changes);
        }
        self.names.push(name);
        self.changes.extend(changes);
    }
}
