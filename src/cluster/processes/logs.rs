//! The lines that pods of a test have written. Must not depend on how they are collected.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::store::Key;

/// Maximum size of the lines that are kept of the pods of one name, in bytes; earlier ones are dropped.
pub(super) const MAX_LOG: usize = 1 << 20;

/// Maximum number of names of pods whose lines are kept: names may be generated without end.
const MAX_LOGS: usize = 1000;

/// The lines of pods, by their namespace and name.
#[derive(Clone, Default)]
pub(super) struct Logs(Arc<Kept>);

#[derive(Default)]
struct Kept {
    lines: Mutex<HashMap<String, Log>>,
    /// Changes with each line.
    count: watch::Sender<u64>,
}

#[derive(Default)]
struct Log {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Logs {
    /// Adds a line of the container `NAMESPACE/POD/CONTAINER`.
    pub(super) fn add(&self, name: &str, line: &[u8]) {
        let pod = name.rsplit_once('/').map_or(name, |(pod, _)| pod);
        let mut logs = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if logs.len() < MAX_LOGS || logs.contains_key(pod) {
            let log = logs.entry(pod.to_owned()).or_default();
            let line = String::from_utf8_lossy(line).into_owned();
            // Empty lines count as well.
            log.bytes += line.len() + 1;
            log.lines.push_back(line);
            while log.bytes > MAX_LOG {
                log.bytes -= log.lines.pop_front().map_or(log.bytes, |first| first.len() + 1);
            }
        }
        drop(logs);
        self.0.count.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn of(&self, pod: &Key) -> Vec<String> {
        let logs = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let log = logs.get(&format!("{}/{}", pod.namespace, pod.name));
        log.map(|log| log.lines.iter().cloned().collect()).unwrap_or_default()
    }

    /// A value that changes with each line.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.0.count.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Kind;

    #[test]
    fn the_latest_lines_are_kept() {
        let logs = Logs::default();
        let key = Key::new(Kind::Pod, "default", "db-0");
        logs.add("default/db-0/store", b"first");
        logs.add("ring/db-0/store", b"other");
        logs.add("default/db-0/side", &[0xff]);
        assert_eq!(logs.of(&key), ["first", "\u{fffd}"]);
        logs.add("default/db-0/store", &vec![b'x'; MAX_LOG - 10]);
        assert_eq!(logs.of(&key).len(), 2, "the first line is dropped");
        for _ in 0..2 * MAX_LOG {
            logs.add("default/db-0/store", b"");
        }
        assert_eq!(logs.of(&key).len(), MAX_LOG);
    }
}
