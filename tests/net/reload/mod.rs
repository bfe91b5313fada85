//! Following files: whatever is done to the files, a complete and valid state of them is served, the newest one soon, and
//! refused content is reported. Each case changes real files, once with notifications of the operating system and once
//! without.

mod contents;
mod extremes;
mod places;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, SystemTime};

use clusterlocal::watch::{self, Mode, Options, Report, Sources, Timings};
use clusterlocal_core::manifest::Severity;
use clusterlocal_core::store::{Change, Object, Objects};
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

/// Time-out of anything that is expected to happen.
const DEADLINE: Duration = Duration::from_secs(20);
const NEVER: Duration = Duration::from_secs(3600);

/// With notifications no poll helps; without them, polls are more frequent than the default, to save time.
fn timings(mode: Mode) -> Timings {
    let poll = if mode == Mode::Poll { Duration::from_millis(200) } else { NEVER };
    Timings { poll, ..Timings::default() }
}

/// A manifest of ExternalName Services: `a=1 b=2`.
fn zone(content: &str) -> String {
    let mut text = String::from("apiVersion: clusterlocal.dev/v1\nkind: Topology\nexternal:\n");
    for (name, value) in content.split_whitespace().filter_map(|service| service.split_once('=')) {
        writeln!(text, "  {name}: v{value}.example.org").unwrap();
    }
    text
}

/// The same for objects.
fn content(objects: &Objects) -> String {
    let service = |object: &Object| match object {
        Object::Service(service) => {
            let value = service.spec.external_name.as_ref().unwrap();
            format!("{}={}", service.metadata.name, value.trim_start_matches('v').split('.').next().unwrap())
        }
        other => panic!("{other:?}"),
    };
    objects.values().map(service).collect::<Vec<_>>().join(" ")
}

/// Applies `changes` to `objects`.
fn change(objects: &mut Objects, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Put(object) => drop(objects.insert(object.key(), object.clone())),
            Change::Delete(key) => drop(objects.remove(key)),
        }
    }
}

/// A directory of files, and a task that follows them.
struct Followed {
    root: PathBuf,
    _dir: TempDir,
    force: Arc<Notify>,
    changes: mpsc::UnboundedReceiver<(String, Report)>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Followed {
    /// Creates `files`, reads `paths` and follows them.
    async fn new(files: &[(&str, &str)], paths: &[&str], mode: Mode) -> Self {
        Self::with(files, paths, Options { mode, timings: timings(mode) }).await
    }

    async fn with(files: &[(&str, &str)], paths: &[&str], options: Options) -> Self {
        Self::start(files, paths, options, |paths| {
            let (sources, problems) = Sources::read(paths);
            assert!(problems.iter().all(|problem| problem.severity != Severity::Error), "{problems:?}");
            assert!(sources.is_ready());
            sources
        })
    }

    fn start(
        files: &[(&str, &str)],
        paths: &[&str],
        options: Options,
        read: impl FnOnce(&[PathBuf]) -> Sources,
    ) -> Self {
        listen_to_the_log();
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for (name, content) in files {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), zone(content)).unwrap();
        }
        let paths: Vec<PathBuf> = paths.iter().map(|path| root.join(path)).collect();
        let sources = read(&paths);
        let (sender, changes) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let force = Arc::new(Notify::new());
        let shutdown = async { drop(stopped.await) };
        let mut objects = sources.objects();
        let on_change = move |changes: &[Change], report: &Report| {
            change(&mut objects, changes);
            // The test may have ended.
            let _ = sender.send((content(&objects), report.clone()));
        };
        let task = tokio::spawn(watch::follow(sources, options, force.clone(), shutdown, on_change));
        Followed { root, _dir: dir, force, changes, stop: Some(stop), task: Some(task) }
    }

    /// Returns the objects after the next change, and the names of the changed files.
    async fn next(&mut self) -> (String, Vec<String>) {
        let next = tokio::time::timeout(DEADLINE, self.changes.recv()).await;
        let (content, report) = next.expect("no change").expect("following ended");
        let name =
            |name: &Arc<str>| Path::new(&**name).strip_prefix(&self.root).unwrap().display().to_string();
        (content, report.changed.iter().map(name).collect())
    }

    /// Expects these objects after the next change.
    async fn becomes(&mut self, content: &str) {
        assert_eq!(self.next().await.0, content);
    }

    /// Waits for a log line about these files.
    async fn logged(&self, what: &str) {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        while self.count_logged(what) == 0 {
            assert!(
                tokio::time::Instant::now() < deadline,
                "no line with {what:?} in:\n{}",
                self.log().join("\n")
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn log(&self) -> Vec<String> {
        let root = self.root.to_str().unwrap();
        LOG.lock().unwrap().iter().filter(|line| line.contains(root)).cloned().collect()
    }

    fn count_logged(&self, what: &str) -> usize {
        self.log().iter().filter(|line| line.contains(what)).count()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Replaces a file by a complete one.
    fn rename_over(&self, name: &str, content: &str) {
        rename_over(&self.path(name), content);
    }

    async fn end(mut self) {
        drop(self.stop.take());
        let task = self.task.take().unwrap();
        tokio::time::timeout(DEADLINE, task).await.expect("following does not end").unwrap();
    }
}

fn rename_over(path: &Path, content: &str) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}

static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps log lines as `LEVEL message`.
struct Log;

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("clusterlocal")
    }
    fn event(&self, event: &tracing::Event<'_>) {
        struct Line(String);
        impl tracing::field::Visit for Line {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                write!(self.0, " {value:?}").unwrap();
            }
        }
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        LOG.lock().unwrap().push(line.0);
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

fn listen_to_the_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Log).unwrap());
}

/// Runs each case with notifications and without.
macro_rules! in_both_modes {
    ($($(#[$meta:meta])* async fn $name:ident($mode:ident: Mode) $body:block)*) => {
        $($(#[$meta])* async fn $name($mode: Mode) $body)*
        mod with_notifications {
            use super::Mode;
            $(#[tokio::test] async fn $name() { super::$name(Mode::Auto).await })*
        }
        mod by_polling {
            use super::Mode;
            $(#[tokio::test] async fn $name() { super::$name(Mode::Poll).await })*
        }
    };
}

use in_both_modes;
