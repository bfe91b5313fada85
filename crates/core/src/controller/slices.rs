//! Distributes endpoints over slices of at most a hundred; existing endpoints stay in their slice where possible
//! (k8s.io/endpointslice `reconciler.go`, reconcileByPortMapping and finalize). Must not depend on pods.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::reconcile::names::{digest, generated};
use crate::store::{
    AddressType, Change, Endpoint, EndpointAddresses, EndpointPort, EndpointSlice, Endpoints, HEADLESS_LABEL,
    Kind, Labels, Links, Name, Namespace, Object, ObjectMeta, Owner, SERVICE_NAME_LABEL, SLICE_CONTROLLER,
    SLICE_MANAGED_BY_LABEL, Service, Store, Uid,
};

/// Maximum number of endpoints in one slice (kube-controller-manager, `--max-endpoints-per-slice`).
pub(super) const ENDPOINTS_PER_SLICE: usize = 100;

/// Maximum number of mirrored endpoints in one slice (kube-controller-manager, `--mirroring-max-endpoints-per-subset`).
const MIRRORED_PER_SLICE: usize = 1000;

/// The mirroring controller, as the label of its slices names it.
pub(super) const MIRRORING_CONTROLLER: &str = "endpointslicemirroring-controller.k8s.io";

/// The endpoints of one address family whose ports resolve to the same numbers.
pub(super) struct Group {
    pub(super) address_type: AddressType,
    pub(super) ports: Arc<[EndpointPort]>,
    /// Empty for the placeholder slice of a Service without endpoints.
    pub(super) endpoints: Vec<Endpoint>,
}

impl Group {
    /// The same group with other endpoints.
    fn with(&self, endpoints: Vec<Endpoint>) -> Self {
        Group { address_type: self.address_type, ports: self.ports.clone(), endpoints }
    }
}

/// The groups of a Service. There are usually one or two, so linear search is fastest.
#[derive(Default)]
pub(super) struct Groups(pub(super) Vec<Group>);

impl Groups {
    /// Adds an endpoint to its group.
    pub(super) fn add(&mut self, address_type: AddressType, ports: &Arc<[EndpointPort]>, endpoint: Endpoint) {
        let fits = |group: &&mut Group| group.address_type == address_type && group.ports == *ports;
        match self.0.iter_mut().find(fits) {
            Some(group) => group.endpoints.push(endpoint),
            None => self.0.push(Group { address_type, ports: ports.clone(), endpoints: vec![endpoint] }),
        }
    }
}

/// Creates the slices of one Service, with their common parts.
pub(super) struct SliceBuilder {
    service: Name,
    namespace: Name,
    /// The owner reference, and the base of generated names.
    links: Links,
    labels: Labels,
    /// Annotations copied from the source, if they are.
    annotations: Option<Labels>,
    most: usize,
    /// Whether new slices may be created: false in a terminating namespace.
    creates: bool,
}

impl SliceBuilder {
    /// For slices of the endpoint slice controller with the pods of `service` (newEndpointSlice,
    /// setEndpointSliceLabels).
    pub(super) fn of_service(service: &Service, uid: Option<Uid>) -> Self {
        let meta = &service.metadata;
        let mut own = vec![
            (arcstr::literal!(SLICE_MANAGED_BY_LABEL), arcstr::literal!(SLICE_CONTROLLER)),
            (arcstr::literal!(SERVICE_NAME_LABEL), meta.name.clone()),
        ];
        if service.is_headless() {
            own.push((arcstr::literal!(HEADLESS_LABEL), Name::default()));
        }
        // Most Services have no labels, and need no copy without reserved ones.
        let labels = if meta.labels.iter().any(|(key, _)| is_reserved(key)) {
            meta.labels.iter().filter(|(key, _)| !is_reserved(key)).collect()
        } else {
            meta.labels.clone()
        };
        SliceBuilder {
            service: meta.name.clone(),
            namespace: meta.namespace.clone(),
            links: links(Kind::Service, &meta.name, uid),
            labels: labels.with(own),
            annotations: None,
            most: ENDPOINTS_PER_SLICE,
            creates: true,
        }
    }

