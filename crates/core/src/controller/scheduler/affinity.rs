//! Required affinity and anti-affinity between pods (pkg/scheduler/framework/plugins/interpodaffinity).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::node_filters::Refusal;
use crate::store::{Constraints, Kind, Labels, Name, Namespace, Node, Pod, PodAffinityTerm, Store};

const AFFINITY: Refusal = Refusal::unresolvable("node(s) didn't match pod affinity rules");
const ANTI_AFFINITY: Refusal = Refusal::resolvable("node(s) didn't match pod anti-affinity rules");
const EXISTING: Refusal = Refusal::resolvable("node(s) didn't satisfy existing pods anti-affinity rules");

/// A topology key and one of its values.
type Domain<'a> = (&'a str, &'a str);

/// The domains that required affinity terms demand or exclude for a pod.
#[derive(Default)]
pub(super) struct Affinity<'a> {
    terms: &'a [PodAffinityTerm],
    anti_terms: &'a [PodAffinityTerm],
    /// The domains of pods that match all affinity terms.
    with: BTreeSet<Domain<'a>>,
    /// The domains of pods that match an anti-affinity term.
    apart: BTreeSet<Domain<'a>>,
    /// The domains of pods whose anti-affinity excludes this pod.
    repelling: BTreeSet<Domain<'a>>,
    /// Whether the pod matches all of its own affinity terms.
    selects_itself: bool,
}

impl<'a> Affinity<'a> {
    pub(super) fn of(store: &'a Store, pod: &'a Arc<Pod>) -> Self {
        let mut affinity = Affinity::default();
        affinity.repelled(store, pod);
        let Some(constraints) = pod.spec.shared.constraints.as_deref() else { return affinity };
        let Constraints { affinity: terms, anti_affinity: anti_terms, .. } = constraints;
        (affinity.terms, affinity.anti_terms) = (terms, anti_terms);
        let own = &pod.metadata.labels;
        let selected = |pod: &Pod, term: &PodAffinityTerm, by: &Pod| {
            concerns(store, term, by, &pod.metadata.namespace) && term.selects(own, &pod.metadata.labels)
        };
        for term in anti_terms {
            let pods = selected_pods(store, term, pod).filter(|other| selected(other, term, pod));
            affinity.apart.extend(pods.filter_map(|other| domain(store, other, term)));
        }
        // Only pods that match all terms count.
        if let Some(first) = terms.first() {
            let all = |other: &&Arc<Pod>| terms.iter().all(|term| selected(other, term, pod));
            for other in selected_pods(store, first, pod).filter(all) {
                affinity.with.extend(terms.iter().filter_map(|term| domain(store, other, term)));
            }
            affinity.selects_itself = terms.iter().all(|term| selected(pod, term, pod));
        }
        affinity
    }

    /// Collects the domains of the pods whose anti-affinity selects `pod`.
    fn repelled(&mut self, store: &'a Store, pod: &Arc<Pod>) {
        for other in store.pods_with_anti_affinity() {
            let terms = other.spec.shared.constraints.as_ref().map_or(&[][..], |all| &all.anti_affinity);
            for term in terms {
                if term.selects(&other.metadata.labels, &pod.metadata.labels)
                    && concerns(store, term, other, &pod.metadata.namespace)
                {
                    self.repelling.extend(domain(store, other, term));
                }
            }
        }
    }

    pub(super) fn filter(&self, node: &Node) -> Option<Refusal> {
        let labels = &node.metadata.labels;
        let is_in = |domains: &BTreeSet<Domain<'_>>, key: &str| {
            labels.get(key).is_some_and(|value| domains.contains(&(key, value)))
        };
        // The first pod of a series with affinity to itself may go to any node with the labels.
        let first = self.with.is_empty() && self.selects_itself;
        let with = |term: &PodAffinityTerm| {
            labels.get(&term.topology_key).is_some() && (first || is_in(&self.with, &term.topology_key))
        };
        if !self.terms.iter().all(with) {
            return Some(AFFINITY);
        }
        if self.anti_terms.iter().any(|term| is_in(&self.apart, &term.topology_key)) {
            return Some(ANTI_AFFINITY);
        }
        self.repelling.iter().any(|(key, value)| labels.get(key) == Some(*value)).then_some(EXISTING)
    }
}

/// Whether a term of the pod `by` applies to pods in `namespace`: by default to those in its own.
fn concerns(store: &Store, term: &PodAffinityTerm, by: &Pod, namespace: &Name) -> bool {
    match &term.namespace_selector {
        None if term.namespaces.is_empty() => by.metadata.namespace == *namespace,
        None => term.namespaces.contains(namespace),
        Some(selector) => {
            let object = store.get::<Namespace>(Kind::Namespace, "", namespace);
            let labels = object.map(|object| object.metadata.labels.clone()).unwrap_or_default();
            term.namespaces.contains(namespace) || selector.matches(&labels)
        }
    }
}

/// A superset of the scheduled pods that a term of `by` selects.
fn selected_pods<'a>(
    store: &'a Store,
    term: &'a PodAffinityTerm,
    by: &'a Pod,
) -> impl Iterator<Item = &'a Arc<Pod>> {
    let namespaces: Vec<Name> = match &term.namespace_selector {
        None if term.namespaces.is_empty() => vec![by.metadata.namespace.clone()],
        None => term.namespaces.to_vec(),
        Some(_) => {
            let all = store.list::<Namespace>(Kind::Namespace);
            all.map(|namespace| namespace.metadata.name.clone()).collect()
        }
    };
    let labels: Option<&Labels> = term.label_selector.as_ref().map(|selector| &selector.match_labels);
    namespaces.into_iter().flat_map(move |namespace| super::pods_in(store, &namespace, labels))
}

/// The domain of a pod's node.
fn domain<'a>(store: &'a Store, pod: &Pod, term: &'a PodAffinityTerm) -> Option<Domain<'a>> {
    let node = store.get::<Node>(Kind::Node, "", &pod.spec.node_name)?;
    Some((term.topology_key.as_str(), node.metadata.labels.get(&term.topology_key)?))
}
