//! `play`: scenarios, their reports, and their exit codes.

use super::{Directory, run};

const SCENARIO: &str = "\
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
fn a_scenario_is_reported_and_passes() {
    let directory = Directory::with(&[("scenario.yaml", SCENARIO)]);
    let played = run(&mut directory.program("play scenario.yaml --junit report.xml"));
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

/// Question and answer: names with fewer than five dots are completed by the search list of a pod in `default`, or in the
/// namespace of the pod that sends the query.
#[test]
fn short_names_are_completed_as_in_a_pod() {
    let table = [
        ("ask: db-client A", "svc/db-client"),
        ("ask: db-client.default A", "svc/db-client"),
        ("ask: db-client.default.svc A", "svc/db-client"),
        ("ask: db-client.default.svc.cluster.local A", "svc/db-client"),
        ("ask: db-client.default.svc.cluster.local. A", "svc/db-client"),
        ("ask: _peer._tcp.db.default SRV", "db-0:7000"),
        ("ask: db-client.other A", "NXDOMAIN"),
        ("ask: db-client.default. A", "NXDOMAIN"),
        ("ask: db-client.default AAAA", "NODATA"),
    ];
    for (ask, answer) in table {
        let scenario = SCENARIO.replace(
            "ask: db-1.db A, as: first, says: db-1}",
            &format!("{ask}, as: first, says: '{answer}'}}"),
        );
        let scenario = scenario.replace("- {remember: first, says: db-1 (gone)}\n", "");
        let scenario = scenario
            .replace("replicas: 3, ports", "replicas: 1, client: db-client, ports")
            .replace("restart: db-1", "restart: db-0");
        let directory = Directory::with(&[("scenario.yaml", &scenario)]);
        let played = run(&mut directory.program("play scenario.yaml"));
        assert_eq!(played.code, Some(0), "{ask}: {}{}", played.stdout, played.stderr);
    }
}

/// Change of the scenario, exit code, message.
#[test]
fn the_result_of_a_scenario_decides_the_exit_code() {
    let table = [
        ("says: db-1}", "says: db-2}", 1, "FAILED (line 6): expected: db-2\n"),
        ("atMost: 0", "atLeast: 1", 1, "FAILED (line 10): there were 0 queries\n"),
        ("restart: db-1", "restart: db-9", 1, "Pod default/db-9 does not exist; existing: db-0, db-1, db-2"),
        ("restart: db-1", "restrat: db-1", 2, "did you mean `restart`?"),
        ("kind: Scenario", "kind: Senario", 2, "did you mean `Scenario`?"),
        ("sets: {db:", "setz: {db:", 2, "unknown field `setz`"),
    ];
    for (from, to, code, expected) in table {
        let directory = Directory::with(&[("scenario.yaml", &SCENARIO.replacen(from, to, 1))]);
        let played = run(&mut directory.program("play scenario.yaml"));
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
        (Some(2), "error: cluster.yaml: has no object of kind Scenario\n")
    );
}

/// Element, its required attributes, and its optional ones, in the schema of Jenkins' xUnit plugin (`junit-10.xsd`). GitLab
/// reads `name`, `classname`, `file`, `time` of a case, and the text of a failure.
const JUNIT: [(&str, &str, &str); 4] = [
    ("testsuites", "", "name time tests failures errors"),
    (
        "testsuite",
        "name tests failures errors",
        "group time skipped timestamp hostname id package file log url",
    ),
    ("testcase", "name", "time classname group"),
    ("failure", "", "type message"),
];

#[test]
fn the_junit_report_is_valid_for_jenkins_and_gitlab_and_has_the_time_of_each_case() {
    let scenario = SCENARIO.replace("says: db-1}", "says: db-2}");
    let directory = Directory::with(&[("scenario.yaml", &scenario)]);
    assert_eq!(run(&mut directory.program("play scenario.yaml --junit report.xml")).code, Some(1));
    let report = std::fs::read_to_string(directory.path("report.xml")).unwrap();
    let mut cases = 0;
    for tag in report.split('<').skip(1).filter(|tag| !tag.starts_with(['?', '/'])) {
        let (tag, _) = tag.split_once('>').unwrap();
        let (element, attributes) = tag.split_once([' ', '\n']).unwrap_or((tag, ""));
        let Some((_, required, optional)) = JUNIT.iter().find(|(name, ..)| *name == element) else {
            panic!("{element} is not in the schema: {report}");
        };
        let pieces: Vec<&str> = attributes.split('"').collect();
        let has: Vec<(&str, &str)> =
            pieces.chunks_exact(2).map(|pair| (pair[0].trim().trim_end_matches('='), pair[1])).collect();
        for (name, value) in &has {
            let is_known = required.split(' ').chain(optional.split(' ')).any(|known| known == *name);
            assert!(is_known, "{element}/@{name} is not in the schema: {report}");
            let is_time = value.split_once('.').is_some_and(|(whole, part)| {
                whole.len() <= 3 && part.len() == 3 && value.bytes().all(|b| b == b'.' || b.is_ascii_digit())
            });
            assert!(*name != "time" || is_time, "{element}/@time {value}");
        }
        let names: Vec<&str> = has.iter().map(|(name, _)| *name).collect();
        assert!(
            required.split_whitespace().all(|name| names.contains(&name)),
            "{element} {names:?}: {report}"
        );
        if element == "testcase" {
            assert!(names.contains(&"time") && names.contains(&"classname"), "{tag}");
            cases += 1;
        }
    }
    assert_eq!(cases, 4, "{report}");
}

/// The tested command is started with the server's address, and its queries meet the scenario's expectations.
#[test]
fn a_command_is_tested_by_a_scenario() {
    let scenario = SCENARIO.replace("steps:", "clock: 1000x\nsteps:").replace(
        "{queries: {type: ANY}, atMost: 0}",
        "{queries: {name: nope, type: A}, atLeast: 1, within: 3h}",
    );
    let directory = Directory::with(&[("scenario.yaml", &scenario)]);
    // A query for `nope.`, as bytes.
    let ask = "import os, socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); \
               s.sendto(b'\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4nope\\0\\0\\1\\0\\1', \
               (os.environ['CLUSTERLOCAL_DNS_HOST'], int(os.environ['CLUSTERLOCAL_DNS_PORT'])))";
    let mut command = directory.program("play scenario.yaml --");
    command.args(["python3", "-c", ask]);
    let played = run(&mut command);
    assert_eq!((played.code, played.stderr.as_str()), (Some(0), ""), "{}", played.stdout);
    let mut command = directory.program("play scenario.yaml --");
    let failed = run(command.arg("./no-such-program"));
    assert_eq!(failed.code, Some(2));
    assert!(failed.stderr.starts_with("error: cannot start ./no-such-program: "), "{}", failed.stderr);
}

/// Whether a process runs, and is not a zombie.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// Command, exit code, message.
#[test]
#[cfg(target_os = "linux")]
fn a_scenario_fails_with_its_command() {
    let directory = Directory::with(&[("scenario.yaml", SCENARIO)]);
    let table = [
        ("exit 0", 0, "passed in"),
        ("exit 3", 1, "FAILED: sh ended with exit code 3"),
        ("kill -KILL $$", 1, "FAILED: sh was ended by SIGKILL"),
        // Stopped at the end of the scenario, with a handler of its own.
        ("trap 'exit 7' TERM; while :; do sleep 0.05; done", 0, "passed in"),
    ];
    for (script, code, message) in table {
        let mut command = directory.program("play scenario.yaml --junit report.xml -- sh -c");
        let played = run(command.arg(script));
        assert_eq!(played.code, Some(code), "{script}: {played:?}");
        assert!(played.stdout.contains(message), "{script}: {}", played.stdout);
        let report = std::fs::read_to_string(directory.path("report.xml")).expect("a report");
        assert!(
            report.contains("name=\"command sh\"") && report.contains(&format!("failures=\"{code}\"")),
            "{report}"
        );
    }
}

/// Processes that the command has started end with it, even in other sessions; no others do.
#[test]
#[cfg(target_os = "linux")]
fn processes_of_a_command_end_with_it() {
    let directory = Directory::with(&[("scenario.yaml", SCENARIO)]);
    let mut other = std::process::Command::new("sleep").arg("300").spawn().expect("sleep");
    // One that ignores SIGTERM, of a command that has ended; one of a command that runs.
    let table = [
        "sh -c 'trap \"\" TERM; echo $$ > child; while :; do sleep 1; done' & while [ ! -s child ]; do sleep 0.01; done",
        "sleep 300 & echo $! > child; wait",
    ];
    for script in table {
        _ = std::fs::remove_file(directory.path("child"));
        let played = run(directory.program("play scenario.yaml -- sh -c").arg(script));
        assert_eq!(played.code, Some(0), "{script}: {played:?}");
        let child = std::fs::read_to_string(directory.path("child")).expect("a process id");
        assert!(super::soon(|| !runs(&child)), "{script}: {child} still runs");
    }
    assert!(runs(&other.id().to_string()), "another process was ended");
    // Signals end it as well, although the terminal's do not reach it.
    let slow = SCENARIO.replace("steps:", "clock: 1x\nsteps:");
    directory.save("scenario.yaml", &slow);
    _ = std::fs::remove_file(directory.path("child"));
    let mut command = directory.program("play scenario.yaml -- sh -c");
    let mut played =
        command.arg(table[1]).stdout(std::process::Stdio::null()).spawn().expect("the program starts");
    assert!(super::soon(
        || std::fs::read_to_string(directory.path("child")).is_ok_and(|text| text.ends_with('\n'))
    ));
    let child = std::fs::read_to_string(directory.path("child")).expect("a process id");
    super::kill(super::Pid::from_raw(played.id().cast_signed()), super::Signal::SIGTERM).expect("a signal");
    assert_eq!(super::wait(&mut played).code(), Some(143));
    assert!(super::soon(|| !runs(&child)), "{child} still runs");
    other.kill().expect("a child of ours");
    other.wait().expect("a child of ours");
}
