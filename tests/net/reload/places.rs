//! Directories, links and several files: which of them count, and what becomes of objects that move.

use super::*;

in_both_modes! {
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
}
