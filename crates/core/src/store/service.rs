//! Services and their endpoints: the parts of the API groups `v1` and `discovery.k8s.io` on which the DNS depends.

use std::fmt;
use std::net::IpAddr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use smallvec::SmallVec;

use super::addresses::EndpointAddresses;
use super::lenient;
use super::meta::ObjectMeta;
use super::names::{Labels, Name};
use super::values::{self, IntOrName, Protocol, nullable, parse_ip};

/// A Service: a name for a set of pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Service {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub spec: ServiceSpec,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    #[serde(rename = "type", deserialize_with = "lenient::word")]
    pub service_type: ServiceType,
    /// `None` is the string "None" of a headless Service; absent means not yet allocated.
    #[serde(rename = "clusterIP", deserialize_with = "nullable")]
    pub cluster_ip: ClusterIp,
    #[serde(rename = "clusterIPs", deserialize_with = "nullable")]
    pub cluster_ips: Vec<ClusterIp>,
    pub external_name: Option<Name>,
    #[serde(deserialize_with = "values::list")]
    pub ports: Vec<ServicePort>,
    #[serde(deserialize_with = "nullable")]
    pub selector: Labels,
    #[serde(deserialize_with = "nullable")]
    pub publish_not_ready_addresses: bool,
    #[serde(deserialize_with = "nullable")]
    pub ip_families: Vec<IpFamily>,
    pub ip_family_policy: Option<IpFamilyPolicy>,
    /// The default is true.
    pub allocate_load_balancer_node_ports: Option<bool>,
}

impl Service {
    /// Whether the Service has no address of its own (`clusterIP: None`).
    pub fn is_headless(&self) -> bool {
        !self.is_external_name()
            && (self.spec.cluster_ip == ClusterIp::None
                || self.spec.cluster_ips.first() == Some(&ClusterIp::None))
    }

    /// Whether the Service is an alias for another name.
    pub fn is_external_name(&self) -> bool {
        self.spec.service_type == ServiceType::ExternalName
    }

    /// The families of the Service's endpoints: those it names, else those of its addresses, else those of its policy.
    pub fn families(&self) -> SmallVec<[IpFamily; 2]> {
        let spec = &self.spec;
        if !spec.ip_families.is_empty() {
            return spec.ip_families.iter().copied().collect();
        }
        let mut families: SmallVec<[IpFamily; 2]> = SmallVec::new();
        for family in self.addresses().map(IpFamily::of) {
            if !families.contains(&family) {
                families.push(family);
            }
        }
        if !families.is_empty() {
            return families;
        }
        families.push(IpFamily::IPv4);
        if self.ip_family_policy() != IpFamilyPolicy::SingleStack {
            families.push(IpFamily::IPv6);
        }
        families
    }

    /// The policy of the Service; a headless Service without a selector has both families by default
    /// (pkg/registry/core/service/storage/alloc.go, initIPFamilyFields).
    pub fn ip_family_policy(&self) -> IpFamilyPolicy {
        let spec = &self.spec;
        let both = spec.ip_families.len() > 1 || self.addresses().nth(1).is_some();
        match spec.ip_family_policy {
            Some(policy) => policy,
            None if both || (self.is_headless() && spec.selector.is_empty()) => {
                IpFamilyPolicy::RequireDualStack
            }
            None => IpFamilyPolicy::SingleStack,
        }
    }

    /// Whether each of its ports has a node port.
    pub fn has_node_ports(&self) -> bool {
        match self.spec.service_type {
            ServiceType::NodePort => true,
            ServiceType::LoadBalancer => self.spec.allocate_load_balancer_node_ports != Some(false),
            _ => false,
        }
    }

    /// The allocated addresses, primary family first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let listed = self.spec.cluster_ips.iter();
        let single = self.spec.cluster_ips.is_empty().then_some(&self.spec.cluster_ip);
        listed.chain(single).filter_map(|ip| match ip {
            ClusterIp::Address(ip) => Some(*ip),
            _ => None,
        })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ServiceType {
    #[default]
    ClusterIP,
    NodePort,
    LoadBalancer,
    ExternalName,
}

/// One entry of `clusterIP`/`clusterIPs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClusterIp {
    /// Not set: an address is to be allocated.
    #[default]
    Unassigned,
    /// Headless.
    None,
    Address(IpAddr),
}

impl<'de> Deserialize<'de> for ClusterIp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = ClusterIp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an IP address, or None for a headless Service")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ClusterIp, E> {
                match text {
                    "" => Ok(ClusterIp::Unassigned),
                    "None" => Ok(ClusterIp::None),
                    _ => parse_ip(text).map(ClusterIp::Address).map_err(|e| {
                        E::custom(format!(
                            "{e}; write None for a headless Service, or leave it out to have one allocated"
                        ))
                    }),
                }
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub enum IpFamily {
    IPv4,
    IPv6,
}

