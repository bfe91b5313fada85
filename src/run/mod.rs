//! Takes the place of the nodes of a cluster: joins the API of a [`ControlPlane`] with the kubelet, and its Services with the proxy.
//! Must not depend on DNS or the command line.

mod api;
mod requests;
mod routes;

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clusterlocal_api::kubelet::Kubelet;
use clusterlocal_node::proxy::{self, Routes};
use clusterlocal_node::{Images, Lines, Node, NodeError, Streaming};
use tokio::sync::watch;
use tracing::error;

use crate::store::{Key, Kind, Name};
use crate::{ControlPlane, Driver, Settings};
use api::Api;
pub(crate) use api::shown;
use requests::Requests;

/// How the containers of pods run.
#[derive(Clone)]
pub struct Options {
    /// The program of each image.
    pub images: Images,
    /// The directory of volumes and logs.
    pub folder: PathBuf,
    /// Whether programs may write to the files of the machine.
    pub writable: bool,
    /// Takes each line that a container writes, after the name `NAMESPACE/POD/CONTAINER` of its container.
    pub lines: Lines,
    /// Where the DNS listens on the machine, if pods are on the network of the machine, without namespaces.
    pub on_host: Option<SocketAddr>,
}

/// The nodes of a cluster, whose pods are processes.
pub struct Nodes {
    node: Arc<Node>,
    options: clusterlocal_node::Options,
    /// The address of the Service kube-dns, or nothing.
    service: String,
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
        let Options { images, folder, writable, lines, on_host } = options;
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
        Ok(Nodes { node: Arc::new(node), options, service })
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

    /// What the API requests from the kubelets, for its server.
    pub fn kubelet(&self) -> Arc<dyn Kubelet> {
        Requests::new(self.node.clone(), self.options.streaming.clone())
    }

    /// Runs the pods until `stop` resolves and all of them have stopped.
    pub async fn run(self, driver: Driver, stop: impl Future<Output = ()>) {
        let (sender, followed) = watch::channel(Routes::new());
        let api = Api::new(driver.clone());
        let following = tokio::spawn(async move {
            let mut changes = driver.revisions();
            loop {
                sender.send_replace(driver.read(routes::routes));
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
