//! Decides from the fingerprints of a file over time whether it is complete, and so whether to read it now or later. Must
//! not depend on the contents of files.

use std::time::Duration;

use tokio::time::Instant;

use super::Timings;
use super::fingerprint::Fingerprint;

/// The last event that the operating system reported for a file since the last check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastEvent {
    None,
    /// It was renamed to its name, and not written to since.
    Renamed,
    /// It was written to.
    Written,
}

/// Minimum time without a change after which a renamed file counts as complete, if its times do not show that it was not
/// written to since the rename: a write is reported within a fraction of that. Passes are at least 5 ms apart.
const RENAME_DELAY: Duration = Duration::from_millis(4);

/// What to do with a file now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is unchanged.
    Unchanged,
    /// It changed, and may not be complete until then.
    Wait(Instant),
    Read,
}

/// The state of a file between its change and its reading.
#[derive(Debug, Default)]
pub(super) struct Settling {
    /// What was read last, whether it was accepted or refused.
    read: Option<Fingerprint>,
    /// Size of the last accepted content.
    good: Option<u64>,
    pending: Option<Pending>,
    /// When to read it again although no change is visible. Times have the resolution of the kernel's tick, some
    /// milliseconds: a write in the tick of the reading leaves no trace.
    confirm: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    seen: Fingerprint,
    /// Since when it has had this fingerprint.
    since: Instant,
    /// Since when it has differed from what was read, without a change of its size in place.
    first: Instant,
    /// Whether it was renamed to its name and, as far as is known, not written to since.
    renamed: bool,
}

impl Settling {
    /// Returns what to do `now` with a file whose fingerprint is `seen` and whose last event is `event`.
    pub(super) fn see(
        &mut self,
        seen: Fingerprint,
        event: LastEvent,
        now: Instant,
        timings: &Timings,
    ) -> Verdict {
        if self.read == Some(seen) {
            self.pending = None;
            return match self.confirm {
                Some(due) if due <= now => Verdict::Read,
                Some(due) => Verdict::Wait(due),
                None => Verdict::Unchanged,
            };
        }
        let pending = match self.pending {
            Some(pending) if pending.seen == seen => pending,
            // The size changed in place: its writer has not finished, however long it takes.
            Some(Pending { seen: before, .. }) if before.inode == seen.inode && before.size != seen.size => {
                Pending { seen, since: now, first: now, renamed: false }
            }
            Some(pending) => Pending {
                seen,
                since: now,
                renamed: pending.renamed && pending.seen.inode == seen.inode,
                ..pending
            },
            None => Pending { seen, since: now, first: now, renamed: false },
        };
        let renamed = match event {
            LastEvent::None => pending.renamed,
            LastEvent::Renamed => true,
            LastEvent::Written => false,
        };
        let replaced_again = self.pending.is_some_and(|before| before.seen.inode != seen.inode);
        let pending = Pending { renamed, ..pending };
        self.pending = Some(pending);
        // The file was complete when it was renamed to its name, and was not written to there. A program that replaces a
        // file again and again does it with such files: waiting for a quiet period would last as long as that does.
        if (renamed || replaced_again) && seen.is_written_before() {
            return Verdict::Read;
        }
        // Also with another inode: a file that was created, or written to right after a rename, is equally short while it
        // is written.
        let shrunk = self.good.is_some_and(|good| seen.size < good.div_ceil(2));
        let due = if renamed && !shrunk {
            pending.since + RENAME_DELAY
        } else if renamed {
            pending.since + timings.quiet
        } else if shrunk {
            pending.since + timings.quiet_shrunk
        } else {
            let longest = (pending.first + timings.quiet_max).max(pending.since + RENAME_DELAY);
            (pending.since + timings.quiet).min(longest)
        };
        if due <= now { Verdict::Read } else { Verdict::Wait(due) }
    }

