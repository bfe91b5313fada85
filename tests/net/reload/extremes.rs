//! Cases for one mode: storms of writes, panics, a first reading that fails, and an exhausted inotify.

use super::*;

/// File times have the resolution of the kernel's tick, a few milliseconds.
#[tokio::test]
async fn a_write_right_after_a_reading_is_detected() {
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
async fn a_storm_of_writes_causes_at_most_ten_changes_a_second() {
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
            Ok((content, _)) => (changes, last) = (changes + 1, content),
            Err(_) => continue,
        }
    }
    let expected = writer.await.unwrap();
    while last != expected {
        (changes, last) = (changes + 1, files.next().await.0);
    }
    // Ten a second and the first. Their minimum depends on how often a rename falls between a reading and the following
    // check.
    assert!(changes <= 3 * 10 + 3, "{changes} changes");
    files.end().await;
}

#[tokio::test]
async fn without_following_it_reads_only_on_request() {
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
async fn a_panic_of_the_callback_does_not_end_following() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.yaml");
    fs::write(&path, zone("x=0 y=0")).unwrap();
    let (sources, _) = Sources::read(std::slice::from_ref(&path));
    let (sender, mut changes) = mpsc::unbounded_channel();
    let mut objects = sources.objects();
    let on_change = move |changes: &[Change], _: &Report| {
        let mut changed = objects.clone();
        change(&mut changed, changes);
        let content = content(&changed);
        sender.send(content.clone()).unwrap();
        assert_ne!(content, "x=1 y=0", "a panic of the callback");
        objects = changed;
    };
    let shutdown = std::future::pending();
    let task = tokio::spawn(watch::follow(sources, Options::default(), Arc::default(), shutdown, on_change));
    for content in ["x=1 y=0", "x=1 y=2"] {
        rename_over(&path, &zone(content));
        let next = tokio::time::timeout(DEADLINE, changes.recv()).await.expect("no change");
        assert_eq!(next.as_deref(), Some(content));
    }
    task.abort();
}

#[tokio::test]
async fn the_first_reading_reports_all_problems_and_accepts_all_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), zone("x=0")).unwrap();
    fs::write(dir.path().join("b.yaml"), "kind: Service\n").unwrap();
    fs::write(dir.path().join("c.yaml"), "apiVersion: v1\nkind: [\n").unwrap();
    let (sources, problems) = Sources::read(&[dir.path().to_path_buf()]);
    let files: Vec<_> = problems.iter().map(|problem| problem.file.rsplit('/').next().unwrap()).collect();
    assert_eq!(files, ["b.yaml", "c.yaml"]);
    assert!(!sources.is_ready() && sources.objects().is_empty());
}

/// Set in the child process whose inotify is exhausted.
const EXHAUSTED: &str = "CLUSTERLOCAL_TEST_EXHAUSTED";

/// Exhausts the limits of a user namespace of its own, which no other process uses.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_notifications_it_polls() {
    if std::env::var_os(EXHAUSTED).is_some() {
        let options = Options::default();
        let mut files = Followed::with(&[("a.yaml", "x=0")], &["a.yaml"], options).await;
        for content in ["x=1 y=0", "x=1 y=2"] {
            files.rename_over("a.yaml", &zone(content));
            files.becomes(content).await;
        }
        files.end().await;
        let warnings = LOG.lock().unwrap().iter().filter(|line| line.contains("polling each second")).count();
        return assert_eq!(warnings, 1);
    }
    if !Command::new("unshare").args(["-Ur", "true"]).output().is_ok_and(|output| output.status.success()) {
        return eprintln!("no user namespaces here: not tested");
    }
    for limit in ["max_inotify_instances", "max_inotify_watches"] {
        let script = format!(
            "echo 0 > /proc/sys/user/{limit} && exec \"$0\" --exact reload::extremes::without_notifications_it_polls"
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
