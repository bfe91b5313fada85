//! Our own short form, `kind: Topology`: a cluster in a few lines, lowered to Kubernetes objects. The other rooms only
//! see those.
//!
//! ```yaml
//! apiVersion: clusterlocal.dev/v1
//! kind: Topology
//! sets:
//!   cassandra: {replicas: 3, ports: {cql: 9042, intra: 7000}}
//! ```
//!
//! is the StatefulSet `cassandra`, its three pods and its headless Service `cassandra`. All fields are:
//!
//! ```yaml
//! apiVersion: clusterlocal.dev/v1
//! kind: Topology
//! namespace: db                    # or metadata.namespace; default: default
//! domain: cluster.local            # the cluster's domain
//! ttl: 30                          # of every record, in seconds, at most 3600
//! podCIDR: 10.244.0.0/16           # the range of pod addresses; a list for both families
//! serviceCIDR: [10.96.0.0/16, fd00:96::/112]
//! sets:                            # StatefulSets, each with its headless Service
//!   cassandra:
//!     replicas: 3                  # default: 1
//!     service: cassandra-nodes     # the governing Service; default: the set's name
//!     client: cassandra            # one more Service over the same pods, with a cluster IP
//!     ports:
//!       cql: 9042
//!       gossip: {port: 7000, targetPort: 17000, protocol: TCP}
//!     start: 1                     # the first ordinal; default: 0
//!     parallel: true               # podManagementPolicy: Parallel
//!     publishNotReady: true        # publishNotReadyAddresses
//!     ipFamilies: [IPv4, IPv6]     # two of them: dual-stack
//!     labels: {tier: store}        # of the pods, besides app: cassandra
//!     addresses:                   # pins pods to addresses
//!       cassandra-1: 10.0.0.5
//!       cassandra-2: [10.0.0.6, fd00::6]
//! deployments:                     # Deployments, each with a Service if it has ports
//!   web: {replicas: 2, ports: {http: 80}, service: web, headless: false, labels: {tier: front}}
//! services:                        # more Services over pods with certain labels
//!   everything: {selector: {tier: store}, ports: {cql: 9042}, headless: true}
//! external:                        # Services of type ExternalName
//!   mail: smtp.example.org
//! ```
//!
//! Deployments and services have `publishNotReady` and `ipFamilies` too. An unknown field is an error: a typo must not
//! change what is tested.

pub(crate) mod fields;

use std::sync::Arc;

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::IgnoredAny;

use self::fields::{Addresses, Entries, Port, Ranges};
use super::decode::{self, DEFAULT_NAMESPACE};
use super::limits;
use super::locate::Step;
use super::problem::Problem;
use super::source::Place;
use super::validate::NameRule;
use crate::store::{
    ClusterIp, Container, ContainerPort, IntOrName, IpFamily, IpFamilyPolicy, LabelSelector, Labels, Name,
    Object, ObjectMeta, Ordinals, PINNED_IP_PREFIX, PodManagementPolicy, PodSpec, PodTemplate, Service,
    ServicePort, ServiceSpec, ServiceType, StatefulSet, StatefulSetSpec, Workload, WorkloadSpec,
};

/// Maximum TTL of CoreDNS's `kubernetes` plugin, in seconds.
const TTL_MAX: u32 = 3600;

/// The settings of the cluster in Topologies; missing ones are `None` or empty.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The cluster domain, in lower case and without the trailing dot.
    pub domain: Option<Name>,
    /// The TTL of every record, in seconds, at most 3600.
    pub ttl: Option<u32>,
    /// The ranges of pod addresses, at most one of each family.
    pub pod_cidr: Vec<IpNet>,
    /// The ranges of ClusterIPs, at most one of each family.
    pub service_cidr: Vec<IpNet>,
    /// The first Topology with any setting.
    pub place: Option<Place>,
}

