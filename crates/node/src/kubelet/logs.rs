//! What containers write: kept as the kubelet keeps it, in files with a limit, and handed on line by line. Must not depend on pods.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clusterlocal_core::store::Time;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{Mutex, watch};

use super::stdio::{Attached, STDERR};

/// Maximum size of a log file, in bytes, before it is rotated (`containerLogMaxSize`).
const MAX_FILE: u64 = 10 << 20;

/// Maximum length of a line, in bytes; longer ones are cut into pieces, as containerd does it.
pub(super) const MAX_LINE: usize = 16 << 10;

/// Called with a container, as `NAMESPACE/POD/CONTAINER`, and each of its lines.
pub type Lines = Arc<dyn Fn(&str, &[u8]) + Send + Sync>;

/// The log of one run of a container: `NUMBER.log`, and `NUMBER.log.1` with what was before.
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    size: u64,
    progress: watch::Sender<Progress>,
}

/// How far a log is, for those that follow it: it has ended when the channel closes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    lines: u64,
    /// How often a new file was begun.
    pub(super) rotations: u64,
}

impl Log {
    /// Creates the log file of the run with this number. That of the run before is kept, earlier ones are removed.
    pub(crate) fn create(folder: &Path, run: u32) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        if let Some(earlier) = run.checked_sub(2) {
            for name in [format!("{earlier}.log"), format!("{earlier}.log.1")] {
                _ = fs::remove_file(folder.join(name));
            }
        }
        let path = folder.join(format!("{run}.log"));
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let size = file.metadata()?.len();
        Ok(Log { path, file, size, progress: watch::Sender::new(Progress::default()) })
    }

    /// How far it is.
    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Writes one line as CRI has it: time, stream, whether the line is whole, the line.
    pub(super) fn write(&mut self, stream: &str, now: Time, line: &[u8], whole: bool) -> io::Result<()> {
        if self.size >= MAX_FILE {
            fs::rename(&self.path, self.path.with_extension("log.1"))?;
            self.file = File::create(&self.path)?;
            self.size = 0;
            self.progress.send_modify(|progress| progress.rotations += 1);
        }
        let tag = if whole { 'F' } else { 'P' };
        let mut bytes = format!("{} {stream} {tag} ", stamp(now)).into_bytes();
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        self.size += bytes.len() as u64;
        self.file.write_all(&bytes)?;
        self.progress.send_modify(|progress| progress.lines += 1);
        Ok(())
    }
}

/// A time with nine digits after its second, as the kubelet prints it (`RFC3339NanoFixed`).
fn stamp(now: Time) -> String {
    format!("{}.{:03}000000Z", now.to_string().trim_end_matches('Z'), now.unix_millis().rem_euclid(1000))
}

/// Copies what a container writes to `stream` into its log and to those that are attached, until it closes it. A container that
/// writes faster than the disk waits for it, as in a cluster.
pub(crate) async fn copy(
    mut from: impl AsyncRead + Unpin,
    stream: u8,
    (log, attached): (Arc<Mutex<Log>>, Arc<Attached>),
    name: String,
    lines: Lines,
    now: impl Fn() -> Time,
) {
    let label = if stream == STDERR { "stderr" } else { "stdout" };
    let mut buffer = vec![0; MAX_LINE];
    let mut line = Vec::new();
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let mut rest = &buffer[..read];
        attached.send(stream, rest).await;
        while !rest.is_empty() {
            let room = MAX_LINE - line.len();
            let end = rest.iter().take(room).position(|byte| *byte == b'\n');
            let used = end.map_or(room.min(rest.len()), |end| end + 1);
            line.extend_from_slice(&rest[..end.unwrap_or(used)]);
            rest = &rest[used..];
            if end.is_some() || line.len() == MAX_LINE {
                lines(&name, &line);
                // A disk that is full must not end the container.
                _ = log.lock().await.write(label, now(), &line, end.is_some());
                line.clear();
            }
        }
    }
    if !line.is_empty() {
        lines(&name, &line);
        _ = log.lock().await.write(label, now(), &line, false);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::PoisonError;

    use super::super::stdio::STDOUT;
    use super::*;

    /// What a container writes, and the lines of its log.
    #[tokio::test]
    async fn lines_are_whole_unless_they_are_too_long() {
        let long = "x".repeat(MAX_LINE);
        let table = [
            ("a\nb\n".to_string(), vec!["F a".to_string(), "F b".to_string()]),
            ("no end".to_string(), vec!["P no end".to_string()]),
            (format!("{long}y\n"), vec![format!("P {long}"), "F y".to_string()]),
            ("\n".to_string(), vec!["F ".to_string()]),
        ];
        for (written, expected) in table {
            let folder = tempfile::tempdir().unwrap();
            let log = Arc::new(Mutex::new(Log::create(folder.path(), 0).unwrap()));
            let shown = Arc::new(std::sync::Mutex::new(0));
            let counted = shown.clone();
            let lines: Lines = Arc::new(move |name: &str, _: &[u8]| {
                assert_eq!(name, "default/db-0/store");
                *counted.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            });
            // In pieces, as a pipe gives them.
            let from = tokio::io::AsyncReadExt::chain(&written.as_bytes()[..1], &written.as_bytes()[1..]);
            let to = (log, Arc::new(Attached::default()));
            copy(from, STDOUT, to, "default/db-0/store".into(), lines, Time::default).await;
            let logged = fs::read_to_string(folder.path().join("0.log")).unwrap();
            let logged: Vec<&str> =
                logged.lines().map(|line| line.split_once(" stdout ").unwrap().1).collect();
            assert_eq!(logged, expected);
            assert_eq!(*shown.lock().unwrap(), expected.len());
        }
    }
}
