//! The promise of a reload: whatever is done to the files, what is served is some whole good state of them, the newest
//! one soon, and it says what it did not take. Each case is done to real files, once with notifications of the
//! operating system and once without.

#![cfg(all(unix, feature = "watch"))]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, SystemTime};

use clusterlocal::manifest::Severity;
use clusterlocal::store::{Change, Object, Objects};
use clusterlocal::watch::{self, Mode, Options, Report, Sources, Timings};
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

/// Everything that is waited for comes much sooner, or never.
const DEADLINE: Duration = Duration::from_secs(20);
const NEVER: Duration = Duration::from_secs(3600);

/// With notifications nothing is noticed otherwise; without, more often than each second, which takes less long.
fn timings(mode: Mode) -> Timings {
    let poll = if mode == Mode::Poll { Duration::from_millis(200) } else { NEVER };
    Timings { poll, ..Timings::default() }
}

/// A manifest of ExternalName Services: `a=1 b=2`.
fn zone(says: &str) -> String {
    let mut text = String::from("apiVersion: clusterlocal.dev/v1\nkind: Topology\nexternal:\n");
    for (name, value) in says.split_whitespace().filter_map(|say| say.split_once('=')) {
        writeln!(text, "  {name}: v{value}.example.org").unwrap();
    }
    text
}

/// The same, of objects.
fn says(objects: &Objects) -> String {
    let say = |object: &Object| match object {
        Object::Service(service) => {
            let value = service.spec.external_name.as_ref().unwrap();
            format!("{}={}", service.metadata.name, value.trim_start_matches('v').split('.').next().unwrap())
        }
        other => panic!("{other:?}"),
    };
    objects.values().map(say).collect::<Vec<_>>().join(" ")
}

/// Carries out `changes` on `objects`.
fn change(objects: &mut Objects, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Put(object) => drop(objects.insert(object.key(), object.clone())),
            Change::Delete(key) => drop(objects.remove(key)),
        }
    }
}

