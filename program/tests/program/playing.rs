//! `play`: stories, what is told of them, and how they end.

use super::{Directory, run};

const STORY: &str = "\
apiVersion: clusterlocal.dev/v1
kind: Scenario
metadata: {name: restart}
sees: A pod comes back elsewhere.
steps:
- {ask: db-1.db A, as: first, says: db-1}
- {at: 10s, restart: db-1}
- {remember: first, says: db-1 (gone)}
expect:
- {queries: {type: ANY}, atMost: 0}
---
apiVersion: clusterlocal.dev/v1
kind: Topology
sets: {db: {replicas: 3, ports: {peer: 7000}}}
";

#[test]
fn a_story_is_told_and_passes() {
    let directory = Directory::with(&[("story.yaml", STORY)]);
    let played = run(&mut directory.program("play story.yaml --junit report.xml"));
    assert_eq!((played.code, played.stderr.as_str()), (Some(0), ""), "{}", played.stdout);
    let lines: Vec<_> =
        played.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected = [
        "restart: A pod comes back elsewhere.",
        "0s ask db-1.db A db-1",
        "10s restart db-1",
        "- db-1.db.default 127.244.78.2",
        "+ db-1.db.default 127.244.78.4",
        "10s remember first db-1 (gone)",
        "10s no queries of type ANY",
    ];
    assert_eq!(lines[..7], expected);
    assert!(lines[7].starts_with("passed in ") && lines.len() == 8, "{lines:?}");
    let report = std::fs::read_to_string(directory.path("report.xml")).unwrap();
    assert!(
        report.contains("<testsuite name=\"restart\" tests=\"4\"") && report.contains("failures=\"0\""),
        "{report}"
    );
}

/// (what is changed in the story, exit code, what is said)
#[test]
fn what_comes_of_a_story_is_the_exit_code() {
    let table = [
        ("says: db-1}", "says: db-2}", 1, "FAILED (line 6): should say: db-2\n"),
        ("atMost: 0", "atLeast: 1", 1, "FAILED (line 10): 0 queries were asked\n"),
        ("restart: db-1", "restart: db-9", 1, "there is no Pod default/db-9; there is db-0, db-1, db-2"),
        ("restart: db-1", "restrat: db-1", 2, "did you mean `restart`?"),
        ("kind: Scenario", "kind: Senario", 2, "did you mean `Scenario`?"),
        ("sets: {db:", "setz: {db:", 2, "unknown field `setz`"),
    ];
    for (from, to, code, expected) in table {
        let directory = Directory::with(&[("story.yaml", &STORY.replacen(from, to, 1))]);
        let played = run(&mut directory.program("play story.yaml"));
        assert_eq!(played.code, Some(code), "{to}: {}{}", played.stdout, played.stderr);
        assert!(
            format!("{}{}", played.stdout, played.stderr).contains(expected),
            "{to}: {}{}",
            played.stdout,
            played.stderr
        );
    }
    let directory =
        Directory::with(&[("cluster.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n")]);
    let played = run(&mut directory.program("play cluster.yaml"));
    assert_eq!(
        (played.code, played.stderr.as_str()),
        (Some(2), "error: cluster.yaml: there is no Scenario in it\n")
    );
}

/// What is tested is started with the server's address, and what it asks is what the story is about.
#[test]
fn a_program_is_tested_by_a_story() {
    let story = STORY.replace("steps:", "clock: 1000x\nsteps:").replace(
        "{queries: {type: ANY}, atMost: 0}",
        "{queries: {name: nope, type: A}, atLeast: 1, within: 3h}",
    );
    let directory = Directory::with(&[("story.yaml", &story)]);
    // A query for `nope.`, as bytes.
    let ask = "import os, socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); \
               s.sendto(b'\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4nope\\0\\0\\1\\0\\1', \
               (os.environ['CLUSTERLOCAL_DNS_HOST'], int(os.environ['CLUSTERLOCAL_DNS_PORT'])))";
    let mut command = directory.program("play story.yaml --");
    command.args(["python3", "-c", ask]);
    let played = run(&mut command);
    assert_eq!((played.code, played.stderr.as_str()), (Some(0), ""), "{}", played.stdout);
    let mut command = directory.program("play story.yaml --");
    let failed = run(command.arg("./no-such-program"));
    assert_eq!(failed.code, Some(2));
    assert!(failed.stderr.starts_with("error: cannot start ./no-such-program: "), "{}", failed.stderr);
}
