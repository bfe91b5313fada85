//! `ready`, `unready`, `crash`: a pod's readiness and its containers, by hand.

use std::process::ExitCode;

use clusterlocal_core::store::{CRASHES_ANNOTATION, READY_ANNOTATION};
use serde_json::{Value, json};

use super::failure::Failure;
use super::output::print;
use super::running::PodArgs;

/// Makes a pod ready or not, until the annotation is changed.
pub fn hold(args: &PodArgs, ready: bool) -> Result<ExitCode, Failure> {
    let pod = args.annotate(json!({ READY_ANNOTATION: ready.to_string() }))?;
    told(&pod, if ready { "is ready" } else { "is not ready" })
}

/// Crashes a container of a pod: the pod stays, and is ready again when it has run for a while.
pub fn crash(args: &PodArgs) -> Result<ExitCode, Failure> {
    let there = args.get()?;
    let restarts = there["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap_or(0);
    let crashes = (restarts + 1).to_string();
    let pod = args.annotate(json!({ CRASHES_ANNOTATION: crashes }))?;
    told(&pod, "crashed")
}

fn told(pod: &Value, what: &str) -> Result<ExitCode, Failure> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    Ok(print(&format!("pod/{name} {what}\n")))
}