impl Overrides {
    /// Adds the settings in `more`; returns the fields that conflict.
    pub fn merge(&mut self, more: &Overrides) -> Vec<&'static str> {
        /// Whether they conflict.
        fn field<T: Clone + Default + PartialEq>(current: &mut T, new: &T) -> bool {
            let unset = T::default();
            if *current == unset {
                current.clone_from(new);
            }
            *new != unset && current != new
        }
        let fields = [
            ("domain", field(&mut self.domain, &more.domain)),
            ("ttl", field(&mut self.ttl, &more.ttl)),
            ("podCIDR", field(&mut self.pod_cidr, &more.pod_cidr)),
            ("serviceCIDR", field(&mut self.service_cidr, &more.service_cidr)),
        ];
        if self.place.is_none() {
            self.place.clone_from(&more.place);
        }
        fields.into_iter().filter(|(_, contradicts)| *contradicts).map(|(name, _)| name).collect()
    }
}

/// The result of lowering one Topology.
pub(super) struct Lowered {
    /// Each with the path of its entry.
    pub(super) objects: Vec<(Object, Arc<[Step]>)>,
    pub(super) overrides: Overrides,
    pub(super) problems: Vec<Problem>,
}

/// Parses the Topology at `place`.
///
/// # Errors
/// If it is not a well-formed Topology; errors within an entry are in [`Lowered::problems`] instead.
pub(super) fn read(place: &Place) -> Result<Lowered, Box<Problem>> {
    let topology: Topology = decode::value(place)?;
    let mut problems = Vec::new();
    let mut report_at = |path: &str, message: String| {
        if problems.len() < limits::DOCUMENT_PROBLEMS {
            problems.push(Problem::at(place, place.locate(path), format!("{path}: {message}")));
        }
    };
    let domain = topology.domain.map(|domain| Name::from(domain.trim_end_matches('.').to_ascii_lowercase()));
    if let Some((message, _)) = domain.as_deref().and_then(|domain| NameRule::Subdomain.refuses(domain)) {
        report_at("domain", message);
    }
    if let Some(ttl) = topology.ttl.filter(|&ttl| ttl > TTL_MAX) {
        report_at("ttl", format!("{ttl} seconds are more than {TTL_MAX}, CoreDNS's maximum"));
    }
    for (path, ranges) in [("podCIDR", &topology.pod_cidr.0), ("serviceCIDR", &topology.service_cidr.0)] {
        let v4 = ranges.iter().filter(|range| range.addr().is_ipv4()).count();
        if v4 > 1 || ranges.len() - v4 > 1 {
            report_at(path, "more than one range of a family".into());
        }
    }
    let nested = topology.metadata.namespace;
    if topology.namespace.is_some() && nested.is_some() && topology.namespace != nested {
        report_at("namespace", "differs from metadata.namespace".into());
    }
    let namespace = topology.namespace.or(nested).unwrap_or_else(|| DEFAULT_NAMESPACE.into());

    let mut lowering = Lowering { namespace, objects: Vec::new(), within: Arc::default() };
    for (name, set) in topology.sets.0 {
        for (pod, _) in &set.addresses.0 {
            let ordinal = pod.strip_prefix(&*name).and_then(|rest| rest.strip_prefix('-'));
            if ordinal.is_none_or(|ordinal| ordinal.parse::<u32>().is_err()) {
                let message =
                    format!("{pod:?} is not a pod of this set: their names are {name}-0, {name}-1, …");
                report_at(&format!("sets[{name}].addresses[{pod}]"), message);
            }
        }
        lowering.set(name, set);
    }
    topology.deployments.0.into_iter().for_each(|(name, deployment)| lowering.deployment(name, deployment));
    topology.services.0.into_iter().for_each(|(name, service)| lowering.service(name, service));
    topology.external.0.into_iter().for_each(|(name, target)| lowering.external(name, target));

    let overrides = Overrides {
        domain,
        ttl: topology.ttl,
        pod_cidr: topology.pod_cidr.0,
        service_cidr: topology.service_cidr.0,
        place: Some(place.clone()),
    };
    Ok(Lowered { objects: lowering.objects, overrides, problems })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a Topology")]
struct Topology {
    #[serde(rename = "apiVersion")]
    _api_version: IgnoredAny,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    #[serde(default)]
    metadata: Metadata,
    namespace: Option<Name>,
    domain: Option<Name>,
    ttl: Option<u32>,
    #[serde(default, rename = "podCIDR")]
    pod_cidr: Ranges,
    #[serde(default, rename = "serviceCIDR")]
    service_cidr: Ranges,
    #[serde(default)]
    sets: Entries<Set>,
    #[serde(default)]
    deployments: Entries<Deployment>,
    #[serde(default)]
    services: Entries<MoreService>,
    #[serde(default)]
    external: Entries<Name>,
}

/// Metadata that other tools may add; only the namespace is used.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Metadata {
    #[serde(rename = "name")]
    _name: IgnoredAny,
    namespace: Option<Name>,
    #[serde(rename = "labels")]
    _labels: IgnoredAny,
    #[serde(rename = "annotations")]
    _annotations: IgnoredAny,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields, expecting = "the fields of a set")]
