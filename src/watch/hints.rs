//! Notifications of the operating system about changed files. They show
//! that something happened, hardly ever what: all kinds of events but those of reading are the same hint, except for
//! a rename to a name, after which there is nothing to wait for. It must not know which files matter.
//!
//! Directories are watched, never files: a watched file that is renamed over is watched for ever under its old inode.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{ErrorKind, Event, EventHandler, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::settling::Said;

/// Watches directories, and renews what it loses.
pub(super) struct Hints {
    signal: Arc<Signal>,
    start: Start,
    watcher: Option<RecommendedWatcher>,
    /// What is watched: the directory as it was then.
    armed: BTreeMap<PathBuf, Identity>,
    /// Whether some directory could not be watched, mostly because it is not there.
    incomplete: bool,
    /// Whether the operating system gives no more watches: looking has to do.
    exhausted: bool,
}

type Start = fn(Listener) -> notify::Result<RecommendedWatcher>;

/// Which directory a path means: its device and inode.
type Identity = (u64, u64);

impl Hints {
    /// Hints that are given through `signal`.
    pub(super) fn new(signal: Arc<Signal>) -> Self {
        Self::started_by(signal, notify::recommended_watcher)
    }

    fn started_by(signal: Arc<Signal>, start: Start) -> Self {
        let armed = BTreeMap::new();
        Hints { signal, start, watcher: None, armed, incomplete: true, exhausted: false }
    }

    /// What was heard since the last time.
    pub(super) fn take(&mut self) -> Heard {
        std::mem::take(&mut *self.signal.lock())
    }

    /// Watches the `directories` and no others, if something `heard` or seen (`moved`) says that these may be others
    /// than before. Returns whether any was not watched until now.
    pub(super) fn arm(
        &mut self,
        heard: &Heard,
        moved: bool,
        directories: impl FnOnce() -> BTreeSet<PathBuf>,
    ) -> bool {
        if self.exhausted || !(self.incomplete || moved || heard.directories || heard.lost || heard.ended) {
            return false;
        }
        if heard.ended
            && let Some(watcher) = self.watcher.take()
        {
            tracing::warn!("notifications of changed files ended; asking for them again");
            self.armed.clear();
            // Dropping it would end its thread, and panic because there is none.
            std::mem::forget(watcher);
        }
        let directories = directories();
        match self.rearm(heard.lost, &directories) {
            Ok(news) => news,
            Err(error) => {
                tracing::warn!(
                    "no notifications of changed files ({error}): looking at them each second instead"
                );
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
                // It fails where the directory is gone, and its watch with it.
                let _ = watcher.unwatch(path);
            }
            stays
        });
        let mut news = false;
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
                    news = true;
                }
                Err(error) if is_exhaustion(&error) => return Err(error),
                Err(error) => {
                    tracing::debug!("cannot watch {:?}: {error}", path.display().to_string());
                    self.incomplete = true;
                }
            }
        }
        Ok(news)
    }
}

/// Whether no directory at all could be watched now, rather than this one.
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

/// What was heard and not taken yet, and who waits for it.
#[derive(Default)]
pub(super) struct Signal {
    heard: Mutex<Heard>,
    notify: Notify,
}

/// What was heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) names: Names,
    /// How many writings and renames ended.
    ended_writings: usize,
    /// Whether a directory may have come, in which others are to be watched.
    directories: bool,
    /// Whether events or watches may have been lost.
    lost: bool,
    /// Whether the thread that listens has ended.
    ended: bool,
}

/// What was heard of names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Those that something was renamed to, and that nothing was written to since.
    pub(super) renamed: HashSet<PathBuf>,
    /// Those that were written to, and that nothing was renamed to since.
    written: HashSet<PathBuf>,
}

impl Names {
    /// Something was renamed to `path`.
    fn rename(&mut self, path: PathBuf) {
        self.written.remove(&path);
        if self.renamed.len() < ARRIVALS {
            self.renamed.insert(path);
        }
    }

