//! Takes the place of a CNI plugin: each node is a bridge to which the links of its pods are connected, and all nodes are
//! connected to the bridge of the cluster, which has the addresses of Services. Must not depend on what runs in a pod.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;

use futures_util::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth, LinkMessage};
use rtnetlink::packet_route::route::RouteScope;
use rtnetlink::{Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use tokio::runtime::Runtime;

use crate::runtime::protocol::PodSandbox;

/// Address of the cluster's bridge on the network of the pods, outside of all ranges: Calico's gateway.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// The bridge of the cluster.
const CLUSTER: &str = "cluster";

/// The network of a cluster, in the namespace of the node's process.
pub(crate) struct Network {
    handle: Handle,
    pods: Vec<IpNet>,
    services: Vec<IpNet>,
    /// The link of the bridge of the cluster.
    cluster: u32,
    /// The nodes that have a bridge: the bridge, and its link to the cluster's.
    nodes: HashMap<String, Node>,
    /// Addresses that the bridge of the cluster has.
    addresses: HashSet<IpAddr>,
    /// Links made so far: each has its number as its name.
    links: u32,
}

#[derive(Clone, Copy)]
struct Node {
    bridge: u32,
    uplink: u32,
}

/// The network of a pod, before it is connected.
pub(crate) struct Inside {
    handle: Handle,
    namespace: File,
}

impl Inside {
    /// Of the network namespace that the calling thread is in.
    pub(crate) fn open(runtime: &Runtime) -> io::Result<Self> {
        // What binds port 80 in a cluster is not root either, most often.
        fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")?;
        let _entered = runtime.enter();
        Ok(Inside { handle: connection()?, namespace: File::open("/proc/self/ns/net")? })
    }
}

fn connection() -> io::Result<Handle> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    Ok(handle)
}

fn failed(what: impl std::fmt::Display) -> impl FnOnce(rtnetlink::Error) -> io::Error {
    move |error| io::Error::other(format!("{what}: {error}"))
}

impl Network {
    /// Creates the bridge of the cluster, for these ranges of pods and Services.
    pub(crate) async fn create(pods: &[IpNet], services: &[IpNet]) -> io::Result<Self> {
        let handle = connection()?;
        let mut network = Network {
            handle,
            pods: pods.to_vec(),
            services: services.to_vec(),
            cluster: 0,
            nodes: HashMap::new(),
            addresses: HashSet::new(),
            links: 0,
        };
        network.up("lo").await?;
        network.cluster = network.add_bridge(CLUSTER).await?;
        network.add_address(GATEWAY.into()).await?;
        for range in pods {
            network.route(&network.handle, *range, network.cluster, None).await?;
        }
        Ok(network)
    }

    /// Gives the bridge of the cluster an address, as kube-proxy's IPVS mode gives a node those of Services.
    pub(crate) async fn add_address(&mut self, address: IpAddr) -> io::Result<()> {
        if self.addresses.insert(address) {
            let length = if address.is_ipv4() { 32 } else { 128 };
            let added = self.handle.address().add(self.cluster, address, length).execute().await;
            added.map_err(failed(address))?;
        }
        Ok(())
    }

    /// Connects the pods of a node with all others, or cuts them off.
    pub(crate) async fn connect(&mut self, node: &str, connected: bool) -> io::Result<()> {
        let uplink = self.node(node).await?.uplink;
        let builder = LinkUnspec::new_with_index(uplink);
        let message = if connected { builder.up() } else { builder.down() }.build();
        self.handle.link().set(message).execute().await.map_err(failed(node))
    }

