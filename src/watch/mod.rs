//! Takes the place of `kubectl apply` after every save of a manifest: detects changed files, reads them, and passes on the
//! objects that changed. While a file is malformed, refused or missing, its last good objects stay in use. Must not depend
//! on the DNS.
//!
//! Correctness comes from a `stat` of every file each second. Notifications of the operating system (`hints`) only make it
//! faster: they are lost on network file systems, when a queue overflows and when a directory is replaced. `settling`
//! decides when a file is complete, `sources` processes its content, `conflicts` compares it with other files, and `apply`
//! applies the changes to a cluster.

mod absence;
mod apply;
mod conflicts;
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
use hints::{Hints, Signal};
pub use reading::Review;
pub use sources::Sources;

/// How changes are detected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// By notifications of the operating system, and by polling.
    #[default]
    Auto,
    /// By polling.
    Poll,
    /// Only on request, until the changes seen by then have been read.
    Off,
}

/// Intervals and delays.
#[derive(Clone, Copy, Debug)]
pub struct Timings {
    /// Interval at which every file is checked.
    pub poll: Duration,
    /// Time without a change after which a file that is written in place is read.
    pub quiet: Duration,
    /// Maximum time until a file that keeps changing is read, unless it is still growing.
    pub quiet_max: Duration,
    /// Time without a change after which a file that lost more than half of its size, other than by a rename, is read: its
    /// writer has most likely not finished.
    pub quiet_shrunk: Duration,
    /// Time after which a file that is missing from a directory counts as deleted: editors and git remove files for a
    /// moment.
    pub absence: Duration,
}

/// The time of a pass, and the configured delays.
#[derive(Clone, Copy)]
struct Moment<'a> {
    now: Instant,
    timings: &'a Timings,
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

/// Options of [`follow`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// How changes are detected.
    pub mode: Mode,
    /// Intervals and delays.
    pub timings: Timings,
}

/// What [`follow`] passes on with changed objects.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Names of the files that changed or were deleted.
    pub changed: Vec<Arc<str>>,
    /// The settings of the Topologies of all files.
    pub overrides: Overrides,
    /// File name and first line of each changed object, if there are few.
    pub places: HashMap<Key, (Arc<str>, u32)>,
}

/// Follows `sources` until `shutdown` resolves. Calls `on_change` with each change of the objects: the first call starts
/// from [`Sources::objects`] after [`Sources::read`], and from no objects after [`Sources::waiting`], once every source is
/// good. A changed object may be equal to its previous state.
///
/// [`Notify::notify_one`] of `force` makes it read every file again, settled or not; several during one pass count as one.
/// `on_change` is called on a thread that may block, one call at a time, and never after this has returned.
///
/// Never fails: errors are logged, the last good objects stay, and the next pass tries again.
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
    // The files may have changed since they were read.
    let mut due = (mode != Mode::Off || !follower.sources.is_ready()).then(Instant::now);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => return,
            () = force.notified() => {
                forced = true;
                due = earlier(due, pace.request(Instant::now(), Duration::ZERO, true));
                continue;
            }
            () = signal.notified() => {
                let delay = if signal.has_renames() { Duration::ZERO } else { HINT_DELAY };
                due = earlier(due, pace.request(Instant::now(), delay, signal.has_many_writes()));
                continue;
            }
            () = at(due.map(|due| pace.limit(due))) => {}
        }
        let started = Instant::now();
        let was_forced = std::mem::take(&mut forced);
        let pass = tokio::task::spawn_blocking(move || {
            // A panic must not end more than one pass.
            let pass = catch_unwind(AssertUnwindSafe(|| follower.pass(started, was_forced)));
            (follower, pass)
        });
        // Fails only when the runtime ends.
        let Ok((back, pass)) = pass.await else { return };
        follower = back;
        let pass = pass.unwrap_or_else(|_| {
            tracing::error!(
                "reading the manifests panicked, see above; the previous content is still served. This is a bug in clusterlocal: please report it"
            );
            Pass { read: true, again: None }
        });
        pace.record(started, pass.read);
        let now = Instant::now();
        due = (mode != Mode::Off).then(|| now + timings.poll);
        if let Some(again) = pass.again {
            due = earlier(due, again.max(started + PASS_INTERVAL));
        }
    }
}

/// The result of a pass.
#[derive(Clone, Copy, Debug)]
struct Pass {
    /// Whether any file was read.
    read: bool,
    /// Time of the next pass, if before the next poll.
    again: Option<Instant>,
}

/// The state of a pass. It is moved to a blocking thread, and back.
struct Follower<F> {
    sources: Sources,
    hints: Option<Hints>,
    timings: Timings,
    on_change: F,
    /// Changes that are not passed on yet: after a panic, those of the last pass.
    changes: Vec<Change>,
}

