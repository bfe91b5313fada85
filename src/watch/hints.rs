//! Notifications of the operating system about changed files. They show that something happened, hardly ever what: all
//! events other than those of reading are the same hint, except that a file that was renamed to a name is complete. Must
//! not depend on which files matter.
//!
//! Only directories are watched: a watched file that is replaced by a rename stays watched under its old inode.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{ErrorKind, Event, EventHandler, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::settling::LastEvent;

/// Watches directories, and renews watches that are lost.
pub(super) struct Hints {
    signal: Arc<Signal>,
    start: Start,
    watcher: Option<RecommendedWatcher>,
    /// The watched directories, with their identity at that time.
    armed: BTreeMap<PathBuf, Identity>,
    /// Whether some directory could not be watched, mostly because it does not exist.
    incomplete: bool,
    /// Whether the operating system has no watches left, so that only polling remains.
    exhausted: bool,
}

type Start = fn(Listener) -> notify::Result<RecommendedWatcher>;

/// Identity of a directory: its device and inode.
type Identity = (u64, u64);

impl Hints {
    /// Returns hints that are signalled through `signal`.
    pub(super) fn new(signal: Arc<Signal>) -> Self {
        Self::started_by(signal, notify::recommended_watcher)
    }

    fn started_by(signal: Arc<Signal>, start: Start) -> Self {
        let armed = BTreeMap::new();
        Hints { signal, start, watcher: None, armed, incomplete: true, exhausted: false }
    }

    /// Returns the events since the last call.
    pub(super) fn take(&mut self) -> Events {
        std::mem::take(&mut *self.signal.lock())
    }

    /// Watches exactly `directories`, if `events` or `moved` mean that they may have changed. Returns
    /// whether any was not watched before.
    pub(super) fn arm(
        &mut self,
        events: &Events,
        moved: bool,
        directories: impl FnOnce() -> BTreeSet<PathBuf>,
    ) -> bool {
        if self.exhausted || !(self.incomplete || moved || events.directories || events.lost || events.ended)
        {
            return false;
        }
        if events.ended
            && let Some(watcher) = self.watcher.take()
        {
            tracing::warn!("notifications of changed files ended; subscribing again");
            self.armed.clear();
            // Dropping it would stop its thread, and panic because that has ended.
            std::mem::forget(watcher);
        }
        let directories = directories();
        match self.rearm(events.lost, &directories) {
            Ok(added) => added,
            Err(error) => {
                tracing::warn!("no notifications of changed files ({error}): polling each second instead");
                self.exhausted = true;
                self.watcher = None;
                self.armed.clear();
                false
            }
        }
    }

    fn rearm(&mut self, lost: bool, directories: &BTreeSet<PathBuf>) -> notify::Result<bool> {
        let watcher = match &mut self.watcher {
            Some(watcher) => watcher,
            None => self.watcher.insert((self.start)(Listener(self.signal.clone()))?),
        };
        self.armed.retain(|path, armed| {
            let stays = !lost && directories.contains(path) && identity(path) == Some(*armed);
            if !stays {
                // Fails if the directory is deleted, and its watch with it.
                let _ = watcher.unwatch(path);
            }
            stays
        });
        let mut added = false;
        self.incomplete = false;
        for path in directories {
            if self.armed.contains_key(path) {
                continue;
            }
            let Some(identity) = identity(path) else {
                self.incomplete = true;
                continue;
            };
            match watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.armed.insert(path.clone(), identity);
                    added = true;
                }
                Err(error) if is_exhaustion(&error) => return Err(error),
                Err(error) => {
                    tracing::debug!("cannot watch {:?}: {error}", path.display().to_string());
                    self.incomplete = true;
                }
            }
        }
        Ok(added)
    }
}

