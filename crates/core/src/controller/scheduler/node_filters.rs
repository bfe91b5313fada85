//! The scheduler's filters of a node regardless of other pods: its taints, and the pod's node selector and affinity
//! (the plugins NodeUnschedulable, TaintToleration and NodeAffinity).

use crate::store::{ConditionStatus, Constraints, Name, Node, PodSpec, Taint, UNREACHABLE_TAINT};

/// The taint of a cordoned node.
pub(in crate::controller) const UNSCHEDULABLE_TAINT: &str = "node.kubernetes.io/unschedulable";

/// Why a node does not admit a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: &'static str,
    /// Whether removing pods could help: `Unschedulable`, not `UnschedulableAndUnresolvable`.
    pub(super) resolvable: bool,
}

impl Refusal {
    pub(super) const fn resolvable(reason: &'static str) -> Self {
        Refusal { reason, resolvable: true }
    }

    pub(super) const fn unresolvable(reason: &'static str) -> Self {
        Refusal { reason, resolvable: false }
    }
}

/// Why a node refuses pods of `spec` regardless of other pods.
pub(super) fn of_node(node: &Node, spec: &PodSpec) -> Option<Refusal> {
    if node.spec.unschedulable && !tolerates(spec, UNSCHEDULABLE_TAINT) {
        return Some(Refusal::unresolvable("node(s) were unschedulable"));
    }
    if has_untolerated_taint(node, spec) {
        return Some(Refusal::unresolvable("node(s) had untolerated taint(s)"));
    }
    let constraints = spec.shared.constraints.as_ref();
    if constraints.is_some_and(|constraints| !matches_node(constraints, node)) {
        return Some(Refusal::unresolvable("node(s) didn't match Pod's node affinity/selector"));
    }
    None
}

/// Whether pods of `spec` tolerate the taint `key` with `NoSchedule`.
fn tolerates(spec: &PodSpec, key: &'static str) -> bool {
    let taint = Taint { key: Name::from(key), effect: arcstr::literal!("NoSchedule"), ..Taint::default() };
    spec.tolerates(&taint).is_some()
}

/// Whether pods of `spec` do not tolerate a taint of the node. A node that is not ready counts as tainted: the node
/// lifecycle controller taints it at the same moment.
pub(super) fn has_untolerated_taint(node: &Node, spec: &PodSpec) -> bool {
    let mut taints = node.spec.taints.iter().filter(|taint| taint.keeps_away());
    taints.any(|taint| spec.tolerates(taint).is_none())
        || (node.status.ready != ConditionStatus::True && !tolerates(spec, UNREACHABLE_TAINT))
}

/// Whether a node matches the node selector and required node affinity.
pub(super) fn matches_node(constraints: &Constraints, node: &Node) -> bool {
    let (name, labels) = (&node.metadata.name, &node.metadata.labels);
    constraints.node_selector.matches(labels)
        && constraints
            .node_affinity
            .as_ref()
            .is_none_or(|terms| terms.iter().any(|term| term.matches(name, labels)))
}
