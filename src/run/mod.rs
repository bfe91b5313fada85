//! Takes the place of the nodes of a cluster: joins the API of a [`ControlPlane`] with the kubelet, and its Services with the proxy.
//! Must not depend on DNS or the command line.

mod api;
mod partitions;
mod requests;
mod routes;
mod secure_port;

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clusterlocal_api::kubelet::Kubelet;
use clusterlocal_node::proxy;
use clusterlocal_node::{Images, Lines, Node, NodeError, Streaming};
use tokio::sync::mpsc;
use tracing::error;

use crate::store::{Key, Kind, Name};
use crate::{ControlPlane, Driver, Settings};
use api::Api;
pub(crate) use api::shown;
use requests::Requests;
use routes::Routing;
use secure_port::SecurePort;

/// How the containers of pods run.
#[derive(Clone)]
pub struct Options {
    /// The program of each image.
    pub images: Images,
    /// The directory of volumes and logs.
    pub folder: PathBuf,
    /// Whether programs may write to the files of the machine.
    pub writable: bool,
    /// Whether the node ports of Services are on the loopback of the machine.
    pub node_ports: bool,
    /// Takes each line that a container writes, after the name `NAMESPACE/POD/CONTAINER` of its container.
    pub lines: Lines,
    /// Where the DNS listens on the machine, if pods are on the network of the machine, without namespaces.
    pub on_host: Option<SocketAddr>,
}

/// Maximum number of changed ports that wait for the proxy.
const ROUTES_MAX: usize = 64;

/// The nodes of a cluster, whose pods are processes.
pub struct Nodes {
    node: Arc<Node>,
    options: clusterlocal_node::Options,
    /// The address of the Service kube-dns, or nothing.
    service: String,
    /// The certificate that verifies the API server, as PEM; empty where it does not serve pods.
    root_ca: String,
    node_ports: bool,
}

impl Nodes {
    /// Starts the network of the pods, without pods. `program` is this program, or one that calls [`clusterlocal_node::process`].
    ///
    /// # Errors
    /// If the program cannot be started, or the system allows no namespaces: the message names the setting.
    pub fn start(
        program: &Path,
        options: Options,
        settings: &Settings,
        cluster: &ControlPlane,
    ) -> Result<Self, NodeError> {
        let node = match options.on_host {
            Some(_) => Node::start_on_host(program)?,
            None => Node::start(program, &settings.pod_range.networks(), &settings.service_range.networks())?,
        };
        let dns = Key::new(Kind::Service, Name::from("kube-system"), Name::from("kube-dns"));
        let dns = shown(cluster, &dns).and_then(|dns| Some(dns["spec"]["clusterIP"].as_str()?.to_owned()));
        let Options { images, folder, writable, node_ports, lines, on_host } = options;
        let service = dns.unwrap_or_default();
        let options = clusterlocal_node::Options {
            images,
            folder,
            working_dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            writable,
            domain: settings.zone.domain.to_string().trim_end_matches('.').to_owned(),
            dns: on_host.map_or_else(|| service.clone(), |listener| listener.to_string()),
            lines,
            streaming: Streaming::default(),
        };
        Ok(Nodes { node: Arc::new(node), options, service, root_ca: String::new(), node_ports })
    }

    /// Binds the DNS at the address of the Service kube-dns. On the network of the machine, it has none where ports below 1024 are
    /// reserved for root.
    ///
    /// # Errors
    /// If the Service has no address.
    pub fn bind_dns(&self) -> Result<Option<(UdpSocket, TcpListener)>, NodeError> {
        let address = self.service.parse::<IpAddr>();
        let address =
            address.map_err(|_| NodeError::new("the Service kube-dns.kube-system has no address"))?;
        match self.node.bind(SocketAddr::new(address, 53)) {
            Ok(sockets) => Ok(Some(sockets)),
            Err(_) if self.node.is_on_host() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Joins the server of the API with the pods: it asks their kubelets, and clients in pods reach it over TLS at the Service
    /// `kubernetes`.
    ///
    /// # Errors
    /// If the endpoint of the Service cannot be bound, or no certificate can be issued.
    pub fn join_api(
        &mut self,
        api: clusterlocal_api::Server,
        cluster: &ControlPlane,
    ) -> Result<clusterlocal_api::Server, NodeError> {
        let api = api.with_kubelet(self.kubelet());
        let Some((endpoint, addresses)) = api_endpoint(cluster) else { return Ok(api) };
        let names = secure_port::names(&self.options.domain, endpoint.ip(), addresses);
        let listener = match self.node.listen(endpoint) {
            Ok(listener) => listener,
            // Another server may have the address of the host.
            Err(_) if self.node.is_on_host() => return Ok(api),
            Err(error) => return Err(error),
        };
        let port = SecurePort::new(&names).map_err(|error| NodeError::new(error.to_string()))?;
        self.root_ca = port.root_ca().to_owned();
        port.serve(listener, api.address())?;
        Ok(api.with_names(names))
    }

    /// What the API requests from the kubelets.
    pub fn kubelet(&self) -> Arc<dyn Kubelet> {
        Requests::new(self.node.clone(), self.options.streaming.clone())
    }

    /// Runs the pods until `stop` resolves and all of them have stopped.
    pub async fn run(self, driver: Driver, stop: impl Future<Output = ()>) {
        let (sender, routes) = mpsc::channel(ROUTES_MAX);
        let api = Api::new(driver.clone(), self.root_ca);
        let routing = Routing::new(self.node_ports);
        let following = tokio::spawn(async move {
            let (mut routing, mut changes) = (routing, driver.revisions());
            loop {
                for change in driver.read(|cluster| routing.changes(cluster)) {
                    if sender.send(change).await.is_err() {
                        return;
                    }
                }
                if changes.changed().await.is_err() {
                    return;
                }
            }
        });
        let leading = tokio::spawn(proxy::run(self.node.clone(), routes));
        if let Err(error) = clusterlocal_node::run(self.node, api, self.options, stop).await {
            error!("pods do not run: {error}");
        }
        following.abort();
        leading.abort();
    }
}

/// The endpoint of the Service `kubernetes`, and the Service's addresses.
fn api_endpoint(cluster: &ControlPlane) -> Option<(SocketAddr, Vec<IpAddr>)> {
    let of = |kind| shown(cluster, &Key::new(kind, Name::from("default"), Name::from("kubernetes")));
    let (service, slice) = (of(Kind::Service)?, of(Kind::EndpointSlice)?);
    let address = slice.pointer("/endpoints/0/addresses/0")?.as_str()?.parse().ok()?;
    let port = slice.pointer("/ports/0/port")?.as_u64()?.try_into().ok()?;
    let addresses = service.pointer("/spec/clusterIPs")?.as_array()?.iter();
    Some((SocketAddr::new(address, port), addresses.filter_map(|ip| ip.as_str()?.parse().ok()).collect()))
}
