//! Takes the place of the index of CoreDNS's `kubernetes` plugin: from Services, EndpointSlices, Namespaces and Pods to
//! record sets by name. Must not depend on files, sockets or time.
//!
//! A [`Zone`] is a value: cloning it is cheap, [`Feed`] changes its own copy one Service at a time, and [`Published`]
//! hands complete states to readers without locks.

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
pub use lookup::{Each, Found, Matches, Tuple};
pub use rows::TargetRef;
pub use service::{Port, ServiceRecords, dashed};
use table::Table;

/// The configuration of the `kubernetes` plugin; the defaults are those of a kubeadm cluster.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster domain.
    pub domain: DomainName,
    /// TTL of every record, in seconds, 0 to 3600 (the plugin's `ttl`).
    pub ttl: u32,
    /// The plugin's `pods`.
    pub pods: PodNames,
    /// The plugin's `endpoint_pod_names`: endpoints without a hostname have the name of their pod.
    pub endpoint_pod_names: bool,
    /// The plugin's `ignore empty_service`: names of Services with an address but without a ready endpoint do not
    /// exist.
    pub ignore_empty_services: bool,
    /// The plugin's `noendpoints`: headless Services and endpoints have no names.
    pub no_endpoints: bool,
    /// The plugin's `namespaces`: if not empty, names in others do not exist.
    pub namespaces: Vec<Name>,
    /// The reverse zones that are served.
    pub reverse_zones: Vec<DomainName>,
    /// The DNS server's own addresses in the cluster, which determine the zone's NS. The default are those of the first
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
    /// All valid addresses, whether or not a pod has them.
    #[default]
    Insecure,
    /// Those of the pods in that namespace.
    Verified,
}

/// An immutable state of all names.
#[derive(Clone)]
pub struct Zone {
    settings: Arc<Settings>,
    /// Grows with every visible change (RFC 1982); part of the SOA.
    serial: u32,
    /// Whether the cluster has been read. Before, missing names are SERVFAIL instead of NXDOMAIN.
    synced: bool,
    /// By label in wire form.
    namespaces: Table<Box<[u8]>>,
    services: Table<ServiceRecords>,
    /// `NAME.NAMESPACE.svc` of the Services with an address of their own.
    cluster_ips: Table<(IpAddr, Arc<[u8]>)>,
    /// The Services whose endpoints have an address.
    endpoints: Table<(Ipv6Addr, Owners)>,
    /// Number of running pods by namespace and primary address, for [`PodNames::Verified`].
    pods: Table<((Name, IpAddr), u32)>,
}

/// The Services, as `NAME.NAMESPACE.svc` in wire form, that have an address as an endpoint, in order of addition.
/// Addresses with the same Services share one list, so that 100,000 pods cost a pointer each.
type Owners = Arc<Vec<Arc<[u8]>>>;

impl Zone {
    /// An empty zone that is not synced.
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

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The SOA's serial.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Whether missing names are known not to exist.
    pub fn is_synced(&self) -> bool {
        self.synced
    }
}

/// The newest [`Zone`] for readers, without a lock. Clones share it.
#[derive(Clone)]
pub struct Published(Arc<ArcSwap<Zone>>);

impl Published {
    /// Publishes `zone` as the first state.
    pub fn new(zone: Zone) -> Self {
        Published(Arc::new(ArcSwap::from_pointee(zone)))
    }

    /// The newest state. Must be held for one query or one batch only.
    pub fn load(&self) -> Guard<Arc<Zone>> {
        self.0.load()
    }

    /// Publishes `zone`; readers that hold an older state finish with it.
    pub fn publish(&self, zone: Zone) {
        self.0.store(Arc::new(zone));
    }
}
