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
use super::hints::Names;
use super::holders::Holders;
use super::links::hops;
use super::reading::{self, Content, Reading};
use super::rendering::Rendering;
use super::settling::{Fingerprint, Said, Verdict};
use super::survey::{FoundBy, Kind, Named, STANDARD_INPUT, Survey, survey};
use super::{Report, Timings, earlier};
use crate::manifest::{self, Input, Inputs, Manifest, Overrides, Problem};
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
    /// What was read first, until it is taken to be reviewed.
    unreviewed: Vec<Manifest>,
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
    /// Reads everything that `inputs` mean; see [`manifest::find_any`]. Returns what is wrong as well; if that has errors,
    /// nothing is kept, and the sources are as [`Sources::waiting`] makes them.
    pub fn read(inputs: impl Into<Inputs>) -> (Self, Vec<Problem>) {
        let inputs = inputs.into();
        let mut sources = Sources::waiting(&inputs);
        let Survey { files, .. } = survey(&mut sources.named);
        let (found, mut problems) = match manifest::find_any(&inputs) {
            Ok(found) => (found.inputs, found.warnings),
            Err(problems) => return (sources, problems),
        };
        let (now, timings) = (Instant::now(), Timings::default());
        let at = At { now, timings: &timings };
        for rendering in sources.files.values_mut().filter_map(|file| file.rendering.as_mut()) {
            // What changes while it is rendered looks different at the first look.
            rendering.see(&Names::default(), at);
        }
        let read = parallel::map(&found, 2, reading::read_first);
        let (hashes, manifests): (Vec<_>, Vec<_>) = read.into_iter().unzip();
        let loaded = manifest::combine(manifests);
        let has_errors = loaded.has_errors();
        if files.values().map(|(seen, _)| seen.size()).sum::<u64>() <= reading::REVIEWED_BYTES as u64 {
            sources.unreviewed.clone_from(&loaded.manifests);
        }
        problems.extend(loaded.problems);
        if has_errors {
            return (sources, problems);
        }
        for ((input, hash), manifest) in found.into_iter().zip(hashes).zip(loaded.manifests) {
            let (Input::Named(path) | Input::Listed(path) | Input::Kustomization(path)) = input;
            let file = sources.files.entry(path.as_path().into()).or_default();
            file.hash = hash;
            if let Some(&(seen, FoundBy { rank, directory })) = files.get(&path) {
                (file.rank, file.directory) = (rank, directory);
                // If it changes while it is read, it looks different at the first look.
                file.settling.read_first(seen, now, &timings);
            } else if path.as_os_str() == STANDARD_INPUT {
                file.rank = inputs.paths.iter().position(|named| *named == path).unwrap_or_default();
            }
            if let Some(rendering) = &mut file.rendering {
                rendering.rendered(true, at);
            }
            file.kept = Some(Kept::new(manifest, false));
        }
        sources.running = Some(loaded.overrides);
        (sources, problems)
    }

    /// Sources of which nothing is read yet. Following them hands over the first objects as soon as all of them are
    /// there and good, and one of them says anything.
    pub fn waiting(inputs: impl Into<Inputs>) -> Self {
        let Inputs { paths, recursive, kustomizations } = inputs.into();
        let renderings = kustomizations.iter().enumerate().map(|(at, directory)| {
            let rendering = Some(Rendering::of(directory));
            (directory.as_path().into(), File { rank: paths.len() + at, rendering, ..File::default() })
        });
        Sources {
            files: renderings.collect(),
            named: paths.iter().map(|path| Named::new(path, recursive)).collect(),
            holders: None,
            missing: BTreeMap::new(),
            running: None,
            told: None,
            unreviewed: Vec::new(),
        }
    }

    /// The manifests that were read first, for `review::review`: a review takes as long as reading them, and the first answer does
    /// not wait for it. None where they are long: `check` reviews any amount.
    pub fn take_unreviewed(&mut self) -> Vec<Manifest> {
        std::mem::take(&mut self.unreviewed)
    }

    /// Whether all sources have been good at once, so that there is something to serve.
    pub fn is_ready(&self) -> bool {
        self.running.is_some()
    }

    /// All objects that the files ask for.
    pub fn objects(&self) -> Objects {
        // Where a file that is missing or refused contradicts one that is neither, it gives way; of others the last counts.
        let mut files: Vec<&File> = self.files.values().collect();
        files.sort_by_key(|file| (file.stands(), file.rank));
        let known = files.into_iter().flat_map(File::objects);
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
        let below = named.clone().flat_map(Named::directories).collect::<Vec<_>>();
        let linked = self.files.keys().filter(|path| path.is_symlink());
        let rendered =
            self.files.values().filter_map(|file| file.rendering.as_ref()).flat_map(Rendering::files);
        let files = named.map(|named| &*named.path).chain(linked.map(|path| &**path)).chain(rendered);
        for path in files.chain(below.iter().map(|path| &**path)) {
            let hops = hops(path);
            directories.extend(hops.iter().filter_map(|hop| hop.parent()).map(Path::to_path_buf));
            directories.extend(hops.into_iter().next_back().filter(|end| end.is_dir()));
        }
        directories
    }

    /// Looks at everything, reads what has settled and takes what is good. `forced` reads every file again; `names`
    /// are those of which something was heard since the last look.
    pub(super) fn look(&mut self, at: At<'_>, forced: bool, names: &Names) -> Looked {
        let mut looked = Looked::default();
        let mut contents = Contents::new();
        // Whole files in the place of others are read before anything else is looked at: with many files that takes long.
        let replaced = if forced || names.has_written() { None } else { self.replaced(&names.renamed) };
        let at_first = replaced.is_some();
        let survey = replaced.unwrap_or_else(|| survey(&mut self.named));
        for (path, &(seen, FoundBy { rank, directory })) in &survey.files {
            let file = match self.files.get_mut(&**path) {
                Some(file) => file,
                None => self.files.entry((**path).into()).or_default(),
            };
            (file.rank, file.directory) = (rank, directory);
            file.is_there();
            looked.moved |= !at_first && file.settling.is_other_file(&seen);
            if forced {
                file.settling.forget();
            }
            let unheard = names.is_empty() || file.settling.is_as_read(&seen);
            let said = if at_first {
                Said::Renamed
            } else if unheard {
                Said::Nothing
            } else {
                names.said_of(&hops(path))
            };
            let verdict = file.settling.see(seen, said, at.now, at.timings);
            match if forced { Verdict::Read } else { verdict } {
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
        self.render(at, forced, names, &mut contents, &mut looked);
        self.read_standard_input(at, &mut contents);
        self.drop_deleted(&survey, at, &mut looked, &mut changed);
        self.take(contents, at, &mut changed);
        self.tell_missing(&survey, at, &mut looked);
        self.report(changed, &survey, at.now, &mut looked);
        // What is not there cannot be confirmed, and is not waited for.
        let there = self.files.values().filter(|file| file.absent.is_none());
        let due = |file: &File| match &file.rendering {
            Some(rendering) => rendering.confirm_at(),
            None => file.settling.confirm_at(),
        };
        for due in there.filter_map(due) {
            looked.again = earlier(looked.again, due);
        }
        looked
    }

    /// Renders the kustomizations of which a file changed.
    fn render(
        &mut self,
        at: At<'_>,
        forced: bool,
        names: &Names,
        contents: &mut Contents,
        looked: &mut Looked,
    ) {
        for (path, file) in &mut self.files {
            let Some(mut rendering) = file.rendering.take() else { continue };
            if forced {
                rendering.forget();
                file.hash = None;
            }
            let before: BTreeSet<PathBuf> = rendering.files().map(Path::to_path_buf).collect();
            match rendering.see(names, at) {
                Verdict::Unchanged => {}
                Verdict::Wait(until) if !forced => looked.again = earlier(looked.again, until),
                _ => match rendering.read(file.hash, file.objects()) {
                    Reading::Torn => looked.again = earlier(looked.again, rendering.torn(at)),
                    reading => {
                        looked.read |= !matches!(reading, Reading::Same);
                        let good = !matches!(reading, Reading::Bad(_));
                        rendering.rendered(good, at);
                        let content = file.judge(path, reading, None, at);
                        contents.extend(content.map(|content| (path.clone(), (None, content))));
                    }
                },
            }
            looked.moved |= rendering.files().any(|file| !before.contains(file));
            file.rendering = Some(rendering);
        }
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
            let found_by = FoundBy { rank: file.rank, directory: file.directory };
            survey.files.insert(path, (Fingerprint::of(&meta), found_by));
        }
        Some(survey)
    }

    /// Reads standard input, the first time.
    fn read_standard_input(&mut self, at: At<'_>, contents: &mut Contents) {
        let named = self.named.iter().enumerate();
        for (rank, named) in named.filter(|(_, named)| named.kind == Some(Kind::StandardInput)) {
            if !self.files.contains_key(&*named.path) {
                let path: Arc<Path> = (*named.path).into();
                let file = self.files.entry(path.clone()).or_default();
                file.rank = rank;
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
        let rank = |path: &Path| self.files.get(path).map_or(0, |file| file.rank);
        let holders = self.holders.as_ref().unwrap_or(&nobody);
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
        // They are the same as before otherwise, and were told then.
        for warning in warnings.iter().filter(|_| !changed.names.is_empty()) {
            tracing::warn!("{warning}");
        }
    }

    /// Drops the files that were deleted.
    fn drop_deleted(&mut self, survey: &Survey, at: At<'_>, looked: &mut Looked, changed: &mut Changed) {
        let read_once = Path::new(STANDARD_INPUT);
        self.files.retain(|path, file| {
            if survey.files.contains_key(&**path) || **path == *read_once || file.rendering.is_some() {
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
            let rank = |path: &Path| self.files.get(path).map(|file| (file.stands(), file.rank));
            match holders.iter().max_by_key(|holder| (rank(&holder.path), &holder.path)) {
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
