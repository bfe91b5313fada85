//! The log of a container for a client (`pkg/kubelet/kuberuntime/logs/logs.go`, ReadLogs). Must not depend on what writes it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;

use clusterlocal_core::store::Time;
use hyper::body::Bytes;
use tokio::sync::{mpsc, watch};

use super::logs::Progress;

/// Size of the pieces that are sent and in which the end of a log is searched, in bytes.
const PIECE_BYTES: usize = 32 << 10;

/// Which part of a log (`PodLogOptions`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// That of the run before.
    pub previous: bool,
    /// New lines as well, until the container ends.
    pub follow: bool,
    /// Maximum number of lines, from the end.
    pub tail: Option<u64>,
    /// Maximum number of bytes.
    pub limit_bytes: Option<u64>,
    /// Time of the first line.
    pub since: Option<Time>,
    /// Each line begins with its time.
    pub timestamps: bool,
}

/// Sends the log at `path` to its end, or with `follow` to the end of `progress`.
pub(super) async fn send(
    path: PathBuf,
    options: LogOptions,
    progress: Option<watch::Receiver<Progress>>,
    to: mpsc::Sender<Bytes>,
) {
    // A log that cannot be read any more has ended: its pod is gone.
    let Ok(mut log) = Log::open(path, options, progress) else { return };
    loop {
        let more = log.read().unwrap_or(More::Nothing);
        if !log.ready.is_empty() && to.send(std::mem::take(&mut log.ready).into()).await.is_err() {
            return;
        }
        match more {
            More::Now => {}
            More::Nothing => return,
            More::Later => {
                let Some(progress) = &mut log.progress else { return };
                tokio::select! {
                    changed = progress.changed() => log.has_ended = changed.is_err(),
                    () = to.closed() => return,
                }
            }
        }
    }
}

/// Whether there is more of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum More {
    Now,
    Later,
    Nothing,
}

/// A log that is being read. It was written a short time ago, so that reading it does not wait for the disk.
struct Log {
    path: PathBuf,
    file: BufReader<File>,
    /// Number of rotations before the file was begun.
    rotations: u64,
    progress: Option<watch::Receiver<Progress>>,
    /// Whether nothing is written any more.
    has_ended: bool,
    options: LogOptions,
    /// Number of lines and bytes that are left, where there is a limit.
    lines_left: Option<u64>,
    bytes_left: Option<u64>,
    /// The line at the end of the file, as far as it is there.
    line: Vec<u8>,
    /// What is to be sent.
    ready: Vec<u8>,
}

impl Log {
    fn open(
        path: PathBuf,
        options: LogOptions,
        mut progress: Option<watch::Receiver<Progress>>,
    ) -> io::Result<Self> {
        let rotations = |progress: &mut Option<watch::Receiver<Progress>>| {
            progress.as_mut().map_or(0, |p| p.borrow_and_update().rotations)
        };
        let (mut file, before) = loop {
            let before = rotations(&mut progress);
            let file = File::open(&path)?;
            if rotations(&mut progress) == before {
                break (file, before);
            }
        };
        if let Some(tail) = options.tail {
            let start = tail_start(&mut file, tail)?;
            file.seek(SeekFrom::Start(start))?;
        }
        Ok(Log {
            path,
            file: BufReader::with_capacity(PIECE_BYTES, file),
            rotations: before,
            has_ended: progress.is_none(),
            progress,
            lines_left: options.tail.filter(|_| !options.follow),
            bytes_left: options.limit_bytes,
            options,
            line: Vec::new(),
            ready: Vec::new(),
        })
    }

    /// Reads the next lines into `ready`.
    fn read(&mut self) -> io::Result<More> {
        // What was written up to here is read before the end of the file.
        let written = self.progress.as_mut().map(|progress| *progress.borrow_and_update());
        while self.ready.len() < PIECE_BYTES {
            if self.lines_left == Some(0) || self.bytes_left == Some(0) {
                return Ok(More::Nothing);
            }
            self.file.read_until(b'\n', &mut self.line)?;
            if self.line.last() == Some(&b'\n') {
                self.take_line();
                continue;
            }
            if written.is_some_and(|written| written.rotations > self.rotations) {
                self.rotations = written.map_or(0, |written| written.rotations);
                self.file = BufReader::with_capacity(PIECE_BYTES, File::open(&self.path)?);
                self.line.clear();
                continue;
            }
            return Ok(if self.options.follow && !self.has_ended { More::Later } else { More::Nothing });
        }
        Ok(More::Now)
    }