struct Set {
    replicas: Option<u32>,
    service: Option<Name>,
    client: Option<Name>,
    ports: Entries<Port>,
    start: u32,
    parallel: bool,
    publish_not_ready: bool,
    ip_families: Vec<IpFamily>,
    labels: Labels,
    addresses: Entries<Addresses>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields, expecting = "the fields of a deployment")]
struct Deployment {
    replicas: Option<u32>,
    service: Option<Name>,
    ports: Entries<Port>,
    headless: bool,
    publish_not_ready: bool,
    ip_families: Vec<IpFamily>,
    labels: Labels,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields, expecting = "the fields of a service")]
struct MoreService {
    selector: Labels,
    ports: Entries<Port>,
    headless: bool,
    publish_not_ready: bool,
    ip_families: Vec<IpFamily>,
}

struct Lowering {
    namespace: Name,
    objects: Vec<(Object, Arc<[Step]>)>,
    /// The path of the entry that is being lowered.
    within: Arc<[Step]>,
}

impl Lowering {
    fn set(&mut self, name: Name, set: Set) {
        self.enter("sets", &name);
        let own = own_labels(&name);
        let governing = set.service.unwrap_or_else(|| name.clone());
        let pins = set
            .addresses
            .0
            .iter()
            .map(|(pod, pinned)| (format!("{PINNED_IP_PREFIX}{pod}"), pinned.to_string()));
        let spec = StatefulSetSpec {
            service_name: governing.clone(),
            replicas: set.replicas,
            ordinals: Ordinals { start: set.start },
            selector: Some(LabelSelector::of(own.clone())),
            template: template(&own, &set.labels, &name, &set.ports),
            pod_management_policy: if set.parallel {
                PodManagementPolicy::Parallel
            } else {
                PodManagementPolicy::OrderedReady
            },
            ..StatefulSetSpec::default()
        };
        let metadata = ObjectMeta { annotations: pins.collect(), ..self.metadata(name, &own) };
        let pods = ServiceSpec {
            selector: own.clone(),
            ports: service_ports(&set.ports),
            publish_not_ready_addresses: set.publish_not_ready,
            ip_family_policy: policy(&set.ip_families),
            ip_families: set.ip_families,
            ..ServiceSpec::default()
        };
        self.add(Object::StatefulSet(Arc::new(StatefulSet { metadata, spec, ..StatefulSet::default() })));
        if let Some(client) = set.client {
            self.add_service(client, &own, pods.clone());
        }
        self.add_service(governing, &own, ServiceSpec { cluster_ip: ClusterIp::None, ..pods });
    }

