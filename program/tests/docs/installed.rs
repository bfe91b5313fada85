//! Which programs a walk runs, and whether they are installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use crate::page::{ROOT, Section};
use crate::shell::HAS_NAMESPACES;

/// Programs that walks may run and that not every machine has.
const CLIENTS: [&str; 12] = [
    "coredns", "curl", "dig", "docker", "getent", "go", "helm", "java", "kubectl", "node", "python3",
    "unshare",
];
/// What no machine is required to have: programs that are large or not packaged, and another system.
const OPTIONAL: [&str; 5] = ["Linux", "coredns", "docker", "helm", "mdbook"];

/// The directories in which programs are found: those of the tests before those of the machine.
pub static PATH: LazyLock<std::ffi::OsString> = LazyLock::new(|| {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut folders = vec![
        PathBuf::from(env!("CARGO_BIN_EXE_clusterlocal")).parent().expect("its folder").to_owned(),
        // Where .ci/kubectl puts it.
        temporary.join("kubectl/1.37"),
    ];
    folders.extend(conformance_programs());
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    std::env::join_paths(folders).expect("folders without colons")
});

/// Where `conformance/build` puts the programs of a control plane.
fn conformance_programs() -> Option<PathBuf> {
    let script = format!(". {ROOT}/conformance/versions; printf %s \"$bin\"");
    let printed = Command::new("sh").args(["-c", &script]).output().ok()?;
    Some(String::from_utf8(printed.stdout).ok()?.into())
}

/// Whether a walk that needs `program` may always be ignored.
pub fn is_optional(program: &str) -> bool {
    OPTIONAL.contains(&program)
}

/// The programs of a section that are not installed.
pub fn missing(section: &Section) -> Vec<&'static str> {
    let commands: String =
        section.blocks.iter().filter(|block| block.runs()).map(|block| &*block.content).collect();
    let is_run =
        |client: &&str| commands.split(['\n', '|', '&', ';', '(']).any(|command| starts(command, client));
    let mut missing: Vec<_> =
        CLIENTS.into_iter().filter(is_run).filter(|client| !is_installed(client)).collect();
    // The recipe for Python takes it.
    if commands.contains("import clusterlocal") && !imports("dns") {
        missing.push("dnspython");
    }
    // Other systems have 127.0.0.1 alone.
    if commands.contains("--bind 127.") && cfg!(not(target_os = "linux")) {
        missing.push("Linux");
    }
    missing
}

/// Whether Python has this module.
fn imports(module: &str) -> bool {
    let mut command = Command::new("python3");
    command.args(["-c", &format!("import {module}")]).env("PATH", &*PATH).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Whether the command runs `client`, after assignments of variables.
fn starts(command: &str, client: &str) -> bool {
    let words = command.split_whitespace().skip_while(|word| *word == "$" || word.contains('='));
    words.into_iter().next() == Some(client)
}

/// Whether a program is found, and may do what it is for.
pub fn is_installed(client: &str) -> bool {
    if client == "unshare" && !*HAS_NAMESPACES {
        return false;
    }
    std::env::split_paths(&*PATH).any(|folder| folder.join(client).exists())
}
