//! What a test does with a pod whose containers are processes. Must not depend on how they are started.

use std::time::Duration;

use clusterlocal_api::kubelet::{Container, Kubelet, Streams};
use serde_json::Value;
use tokio::time::timeout;

use super::logs::MAX_LOG;
use crate::cluster::workload::wait_until;
use crate::cluster::{Error, Operation, PodHandle, missing};
use crate::store::Key;
use crate::{ControlPlane, Driver, run};

/// With the feature `run`: pods that run as processes.
impl<'c> PodHandle<'c> {
    /// The lines that the containers of the pod have written, and before them those of former pods of its name; of the latest
    /// mebibyte. None if its cluster runs no processes.
    pub fn logs(&self) -> Vec<String> {
        self.cluster.pods.as_ref().map(|pods| pods.logs.of(&self.key)).unwrap_or_default()
    }

    /// Waits at most `within`, in real time, for a line that contains `text`, and returns it. It may have been written before.
    ///
    /// # Errors
    /// If there is no such line by then.
    pub fn wait_for_line(&self, text: &str, within: Duration) -> Operation<'c, Result<String, Error>> {
        let (cluster, key, text) = (self.cluster, self.key.clone(), text.to_owned());
        cluster.operation(async move {
            let logs = cluster.pods.as_ref().map(|pods| pods.logs.clone()).unwrap_or_default();
            let mut counted = logs.changes();
            let found = async {
                loop {
                    counted.mark_unchanged();
                    if let Some(line) = logs.of(&key).into_iter().find(|line| line.contains(&text)) {
                        return Some(line);
                    }
                    if counted.changed().await.is_err() {
                        return None;
                    }
                }
            };
            let found = timeout(within, found).await.ok().flatten();
            found.ok_or_else(|| Error::Timeout {
                awaited: format!("a line of {key} with {text:?}"),
                waited: within,
                state: match logs.of(&key).last() {
                    Some(line) => format!("its last line is {line:?}"),
                    None => "it has written nothing".into(),
                },
            })
        })
    }

    /// Runs a program in the first container of the pod until it ends, and returns its output and exit code.
    ///
    /// # Errors
    /// If there is no such pod, its container does not run, or has no such program.
    pub fn exec(&self, command: &[&str]) -> Operation<'c, Result<ExecOutput, Error>> {
        let (cluster, key) = (self.cluster, self.key.clone());
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        cluster.operation(async move {
            let container = cluster.driver.read(|cluster| {
                let stored = cluster.store().stored(&key).ok_or_else(|| missing(cluster, &key))?;
                let name = status(cluster, &key).and_then(|status| Some(status["name"].as_str()?.to_owned()));
                Ok::<_, Error>(Container { uid: stored.uid().to_string(), name: name.unwrap_or_default() })
            })?;
            let kubelet = cluster.pods.as_ref().map(|pods| pods.kubelet.clone());
            let kubelet =
                kubelet.ok_or_else(|| Error::Refused("pods are simulated: use Builder::run".into()))?;
            exec(&*kubelet, &container, command).await
        })
    }

    /// The exit code of the last end of its first container; none if that has not ended yet, or there is no such pod.
    pub fn exit_code(&self) -> Option<i32> {
        self.cluster.driver.read(|cluster| exit_code(cluster, &self.key))
    }

    /// Waits at most `within`, in real time, until the first container of the pod has ended, and returns its exit code. Does not
    /// wait if it has ended before.
    ///
    /// # Errors
    /// If there is no such pod, or its container has not ended by then.
    pub fn wait_for_exit(&self, within: Duration) -> Operation<'c, Result<i32, Error>> {
        let (cluster, key) = (self.cluster, self.key.clone());
        cluster.operation(async move {
            let has_ended = |driver: &Driver| {
                driver.read(|cluster| {
                    cluster.store().object(&key).is_none() || exit_code(cluster, &key).is_some()
                })
            };
            // What it has come to is read in any case.
            _ = wait_until(&cluster.driver, within, has_ended).await;
            cluster.driver.read(|cluster| {
                if cluster.store().object(&key).is_none() {
                    return Err(missing(cluster, &key));
                }
                exit_code(cluster, &key).ok_or_else(|| Error::Timeout {
                    awaited: format!("the end of the first container of {key}"),
                    waited: within,
                    state: state(cluster, &key),
                })
            })
        })
    }
}

/// What a program that [`PodHandle::exec`] ran has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecOutput {
    /// Its exit code.
    pub exit_code: i32,
    /// What it has written to standard output, at most a mebibyte.
    pub stdout: String,
    /// What it has written to standard error, at most a mebibyte.
    pub stderr: String,
}

/// The output of a program that runs in a container, until it has ended.
async fn exec(
    kubelet: &dyn Kubelet,
    container: &Container,
    command: Vec<String>,
) -> Result<ExecOutput, Error> {
    let session = kubelet.exec(container, command, Streams::default()).await;
    let mut session = session.map_err(Error::Run)?;
    let mut written = [Vec::new(), Vec::new()];
    while let Some((stream, bytes)) = session.output.recv().await {
        let to = &mut written[usize::from(stream == STDERR)];
        let room = MAX_LOG.saturating_sub(to.len());
        to.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
    let exit_code = session.exit_code.await;
    let exit_code = exit_code.map_err(|_| Error::Run("the container has ended before its program".into()))?;
    let [stdout, stderr] = written.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok(ExecOutput { exit_code, stdout, stderr })
}

/// Number of the stream of standard error in the output of a session.
const STDERR: u8 = 2;

/// The status of the first container of a pod, as the API shows it.
fn status(cluster: &ControlPlane, pod: &Key) -> Option<Value> {
    let shown = run::shown(cluster, pod)?;
    shown.pointer("/status/containerStatuses/0").cloned()
}

fn exit_code(cluster: &ControlPlane, pod: &Key) -> Option<i32> {
    let status = status(cluster, pod)?;
    let ended = ["/state/terminated/exitCode", "/lastState/terminated/exitCode"];
    let code = ended.iter().find_map(|state| status.pointer(state))?.as_i64()?;
    i32::try_from(code).ok()
}

/// The state of a pod's first container, for an error.
fn state(cluster: &ControlPlane, pod: &Key) -> String {
    let Some(status) = status(cluster, pod) else { return "it has not been started".into() };
    let waiting = |field: &str| status.pointer(&format!("/state/waiting/{field}")).and_then(Value::as_str);
    match (waiting("reason"), waiting("message")) {
        (Some(reason), Some(message)) => format!("it waits: {reason}: {message}"),
        (Some(reason), None) => format!("it waits: {reason}"),
        (None, _) => "it runs".into(),
    }
}
