//! Decides when a missing file counts as deleted.
//! Editors and git take files away for a moment, and a directory without any manifest is an accident; only what stays
//! away while others remain was deleted.

use std::time::Duration;

use tokio::time::Instant;

/// How long something has not been there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Absence {
    since: Instant,
    /// Since when other manifests have been in its directory without it.
    left_out: Option<Instant>,
    told: bool,
}

impl Absence {
    /// Something is not there `now`, for the first time.
    pub(super) fn new(now: Instant) -> Self {
        Absence { since: now, left_out: None, told: false }
    }

    /// When it is to be told of, if it was not.
    pub(super) fn tell_at(&self, patience: Duration) -> Option<Instant> {
        (!self.told).then(|| self.since + patience)
    }

    /// Whether it was told of.
    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    /// It has been told of.
    pub(super) fn told(&mut self) {
        self.told = true;
    }

    /// It is still not there `now`; `others` says whether other manifests are. Returns when it is to be taken for
    /// deleted, if that is left as it is.
    pub(super) fn deleted_at(&mut self, others: bool, now: Instant, patience: Duration) -> Option<Instant> {
        self.left_out = others.then(|| self.left_out.unwrap_or(now));
        self.left_out.map(|since| since + patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_away_while_others_remain_was_deleted() {
        // At which second, whether others are there; when it will be taken for deleted.
        let table: &[&[(u64, bool, Option<u64>)]] = &[
            &[(0, true, Some(5)), (4, true, Some(5)), (9, true, Some(5))],
            &[(0, false, None), (100, false, None)],
            // The others are put back one after the other, and this one comes later.
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
    fn an_absence_is_told_once() {
        let start = Instant::now();
        let mut absence = Absence::new(start);
        assert_eq!(absence.tell_at(Duration::from_secs(1)), Some(start + Duration::from_secs(1)));
        absence.told();
        assert_eq!(absence.tell_at(Duration::from_secs(1)), None);
    }
}
