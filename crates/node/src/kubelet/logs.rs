//! What containers write: kept as the kubelet keeps it, in files with a limit, and handed on line by line. Must not depend on pods.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clusterlocal_core::store::Time;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::Mutex;

/// Maximum size of a log file, in bytes, before it is rotated (`containerLogMaxSize`).
const MAX_FILE: u64 = 10 << 20;

/// Maximum length of a line, in bytes; longer ones are cut into pieces, as containerd does it.
const MAX_LINE: usize = 16 << 10;

/// Called with a container's name and each of its lines.
pub type Lines = Arc<dyn Fn(&str, &[u8]) + Send + Sync>;

/// The log of one run of a container: `NUMBER.log`, and `NUMBER.log.1` with what was before.
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    size: u64,
}

impl Log {
    /// Creates the log file of the run with this number.
    pub(crate) fn create(folder: &Path, run: u32) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{run}.log"));
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let size = file.metadata()?.len();
        Ok(Log { path, file, size })
    }

    /// Writes one line as CRI has it: time, stream, whether the line is whole, the line.
    fn write(&mut self, stream: &str, now: Time, line: &[u8], whole: bool) -> io::Result<()> {
        if self.size >= MAX_FILE {
            fs::rename(&self.path, self.path.with_extension("log.1"))?;
            self.file = File::create(&self.path)?;
            self.size = 0;
        }
        let mut bytes = format!("{now} {stream} {} ", if whole { 'F' } else { 'P' }).into_bytes();
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        self.size += bytes.len() as u64;
        self.file.write_all(&bytes)
    }
}

/// Copies what a container writes to `stream` into its log, until it closes it. A container that writes faster than the disk waits
/// for it, as in a cluster.
pub(crate) async fn copy(
    from: impl AsyncRead + Unpin,
    stream: &'static str,
    log: Arc<Mutex<Log>>,
    name: String,
    lines: Lines,
    now: impl Fn() -> Time,
) {
    let mut from = BufReader::with_capacity(MAX_LINE, from);
    loop {
        let buffer = match from.fill_buf().await {
            Ok(buffer) if !buffer.is_empty() => buffer,
            _ => return,
        };
        let (line, whole, used) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&buffer[..end], true, end + 1),
            None => (buffer, false, buffer.len()),
        };
        lines(&name, line);
        // A disk that is full must not end the container.
        _ = log.lock().await.write(stream, now(), line, whole);
        from.consume(used);
    }
}
