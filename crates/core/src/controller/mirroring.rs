//! The endpoint slice mirroring controller: hand-made Endpoints of a Service without a selector, as slices
//! (pkg/controller/endpointslicemirroring).

use std::sync::Arc;

use super::endpoints::LAST_CHANGE;
use super::slices::{self, Groups, MIRRORING_CONTROLLER, SliceBuilder};
use crate::store::{
    Change, Endpoint, EndpointAddress, EndpointConditions, EndpointPort, EndpointSlice, Endpoints, IpFamily,
    Kind, Labels, Name, Service, Store, Stored, repack,
};

/// The label of Endpoints that are not mirrored.
pub(super) const SKIP_MIRROR_LABEL: &str = "endpointslice.kubernetes.io/skip-mirror";
/// The annotation of Endpoints used as a lock.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
/// kubectl's annotation, which is not copied to slices.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The changes that update the mirrored slices of `service` from its Endpoints (syncEndpoints).
pub(super) fn reconcile(store: &Store, service: &Service, snapshot_owned: bool) -> Vec<Change> {
    let (namespace, name) = (&service.metadata.namespace, &service.metadata.name);
    let slices = store.slices_of(namespace, name);
    // A snapshot contains the mirrored slices as well.
    if snapshot_owned && slices.iter().any(|slice| !slice.metadata.synthesized) {
        return Vec::new();
    }
    let endpoints = store.get::<Endpoints>(Kind::Endpoints, namespace, name);
    let endpoints = endpoints.filter(|endpoints| {
        let meta = &endpoints.metadata;
        service.spec.selector.is_empty()
            && endpoints.derived.is_none()
            && meta.labels.get(SKIP_MIRROR_LABEL) != Some("true")
            && meta.annotations.get(LEADER).is_none()
    });
    let Some(endpoints) = endpoints else { return clean_up(store, namespace, name) };
    let annotations = &endpoints.metadata.annotations;
    let annotations: Labels =
        annotations.iter().filter(|(key, _)| !matches!(*key, LAST_CHANGE | LAST_APPLIED)).collect();
    let mirrored = mirrored(&slices);
    let uid = store.stored(&endpoints.metadata.key(Kind::Endpoints)).map(Stored::uid);
    let builder = SliceBuilder::of_endpoints(endpoints, uid, annotations).within(store);
    slices::reconcile(store, &builder, &mirrored, groups(endpoints))
}

/// The changes that delete the mirrored slices of a Service (deleteMirroredSlices).
pub(super) fn clean_up(store: &Store, namespace: &Name, name: &Name) -> Vec<Change> {
    let slices = store.slices_of(namespace, name);
    let own = mirrored(&slices).into_iter().filter(|slice| slice.metadata.synthesized);
    own.map(|slice| Change::Delete(slice.metadata.key(Kind::EndpointSlice))).collect()
}

fn mirrored<'s>(slices: &[&'s Arc<EndpointSlice>]) -> Vec<&'s Arc<EndpointSlice>> {
    slices.iter().copied().filter(|slice| slice.is_managed_by(MIRRORING_CONTROLLER)).collect()
}

/// The endpoints of Endpoints, grouped by ports and family.
pub(super) fn groups(endpoints: &Endpoints) -> Groups {
    let mut groups = Groups::default();
    for subset in repack(&endpoints.subsets) {
        let ports: Arc<[EndpointPort]> = subset.ports.into();
        let ready = subset.addresses.iter().map(|address| (address, true));
        let not_ready = subset.not_ready_addresses.iter().map(|address| (address, false));
        for (address, ready) in ready.chain(not_ready) {
            groups.add(IpFamily::of(address.ip).address_type(), &ports, endpoint(address, ready));
        }
    }
    groups
}

/// Converts an address to an endpoint (addressToEndpoint).
fn endpoint(address: &EndpointAddress, ready: bool) -> Endpoint {
    Endpoint {
        addresses: address.ip.into(),
        conditions: EndpointConditions { ready: Some(ready), ..EndpointConditions::default() },
        hostname: address.hostname.clone(),
        target_ref: address.target_ref.clone(),
        node_name: address.node_name.clone(),
    }
}
