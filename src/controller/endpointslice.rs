//! The endpoint slice controller and its mirror of hand-made Endpoints: which pods a Service leads to, at which ports
//! (k8s.io/endpointslice, `utils.go`, `reconciler.go`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::concerns::{MANAGED_BY_LABEL, SLICE_CONTROLLER};
use super::names::{digest, generated};
use super::pods::ordinal;
use crate::store::{
    AddressType, BOUND_PORT_PREFIX, Change, Endpoint, EndpointAddress, EndpointConditions, EndpointPort,
    EndpointSlice, Endpoints, IntOrName, IpFamily, IpFamilyPolicy, Key, Kind, Links, Name, Node, Object,
    ObjectMeta, ObjectReference, Owner, Pod, SERVICE_NAME_LABEL, Service, ServicePort, Store, Stored,
};

/// So many endpoints fit into one slice (kube-controller-manager, `--max-endpoints-per-slice`).
const ENDPOINTS_PER_SLICE: usize = 100;

/// What goes into slices together: they are apart by address family and by what their ports resolve to.
struct Group {
    address_type: AddressType,
    ports: Arc<[EndpointPort]>,
    endpoints: Vec<Endpoint>,
}

/// The groups so far. There are one or two of them, so looking at each is the quickest way to the right one.
#[derive(Default)]
struct Groups(Vec<Group>);

impl Groups {
    fn add(&mut self, address_type: AddressType, ports: &Arc<[EndpointPort]>, endpoint: Endpoint) {
        let fits = |group: &&mut Group| group.address_type == address_type && group.ports == *ports;
        match self.0.iter_mut().find(fits) {
            Some(group) => group.endpoints.push(endpoint),
            None => self.0.push(Group { address_type, ports: ports.clone(), endpoints: vec![endpoint] }),
        }
    }
}

/// The changes that make the slices of the Service `name` what its pods ask for.
///
/// Slices that somebody gave are `believed`; otherwise they follow the pods, whoever made them first. Where nothing has
/// changed since they were looked at last but how some pods fare, `touched` says which.
pub(super) fn reconcile(
    store: &Store,
    namespace: &Name,
    name: &Name,
    believed: bool,
    touched: Option<&[Name]>,
) -> Vec<Change> {
    let touched = touched.and_then(|pods| turned(store, namespace, name, pods));
    touched.unwrap_or_else(|| reconcile_all(store, namespace, name, believed))
}

fn reconcile_all(store: &Store, namespace: &Name, name: &Name, believed: bool) -> Vec<Change> {
    let wanted = wanted(store, namespace, name, believed);
    let mut changes: Vec<Change> = store
        .slices_of(namespace, name)
        .into_iter()
        .filter(|slice| slice.metadata.synthesized || !believed)
        .filter(|slice| !wanted.contains_key(&slice.metadata.name))
        .map(|slice| {
            Change::Delete(Key::new(Kind::EndpointSlice, namespace.clone(), slice.metadata.name.clone()))
        })
        .collect();
    changes.extend(wanted.into_values().map(|slice| Change::Put(Object::EndpointSlice(Arc::new(slice)))));
    changes
}

fn wanted(store: &Store, namespace: &Name, name: &Name, believed: bool) -> BTreeMap<Name, EndpointSlice> {
    // A snapshot's slices are the endpoints; so are its Endpoints, where it has no slices.
    if believed && store.slices_of(namespace, name).iter().any(|slice| !slice.metadata.synthesized) {
        return BTreeMap::new();
    }
    let service = store.get::<Service>(Kind::Service, namespace, name);
    if let Some(endpoints) = store.get::<Endpoints>(Kind::Endpoints, namespace, name) {
        return name_slices(store, namespace, name, mirrored(endpoints));
    }
    match service {
        // Without a selector, somebody else makes the slices.
        Some(service) if !service.is_external_name() && !service.spec.selector.is_empty() => {
            name_slices(store, namespace, name, selected(store, service))
        }
        _ => BTreeMap::new(),
    }
}

/// The changes that turn the endpoints of `pods` ready or not, each where it stands, so that the others of a large
/// Service need not be looked at. `None` where they are not what they would be, or not there.
fn turned(store: &Store, namespace: &Name, name: &Name, pods: &[Name]) -> Option<Vec<Change>> {
    let service = store.get::<Service>(Kind::Service, namespace, name)?;
    let slices = store.slices_of(namespace, name);
    if store.get::<Endpoints>(Kind::Endpoints, namespace, name).is_some()
        || slices.iter().any(|slice| !slice.metadata.synthesized)
    {
        return None;
    }
    let mut turned: BTreeMap<&Name, Arc<EndpointSlice>> = BTreeMap::new();
    for pod in pods {
        let pod =
            store.get::<Pod>(Kind::Pod, namespace, pod).filter(|pod| is_included(store, service, pod))?;
        let ips = families(service).into_iter().filter_map(|family| pod_ip(pod, family));
        for ip in ips {
            let endpoint = endpoint(service, pod, ip);
            let of_family =
                slices.iter().filter(|slice| slice.address_type == address_type(IpFamily::of(ip)));
            let (slice, at) = place(of_family, pod)?;
            let there = &slice.endpoints[at];
            let fits = Endpoint { conditions: endpoint.conditions, ..there.clone() } == endpoint
                && *slice.ports == *resolve_ports(service, pod);
            if !fits {
                return None;
            }
            if there.conditions != endpoint.conditions {
                let slice = turned.entry(&slice.metadata.name).or_insert_with(|| Arc::clone(slice));
                Arc::make_mut(slice).endpoints[at] = endpoint;
            }
        }
    }
    Some(turned.into_values().map(|slice| Change::Put(Object::EndpointSlice(slice))).collect())
}

