//! Takes the place of a CNI plugin: each node is a bridge to which the links of its pods are connected, and all nodes are
//! connected to the bridge of the cluster, which has the addresses of Services. Must not depend on what runs in a pod.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

use ipnet::{IpNet, Ipv4Net};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth, LinkMessage};
use rtnetlink::packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};
use rtnetlink::packet_route::route::{RouteScope, RouteType};
use rtnetlink::{
    AddressMessageBuilder, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder,
};
use tokio::runtime::Runtime;

use crate::netlink::Netlink;
use crate::runtime::protocol::PodSandbox;

/// Address of the cluster's bridge on the network of the pods, outside of all ranges: Calico's gateway.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// The addresses of the bridges of nodes, from which kubelets probe pods. [`GATEWAY`] is among them.
const NODES: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16);

/// Number of the address in [`NODES`] that the first node has.
const FIRST_NODE: u32 = 512;

/// The bridge of the cluster.
const CLUSTER: &str = "cluster";

/// The routing table of a namespace's own addresses (`RT_TABLE_LOCAL`).
const LOCAL_TABLE: u32 = 255;

/// Hardware address of no link: frames to it are lost, as on a cut cable.
const NOWHERE: [u8; 6] = [2, 0, 0, 0, 0, 0];

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
    number: usize,
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
        // A bridge answers for its own addresses only: a node that is cut off does not reach the addresses of Services by its own
        // bridge.
        fs::write("/proc/sys/net/ipv4/conf/all/arp_ignore", "1")?;
        // Connections to endpoints come from one address: their ports must not run out.
        for (setting, value) in [("ip_local_port_range", "1024 65535"), ("tcp_tw_reuse", "1")] {
            _ = fs::write(format!("/proc/sys/net/ipv4/{setting}"), value);
        }
        network.up("lo").await?;
        network.cluster = network.add_bridge(CLUSTER).await?;
        network.add_address(GATEWAY.into()).await?;
        for range in pods {
            route(&network.netlink, *range, network.cluster, None).await?;
        }
        for range in services.iter().filter(|range| range.addr().is_ipv4()) {
            network.own(*range).await?;
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

    /// Name of the link by which the node reaches its own pods, also while it is cut off.
    pub(crate) async fn link_of(&mut self, node: &str) -> io::Result<String> {
        Ok(bridge_name(self.node(node).await?.number))
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
        route(&inside.netlink, NODES.into(), inner, None).await?;
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
        let bridge = self.add_bridge(&bridge_name(number)).await?;
        let address = address_of_node(number).ok_or_else(|| io::Error::other("too many nodes"))?;
        self.netlink.add_address(address_of(bridge, address.into())).await.map_err(failed(address))?;
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
        let node = Node { number, bridge, uplink };
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

    /// Takes packets to all addresses of a range: those to a Service without endpoints are refused, and not lost.
    async fn own(&self, range: IpNet) -> io::Result<()> {
        let route = RouteMessageBuilder::<IpAddr>::new()
            .destination_prefix(range.network(), range.prefix_len())
            .map_err(io::Error::other)?
            .output_interface(self.index("lo").await?)
            .table_id(LOCAL_TABLE)
            .kind(RouteType::Local)
            .scope(RouteScope::Host);
        self.netlink.add_route(route.build()).await.map_err(failed(range))
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

/// Drops what the pod whose network namespace the calling thread is in sends to `others`, or sends it again. Connections that there
/// are hang, as behind a cut cable: the sender learns nothing.
pub(crate) async fn separate(others: &[IpAddr], separated: bool) -> io::Result<()> {
    let netlink = Netlink::open()?;
    let link = netlink.index("eth0").await.map_err(failed("eth0"))?;
    for other in others {
        let mut neighbour = NeighbourMessage::default();
        neighbour.header.family = if other.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        neighbour.header.ifindex = link;
        neighbour.attributes.push(NeighbourAttribute::Destination((*other).into()));
        if separated {
            neighbour.header.state = NeighbourState::Permanent;
            neighbour.attributes.push(NeighbourAttribute::LinkLayerAddress(NOWHERE.to_vec()));
            netlink.set_neighbour(neighbour).await.map_err(failed(other))?;
            continue;
        }
        match netlink.delete_neighbour(neighbour).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result.map_err(failed(other))?,
        }
    }
    Ok(())
}

fn bridge_name(node: usize) -> String {
    format!("node{node}")
}

fn address_of_node(number: usize) -> Option<Ipv4Addr> {
    let number = u32::try_from(number).ok()?.checked_add(FIRST_NODE)?;
    let address = Ipv4Addr::from(NODES.network().to_bits().checked_add(number)?);
    NODES.contains(&address).then_some(address)
}

/// A link with one end here and `peer` as the other.
fn veth(name: &str, peer: LinkMessage) -> LinkMessageBuilder<LinkVeth> {
    LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .name(name.to_string())
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
}
