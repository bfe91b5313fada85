//! The endpoint slice controller: the pods of a Service and their ports
//! (pkg/controller/endpointslice/endpointslice_controller.go, k8s.io/endpointslice `utils.go`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::slices::{self, ENDPOINTS_PER_SLICE, Group, Groups, SliceBuilder};
use super::{endpoints, mirroring};
use crate::store::{
    BOUND_PORT_PREFIX, Change, Endpoint, EndpointConditions, EndpointPort, EndpointSlice, IntOrName,
    IpFamily, Key, Kind, Name, Node, Object, ObjectReference, Pod, SLICE_CONTROLLER, Service, ServicePort,
    Store, Stored, ordinal,
};

/// The changes that update the slices of the Service `name` from its pods, or from its hand-made Endpoints.
///
/// Slices and Endpoints of a snapshot are authoritative if `snapshot_owned`. If only the readiness of some pods has
/// changed since the last call, `touched` names those.
pub(super) fn reconcile(
    store: &Store,
    namespace: &Name,
    name: &Name,
    snapshot_owned: bool,
    touched: Option<&[Name]>,
) -> Vec<Change> {
    let Some(service) = store.get::<Service>(Kind::Service, namespace, name) else {
        return leftovers(store, namespace, name);
    };
    let mirrored = mirroring::reconcile(store, service, snapshot_owned);
    if service.is_external_name() || service.spec.selector.is_empty() {
        // Existing objects are left to other managers from now on (syncService).
        let mut changes: Vec<Change> = endpoints::release(store, service).into_iter().collect();
        if changes.is_empty() {
            changes = mirrored;
        }
        return changes;
    }
    let touched = touched.and_then(|pods| update_readiness(store, service, pods));
    let mut changes = mirrored;
    changes.extend(touched.unwrap_or_else(|| reconcile_all(store, service, snapshot_owned)));
    let changed = !changes.is_empty();
    changes.extend(endpoints::reconcile(store, service, snapshot_owned, changed));
    changes
}

/// The remaining objects of a deleted Service: those that it owned and that were derived from it.
fn leftovers(store: &Store, namespace: &Name, name: &Name) -> Vec<Change> {
    let owner = Key::new(Kind::Service, namespace.clone(), name.clone());
    let mut changes: Vec<Change> = endpoints::delete(store, &owner, false).into_iter().collect();
    let slices = store.slices_of(namespace, name).into_iter();
    let own = slices.filter(|slice| slice.metadata.synthesized && slice.metadata.is_owned_by(&owner));
    changes.extend(own.map(|slice| Change::Delete(slice.metadata.key(Kind::EndpointSlice))));
    changes.extend(mirroring::clean_up(store, namespace, name));
    changes
}

fn reconcile_all(store: &Store, service: &Service, snapshot_owned: bool) -> Vec<Change> {
    let (namespace, name) = (&service.metadata.namespace, &service.metadata.name);
    let slices = store.slices_of(namespace, name);
    let uid = store.stored(&service.metadata.key(Kind::Service)).map(Stored::uid);
    // A snapshot's slices are the endpoints; or its Endpoints, if it has no slices.
    if snapshot_owned && slices.iter().any(|slice| !slice.metadata.synthesized) {
        return Vec::new();
    }
    if snapshot_owned && let Some(recorded) = endpoints::recorded(store, service) {
        return slices::reconcile(
            store,
            &SliceBuilder::of_recorded(service, uid).within(store),
            &slices,
            mirroring::groups(recorded),
        );
    }
    let families = service.families();
    let mut groups = selected(store, service, &families);
    for family in families {
        // Without endpoints, an empty slice shows that the controller has processed the Service
        // (reconcileByAddressType).
        if !groups.0.iter().any(|group| group.address_type == family.address_type()) {
            groups.0.push(Group {
                address_type: family.address_type(),
                ports: Arc::default(),
                endpoints: Vec::new(),
            });
        }
    }
    let managed: Vec<_> = slices.into_iter().filter(|slice| slice.is_managed_by(SLICE_CONTROLLER)).collect();
    slices::reconcile(store, &SliceBuilder::of_service(service, uid).within(store), &managed, groups)
}