    /// Records that `seen` was read `now`; `good` states whether it was accepted.
    pub(super) fn read(&mut self, seen: Fingerprint, good: bool, now: Instant, timings: &Timings) {
        // After a quiet period, or when confirming, the last write is known to be long ago.
        let quiet = self.pending.is_some_and(|pending| pending.since + timings.quiet <= now);
        let confirmed = self.confirm.is_some_and(|due| due <= now) && self.read == Some(seen);
        self.confirm = (!quiet && !confirmed).then(|| now + timings.quiet);
        self.read = Some(seen);
        self.pending = None;
        if good {
            self.good = Some(seen.size);
        }
    }

    /// Records that `seen` was read and accepted `now`, before it was followed.
    pub(super) fn read_first(&mut self, seen: Fingerprint, now: Instant, timings: &Timings) {
        self.read(seen, true, now, timings);
        // Moment the start there are many files, and most are old.
        if seen.age().is_some_and(|age| age > timings.quiet_max) {
            self.confirm = None;
        }
    }

    /// Records that it changed while it was read. Returns when to try again.
    pub(super) fn torn(&mut self, now: Instant, timings: &Timings) -> Instant {
        if let Some(pending) = &mut self.pending {
            (pending.since, pending.first) = (now, now);
        }
        now + timings.quiet
    }

    /// Marks it to be read again, whether or not it changes.
    pub(super) fn forget(&mut self) {
        self.read = None;
        self.pending = None;
    }

    /// When to read it once more although it may be unchanged.
    pub(super) fn confirm_at(&self) -> Option<Instant> {
        self.confirm
    }

    /// Whether it was read as `seen`, with no confirmation due `now`.
    pub(super) fn is_read(&self, seen: &Fingerprint, now: Instant) -> bool {
        self.read == Some(*seen) && self.confirm.is_none_or(|due| due > now)
    }

    /// Whether it is unchanged since it was read.
    pub(super) fn is_as_read(&self, seen: &Fingerprint) -> bool {
        self.read == Some(*seen)
    }