impl<F: FnMut(&[Change], &Report)> Follower<F> {
    /// Checks every source, reads changed files and passes on the changes.
    fn pass(&mut self, now: Instant, forced: bool) -> Pass {
        let events = self.hints.as_mut().map(Hints::take).unwrap_or_default();
        let mut result = self.sources.pass(Moment { now, timings: &self.timings }, forced, &events.names);
        let mut again = result.again;
        if let Some(hints) = &mut self.hints {
            let watched = || self.sources.directories();
            // Events before a directory was watched are lost: check it again.
            if hints.arm(&events, result.moved, watched) {
                again = earlier(again, now);
            }
        }
        let read = result.read;
        if let Some((report, changes)) = result.report.take() {
            self.changes.extend(changes);
            (self.on_change)(&self.changes, &report);
            self.changes = Vec::new();
        }
        self.sources.publish(result);
        Pass { read, again }
    }
}

/// Delay after a hint other than a rename: a file that is being written is not read at once anyway.
const HINT_DELAY: Duration = Duration::from_millis(10);
/// Minimum interval between two passes.
const PASS_INTERVAL: Duration = Duration::from_millis(5);
/// Minimum interval between two readings. If many files are written and readings would follow faster, there is a storm.
const STORM_LIMIT: Duration = Duration::from_millis(25);
/// Minimum interval between two readings during a storm.
const STORM_INTERVAL: Duration = Duration::from_millis(100);

/// Limits the rate of passes.
#[derive(Debug, Default)]
struct Pace {
    last_pass: Option<Instant>,
    read: Option<Instant>,
    /// Whether a pass was requested so soon after the last reading that it is a storm.
    storm: bool,
    /// Whether there was a storm at the last reading: a storm ends with a pause.
    was_storm: bool,
}

impl Pace {
    fn record(&mut self, started: Instant, read: bool) {
        self.last_pass = Some(started);
        if read {
            self.read = self.last_pass;
            self.was_storm = std::mem::take(&mut self.storm);
        }
    }

    /// Returns when to run a pass that is requested to follow `delay` after `now`; `many_writes` states whether many files are
    /// written.
    fn request(&mut self, now: Instant, delay: Duration, many_writes: bool) -> Instant {
        let at = self.last_pass.map_or(now + delay, |last| (now + delay).max(last + PASS_INTERVAL));
        self.storm |=
            (many_writes || self.was_storm) && self.read.is_some_and(|read| at < read + STORM_LIMIT);
        at
    }

    /// Returns when to run a pass that is due at `due`.
    fn limit(&self, due: Instant) -> Instant {
        match self.read {
            Some(read) if self.storm => due.max(read + STORM_INTERVAL),
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
    async fn a_save_is_checked_at_once_and_a_storm_ten_times_a_second() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        // Milliseconds since the last pass and reading, requested delay, granted delay while many files are written.
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
        for (last_pass, read, delay, granted) in table {
            let ago = |time: Option<u64>| time.map(|time| now - ms(time));
            let mut pace = Pace { last_pass: ago(last_pass), read: ago(read), ..Pace::default() };
            let due = pace.request(now, ms(delay), true);
            assert_eq!(pace.limit(due) - now, ms(granted), "{last_pass:?} {read:?} {delay}");
        }
        // Single saves, each after the previous one is visible.
        for (last_pass, granted) in [(2, 3), (5, 0), (10, 0)] {
            let at = Some(now - ms(last_pass));
            let mut pace = Pace { last_pass: at, read: at, ..Pace::default() };
            let due = pace.request(now, Duration::ZERO, false);
            assert_eq!(pace.limit(due) - now, ms(granted), "{last_pass}");
        }
    }

    #[test]
    fn a_deleted_directory_is_reported_once_and_causes_no_busy_loop() {
        let dir = tempfile::tempdir().unwrap();
        let zones = dir.path().join("zones");
        std::fs::create_dir(&zones).unwrap();
        let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n";
        std::fs::write(zones.join("a.yaml"), text).unwrap();
        let (mut sources, problems) = Sources::read(std::slice::from_ref(&zones));
        assert_eq!(problems, []);
        // A file just written would be read once more.
        std::fs::remove_dir_all(&zones).unwrap();
        let timings = Timings::default();
        let (gone, reported) = (Instant::now(), Instant::now() + timings.quiet_max);
        let mut pass = |now| sources.pass(Moment { now, timings: &timings }, false, &Names::default()).again;
        assert_eq!(pass(gone), Some(gone + timings.quiet_max), "reported once it is due");
        assert_eq!(pass(reported), None);
    }

    #[test]
    fn a_storm_is_read_at_most_ten_times_a_second() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let (mut readings, mut due) = (0, None);
        for time in 0..10_000 {
            let now = start + Duration::from_millis(time);
            due = earlier(due, pace.request(now, Duration::ZERO, true));
            if due.is_some_and(|due| pace.limit(due) <= now) {
                pace.record(now, true);
                // A later pass is due earlier than the storm permits.
                (readings, due) = (readings + 1, Some(now + Duration::from_millis(50)));
            }
        }
        assert!((95..=101).contains(&readings), "{readings}");
    }
}
