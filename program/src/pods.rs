//! Pods that run as processes: the API of this cluster for the kubelet, and its Services for the proxy. Must not depend on the
//! command line.

use std::collections::HashMap;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use clusterlocal_api::render;
use clusterlocal_core::store::{EndpointSlice, Key, Kind, Name, Pod, Service, Time};
use clusterlocal_core::{ControlPlane, Driver, Settings};
use clusterlocal_node::proxy::{self, Route, Routes};
use clusterlocal_node::{Cluster, Lines, Node, Objects, Options, PodId};
use serde_json::Value;
use tokio::sync::watch;
use tracing::error;

use crate::cli::{Failure, PodsArgs};

/// The node on which the pods of a cluster run.
pub struct Running {
    node: Arc<Node>,
    options: Options,
}

impl Running {
    /// Starts the node, without pods.
    ///
    /// # Errors
    /// If the system allows no namespaces, or an argument cannot be used.
    pub fn begin(args: &PodsArgs, settings: &Settings, cluster: &ControlPlane) -> Result<Self, Failure> {
        let images = args.images()?;
        let folder = args.folder()?;
        let program = std::env::current_exe();
        let program = program.map_err(|e| Failure::Network(format!("cannot find this program: {e}")))?;
        let node = Node::start(&program, &settings.pod_range.networks(), &settings.service_range.networks());
        let node = Arc::new(node.map_err(|e| Failure::Network(format!("cannot run pods: {e}")))?);
        let working_dir = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let dns = Key::new(Kind::Service, Name::from("kube-system"), Name::from("kube-dns"));
        let dns = shown(cluster, &dns).and_then(|dns| Some(dns["spec"]["clusterIP"].as_str()?.to_owned()));
        let dns = dns.unwrap_or_default();
        let lines = if args.prints_lines() { printed() } else { Arc::new(|_: &str, _: &[u8]| {}) };
        let domain = settings.zone.domain.to_string().trim_end_matches('.').to_owned();
        let writable = args.is_writable();
        Ok(Running { node, options: Options { images, folder, working_dir, writable, domain, dns, lines } })
    }

    /// Binds the DNS in the network of the pods.
    ///
    /// # Errors
    /// If the address of kube-dns cannot be had.
    pub fn bind_dns(&self) -> Result<(UdpSocket, TcpListener), Failure> {
        let address = self.options.dns.parse::<IpAddr>();
        let address = address
            .map_err(|_| Failure::Network("the Service kube-dns.kube-system has no address".into()))?;
        self.node
            .bind(SocketAddr::new(address, 53))
            .map_err(|e| Failure::Network(format!("DNS for pods: {e}")))
    }

    /// Runs the pods until `stop` resolves and all of them have stopped.
    pub async fn run(self, driver: Driver, stop: impl Future<Output = ()>) {
        let (sender, followed) = watch::channel(Routes::new());
        let api = Api::new(driver.clone());
        let following = tokio::spawn(async move {
            let mut changes = driver.revisions();
            loop {
                sender.send_replace(driver.read(routes));
                if changes.changed().await.is_err() {
                    return;
                }
            }
        });
        let leading = tokio::spawn(proxy::run(self.node.clone(), followed));
        if let Err(error) = clusterlocal_node::run(self.node, api, self.options, stop).await {
            error!("pods do not run: {error}");
        }
        following.abort();
        leading.abort();
    }
}

/// Maximum number of lines of containers that wait to be printed. A reader that does not read must not stop the server: more are
/// dropped and counted.
const LINES_WAITING: usize = 4096;

/// Prints lines by a thread of its own.
fn printed() -> Lines {
    let (sender, waiting) = mpsc::sync_channel::<String>(LINES_WAITING);
    let dropped = Arc::new(AtomicU64::new(0));
    let counted = dropped.clone();
    thread::spawn(move || {
        for line in waiting {
            let mut out = std::io::stdout().lock();
            _ = writeln!(out, "{line}");
            match counted.swap(0, Ordering::Relaxed) {
                0 => {}
                count => _ = writeln!(out, "{count} lines of containers were dropped"),
            }
        }
    });
    Arc::new(move |name: &str, line: &[u8]| {
        // Control characters of a program must not change the terminal.
        let line = String::from_utf8_lossy(line);
        let shown: String = line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
        if sender.try_send(format!("{name} | {shown}")).is_err() {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    })
}

/// The API of a cluster, for its kubelet.
pub struct Api(Driver);

impl Api {
    /// The API of the cluster of `driver`.
    pub fn new(driver: Driver) -> Arc<Self> {
        Arc::new(Api(driver))
    }

    fn object(&self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
        let key = Key::new(kind, Name::from(namespace), Name::from(name));
        self.0.read(|cluster| shown(cluster, &key))
    }

    /// Changes the pod if it still is the one with this UID.
    fn change(&self, pod: &PodId, change: impl FnOnce(&mut ControlPlane, &Key)) {
        let key = Key::new(Kind::Pod, Name::from(pod.namespace.as_str()), Name::from(pod.name.as_str()));
        self.0.write(|cluster| {
            if cluster.store().stored(&key).is_some_and(|stored| stored.uid().to_string() == pod.uid) {
                change(cluster, &key);
            }
        });
    }
}

/// The object at `key`, as the API shows it.
fn shown(cluster: &ControlPlane, key: &Key) -> Option<Value> {
    let store = cluster.store();
    store.stored(key).map(|stored| render::object(stored, &render::Context::now(store)))
}

impl Objects for Api {
    fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        self.object(Kind::referred("v1", kind)?, namespace, name)
    }

    fn services(&self, namespace: &str) -> Vec<Value> {
        self.0.read(|cluster| {
            let services = cluster.store().list_in::<Service>(Kind::Service, namespace);
            services.filter_map(|service| shown(cluster, &service.metadata.key(Kind::Service))).collect()
        })
    }
}

