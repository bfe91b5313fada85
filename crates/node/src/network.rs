//! Takes the place of a CNI plugin: each node is a bridge to which the links of its pods are connected, and all nodes are
//! connected to the bridge of the cluster, which has the addresses of Services. Must not depend on what runs in a pod.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

use ipnet::IpNet;
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth, LinkMessage};
use rtnetlink::packet_route::route::RouteScope;
use rtnetlink::{
    AddressMessageBuilder, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder,
};
use tokio::runtime::Runtime;

use crate::netlink::Netlink;
use crate::runtime::protocol::PodSandbox;

/// Address of the cluster's bridge on the network of the pods, outside of all ranges: Calico's gateway.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// The bridge of the cluster.
const CLUSTER: &str = "cluster";

/// The network of a cluster, in the namespace of the node's process.
pub(crate) struct Network {
    netlink: Netlink,
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
    netlink: Netlink,
    namespace: File,
}

impl Inside {
    /// Of the network namespace that the calling thread is in.
    pub(crate) fn open(runtime: &Runtime) -> io::Result<Self> {
        // What binds port 80 in a cluster is not root either, most often.
        fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")?;
        let _entered = runtime.enter();
        Ok(Inside { netlink: Netlink::open()?, namespace: File::open("/proc/self/ns/net")? })
    }
}

fn failed(what: impl std::fmt::Display) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::other(format!("{what}: {error}"))
}

impl Network {
    /// Creates the bridge of the cluster, for these ranges of pods and Services.
    pub(crate) async fn create(pods: &[IpNet], services: &[IpNet]) -> io::Result<Self> {
        let mut network = Network {
            netlink: Netlink::open()?,
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
            route(&network.netlink, *range, network.cluster, None).await?;
        }
        Ok(network)
    }

    /// Gives the bridge of the cluster an address, as kube-proxy's IPVS mode gives a node those of Services.
    pub(crate) async fn add_address(&mut self, address: IpAddr) -> io::Result<()> {
        if self.addresses.insert(address) {
            let message = address_of(self.cluster, address);
            self.netlink.add_address(message).await.map_err(failed(address))?;
        }
        Ok(())
    }

    /// Connects the pods of a node with all others, or cuts them off.
    pub(crate) async fn connect(&mut self, node: &str, connected: bool) -> io::Result<()> {
        let uplink = self.node(node).await?.uplink;
        let builder = LinkUnspec::new_with_index(uplink);
        let message = if connected { builder.up() } else { builder.down() }.build();
        self.netlink.set_link(message).await.map_err(failed(node))
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
        self.netlink.add_link(link).await.map_err(failed(&outer))?;
        self.up(&outer).await?;
        let inner = inside.netlink.index("eth0").await.map_err(failed("eth0"))?;
        let loopback = inside.netlink.index("lo").await.map_err(failed("lo"))?;
        for link in [loopback, inner] {
            let up = LinkUnspec::new_with_index(link).up().build();
            inside.netlink.set_link(up).await.map_err(failed("a pod's link"))?;
        }
        for address in &pod.addresses {
            let message = address_of(inner, *address);
            inside.netlink.add_address(message).await.map_err(failed(address))?;
        }
        for range in &self.pods {
            route(&inside.netlink, *range, inner, None).await?;
        }
        let to_gateway = IpNet::from(IpAddr::V4(GATEWAY));
        route(&inside.netlink, to_gateway, inner, None).await?;
        for range in self.services.iter().filter(|range| range.addr().is_ipv4()) {
            route(&inside.netlink, *range, inner, Some(GATEWAY.into())).await?;
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
        self.netlink.add_link(link).await.map_err(failed(&below))?;
        let (uplink, downlink) = (self.index(&below).await?, self.index(&above).await?);
        for end in [
            LinkUnspec::new_with_index(uplink).up().build(),
            LinkUnspec::new_with_index(downlink).controller(self.cluster).up().build(),
        ] {
            self.netlink.set_link(end).await.map_err(failed(name))?;
        }
        let node = Node { bridge, uplink };
        self.nodes.insert(name.to_string(), node);
        Ok(node)
    }

    async fn add_bridge(&self, name: &str) -> io::Result<u32> {
        self.netlink.add_link(LinkBridge::new(name).up().build()).await.map_err(failed(name))?;
        self.index(name).await
    }

    async fn up(&self, name: &str) -> io::Result<()> {
        let link = self.index(name).await?;
        let message = LinkUnspec::new_with_index(link).up().build();
        self.netlink.set_link(message).await.map_err(failed(name))
    }

    async fn index(&self, name: &str) -> io::Result<u32> {
        self.netlink.index(name).await.map_err(failed(name))
    }
}

async fn route(netlink: &Netlink, to: IpNet, through: u32, gateway: Option<IpAddr>) -> io::Result<()> {
    let mut route = RouteMessageBuilder::<IpAddr>::new()
        .destination_prefix(to.network(), to.prefix_len())
        .map_err(io::Error::other)?
        .output_interface(through);
    route = match gateway {
        Some(gateway) => route.gateway(gateway).map_err(io::Error::other)?,
        None => route.scope(RouteScope::Link),
    };
    netlink.add_route(route.build()).await.map_err(failed(format!("the route to {to}")))
}

/// An address of a link, alone in its network.
fn address_of(link: u32, address: IpAddr) -> AddressMessage {
    match address {
        IpAddr::V4(address) => {
            AddressMessageBuilder::<Ipv4Addr>::new().index(link).address(address, 32).build()
        }
        IpAddr::V6(address) => {
            AddressMessageBuilder::<Ipv6Addr>::new().index(link).address(address, 128).build()
        }
    }
}

/// A link with one end here and `peer` as the other.
fn veth(name: &str, peer: LinkMessage) -> LinkMessageBuilder<LinkVeth> {
    LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .name(name.to_string())
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
}