    /// Something was written to `path`.
    fn write(&mut self, path: &Path) {
        self.renamed.remove(path);
        if self.written.len() < ARRIVALS {
            self.written.insert(path.to_path_buf());
        } else {
            // Which of them were written to is not known any more.
            self.renamed.clear()
        }
    }

    /// Nothing is at `path` any more.
    fn leave(&mut self, path: &Path) {
        self.renamed.remove(path);
        self.written.remove(path);
    }

    /// Whether nothing is known of any name.
    pub(super) fn is_empty(&self) -> bool {
        self.renamed.is_empty() && self.written.is_empty()
    }

    /// Whether anything was written to that is still there.
    pub(super) fn has_written(&self) -> bool {
        !self.written.is_empty()
    }

    /// What was heard of the file that this is the `way` to: names of links, and at last the file's own.
    pub(super) fn said_of(&self, way: &[PathBuf]) -> Said {
        match way.last() {
            Some(file) if self.written.contains(file) => Said::Written,
            _ if way.iter().any(|hop| self.renamed.contains(hop)) => Said::Renamed,
            _ => Said::Nothing,
        }
    }
}

/// More names than this are not remembered: their files wait for quiet, as if they had been written in place.
const ARRIVALS: usize = 1_000;

/// Two files that were written and renamed: four ends.
const A_FEW: usize = 4;

impl Signal {
    /// Waits until something is heard.
    pub(super) async fn heard(&self) {
        self.notify.notified().await;
    }

    /// Whether something was renamed to a name.
    pub(super) fn has_arrivals(&self) -> bool {
        !self.lock().names.renamed.is_empty()
    }

    /// Whether more writes finished since hints were taken last than an interactive edit makes.
    pub(super) fn is_much(&self) -> bool {
        self.lock().ended_writings > A_FEW
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        // A thread that panicked with it left a set of paths in one piece.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The operating system's end; it must not wait for anything.
struct Listener(Arc<Signal>);

impl EventHandler for Listener {
    fn handle_event(&mut self, event: notify::Result<Event>) {
        if self.0.lock().hear(event) {
            self.0.notify.notify_one();
        }
    }
}

/// The thread that listens owns this, and it goes when that thread ends, however it does.
impl Drop for Listener {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.notify.notify_one();
    }
}

impl Heard {
    /// Takes note of an event. Returns whether it is a hint.
    fn hear(&mut self, event: notify::Result<Event>) -> bool {
        let Ok(mut event) = event else {
            self.lost = true;
            return true;
        };
        self.lost |= event.need_rescan();
        match event.kind {
            // Our own reading raises these. The end of a writing is a hint.
            EventKind::Access(access) => {
                let ended = access == AccessKind::Close(AccessMode::Write);
                self.ended_writings += usize::from(ended);
                return ended;
            }
            EventKind::Modify(ModifyKind::Name(mode @ (RenameMode::To | RenameMode::Both))) => {
                // Of one rename both are told.
                self.ended_writings += usize::from(mode == RenameMode::To);
                event.paths.pop().into_iter().for_each(|path| self.names.rename(path));
            }
            EventKind::Create(_) | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => {
                self.directories |=
                    matches!(event.kind, EventKind::Create(CreateKind::Folder | CreateKind::Any));
                event.paths.iter().for_each(|path| self.names.write(path));
            }
            // A file that was written to under a name of its own is whole when that goes.
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
    fn reading_is_no_hint_and_only_a_rename_to_a_name_arrives() {
        let name = |mode| EventKind::Modify(ModifyKind::Name(mode));
        let data = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        // One event of "a" (of "b", then "a", where there are two), after "a" arrived: is it a hint, has "a" arrived
        // then, may anything have been lost?
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
            let mut heard = Heard::default();
            heard.names.rename("a".into());
            let mut event = Event::new(kind);
            event.paths = ["b", "a"][2 - paths..].iter().map(PathBuf::from).collect();
            let hint = heard.hear(Ok(event));
            let said = heard.names.said_of(&["a".into()]);
            assert_eq!((hint, said == Said::Renamed, heard.lost), expected, "{kind:?}");
            assert_ne!(heard.names.said_of(&["b".into()]), Said::Renamed, "{kind:?}");
        }
    }

    #[test]
    fn what_was_lost_is_a_hint() {
        let overflow = Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan));
        for event in [overflow, Err(notify::Error::generic("poll failed"))] {
            let mut heard = Heard::default();
            assert!(heard.hear(event));
            assert!(heard.lost);
        }
    }

