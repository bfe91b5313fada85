//! Takes the kubelet's place: what a pod does once it exists. For now it gets its address, runs and is ready at once.
//! It must not know the DNS.

use std::sync::Arc;

use crate::controller::{Addresses, ordinal};
use crate::store::{
    Change, IpList, Key, Kind, Node, Object, PINNED_IP_PREFIX, Pod, PodPhase, PodStatus, Store, parse_ip,
};

/// The next step in the life of the pod at `key`, if there is one.
///
/// A pod whose manifest has a phase is part of a snapshot: what it says is believed.
pub fn sync(store: &Store, key: &Key, addresses: &mut Addresses) -> Option<Change> {
    let pod = store.get::<Pod>(Kind::Pod, &key.namespace, &key.name).filter(|pod| is_to_do(pod))?;
    let status = start(store, pod, addresses);
    Some(Change::Put(Object::Pod(Arc::new(Pod { status, ..(**pod).clone() }))))
}

/// The status of a pod that was started: it has its addresses, and is ready.
pub fn start(store: &Store, pod: &Pod, addresses: &mut Addresses) -> PodStatus {
    let ips = match pinned(pod) {
        pinned if !pinned.is_empty() => pinned,
        _ if pod.status.ips().next().is_some() && !pod.spec.host_network => pod.status.ips().collect(),
        _ if pod.spec.host_network => node_addresses(store, pod),
        _ => {
            let meta = &pod.metadata;
            let key = Key::new(Kind::Pod, meta.namespace.clone(), meta.name.clone());
            addresses.pod(&key, set_and_ordinal(pod))
        }
    };
    match ips.is_empty() {
        true => PodStatus { phase: Some(PodPhase::Pending), simulated: true, ..PodStatus::default() },
        false => PodStatus {
            phase: Some(PodPhase::Running),
            pod_ip: ips.first().copied(),
            pod_ips: ips,
            ready: !pod.is_terminating(),
            simulated: true,
            ..PodStatus::default()
        },
    }
}

/// Whether anything is left to be done for a pod. On the host network its addresses may change with its node's.
pub fn is_to_do(pod: &Pod) -> bool {
    let settled = pod.status.simulated && pod.status.ips().next().is_some() && !pod.spec.host_network;
    !pod.status.is_recorded() && !settled
}

/// The addresses that an annotation asks for. Reading the manifests has checked them.
fn pinned(pod: &Pod) -> IpList {
    if pod.metadata.annotations.is_empty() {
        return IpList::new();
    }
    let annotation = format!("{PINNED_IP_PREFIX}{}", pod.metadata.name);
    let text = pod.metadata.annotations.get(&annotation).map(|t| t.as_str()).unwrap_or_default();
    text.split(',').filter_map(|ip| parse_ip(ip.trim()).ok()).collect()
}

/// On the host network, a pod has its node's addresses.
fn node_addresses(store: &Store, pod: &Pod) -> IpList {
    let by_name = store.get::<Node>(Kind::Node, "", &pod.spec.node_name);
    let node = by_name.or_else(|| store.list::<Node>(Kind::Node).next());
    node.map(|node| node.status.addresses.iter().copied().collect()).unwrap_or_default()
}

/// Whose block of addresses the pod belongs to, and where in it.
fn set_and_ordinal(pod: &Pod) -> Option<(&crate::store::Name, u32)> {
    let owner = pod.metadata.owner.as_ref()?;
    let number = ordinal(&pod.metadata.name).map_or(0, |(_, ordinal)| ordinal);
    Some((&owner.name, number))
}
