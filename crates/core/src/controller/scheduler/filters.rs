//! The scheduler's filter plugins, in the order of the default profile
//! (pkg/scheduler/apis/config/v1/default_plugins.go). The first reason to refuse a node counts.

use std::sync::Arc;

use super::affinity::Affinity;
use super::node_filters::{Refusal, of_node};
use super::spread::Spread;
use super::volumes::Volumes;
use crate::store::{Constraints, HostPort, Name, Node, Pod, PodSpec, Store};

/// The state of other pods that matters to one pod, collected once for all nodes (the plugins' PreFilter).
pub(super) struct Cycle<'a> {
    spec: &'a PodSpec,
    /// The nodes that required node affinity names, if it names any.
    named: Option<Vec<&'a Name>>,
    ports: Vec<(&'a Name, &'a [HostPort])>,
    volumes: Volumes<'a>,
    spread: Spread<'a>,
    affinity: Affinity<'a>,
}

impl<'a> Cycle<'a> {
    /// Collects the state.
    ///
    /// # Errors
    /// If no node can admit the pod, regardless of other pods.
    pub(super) fn new(store: &'a Store, pod: &'a Arc<Pod>, nodes: &[&'a Arc<Node>]) -> Result<Self, String> {
        let constraints = pod.spec.shared.constraints.as_deref();
        let named = constraints.map(named_nodes).transpose()?.flatten();
        let wanted = constraints.map_or(&[][..], |constraints| &constraints.host_ports);
        let ports = if wanted.is_empty() { Default::default() } else { taken_ports(store) };
        Ok(Cycle {
            spec: &pod.spec,
            named,
            ports,
            volumes: Volumes::of(store, pod)?,
            spread: Spread::of(store, pod, nodes),
            affinity: Affinity::of(store, pod),
        })
    }

    /// Why `node` does not admit the pod, if so.
    pub(super) fn filter(&self, node: &Node) -> Option<Refusal> {
        const NAMED: Refusal = Refusal::unresolvable("node(s) didn't satisfy plugin(s) [NodeAffinity]");
        let named = |names: &Vec<&Name>| names.iter().any(|name| **name == node.metadata.name);
        if !self.named.as_ref().is_none_or(named) {
            return Some(NAMED);
        }
        of_node(node, self.spec)
            .or_else(|| self.ports(node))
            .or_else(|| self.volumes.filter(node))
            .or_else(|| self.spread.filter(node))
            .or_else(|| self.affinity.filter(node))
    }

    fn ports(&self, node: &Node) -> Option<Refusal> {
        const TAKEN: Refusal =
            Refusal::resolvable("node(s) didn't have free ports for the requested pod ports");
        let wanted =
            self.spec.shared.constraints.as_ref().map_or(&[][..], |constraints| &constraints.host_ports);
        let mut taken = self.ports.iter().filter(|(on, _)| **on == node.metadata.name);
        let conflict =
            |ports: &[HostPort]| ports.iter().any(|port| wanted.iter().any(|own| own.conflicts(port)));
        taken.any(|(_, ports)| conflict(ports)).then_some(TAKEN)
    }
}

/// The nodes that required node affinity names by `matchFields`, if all of its terms name some (nodeaffinity,
/// PreFilter).
fn named_nodes(constraints: &Constraints) -> Result<Option<Vec<&Name>>, String> {
    let Some(terms) = constraints.node_affinity.as_ref().filter(|terms| !terms.is_empty()) else {
        return Ok(None);
    };
    let named: Option<Vec<Vec<&Name>>> = terms.iter().map(|term| term.names()).collect();
    let named = named.map(|all| all.concat());
    if named.as_ref().is_some_and(Vec::is_empty) {
        return Err("pod affinity terms conflict".into());
    }
    Ok(named)
}

fn taken_ports(store: &Store) -> Vec<(&Name, &[HostPort])> {
    let pods = store.pods_with_host_ports();
    pods.filter_map(|pod| Some((&pod.spec.node_name, &*pod.spec.shared.constraints.as_ref()?.host_ports)))
        .collect()
}