    fn deployment(&mut self, name: Name, deployment: Deployment) {
        self.enter("deployments", &name);
        let own = own_labels(&name);
        let spec = WorkloadSpec {
            replicas: deployment.replicas,
            selector: Some(LabelSelector::of(own.clone())),
            template: template(&own, &deployment.labels, &name, &deployment.ports),
            ..WorkloadSpec::default()
        };
        let metadata = self.metadata(name.clone(), &own);
        self.add(Object::Deployment(Arc::new(Workload { metadata, spec, ..Workload::default() })));
        if deployment.ports.0.is_empty() && deployment.service.is_none() && !deployment.headless {
            return;
        }
        let service = MoreService {
            selector: own.clone(),
            ports: deployment.ports,
            headless: deployment.headless,
            publish_not_ready: deployment.publish_not_ready,
            ip_families: deployment.ip_families,
        };
        self.add_service(deployment.service.unwrap_or(name), &own, service.lower());
    }

    fn service(&mut self, name: Name, service: MoreService) {
        self.enter("services", &name);
        self.add_service(name, &Labels::default(), service.lower());
    }

    fn external(&mut self, name: Name, target: Name) {
        self.enter("external", &name);
        let spec = ServiceSpec {
            service_type: ServiceType::ExternalName,
            external_name: Some(target),
            ..ServiceSpec::default()
        };
        self.add_service(name, &Labels::default(), spec);
    }

    fn enter(&mut self, section: &str, name: &Name) {
        self.within = [Step::Key(section.into()), Step::Key(name.as_str().into())].into();
    }

    fn metadata(&self, name: Name, labels: &Labels) -> ObjectMeta {
        ObjectMeta {
            name,
            namespace: self.namespace.clone(),
            labels: labels.clone(),
            ..ObjectMeta::default()
        }
    }

    fn add_service(&mut self, name: Name, labels: &Labels, spec: ServiceSpec) {
        let metadata = self.metadata(name, labels);
        self.add(Object::Service(Arc::new(Service { metadata, spec })));
    }

    fn add(&mut self, object: Object) {
        self.objects.push((object, self.within.clone()));
    }
}

impl MoreService {
    fn lower(self) -> ServiceSpec {
        ServiceSpec {
            cluster_ip: if self.headless { ClusterIp::None } else { ClusterIp::Unassigned },
            selector: self.selector,
            ports: service_ports(&self.ports),
            publish_not_ready_addresses: self.publish_not_ready,
            ip_family_policy: policy(&self.ip_families),
            ip_families: self.ip_families,
            ..ServiceSpec::default()
        }
    }
}

/// The labels that distinguish the pods of one entry.
fn own_labels(name: &Name) -> Labels {
    [("app", name.clone())].into_iter().collect()
}

fn template(own: &Labels, more: &Labels, name: &Name, ports: &Entries<Port>) -> Arc<PodTemplate> {
    let labels = more.with(own.iter());
    // Without names: those of Services may be longer than those of container ports.
    let listening = ports.0.iter().map(|(_, port)| ContainerPort {
        name: Name::default(),
        container_port: port.target_port.unwrap_or(port.port),
        protocol: port.protocol,
        ..ContainerPort::default()
    });
    let container = Container { name: name.clone(), ports: listening.collect(), restart_policy: None };
    Arc::new(PodTemplate {
        metadata: ObjectMeta { labels, ..ObjectMeta::default() },
        spec: PodSpec::of_containers([container]),
        given: None,
    })
}

fn service_ports(ports: &Entries<Port>) -> Vec<ServicePort> {
    let lower = |(name, port): &(Name, Port)| ServicePort {
        name: name.clone(),
        port: port.port,
        protocol: port.protocol,
        target_port: port.target_port.map(IntOrName::Int),
        app_protocol: None,
        node_port: None,
    };
    ports.0.iter().map(lower).collect()
}

fn policy(families: &[IpFamily]) -> Option<IpFamilyPolicy> {
    match families.len() {
        0 => None,
        1 => Some(IpFamilyPolicy::SingleStack),
        _ => Some(IpFamilyPolicy::RequireDualStack),
    }
}

#[cfg(test)]
mod tests;
