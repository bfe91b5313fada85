//! Takes the place of the kubelet: pods of the API become processes, and what becomes of those is the pods' status. Must not depend
//! on DNS or controllers.

mod command;
mod container;
mod environment;
mod fields;
mod files;
mod log_reading;
mod logs;
mod nodes;
mod on_host;
mod probes;
mod probing;
mod status;
mod stdio;
mod streaming;
mod volumes;
mod worker;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use clusterlocal_core::store::Time;
use rustix::fs::FlockOperation;
use serde_json::Value;
use tokio::sync::watch;

use crate::{Node, Separations};
pub use command::{COMMAND_PREFIX, Images};
pub use log_reading::LogOptions;
pub use logs::Lines;
pub use nodes::Machine;
use nodes::Nodes;
pub use stdio::{Input, Piece};
pub use streaming::{Resize, Session, StreamError, StreamOptions, Streaming};
use volumes::{Folders, remove};
use worker::{Update, Worker};

/// What a kubelet reads of other objects while it starts a pod.
pub trait Objects {
    /// The object of that kind, as the API shows it: `ConfigMap`, `Secret`, `PersistentVolumeClaim` of a namespace, or
    /// `PersistentVolume` of none.
    fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value>;

    /// The Services of a namespace, as the API shows them.
    fn services(&self, namespace: &str) -> Vec<Value>;

    /// A token of a service account for `audience`, or for the API server where that is empty, which is valid for `seconds`.
    fn token(&self, namespace: &str, account: &str, audience: &str, seconds: u64) -> Option<String>;
}

/// The API server, as a kubelet uses it.
pub trait Cluster: Objects + Send + Sync {
    /// The pods that are on a node and have their addresses, as the API shows them.
    fn pods(&self) -> Vec<Value>;

    /// A value that changes with each change of the cluster.
    fn changes(&self) -> watch::Receiver<u64>;

    /// The machines of the nodes, by name.
    fn machines(&self) -> HashMap<String, Machine>;

    /// The addresses of pods that do not reach each other.
    fn separations(&self) -> Separations;

    /// Writes the status of a pod, if there still is the one with this UID. Returns whether the node reaches the API server.
    fn write_status(&self, pod: &PodId, status: Value) -> bool;

    /// Removes a pod whose deletion was requested, now that it has stopped. Returns whether the node reaches the API server.
    fn remove(&self, pod: &PodId) -> bool;

    /// Gives a pod, whose network does not exist any more, new addresses. Returns the pod with them; nothing if it is gone or no address
    /// is left.
    fn renew_addresses(&self, pod: &PodId) -> Option<Value>;

    /// Records an Event about a pod.
    fn record(&self, pod: &PodId, warning: bool, reason: &str, message: &str);

    /// The time.
    fn now(&self) -> Time;

    /// Resolves at `time`.
    fn wait(&self, time: Time) -> Wait {
        Box::pin(tokio::time::sleep(time.since(self.now())))
    }
}

/// A wait for a time of a cluster.
pub type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Which pod: a name is used again, a UID is not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodId {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

impl PodId {
    fn of(pod: &Value) -> PodId {
        let field = |pointer| text(pod, pointer).to_string();
        PodId {
            namespace: field("/metadata/namespace"),
            name: field("/metadata/name"),
            uid: field("/metadata/uid"),
        }
    }
}

impl fmt::Display for PodId {
    /// As the kubelet's messages have it: `NAME_NAMESPACE(UID)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}({})", self.name, self.namespace, self.uid)
    }
}

/// What a kubelet is set up with.
#[derive(Clone)]
pub struct Options {
    /// What runs for images.
    pub images: Images,
    /// Where claims, volumes and logs are kept.
    pub folder: PathBuf,
    /// Where relative paths of commands begin, and programs that have no working folder start.
    pub working_dir: PathBuf,
    /// Whether programs may write to the machine's files outside of volumes.
    pub writable: bool,
    /// The domain of the cluster.
    pub domain: String,
    /// The address of the DNS in the network of the cluster; with its port where pods are on the network of the host.
    pub dns: String,
    /// Takes each line that a container writes, after the name `NAMESPACE/POD/CONTAINER` of where it comes from.
    pub lines: Lines,
    /// Where requests of clients find the pods.
    pub streaming: Streaming,
}