/// Whether the error means that no directory at all can be watched, rather than only this one.
fn is_exhaustion(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::MaxFilesWatch => true,
        ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::StorageFull,
        _ => false,
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().filter(|meta| meta.is_dir()).map(|meta| (meta.dev(), meta.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Option<Identity> {
    std::fs::metadata(path).ok().filter(|meta| meta.is_dir()).map(|_| (0, 0))
}

/// The events that are not taken yet, and the waiting task.
#[derive(Default)]
pub(super) struct Signal {
    events: Mutex<Events>,
    notify: Notify,
}

/// Events of the operating system.
#[derive(Debug, Default)]
pub(super) struct Events {
    pub(super) names: Names,
    /// Number of finished writes and renames.
    ended_writings: usize,
    /// Whether a directory may have been created, which is to be watched.
    directories: bool,
    /// Whether events or watches may have been lost.
    lost: bool,
    /// Whether the thread of the watcher has ended.
    ended: bool,
}

/// Events by name.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Names that something was renamed to and that were not written to since.
    pub(super) renamed: HashSet<PathBuf>,
    /// Names that were written to and that nothing was renamed to since.
    written: HashSet<PathBuf>,
}

impl Names {
    /// Records that something was renamed to `path`.
    fn rename(&mut self, path: PathBuf) {
        self.written.remove(&path);
        if self.renamed.len() < MAX_NAMES {
            self.renamed.insert(path);
        }
    }

    /// Records that `path` was written to.
    fn write(&mut self, path: &Path) {
        self.renamed.remove(path);
        if self.written.len() < MAX_NAMES {
            self.written.insert(path.to_path_buf());
        } else {
            // The list of written names is incomplete from here on.
            self.renamed.clear()
        }
    }

    /// Records that nothing is at `path` any more.
    fn leave(&mut self, path: &Path) {
        self.renamed.remove(path);
        self.written.remove(path);
    }

    /// Whether there are no events.
    pub(super) fn is_empty(&self) -> bool {
        self.renamed.is_empty() && self.written.is_empty()
    }

    /// Whether there are writes to names that still exist.
    pub(super) fn has_written(&self) -> bool {
        !self.written.is_empty()
    }

    /// Returns the last event of a file. `way` lists the names of links on its path, and at last the file's own.
    pub(super) fn last_event(&self, way: &[PathBuf]) -> LastEvent {
        match way.last() {
            Some(file) if self.written.contains(file) => LastEvent::Written,
            _ if way.iter().any(|hop| self.renamed.contains(hop)) => LastEvent::Renamed,
            _ => LastEvent::None,
        }
    }
}

/// Maximum number of names that are kept. Further files wait until they are quiet, as if written in place.
const MAX_NAMES: usize = 1_000;

/// Number of close and rename events of two saved files.
const INTERACTIVE_EVENTS: usize = 4;

impl Signal {
    /// Waits for an event.
    pub(super) async fn notified(&self) {
        self.notify.notified().await;
    }

    /// Whether something was renamed to a name.
    pub(super) fn has_renames(&self) -> bool {
        !self.lock().names.renamed.is_empty()
    }

    /// Whether more writes finished since the last [`Hints::take`] than an interactive edit makes.
    pub(super) fn has_many_writes(&self) -> bool {
        self.lock().ended_writings > INTERACTIVE_EVENTS
    }

    fn lock(&self) -> MutexGuard<'_, Events> {
        // A thread that panicked with the lock left the sets valid.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The receiver of the operating system's events. It must not block.
struct Listener(Arc<Signal>);

impl EventHandler for Listener {
    fn handle_event(&mut self, event: notify::Result<Event>) {
        if self.0.lock().record(event) {
            self.0.notify.notify_one();
        }
    }
}

/// Dropped when the thread of the watcher ends, for whatever reason.
impl Drop for Listener {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.notify.notify_one();
    }
}

impl Events {
    /// Records an event. Returns whether it is a hint.
    fn record(&mut self, event: notify::Result<Event>) -> bool {
        let Ok(mut event) = event else {
            self.lost = true;
            return true;
        };
        self.lost |= event.need_rescan();
        match event.kind {
            // Reading manifests causes these events. The end of a write is a hint.
            EventKind::Access(access) => {
                let ended = access == AccessKind::Close(AccessMode::Write);
                self.ended_writings += usize::from(ended);
                return ended;
            }
            EventKind::Modify(ModifyKind::Name(mode @ (RenameMode::To | RenameMode::Both))) => {
                // One rename raises both.
                self.ended_writings += usize::from(mode == RenameMode::To);
                event.paths.pop().into_iter().for_each(|path| self.names.rename(path));
            }
            EventKind::Create(_) | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => {
                self.directories |=
                    matches!(event.kind, EventKind::Create(CreateKind::Folder | CreateKind::Any));
                event.paths.iter().for_each(|path| self.names.write(path));
            }
            // A file that was written under a temporary name is complete when that name is gone.
            EventKind::Modify(ModifyKind::Name(RenameMode::From)) | EventKind::Remove(RemoveKind::File) => {
                event.paths.iter().for_each(|path| self.names.leave(path));
            }
            // A watch ends with its directory.
            EventKind::Remove(RemoveKind::Folder | RemoveKind::Any | RemoveKind::Other) => self.lost = true,
            _ => {}
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use notify::event::{DataChange, Flag, MetadataKind, RemoveKind};

    use super::*;

    #[test]
    fn reads_are_not_hints_and_only_a_rename_marks_a_name_as_complete() {
        let name = |mode| EventKind::Modify(ModifyKind::Name(mode));
        let data = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        // An event of "a" (of "b" and "a", if there are two paths) after "a" was renamed to; whether it is a hint, whether
        // "a" is still marked as renamed, and whether events may have been lost.
        let table = [
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), 1, (false, true, false)),
            (EventKind::Access(AccessKind::Close(AccessMode::Read)), 1, (false, true, false)),
            (EventKind::Access(AccessKind::Close(AccessMode::Write)), 1, (true, true, false)),
            (name(RenameMode::To), 1, (true, true, false)),
            (name(RenameMode::Both), 2, (true, true, false)),
            (EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)), 1, (true, true, false)),
            (data, 1, (true, false, false)),
            (EventKind::Create(CreateKind::File), 1, (true, false, false)),
            (EventKind::Remove(RemoveKind::File), 1, (true, false, false)),
            (EventKind::Remove(RemoveKind::Folder), 1, (true, true, true)),
        ];
        for (kind, paths, expected) in table {
            let mut events = Events::default();
            events.names.rename("a".into());
            let mut event = Event::new(kind);
            event.paths = ["b", "a"][2 - paths..].iter().map(PathBuf::from).collect();
            let hint = events.record(Ok(event));
            let event = events.names.last_event(&["a".into()]);
            assert_eq!((hint, event == LastEvent::Renamed, events.lost), expected, "{kind:?}");
            assert_ne!(events.names.last_event(&["b".into()]), LastEvent::Renamed, "{kind:?}");
        }
    }

    #[test]
    fn lost_events_are_a_hint() {
        let overflow = Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan));
        for event in [overflow, Err(notify::Error::generic("poll failed"))] {
            let mut events = Events::default();
            assert!(events.record(event));
            assert!(events.lost);
        }
    }

    #[test]
    fn the_number_of_names_is_bounded() {
        let mut events = Events::default();
        for name in 0..MAX_NAMES + 10 {
            let kind = EventKind::Modify(ModifyKind::Name(RenameMode::To));
            assert!(events.record(Ok(Event::new(kind).add_path(name.to_string().into()))));
        }
        assert_eq!(events.names.renamed.len(), MAX_NAMES);
        // Written names are bounded as well; beyond the bound no name counts as renamed.
        for name in 0..=MAX_NAMES {
            let kind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
            assert!(events.record(Ok(Event::new(kind).add_path(format!("w{name}").into()))));
        }
        assert_eq!((events.names.written.len(), events.names.renamed.len()), (MAX_NAMES, 0));
    }

    #[test]
    fn without_watches_it_does_not_try_again() {
        for kind in [ErrorKind::MaxFilesWatch, ErrorKind::Io(std::io::Error::from_raw_os_error(24))] {
            let start: Start = match kind {
                ErrorKind::MaxFilesWatch => |_| Err(notify::Error::new(ErrorKind::MaxFilesWatch)),
                _ => |_| Err(notify::Error::io(std::io::Error::from_raw_os_error(24))),
            };
            let mut hints = Hints::started_by(Arc::default(), start);
            assert!(!hints.arm(&Events::default(), true, BTreeSet::new));
            assert!(!hints.arm(&Events::default(), true, || panic!("tried again")));
        }
    }

    #[tokio::test]
    async fn a_watcher_whose_thread_ended_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let signal = Arc::new(Signal::default());
        let mut hints = Hints::new(signal.clone());
        let directories = || [root.clone()].into();
        assert!(hints.arm(&Events::default(), false, directories), "watched at first");
        assert!(!hints.arm(&Events::default(), true, directories), "watched already");
        assert!(hints.arm(&Events { lost: true, ..Events::default() }, false, directories), "renewed");

        let watcher = hints.watcher.take();
        drop(watcher);
        let deadline = Duration::from_secs(5);
        tokio::time::timeout(deadline, signal.notified()).await.expect("a hint of the end");
        // In place of the ended watcher, which cannot be dropped.
        hints.watcher = Some((hints.start)(Listener(Arc::default())).unwrap());
        let events = hints.take();
        assert!(events.ended);
        assert!(hints.arm(&events, false, directories), "watched again");

        std::fs::write(root.join("a.yaml"), "").unwrap();
        tokio::time::timeout(deadline, signal.notified()).await.expect("an event of the new watcher");
    }

    #[test]
    fn a_directory_that_was_replaced_is_watched_again() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let zones = root.join("zones");
        let mut hints = Hints::new(Arc::default());
        let directories = || [zones.clone()].into();
        assert!(!hints.arm(&Events::default(), false, directories), "it does not exist yet");
        std::fs::create_dir(&zones).unwrap();
        assert!(hints.arm(&Events::default(), false, directories), "it was created");
        std::fs::rename(&zones, root.join("old")).unwrap();
        std::fs::create_dir(&zones).unwrap();
        assert!(hints.arm(&Events::default(), true, directories), "another inode");
        assert!(!hints.arm(&Events::default(), true, directories), "the same inode");
    }
}