impl IpFamily {
    /// The family of an address.
    pub fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { IpFamily::IPv4 } else { IpFamily::IPv6 }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            IpFamily::IPv4 => IpFamily::IPv6,
            IpFamily::IPv6 => IpFamily::IPv4,
        }
    }

    /// The address type of slices of this family.
    pub fn address_type(self) -> AddressType {
        match self {
            IpFamily::IPv4 => AddressType::IPv4,
            IpFamily::IPv6 => AddressType::IPv6,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum IpFamilyPolicy {
    SingleStack,
    PreferDualStack,
    RequireDualStack,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// Empty for the single unnamed port that a Service may have.
    #[serde(default, deserialize_with = "nullable")]
    pub name: Name,
    #[serde(deserialize_with = "values::port")]
    pub port: u16,
    #[serde(default, deserialize_with = "lenient::word")]
    pub protocol: Protocol,
    /// The port that the pods listen on; the default is `port`. 0 and the empty string count as absent
    /// (pkg/apis/core/v1/defaults.go, SetDefaults_Service).
    #[serde(default, deserialize_with = "values::target_port")]
    pub target_port: Option<IntOrName>,
    #[serde(default)]
    pub app_protocol: Option<Name>,
    /// The node port of a Service of type NodePort or LoadBalancer; absent until one is allocated.
    #[serde(default, deserialize_with = "values::node_port")]
    pub node_port: Option<u16>,
}

/// A slice of the endpoints of a Service, with one address type and one set of ports.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSlice {
    pub metadata: ObjectMeta,
    pub address_type: AddressType,
    #[serde(default, deserialize_with = "values::list")]
    pub endpoints: Vec<Endpoint>,
    #[serde(default, deserialize_with = "slice_ports")]
    pub ports: Vec<EndpointPort>,
}

/// The label with the Service of a slice.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";
/// The label of slices and Endpoints of a headless Service.
pub const HEADLESS_LABEL: &str = "service.kubernetes.io/headless";
/// The label with the controller that manages a slice.
pub const SLICE_MANAGED_BY_LABEL: &str = "endpointslice.kubernetes.io/managed-by";
/// The endpoint slice controller, as in [`SLICE_MANAGED_BY_LABEL`].
pub const SLICE_CONTROLLER: &str = "endpointslice-controller.k8s.io";

impl EndpointSlice {
    /// The Service of the slice; a slice without the label belongs to none.
    pub fn service_name(&self) -> Option<&Name> {
        self.metadata.labels.written(SERVICE_NAME_LABEL)
    }

    /// Whether `controller` manages the slice, according to its label.
    pub fn is_managed_by(&self, controller: &str) -> bool {
        self.metadata.labels.get(SLICE_MANAGED_BY_LABEL) == Some(controller)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub enum AddressType {
    IPv4,
    IPv6,
    FQDN,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    #[serde(deserialize_with = "nullable")]
    pub addresses: EndpointAddresses,
    #[serde(deserialize_with = "nullable")]
    pub conditions: EndpointConditions,
    #[serde(deserialize_with = "nullable")]
    pub hostname: Name,
    pub target_ref: Option<ObjectReference>,
    #[serde(deserialize_with = "nullable")]
    pub node_name: Name,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointConditions {
    /// The default is true, in CoreDNS and kube-proxy.
    pub ready: Option<bool>,
    pub serving: Option<bool>,
    pub terminating: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ObjectReference {
    #[serde(deserialize_with = "nullable")]
    pub kind: Name,
    #[serde(deserialize_with = "nullable")]
    pub name: Name,
    #[serde(deserialize_with = "nullable")]
    pub namespace: Name,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(default)]
pub struct EndpointPort {
    #[serde(deserialize_with = "nullable")]
    pub name: Name,
    /// Absent: the slice has no port number; addresses are found, SRV records are not.
    pub port: Option<u16>,
    #[serde(deserialize_with = "lenient::word")]
    pub protocol: Protocol,
    #[serde(rename = "appProtocol")]
    pub app_protocol: Option<Name>,
}

/// The ports of a slice, whose numbers the API server does not limit.
fn slice_ports<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<EndpointPort>, D::Error> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct SlicePort {
        #[serde(deserialize_with = "nullable")]
        name: Name,
        #[serde(deserialize_with = "lenient::slice_port")]
        port: Option<u16>,
        #[serde(deserialize_with = "nullable")]
        protocol: Protocol,
        app_protocol: Option<Name>,
    }
    let ports: Vec<SlicePort> = values::list(d)?;
    let port = |SlicePort { name, port, protocol, app_protocol }| EndpointPort {
        name,
        port,
        protocol,
        app_protocol,
    };
    Ok(ports.into_iter().map(port).collect())
}

/// The older form of a Service's endpoints, in one object; mirrored into slices as in Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Endpoints {
    pub metadata: ObjectMeta,
    #[serde(default, deserialize_with = "nullable")]
    pub subsets: Vec<EndpointSubset>,
    /// Set if the endpoints controller writes the object: its subsets are computed from the Service's slices, so that
    /// the addresses are not in memory twice.
    #[serde(skip)]
    pub derived: Option<Derived>,
}

/// The input, besides the slices, from which Endpoints are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Derived {
    /// The revision of the store at which the slices last changed.
    pub slices: u64,
    /// The family of the addresses in Endpoints: that of the Service's first address.
    pub family: IpFamily,
    /// The Service's `publishNotReadyAddresses`.
    pub publish_not_ready: bool,
    /// Whether the Service has no ports: then a pod without ports counts.
    pub portless: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointSubset {
    #[serde(deserialize_with = "nullable")]
    pub addresses: Vec<EndpointAddress>,
    #[serde(deserialize_with = "nullable")]
    pub not_ready_addresses: Vec<EndpointAddress>,
    #[serde(deserialize_with = "values::list")]
    pub ports: Vec<EndpointPort>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointAddress {
    #[serde(deserialize_with = "values::ip")]
    pub ip: IpAddr,
    #[serde(default, deserialize_with = "nullable")]
    pub hostname: Name,
    #[serde(default)]
    pub target_ref: Option<ObjectReference>,
    #[serde(default, deserialize_with = "nullable")]
    pub node_name: Name,
}
