//! The lines of containers: on the terminal, each after the name of its pod, and in files. Must not depend on the command line.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use clusterlocal_node::Lines;
use tracing::warn;

/// Maximum number of lines of containers that wait to be printed or written. A reader that does not read must not stop the
/// server: more are dropped and counted.
const LINES_WAITING: usize = 4096;

/// Maximum size of a file, in bytes, before it is rotated; one earlier file is kept (`containerLogMaxSize`).
const MAX_FILE: u64 = 10 << 20;

/// Maximum number of files. Lines of further containers are not written: names of pods may be generated without end.
const MAX_FILES: usize = 1000;

/// Foreground colors of the names, in the order in which pods appear: cyan, yellow, green, magenta, blue, red.
const COLORS: [u8; 6] = [36, 33, 32, 35, 34, 31];

/// Takes lines by `write` in a thread of its own; `dropped` is called with the number of lines that were dropped before.
fn in_thread(
    mut write: impl FnMut(&str, &[u8]) + Send + 'static,
    dropped: impl Fn(u64) + Send + 'static,
) -> Lines {
    let (sender, waiting) = mpsc::sync_channel::<(String, Vec<u8>)>(LINES_WAITING);
    let count = Arc::new(AtomicU64::new(0));
    let counted = count.clone();
    thread::spawn(move || {
        for (name, line) in waiting {
            write(&name, &line);
            match counted.swap(0, Ordering::Relaxed) {
                0 => {}
                count => dropped(count),
            }
        }
    });
    Arc::new(move |name: &str, line: &[u8]| {
        if sender.try_send((name.to_owned(), line.to_vec())).is_err() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    })
}

/// Prints lines to standard output, with a color for each pod if that is a terminal and `NO_COLOR` is not set.
pub fn printed() -> Lines {
    let has_colors =
        io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut names = Names { has_colors, pods: HashMap::new() };
    in_thread(
        move |name, line| _ = writeln!(io::stdout().lock(), "{}", names.line(name, line)),
        |count| _ = writeln!(io::stdout().lock(), "{count} lines of containers were dropped"),
    )
}

/// The names of containers before their lines.
struct Names {
    has_colors: bool,
    /// The color of each pod.
    pods: HashMap<String, u8>,
}

impl Names {
    /// A line of the container `NAMESPACE/POD/CONTAINER`; the namespace is shown unless it is `default`.
    fn line(&mut self, name: &str, line: &[u8]) -> String {
        let shown = name.strip_prefix("default/").unwrap_or(name);
        // Control characters of a program must not change the terminal.
        let line = String::from_utf8_lossy(line);
        let line: String = line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
        if !self.has_colors {
            return format!("{shown} | {line}");
        }
        // Names of pods may be generated without end.
        if self.pods.len() >= MAX_FILES {
            self.pods.clear();
        }
        let next = COLORS[self.pods.len() % COLORS.len()];
        let pod = name.rsplit_once('/').map_or(name, |(pod, _)| pod);
        let color = *self.pods.entry(pod.to_owned()).or_insert(next);
        format!("\x1b[{color}m{shown} |\x1b[0m {line}")
    }
}

/// Writes lines to a file for each container in `folder`, as `POD_NAMESPACE_CONTAINER.log` (`/var/log/containers` of a node).
///
/// # Errors
/// If the folder cannot be created.
pub fn kept(folder: &Path) -> io::Result<Lines> {
    fs::create_dir_all(folder)?;
    let mut files = Files { folder: folder.to_owned(), sizes: HashMap::new(), has_failed: false };
    Ok(in_thread(
        move |name, line| files.write(name, line),
        |count| warn!("{count} lines of containers were not written: the disk is slower than they are"),
    ))
}

/// The files of containers.
struct Files {
    folder: PathBuf,
    /// The size of each, in bytes. They are opened for each line: descriptors are for clients.
    sizes: HashMap<String, u64>,
    has_failed: bool,
}

impl Files {
    fn write(&mut self, name: &str, line: &[u8]) {
        if let Err(error) = self.try_write(name, line)
            && !std::mem::replace(&mut self.has_failed, true)
        {
            warn!("lines of containers are not written to {}: {error}", self.folder.display());
        }
    }

    fn try_write(&mut self, name: &str, line: &[u8]) -> io::Result<()> {
        let mut parts = name.splitn(3, '/');
        let (Some(namespace), Some(pod), Some(container)) = (parts.next(), parts.next(), parts.next()) else {
            return Ok(());
        };
        let path = self.folder.join(format!("{pod}_{namespace}_{container}.log"));
        let is_new = !self.sizes.contains_key(name);
        if is_new && self.sizes.len() >= MAX_FILES {
            return Err(io::Error::other(format!("there are {MAX_FILES} files already")));
        }
        let before = if is_new { fs::metadata(&path).map_or(0, |file| file.len()) } else { 0 };
        let size = self.sizes.entry(name.to_owned()).or_insert(before);
        if *size >= MAX_FILE {
            fs::rename(&path, path.with_extension("log.1"))?;
            *size = 0;
        }
        *size += line.len() as u64 + 1;
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        file.write_all(&[line, b"\n"].concat())
    }
}

/// Takes lines to all of `sinks`.
pub fn to_all(sinks: Vec<Lines>) -> Lines {
    Arc::new(move |name: &str, line: &[u8]| sinks.iter().for_each(|sink| sink(name, line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Container and line, without and with colors.
    #[test]
    fn lines_have_the_name_and_the_color_of_their_pod() {
        let table: [(&str, &[u8], &str, &str); 4] = [
            ("default/db-0/store", b"up", "db-0/store | up", "\x1b[36mdb-0/store |\x1b[0m up"),
            ("ring/db-0/store", b"up", "ring/db-0/store | up", "\x1b[33mring/db-0/store |\x1b[0m up"),
            (
                "default/db-0/side",
                b"\x1b[2Jup\t\xff",
                "db-0/side | [2Jup\t\u{fffd}",
                "\x1b[36mdb-0/side |\x1b[0m [2Jup\t\u{fffd}",
            ),
            ("ring/db-1/store", b"", "ring/db-1/store | ", "\x1b[32mring/db-1/store |\x1b[0m "),
        ];
        let names = |has_colors| Names { has_colors, pods: HashMap::new() };
        let (mut plain, mut colored) = (names(false), names(true));
        for (name, line, expected, with_color) in table {
            assert_eq!(plain.line(name, line), expected);
            assert_eq!(colored.line(name, line), with_color);
        }
    }

    #[test]
    fn each_container_has_a_file_that_is_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files { folder: folder.path().to_owned(), sizes: HashMap::new(), has_failed: false };
        files.write("default/db-0/store", b"first");
        files.write("ring/db-0/store", b"other");
        files.sizes.insert("default/db-0/store".into(), MAX_FILE);
        files.write("default/db-0/store", b"second");
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("db-0_default_store.log.1"), "first\n");
        assert_eq!(read("db-0_default_store.log"), "second\n");
        assert_eq!(read("db-0_ring_store.log"), "other\n");
    }
}
