//! Directories, links and several files: which of them are served, and how objects move between them.

use super::*;

in_both_modes! {
    async fn an_update_of_a_mounted_config_map_is_served(mode: Mode) {
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

    async fn a_named_file_that_is_deleted_is_still_served(mode: Mode) {
        let mut files = Followed::new(&[("a.yaml", "x=0"), ("b.yaml", "y=0")], &["a.yaml", "b.yaml"], mode).await;
        fs::remove_file(files.path("a.yaml")).unwrap();
        files.logged("missing: cannot open").await;
        files.rename_over("b.yaml", &zone("y=1"));
        files.becomes("x=0 y=1").await;
        // The same content is no change.
        fs::write(files.path("a.yaml"), zone("x=0")).unwrap();
        files.logged("exists again").await;
        fs::remove_file(files.path("a.yaml")).unwrap();
        fs::write(files.path("a.yaml"), zone("x=2")).unwrap();
        files.becomes("x=2 y=1").await;
        files.end().await;
    }

    async fn an_unreadable_file_counts_as_missing(mode: Mode) {
        let mut files = Followed::new(&[("a.yaml", "x=0")], &["a.yaml"], mode).await;
        let set = |bits| fs::set_permissions(files.path("a.yaml"), std::os::unix::fs::PermissionsExt::from_mode(bits)).unwrap();
        set(0o000);
        if fs::read(files.path("a.yaml")).is_ok() {
            // The superuser reads everything.
            return set(0o644);
        }
        files.logged("cannot open").await;
        set(0o644);
        files.logged("is served again").await;
        files.rename_over("a.yaml", &zone("x=1"));
        files.becomes("x=1").await;
        files.end().await;
    }

    async fn a_replaced_parent_directory_is_followed(mode: Mode) {
        // There is no notification when a watched directory is renamed: only polling detects it.
        let options = Options { mode, timings: Timings::default() };
        let mut files = Followed::with(&[("zones/a.yaml", "x=0")], &["zones/a.yaml"], options).await;
        for round in 1..=2 {
            fs::rename(files.path("zones"), files.path(&format!("old-{round}"))).unwrap();
            fs::create_dir(files.path("zones")).unwrap();
            fs::write(files.path("zones/a.yaml"), zone(&format!("x={round}"))).unwrap();
            files.becomes(&format!("x={round}")).await;
        }
        // Removed and created again, most likely with the same inode.
        fs::remove_dir_all(files.path("zones")).unwrap();
        files.logged("missing: cannot open").await;
        fs::create_dir(files.path("zones")).unwrap();
        fs::write(files.path("zones/a.yaml"), zone("x=9")).unwrap();
        files.becomes("x=9").await;
        files.rename_over("zones/a.yaml", &zone("x=10"));
        files.becomes("x=10").await;
        files.end().await;
    }

    async fn created_renamed_and_deleted_files_of_a_directory_are_followed(mode: Mode) {
        let timings = Timings { absence: Duration::from_millis(500), ..timings(mode) };
        let mut files = Followed::with(&[("zones/a.yaml", "x=0")], &["zones"], Options { mode, timings }).await;
        files.rename_over("zones/m.yaml", &zone("y=0"));
        assert_eq!(files.next().await, ("x=0 y=0".into(), vec!["zones/m.yaml".into()]));
        // Renamed and changed: the new file takes over at once, and no object is missing in between.
        fs::write(files.path("zones/m.new"), zone("y=1 z=1")).unwrap();
        fs::remove_file(files.path("zones/m.yaml")).unwrap();
        fs::rename(files.path("zones/m.new"), files.path("zones/c.yaml")).unwrap();
        files.becomes("x=0 y=1 z=1").await;
        files.becomes("x=0 y=1 z=1").await;
        files.logged("was deleted").await;
        // Deleted while another file remains.
        fs::remove_file(files.path("zones/c.yaml")).unwrap();
        assert_eq!(files.next().await, ("x=0".into(), vec!["zones/c.yaml".into()]));
        // All files deleted: an accident.
        fs::remove_dir_all(files.path("zones")).unwrap();
        files.logged("its previous content is still served").await;
        fs::create_dir(files.path("zones")).unwrap();
        files.rename_over("zones/d.yaml", &zone("d=1"));
        files.becomes("d=1 x=0").await;
        files.becomes("d=1").await;
        files.end().await;
    }

    async fn an_object_moves_from_one_file_to_another(mode: Mode) {
        let mut files = Followed::new(&[("a.yaml", "x=0"), ("b.yaml", "y=0")], &["a.yaml", "b.yaml"], mode).await;
        // At first it is in both, with other contents: the last one is used.
        files.rename_over("b.yaml", &zone("x=1 y=1"));
        files.becomes("x=1 y=1").await;
        files.logged("a.yaml:1, with other contents: this one is used").await;
        files.rename_over("a.yaml", &zone("w=1"));
        files.becomes("w=1 x=1 y=1").await;
        // Back in the first file, with other contents than in the second.
        files.rename_over("a.yaml", &zone("w=1 x=2"));
        files.becomes("w=1 x=1 y=1").await;
        files.logged("b.yaml:1, with other contents: that one is used").await;
        files.rename_over("b.yaml", &zone("y=1"));
        files.becomes("w=1 x=2 y=1").await;
        files.end().await;
    }

    async fn an_object_in_several_files_exists_until_the_last_one_drops_it(mode: Mode) {
        let timings = Timings { absence: Duration::from_millis(300), ..timings(mode) };
        let begin = [("zones/a.yaml", "a=0 x=1"), ("zones/b.yaml", "b=0"), ("zones/c.yaml", "c=0")];
        let mut files = Followed::with(&begin, &["zones"], Options { mode, timings }).await;
        // The same object in two files is a warning.
        files.rename_over("zones/b.yaml", &zone("b=1 x=1"));
        files.becomes("a=0 b=1 c=0 x=1").await;
        files.logged("WARN").await;
        files.logged("zones/a.yaml:1").await;
        // The first file drops it.
        files.rename_over("zones/a.yaml", &zone("a=1"));
        files.becomes("a=1 b=1 c=0 x=1").await;
        // A later file has other contents.
        files.rename_over("zones/c.yaml", &zone("c=1 x=2"));
        files.becomes("a=1 b=1 c=1 x=2").await;
        files.logged("zones/b.yaml:1, with other contents: this one is used").await;
        files.rename_over("zones/b.yaml", &zone("b=2"));
        files.becomes("a=1 b=2 c=1 x=2").await;
        fs::remove_file(files.path("zones/c.yaml")).unwrap();
        files.becomes("a=1 b=2").await;
        files.rename_over("zones/a.yaml", &zone("a=2 x=3"));
        files.becomes("a=2 b=2 x=3").await;
        files.end().await;
    }

    async fn nothing_is_served_until_all_files_are_good(mode: Mode) {
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