    /// Connects a pod to its node's bridge, and gives it its addresses.
    pub(crate) async fn add_pod(&mut self, inside: Inside, pod: &PodSandbox) -> io::Result<()> {
        let node = self.node(&pod.node).await?;
        self.links += 1;
        let outer = format!("pod{}", self.links);
        let peer = LinkMessageBuilder::<LinkUnspec>::new()
            .name("eth0".to_string())
            .setns_by_fd(inside.namespace.as_raw_fd())
            .build();
        // A link is up once both of its ends are there.
        let link = veth(&outer, peer).controller(node.bridge).build();
        self.handle.link().add(link).execute().await.map_err(failed(&outer))?;
        self.up(&outer).await?;
        let inner = index(&inside.handle, "eth0").await?;
        let loopback = index(&inside.handle, "lo").await?;
        for link in [loopback, inner] {
            let up = LinkUnspec::new_with_index(link).up().build();
            inside.handle.link().set(up).execute().await.map_err(failed("a pod's link"))?;
        }
        for address in &pod.addresses {
            let length = if address.is_ipv4() { 32 } else { 128 };
            let added = inside.handle.address().add(inner, *address, length).execute().await;
            added.map_err(failed(address))?;
        }
        for range in &self.pods {
            self.route(&inside.handle, *range, inner, None).await?;
        }
        let to_gateway = IpNet::from(IpAddr::V4(GATEWAY));
        self.route(&inside.handle, to_gateway, inner, None).await?;
        for range in self.services.iter().filter(|range| range.addr().is_ipv4()) {
            self.route(&inside.handle, *range, inner, Some(GATEWAY.into())).await?;
        }
        Ok(())
    }

    async fn node(&mut self, name: &str) -> io::Result<Node> {
        if let Some(node) = self.nodes.get(name) {
            return Ok(*node);
        }
        let number = self.nodes.len();
        let bridge = self.add_bridge(&format!("node{number}")).await?;
        let (below, above) = (format!("up{number}"), format!("down{number}"));
        let peer = LinkMessageBuilder::<LinkUnspec>::new().name(above.clone()).build();
        let link = veth(&below, peer).controller(bridge).build();
        self.handle.link().add(link).execute().await.map_err(failed(&below))?;
        let (uplink, downlink) = (index(&self.handle, &below).await?, index(&self.handle, &above).await?);
        for end in [
            LinkUnspec::new_with_index(uplink).up().build(),
            LinkUnspec::new_with_index(downlink).controller(self.cluster).up().build(),
        ] {
            self.handle.link().set(end).execute().await.map_err(failed(name))?;
        }
        let node = Node { bridge, uplink };
        self.nodes.insert(name.to_string(), node);
        Ok(node)
    }

    async fn add_bridge(&self, name: &str) -> io::Result<u32> {
        self.handle.link().add(LinkBridge::new(name).up().build()).execute().await.map_err(failed(name))?;
        index(&self.handle, name).await
    }

    async fn up(&self, name: &str) -> io::Result<()> {
        let link = index(&self.handle, name).await?;
        let message = LinkUnspec::new_with_index(link).up().build();
        self.handle.link().set(message).execute().await.map_err(failed(name))
    }

    async fn route(
        &self,
        handle: &Handle,
        to: IpNet,
        through: u32,
        gateway: Option<IpAddr>,
    ) -> io::Result<()> {
        let mut route = RouteMessageBuilder::<IpAddr>::new()
            .destination_prefix(to.network(), to.prefix_len())
            .map_err(io::Error::other)?
            .output_interface(through);
        route = match gateway {
            Some(gateway) => route.gateway(gateway).map_err(io::Error::other)?,
            None => route.scope(RouteScope::Link),
        };
        handle.route().add(route.build()).execute().await.map_err(failed(format!("the route to {to}")))
    }
}

/// A link with one end here and `peer` as the other.
fn veth(name: &str, peer: LinkMessage) -> LinkMessageBuilder<LinkVeth> {
    LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .name(name.to_string())
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
}

/// The number of a link.
async fn index(handle: &Handle, name: &str) -> io::Result<u32> {
    let mut links = handle.link().get().match_name(name.to_string()).execute();
    let link = links.try_next().await.map_err(failed(name))?;
    link.map(|link| link.header.index).ok_or_else(|| io::Error::other(format!("no link {name}")))
}
