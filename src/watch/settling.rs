//! Decides from the fingerprints of a file over time whether it is complete, so that it is read now or later. Must not depend on
//! the contents of files.

use std::time::Duration;

use tokio::time::Instant;

use super::Timings;
use super::fingerprint::Fingerprint;

/// What the operating system said of a file since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Nothing,
    /// It was renamed to its place, and not written to since.
    Renamed,
    /// It was written to.
    Written,
}

/// Minimum time for which a file that was renamed to its place stays as it is before it is believed to be whole, where its
/// times do not show that it was not written to since: a write after the rename is reported within a fraction of that. Looks are
/// 5 ms apart.
const RENAMED: Duration = Duration::from_millis(4);

/// What is to be done about a file now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is what it was.
    Unchanged,
    /// It changed, but may not be whole before then.
    Wait(Instant),
    Read,
}

/// How far a file has come on the way from changed to read.
#[derive(Debug, Default)]
pub(super) struct Settling {
    /// What was read last, and accepted or refused.
    read: Option<Fingerprint>,
    /// The size of what was accepted last.
    good: Option<u64>,
    pending: Option<Pending>,
    /// When to read it again although nothing is seen to have changed. Times have the resolution of the kernel's tick,
    /// some milliseconds: what is written in the tick of the reading leaves no trace.
    confirm: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    seen: Fingerprint,
    /// Since when it has been so.
    since: Instant,
    /// Since when it has been different from what was read, without its length changing in place.
    first: Instant,
    /// Whether it was renamed to its place, and not written to since, as far as is known.
    renamed: bool,
}

impl Settling {
    /// The file as it is `now`, of which this was `said`.
    pub(super) fn see(&mut self, seen: Fingerprint, said: Said, now: Instant, timings: &Timings) -> Verdict {
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
            // Of another length in place: its writer has not come to the end, however long it takes.
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
        let renamed = match said {
            Said::Nothing => pending.renamed,
            Said::Renamed => true,
            Said::Written => false,
        };
        let replaced_again = self.pending.is_some_and(|before| before.seen.inode != seen.inode);
        let pending = Pending { renamed, ..pending };
        self.pending = Some(pending);
        // A file that was whole when it came to its place, and was not written to there. Who replaces a file again and again does
        // it with such: waiting for quiet would take as long as that goes on.
        if (renamed || replaced_again) && seen.is_written_before() {
            return Verdict::Read;
        }
        // Of another inode too: a file that was created, or written to right after a rename, is as short while it is written.
        let shrunk = self.good.is_some_and(|good| seen.size < good.div_ceil(2));
        let due = if renamed && !shrunk {
            pending.since + RENAMED
        } else if renamed {
            pending.since + timings.quiet
        } else if shrunk {
            pending.since + timings.quiet_shrunk
        } else {
            let longest = (pending.first + timings.quiet_max).max(pending.since + RENAMED);
            (pending.since + timings.quiet).min(longest)
        };
        if due <= now { Verdict::Read } else { Verdict::Wait(due) }
    }

    /// What was `seen` has been read `now`; `good` says that it was accepted.
    pub(super) fn read(&mut self, seen: Fingerprint, good: bool, now: Instant, timings: &Timings) {
        // Who waited for quiet has seen that the last write was long ago, and so has who confirms.
        let quiet = self.pending.is_some_and(|pending| pending.since + timings.quiet <= now);
        let confirmed = self.confirm.is_some_and(|due| due <= now) && self.read == Some(seen);
        self.confirm = (!quiet && !confirmed).then(|| now + timings.quiet);
        self.read = Some(seen);
        self.pending = None;
        if good {
            self.good = Some(seen.size);
        }
    }

    /// What was `seen` has been read `now`, before it was followed, and accepted.
    pub(super) fn read_first(&mut self, seen: Fingerprint, now: Instant, timings: &Timings) {
        self.read(seen, true, now, timings);
        // At the start files are many, and mostly old.
        if seen.age().is_some_and(|age| age > timings.quiet_max) {
            self.confirm = None;
        }
    }

    /// It changed while it was read. Returns when to try again.
    pub(super) fn torn(&mut self, now: Instant, timings: &Timings) -> Instant {
        if let Some(pending) = &mut self.pending {
            (pending.since, pending.first) = (now, now);
        }
        now + timings.quiet
    }

    /// It is to be read again, whatever it looks like.
    pub(super) fn forget(&mut self) {
        self.read = None;
        self.pending = None;
    }

    /// When it is to be read once more, although it may be as it was.
    pub(super) fn confirm_at(&self) -> Option<Instant> {
        self.confirm
    }

