//! Lookups by label: Services and workloads by the labels of pods, pods by a selector, and the objects of a workload or
//! Service. Must not depend on the use of the result.

use std::sync::Arc;

use super::index::{self, indexed, pair, pod_prefix};
use super::kind::{Key, Kind};
use super::names::{Labels, Name, POD_NAME_LABEL};
use super::object::Resource;
use super::pod::Pod;
use super::selector::LabelSelector;
use super::service::{EndpointSlice, Endpoints, Service};
use super::table::Store;
use super::workload::Workload;

impl Store {
    /// The pods of `namespace` that have every label of `selector`, in no particular order. None for an empty selector:
    /// on a Service it means that the endpoints are managed by others, not "everything".
    pub fn select_pods(&self, namespace: &Name, selector: &Labels) -> Vec<&Arc<Pod>> {
        let Some(pods) = self.within(Kind::Pod, namespace).filter(|_| !selector.is_empty()) else {
            return Vec::new();
        };
        let matching = |pod: &&Arc<Pod>| selector.matches(&pod.metadata.labels);
        let pairs =
            indexed(selector).map(|(key, value)| self.indexes.pods.names(pair(namespace, key, value)));
        if let Some(name) = selector.get(POD_NAME_LABEL) {
            return pods
                .get(name)
                .and_then(|pod| Pod::of(&pod.object))
                .filter(matching)
                .into_iter()
                .collect();
        }
        match pairs.min_by_key(|names| names.len()) {
            Some(names) => {
                names.iter().filter_map(|name| Pod::of(&pods.get(name)?.object)).filter(matching).collect()
            }
            None => pods.values().filter_map(|pod| Pod::of(&pod.object)).filter(matching).collect(),
        }
    }

    /// The pods on nodes that have required anti-affinity.
    pub fn pods_with_anti_affinity(&self) -> impl Iterator<Item = &Arc<Pod>> {
        let keys = self.indexes.repelling.anti_affinity.iter();
        keys.filter_map(|key| self.get(Kind::Pod, &key.namespace, &key.name))
    }

    /// The pods on nodes that have host ports.
    pub fn pods_with_host_ports(&self) -> impl Iterator<Item = &Arc<Pod>> {
        let keys = self.indexes.repelling.host_ports.iter();
        keys.filter_map(|key| self.get(Kind::Pod, &key.namespace, &key.name))
    }

    /// Whether pods without constraints of their own may be kept away from nodes: by the anti-affinity of other pods,
    /// or by the location of their volumes.
    pub fn constrains_all_pods(&self) -> bool {
        !self.indexes.repelling.anti_affinity.is_empty() || !self.indexes.repelling.volumes.is_empty()
    }

    /// The pods that the workload at `owner` manages, and those without a controller that its `selector` matches, by
    /// name.
    pub fn pods_near(&self, owner: &Key, selector: &LabelSelector) -> Vec<&Arc<Pod>> {
        let Some(pods) = self.within(Kind::Pod, &owner.namespace) else { return Vec::new() };
        let get = |name: &Name| Pod::of(&pods.get(name)?.object);
        let prefix = pod_prefix(&owner.name);
        let named = self.list_prefixed::<Pod>(Kind::Pod, &owner.namespace, &prefix);
        let mut found: Vec<&Arc<Pod>> = named.filter(|pod| pod.metadata.is_owned_by(owner)).collect();
        let named = found.len();
        let adopted = index::owner(&owner.namespace, owner.kind, &owner.name);
        let adopted = self.indexes.adopted.names(adopted).iter().filter_map(get);
        found.extend(adopted.filter(|pod| pod.metadata.is_owned_by(owner)));
        let orphan =
            |pod: &&Arc<Pod>| pod.metadata.links.is_orphan() && selector.matches(&pod.metadata.labels);
        let pairs = indexed(&selector.match_labels);
        let pairs = pairs.map(|(key, value)| self.indexes.pods.names(pair(&owner.namespace, key, value)));
        match pairs.min_by_key(|names| names.len()) {
            // If the label has no more pods than were found, usually all of them match.
            Some(names)
                if names.len() <= found.len()
                    && found.iter().all(|pod| selector.matches(&pod.metadata.labels)) => {}
            Some(names) => found.extend(names.iter().filter_map(get).filter(orphan)),
            None => found.extend(pods.values().filter_map(|pod| Pod::of(&pod.object)).filter(orphan)),
        }
        if found.len() > named {
            found.sort_unstable_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        }
        found
    }