    #[test]
    fn arrivals_are_bounded() {
        let mut heard = Heard::default();
        for name in 0..ARRIVALS + 10 {
            let kind = EventKind::Modify(ModifyKind::Name(RenameMode::To));
            assert!(heard.hear(Ok(Event::new(kind).add_path(name.to_string().into()))));
        }
        assert_eq!(heard.names.renamed.len(), ARRIVALS);
        // Nor are those that are written to; then no name is believed to be renamed only.
        for name in 0..=ARRIVALS {
            let kind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
            assert!(heard.hear(Ok(Event::new(kind).add_path(format!("w{name}").into()))));
        }
        assert_eq!((heard.names.written.len(), heard.names.renamed.len()), (ARRIVALS, 0));
    }

    #[test]
    fn without_watches_it_gives_up_once_and_for_all() {
        for kind in [ErrorKind::MaxFilesWatch, ErrorKind::Io(std::io::Error::from_raw_os_error(24))] {
            let start: Start = match kind {
                ErrorKind::MaxFilesWatch => |_| Err(notify::Error::new(ErrorKind::MaxFilesWatch)),
                _ => |_| Err(notify::Error::io(std::io::Error::from_raw_os_error(24))),
            };
            let mut hints = Hints::started_by(Arc::default(), start);
            assert!(!hints.arm(&Heard::default(), true, BTreeSet::new));
            assert!(!hints.arm(&Heard::default(), true, || panic!("tried again")));
        }
    }

    #[tokio::test]
    async fn a_listener_that_ended_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let signal = Arc::new(Signal::default());
        let mut hints = Hints::new(signal.clone());
        let directories = || [root.clone()].into();
        assert!(hints.arm(&Heard::default(), false, directories), "watched at first");
        assert!(!hints.arm(&Heard::default(), true, directories), "watched already");
        assert!(hints.arm(&Heard { lost: true, ..Heard::default() }, false, directories), "renewed");

        let watcher = hints.watcher.take();
        drop(watcher);
        let deadline = Duration::from_secs(5);
        tokio::time::timeout(deadline, signal.heard()).await.expect("nobody tells of the end");
        // Stands for the dead one, which cannot be dropped.
        hints.watcher = Some((hints.start)(Listener(Arc::default())).unwrap());
        let heard = hints.take();
        assert!(heard.ended);
        assert!(hints.arm(&heard, false, directories), "watched again");

        std::fs::write(root.join("a.yaml"), "").unwrap();
        tokio::time::timeout(deadline, signal.heard()).await.expect("the new one hears nothing");
    }

    #[test]
    fn a_directory_that_was_replaced_is_watched_again() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let zones = root.join("zones");
        let mut hints = Hints::new(Arc::default());
        let directories = || [zones.clone()].into();
        assert!(!hints.arm(&Heard::default(), false, directories), "not there yet");
        std::fs::create_dir(&zones).unwrap();
        assert!(hints.arm(&Heard::default(), false, directories), "it came");
        std::fs::rename(&zones, root.join("old")).unwrap();
        std::fs::create_dir(&zones).unwrap();
        assert!(hints.arm(&Heard::default(), true, directories), "another one");
        assert!(!hints.arm(&Heard::default(), true, directories), "the same");
    }
}