/// The changes that update the readiness of `pods` in place, so that the other endpoints of a large Service need not be
/// compared. `None` if anything else differs.
fn update_readiness(store: &Store, service: &Service, pods: &[Name]) -> Option<Vec<Change>> {
    let slices = store.slices_of(&service.metadata.namespace, &service.metadata.name);
    let follows = endpoints::stored(store, service).is_some_and(|endpoints| endpoints.derived.is_some());
    if !follows || slices.iter().any(|slice| !slice.metadata.synthesized) {
        return None;
    }
    let mut turned: BTreeMap<&Name, Arc<EndpointSlice>> = BTreeMap::new();
    for pod in pods {
        let pod = store
            .get::<Pod>(Kind::Pod, &service.metadata.namespace, pod)
            .filter(|pod| is_included(store, service, pod))?;
        let ips = service.families().into_iter().filter_map(|family| pod_ip(pod, family));
        for ip in ips {
            let endpoint = endpoint(service, pod, ip);
            let of_family =
                slices.iter().filter(|slice| slice.address_type == IpFamily::of(ip).address_type());
            let (slice, at) = position(of_family, pod)?;
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

/// The position of the endpoint of `pod`: usually that of its ordinal, counted in full slices.
fn position<'s>(
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
fn selected(store: &Store, service: &Service, families: &[IpFamily]) -> Groups {
    let mut pods = store.select_pods(&service.metadata.namespace, &service.spec.selector);
    // Ordered by number, not by text: `db-2` before `db-10`. Endpoints of pods with random names are ordered by
    // creation, so that the youngest pods, which are deleted first, are in the last slice.
    pods.sort_by_cached_key(|pod| {
        let meta = &pod.metadata;
        let is_numbered = meta.controller().is_none_or(|owner| owner.kind == Kind::StatefulSet);
        let born = || store.stored(&meta.key(Kind::Pod)).map_or(u64::MAX, Stored::born);
        let number = ordinal(&meta.name).filter(|_| is_numbered);
        number.map_or_else(|| ("", born()), |(set, number)| (set, u64::from(number)))
    });
    let by_name = service.spec.ports.iter().any(|port| matches!(port.target_port, Some(IntOrName::Name(_))))
        || pods.iter().any(|pod| has_bound_ports(pod));
    let mut ports: Option<Arc<[EndpointPort]>> = None;
    let mut groups = Groups::default();
    for pod in pods.into_iter().filter(|pod| is_included(store, service, pod)) {
        // Numeric ports are the same for all pods; named ports are resolved for each pod.
        let ports = match &mut ports {
            Some(ports) if !by_name => ports,
            ports => ports.insert(resolve_ports(service, pod)),
        };
        for family in families {
            let Some(ip) = pod_ip(pod, *family) else { continue };
            groups.add(family.address_type(), ports, endpoint(service, pod, ip));
        }
    }
    groups
}

/// Excludes pods that have ended, and those whose node does not exist (unless not-ready pods are published).
fn is_included(store: &Store, service: &Service, pod: &Pod) -> bool {
    let nodes_are_known = || store.list::<Node>(Kind::Node).any(|node| !node.metadata.synthesized);
    let node = &pod.spec.node_name;
    let has_node =
        || node.is_empty() || store.get::<Node>(Kind::Node, "", node).is_some() || !nodes_are_known();
    !pod.is_terminal() && (service.spec.publish_not_ready_addresses || has_node())
}

/// The first address of the pod in a family.
fn pod_ip(pod: &Pod, family: IpFamily) -> Option<IpAddr> {
    pod.status.ips().find(|ip| IpFamily::of(*ip) == family)
}

fn endpoint(service: &Service, pod: &Pod, ip: IpAddr) -> Endpoint {
    let (serving, terminating) = (pod.status.ready, pod.is_terminating());
    let ready = service.spec.publish_not_ready_addresses || (serving && !terminating);
    // A pod has a host name only under the Service named by its subdomain (ShouldSetHostname).
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

/// Resolves the Service's ports for a pod. Ports that the pod does not have are omitted (podutil.FindPort).
fn resolve_ports(service: &Service, pod: &Pod) -> Arc<[EndpointPort]> {
    let bound = has_bound_ports(pod);
    let ports = service.spec.ports.iter().filter_map(|port| {
        let bound = if bound { bound_port(pod, port) } else { None };
        let number = match (bound, &port.target_port) {
            (Some(number), _) => number,
            (None, None) => port.port,
            (None, Some(IntOrName::Int(number))) => *number,
            (None, Some(IntOrName::Name(name))) => {
                let mut declared = pod.spec.serving_containers().flat_map(|container| &container.ports);
                declared.find(|p| p.name == *name && p.protocol == port.protocol)?.container_port
            }
        };
        Some(EndpointPort {
            name: port.name.clone(),
            port: Some(number),
            protocol: port.protocol,
            app_protocol: port.app_protocol.clone(),
        })
    });
    ports.collect()
}

/// Whether annotations override the ports of the pod.
fn has_bound_ports(pod: &Pod) -> bool {
    bound_ports(pod).next().is_some()
}

/// The annotations that override ports of the pod: the container port, and the port it is really reached at.
pub(super) fn bound_ports(pod: &Pod) -> impl Iterator<Item = (&str, &str)> {
    pod.metadata.annotations.iter().filter(|(key, _)| key.starts_with(BOUND_PORT_PREFIX))
}

/// The port that an annotation sets for this port of a Service.
fn bound_port(pod: &Pod, port: &ServicePort) -> Option<u16> {
    let bound =
        |name: &str| pod.metadata.annotations.get(&format!("{BOUND_PORT_PREFIX}{name}"))?.parse().ok();
    bound(&port.name).or_else(|| match &port.target_port {
        Some(IntOrName::Name(name)) => bound(name),
        _ => None,
    })
}