/// Where the endpoint of `pod` stands: as a rule at its ordinal, counted in full slices.
fn place<'s>(
    slices: impl Iterator<Item = &'s &'s Arc<EndpointSlice>> + Clone,
    pod: &Pod,
) -> Option<(&'s Arc<EndpointSlice>, usize)> {
    let name = &pod.metadata.name;
    let is_of_pod =
        |endpoint: &Endpoint| endpoint.target_ref.as_ref().is_some_and(|target| target.name == *name);
    let likely = ordinal(name).map_or(0, |(_, ordinal)| ordinal as usize % ENDPOINTS_PER_SLICE);
    let mut at_once = slices.clone().filter(|slice| slice.endpoints.get(likely).is_some_and(is_of_pod));
    let mut searched =
        slices.filter_map(|slice| Some((&**slice, slice.endpoints.iter().position(is_of_pod)?)));
    at_once.next().map(|slice| (&**slice, likely)).or_else(|| searched.next())
}

/// The endpoints of a Service's pods.
fn selected(store: &Store, service: &Service) -> Groups {
    let mut pods = store.select_pods(&service.metadata.namespace, &service.spec.selector);
    // By number, not by text: `db-2` before `db-10`.
    pods.sort_by_cached_key(|pod| ordinal(&pod.metadata.name).unwrap_or((&pod.metadata.name, 0)));
    let families = families(service);
    let by_name = service.spec.ports.iter().any(|port| matches!(port.target_port, Some(IntOrName::Name(_))))
        || pods.iter().any(|pod| has_bound_ports(pod));
    let mut ports: Option<Arc<[EndpointPort]>> = None;
    let mut groups = Groups::default();
    for pod in pods.into_iter().filter(|pod| is_included(store, service, pod)) {
        // Numbers are the same for all pods; what a name means is each pod's own affair.
        let ports = match &mut ports {
            Some(ports) if !by_name => ports,
            ports => ports.insert(resolve_ports(service, pod)),
        };
        for family in &families {
            let Some(ip) = pod_ip(pod, *family) else { continue };
            groups.add(address_type(*family), ports, endpoint(service, pod, ip));
        }
    }
    groups
}

/// A pod that has ended is left out altogether, and so is one whose node is not there (unless not-ready pods count).
fn is_included(store: &Store, service: &Service, pod: &Pod) -> bool {
    let nodes_are_known = || store.list::<Node>(Kind::Node).any(|node| !node.metadata.synthesized);
    let node = &pod.spec.node_name;
    let has_node =
        || node.is_empty() || store.get::<Node>(Kind::Node, "", node).is_some() || !nodes_are_known();
    !pod.is_terminal() && (service.spec.publish_not_ready_addresses || has_node())
}

/// The first address that the pod has of a family.
fn pod_ip(pod: &Pod, family: IpFamily) -> Option<IpAddr> {
    pod.status.ips().find(|ip| IpFamily::of(*ip) == family)
}

fn endpoint(service: &Service, pod: &Pod, ip: IpAddr) -> Endpoint {
    let (serving, terminating) = (pod.status.ready, pod.is_terminating());
    let ready = service.spec.publish_not_ready_addresses || (serving && !terminating);
    // A pod has its name only under the Service that its subdomain names (ShouldSetHostname).
    let governed = !pod.spec.hostname.is_empty() && pod.spec.shared.subdomain == service.metadata.name;
    Endpoint {
        addresses: ip.into(),
        conditions: EndpointConditions {
            ready: Some(ready),
            serving: Some(serving),
            terminating: Some(terminating),
        },
        hostname: if governed { pod.spec.hostname.clone() } else { Name::default() },
        target_ref: Some(ObjectReference {
            kind: arcstr::literal!("Pod"),
            name: pod.metadata.name.clone(),
            namespace: pod.metadata.namespace.clone(),
        }),
        node_name: pod.spec.node_name.clone(),
    }
}

