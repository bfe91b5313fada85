//! `clusterlocal check`: its output and exit codes.

use std::fs;
use std::path::Path;

use super::common::ring;
use super::one_run::{Output, run, run_with_input};

const GOOD: &str = concat!(
    ring!("sql", 5432, "containers: [{name: c, image: i, ports: [{containerPort: 5432}]}]"),
    "---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
"
);

fn check(arguments: &[&str], input: &str) -> Output {
    let all: Vec<&str> = ["check"].iter().chain(arguments).chain(&["-"]).copied().collect();
    run_with_input(&all, input)
}

#[test]
fn a_run_without_findings_prints_one_line() {
    let output = check(&[], GOOD);
    assert_eq!((output.code, &*output.stderr), (0, ""));
    assert_eq!(output.stdout, "no problems; 2 objects read, 1 skipped (1 Role)\n");
}

#[test]
fn findings_are_rendered_at_their_position_and_counted() {
    let output = check(&["--deny", "warnings"], &GOOD.replace("serviceName: db", "serviceName: bd"));
    assert_eq!((output.code, &*output.stderr), (1, ""));
    for part in [
        "warning[governing-service-missing]: StatefulSet default/db: there is no Service default/bd",
        "--> <stdin>:10:16",
        "help: did you mean db? write serviceName: db",
    ] {
        assert!(output.stdout.contains(part), "{part:?} is not in\n{}", output.stdout);
    }
    let last = output.stdout.lines().last();
    assert_eq!(last, Some("1 warning in 1 file; 2 objects read, 1 skipped (1 Role)"));
}

#[test]
fn what_an_api_server_refuses_is_an_error() {
    let output = check(&[], &GOOD.replace("port: 5432", "port: 70000"));
    assert_eq!((output.code, &*output.stderr), (2, ""));
    assert!(output.stdout.contains("error: Service default/db: "), "{}", output.stdout);
    // The set without its Service is not checked further: the refused Service might have matched it.
    assert!(!output.stdout.contains("warning"), "{}", output.stdout);
    assert!(output.stdout.ends_with("1 error in 1 file; 1 object read, 1 skipped (1 Role)\n"));
}

#[test]
fn a_missing_path_is_an_error() {
    let output = run(&["check", "no-such-file.yaml"]);
    assert_eq!(output.code, 2);
    assert!(output.stdout.contains("no-such-file.yaml"), "{}", output.stdout);
}

#[test]
fn json_has_an_object_for_each_finding() {
    let output = check(&["-o", "json"], &GOOD.replace("app: db}, ports", "app: dv}, ports"));
    assert_eq!(output.code, 0);
    let findings: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    let expected = serde_json::json!([{
        "code": "selector-matches-nothing",
        "severity": "warning",
        "message": "selector app=dv matches no pod: the pods of StatefulSet default/db have app=db; its name does not \
                    exist (NXDOMAIN)",
        "help": "write app: db",
        "object": "Service default/db",
        "file": "<stdin>",
        "line": 4,
        "column": 41,
    }]);
    assert_eq!(findings, expected);
    assert_eq!(check(&["--output=json"], GOOD).stdout, "[]\n");
}

#[test]
fn findings_consider_all_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let (service, set) = GOOD.split_once("---\n").expect("two documents");
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).expect("a file");
    write("service.yaml", service);
    write("set.yaml", set);
    let path = directory.path().to_str().expect("text");
    assert_eq!(run(&["check", path]).code, 0);
    fs::remove_file(Path::new(path).join("service.yaml")).expect("a file");
    assert_eq!(run(&["check", "--deny=governing-service-missing", path]).code, 1);
}

/// Flags, change of the manifest, exit code, codes in the output.
#[test]
fn flags_decide_which_findings_fail() {
    let unnamed = ("name: sql, port", "port");
    let gone = ("apps/v1", "apps/v1beta2");
    type Case<'c> = (&'c [&'c str], (&'c str, &'c str), i32, &'c str);
    let table: [Case<'_>; 12] = [
        (&[], unnamed, 0, "warning[port-unnamed]"),
        (&["--deny", "warnings"], unnamed, 1, "warning[port-unnamed]"),
        (&["--deny", "port-unnamed"], unnamed, 1, "warning[port-unnamed]"),
        (&["--deny", "unknown-name"], unnamed, 0, "warning[port-unnamed]"),
        (&["--allow", "port-unnamed", "--deny", "warnings"], unnamed, 0, "no problems"),
        (&["--allow=unknown-name,port-unnamed", "--deny=warnings"], unnamed, 0, "no problems"),
        (&["--allow", "ports-missing", "--deny", "warnings"], unnamed, 1, "warning[port-unnamed]"),
        (&[], gone, 1, "error[api-version-removed]"),
        (&["--allow", "api-version-removed"], gone, 0, "no problems"),
        (&["--allow", "port-unnamd"], unnamed, 2, "did you mean port-unnamed?"),
        (&["--deny", "warning"], unnamed, 2, "did you mean warnings?"),
        (
            &["--deny", "warnings"],
            (
                "db}\nspec: {clusterIP: None, selector: {app: db}, ports: [{name: sql, port",
                "db, annotations: {clusterlocal.dev/allow: port-unnamed}}\nspec: {clusterIP: None, selector: {app: db}, ports: [{port",
            ),
            0,
            "no problems",
        ),
    ];
    for (flags, (from, to), code, message) in table {
        let output = check(flags, &GOOD.replacen(from, to, 1));
        let all = format!("{}{}", output.stdout, output.stderr);
        assert_eq!(output.code, code, "{flags:?} {to}: {all}");
        assert!(all.contains(message), "{flags:?} {to}: {all}");
    }
}

/// A code in the output can be looked up in the help.
#[test]
fn help_lists_every_rule() {
    let help = run(&["check", "--help"]).stdout;
    for rule in crate::rules::RULES {
        assert!(help.contains(rule.code), "{}", rule.code);
    }
}
