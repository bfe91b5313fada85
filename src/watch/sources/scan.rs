//! First half of a pass: finds the files, and reads those that have settled. Must not depend on how the contents of files
//! relate.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::Moment;
use super::super::earlier;
use super::super::fingerprint::Fingerprint;
use super::super::hints::Names;
use super::super::links::hops;
use super::super::reading::{self, Content, Reading};
use super::super::settling::{LastEvent, Verdict};
use super::super::survey::{FoundBy, Kind, Survey, survey};
use super::{PassResult, Sources};

/// The files of a pass.
pub(super) struct Scan<'a> {
    pub(super) survey: Survey,
    pub(super) scope: Scope,
    /// The events since the last pass.
    names: &'a Names,
}

/// The files that a scan covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Files that something was renamed to.
    Renamed,
    /// All files; those that changed are read.
    All,
    /// All files; each of them is read.
    Forced,
}

/// Contents that are valid by themselves, with the fingerprints of their files.
pub(super) type Contents = BTreeMap<Arc<Path>, (Option<Fingerprint>, Box<Content>)>;

impl Sources {
    /// Returns all files, or only those that were replaced if nothing else can have changed: checking many files takes
    /// long, and a complete file in place of another is read before that.
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

    /// Returns the replaced files, if all of `renamed` are known files, so that nothing else changes: no named path is
    /// missing, and the links on the paths are the same.
    fn replaced(&self, renamed: &HashSet<PathBuf>) -> Option<Survey> {
        if renamed.is_empty() || !self.is_ready() {
            return None;
        }
        let directories = self.named.iter().filter(|named| named.kind == Some(Kind::Directory));
        let directories: Vec<_> =
            directories.filter_map(|named| Some((&named.path, hops(&named.path).pop()?))).collect();
        let mut survey = Survey::default();
        for path in renamed {
            let name = path.file_name()?;
            let (directory, _) = directories.iter().find(|(_, target)| path.parent() == Some(target))?;
            let path = directory.join(name);
            let file = self.files.get(&*path).filter(|file| file.is_current())?;
            let meta = path.symlink_metadata().ok().filter(Metadata::is_file)?;
            let found_by = FoundBy { rank: file.rank, directory: file.directory };
            survey.files.insert(path, (Fingerprint::of(&meta), found_by));
        }
        Some(survey)
    }

    /// Reads the files that have settled. Returns the contents that are valid by themselves.
    pub(super) fn read_settled(
        &mut self,
        scan: &Scan<'_>,
        at: Moment<'_>,
        result: &mut PassResult,
    ) -> Contents {
        let mut contents = Contents::new();
        self.read_files(scan, at, result, &mut contents);
        if scan.scope != Scope::Renamed {
            self.render(scan, at, result, &mut contents);
            self.read_standard_input(at, &mut contents);
        }
        contents
    }

    fn read_files(
        &mut self,
        Scan { survey, scope, names }: &Scan<'_>,
        at: Moment<'_>,
        result: &mut PassResult,
        contents: &mut Contents,
    ) {
        for (path, &(seen, FoundBy { rank, directory })) in &survey.files {
            let file = match self.files.get_mut(&**path) {
                Some(file) => file,
                None => self.files.entry((**path).into()).or_default(),
            };
            (file.rank, file.directory) = (rank, directory);
            file.is_there();
            result.moved |= *scope != Scope::Renamed && file.settling.is_other_file(&seen);
            if *scope == Scope::Forced {
                file.settling.forget();
            }
            let event = if *scope == Scope::Renamed {
                LastEvent::Renamed
            } else if names.is_empty() || file.settling.is_as_read(&seen) {
                LastEvent::None
            } else {
                names.last_event(&hops(path))
            };
            let verdict = file.settling.see(seen, event, at.now, at.timings);
            match if *scope == Scope::Forced { Verdict::Read } else { verdict } {
                Verdict::Unchanged => {}
                Verdict::Wait(until) => result.again = earlier(result.again, until),
                Verdict::Read => match reading::read(path, seen, file.hash, file.objects(), self.review) {
                    Reading::Torn => {
                        result.again = earlier(result.again, file.settling.torn(at.now, at.timings))
                    }
                    reading => {
                        result.read |= !matches!(reading, Reading::Same);
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
        at: Moment<'_>,
        result: &mut PassResult,
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
                Verdict::Wait(until) if !forced => result.again = earlier(result.again, until),
                _ => match rendering.read(file.hash, file.objects(), self.review) {
                    Reading::Torn => result.again = earlier(result.again, rendering.torn(at)),
                    reading => {
                        result.read |= !matches!(reading, Reading::Same);
                        let good = !matches!(reading, Reading::Bad(_));
                        rendering.rendered(good, at);
                        let content = file.judge(path, reading, None, at);
                        contents.extend(content.map(|content| (path.clone(), (None, content))));
                    }
                },
            }
            result.moved |= rendering.files().any(|file| !before.contains(file));
            file.rendering = Some(rendering);
        }
    }

    /// Reads standard input, once.
    fn read_standard_input(&mut self, at: Moment<'_>, contents: &mut Contents) {
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
