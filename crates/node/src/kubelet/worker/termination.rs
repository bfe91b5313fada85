//! The message of a container that has ended (`kuberuntime_container.go`, getTerminationMessage, readLastStringFromContainerLogs).
//! Must not depend on what happens then.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::Worker;
use crate::kubelet::text;
use crate::kubelet::volumes::safe;

/// Maximum size of a message, in bytes (`MaxContainerTerminationMessageLength`).
const MAX_MESSAGE: u64 = 4096;

/// Maximum size of a message that comes from the log, in bytes, and in lines (`MaxContainerTerminationMessageLogLength`,
/// `MaxContainerTerminationMessageLogLines`).
const MAX_OF_LOG: (usize, usize) = (2048, 80);

impl Worker {
    /// An empty file for the message of a container, and where the container has it. Without it the container runs as well.
    pub(super) fn termination_file(&self, index: usize) -> Option<(PathBuf, PathBuf)> {
        let container = &self.containers[index];
        let target = text(&container.spec, "/terminationMessagePath");
        if target.is_empty() {
            return None;
        }
        let folder = self.shared.folders.of_pod(&self.pod).join("messages");
        fs::create_dir_all(&folder).ok()?;
        let file = folder.join(safe(container.name()));
        // A program that joins a container that runs does not take its message away.
        if container.process.is_none() || !file.exists() {
            fs::write(&file, "").ok()?;
        }
        Some((file, PathBuf::from(target)))
    }

    /// What a container that ended with `code` has left as its message.
    pub(super) fn termination_message(&self, index: usize, code: i32) -> String {
        let container = &self.containers[index];
        let folder = self.shared.folders.of_pod(&self.pod);
        let file = folder.join("messages").join(safe(container.name()));
        let written = read(&file).unwrap_or_default();
        let from_log = text(&container.spec, "/terminationMessagePolicy") == "FallbackToLogsOnError";
        if !written.is_empty() || code == 0 || !from_log {
            return written;
        }
        let log =
            folder.join("logs").join(safe(container.name())).join(format!("{}.log", container.restarts));
        tail(&log).unwrap_or_default()
    }
}

fn read(file: &Path) -> io::Result<String> {
    let mut message = Vec::new();
    // The program may have put something else in its place; it is not waited for.
    let kind = fs::symlink_metadata(file)?.file_type();
    if kind.is_file() {
        File::open(file)?.take(MAX_MESSAGE).read_to_end(&mut message)?;
    }
    Ok(String::from_utf8_lossy(&message).into_owned())
}

/// The last lines of a log, without time and stream.
fn tail(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let size = file.metadata()?.len();
    // Each line has its time before it, which takes more than a short line itself.
    file.seek(SeekFrom::Start(size.saturating_sub(64 << 10)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let all = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = all.lines().filter_map(|line| line.splitn(4, ' ').nth(3)).collect();
    let (max_bytes, max_lines) = MAX_OF_LOG;
    let last = lines[lines.len().saturating_sub(max_lines)..].iter().map(|line| format!("{line}\n"));
    let last = last.collect::<String>();
    let mut begin = last.len().saturating_sub(max_bytes);
    while !last.is_char_boundary(begin) {
        begin += 1;
    }
    Ok(last[begin..].to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_from_logs_are_their_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("0.log");
        let table = [
            (
                (0..3).map(|n| format!("T stderr F line {n}\n")).collect::<String>(),
                "line 0\nline 1\nline 2\n".to_string(),
            ),
            (
                (0..100).map(|n| format!("T stdout F {n}\n")).collect(),
                (20..100).map(|n| format!("{n}\n")).collect(),
            ),
            (format!("T stdout F {}\n", "é".repeat(2000)), "é".repeat(1023) + "\n"),
            (String::new(), String::new()),
        ];
        for (written, expected) in table {
            fs::write(&log, written).unwrap();
            assert_eq!(tail(&log).unwrap(), expected);
        }
    }
}
