//! A single file: its content is accepted as a whole, or refused with the reason.

use super::*;

in_both_modes! {
    async fn every_replacement_by_a_rename_is_served(mode: Mode) {
        let mut files = Followed::new(&[("a.yaml", "x=0")], &["a.yaml"], mode).await;
        let rounds = if mode == Mode::Auto { 30 } else { 3 };
        for round in 1..=rounds {
            files.rename_over("a.yaml", &zone(&format!("x={round}")));
            files.becomes(&format!("x={round}")).await;
        }
        files.end().await;
    }

    async fn a_file_written_in_chunks_is_served_only_when_complete(mode: Mode) {
        // Longer than a busy machine delays the writer's next chunk.
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

    async fn an_incomplete_file_of_a_stalled_writer_is_not_served(mode: Mode) {
        let timings = Timings { quiet_shrunk: NEVER, ..timings(mode) };
        let mut files = Followed::with(&[("a.yaml", "a=1 b=1 c=1 d=1 e=1 f=1"), ("y.yaml", "y=1")], &["a.yaml", "y.yaml"], Options { mode, timings }).await;
        let mut file = fs::File::create(files.path("a.yaml")).unwrap();
        // Less than half of the size, and well-formed: it is not read yet, while other files are served.
        file.write_all(zone("a=2").as_bytes()).unwrap();
        for y in [2, 3] {
            files.rename_over("y.yaml", &zone(&format!("y={y}")));
            files.becomes(&format!("a=1 b=1 c=1 d=1 e=1 f=1 y={y}")).await;
        }
        // More than half of the size, and malformed: it is reported and not served.
        file.write_all(b"  b: v2.example.org\n  c: v2.example.org\n  d: v2.example.org\n  e: [v2").unwrap();
        files.logged("a.yaml:").await;
        files.logged("its previous content is still served").await;
        file.set_len(0).unwrap();
        drop(file);
        files.rename_over("a.yaml", &zone("a=2 b=2"));
        files.becomes("a=2 b=2 y=3").await;
        files.end().await;
    }

    async fn malformed_content_is_refused_and_logged(mode: Mode) {
        let mut files = Followed::new(&[("a.yaml", "x=0"), ("other.yaml", "y=0")], &["a.yaml", "other.yaml"], mode).await;
        let table = [
            ("", "is empty now"),
            ("# nothing\n---\n", "is empty now"),
            ("{}", "apiVersion and kind are missing"),
            ("apiVersion: v1\nkind: [\n", "a.yaml:"),
            ("apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {clusterIP: 10.0.0.300}\n", "10.0.0.300"),
            (&zone("UPPER=1"), "UPPER"),
            ("\u{0}\u{1}", "NUL"),
        ];
        for (round, (content, message)) in table.iter().enumerate() {
            files.rename_over("a.yaml", content);
            files.logged(&format!("ERROR {}", files.path("a.yaml").display())).await;
            files.logged(message).await;
            // Other files are still served.
            files.rename_over("other.yaml", &zone(&format!("y={}", round + 10)));
            files.becomes(&format!("x={round} y={}", round + 10)).await;
            files.rename_over("a.yaml", &zone(&format!("x={}", round + 1)));
            files.becomes(&format!("x={} y={}", round + 1, round + 10)).await;
        }
        files.end().await;
    }

    async fn an_explicitly_empty_list_is_served(mode: Mode) {
        let mut files = Followed::new(&[("a.yaml", "x=0")], &["a.yaml"], mode).await;
        files.rename_over("a.yaml", "apiVersion: v1\nkind: List\nitems: []\n");
        files.becomes("").await;
        files.rename_over("a.yaml", &zone("x=1"));
        files.becomes("x=1").await;
        files.end().await;
    }

    async fn a_change_is_detected_whatever_the_modification_time(mode: Mode) {
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
        // Older than the previous content.
        fs::write(files.path("old"), zone("x=2")).unwrap();
        let old = fs::File::options().write(true).open(files.path("old")).unwrap();
        old.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400)).unwrap();
        fs::rename(files.path("old"), &path).unwrap();
        files.becomes("x=2").await;
        files.end().await;
    }

    async fn other_kinds_of_files_are_refused_without_blocking(mode: Mode) {
        let mut files = Followed::new(&[("a.yaml", "x=0")], &["a.yaml"], mode).await;
        let path = files.path("a.yaml");
        let make: [(&str, &dyn Fn()); 3] = [
            ("not a regular file", &|| assert!(Command::new("mkfifo").arg(&path).status().unwrap().success())),
            ("not a regular file", &|| fs::create_dir(&path).unwrap()),
            ("larger than", &|| fs::File::create(&path).unwrap().set_len(200 << 20).unwrap()),
        ];
        for (round, (message, make)) in make.into_iter().enumerate() {
            let before = files.count_logged(message);
            fs::remove_file(&path).unwrap();
            make();
            let deadline = tokio::time::Instant::now() + DEADLINE;
            while files.count_logged(message) == before {
                assert!(tokio::time::Instant::now() < deadline, "{message}: {:?}", files.log());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if path.is_dir() { fs::remove_dir(&path).unwrap() } else { fs::remove_file(&path).unwrap() }
            fs::write(&path, zone(&format!("x={}", round + 1))).unwrap();
            files.becomes(&format!("x={}", round + 1)).await;
        }
        files.end().await;
    }

    async fn a_change_that_requires_a_restart_is_logged_once(mode: Mode) {
        let mut files = Followed::new(&[("a.yaml", "x=0")], &["a.yaml"], mode).await;
        for round in 1..=2 {
            files.rename_over("a.yaml", &(zone(&format!("x={round}")) + "ttl: 7\n"));
            files.becomes(&format!("x={round}")).await;
        }
        assert_eq!(files.count_logged("restart to apply"), 1);
        files.end().await;
    }
}
