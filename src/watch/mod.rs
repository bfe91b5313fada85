//! Takes the place of `kubectl apply` after every save: learns that something on disk may have changed, reads what did, and hands over
//! the objects that changed. What cannot be read, is refused or is gone leaves the last good objects in place. Must not depend on
//! the DNS.
//!
//! A `stat` of every file each second is the truth; notifications of the operating system (`hints`) only make it
//! quick, because they are lost on network file systems, when a queue overflows and when a directory is replaced.
//! `settling` decides when a file is whole enough to be read, `sources` what is made of it, `between` what
//! files may not say together. `apply` applies the changes to a cluster.

mod absence;
mod apply;
mod between;
mod file;
mod fingerprint;
mod hints;
mod holders;
mod links;
mod reading;
mod rendering;
mod settling;
mod sources;
mod survey;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::manifest::Overrides;
use crate::store::{Change, Key};
pub use apply::{Applier, Judge};
use file::At;
use hints::{Hints, Signal};
pub use reading::Review;
pub use sources::Sources;

/// How changes are noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// By notifications of the operating system, and by looking each second.
    #[default]
    Auto,
    /// By looking each second.
    Poll,
    /// Only by force, until what is seen then has been read.
    Off,
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Timings {
    /// How often every file is looked at.
    pub poll: Duration,
    /// A file that is written in place is read once it has not changed for so long.
    pub quiet: Duration,
    /// A file that never is quiet is read after so long all the same, unless it is still growing.
    pub quiet_max: Duration,
    /// A file that lost more than half of its size, other than by a rename, is read once it has not changed for so long: its
    /// writer has most likely not come to its end.
    pub quiet_shrunk: Duration,
    /// How long a file may be missing from a directory before its objects go: editors and git take files away for a
    /// moment.
    pub absence: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Timings {
            poll: Duration::from_secs(1),
            quiet: Duration::from_millis(50),
            quiet_max: Duration::from_secs(1),
            quiet_shrunk: Duration::from_secs(1),
            absence: Duration::from_secs(5),
        }
    }
}

/// How to follow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How changes are noticed.
    pub mode: Mode,
    /// How long to wait for what.
    pub timings: Timings,
}

/// What comes with changed objects.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The names of the files that changed, or whose objects went.
    pub changed: Vec<Arc<str>>,
    /// What the Topologies of all files say about the cluster now.
    pub overrides: Overrides,
    /// Where the objects are that changed, where few did: the file's name, and the line that the object begins at.
    pub places: HashMap<Key, (Arc<str>, u32)>,
}

/// Follows `sources` until `shutdown` is ready, and calls `on_change` each time the objects change with what leads from
/// those before to those now: from [`Sources::objects`] after [`Sources::read`], from nothing after
/// [`Sources::waiting`], as soon as every source is good. An object that is changed may be what it was.
///
/// [`Notify::notify_one`] of `force` makes it read every file again, whether it settled or not; many within one reading
/// count as one. `on_change` is called
/// on a thread that may block, one call at a time, and never after this returned.
///
/// Never fails: what goes wrong is logged, the last good objects stay, and it is tried again.
pub async fn follow<F>(
    sources: Sources,
    options: Options,
    force: Arc<Notify>,
    shutdown: impl Future<Output = ()>,
    on_change: F,
) where
    F: FnMut(&[Change], &Report) + Send + 'static,
{
    let Options { mode, timings } = options;
    let signal = Arc::new(Signal::default());
    let hints = (mode == Mode::Auto).then(|| Hints::new(signal.clone()));
    let mut follower = Follower { sources, hints, timings, on_change, changes: Vec::new() };
    let mut pace = Pace::default();
    let mut shutdown = pin!(shutdown);
    let mut forced = false;
    // The files may have changed since they were read first.
    let mut due = (mode != Mode::Off || !follower.sources.is_ready()).then(Instant::now);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => return,
            () = force.notified() => {
                forced = true;
                due = earlier(due, pace.asked(Instant::now(), Duration::ZERO, true));
                continue;
            }
            () = signal.heard() => {
                let wish = if signal.has_arrivals() { Duration::ZERO } else { GATHER };
                due = earlier(due, pace.asked(Instant::now(), wish, signal.is_much()));
                continue;
            }
            () = at(due.map(|due| pace.hold(due))) => {}
        }
        let looked = Instant::now();
        let was_forced = std::mem::take(&mut forced);
        let pass = tokio::task::spawn_blocking(move || {
            // Whatever goes wrong with one pass must not end all of them.
            let pass = catch_unwind(AssertUnwindSafe(|| follower.pass(looked, was_forced)));
            (follower, pass)
        });
        // It fails only when the runtime ends.
        let Ok((back, pass)) = pass.await else { return };
        follower = back;
        let pass = pass.unwrap_or_else(|_| {
            tracing::error!(
                "reading manifests failed (a bug of ours, see above); serving what was read before"
            );
            Pass { read: true, again: None }
        });
        pace.passed(looked, pass.read);
        let now = Instant::now();
        due = (mode != Mode::Off).then(|| now + timings.poll);
        if let Some(again) = pass.again {
            due = earlier(due, again.max(looked + LOOKS_APART));
        }
    }
}

/// What a pass came to.
#[derive(Clone, Copy, Debug)]
struct Pass {
    /// Whether any file was read.
    read: bool,
    /// When to look again, if that is before the next poll.
    again: Option<Instant>,
}

/// Everything that a pass works on; it moves to a thread that may block, and back.
struct Follower<F> {
    sources: Sources,
    hints: Option<Hints>,
    timings: Timings,
    on_change: F,
    /// What is not handed over yet; whatever a panic kept from that is, the next time.
    changes: Vec<Change>,
}

