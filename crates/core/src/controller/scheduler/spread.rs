//! Topology spread constraints with `DoNotSchedule` (pkg/scheduler/framework/plugins/podtopologyspread, filtering.go).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::node_filters::{Refusal, has_untolerated_taint, matches_node};
use crate::store::{Labels, Node, Pod, SpreadConstraint, Store};

const SKEWED: Refusal = Refusal::resolvable("node(s) didn't match pod topology spread constraints");
const NO_LABEL: Refusal =
    Refusal::unresolvable("node(s) didn't match pod topology spread constraints (missing required label)");

/// Number of pods in each domain of each constraint.
#[derive(Default)]
pub(super) struct Spread<'a> {
    labels: Option<&'a Labels>,
    constraints: &'a [SpreadConstraint],
    counts: Vec<BTreeMap<&'a str, u32>>,
}

impl<'a> Spread<'a> {
    pub(super) fn of(store: &'a Store, pod: &'a Arc<Pod>, nodes: &[&'a Arc<Node>]) -> Self {
        let Some(all) = pod.spec.shared.constraints.as_deref().filter(|all| !all.spread.is_empty()) else {
            return Spread::default();
        };
        let own = &pod.metadata.labels;
        // Nodes that lack one of the labels count for no constraint.
        let has_all = |node: &&&Arc<Node>| {
            all.spread.iter().all(|constraint| node.metadata.labels.get(&constraint.topology_key).is_some())
        };
        let nodes: Vec<&Arc<Node>> = nodes.iter().filter(has_all).copied().collect();
        let counts = all.spread.iter().map(|constraint| {
            let included = |node: &&&Arc<Node>| {
                (constraint.node_affinity_policy == "Ignore" || matches_node(all, node))
                    && (constraint.node_taints_policy != "Honor" || !has_untolerated_taint(node, &pod.spec))
            };
            let mut domains: BTreeMap<&str, u32> = BTreeMap::new();
            let mut by_node: BTreeMap<&str, &str> = BTreeMap::new();
            for node in nodes.iter().filter(included) {
                let value = node.metadata.labels.get(&constraint.topology_key).unwrap_or_default();
                domains.entry(value).or_default();
                by_node.insert(&node.metadata.name, value);
            }
            let selector = constraint.label_selector.as_ref().map(|selector| &selector.match_labels);
            for other in super::pods_in(store, &pod.metadata.namespace, selector) {
                if let Some(value) = by_node.get(other.spec.node_name.as_str())
                    && !other.is_terminating()
                    && constraint.counts(own, &other.metadata.labels)
                {
                    *domains.entry(value).or_default() += 1;
                }
            }
            domains
        });
        Spread { labels: Some(own), constraints: &all.spread, counts: counts.collect() }
    }

    pub(super) fn filter(&self, node: &Node) -> Option<Refusal> {
        let own = self.labels?;
        for (constraint, counts) in self.constraints.iter().zip(&self.counts) {
            let Some(value) = node.metadata.labels.get(&constraint.topology_key) else {
                return Some(NO_LABEL);
            };
            // With fewer domains than the required minimum, the minimum count is 0.
            let enough = counts.len() >= constraint.min_domains.unwrap_or(1) as usize;
            let least = if enough { counts.values().min().copied().unwrap_or(0) } else { 0 };
            let itself = u32::from(constraint.counts(own, own));
            let there = counts.get(value).copied().unwrap_or(0);
            if there + itself > constraint.max_skew + least {
                return Some(SKEWED);
            }
        }
        None
    }
}