/// A directory of files, and somebody who follows them.
struct Followed {
    root: PathBuf,
    _dir: TempDir,
    force: Arc<Notify>,
    changes: mpsc::UnboundedReceiver<(String, Report)>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Followed {
    /// Puts `files` there, reads what `paths` mean and follows them.
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
        for (name, says) in files {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), zone(says)).unwrap();
        }
        let paths: Vec<PathBuf> = paths.iter().map(|path| root.join(path)).collect();
        let sources = read(&paths);
        let (told, changes) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let force = Arc::new(Notify::new());
        let shutdown = async { drop(stopped.await) };
        let mut objects = sources.objects();
        let on_change = move |changes: &[Change], report: &Report| {
            change(&mut objects, changes);
            // The test may have ended.
            let _ = told.send((says(&objects), report.clone()));
        };
        let task = tokio::spawn(watch::follow(sources, options, force.clone(), shutdown, on_change));
        Followed { root, _dir: dir, force, changes, stop: Some(stop), task: Some(task) }
    }

    /// What the next change says, and the names of the files it came from.
    async fn next(&mut self) -> (String, Vec<String>) {
        let next = tokio::time::timeout(DEADLINE, self.changes.recv()).await;
        let (says, report) = next.expect("no change").expect("following ended");
        let name =
            |name: &Arc<str>| Path::new(&**name).strip_prefix(&self.root).unwrap().display().to_string();
        (says, report.changed.iter().map(name).collect())
    }

    /// The next change, which says this: nothing else was handed over before.
    async fn becomes(&mut self, says: &str) {
        assert_eq!(self.next().await.0, says);
    }

    /// Waits for a line of the log about these files.
    async fn logged(&self, what: &str) {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        while self.count_logged(what) == 0 {
            assert!(
                tokio::time::Instant::now() < deadline,
                "nobody logged {what:?} in:\n{}",
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

    /// Replaces a file by one that was whole before.
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

/// Keeps what is logged, as `LEVEL message`.
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
        mod by_looking {
            use super::Mode;
            $(#[tokio::test] async fn $name() { super::$name(Mode::Poll).await })*
        }
    };
}

in_both_modes! {
    async fn a_renamed_file_is_taken_every_time(mode: Mode) {
        let mut files = Followed::new(&[("a.yaml", "x=0")], &["a.yaml"], mode).await;
        let rounds = if mode == Mode::Auto { 30 } else { 3 };
        for round in 1..=rounds {
            files.rename_over("a.yaml", &zone(&format!("x={round}")));
            files.becomes(&format!("x={round}")).await;
        }
        files.end().await;
    }

    async fn a_file_written_in_chunks_is_taken_whole(mode: Mode) {
        // Longer than a busy machine keeps the writer from its next chunk.
        let timings = Timings { quiet: Duration::from_millis(500), quiet_shrunk: Duration::from_secs(2), ..timings(mode) };
        let mut files = Followed::with(&[("a.yaml", "a=1")], &["a.yaml"], Options { mode, timings }).await;
        let whole: Vec<String> = (0..40).map(|at| format!("name-{at:02}=2")).collect();
        let text = zone(&whole.join(" "));
        let mut file = fs::File::create(files.path("a.yaml")).unwrap();
        for chunk in text.as_bytes().chunks(text.len().div_ceil(10)) {
            file.write_all(chunk).unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        files.becomes(&whole.join(" ")).await;
        files.end().await;
    }

    async fn a_stalled_writer_never_gets_half_a_file_served(mode: Mode) {
        let timings = Timings { quiet_shrunk: NEVER, ..timings(mode) };
        let mut files = Followed::with(&[("a.yaml", "a=1 b=1 c=1 d=1 e=1 f=1"), ("y.yaml", "y=1")], &["a.yaml", "y.yaml"], Options { mode, timings }).await;
        let mut file = fs::File::create(files.path("a.yaml")).unwrap();
        // Less than half, and well-formed: it is waited for, while other files are taken.
        file.write_all(zone("a=2").as_bytes()).unwrap();
        for y in [2, 3] {
            files.rename_over("y.yaml", &zone(&format!("y={y}")));
            files.becomes(&format!("a=1 b=1 c=1 d=1 e=1 f=1 y={y}")).await;
        }
        // More than half, and it does not parse: it is told of, and not taken.
        file.write_all(b"  b: v2.example.org\n  c: v2.example.org\n  d: v2.example.org\n  e: [v2").unwrap();
        files.logged("a.yaml:").await;
        files.logged("still serving what it said before").await;
        file.set_len(0).unwrap();
        drop(file);
        files.rename_over("a.yaml", &zone("a=2 b=2"));
        files.becomes("a=2 b=2 y=3").await;
        files.end().await;
    }

    async fn what_cannot_be_served_is_refused_and_told_of(mode: Mode) {
        let mut files = Followed::new(&[("a.yaml", "x=0"), ("other.yaml", "y=0")], &["a.yaml", "other.yaml"], mode).await;
        let table = [
            ("", "nothing in it any more"),
            ("# nothing\n---\n", "nothing in it any more"),
            ("{}", "apiVersion and kind are missing"),
            ("apiVersion: v1\nkind: [\n", "a.yaml:"),
            ("apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {clusterIP: 10.0.0.300}\n", "10.0.0.300"),
            (&zone("UPPER=1"), "UPPER"),
            ("\u{0}\u{1}", "NUL"),
        ];
        for (round, (content, told)) in table.iter().enumerate() {
            files.rename_over("a.yaml", content);
            files.logged(&format!("ERROR {}", files.path("a.yaml").display())).await;
            files.logged(told).await;
            // Files that are fine go on.
            files.rename_over("other.yaml", &zone(&format!("y={}", round + 10)));
            files.becomes(&format!("x={round} y={}", round + 10)).await;
            files.rename_over("a.yaml", &zone(&format!("x={}", round + 1)));
            files.becomes(&format!("x={} y={}", round + 1, round + 10)).await;
        }
        files.end().await;
    }

    async fn an_explicitly_empty_list_is_taken(mode: Mode) {
        let mut files = Followed::new(&[("a.yaml", "x=0")], &["a.yaml"], mode).await;
        files.rename_over("a.yaml", "apiVersion: v1\nkind: List\nitems: []\n");
        files.becomes("").await;
        files.rename_over("a.yaml", &zone("x=1"));
        files.becomes("x=1").await;
        files.end().await;
    }

    async fn a_config_map_is_swapped(mode: Mode) {
        let mut files = Followed::new(&[("mount/..0/a.yaml", "x=0")], &[], Mode::Off).await;
        let root = files.path("mount");
        symlink("..0", root.join("..data")).unwrap();
        symlink("..data/a.yaml", root.join("a.yaml")).unwrap();
        for paths in [["mount/a.yaml"], ["mount"]] {
            let mut mount = Followed::start(&[], &[], Options { mode, timings: timings(mode) }, |_| {
                Sources::read(&paths.map(|path| files.path(path))).0
            });
            for round in 1..=3 {
                let new = format!("..{}-{round}", paths[0].len());
                fs::create_dir(root.join(&new)).unwrap();
                fs::write(root.join(&new).join("a.yaml"), zone(&format!("x={round}"))).unwrap();
                let old = fs::read_link(root.join("..data")).unwrap();
                symlink(&new, root.join("..data_tmp")).unwrap();
                fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
                fs::remove_dir_all(root.join(old)).unwrap();
                mount.root = files.root.clone();
                mount.becomes(&format!("x={round}")).await;
            }
            mount.end().await;
        }
        drop(files.stop.take());
    }

    async fn a_named_file_that_is_missing_is_still_served(mode: Mode) {
        let mut files = Followed::new(&[("a.yaml", "x=0"), ("b.yaml", "y=0")], &["a.yaml", "b.yaml"], mode).await;
        fs::remove_file(files.path("a.yaml")).unwrap();
        files.logged("missing: cannot open").await;
        files.rename_over("b.yaml", &zone("y=1"));
        files.becomes("x=0 y=1").await;
        // The same again is no change.
        fs::write(files.path("a.yaml"), zone("x=0")).unwrap();
        files.logged("is there again").await;
        fs::remove_file(files.path("a.yaml")).unwrap();
        fs::write(files.path("a.yaml"), zone("x=2")).unwrap();
        files.becomes("x=2 y=1").await;
        files.end().await;
    }

    async fn unreadable_is_as_good_as_missing(mode: Mode) {
        let mut files = Followed::new(&[("a.yaml", "x=0")], &["a.yaml"], mode).await;
        let set = |bits| fs::set_permissions(files.path("a.yaml"), std::os::unix::fs::PermissionsExt::from_mode(bits)).unwrap();
        set(0o000);
        if fs::read(files.path("a.yaml")).is_ok() {
            // The superuser reads everything.
            return set(0o644);
        }
        files.logged("cannot open").await;
        set(0o644);
        files.logged("is good again").await;
        files.rename_over("a.yaml", &zone("x=1"));
        files.becomes("x=1").await;
        files.end().await;
    }

    async fn the_directory_around_is_replaced(mode: Mode) {
        // Nobody tells of a directory that is renamed: looking has to do.
        let options = Options { mode, timings: Timings::default() };
        let mut files = Followed::with(&[("zones/a.yaml", "x=0")], &["zones/a.yaml"], options).await;
        for round in 1..=2 {
            fs::rename(files.path("zones"), files.path(&format!("old-{round}"))).unwrap();
            fs::create_dir(files.path("zones")).unwrap();
            fs::write(files.path("zones/a.yaml"), zone(&format!("x={round}"))).unwrap();
            files.becomes(&format!("x={round}")).await;
        }
        // Removed and made again, most likely under the same inode.
        fs::remove_dir_all(files.path("zones")).unwrap();
        files.logged("missing: cannot open").await;
        fs::create_dir(files.path("zones")).unwrap();
        fs::write(files.path("zones/a.yaml"), zone("x=9")).unwrap();
        files.becomes("x=9").await;
        files.rename_over("zones/a.yaml", &zone("x=10"));
        files.becomes("x=10").await;
        files.end().await;
    }

    async fn times_are_not_believed(mode: Mode) {
        let mut files = Followed::new(&[("a.yaml", "x=0")], &["a.yaml"], mode).await;
        let path = files.path("a.yaml");
        let (size, modified) = (fs::metadata(&path).unwrap().size(), fs::metadata(&path).unwrap().modified().unwrap());
        // The same size, inode and time of modification.
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        (&file).write_all(zone("x=1").as_bytes()).unwrap();
        file.set_modified(modified).unwrap();
        drop(file);
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.size(), meta.modified().unwrap()), (size, modified));
        files.becomes("x=1").await;
        // Older than what was there.
        fs::write(files.path("old"), zone("x=2")).unwrap();
        let old = fs::File::options().write(true).open(files.path("old")).unwrap();
        old.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400)).unwrap();
        fs::rename(files.path("old"), &path).unwrap();
        files.becomes("x=2").await;
        files.end().await;
    }

    async fn what_is_no_file_is_refused_and_nothing_hangs(mode: Mode) {
        let mut files = Followed::new(&[("a.yaml", "x=0")], &["a.yaml"], mode).await;
        let path = files.path("a.yaml");
        let make: [(&str, &dyn Fn()); 3] = [
            ("not a regular file", &|| assert!(Command::new("mkfifo").arg(&path).status().unwrap().success())),
            ("not a regular file", &|| fs::create_dir(&path).unwrap()),
            ("larger than", &|| fs::File::create(&path).unwrap().set_len(200 << 20).unwrap()),
        ];
        for (round, (told, make)) in make.into_iter().enumerate() {
            let before = files.count_logged(told);
            fs::remove_file(&path).unwrap();
            make();
            let deadline = tokio::time::Instant::now() + DEADLINE;
            while files.count_logged(told) == before {
                assert!(tokio::time::Instant::now() < deadline, "{told}: {:?}", files.log());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if path.is_dir() { fs::remove_dir(&path).unwrap() } else { fs::remove_file(&path).unwrap() }
            fs::write(&path, zone(&format!("x={}", round + 1))).unwrap();
            files.becomes(&format!("x={}", round + 1)).await;
        }
        files.end().await;
    }

    async fn a_directory_is_followed(mode: Mode) {
        let timings = Timings { absence: Duration::from_millis(500), ..timings(mode) };
        let mut files = Followed::with(&[("zones/a.yaml", "x=0")], &["zones"], Options { mode, timings }).await;
        files.rename_over("zones/m.yaml", &zone("y=0"));
        assert_eq!(files.next().await, ("x=0 y=0".into(), vec!["zones/m.yaml".into()]));
        // Renamed by hand and changed: the new file takes over at once, and nothing is ever missing.
        fs::write(files.path("zones/m.new"), zone("y=1 z=1")).unwrap();
        fs::remove_file(files.path("zones/m.yaml")).unwrap();
        fs::rename(files.path("zones/m.new"), files.path("zones/c.yaml")).unwrap();
        files.becomes("x=0 y=1 z=1").await;
        files.becomes("x=0 y=1 z=1").await;
        files.logged("was deleted").await;
        // Deleted while another remains.
        fs::remove_file(files.path("zones/c.yaml")).unwrap();
        assert_eq!(files.next().await, ("x=0".into(), vec!["zones/c.yaml".into()]));
        // All of them: an accident.
        fs::remove_dir_all(files.path("zones")).unwrap();
        files.logged("still serving what it had").await;
        fs::create_dir(files.path("zones")).unwrap();
        files.rename_over("zones/d.yaml", &zone("d=1"));
        files.becomes("d=1 x=0").await;
        files.becomes("d=1").await;
        files.end().await;
    }

    async fn an_object_moves_from_one_file_to_another(mode: Mode) {
        let mut files = Followed::new(&[("a.yaml", "x=0"), ("b.yaml", "y=0")], &["a.yaml", "b.yaml"], mode).await;
        // First it is in both, and different: the last counts.
        files.rename_over("b.yaml", &zone("x=1 y=1"));
        files.becomes("x=1 y=1").await;
        files.logged("a.yaml:1 already, with other contents: this one counts").await;
        files.rename_over("a.yaml", &zone("w=1"));
        files.becomes("w=1 x=1 y=1").await;
        // Back to the first, which the other says otherwise.
        files.rename_over("a.yaml", &zone("w=1 x=2"));
        files.becomes("w=1 x=1 y=1").await;
        files.logged("b.yaml:1 already, with other contents: that one counts").await;
        files.rename_over("b.yaml", &zone("y=1"));
        files.becomes("w=1 x=2 y=1").await;
        files.end().await;
    }

    async fn what_several_files_say_is_there_while_one_says_it(mode: Mode) {
        let timings = Timings { absence: Duration::from_millis(300), ..timings(mode) };
        let begin = [("zones/a.yaml", "a=0 x=1"), ("zones/b.yaml", "b=0"), ("zones/c.yaml", "c=0")];
        let mut files = Followed::with(&begin, &["zones"], Options { mode, timings }).await;
        // The same in two files is odd, and may be.
        files.rename_over("zones/b.yaml", &zone("b=1 x=1"));
        files.becomes("a=0 b=1 c=0 x=1").await;
        files.logged("WARN").await;
        files.logged("zones/a.yaml:1 already").await;
        // The first says it no more.
        files.rename_over("zones/a.yaml", &zone("a=1"));
        files.becomes("a=1 b=1 c=0 x=1").await;
        // Another says it otherwise, and comes later.
        files.rename_over("zones/c.yaml", &zone("c=1 x=2"));
        files.becomes("a=1 b=1 c=1 x=2").await;
        files.logged("zones/b.yaml:1 already, with other contents: this one counts").await;
        files.rename_over("zones/b.yaml", &zone("b=2"));
        files.becomes("a=1 b=2 c=1 x=2").await;
        fs::remove_file(files.path("zones/c.yaml")).unwrap();
        files.becomes("a=1 b=2").await;
        files.rename_over("zones/a.yaml", &zone("a=2 x=3"));
        files.becomes("a=2 b=2 x=3").await;
        files.end().await;
    }

    async fn nothing_is_served_before_everything_is_good(mode: Mode) {
        let options = Options { mode, timings: timings(mode) };
        let mut files = Followed::start(&[("b.yaml", "y=0")], &["a.yaml", "b.yaml", "zones"], options, |paths| Sources::waiting(paths));
        files.logged("waiting for it").await;
        files.rename_over("a.yaml", "apiVersion: v1\nkind: [\n");
        files.logged("ERROR").await;
        fs::create_dir(files.path("zones")).unwrap();
        files.rename_over("zones/c.yaml", &zone("z=0"));
        files.rename_over("a.yaml", &zone("x=0"));
        assert_eq!(files.next().await, ("x=0 y=0 z=0".into(), ["a.yaml", "b.yaml", "zones/c.yaml"].map(Into::into).to_vec()));
        files.rename_over("a.yaml", &zone("x=1"));
        files.becomes("x=1 y=0 z=0").await;
        files.end().await;
    }

    async fn what_only_a_restart_can_change_is_told_once(mode: Mode) {
        let mut files = Followed::new(&[("a.yaml", "x=0")], &["a.yaml"], mode).await;
        for round in 1..=2 {
            files.rename_over("a.yaml", &(zone(&format!("x={round}")) + "ttl: 7\n"));
            files.becomes(&format!("x={round}")).await;
        }
        assert_eq!(files.count_logged("restart to apply"), 1);
        files.end().await;
    }
}

