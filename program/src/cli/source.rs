//! The source of `explain`, `query` and `records`: the running server, unless the command line names files.

use std::io::IsTerminal;
use std::path::Path;

use clap::parser::ValueSource;
use serde_json::Value;

use super::failure::{Failure, complain};
use super::given::{is_given, source};
use super::running::ServerArgs;

/// Arguments that configure a cluster from files; a running server has its own settings.
const SETTINGS: [&str; 7] =
    ["domain", "ttl", "pods", "endpoint_pod_names", "pod_cidr", "service_cidr", "nodes"];

/// The manifests that are read if no server runs and no files are named.
const DEFAULT_PATH: &str = "zones";

/// Gets `path` from the server, or returns `None` if files are to be read instead: those of the command line, or the default
/// ones if no server runs.
///
/// # Errors
/// If the server refuses the request, or there is neither a server nor a file.
pub fn ask(server: &ServerArgs, path: &str) -> Result<Option<Value>, Failure> {
    let of_files = SETTINGS.iter().any(|id| source(id) == Some(ValueSource::CommandLine));
    if is_given("paths") || is_given("kustomize") || of_files {
        return Ok(None);
    }
    match server.get(path) {
        Ok(value) => Ok(Some(value)),
        Err(Failure::Network(_)) if !server.is_named() && Path::new(DEFAULT_PATH).exists() => {
            // On a terminal only, not in scripts.
            if std::io::stderr().is_terminal() {
                complain(format_args!("note: no server is running: reading {DEFAULT_PATH}/"));
            }
            Ok(None)
        }
        Err(Failure::Network(message)) => {
            Err(Failure::Network(format!("{message} To read files without a server, name them: -f PATH")))
        }
        Err(failure) => Err(failure),
    }
}

/// Prints which faults are in force: the answer is the one without them.
pub fn report_faults(reply: &Value) {
    let faults: Vec<&str> =
        reply["faults"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !faults.is_empty() {
        complain(format_args!(
            "note: this is the answer without the faults in force ({}); `clusterlocal fault list` shows them",
            faults.join(", ")
        ));
    }
}