    /// Whether `seen` has another inode than the file that was read.
    pub(super) fn is_other_file(&self, seen: &Fingerprint) -> bool {
        self.read.is_none_or(|read| read.inode != seen.inode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(inode: u64, size: u64, time: i64) -> Fingerprint {
        Fingerprint { inode: (1, inode), size, modified: (time, 0), changed: (time, 0) }
    }

    fn settled(now: Instant) -> Settling {
        let mut settling = Settling::default();
        let timings = Timings { quiet: Duration::ZERO, ..Timings::default() };
        settling.see(print(1, 1000, 0), LastEvent::None, now, &timings);
        settling.read(print(1, 1000, 0), true, now, &timings);
        settling
    }

    const READ: i64 = 0;
    const SAME: i64 = -1;
    const NOTHING: LastEvent = LastEvent::None;
    const RENAMED: LastEvent = LastEvent::Renamed;
    const WRITTEN: LastEvent = LastEvent::Written;

    /// A file of 1,000 bytes, inode 1, written at time 0 and read after a quiet period. Each step has a millisecond; inode,
    /// size and time of write, or of a later change; the reported event; and the expected result: `READ`, `SAME`, or the
    /// time until which to wait.
    type Steps<'a> = &'a [(u64, (u64, u64, i64), LastEvent, i64)];

    /// Offset for a file that was renamed after it was written, in another tick.
    const LATER: i64 = 1 << 32;

    #[test]
    fn a_file_is_read_once_it_is_complete() {
        let table: &[(&str, Steps<'_>)] = &[
            ("nothing happens", &[(0, (1, 1000, 0), NOTHING, SAME), (1000, (1, 1000, 0), NOTHING, SAME)]),
            ("replaced by a rename", &[(0, (2, 1100, 5 + LATER), RENAMED, READ)]),
            ("replaced by a rename of a small file", &[(0, (2, 10, 5 + LATER), RENAMED, READ)]),
            (
                "replaced by a rename in the tick of the write",
                &[
                    (0, (2, 1100, 5), RENAMED, 4),
                    (3, (2, 1100, 5), NOTHING, 4),
                    (5, (2, 1100, 5), NOTHING, READ),
                ],
            ),
            (
                "replaced by a rename, and written in place before that is reported",
                &[
                    (0, (2, 600, 5), RENAMED, 4),
                    (2, (2, 600, 5), WRITTEN, 50),
                    (40, (2, 1100, 6), NOTHING, 90),
                    (90, (2, 1100, 6), NOTHING, READ),
                ],
            ),
            (
                "replaced by a rename, and written in place after the check",
                &[
                    (0, (2, 1100, 5), RENAMED, 4),
                    (5, (2, 600, 6), NOTHING, 55),
                    (20, (2, 1200, 7), NOTHING, 70),
                ],
            ),
            (
                "renamed and written in turns",
                &[
                    (0, (2, 1100, 1), RENAMED, 4),
                    (4, (2, 0, 2), WRITTEN, 1004),
                    (8, (2, 600, 2), NOTHING, 58),
                    (20, (3, 600, 3), NOTHING, 70),
                    (24, (3, 600, 3), WRITTEN, 70),
                    (30, (4, 1100, 4), RENAMED, 34),
                    (35, (4, 1100, 4), NOTHING, READ),
                ],
            ),
            (
                "deleted and created again, in chunks",
                &[
                    (0, (2, 0, 5), NOTHING, 1000),
                    (30, (3, 0, 6), NOTHING, 1030),
                    (60, (3, 500, 7), NOTHING, 110),
                    (90, (3, 1000, 8), NOTHING, 140),
                    (140, (3, 1000, 8), NOTHING, READ),
                ],
            ),
            (
                "another inode without an event",
                &[(0, (2, 700, 5), NOTHING, 50), (50, (2, 700, 5), NOTHING, READ)],
            ),
            (
                "another inode, much smaller, without an event",
                &[(0, (2, 10, 5), NOTHING, 1000), (1000, (2, 10, 5), NOTHING, READ)],
            ),
            (
                "replaced by a rename of a small file, in the tick of the write",
                &[(0, (2, 10, 5), RENAMED, 50), (20, (2, 10, 5), WRITTEN, 1000)],
            ),
            ("rewritten in place", &[(0, (1, 1100, 5), NOTHING, 50), (50, (1, 1100, 5), NOTHING, READ)]),
            (
                "truncated and written in chunks",
                &[
                    (0, (1, 0, 5), NOTHING, 1000),
                    (20, (1, 400, 6), NOTHING, 1020),
                    (40, (1, 800, 7), NOTHING, 90),
                    (60, (1, 1200, 8), NOTHING, 110),
                    (110, (1, 1200, 8), NOTHING, READ),
                ],
            ),
            (
                "a stalled writer",
                &[
                    (0, (1, 499, 5), NOTHING, 1000),
                    (999, (1, 499, 5), NOTHING, 1000),
                    (1000, (1, 499, 5), NOTHING, READ),
                ],
            ),
            ("half is not less than half", &[(0, (1, 500, 5), NOTHING, 50)]),
            (
                "never quiet, constant size",
                &[
                    (0, (1, 900, 1), NOTHING, 50),
                    (40, (1, 900, 2), NOTHING, 90),
                    (960, (1, 900, 3), NOTHING, 1000),
                    (1000, (1, 900, 4), NOTHING, 1004),
                    (1005, (1, 900, 4), NOTHING, READ),
                ],
            ),
            (
                "never quiet, but growing",
                &[
                    (0, (1, 900, 1), NOTHING, 50),
                    (960, (1, 901, 3), NOTHING, 1010),
                    (1000, (1, 902, 4), NOTHING, 1050),
                ],
            ),
            (
                "never quiet, and truncated at the end",
                &[
                    (0, (1, 900, 1), NOTHING, 50),
                    (960, (1, 900, 3), NOTHING, 1000),
                    (1000, (1, 600, 4), NOTHING, 1050),
                ],
            ),
            (
                "replaced by other inodes without an event",
                &[(0, (2, 1100, 1), NOTHING, 50), (50, (3, 1200, 2 + LATER), NOTHING, READ)],
            ),
            (
                "replaced by other inodes again and again, in the tick of the write",
                &[
                    (0, (2, 1100, 1), NOTHING, 50),
                    (40, (3, 1200, 2), NOTHING, 90),
                    (990, (4, 1300, 3), NOTHING, 1000),
                    (1000, (4, 1300, 3), NOTHING, READ),
                ],
            ),
            ("older than before", &[(0, (1, 1000, -5), NOTHING, 50), (50, (1, 1000, -5), NOTHING, READ)]),
            ("changed and changed back", &[(0, (1, 900, 5), NOTHING, 50), (20, (1, 1000, 0), NOTHING, SAME)]),
        ];
        let timings = Timings::default();
        let mut wrong = Vec::new();
        for (what, steps) in table {
            let start = Instant::now();
            let after = |time: i64| start + Duration::from_millis(time as u64);
            let mut settling = settled(start);
            for &(time, (inode, size, written), event, expected) in *steps {
                let now = after(time as i64);
                let mut seen = print(inode, size, written % LATER);
                if written >= LATER {
                    seen.changed.0 += 1;
                }
                let verdict = settling.see(seen, event, now, &timings);
                let expected = match expected {
                    READ => Verdict::Read,
                    SAME => Verdict::Unchanged,
                    until => Verdict::Wait(after(until)),
                };
                if verdict != expected {
                    let shown = |verdict| match verdict {
                        Verdict::Wait(until) => format!("Wait({:?})", until - start),
                        other => format!("{other:?}"),
                    };
                    wrong.push(format!(
                        "{what}, at {time} ms: {} instead of {}",
                        shown(verdict),
                        shown(expected)
                    ));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn a_change_of_any_part_of_the_fingerprint_is_detected() {
        let read = print(1, 1000, 7);
        let others = [
            Fingerprint { inode: (2, 1), ..read },
            Fingerprint { inode: (1, 2), ..read },
            Fingerprint { size: 1001, ..read },
            Fingerprint { modified: (7, 1), ..read },
            Fingerprint { changed: (7, 1), ..read },
        ];
        for other in others {
            let settling = Settling { read: Some(read), ..Settling::default() };
            assert!(settling.is_as_read(&read) && !settling.is_as_read(&other), "{other:?}");
        }
    }

    #[test]
    fn a_torn_reading_is_repeated_only_after_a_quiet_period() {
        let (timings, start) = (Timings::default(), Instant::now());
        let mut settling = settled(start);
        let late = start + Duration::from_secs(5);
        settling.see(print(1, 1000, 1), NOTHING, start, &timings);
        assert_eq!(
            settling.see(print(1, 1000, 2), NOTHING, late, &timings),
            Verdict::Wait(late + super::RENAME_DELAY)
        );
        assert_eq!(settling.torn(late, &timings), late + timings.quiet);
        let verdict = settling.see(print(1, 1000, 3), NOTHING, late, &timings);
        assert_eq!(verdict, Verdict::Wait(late + timings.quiet));
    }

    #[test]
    fn a_file_read_without_a_quiet_period_is_read_once_more() {
        let (timings, start) = (Timings::default(), Instant::now());
        let mut settling = settled(start);
        let new = Fingerprint { changed: (2, 0), ..print(2, 1000, 1) };
        assert_eq!(settling.see(new, RENAMED, start, &timings), Verdict::Read);
        settling.read(new, true, start, &timings);
        let later = start + timings.quiet;
        assert_eq!(settling.see(new, NOTHING, start, &timings), Verdict::Wait(later));
        assert_eq!(settling.see(new, NOTHING, later, &timings), Verdict::Read);
        settling.read(new, true, later, &timings);
        assert_eq!(settling.see(new, NOTHING, later, &timings), Verdict::Unchanged);
    }
}