    /// For slices of the Endpoints of `service` from a snapshot, as the endpoint slice controller would have created
    /// them.
    pub(super) fn of_recorded(service: &Service, uid: Option<Uid>) -> Self {
        SliceBuilder { most: MIRRORED_PER_SLICE, ..SliceBuilder::of_service(service, uid) }
    }

    /// For slices of the mirroring controller of hand-made Endpoints (newEndpointSlice).
    pub(super) fn of_endpoints(endpoints: &Endpoints, uid: Option<Uid>, annotations: Labels) -> Self {
        let meta = &endpoints.metadata;
        let labels = meta
            .labels
            .with([(SLICE_MANAGED_BY_LABEL, MIRRORING_CONTROLLER), (SERVICE_NAME_LABEL, meta.name.as_str())]);
        SliceBuilder {
            service: meta.name.clone(),
            namespace: meta.namespace.clone(),
            links: links(Kind::Endpoints, &meta.name, uid),
            labels,
            annotations: Some(annotations),
            most: MIRRORED_PER_SLICE,
            creates: true,
        }
    }

    /// Whether `slice` has the current labels and annotations of its source. A changed reserved label alone does not
    /// count (setEndpointSliceLabels).
    fn fits(&self, slice: &EndpointSlice) -> bool {
        let free = |labels: &Labels| -> Vec<(String, String)> {
            let free = labels.iter().filter(|(key, _)| !is_reserved(key));
            free.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        let as_copied = |wanted: &Labels| {
            slice.metadata.annotations == *wanted
                && slice.metadata.links.controller() == self.links.controller()
        };
        self.annotations.as_ref().is_none_or(as_copied)
            && (slice.metadata.labels == self.labels || free(&slice.metadata.labels) == free(&self.labels))
    }

    /// Disables new slices in a terminating namespace, in which the API server would refuse them.
    pub(super) fn within(mut self, store: &Store) -> Self {
        let namespace = store.get::<Namespace>(Kind::Namespace, "", &self.namespace);
        self.creates = namespace.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_none());
        self
    }

    /// Whether the slice belongs to the same Service or Endpoints; for a Service, not to an older one of that name
    /// (ownedBy).
    fn is_owner(&self, slice: &EndpointSlice) -> bool {
        let own = self.links.controller();
        slice.metadata.links.controller().zip(own).is_some_and(|(owner, own)| {
            let same = own.kind == Kind::Endpoints || own.uid.is_none_or(|uid| owner.has_uid(uid));
            owner.kind == own.kind && owner.name == own.name && same
        })
    }

    /// Creates a slice.
    fn slice(&self, name: Name, mut group: Group) -> EndpointSlice {
        let metadata = ObjectMeta {
            name,
            namespace: self.namespace.clone(),
            links: self.links.clone(),
            ..ObjectMeta::default()
        };
        let endpoints = std::mem::take(&mut group.endpoints);
        self.filled(metadata, &group, endpoints)
    }

    /// Updates the slice `old` to these endpoints. The mirroring controller replaces its slices, without
    /// `generateName`.
    fn updated(&self, old: &EndpointSlice, group: &Group, endpoints: Vec<Endpoint>) -> EndpointSlice {
        let mut metadata = old.metadata.clone();
        if self.annotations.is_some() {
            metadata.links = Links::default();
            metadata.links.set_owners(self.links.owners().iter().cloned());
        }
        self.filled(metadata, group, endpoints)
    }

    fn filled(&self, mut metadata: ObjectMeta, group: &Group, endpoints: Vec<Endpoint>) -> EndpointSlice {
        metadata.labels = self.labels.clone();
        if let Some(annotations) = &self.annotations {
            metadata.annotations = annotations.clone();
        }
        (metadata.synthesized, metadata.given) = (true, None);
        EndpointSlice { metadata, address_type: group.address_type, endpoints, ports: group.ports.to_vec() }
    }
}

