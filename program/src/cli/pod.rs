//! `ready`, `unready`, `crash`: set the readiness of a pod, and crash its containers.

use std::process::ExitCode;

use clusterlocal_core::store::{CRASHES_ANNOTATION, READY_ANNOTATION};
use serde_json::{Value, json};

use super::failure::Failure;
use super::output::print;
use super::running::PodArgs;

/// Makes a pod ready or not ready, until the annotation is changed.
pub fn set_ready(args: &PodArgs, ready: bool) -> Result<ExitCode, Failure> {
    let pod = args.annotate(json!({ READY_ANNOTATION: ready.to_string() }))?;
    report(&pod, if ready { "is ready" } else { "is not ready" })
}

/// Crashes a container of a pod: it is restarted in the same pod.
pub fn crash(args: &PodArgs) -> Result<ExitCode, Failure> {
    let there = args.get()?;
    let restarts = there["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap_or(0);
    let crashes = (restarts + 1).to_string();
    let pod = args.annotate(json!({ CRASHES_ANNOTATION: crashes }))?;
    report(&pod, "crashed")
}

fn report(pod: &Value, state: &str) -> Result<ExitCode, Failure> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    Ok(print(&format!("pod/{name} {state}\n")))
}