    /// Whether it was read as `seen`, and is not to be confirmed `now`.
    pub(super) fn is_read(&self, seen: &Fingerprint, now: Instant) -> bool {
        self.read == Some(*seen) && self.confirm.is_none_or(|due| due > now)
    }

    /// Whether it is as it was when it was read.
    pub(super) fn is_as_read(&self, seen: &Fingerprint) -> bool {
        self.read == Some(*seen)
    }

    /// Whether `seen` is another file than the one that was read.
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
        settling.see(print(1, 1000, 0), Said::Nothing, now, &timings);
        settling.read(print(1, 1000, 0), true, now, &timings);
        settling
    }

    const READ: i64 = 0;
    const SAME: i64 = -1;
    const NOTHING: Said = Said::Nothing;
    const RENAMED: Said = Said::Renamed;
    const WRITTEN: Said = Said::Written;

    /// A file of 1,000 bytes, inode 1, written at 0, was read in quiet. Then, at which millisecond, it is seen to be what (inode,
    /// length, written when, or changed later if that is told apart), and what was said of it; what is to be done: `READ`, `SAME`,
    /// or wait until when.
    type Steps<'a> = &'a [(u64, (u64, u64, i64), Said, i64)];

    /// The time of a file that was renamed after it was written, in another tick.
    const LATER: i64 = 1 << 32;

    #[test]
    fn a_file_is_read_when_it_is_whole() {
        let table: &[(&str, Steps<'_>)] = &[
            ("nothing happens", &[(0, (1, 1000, 0), NOTHING, SAME), (1000, (1, 1000, 0), NOTHING, SAME)]),
            ("renamed over", &[(0, (2, 1100, 5 + LATER), RENAMED, READ)]),
            ("renamed over by something small", &[(0, (2, 10, 5 + LATER), RENAMED, READ)]),
            (
                "renamed over in the tick of the write",
                &[
                    (0, (2, 1100, 5), RENAMED, 4),
                    (3, (2, 1100, 5), NOTHING, 4),
                    (5, (2, 1100, 5), NOTHING, READ),
                ],
            ),
            (
                "renamed over, and written in place before that is said",
                &[
                    (0, (2, 600, 5), RENAMED, 4),
                    (2, (2, 600, 5), WRITTEN, 50),
                    (40, (2, 1100, 6), NOTHING, 90),
                    (90, (2, 1100, 6), NOTHING, READ),
                ],
            ),
            (
                "renamed over, and written in place after it was seen",
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
                "another file, nobody said how",
                &[(0, (2, 700, 5), NOTHING, 50), (50, (2, 700, 5), NOTHING, READ)],
            ),
            (
                "another file, much smaller, nobody said how",
                &[(0, (2, 10, 5), NOTHING, 1000), (1000, (2, 10, 5), NOTHING, READ)],
            ),
            (
                "renamed over by something small, in the tick of the write",
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
                "never quiet, of one length",
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
                "never quiet, and truncated when that has lasted",
                &[
                    (0, (1, 900, 1), NOTHING, 50),
                    (960, (1, 900, 3), NOTHING, 1000),
                    (1000, (1, 600, 4), NOTHING, 1050),
                ],
            ),
            (
                "replaced by other files, nobody said how",
                &[(0, (2, 1100, 1), NOTHING, 50), (50, (3, 1200, 2 + LATER), NOTHING, READ)],
            ),
            (
                "replaced by other files again and again, in the tick of the write",
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
            for &(time, (inode, size, written), said, expected) in *steps {
                let now = after(time as i64);
                let mut seen = print(inode, size, written % LATER);
                if written >= LATER {
                    seen.changed.0 += 1;
                }
                let verdict = settling.see(seen, said, now, &timings);
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
    fn every_part_of_the_fingerprint_counts() {
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
    fn a_torn_reading_is_tried_again_later_and_not_in_a_circle() {
        let (timings, start) = (Timings::default(), Instant::now());
        let mut settling = settled(start);
        let late = start + Duration::from_secs(5);
        settling.see(print(1, 1000, 1), NOTHING, start, &timings);
        assert_eq!(
            settling.see(print(1, 1000, 2), NOTHING, late, &timings),
            Verdict::Wait(late + super::RENAMED)
        );
        assert_eq!(settling.torn(late, &timings), late + timings.quiet);
        let verdict = settling.see(print(1, 1000, 3), NOTHING, late, &timings);
        assert_eq!(verdict, Verdict::Wait(late + timings.quiet));
    }

    #[test]
    fn what_was_read_without_quiet_is_read_once_more() {
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