/// The Service's ports as this pod has them. One that the pod does not have is left out (podutil.FindPort).
fn resolve_ports(service: &Service, pod: &Pod) -> Arc<[EndpointPort]> {
    let bound = has_bound_ports(pod);
    let ports = service.spec.ports.iter().filter_map(|port| {
        let said = if bound { bound_port(pod, port) } else { None };
        let number = match (said, &port.target_port) {
            (Some(number), _) => number,
            (None, None) => port.port,
            (None, Some(IntOrName::Int(number))) => *number,
            (None, Some(IntOrName::Name(name))) => {
                let mut declared = pod.spec.serving_containers().flat_map(|container| &container.ports);
                declared.find(|p| p.name == *name && p.protocol == port.protocol)?.container_port
            }
        };
        Some(EndpointPort { name: port.name.clone(), port: Some(number), protocol: port.protocol })
    });
    ports.collect()
}

/// Whether somebody says at which ports the pod really listens.
fn has_bound_ports(pod: &Pod) -> bool {
    bound_ports(pod).next().is_some()
}

/// What somebody says of where the pod really listens.
pub(super) fn bound_ports(pod: &Pod) -> impl Iterator<Item = (&str, &str)> {
    pod.metadata.annotations.iter().filter(|(key, _)| key.starts_with(BOUND_PORT_PREFIX))
}

/// Where what stands for the pod listens, if somebody says so of this port of a Service.
fn bound_port(pod: &Pod, port: &ServicePort) -> Option<u16> {
    let bound =
        |name: &str| pod.metadata.annotations.get(&format!("{BOUND_PORT_PREFIX}{name}"))?.parse().ok();
    bound(&port.name).or_else(|| match &port.target_port {
        Some(IntOrName::Name(name)) => bound(name),
        _ => None,
    })
}

/// The families a Service's endpoints are wanted in: as it says, or as its addresses are, or as its policy lets it.
fn families(service: &Service) -> Vec<IpFamily> {
    let spec = &service.spec;
    if !spec.ip_families.is_empty() {
        return spec.ip_families.clone();
    }
    let mut families: Vec<IpFamily> = Vec::new();
    for family in service.addresses().map(IpFamily::of) {
        if !families.contains(&family) {
            families.push(family);
        }
    }
    let dual = matches!(
        spec.ip_family_policy,
        Some(IpFamilyPolicy::PreferDualStack | IpFamilyPolicy::RequireDualStack)
    );
    match families.is_empty() {
        true if dual => vec![IpFamily::IPv4, IpFamily::IPv6],
        true => vec![IpFamily::IPv4],
        false => families,
    }
}

fn address_type(family: IpFamily) -> AddressType {
    match family {
        IpFamily::IPv4 => AddressType::IPv4,
        IpFamily::IPv6 => AddressType::IPv6,
    }
}

/// What the endpoint slice mirroring controller makes of hand-made Endpoints.
fn mirrored(endpoints: &Endpoints) -> Groups {
    let mut groups = Groups::default();
    for subset in &endpoints.subsets {
        let ports: Arc<[EndpointPort]> = subset.ports.as_slice().into();
        let mut add = |address: &EndpointAddress, ready: bool| {
            let endpoint = Endpoint {
                addresses: address.ip.into(),
                conditions: EndpointConditions { ready: Some(ready), ..EndpointConditions::default() },
                hostname: address.hostname.clone(),
                target_ref: address.target_ref.clone(),
                node_name: address.node_name.clone(),
            };
            groups.add(address_type(IpFamily::of(address.ip)), &ports, endpoint);
        };
        subset.addresses.iter().for_each(|address| add(address, true));
        subset.not_ready_addresses.iter().for_each(|address| add(address, false));
    }
    groups
}

/// Makes objects of groups of endpoints: at most 100 each, under names that depend on what they hold.
fn name_slices(
    store: &Store,
    namespace: &Name,
    service: &Name,
    groups: Groups,
) -> BTreeMap<Name, EndpointSlice> {
    let key = Key::new(Kind::Service, namespace.clone(), service.clone());
    let owner = Owner::controller(Kind::Service, service.clone(), store.stored(&key).map(Stored::uid));
    let links = Links::of_controller(owner, format!("{service}-"));
    let mut slices = BTreeMap::new();
    for Group { address_type, ports, endpoints } in groups.0 {
        let count = endpoints.len().div_ceil(ENDPOINTS_PER_SLICE);
        let mut endpoints = endpoints.into_iter();
        for number in 0..count {
            let name = Name::from(generated(service, 5, digest((address_type, &ports, number))));
            let metadata = ObjectMeta {
                name: name.clone(),
                namespace: namespace.clone(),
                labels: [
                    (arcstr::literal!(SERVICE_NAME_LABEL), service.clone()),
                    (arcstr::literal!(MANAGED_BY_LABEL), arcstr::literal!(SLICE_CONTROLLER)),
                ]
                .into_iter()
                .collect(),
                links: links.clone(),
                synthesized: true,
                ..ObjectMeta::default()
            };
            let (endpoints, ports) = (endpoints.by_ref().take(ENDPOINTS_PER_SLICE).collect(), ports.to_vec());
            slices.insert(name, EndpointSlice { metadata, address_type, endpoints, ports });
        }
    }
    slices
}
