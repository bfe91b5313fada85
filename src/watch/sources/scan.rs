//! The first half of a look: which files there are, and the contents of those that have settled. Must not depend on what one file says
//! about another.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::earlier;
use super::super::file::At;
use super::super::fingerprint::Fingerprint;
use super::super::hints::Names;
use super::super::links::hops;
use super::super::reading::{self, Content, Reading};
use super::super::settling::{Said, Verdict};
use super::super::survey::{FoundBy, Kind, Survey, survey};
use super::{Looked, Sources};

/// The files that a look is about.
pub(super) struct Scan<'a> {
    pub(super) survey: Survey,
    pub(super) scope: Scope,
    /// What was heard of since the last look.
    names: &'a Names,
}

/// Which files a scan covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those that something was renamed to.
    Renamed,
    /// All, of which those are read that changed.
    All,
    /// All, each of which is read.
    Forced,
}

/// What was read and is fine on its own, with the fingerprint that it was read at.
pub(super) type Contents = BTreeMap<Arc<Path>, (Option<Fingerprint>, Box<Content>)>;

impl Sources {
    /// The files that there are, or those that were replaced if nothing else can have changed: with many files it takes long to
    /// look at all of them, and a complete file in the place of another is read before that.
    pub(super) fn scan<'a>(&mut self, forced: bool, names: &'a Names) -> Scan<'a> {
        let replaced = if forced || names.has_written() { None } else { self.replaced(&names.renamed) };
        match replaced {
            Some(survey) => Scan { survey, scope: Scope::Renamed, names },
            None => {
                let scope = if forced { Scope::Forced } else { Scope::All };
                Scan { survey: survey(&mut self.named), scope, names }
            }
        }
    }

    /// The files that something was renamed to, if all that `arrived` are known files, so that nothing else follows from it: none
    /// of the named paths is missing for them, and the way to them is what it was.
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

    /// Reads what has settled. Returns the contents that are fine on their own.
    pub(super) fn read_settled(&mut self, scan: &Scan<'_>, at: At<'_>, looked: &mut Looked) -> Contents {
        let mut contents = Contents::new();
        self.read_files(scan, at, looked, &mut contents);
        if scan.scope != Scope::Renamed {
            self.render(scan, at, looked, &mut contents);
            self.read_standard_input(at, &mut contents);
        }
        contents
    }

    fn read_files(
        &mut self,
        Scan { survey, scope, names }: &Scan<'_>,
        at: At<'_>,
        looked: &mut Looked,
        contents: &mut Contents,
    ) {
        for (path, &(seen, FoundBy { rank, directory })) in &survey.files {
            let file = match self.files.get_mut(&**path) {
                Some(file) => file,
                None => self.files.entry((**path).into()).or_default(),
            };
            (file.rank, file.directory) = (rank, directory);
            file.is_there();
            looked.moved |= *scope != Scope::Renamed && file.settling.is_other_file(&seen);
            if *scope == Scope::Forced {
                file.settling.forget();
            }
            let said = if *scope == Scope::Renamed {
                Said::Renamed
            } else if names.is_empty() || file.settling.is_as_read(&seen) {
                Said::Nothing
            } else {
                names.said_of(&hops(path))
            };
            let verdict = file.settling.see(seen, said, at.now, at.timings);
            match if *scope == Scope::Forced { Verdict::Read } else { verdict } {
                Verdict::Unchanged => {}
                Verdict::Wait(until) => looked.again = earlier(looked.again, until),
                Verdict::Read => match reading::read(path, seen, file.hash, file.objects(), self.review) {
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
    }

    /// Renders the kustomizations of which a file changed.
    fn render(
        &mut self,
        Scan { scope, names, .. }: &Scan<'_>,
        at: At<'_>,
        looked: &mut Looked,
        contents: &mut Contents,
    ) {
        let forced = *scope == Scope::Forced;
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
                _ => match rendering.read(file.hash, file.objects(), self.review) {
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
}
