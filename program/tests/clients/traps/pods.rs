//! Takes the place of the processes in a cluster's pods: each running pod has a server at its address and its container's
//! port, which returns its data. A pod behind a partition accepts connections and does not answer; a crashed or deleted one
//! refuses them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clusterlocal_core::Driver;
use clusterlocal_core::manifest::{self, Manifest};
use clusterlocal_core::store::{Kind, Machine, Node, Pod, PodPhase, Store};

/// Addresses for the pods that differ from those of the same test in another process.
pub fn range() -> Manifest {
    let range = format!(
        "apiVersion: clusterlocal.dev/v1\nkind: Topology\npodCIDR: 127.{}.0.0/16\n",
        100 + std::process::id() % 100
    );
    manifest::read_bytes("range", range.into_bytes())
}

/// The processes in the pods of a cluster.
pub struct Pods {
    cluster: Driver,
    /// The connecting pod, which decides whether a partition is in between.
    asker: Option<String>,
    servers: BTreeMap<Process, Server>,
    /// Pods that accepted a connection and do not answer.
    hanging: Arc<Mutex<Vec<String>>>,
}

/// A process, and its address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Process {
    pod: String,
    at: SocketAddr,
    hangs: bool,
}

impl Pods {
    pub fn new(cluster: Driver, asker: Option<String>) -> Self {
        Pods { cluster, asker, servers: BTreeMap::new(), hanging: Arc::default() }
    }

    /// Starts and stops processes until they match the current pods.
    pub fn follow(&mut self) -> Result<(), String> {
        let processes = self.cluster.read(|cluster| processes(cluster.store(), self.asker.as_deref()));
        self.servers.retain(|process, _| processes.contains(process));
        for process in processes {
            if !self.servers.contains_key(&process) {
                let server = Server::start(&process, self.hanging.clone())
                    .map_err(|e| format!("{} at {}: {e}", process.pod, process.at))?;
                self.servers.insert(process, server);
            }
        }
        self.hanging.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    /// The pods that accepted a connection and do not answer.
    pub fn hanging(&self) -> Vec<String> {
        self.hanging.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn processes(store: &Store, asker: Option<&str>) -> Vec<Process> {
    let is_up = |pod: &Pod| {
        let node = store.get::<Node>(Kind::Node, "", &pod.spec.node_name);
        node.is_none_or(|node| node.machine() == Machine::Up)
    };
    let pods = || store.list::<Pod>(Kind::Pod);
    let asker_is_up =
        pods().find(|pod| Some(pod.metadata.name.as_str()) == asker).is_none_or(|pod| is_up(pod));
    let process = |pod: &Arc<Pod>| {
        let crashed = pod.status.restarts > 0 && !pod.status.ready;
        let runs = pod.status.phase == Some(PodPhase::Running) && !crashed;
        let port = pod.spec.shared.containers.first()?.ports.first()?.container_port;
        let ip: IpAddr = pod.status.ips().next().filter(|_| runs)?;
        let hangs = is_up(pod) != asker_is_up;
        Some(Process { pod: pod.metadata.name.to_string(), at: SocketAddr::new(ip, port), hangs })
    };
    pods().filter_map(process).collect()
}

/// A listening socket and the thread that serves it; dropping it ends both.
struct Server {
    at: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(process: &Process, hanging: Arc<Mutex<Vec<String>>>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(process.at)?;
        let over = Arc::new(AtomicBool::new(false));
        let (ended, process, at) = (over.clone(), process.clone(), process.at);
        let thread = thread::spawn(move || {
            let mut waiting = Vec::new();
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                if process.hangs {
                    hanging.lock().unwrap_or_else(PoisonError::into_inner).push(process.pod.clone());
                    waiting.push(stream);
                } else {
                    // The client may have disconnected.
                    _ = respond(stream, &process.pod);
                }
            }
        });
        Ok(Server { at, over, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // A connection makes the thread check whether it has to end.
        if TcpStream::connect(self.at).is_ok()
            && let Some(thread) = self.thread.take()
        {
            _ = thread.join();
        }
    }
}

/// Reads a request of a few lines, and returns the pod's data.
fn respond(mut stream: TcpStream, pod: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let (mut request, mut part) = (Vec::new(), [0; 1024]);
    while !request.ends_with(b"\r\n\r\n") && request.len() < 4096 {
        match stream.read(&mut part)? {
            0 => return Ok(()),
            length => request.extend_from_slice(&part[..length]),
        }
    }
    let data = format!("the data of {pod}");
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{data}", data.len())
}
