//! Where `explain`, `query` and `records` look: the running server, unless files are named.

use std::io::IsTerminal;
use std::path::Path;

use clap::parser::ValueSource;
use serde_json::Value;

use super::failure::{Failure, complain};
use super::given::{is_given, source};
use super::running::ServerArgs;

/// Arguments that describe a cluster that is read from files; a running one has its own.
const SETTINGS: [&str; 7] =
    ["domain", "ttl", "pods", "endpoint_pod_names", "pod_cidr", "service_cidr", "nodes"];

/// The manifests that are read where neither a server runs nor files are named.
const DEFAULT_PATH: &str = "zones";

/// What the server says to `path`, or `None` where files are to be read instead: those that are named, or the default ones
/// where no server runs.
///
/// # Errors
/// Where a server is asked and says no, or there is neither a server nor a file.
pub fn ask(server: &ServerArgs, path: &str) -> Result<Option<Value>, Failure> {
    let of_files = SETTINGS.iter().any(|id| source(id) == Some(ValueSource::CommandLine));
    if is_given("paths") || is_given("kustomize") || of_files {
        return Ok(None);
    }
    match server.get(path) {
        Ok(value) => Ok(Some(value)),
        Err(Failure::Network(_)) if !server.is_named() && Path::new(DEFAULT_PATH).exists() => {
            // On a terminal only: scripts get what they asked for and nothing else.
            if std::io::stderr().is_terminal() {
                complain(format_args!("note: no server is running: this is read from {DEFAULT_PATH}/"));
            }
            Ok(None)
        }
        Err(Failure::Network(message)) => {
            Err(Failure::Network(format!("{message} To read files without a server, name them: -f PATH")))
        }
        Err(failure) => Err(failure),
    }
}

/// Notes that faults are in force, which what is printed leaves out.
pub fn note_faults(reply: &Value) {
    let faults: Vec<&str> =
        reply["faults"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !faults.is_empty() {
        complain(format_args!(
            "note: this is the answer without the faults that there are ({}); `clusterlocal fault list` shows them",
            faults.join(", ")
        ));
    }
}