/// The kernel's clock for times of files ticks every few milliseconds.
#[tokio::test]
async fn a_write_right_after_a_reading_is_seen() {
    let mut files = Followed::new(&[("a.yaml", "x=10")], &["a.yaml"], Mode::Auto).await;
    for round in (11..30).step_by(2) {
        files.rename_over("a.yaml", &zone(&format!("x={round}")));
        let file = fs::File::options().write(true).open(files.path("a.yaml")).unwrap();
        files.becomes(&format!("x={round}")).await;
        (&file).write_all(zone(&format!("x={}", round + 1)).as_bytes()).unwrap();
        files.becomes(&format!("x={}", round + 1)).await;
    }
    files.end().await;
}

#[tokio::test]
async fn a_storm_is_ridden_out() {
    let mut files = Followed::new(&[("a.yaml", "x=0")], &["a.yaml"], Mode::Auto).await;
    let path = files.path("a.yaml");
    let writes = Duration::from_secs(3);
    let writer = tokio::task::spawn_blocking(move || {
        let start = std::time::Instant::now();
        let mut round = 0;
        while start.elapsed() < writes {
            round += 1;
            rename_over(&path, &zone(&format!("x={round}")));
            std::thread::sleep(Duration::from_millis(1));
        }
        format!("x={round}")
    });
    let mut changes = 0;
    let mut last = String::new();
    while !writer.is_finished() {
        match tokio::time::timeout(Duration::from_millis(100), files.next()).await {
            Ok((says, _)) => (changes, last) = (changes + 1, says),
            Err(_) => continue,
        }
    }
    let wanted = writer.await.unwrap();
    while last != wanted {
        (changes, last) = (changes + 1, files.next().await.0);
    }
    assert!((5..=3 * 10 + 3).contains(&changes), "{changes} changes");
    files.end().await;
}

