//! Takes the place of the index of CoreDNS's `kubernetes` plugin: Services, EndpointSlices, Namespaces and Pods in,
//! record sets by name out. It must not know files, sockets or time.
//!
//! A [`Zone`] is a value: cloning it is cheap, [`Feed`] changes its own copy one Service at a time, and
//! [`Published`] hands whole states to readers, who take no lock and never see half a change.

mod count;
mod feed;
mod lookup;
mod names;
mod parse;
mod rows;
mod service;
mod table;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::store::Name;
use crate::wire::DomainName;
pub use feed::{Feed, NameChange};
pub use lookup::{Found, Matches, TargetRef, Tuple};
pub use service::{Port, ServiceRecords, dashed};
use table::Table;

/// What the `kubernetes` plugin is configured with; the defaults are those of a kubeadm cluster.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster domain.
    pub domain: DomainName,
    /// Of every record, in seconds, 0 to 3600 (the plugin's `ttl`).
    pub ttl: u32,
    /// The plugin's `pods`.
    pub pods: PodNames,
    /// The plugin's `endpoint_pod_names`: endpoints without a hostname are called after their pod.
    pub endpoint_pod_names: bool,
    /// The plugin's `ignore empty_service`: a Service with an address but without a ready endpoint does not exist.
    pub ignore_empty_services: bool,
    /// The plugin's `noendpoints`: headless Services and endpoints have no names.
    pub no_endpoints: bool,
    /// The plugin's `namespaces`: if not empty, only these are shown.
    pub namespaces: Vec<Name>,
    /// The reverse zones that are answered for.
    pub reverse_zones: Vec<DomainName>,
    /// The addresses the DNS server itself has in the cluster; they decide the zone's NS. Empty: those of the first
    /// endpoint of `kube-dns` in `kube-system`.
    pub nameserver: Vec<IpAddr>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            domain: "cluster.local".parse().expect("a valid name"),
            ttl: 30,
            pods: PodNames::Insecure,
            endpoint_pod_names: false,
            ignore_empty_services: false,
            no_endpoints: false,
            namespaces: Vec::new(),
            reverse_zones: ["in-addr.arpa", "ip6.arpa"]
                .map(|name| name.parse().expect("a valid name"))
                .into(),
            nameserver: Vec::new(),
        }
    }
}

/// Which names `1-2-3-4.NAMESPACE.pod` exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PodNames {
    /// None.
    Disabled,
    /// All that are addresses, whether or not there is such a pod.
    #[default]
    Insecure,
    /// Those of the pods in that namespace.
    Verified,
}

/// One state of all names; immutable once published.
#[derive(Clone)]
pub struct Zone {
    settings: Arc<Settings>,
    /// Grows with every visible change (RFC 1982); shown in the SOA.
    serial: u32,
    /// Whether the cluster has been read at all. Before, what is not known is SERVFAIL instead of NXDOMAIN.
    synced: bool,
    /// By label in wire form.
    namespaces: Table<Box<[u8]>>,
    services: Table<ServiceRecords>,
    /// `NAME.NAMESPACE.svc` of the Services that have an address of their own.
    cluster_ips: Table<(IpAddr, Arc<[u8]>)>,
    /// Whose endpoints have an address.
    endpoints: Table<(Ipv6Addr, Owners)>,
    /// Running pods, for [`PodNames::Verified`]: how many have this namespace and primary address.
    pods: Table<((Name, IpAddr), u32)>,
}

/// The Services, as `NAME.NAMESPACE.svc` in wire form, that have an address as an endpoint, in the order in which they came to
/// have it. Addresses with the same Services share one, so that 100,000 pods cost a pointer each.
type Owners = Arc<Vec<Arc<[u8]>>>;

impl Zone {
    /// A zone without a name in it, and not yet synced.
    pub fn new(settings: Settings) -> Self {
        Zone {
            settings: Arc::new(settings),
            serial: 0,
            synced: false,
            namespaces: Table::default(),
            services: Table::default(),
            cluster_ips: Table::default(),
            endpoints: Table::default(),
            pods: Table::default(),
        }
    }

    /// What it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The SOA's serial.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Whether a name that is not here is known not to exist.
    pub fn is_synced(&self) -> bool {
        self.synced
    }
}

/// Where readers find the newest [`Zone`], without a lock. A clone is another handle to the same place.
#[derive(Clone)]
pub struct Published(Arc<ArcSwap<Zone>>);

impl Published {
    /// Publishes `zone` as the first state.
    pub fn new(zone: Zone) -> Self {
        Published(Arc::new(ArcSwap::from_pointee(zone)))
    }

    /// The newest state. Hold it for one query or one batch, not longer.
    pub fn load(&self) -> Guard<Arc<Zone>> {
        self.0.load()
    }

    /// Publishes `zone`; readers that hold an older state finish with that.
    pub fn publish(&self, zone: Zone) {
        self.0.store(Arc::new(zone));
    }
}
