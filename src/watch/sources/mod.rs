//! Takes the place of `kubectl.kubernetes.io/last-applied-configuration`: the last accepted content of every file. Each
//! pass scans and reads the files that have settled (`scan`) and accepts their contents (`accept`): while new content is
//! refused or missing, the old objects stay. Must not depend on what triggers a pass, nor on what objects mean.

mod accept;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::absence::Absence;
use super::conflicts::Accepted;
use super::file::File;
use super::hints::Names;
use super::holders::Holders;
use super::links::hops;
use super::reading::{self, Review};
use super::rendering::Rendering;
use super::survey::{FoundBy, Kind, Named, STANDARD_INPUT, Survey, survey};
use super::{Moment, Report, Timings, earlier};
use crate::manifest::{self, Input, Inputs, Manifest, Overrides, Problem};
use crate::parallel;
use crate::store::{Change, Objects};
use scan::Scope;

/// The files and directories of a command line, with their last accepted contents.
pub struct Sources {
    named: Vec<Named>,
    files: BTreeMap<Arc<Path>, File>,
    /// The definitions of each object, from the first change of several files on: a single file conflicts with no other.
    holders: Option<Holders>,
    /// The named paths that have no file.
    missing: BTreeMap<usize, Absence>,
    /// The settings when all sources were first good; before that no objects are passed on.
    running: Option<Overrides>,
    /// The current settings, if they differ and that was reported.
    reported: Option<Overrides>,
    /// The manifests of the first reading, until they are taken for a review.
    unreviewed: Vec<Manifest>,
    /// Reviews manifests that are read while following.
    review: Review,
    /// The problems that keep contents from being served.
    problems: watch::Sender<Vec<Problem>>,
}

/// The result of a pass.
#[derive(Default)]
pub(super) struct PassResult {
    /// The report, and the changes of objects, if anything changed.
    pub(super) report: Option<(Report, Vec<Change>)>,
    /// Whether any file was read.
    pub(super) read: bool,
    /// Whether a file has another inode than before, so that links on its path may have changed.
    pub(super) moved: bool,
    /// When to run the next pass, if nothing happens.
    pub(super) again: Option<Instant>,
    /// The problems of unserved contents, if all files were checked.
    problems: Option<Vec<Problem>>,
}

impl Sources {
    /// Reads all `inputs`; see [`manifest::find_any`]. Also returns the problems. If there are errors, nothing is accepted, and
    /// the result equals [`Sources::waiting`].
    pub fn read(inputs: impl Into<Inputs>) -> (Self, Vec<Problem>) {
        let inputs = inputs.into();
        let mut sources = Sources::waiting(&inputs);
        let Survey { files, .. } = survey(&mut sources.named);
        let (found, mut problems) = match manifest::find_any(&inputs) {
            Ok(found) => (found.inputs, found.warnings),
            Err(problems) => return (sources, problems),
        };
        let (now, timings) = (Instant::now(), Timings::default());
        let at = Moment { now, timings: &timings };
        for rendering in sources.files.values_mut().filter_map(|file| file.rendering.as_mut()) {
            // A change during the rendering is detected by the first pass.
            rendering.see(&Names::default(), at);
        }
        let read = parallel::map(&found, 2, reading::read_first);
        let (hashes, manifests): (Vec<_>, Vec<_>) = read.into_iter().unzip();
        let loaded = manifest::combine(manifests);
        let has_errors = loaded.has_errors();
        if files.values().map(|(seen, _)| seen.size).sum::<u64>() <= reading::MAX_REVIEWED as u64 {
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
                // A change during the reading is detected by the first pass.
                file.settling.read_first(seen, now, &timings);
            } else if path.as_os_str() == STANDARD_INPUT {
                file.rank = inputs.paths.iter().position(|named| *named == path).unwrap_or_default();
            }
            if let Some(rendering) = &mut file.rendering {
                rendering.rendered(true, at);
            }
            file.accepted = Some(Accepted::new(manifest, false));
        }
        sources.running = Some(loaded.overrides);
        (sources, problems)
    }

    /// Sources that are not read yet. Following them passes on the first objects once all of them exist and are good, and
    /// one of them has content.
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
            reported: None,
            unreviewed: Vec::new(),
            review: |_, _| Vec::new(),
            problems: watch::Sender::default(),
        }
    }

    /// Adds the warnings of `review` for each file that is read while following: it gets the manifest and the objects known
    /// before. Large files are not reviewed, because that would delay answers.
    #[must_use]
    pub fn reviewed_by(self, review: Review) -> Self {
        Sources { review, ..self }
    }

    /// Why current contents are not served, and which named paths have no file: as of the last pass, published once its
    /// changes are applied. Empty if all files are served as they are.
    pub fn problems(&self) -> watch::Receiver<Vec<Problem>> {
        self.problems.subscribe()
    }

    /// Takes the manifests of the first reading, for `review::review`: a review takes as long as the reading, and the first
    /// answer does not wait for it. None if they are large: `check` reviews any amount.
    pub fn take_unreviewed(&mut self) -> Vec<Manifest> {
        std::mem::take(&mut self.unreviewed)
    }

    /// Whether all sources have been good at one time, so that there are objects to serve.
    pub fn is_ready(&self) -> bool {
        self.running.is_some()
    }

    /// Returns the objects of all files.
    pub fn objects(&self) -> Objects {
        // In a conflict, a stale file yields to a current one; of equals the last one is used.
        let mut files: Vec<&File> = self.files.values().collect();
        files.sort_by_key(|file| (file.is_current(), file.rank));
        let known = files.into_iter().flat_map(File::objects);
        known.map(|known| (known.object.key(), known.object.clone())).collect()
    }

    /// Returns the settings of the Topologies of all files.
    pub fn overrides(&self) -> Overrides {
        let mut overrides = Overrides::default();
        for accepted in self.files.values().filter_map(|file| file.accepted.as_ref()) {
            overrides.merge(&accepted.overrides);
        }
        overrides
    }

    /// Publishes the problems of a pass.
    pub(super) fn publish(&self, result: PassResult) {
        if let Some(now) = result.problems {
            self.problems.send_if_modified(|before| std::mem::replace(before, now) != *before);
        }
    }

    /// The directories in which an event may concern the files; their paths have no links.
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

    /// Scans the files, reads those that have settled and accepts valid contents. `forced` reads every file again; `names`
    /// has the events since the last pass.
    pub(super) fn pass(&mut self, at: Moment<'_>, forced: bool, names: &Names) -> PassResult {
        let mut result = PassResult::default();
        let scan = self.scan(forced, names);
        let contents = self.read_settled(&scan, at, &mut result);
        self.accept(contents, &scan, at, &mut result);
        if scan.scope == Scope::Renamed {
            // The other files are checked by the next pass.
            result.again = earlier(result.again, at.now);
            return result;
        }
        result.problems = Some(self.unserved(&scan.survey));
        // A missing file cannot be confirmed.
        let there = self.files.values().filter(|file| file.absent.is_none());
        for due in there.filter_map(File::confirm_at) {
            result.again = earlier(result.again, due);
        }
        result
    }
}
