//! The lines of containers on the terminal. Must not depend on the command line.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use clusterlocal_node::Lines;

/// Maximum number of lines of containers that wait to be printed. A reader that does not read must not stop the server: more are
/// dropped and counted.
const LINES_WAITING: usize = 4096;

/// Prints lines by a thread of its own.
pub fn printed() -> Lines {
    let (sender, waiting) = mpsc::sync_channel::<String>(LINES_WAITING);
    let dropped = Arc::new(AtomicU64::new(0));
    let counted = dropped.clone();
    thread::spawn(move || {
        for line in waiting {
            let mut out = std::io::stdout().lock();
            _ = writeln!(out, "{line}");
            match counted.swap(0, Ordering::Relaxed) {
                0 => {}
                count => _ = writeln!(out, "{count} lines of containers were dropped"),
            }
        }
    });
    Arc::new(move |name: &str, line: &[u8]| {
        // Control characters of a program must not change the terminal.
        let line = String::from_utf8_lossy(line);
        let shown: String = line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
        if sender.try_send(format!("{name} | {shown}")).is_err() {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    })
}