#[tokio::test]
async fn without_following_it_reads_when_it_is_told_to() {
    let mut files = Followed::new(&[("a.yaml", "x=0")], &["a.yaml"], Mode::Off).await;
    files.rename_over("a.yaml", &zone("x=1"));
    for _ in 0..100 {
        files.force.notify_one();
    }
    files.becomes("x=1").await;
    files.rename_over("a.yaml", &zone("x=2"));
    files.force.notify_one();
    files.becomes("x=2").await;
    files.end().await;
}

#[tokio::test]
async fn a_panic_of_whoever_is_told_does_not_end_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.yaml");
    fs::write(&path, zone("x=0 y=0")).unwrap();
    let (sources, _) = Sources::read(std::slice::from_ref(&path));
    let (told, mut changes) = mpsc::unbounded_channel();
    let mut objects = sources.objects();
    let on_change = move |changes: &[Change], _: &Report| {
        let mut changed = objects.clone();
        change(&mut changed, changes);
        let says = says(&changed);
        told.send(says.clone()).unwrap();
        assert_ne!(says, "x=1 y=0", "a bug of somebody else's");
        objects = changed;
    };
    let shutdown = std::future::pending();
    let task = tokio::spawn(watch::follow(sources, Options::default(), Arc::default(), shutdown, on_change));
    for says in ["x=1 y=0", "x=1 y=2"] {
        rename_over(&path, &zone(says));
        let next = tokio::time::timeout(DEADLINE, changes.recv()).await.expect("no change");
        assert_eq!(next.as_deref(), Some(says));
    }
    task.abort();
}

