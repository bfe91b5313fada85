//! The files of directories.

use std::fs;
use std::path::Path;

use crate::manifest::{self, Found, Input, Inputs, Severity};

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {ports: [{port: 1}]}\n";

/// The names of the files read below `root`, and the problems: `E` or `W`, message, help.
fn found(root: &Path, recursive: bool, strict: bool) -> (Vec<String>, Vec<String>) {
    let inputs = Inputs { paths: vec![root.into()], recursive, ..Inputs::default() };
    let (inputs, problems) = match if strict { manifest::find(&inputs) } else { manifest::find_any(&inputs) }
    {
        Ok(Found { inputs, warnings }) => (inputs, warnings),
        Err(problems) => (Vec::new(), problems),
    };
    let shown = |text: &str| text.replace(&root.display().to_string(), "DIR");
    let names = inputs.iter().map(|input| match input {
        Input::Listed(path) => shown(&path.display().to_string()),
        other => format!("{other:?}"),
    });
    let shown = problems.iter().map(|problem| {
        let severity = if problem.severity == Severity::Error { "E" } else { "W" };
        format!(
            "{severity} {}; {}",
            shown(&problem.message),
            shown(problem.help.as_deref().unwrap_or_default())
        )
    });
    (names.collect(), shown.collect())
}

#[test]
fn the_manifests_of_a_directory_are_found() {
    /// Files; -R; the files read; the problems, and those for verbs that need objects, if there are more.
    type Row<'a> = (&'a [&'a str], bool, &'a [&'a str], &'a [&'a str], &'a [&'a str]);
    let table: &[Row<'_>] = &[
        (
            &["b.yml", "a.yaml", "c.json", "d.txt", ".e.yaml"],
            false,
            &["DIR/a.yaml", "DIR/b.yml", "DIR/c.json"],
            &[],
            &[],
        ),
        (&[], false, &[], &[], &["E directory without manifests; put files called"]),
        // Subdirectories with manifests are named, where they are not read.
        (
            &["app/svc.yaml", "app/set.yaml", "db/x/svc.yaml", "docs/notes.txt"],
            false,
            &[],
            &[
                "W manifests in subdirectories are not read: app (2 files), db/x (1 file); -R reads the subdirectories",
            ],
            &[
                "E manifests in subdirectories are not read: app (2 files), db/x (1 file); -R reads the subdirectories",
            ],
        ),
        (
            &["a.yaml", "app/svc.yaml"],
            false,
            &["DIR/a.yaml"],
            &["W manifests in subdirectories are not read: app (1 file); -R"],
            &["W manifests in subdirectories are not read: app (1 file); -R"],
        ),
        (&["a.yaml", "app/story.yaml", "app/values.yaml", ".git/x.yaml"], false, &["DIR/a.yaml"], &[], &[]),
        (
            &["b.yaml", "b/a.yaml", "a/c/d.yaml", "a/.hidden/e.yaml", "z.yaml/f.yaml"],
            true,
            &["DIR/a/c/d.yaml", "DIR/b/a.yaml", "DIR/b.yaml", "DIR/z.yaml/f.yaml"],
            &[],
            &[],
        ),
        // Files that have to be rendered.
        (
            &["kustomization.yaml", "svc.yaml"],
            false,
            &[],
            &["E has a kustomization.yaml, which changes the files next to it; render it: -k DIR"],
            &["E has a kustomization.yaml, which changes the files next to it; render it: -k DIR"],
        ),
        (
            &["Kustomization", "svc.yaml"],
            false,
            &[],
            &["E has a Kustomization,"],
            &["E has a Kustomization,"],
        ),
        (
            &["a.yaml", "overlays/prod/kustomization.yml"],
            true,
            &[],
            &[
                "E has a kustomization.yml, which changes the files next to it; render it: -k DIR/overlays/prod",
            ],
            &["E has a kustomization.yml,"],
        ),
        (
            &["base/svc.yaml", "base/kustomization.yaml", "overlays/prod/kustomization.yaml"],
            false,
            &[],
            &[
                "W manifests in subdirectories are not read: base (1 file); -k DIR/base renders a kustomization; -R reads",
            ],
            &[
                "E manifests in subdirectories are not read: base (1 file); -k DIR/base renders a kustomization; -R reads",
            ],
        ),
        (
            &["Chart.yaml", "values.yaml", "templates/svc.yaml"],
            false,
            &[],
            &[
                "E is a Helm chart, which has to be rendered; render it: helm template NAME DIR | clusterlocal serve -",
            ],
            &["E is a Helm chart,"],
        ),
        (
            &["a.yaml", "charts/db/Chart.yaml", "charts/db/templates/svc.yaml"],
            true,
            &["DIR/a.yaml"],
            &[
                "W skipped, a Helm chart: DIR/charts/db; render it: helm template NAME DIR/charts/db | clusterlocal",
            ],
            &["W skipped, a Helm chart:"],
        ),
        (
            &["chart/Chart.yaml", "chart/values.yaml"],
            false,
            &[],
            &[
                "W manifests in subdirectories are not read: chart; -R reads the subdirectories; render it: helm template NAME DIR/chart",
            ],
            &["E manifests in subdirectories are not read: chart"],
        ),
    ];
    for (files, recursive, read, expected, expected_strictly) in table {
        let dir = tempfile::tempdir().unwrap();
        for name in *files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = match path.file_name().unwrap().to_str().unwrap() {
                "values.yaml" => "replicas: 3\n",
                "story.yaml" => {
                    "apiVersion: clusterlocal.dev/v1\nkind: Scenario\n---\napiVersion: v1\nkind: Service\n"
                }
                _ => SERVICE,
            };
            fs::write(path, text).unwrap();
        }
        for (strict, expected) in [(false, expected), (true, expected_strictly)] {
            let (names, shown) = found(dir.path(), *recursive, strict);
            if shown.iter().all(|line| line.starts_with('W')) {
                assert_eq!(names, *read, "{files:?}");
            }
            assert_eq!(shown.len(), expected.len(), "{files:?}: {shown:#?}");
            for (line, part) in shown.iter().zip(*expected) {
                assert!(line.starts_with(part), "{files:?}: {line} is not {part}");
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn loops_of_links_end_and_a_config_map_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir_all(path("..2026")).unwrap();
    fs::write(path("..2026/a.yaml"), SERVICE).unwrap();
    std::os::unix::fs::symlink("..2026", path("..data")).unwrap();
    std::os::unix::fs::symlink("..data/a.yaml", path("a.yaml")).unwrap();
    std::os::unix::fs::symlink(".", path("round")).unwrap();
    assert_eq!(found(dir.path(), true, true), (vec!["DIR/a.yaml".into()], vec![]));
}