/// What all pods of a kubelet share.
struct Shared {
    node: Arc<Node>,
    cluster: Arc<dyn Cluster>,
    options: Options,
    folders: Folders,
}

/// Runs the pods of a cluster on `node` until `stop` resolves, and then stops them all in order, each within its grace period.
///
/// # Errors
/// Where another kubelet uses the same folder, or it cannot be written to.
pub async fn run(
    node: Arc<Node>,
    cluster: Arc<dyn Cluster>,
    options: Options,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let _lock = lock(&options.folder)?;
    let folders = Folders { claims: options.folder.join("claims"), pods: options.folder.join("pods") };
    // Left behind by a kubelet that was killed.
    remove(&folders.pods)?;
    let mut changes = cluster.changes();
    let shared = Arc::new(Shared { node, cluster, options, folders });
    let mut nodes = Nodes::default();
    let mut workers: HashMap<String, (String, watch::Sender<Update>)> = HashMap::new();
    let mut running = tokio::task::JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    let mut claims: HashSet<(String, String)> = HashSet::new();
    loop {
        // Before pods that come with a change start.
        nodes.follow(&shared).await;
        let pods = shared.cluster.pods();
        let uids: HashSet<&str> = pods.iter().map(|pod| text(pod, "/metadata/uid")).collect();
        // Deleted without waiting for their end: they are stopped all the same, once their node's kubelet learns of it.
        workers.retain(|uid, (node, worker)| {
            let stays = uids.contains(uid.as_str()) || !nodes.is_connected(node);
            if !stays {
                _ = worker.send(Update::Gone);
            }
            stays
        });
        claims.extend(pods.iter().flat_map(claims_of));
        claims.retain(|(namespace, name)| {
            let is_there = shared.cluster.get("PersistentVolumeClaim", namespace, name).is_some();
            if !is_there {
                // What it held goes with the claim, as with the reclaim policy Delete.
                _ = remove(&shared.folders.of_claim(namespace, name));
            }
            is_there
        });
        for pod in pods {
            let (uid, node) =
                (text(&pod, "/metadata/uid").to_string(), text(&pod, "/spec/nodeName").to_string());
            if !nodes.is_connected(&node) {
                continue;
            }
            match workers.get(&uid) {
                Some((_, worker)) => _ = worker.send_if_modified(|update| update.become_pod(pod)),
                None => {
                    let (worker, updates) = watch::channel(Update::Pod(pod.clone()));
                    running.spawn(Worker::new(shared.clone(), pod, updates, nodes.machine(&node)).run());
                    workers.insert(uid, (node, worker));
                }
            }
        }
        tokio::select! {
            () = &mut stop => break,
            changed = changes.changed() => if changed.is_err() { break },
            Some(_) = running.join_next() => {}
        }
    }
    for (_, worker) in workers.values() {
        _ = worker.send(Update::Stop);
    }
    while running.join_next().await.is_some() {}
    Ok(())
}

/// The claims of a pod, by namespace and name.
fn claims_of(pod: &Value) -> impl Iterator<Item = (String, String)> {
    let namespace = text(pod, "/metadata/namespace");
    let names =
        list(pod, "/spec/volumes").iter().map(|volume| text(volume, "/persistentVolumeClaim/claimName"));
    names.filter(|name| !name.is_empty()).map(move |name| (namespace.to_string(), name.to_string()))
}

/// Keeps other kubelets from the folder, until the file is dropped.
fn lock(folder: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    let file = File::options().create(true).truncate(false).write(true).open(folder.join("lock"))?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        io::Error::other(format!(
            "another server runs pods with {}: choose another directory",
            folder.display()
        ))
    })?;
    Ok(file)
}

/// A container cannot be started as its spec demands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// The reason in the container's status: `CreateContainerConfigError`, `ErrImageNeverPull` …
    pub reason: &'static str,
    /// The message in the kubelet's words.
    pub message: String,
}

impl ConfigError {
    fn config(message: impl Into<String>) -> Self {
        ConfigError { reason: "CreateContainerConfigError", message: message.into() }
    }
}

/// The text at `pointer`, or an empty one.
fn text<'a>(json: &'a Value, pointer: &str) -> &'a str {
    json.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The list at `pointer`, or an empty one.
fn list<'a>(json: &'a Value, pointer: &str) -> &'a [Value] {
    json.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
