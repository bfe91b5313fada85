//! Replays the recorded steps of `conformance/` against this program, on the manual clock: the results equal those of a
//! Kubernetes control plane, except for the listed differences (docs/fidelity.md).
//!
//! Needs kubectl as installed by `.ci/run`, and Python with PyYAML; without them the scenarios are listed as ignored,
//! unless `CLUSTERLOCAL_TEST_CLIENTS=all` requires them. `CLUSTERLOCAL_CONFORMANCE=write` rewrites the list of differences.

use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::Failed;

use crate::Test;

const KUBECTL: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/kubectl/1.37/kubectl");
const CONFORMANCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../conformance");
/// The minor version of Kubernetes whose recordings are compared.
const MINOR: &str = "1.36";

pub fn tests() -> Vec<Test> {
    let python = Command::new("python3").args(["-c", "import yaml"]).stderr(Stdio::null()).status();
    let is_installed = Path::new(KUBECTL).exists() && python.is_ok_and(|status| status.success());
    let recordings = Path::new(CONFORMANCE).join(MINOR).join("recordings");
    let mut scenarios: Vec<String> = std::fs::read_dir(recordings)
        .expect("the recordings")
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".jsonl")?.to_owned()))
        .collect();
    scenarios.sort();
    let test = |scenario: String| Test::new(scenario.clone(), move || replay(&scenario)).needs(is_installed);
    scenarios.into_iter().map(test).collect()
}

/// Replays the steps of a scenario against a new server, and compares the results.
fn replay(scenario: &str) -> Result<(), Failed> {
    let mut judge = Command::new("python3");
    judge.arg(Path::new(CONFORMANCE).join("judge"));
    judge.args(["compare", "--minor", MINOR, "--only", scenario, "--kubectl", KUBECTL]);
    judge.args(["--serve", env!("CARGO_BIN_EXE_clusterlocal")]).env("PYTHONDONTWRITEBYTECODE", "1");
    if std::env::var("CLUSTERLOCAL_CONFORMANCE").is_ok_and(|value| value == "write") {
        judge.arg("--write");
    }
    let output = judge.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Err(format!("{out}{err}").into())
}