impl<F: FnMut(&[Change], &Report)> Follower<F> {
    /// Looks at every source, reads what changed and hands over what comes of it.
    fn pass(&mut self, now: Instant, forced: bool) -> Pass {
        let heard = self.hints.as_mut().map(Hints::take).unwrap_or_default();
        let mut looked = self.sources.look(At { now, timings: &self.timings }, forced, &heard.names);
        let mut again = looked.again;
        if let Some(hints) = &mut self.hints {
            let watched = || self.sources.directories();
            // What happened in a directory before it was watched is not notified.
            if hints.arm(&heard, looked.moved, watched) {
                again = earlier(again, now);
            }
        }
        let read = looked.read;
        if let Some((report, changes)) = looked.report.take() {
            self.changes.extend(changes);
            (self.on_change)(&self.changes, &report);
            self.changes = Vec::new();
        }
        self.sources.publish(looked);
        Pass { read, again }
    }
}

/// After a hint that is no rename, more are waited for: a file that is being written is not read at once anyway.
const GATHER: Duration = Duration::from_millis(10);
/// Minimum interval of two looks.
const LOOKS_APART: Duration = Duration::from_millis(5);
/// Readings that would be closer than this because much is written are a storm, in which they are `STORM_APART` from each
/// other.
const STORM: Duration = Duration::from_millis(25);
const STORM_APART: Duration = Duration::from_millis(100);

/// How fast one look may follow another.
#[derive(Debug, Default)]
struct Pace {
    looked: Option<Instant>,
    read: Option<Instant>,
    /// Whether a look was asked for so soon after the last reading that it is a storm.
    storm: bool,
    /// Whether it was one at that reading: it is over when there is a pause.
    was_storm: bool,
}

impl Pace {
    fn passed(&mut self, looked: Instant, read: bool) {
        self.looked = Some(looked);
        if read {
            self.read = self.looked;
            self.was_storm = std::mem::take(&mut self.storm);
        }
    }

    /// When to look, if it is to be in `wish` from `now`, because `much` is written or not.
    fn asked(&mut self, now: Instant, wish: Duration, much: bool) -> Instant {
        let at = self.looked.map_or(now + wish, |looked| (now + wish).max(looked + LOOKS_APART));
        self.storm |= (much || self.was_storm) && self.read.is_some_and(|read| at < read + STORM);
        at
    }

    /// When to look, if it is due then.
    fn hold(&self, due: Instant) -> Instant {
        match self.read {
            Some(read) if self.storm => due.max(read + STORM_APART),
            _ => due,
        }
    }
}

fn earlier(due: Option<Instant>, at: Instant) -> Option<Instant> {
    Some(due.map_or(at, |due| due.min(at)))
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::hints::Names;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_save_is_looked_at_at_once_and_a_storm_ten_times_a_second() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        // Looked and read so long ago; what is wished for; when it is granted, if much is written.
        let table = [
            (None, None, 0, 0),
            (None, None, 10, 10),
            (Some(1_000), Some(1_000), 0, 0),
            (Some(2), None, 0, 3),
            (Some(2), None, 10, 10),
            (Some(2), Some(50), 0, 3),
            (Some(10), Some(10), 0, 90),
            (Some(10), Some(10), 20, 20),
            (Some(10), Some(10), 14, 90),
            (Some(26), Some(26), 0, 0),
        ];
        tokio::time::advance(Duration::from_secs(10)).await;
        let now = Instant::now();
        assert_eq!(now - start, Duration::from_secs(10));
        for (looked, read, wish, granted) in table {
            let ago = |time: Option<u64>| time.map(|time| now - ms(time));
            let mut pace = Pace { looked: ago(looked), read: ago(read), ..Pace::default() };
            let due = pace.asked(now, ms(wish), true);
            assert_eq!(pace.hold(due) - now, ms(granted), "{looked:?} {read:?} {wish}");
        }
        // One save after the other, each when the one before shows.
        for (looked, granted) in [(2, 3), (5, 0), (10, 0)] {
            let at = Some(now - ms(looked));
            let mut pace = Pace { looked: at, read: at, ..Pace::default() };
            let due = pace.asked(now, Duration::ZERO, false);
            assert_eq!(pace.hold(due) - now, ms(granted), "{looked}");
        }
    }

    #[test]
    fn what_is_gone_is_not_looked_for_in_a_circle() {
        let dir = tempfile::tempdir().unwrap();
        let zones = dir.path().join("zones");
        std::fs::create_dir(&zones).unwrap();
        let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n";
        std::fs::write(zones.join("a.yaml"), text).unwrap();
        let (mut sources, problems) = Sources::read(std::slice::from_ref(&zones));
        assert_eq!(problems, []);
        // Just written, it would be read once more.
        std::fs::remove_dir_all(&zones).unwrap();
        let timings = Timings::default();
        let (gone, told) = (Instant::now(), Instant::now() + timings.quiet_max);
        let mut look = |now| sources.look(At { now, timings: &timings }, false, &Names::default()).again;
        assert_eq!(look(gone), Some(gone + timings.quiet_max), "it is told of");
        assert_eq!(look(told), None);
    }

    #[test]
    fn a_storm_is_read_at_most_ten_times_a_second() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let (mut readings, mut due) = (0, None);
        for time in 0..10_000 {
            let now = start + Duration::from_millis(time);
            due = earlier(due, pace.asked(now, Duration::ZERO, true));
            if due.is_some_and(|due| pace.hold(due) <= now) {
                pace.passed(now, true);
                // Something of the reading is due before the storm lets it.
                (readings, due) = (readings + 1, Some(now + Duration::from_millis(50)));
            }
        }
        assert!((95..=101).contains(&readings), "{readings}");
    }
}