impl Cluster for Api {
    fn pods(&self) -> Vec<Value> {
        self.0.read(|cluster| {
            let pods = cluster.store().list::<Pod>(Kind::Pod);
            let placed =
                pods.filter(|pod| !pod.spec.node_name.is_empty() && pod.status.ips().next().is_some());
            placed.filter_map(|pod| shown(cluster, &pod.metadata.key(Kind::Pod))).collect()
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.revisions()
    }

    fn write_status(&self, pod: &PodId, status: Value) {
        self.change(pod, |cluster, key| cluster.request_pod_status(key, status));
    }

    fn remove(&self, pod: &PodId) {
        self.change(pod, |cluster, key| cluster.request_pod_removal(key));
    }

    fn record(&self, pod: &PodId, warning: bool, reason: &str, message: &str) {
        self.change(pod, |cluster, key| cluster.record_event(key, warning, reason, message));
    }

    fn now(&self) -> Time {
        self.0.clock().now()
    }
}

/// Where the Services of the cluster lead.
pub fn routes(cluster: &ControlPlane) -> Routes {
    let store = cluster.store();
    let slices = slices(cluster);
    let mut routes = Routes::new();
    for service in store.list::<Service>(Kind::Service) {
        let Some(json) = shown(cluster, &service.metadata.key(Kind::Service)) else { continue };
        let spec = &json["spec"];
        let addresses = spec["clusterIPs"].as_array().into_iter().flatten();
        let addresses: Vec<IpAddr> = addresses.filter_map(|ip| ip.as_str()?.parse().ok()).collect();
        let affinity = (spec["sessionAffinity"] == "ClientIP").then(|| {
            let seconds =
                spec.pointer("/sessionAffinityConfig/clientIP/timeoutSeconds").and_then(Value::as_u64);
            Duration::from_secs(seconds.unwrap_or(DEFAULT_AFFINITY_SECONDS))
        });
        for port in spec["ports"].as_array().into_iter().flatten() {
            let Some(number) = port["port"].as_u64().and_then(|port| u16::try_from(port).ok()) else {
                continue;
            };
            if port["protocol"].as_str().is_some_and(|protocol| protocol != "TCP") {
                continue;
            }
            let name = port["name"].as_str().unwrap_or_default();
            for address in &addresses {
                let key = (service.metadata.namespace.to_string(), service.metadata.name.to_string());
                let endpoints = endpoints(slices.get(&key).map_or(&[], Vec::as_slice), name, *address);
                routes.insert(SocketAddr::new(*address, number), Route { endpoints, affinity });
            }
        }
    }
    routes
}

/// Default of `sessionAffinityConfig.clientIP.timeoutSeconds`, in seconds (`v1.DefaultClientIPServiceAffinitySeconds`).
const DEFAULT_AFFINITY_SECONDS: u64 = 10_800;

/// The EndpointSlices of each Service, by its namespace and name.
fn slices(cluster: &ControlPlane) -> HashMap<(String, String), Vec<Value>> {
    let mut slices: HashMap<(String, String), Vec<Value>> = HashMap::new();
    for slice in cluster.store().list::<EndpointSlice>(Kind::EndpointSlice) {
        let Some(json) = shown(cluster, &slice.metadata.key(Kind::EndpointSlice)) else { continue };
        let service = json.pointer("/metadata/labels/kubernetes.io~1service-name").and_then(Value::as_str);
        if let Some(service) = service {
            let key = (slice.metadata.namespace.to_string(), service.to_owned());
            slices.entry(key).or_default().push(json);
        }
    }
    slices
}

/// The ready endpoints of the port called `port`, of the family of `address`.
fn endpoints(slices: &[Value], port: &str, address: IpAddr) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for json in slices {
        let ports = json["ports"].as_array().into_iter().flatten();
        let mut named = ports.filter(|one| one["name"].as_str().unwrap_or_default() == port);
        let Some(number) = named.find_map(|one| u16::try_from(one["port"].as_u64()?).ok()) else { continue };
        for endpoint in json["endpoints"].as_array().into_iter().flatten() {
            if endpoint.pointer("/conditions/ready") == Some(&Value::Bool(false)) {
                continue;
            }
            let ips = endpoint["addresses"].as_array().into_iter().flatten();
            let ips = ips.filter_map(|ip| ip.as_str()?.parse::<IpAddr>().ok());
            let of_family = ips.filter(|ip| ip.is_ipv4() == address.is_ipv4());
            found.extend(of_family.map(|ip| SocketAddr::new(ip, number)));
        }
    }
    found
}
