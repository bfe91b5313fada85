//! Takes the place of `kubectl.kubernetes.io/last-applied-configuration`: what every file said last that could be served. Each look
//! scans and reads the files that have settled (`scan`) and accepts their contents (`accept`): the old objects stay wherever new
//! content is refused or missing. Must not depend on what makes it look, nor on what objects mean.

mod accept;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::absence::Absence;
use super::between::Kept;
use super::file::{At, File};
use super::hints::Names;
use super::holders::Holders;
use super::links::hops;
use super::reading::{self, Review};
use super::rendering::Rendering;
use super::survey::{FoundBy, Kind, Named, STANDARD_INPUT, Survey, survey};
use super::{Report, Timings, earlier};
use crate::manifest::{self, Input, Inputs, Manifest, Overrides, Problem};
use crate::parallel;
use crate::store::{Change, Objects};
use scan::Scope;

/// The files and directories of a command line, and what they said last that could be served.
pub struct Sources {
    named: Vec<Named>,
    files: BTreeMap<Arc<Path>, File>,
    /// The files of each object, from the first change of several files on: one file contradicts no other.
    holders: Option<Holders>,
    /// Which of the named paths mean no file.
    missing: BTreeMap<usize, Absence>,
    /// What the Topologies said when all was good first; before that nothing is handed over.
    running: Option<Overrides>,
    /// What they say now, if it is different and that was told.
    told: Option<Overrides>,
    /// What was read first, until it is taken to be reviewed.
    unreviewed: Vec<Manifest>,
    /// Judges what is read while following.
    review: Review,
    /// Why contents of files are not served now.
    problems: watch::Sender<Vec<Problem>>,
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
    /// What is not served, if all files were looked at.
    problems: Option<Vec<Problem>>,
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
        if files.values().map(|(seen, _)| seen.size).sum::<u64>() <= reading::REVIEWED_BYTES as u64 {
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
            review: |_, _| Vec::new(),
            problems: watch::Sender::default(),
        }
    }

    /// The same, with warnings of `review` about each file that is read while following: about what is new in the manifest, the
    /// objects of which were known before. Long files are not reviewed, because the answer waits for it.
    #[must_use]
    pub fn reviewed_by(self, review: Review) -> Self {
        Sources { review, ..self }
    }

    /// Why the present content of files is not served, and which of the named paths mean no file: as of the last look while
    /// following, published once its changes are applied. Empty where everything is served as it is.
    pub fn problems(&self) -> watch::Receiver<Vec<Problem>> {
        self.problems.subscribe()
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

    /// Publishes the problems of a look.
    pub(super) fn publish(&self, looked: Looked) {
        if let Some(now) = looked.problems {
            self.problems.send_if_modified(|before| std::mem::replace(before, now) != *before);
        }
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

    /// Scans the files, reads those that have settled and accepts what is good. `forced` reads every file again; `names`
    /// are those of which something was heard since the last look.
    pub(super) fn look(&mut self, at: At<'_>, forced: bool, names: &Names) -> Looked {
        let mut looked = Looked::default();
        let scan = self.scan(forced, names);
        let contents = self.read_settled(&scan, at, &mut looked);
        self.accept(contents, &scan, at, &mut looked);
        if scan.scope == Scope::Renamed {
            // All other files are looked at next.
            looked.again = earlier(looked.again, at.now);
            return looked;
        }
        looked.problems = Some(self.unserved(&scan.survey));
        // What is not there cannot be confirmed, and is not waited for.
        let there = self.files.values().filter(|file| file.absent.is_none());
        for due in there.filter_map(File::confirm_at) {
            looked.again = earlier(looked.again, due);
        }
        looked
    }
}
