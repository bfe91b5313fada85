//! One file: its last content that could be served, and what became of its present content. Must not depend on other files, nor on
//! when to look.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::Timings;
use super::absence::Absence;
use super::between::{Kept, same};
use super::fingerprint::Fingerprint;
use super::holders::difference;
use super::reading::{self, Content, Reading};
use super::rendering::Rendering;
use super::settling::Settling;
use crate::manifest::{Known, Problem, Severity};
use crate::store::Change;

/// One file.
#[derive(Default)]
pub(super) struct File {
    /// In which of the named directories it was found; `None` if it is named itself.
    pub(super) directory: Option<usize>,
    /// The place of what it was found by among all that is named: of an object that several files say, the last counts.
    pub(super) rank: usize,
    /// How it comes to be, if it is what a kustomization renders to.
    pub(super) rendering: Option<Rendering>,
    pub(super) settling: Settling,
    /// What it said last that could be served, and the hash of that if it was read while following.
    pub(super) kept: Option<Kept>,
    pub(super) hash: Option<u64>,
    /// Why its present content is not served.
    pub(super) refused: Option<Refused>,
    /// What is wrong with that.
    pub(super) problems: Vec<Problem>,
    pub(super) absent: Option<Absence>,
    /// What was complained of last, as a hash, and when.
    pub(super) complaint: Option<(u64, Instant)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is not fine on its own.
    Itself,
    /// It contradicts other files, which may change.
    Between,
}

/// The moment of a look, and how long to wait for what.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) now: Instant,
    pub(super) timings: &'a Timings,
}

/// Interval after which the same problems of a file are logged again.
const TELL_AGAIN: Duration = Duration::from_secs(60);

impl File {
    /// It is where it should be. If it was not for a while, it is read again, because others may have taken the place
    /// of its objects.
    pub(super) fn is_there(&mut self) {
        if self.absent.take().is_some() {
            self.hash = None;
            self.settling.forget();
        }
    }

    /// What to make of a reading: the content, if that is to be compared with other files.
    pub(super) fn judge(
        &mut self,
        path: &Path,
        reading: Reading,
        seen: Option<Fingerprint>,
        at: At<'_>,
    ) -> Option<Box<Content>> {
        let problems = match reading {
            Reading::Torn => return None,
            Reading::Same => {
                self.is_good(seen, at);
                return None;
            }
            Reading::Good(content)
                if content.blank && self.kept.as_ref().is_some_and(|k| !k.asks_for_nothing()) =>
            {
                let help = "to serve nothing from it, write a List without items, or delete the file";
                vec![Problem::of_file(&content.manifest.name, "nothing in it any more").with_help(help)]
            }
            Reading::Good(mut content) if content.manifest.foreign => {
                let holds = self.kept.as_ref().is_some_and(|kept| !kept.asks_for_nothing());
                // A manifest that has just lost its first lines is being written.
                if self.directory.is_none() || holds {
                    std::mem::take(&mut content.manifest.problems)
                } else {
                    content.manifest = content.manifest.skipped_unless_objects();
                    return Some(content);
                }
            }
            Reading::Good(content) => return Some(content),
            Reading::Bad(problems) => problems,
        };
        self.refuse(path, problems, Refused::Itself, seen, at);
        None
    }

    /// Keeps what it said before.
    pub(super) fn refuse(
        &mut self,
        path: &Path,
        problems: Vec<Problem>,
        why: Refused,
        seen: Option<Fingerprint>,
        at: At<'_>,
    ) {
        self.refused = Some(why);
        if let Some(seen) = seen {
            self.settling.read(seen, false, at.now, at.timings);
        }
        let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
        self.problems = problems;
        if !self.complains(&lines, at.now) {
            return;
        }
        for (problem, line) in self.problems.iter().zip(lines) {
            match problem.severity {
                Severity::Error => tracing::error!("{line}"),
                Severity::Warning => tracing::warn!("{line}"),
            }
        }
        if self.kept.is_some() {
            tracing::warn!("{:?} is refused: still serving what it said before", path.display().to_string());
        }
    }

    /// Whether to log a complaint `now`, or whether that was done a moment ago.
    fn complains(&mut self, lines: &[String], now: Instant) -> bool {
        let complaint = reading::hash(lines);
        let told = self.complaint.is_some_and(|(last, when)| last == complaint && now < when + TELL_AGAIN);
        if !told {
            self.complaint = Some((complaint, now));
        }
        !told
    }

    /// Replaces what it said before. Returns what it asks for differently, if it asks for anything else.
    pub(super) fn accept(
        &mut self,
        content: Box<Content>,
        seen: Option<Fingerprint>,
        at: At<'_>,
    ) -> Option<Vec<Change>> {
        let Content { hash, blank, mut manifest } = *content;
        self.is_good(seen, at);
        self.hash = Some(hash);
        let warnings = std::mem::take(&mut manifest.problems);
        let kept = Kept::new(manifest, blank);
        let changes = difference(self.objects(), &kept.objects);
        let said = self.kept.as_ref().map(|kept| kept.overrides.clone()).unwrap_or_default();
        let same = changes.is_empty() && same(&said, &kept.overrides);
        self.kept = Some(kept);
        let lines: Vec<String> = warnings.iter().map(Problem::to_string).collect();
        if !lines.is_empty() && (!same || self.complains(&lines, at.now)) {
            lines.iter().for_each(|line| tracing::warn!("{line}"));
        }
        (!same).then_some(changes)
    }

    /// What it said last that could be served, in its order.
    pub(super) fn objects(&self) -> &[Known] {
        self.kept.as_ref().map_or(&[], |kept| &kept.objects)
    }

    /// Whether what is kept is its present content. Where files contradict each other, one of which this does not hold yields.
    pub(super) fn stands(&self) -> bool {
        self.absent.is_none() && self.refused.is_none()
    }

    /// When to read it once more although it may be unchanged.
    pub(super) fn confirm_at(&self) -> Option<Instant> {
        match &self.rendering {
            Some(rendering) => rendering.confirm_at(),
            None => self.settling.confirm_at(),
        }
    }

    fn is_good(&mut self, seen: Option<Fingerprint>, at: At<'_>) {
        if let Some(seen) = seen {
            self.settling.read(seen, true, at.now, at.timings);
        }
        if self.refused.take().is_some() {
            self.complaint = None;
            self.problems = Vec::new();
            if let Some(kept) = &self.kept {
                tracing::info!("{:?} is good again", kept.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_complaint_is_made_once_a_minute() {
        // At which second which complaint comes, and whether it is told.
        let table = [
            (0, "a", true),
            (1, "a", false),
            (59, "a", false),
            (60, "a", true),
            (61, "b", true),
            (62, "a", true),
        ];
        let (start, mut file) = (Instant::now(), File::default());
        for (time, complaint, told) in table {
            let now = start + Duration::from_secs(time);
            assert_eq!(file.complains(&[complaint.into()], now), told, "{complaint} at {time} s");
        }
    }
}
