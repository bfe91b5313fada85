//! The state of one file: its last accepted content, and what is wrong with its current one. Must not depend on other
//! files, nor on when files are checked.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::Moment;
use super::absence::Absence;
use super::conflicts::{Accepted, same};
use super::fingerprint::Fingerprint;
use super::holders::difference;
use super::reading::{self, Content, Reading};
use super::rendering::Rendering;
use super::settling::Settling;
use crate::manifest::{Known, Problem, Severity};
use crate::store::Change;

/// The state of one file.
#[derive(Default)]
pub(super) struct File {
    /// Index of the directory in which it was found; `None` if it is named itself.
    pub(super) directory: Option<usize>,
    /// Its position in the order of the command line: of several definitions of an object, the last one is used.
    pub(super) rank: usize,
    /// The inputs of its content, if it is a kustomization.
    pub(super) rendering: Option<Rendering>,
    pub(super) settling: Settling,
    /// The last accepted content, and its hash if it was read while following.
    pub(super) accepted: Option<Accepted>,
    pub(super) hash: Option<u64>,
    /// Why its current content is not served.
    pub(super) refused: Option<Refused>,
    /// The problems of its current content.
    pub(super) problems: Vec<Problem>,
    pub(super) absent: Option<Absence>,
    /// Hash and time of the problems that were logged last.
    pub(super) last_logged: Option<(u64, Instant)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It has errors of its own.
    Invalid,
    /// It conflicts with other files, which may change.
    Conflict,
}

/// Minimum interval between two log lines about the same problems of a file.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

impl File {
    /// Records that the file exists. If it was missing, it is read again, because other files may have defined its objects
    /// meanwhile.
    pub(super) fn is_there(&mut self) {
        if self.absent.take().is_some() {
            self.hash = None;
            self.settling.forget();
        }
    }

    /// Evaluates a reading. Returns the content if it is to be compared with other files.
    pub(super) fn judge(
        &mut self,
        path: &Path,
        reading: Reading,
        seen: Option<Fingerprint>,
        at: Moment<'_>,
    ) -> Option<Box<Content>> {
        let problems = match reading {
            Reading::Torn => return None,
            Reading::Same => {
                self.is_good(seen, at);
                return None;
            }
            Reading::Good(content)
                if content.blank && self.accepted.as_ref().is_some_and(|k| !k.is_empty()) =>
            {
                let help = "to serve nothing from it, write a List without items, or delete the file";
                vec![Problem::of_file(&content.manifest.name, "is empty now").with_help(help)]
            }
            Reading::Good(mut content) if content.manifest.foreign => {
                let holds = self.accepted.as_ref().is_some_and(|accepted| !accepted.is_empty());
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
        self.refuse(path, problems, Refused::Invalid, seen, at);
        None
    }

    /// Keeps the previous content.
    pub(super) fn refuse(
        &mut self,
        path: &Path,
        problems: Vec<Problem>,
        why: Refused,
        seen: Option<Fingerprint>,
        at: Moment<'_>,
    ) {
        self.refused = Some(why);
        if let Some(seen) = seen {
            self.settling.read(seen, false, at.now, at.timings);
        }
        let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
        self.problems = problems;
        if !self.should_log(&lines, at.now) {
            return;
        }
        for (problem, line) in self.problems.iter().zip(lines) {
            match problem.severity {
                Severity::Error => tracing::error!("{line}"),
                Severity::Warning => tracing::warn!("{line}"),
            }
        }
        if self.accepted.is_some() {
            tracing::warn!(
                "{:?} is refused: its previous content is still served",
                path.display().to_string()
            );
        }
    }

    /// Whether to log these problems `now`, or whether they were logged just before.
    fn should_log(&mut self, lines: &[String], now: Instant) -> bool {
        let hash = reading::hash(lines);
        let is_logged =
            self.last_logged.is_some_and(|(last, when)| last == hash && now < when + LOG_INTERVAL);
        if !is_logged {
            self.last_logged = Some((hash, now));
        }
        !is_logged
    }

    /// Replaces the previous content. Returns the changes of its objects if it differs in objects or settings.
    pub(super) fn accept(
        &mut self,
        content: Box<Content>,
        seen: Option<Fingerprint>,
        at: Moment<'_>,
    ) -> Option<Vec<Change>> {
        let Content { hash, blank, mut manifest } = *content;
        self.is_good(seen, at);
        self.hash = Some(hash);
        let warnings = std::mem::take(&mut manifest.problems);
        let accepted = Accepted::new(manifest, blank);
        let changes = difference(self.objects(), &accepted.objects);
        let before = self.accepted.as_ref().map(|accepted| accepted.overrides.clone()).unwrap_or_default();
        let same = changes.is_empty() && same(&before, &accepted.overrides);
        self.accepted = Some(accepted);
        let lines: Vec<String> = warnings.iter().map(Problem::to_string).collect();
        if !lines.is_empty() && (!same || self.should_log(&lines, at.now)) {
            lines.iter().for_each(|line| tracing::warn!("{line}"));
        }
        (!same).then_some(changes)
    }

    /// The objects of the last accepted content, in the order of the file.
    pub(super) fn objects(&self) -> &[Known] {
        self.accepted.as_ref().map_or(&[], |accepted| &accepted.objects)
    }

    /// Whether the accepted content is the file's current one. In a conflict, a stale content yields.
    pub(super) fn is_current(&self) -> bool {
        self.absent.is_none() && self.refused.is_none()
    }

    /// When to read it once more although it may be unchanged.
    pub(super) fn confirm_at(&self) -> Option<Instant> {
        match &self.rendering {
            Some(rendering) => rendering.confirm_at(),
            None => self.settling.confirm_at(),
        }
    }

    fn is_good(&mut self, seen: Option<Fingerprint>, at: Moment<'_>) {
        if let Some(seen) = seen {
            self.settling.read(seen, true, at.now, at.timings);
        }
        if self.refused.take().is_some() {
            self.last_logged = None;
            self.problems = Vec::new();
            if let Some(accepted) = &self.accepted {
                tracing::info!("{:?} is served again", accepted.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_problem_is_logged_once_a_minute() {
        // Second, problem, and whether it is logged.
        let table = [
            (0, "a", true),
            (1, "a", false),
            (59, "a", false),
            (60, "a", true),
            (61, "b", true),
            (62, "a", true),
        ];
        let (start, mut file) = (Instant::now(), File::default());
        for (time, problem, logged) in table {
            let now = start + Duration::from_secs(time);
            assert_eq!(file.should_log(&[problem.into()], now), logged, "{problem} at {time} s");
        }
    }
}