    /// Takes the whole line that was read.
    fn take_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let Some((time, content)) = parse(&line) else { return };
        if let Some(left) = &mut self.lines_left {
            *left -= 1;
        }
        if self.options.since.is_some_and(|since| time.parse::<Time>().is_ok_and(|time| time < since)) {
            return;
        }
        let stamp = if self.options.timestamps { format!("{time} ") } else { String::new() };
        let mut parts = [stamp.as_bytes(), content].concat();
        if let Some(left) = &mut self.bytes_left {
            parts.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= parts.len() as u64;
        }
        self.ready.append(&mut parts);
    }
}

/// The time of a line in the log, and its content with its end, if it is whole.
fn parse(line: &[u8]) -> Option<(&str, &[u8])> {
    let mut fields = line.splitn(4, |byte| *byte == b' ');
    let (time, _stream, tag, content) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let content = if tag == b"P" { content.strip_suffix(b"\n").unwrap_or(content) } else { content };
    Some((std::str::from_utf8(time).ok()?, content))
}

/// Position of the last `lines` lines of a file (`pkg/util/tail`, FindTailLineStartIndex).
fn tail_start(file: &mut File, lines: u64) -> io::Result<u64> {
    let end = file.seek(SeekFrom::End(0))?;
    let (mut position, mut found) = (end, 0);
    let mut block = vec![0; PIECE_BYTES];
    while position > 0 {
        let length = position.min(PIECE_BYTES as u64);
        position -= length;
        file.seek(SeekFrom::Start(position))?;
        let block = &mut block[..usize::try_from(length).unwrap_or(PIECE_BYTES)];
        file.read_exact(block)?;
        for (at, byte) in block.iter().enumerate().rev() {
            if *byte != b'\n' {
                continue;
            }
            if found == lines {
                return Ok(position + at as u64 + 1);
            }
            found += 1;
        }
    }
    Ok(if lines == 0 { end } else { 0 })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Mutex;

    use super::super::logs;
    use super::*;

    /// Three lines, the last without an end, one second apart.
    const LOG: &str = "\
2026-01-01T00:00:00.000000000Z stdout F one
2026-01-01T00:00:01.000000000Z stderr F two
2026-01-01T00:00:02.500000000Z stdout P three
";

    async fn read(log: &str, options: LogOptions) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        std::fs::write(&path, log).unwrap();
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(send(path, options, None, sender));
        text(receiver).await
    }

    async fn text(mut receiver: mpsc::Receiver<Bytes>) -> String {
        let mut all = Vec::new();
        while let Some(piece) = receiver.recv().await {
            all.extend_from_slice(&piece);
        }
        String::from_utf8(all).unwrap()
    }

    #[tokio::test]
    async fn options_select_lines() {
        let none = LogOptions::default;
        let table = [
            (none(), "one\ntwo\nthree"),
            (LogOptions { tail: Some(0), ..none() }, ""),
            (LogOptions { tail: Some(2), ..none() }, "two\nthree"),
            (LogOptions { tail: Some(9), ..none() }, "one\ntwo\nthree"),
            (LogOptions { limit_bytes: Some(5), ..none() }, "one\nt"),
            (LogOptions { since: Some("2026-01-01T00:00:01Z".parse().unwrap()), ..none() }, "two\nthree"),
            (LogOptions { since: Some("2026-01-01T00:00:02Z".parse().unwrap()), ..none() }, "three"),
            (
                LogOptions { tail: Some(1), timestamps: true, ..none() },
                "2026-01-01T00:00:02.500000000Z three",
            ),
            // It has ended.
            (LogOptions { follow: true, ..none() }, "one\ntwo\nthree"),
        ];
        for (options, expected) in table {
            assert_eq!(read(LOG, options.clone()).await, expected, "{options:?}");
        }
        let many = LOG.repeat(10_000);
        assert_eq!(read(&many, LogOptions { tail: Some(29_999), ..none() }).await.lines().count(), 20_000);
    }

    #[tokio::test]
    async fn what_is_written_later_is_followed_over_rotations() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = logs::Log::create(folder.path(), 0).unwrap();
        let progress = log.progress();
        log.write("stdout", Time::default(), b"first", true).unwrap();
        let (sender, receiver) = mpsc::channel(1);
        let options = LogOptions { follow: true, ..LogOptions::default() };
        tokio::spawn(send(folder.path().join("0.log"), options, Some(progress), sender));
        let log = Arc::new(Mutex::new(log));
        let line = vec![b'x'; logs::MAX_LINE];
        // More than a file holds.
        let lines = 700;
        let writer = tokio::spawn(async move {
            for _ in 0..lines {
                log.lock().await.write("stdout", Time::default(), &line, true).unwrap();
                tokio::task::yield_now().await;
            }
        });
        let text = text(receiver).await;
        writer.await.unwrap();
        assert_eq!(text.lines().next(), Some("first"));
        assert_eq!(text.lines().count(), lines + 1);
    }
}