fn links(kind: Kind, name: &Name, uid: Option<Uid>) -> Links {
    Links::of_controller(Owner::controller(kind, name.clone(), uid), format!("{name}-"))
}

/// Labels that the controllers set themselves and do not copy from the Service (isReservedLabelKey).
fn is_reserved(key: &str) -> bool {
    matches!(key, SERVICE_NAME_LABEL | SLICE_MANAGED_BY_LABEL | HEADLESS_LABEL)
}

/// The changes that make the `existing` slices of one controller hold `groups`.
pub(super) fn reconcile(
    store: &Store,
    builder: &SliceBuilder,
    existing: &[&Arc<EndpointSlice>],
    mut groups: Groups,
) -> Vec<Change> {
    let mut plan = Plan::default();
    let (owned, not_owned): (Vec<_>, Vec<_>) =
        existing.iter().copied().partition(|slice| builder.is_owner(slice));
    let mut left = owned;
    for group in &mut groups.0 {
        let is_of_group = |slice: &&Arc<EndpointSlice>| {
            slice.address_type == group.address_type && *slice.ports == *group.ports
        };
        let (of_group, others): (Vec<_>, Vec<_>) = left.into_iter().partition(is_of_group);
        left = others;
        plan.fill(builder, &of_group, group);
    }
    plan.delete.extend(left);
    plan.finish(store, builder, not_owned)
}

/// The planned changes of slices.
#[derive(Default)]
struct Plan<'s> {
    update: Vec<EndpointSlice>,
    /// One for each new slice, with its endpoints.
    create: Vec<Group>,
    delete: Vec<&'s Arc<EndpointSlice>>,
}