    /// The ReplicaSets that the Deployment at `owner` manages or whose labels `selector` matches, by name.
    pub fn replica_sets_near(&self, owner: &Key, selector: &LabelSelector) -> Vec<&Arc<Workload>> {
        let Some(sets) = self.within(Kind::ReplicaSet, &owner.namespace) else { return Vec::new() };
        let get = |name: &Name| Workload::of(&sets.get(name)?.object);
        let owned = self.indexes.replica_sets.names(index::owner(&owner.namespace, owner.kind, &owner.name));
        let mut found: Vec<&Arc<Workload>> = owned.iter().filter_map(get).collect();
        let matching = |set: &&Arc<Workload>| selector.matches(&set.metadata.labels);
        let pairs = indexed(&selector.match_labels);
        let pairs =
            pairs.map(|(key, value)| self.indexes.replica_sets.names(pair(&owner.namespace, key, value)));
        match pairs.min_by_key(|names| names.len()) {
            Some(names) => found.extend(names.iter().filter_map(get).filter(matching)),
            None => found.extend(sets.values().filter_map(|set| Workload::of(&set.object)).filter(matching)),
        }
        found.sort_unstable_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        found.dedup_by(|a, b| Arc::ptr_eq(a, b));
        found
    }

    /// The workloads of `namespace` whose selector may match a pod with `labels`.
    pub fn workloads_selecting(&self, namespace: &Name, labels: &Labels) -> Vec<Key> {
        let pairs = indexed(labels).map(|(key, value)| pair(namespace, key, value));
        let entries = pairs.chain([pair(namespace, "", "")]);
        let entries = entries.flat_map(|pair| self.indexes.workloads.names(pair));
        entries.map(|(kind, name)| Key::new(*kind, namespace.clone(), name.clone())).collect()
    }

    /// The Services of `namespace` whose selector matches a pod with `labels`, in no particular order.
    pub fn services_selecting(&self, namespace: &Name, labels: &Labels) -> Vec<&Arc<Service>> {
        Selecting::new(self).services(namespace, labels).collect()
    }

    /// The Services of `namespace` whose selector has this pair first.
    pub(super) fn services_by(
        &self,
        namespace: &Name,
        key: &str,
        value: &str,
    ) -> impl Iterator<Item = &Arc<Service>> {
        let names = self.indexes.services.names(pair(namespace, key, value));
        // There are usually none, and no lookup is needed.
        let services = if names.is_empty() { None } else { self.within(Kind::Service, namespace) };
        names.iter().filter_map(move |name| Service::of(&services?.get(name)?.object))
    }

    /// The slices of a Service, by name. The Service need not exist.
    pub fn slices_of(&self, namespace: &Name, service: &Name) -> Vec<&Arc<EndpointSlice>> {
        let Some(slices) = self.within(Kind::EndpointSlice, namespace) else {
            return Vec::new();
        };
        let names = self.indexes.slices.names(pair(namespace, "", service));
        let found = names.iter().filter_map(|name| EndpointSlice::of(&slices.get(name)?.object));
        let mut found: Vec<_> = found.filter(|slice| slice.service_name() == Some(service)).collect();
        found.sort_unstable_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        found
    }

    /// Whether the endpoints of `service` are in the manifests: slices, or Endpoints that no controller created.
    pub fn has_recorded_endpoints(&self, service: &Service) -> bool {
        let (namespace, name) = (&service.metadata.namespace, &service.metadata.name);
        self.slices_of(namespace, name).iter().any(|slice| !slice.metadata.synthesized)
            || self
                .get::<Endpoints>(Kind::Endpoints, namespace, name)
                .is_some_and(|endpoints| endpoints.derived.is_none())
    }
}

/// Finds the Services that select pods, for one pod after another: many pods of a template cost little more than one.
pub struct Selecting<'s> {
    store: &'s Store,
    /// The namespace and labels of the previous pod.
    template: Option<(Name, Labels)>,
    /// The Services whose selectors have a label of that pod first.
    candidates: Vec<&'s Arc<Service>>,
}

impl<'s> Selecting<'s> {
    /// A lookup in `store`.
    pub fn new(store: &'s Store) -> Self {
        Selecting { store, template: None, candidates: Vec::new() }
    }

    /// The Services of `namespace` whose selector matches a pod with `labels`, in no particular order.
    pub fn services<'a>(
        &'a mut self,
        namespace: &'a Name,
        labels: &'a Labels,
    ) -> impl Iterator<Item = &'s Arc<Service>> + use<'a, 's> {
        let store = self.store;
        let is_same =
            |(there, template): &(Name, Labels)| there == namespace && template.share_template(labels);
        if !self.template.as_ref().is_some_and(is_same) {
            let template = labels.of_template();
            let found = template.iter().flat_map(|(key, value)| store.services_by(namespace, key, value));
            self.candidates = found.collect();
            self.template = Some((namespace.clone(), template));
        }
        let own = labels.of_name().flat_map(move |(key, value)| store.services_by(namespace, key, value));
        let candidates = self.candidates.iter().copied().chain(own);
        candidates.filter(move |service| service.spec.selector.matches(labels))
    }
}
