//! The endpoints controller: the older Endpoints of a Service that selects pods (pkg/controller/endpoint). Their
//! subsets are computed from the Service's slices when they are read; stored are only their existence and the time of
//! their last change.

use std::sync::{Arc, LazyLock};

use crate::store::{
    Change, Derived, Endpoints, HEADLESS_LABEL, IpFamily, Key, Kind, Labels, Namespace, Object, ObjectMeta,
    Service, Store, of_slices,
};

/// The label that names the controller that manages Endpoints.
const MANAGED_BY_LABEL: &str = "endpoints.kubernetes.io/managed-by";
/// The endpoints controller, as that label names it.
const CONTROLLER: &str = "endpoint-controller";
/// The annotation with the time of the last change that the endpoints follow from.
pub(super) const LAST_CHANGE: &str = "endpoints.kubernetes.io/last-change-trigger-time";
/// The annotation of Endpoints that hold only a part of the addresses.
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";

/// The Endpoints of `service`, if they exist.
pub(super) fn stored<'s>(store: &'s Store, service: &Service) -> Option<&'s Arc<Endpoints>> {
    store.get(Kind::Endpoints, &service.metadata.namespace, &service.metadata.name)
}

/// The Endpoints of `service`, which selects pods, from a snapshot. Hand-made ones do not count: a cluster's controller
/// overwrites them.
pub(super) fn recorded<'s>(store: &'s Store, service: &Service) -> Option<&'s Arc<Endpoints>> {
    let written =
        |endpoints: &&Arc<Endpoints>| endpoints.derived.is_none() && !endpoints.metadata.synthesized;
    stored(store, service).filter(written).filter(|endpoints| is_recorded(endpoints))
}

/// Whether a controller of a cluster wrote `endpoints`, which are from a snapshot: they have its label, or refer to
/// pods.
fn is_recorded(endpoints: &Endpoints) -> bool {
    let labels = &endpoints.metadata.labels;
    let mut addresses = endpoints
        .subsets
        .iter()
        .flat_map(|subset| subset.addresses.iter().chain(&subset.not_ready_addresses));
    labels.get(MANAGED_BY_LABEL) == Some(CONTROLLER) || addresses.any(|address| address.target_ref.is_some())
}

/// The change that updates the Endpoints of `service`, which selects pods, after its slices have `changed` or not
/// (syncService).
pub(super) fn reconcile(
    store: &Store,
    service: &Service,
    snapshot_owned: bool,
    changed: bool,
) -> Option<Change> {
    if snapshot_owned && recorded(store, service).is_some() {
        return None;
    }
    let there = stored(store, service);
    let namespace = store.get::<Namespace>(Kind::Namespace, "", &service.metadata.namespace);
    let terminates = namespace.is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_some());
    if there.is_none() && terminates {
        return None;
    }
    let before = there.and_then(|endpoints| endpoints.derived);
    let spec = &service.spec;
    let derived = Derived {
        slices: before.filter(|_| !changed).map_or(store.revision(), |before| before.slices),
        family: service.families().first().copied().unwrap_or(IpFamily::IPv4),
        publish_not_ready: spec.publish_not_ready_addresses,
        portless: spec.ports.is_empty(),
    };
    let meta = &service.metadata;
    let mut metadata = match there {
        Some(there) => there.metadata.clone(),
        None => {
            ObjectMeta { name: meta.name.clone(), namespace: meta.namespace.clone(), ..ObjectMeta::default() }
        }
    };
    metadata.labels = labels(service);
    (metadata.synthesized, metadata.given) = (true, None);
    let endpoints = Endpoints { metadata, subsets: Vec::new(), derived: Some(derived) };
    // Comparing with the store avoids most allocations by callers.
    if there.is_some_and(|there| **there == endpoints) {
        return None;
    }
    Some(Change::Put(Object::Endpoints(Arc::new(endpoints))))
}

/// The labels of the Endpoints of `service`. Most Services have none and share them.
fn labels(service: &Service) -> Labels {
    static OWN: LazyLock<[Labels; 2]> = LazyLock::new(|| {
        let managed = Labels::from_iter([(MANAGED_BY_LABEL, CONTROLLER)]);
        let headless = managed.with([(HEADLESS_LABEL, "")]);
        [managed, headless]
    });
    let own = &OWN[usize::from(service.is_headless())];
    if service.metadata.labels.is_empty() {
        return own.clone();
    }
    let others = service.metadata.labels.iter().filter(|(key, _)| *key != HEADLESS_LABEL);
    Labels::from_iter(others).with(own.iter())
}

/// The change that leaves the Endpoints of `service` unmanaged once it no longer selects pods.
pub(super) fn release(store: &Store, service: &Service) -> Option<Change> {
    let endpoints = stored(store, service)?;
    let derived = endpoints.derived?;
    let slices = store.slices_of(&service.metadata.namespace, &service.metadata.name);
    let (subsets, truncated) = of_slices(derived, &slices);
    let mut released = Endpoints { subsets, derived: None, ..(**endpoints).clone() };
    if truncated {
        released.metadata.annotations = released.metadata.annotations.with([(OVER_CAPACITY, "truncated")]);
    }
    Some(Change::Put(Object::Endpoints(Arc::new(released))))
}

/// The change that deletes the Endpoints of a deleted Service (syncService). Hand-made Endpoints from a file stay: they
/// are deleted with their Service only in a cluster that is `driven`.
pub(super) fn delete(store: &Store, service: &Key, driven: bool) -> Option<Change> {
    let endpoints = store.get::<Endpoints>(Kind::Endpoints, &service.namespace, &service.name)?;
    let gone = service.kind == Kind::Service && store.object(service).is_none();
    let goes = gone && (driven || endpoints.derived.is_some());
    goes.then(|| Change::Delete(endpoints.metadata.key(Kind::Endpoints)))
}