impl<'s> Plan<'s> {
    /// Keeps endpoints in their slices. Puts new ones first into slices that change anyway, then into one with capacity
    /// for all, then into new slices.
    fn fill(&mut self, builder: &SliceBuilder, existing: &[&'s Arc<EndpointSlice>], group: &mut Group) {
        if group.endpoints.is_empty() {
            return self.keep_placeholder(builder, existing, group);
        }
        if existing.is_empty() {
            // Collected, so that each slice takes no more memory than its endpoints need.
            let mut rest = std::mem::take(&mut group.endpoints).into_iter();
            while rest.len() > 0 {
                let endpoints = rest.by_ref().take(builder.most).collect();
                self.create.push(group.with(endpoints));
            }
            return;
        }
        let group = &*group;
        let mut wanted = Unplaced::new(&group.endpoints);
        let mut unchanged: Vec<&'s Arc<EndpointSlice>> = Vec::new();
        let begin = self.update.len();
        for slice in existing {
            let kept: Vec<Endpoint> = slice.endpoints.iter().filter_map(|old| wanted.take(old)).collect();
            if kept.is_empty() {
                self.delete.push(slice)
            } else if kept != slice.endpoints || !builder.fits(slice) {
                self.update.push(builder.updated(slice, group, kept));
            } else {
                unchanged.push(slice)
            }
        }
        let mut rest = wanted.rest();
        self.update[begin..].sort_by_key(|slice| std::cmp::Reverse(slice.endpoints.len()));
        for slice in &mut self.update[begin..] {
            let room = builder.most.saturating_sub(slice.endpoints.len()).min(rest.len());
            slice.endpoints.extend(rest.drain(..room));
        }
        while !rest.is_empty() {
            let room =
                |slice: &Arc<EndpointSlice>| builder.most.checked_sub(slice.endpoints.len() + rest.len());
            let fullest =
                unchanged.iter().enumerate().filter_map(|(at, slice)| Some((room(slice)?, at))).min();
            let filled = fullest.filter(|_| rest.len() < builder.most).map(|(_, at)| unchanged.remove(at));
            let mut endpoints = filled.map(|slice| slice.endpoints.clone()).unwrap_or_default();
            endpoints.extend(rest.drain(..(builder.most - endpoints.len()).min(rest.len())));
            match filled {
                Some(slice) => self.update.push(builder.updated(slice, group, endpoints)),
                None => self.create.push(group.with(endpoints)),
            }
        }
    }

    /// Creates or keeps one empty slice without ports, for a Service without endpoints in a family.
    fn keep_placeholder(
        &mut self,
        builder: &SliceBuilder,
        existing: &[&'s Arc<EndpointSlice>],
        group: &Group,
    ) {
        let is_empty = |slice: &&Arc<EndpointSlice>| slice.endpoints.is_empty() && builder.fits(slice);
        let kept = existing.iter().position(is_empty);
        self.delete.extend(existing.iter().enumerate().filter(|(at, _)| Some(*at) != kept).map(|(_, s)| *s));
        if kept.is_none() {
            self.create.push(group.with(Vec::new()));
        }
    }

    /// The changes. A slice that would be deleted is reused for a new one (finalize), unless it is in `not_owned`, whose
    /// owners differ.
    fn finish(
        self,
        store: &Store,
        builder: &SliceBuilder,
        not_owned: Vec<&'s Arc<EndpointSlice>>,
    ) -> Vec<Change> {
        let Plan { mut update, create, mut delete } = self;
        let mut made: Vec<Name> = Vec::new();
        for group in create {
            let recycled = delete.iter().position(|slice| slice.address_type == group.address_type);
            let name = match recycled {
                Some(at) => {
                    let endpoints = group.endpoints.clone();
                    update.push(builder.updated(delete.remove(at), &group, endpoints));
                    continue;
                }
                None if !builder.creates => continue,
                None => {
                    // Slices of several controllers may have the same ports.
                    let by = builder.links.controller().map(|owner| owner.kind);
                    let names = (0usize..).map(|number| {
                        let of = (by, group.address_type, &group.ports, number);
                        Name::from(generated(&builder.service, 5, digest(of)))
                    });
                    let taken = |name: &Name| {
                        store.get::<EndpointSlice>(Kind::EndpointSlice, &builder.namespace, name).is_some()
                    };
                    let mut free = names.filter(|name| !taken(name) && !made.contains(name));
                    free.next().expect("there are more numbers than slices")
                }
            };
            made.push(name.clone());
            update.push(builder.slice(name, group));
        }
        let deleted = delete.into_iter().chain(not_owned);
        let deleted = deleted.map(|slice| Change::Delete(slice.metadata.key(Kind::EndpointSlice)));
        let put = |slice| Change::Put(Object::EndpointSlice(Arc::new(slice)));
        update.into_iter().map(put).chain(deleted).collect()
    }
}

/// The endpoints that have not been placed yet.
struct Unplaced<'e> {
    endpoints: Vec<Option<&'e Endpoint>>,
    /// Their indexes, by identity.
    indexes: FxHashMap<Identity<'e>, usize>,
}

/// The identity of an endpoint: its address and its pod (hashEndpoint).
type Identity<'e> = (Option<&'e Name>, &'e EndpointAddresses);

fn identity(endpoint: &Endpoint) -> Identity<'_> {
    (endpoint.target_ref.as_ref().map(|target| &target.name), &endpoint.addresses)
}

impl<'e> Unplaced<'e> {
    fn new(endpoints: &'e [Endpoint]) -> Self {
        let indexes = endpoints.iter().enumerate().map(|(at, endpoint)| (identity(endpoint), at)).collect();
        Unplaced { endpoints: endpoints.iter().map(Some).collect(), indexes }
    }

    /// Takes the current state of the endpoint `old`, if it is still needed.
    fn take(&mut self, old: &'e Endpoint) -> Option<Endpoint> {
        let place = *self.indexes.get(&identity(old))?;
        self.endpoints[place].take().cloned()
    }

    /// The endpoints that were not taken.
    fn rest(self) -> Vec<Endpoint> {
        self.endpoints.into_iter().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests;
