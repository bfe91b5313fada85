//! Identity of a file's state, from `stat`. Must not depend on what follows from a change.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// The fields of `stat` that change with a file's content.
///
/// Fingerprints are compared for equality, never by age: a restored backup is older. The time of the last change of the
/// inode, which no program can set, shows even writes that keep size and modification time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    /// Device and number of the inode.
    pub(super) inode: (u64, u64),
    /// In bytes.
    pub(super) size: u64,
    pub(super) modified: (i64, i64),
    pub(super) changed: (i64, i64),
}

impl Fingerprint {
    /// Returns that of the file at `path`; follows links.
    ///
    /// # Errors
    /// Those of `stat`.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|meta| Fingerprint::of(&meta))
    }

    #[cfg(unix)]
    pub(super) fn of(meta: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Fingerprint {
            inode: (meta.dev(), meta.ino()),
            size: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// Without inodes a replaced file looks like one that was written in place, which only takes longer to settle.
    #[cfg(not(unix))]
    pub(super) fn of(meta: &Metadata) -> Self {
        let since = meta.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = since.map_or((0, 0), |since| (since.as_secs() as i64, since.subsec_nanos().into()));
        Fingerprint { inode: (0, 0), size: meta.len(), modified, changed: modified }
    }

    /// Whether it was renamed, or its times were set, after the last write: that changes `ctime` alone. Both in one tick of
    /// the kernel's clock count as a write.
    pub(super) fn is_written_before(&self) -> bool {
        self.modified < self.changed
    }

    /// Time since the inode changed. The clock may differ from that of the file system.
    pub(super) fn age(&self) -> Option<Duration> {
        let changed = UNIX_EPOCH + Duration::from_secs(u64::try_from(self.changed.0).ok()?);
        changed.elapsed().ok()
    }
}
