//! Decides when a missing file counts as deleted. Editors and git remove files for a moment, and a directory without
//! manifests is most likely an accident: only a file that stays missing while others remain was deleted.

use std::time::Duration;

use tokio::time::Instant;

/// A missing file or path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Absence {
    since: Instant,
    /// Since when its directory has had other manifests.
    left_out: Option<Instant>,
    reported: bool,
}

impl Absence {
    /// Something is missing since `now`.
    pub(super) fn new(now: Instant) -> Self {
        Absence { since: now, left_out: None, reported: false }
    }

    /// Returns when to report it, unless it has been reported.
    pub(super) fn report_at(&self, delay: Duration) -> Option<Instant> {
        (!self.reported).then(|| self.since + delay)
    }

    /// Whether it has been reported.
    pub(super) fn is_reported(&self) -> bool {
        self.reported
    }

    /// Records that it has been reported.
    pub(super) fn mark_reported(&mut self) {
        self.reported = true;
    }

    /// Updates the absence; `others` states whether its directory has other manifests `now`. Returns when it counts as
    /// deleted, if nothing changes.
    pub(super) fn deleted_at(&mut self, others: bool, now: Instant, delay: Duration) -> Option<Instant> {
        self.left_out = others.then(|| self.left_out.unwrap_or(now));
        self.left_out.map(|since| since + delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_as_deleted_only_while_other_files_remain() {
        // Second, whether other files exist; when it counts as deleted.
        let table: &[&[(u64, bool, Option<u64>)]] = &[
            &[(0, true, Some(5)), (4, true, Some(5)), (9, true, Some(5))],
            &[(0, false, None), (100, false, None)],
            // The others are restored one after the other, and this one last.
            &[(0, true, Some(5)), (1, false, None), (10, true, Some(15)), (12, true, Some(15))],
        ];
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        for steps in table {
            let mut absence = Absence::new(start);
            for &(time, others, deleted) in *steps {
                let due = absence.deleted_at(others, after(time), Duration::from_secs(5));
                assert_eq!(due, deleted.map(after), "{steps:?} at {time} s");
            }
        }
    }

    #[test]
    fn an_absence_is_reported_once() {
        let start = Instant::now();
        let mut absence = Absence::new(start);
        assert_eq!(absence.report_at(Duration::from_secs(1)), Some(start + Duration::from_secs(1)));
        absence.mark_reported();
        assert_eq!(absence.report_at(Duration::from_secs(1)), None);
    }
}