#[tokio::test]
async fn the_first_reading_tells_everything_and_takes_all_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), zone("x=0")).unwrap();
    fs::write(dir.path().join("b.yaml"), "kind: Service\n").unwrap();
    fs::write(dir.path().join("c.yaml"), "apiVersion: v1\nkind: [\n").unwrap();
    let (sources, problems) = Sources::read(&[dir.path().to_path_buf()]);
    let files: Vec<_> = problems.iter().map(|problem| problem.file.rsplit('/').next().unwrap()).collect();
    assert_eq!(files, ["b.yaml", "c.yaml"]);
    assert!(!sources.is_ready() && sources.objects().is_empty());
}

/// Whether this process is the one whose inotify is used up, and that another one waits for.
const EXHAUSTED: &str = "CLUSTERLOCAL_TEST_EXHAUSTED";

/// Uses up the limits of a user namespace of its own, which nobody else is in.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_notifications_left_it_looks() {
    if std::env::var_os(EXHAUSTED).is_some() {
        let options = Options::default();
        let mut files = Followed::with(&[("a.yaml", "x=0")], &["a.yaml"], options).await;
        for says in ["x=1 y=0", "x=1 y=2"] {
            files.rename_over("a.yaml", &zone(says));
            files.becomes(says).await;
        }
        files.end().await;
        let warnings =
            LOG.lock().unwrap().iter().filter(|line| line.contains("looking at them each second")).count();
        return assert_eq!(warnings, 1);
    }
    if !Command::new("unshare").args(["-Ur", "true"]).output().is_ok_and(|output| output.status.success()) {
        return eprintln!("no user namespaces here: not tested");
    }
    for limit in ["max_inotify_instances", "max_inotify_watches"] {
        let script = format!(
            "echo 0 > /proc/sys/user/{limit} && exec \"$0\" --exact without_notifications_left_it_looks"
        );
        let child = Command::new("unshare")
            .args(["-Ur", "sh", "-c", &script])
            .arg(std::env::current_exe().unwrap())
            .env(EXHAUSTED, limit)
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && output.contains("1 passed"), "{limit}: {child:?}");
    }
}
