//! A pod's requirements of its node: the parts of its spec that the scheduler's filters read. Preferences and resources
//! are not stored.

use serde::Deserialize;

use super::container::Container;
use super::names::{Labels, Name};
use super::selector::LabelSelector;
use super::values::{self, Protocol, nullable};

/// The constraints on a pod's node, other than taints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraints {
    pub node_selector: Labels,
    /// Required node affinity: a node has to match one of the terms. `None` if there is none.
    pub node_affinity: Option<Box<[NodeSelectorTerm]>>,
    /// Required pod affinity.
    pub affinity: Box<[PodAffinityTerm]>,
    /// Required pod anti-affinity.
    pub anti_affinity: Box<[PodAffinityTerm]>,
    /// The topology spread constraints with `DoNotSchedule`.
    pub spread: Box<[SpreadConstraint]>,
    pub host_ports: Box<[HostPort]>,
    /// The names of its scheduling gates.
    pub gates: Box<[Name]>,
    /// The claims in its volumes, without those of a StatefulSet's templates.
    pub claims: Box<[Name]>,
}

impl Constraints {
    /// Whether there are no requirements that a node without taints may fail.
    pub fn is_empty(&self) -> bool {
        *self == Constraints::default()
    }

    /// Whether the constraints depend on other pods.
    pub fn depend_on_pods(&self) -> bool {
        !(self.affinity.is_empty()
            && self.anti_affinity.is_empty()
            && self.spread.is_empty()
            && self.host_ports.is_empty())
    }
}

/// A term of a node selector: all requirements have to match. One without any matches no node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelectorTerm {
    #[serde(deserialize_with = "nullable")]
    pub match_expressions: Box<[NodeRequirement]>,
    /// Requirements of the field `metadata.name`.
    #[serde(deserialize_with = "nullable")]
    pub match_fields: Box<[NodeRequirement]>,
}

impl NodeSelectorTerm {
    /// Whether the node called `name` with `labels` matches (component-helpers, nodeSelectorTerm.match).
    pub fn matches(&self, name: &str, labels: &Labels) -> bool {
        let field = |requirement: &NodeRequirement| {
            requirement.admits((requirement.key == "metadata.name").then_some(name))
        };
        !(self.match_expressions.is_empty() && self.match_fields.is_empty())
            && self
                .match_expressions
                .iter()
                .all(|requirement| requirement.admits(labels.get(&requirement.key)))
            && self.match_fields.iter().all(field)
    }

    /// The nodes that its fields name, if there are any.
    pub fn names(&self) -> Option<Vec<&Name>> {
        let mut named = self.match_fields.iter().filter(|requirement| {
            requirement.key == "metadata.name" && requirement.operator == NodeOperator::In
        });
        let first = named.next()?;
        let others: Vec<_> = named.collect();
        Some(
            first
                .values
                .iter()
                .filter(|name| others.iter().all(|other| other.values.contains(name)))
                .collect(),
        )
    }
}

/// A requirement of one label or field.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NodeRequirement {
    pub key: Name,
    pub operator: NodeOperator,
    #[serde(default, deserialize_with = "nullable")]
    pub values: Vec<Name>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum NodeOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    Gt,
    Lt,
}

impl NodeRequirement {
    /// Whether a label with this value, or an absent one, matches (apimachinery, labels.Requirement.Matches).
    pub fn admits(&self, value: Option<&str>) -> bool {
        let listed = || self.values.iter().any(|listed| Some(listed.as_str()) == value);
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
        let numbers = || number(value).zip(number(self.values.first().map(Name::as_str)));
        match self.operator {
            NodeOperator::In => listed(),
            NodeOperator::NotIn => !listed(),
            NodeOperator::Exists => value.is_some(),
            NodeOperator::DoesNotExist => value.is_none(),
            NodeOperator::Gt => numbers().is_some_and(|(value, bound)| value > bound),
            NodeOperator::Lt => numbers().is_some_and(|(value, bound)| value < bound),
        }
    }
}

/// A term of pod affinity or anti-affinity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodAffinityTerm {
    /// Matches no pod if absent.
    pub label_selector: Option<LabelSelector>,
    #[serde(deserialize_with = "nullable")]
    pub topology_key: Name,
    #[serde(deserialize_with = "nullable")]
    pub namespaces: Box<[Name]>,
    /// Matches no namespace if absent, all if empty.
    pub namespace_selector: Option<LabelSelector>,
    /// Labels that must have the same value as the pod's own.
    #[serde(deserialize_with = "nullable")]
    pub match_label_keys: Box<[Name]>,
    /// Labels that must not have the same value as the pod's own.
    #[serde(deserialize_with = "nullable")]
    pub mismatch_label_keys: Box<[Name]>,
}

impl PodAffinityTerm {
    /// Whether the term of a pod with labels `own` selects pods with `labels`.
    pub fn selects(&self, own: &Labels, labels: &Labels) -> bool {
        let same = |key: &Name| own.get(key).is_none_or(|value| labels.get(key) == Some(value));
        let other = |key: &Name| own.get(key).is_none_or(|value| labels.get(key) != Some(value));
        self.label_selector.as_ref().is_some_and(|selector| selector.matches(labels))
            && self.match_label_keys.iter().all(same)
            && self.mismatch_label_keys.iter().all(other)
    }
}

/// A topology spread constraint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SpreadConstraint {
    #[serde(deserialize_with = "nullable")]
    pub max_skew: u32,
    #[serde(deserialize_with = "nullable")]
    pub topology_key: Name,
    #[serde(deserialize_with = "nullable")]
    when_unsatisfiable: Name,
    pub label_selector: Option<LabelSelector>,
    #[serde(deserialize_with = "nullable")]
    pub match_label_keys: Box<[Name]>,
    /// The default is 1.
    pub min_domains: Option<u32>,
    /// `Honor`, the default, or `Ignore`.
    #[serde(deserialize_with = "nullable")]
    pub node_affinity_policy: Name,
    /// `Honor`, or `Ignore`, the default.
    #[serde(deserialize_with = "nullable")]
    pub node_taints_policy: Name,
}

impl SpreadConstraint {
    /// Whether the constraint of a pod with labels `own` counts pods with `labels`. An empty selector counts none.
    pub fn counts(&self, own: &Labels, labels: &Labels) -> bool {
        let same = |key: &Name| own.get(key).is_none_or(|value| labels.get(key) == Some(value));
        let keyed = self.match_label_keys.iter().any(|key| own.get(key).is_some());
        let selector = self.label_selector.as_ref();
        selector.is_some_and(|selector| (keyed || !selector.is_empty()) && selector.matches(labels))
            && self.match_label_keys.iter().all(same)
    }
}

/// A host port of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Empty for all addresses.
    pub ip: Name,
    pub port: u16,
    pub protocol: Protocol,
}

impl HostPort {
    /// Whether both conflict on one node (HostPortInfo.CheckConflict).
    pub fn conflicts(&self, other: &HostPort) -> bool {
        let all = |port: &HostPort| matches!(port.ip.as_str(), "" | "0.0.0.0");
        self.port == other.port
            && self.protocol == other.protocol
            && (all(self) || all(other) || self.ip == other.ip)
    }
}

/// The fields of a pod's spec that constrain it, in a manifest.
pub(super) struct WrittenConstraints {
    pub(super) node_selector: Labels,
    pub(super) affinity: Affinity,
    pub(super) topology_spread_constraints: Vec<SpreadConstraint>,
    pub(super) scheduling_gates: Vec<Gate>,
    pub(super) volumes: Vec<Volume>,
}

impl WrittenConstraints {
    /// Their requirements and those of the containers' ports, if any.
    pub(super) fn read<'c>(
        self,
        containers: impl Iterator<Item = &'c Container>,
        host_network: bool,
    ) -> Option<Box<Constraints>> {
        let ports = containers.flat_map(|container| &container.ports).filter_map(|port| {
            // On the host network, defaulting sets the host port to the container port.
            let number = if host_network { port.container_port } else { port.host_port };
            let port = HostPort { ip: port.host_ip.clone(), port: number, protocol: port.protocol };
            (port.port > 0).then_some(port)
        });
        let claims = self.volumes.into_iter().filter_map(|volume| volume.persistent_volume_claim);
        let constraints = Constraints {
            node_selector: self.node_selector,
            node_affinity: self
                .affinity
                .node_affinity
                .required
                .map(|selector| selector.node_selector_terms.into()),
            affinity: self.affinity.pod_affinity.required.into(),
            anti_affinity: self.affinity.pod_anti_affinity.required.into(),
            spread: self
                .topology_spread_constraints
                .into_iter()
                .filter(|constraint| constraint.when_unsatisfiable == "DoNotSchedule")
                .collect(),
            host_ports: ports.collect(),
            gates: self.scheduling_gates.into_iter().map(|gate| gate.name).collect(),
            claims: claims.map(|claim| claim.claim_name).filter(|name| !name.is_empty()).collect(),
        };
        (!constraints.is_empty()).then(|| Box::new(constraints))
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Affinity {
    #[serde(deserialize_with = "nullable")]
    node_affinity: NodeAffinity,
    #[serde(deserialize_with = "nullable")]
    pod_affinity: PodAffinity,
    #[serde(deserialize_with = "nullable")]
    pod_anti_affinity: PodAffinity,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NodeAffinity {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    required: Option<NodeSelector>,
}

/// A node selector: a node has to match one of its terms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSelector {
    #[serde(deserialize_with = "values::list")]
    pub node_selector_terms: Vec<NodeSelectorTerm>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PodAffinity {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution", deserialize_with = "values::list")]
    required: Vec<PodAffinityTerm>,
}

#[derive(Deserialize)]
pub(super) struct Gate {
    name: Name,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Volume {
    persistent_volume_claim: Option<ClaimSource>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClaimSource {
    #[serde(deserialize_with = "nullable")]
    claim_name: Name,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_selector_terms_match_nodes() {
        let labels: Labels = [("disk", "ssd"), ("cores", "16")].into_iter().collect();
        let table = [
            ("{}", false),
            ("{matchExpressions: [{key: disk, operator: In, values: [hdd, ssd]}]}", true),
            ("{matchExpressions: [{key: disk, operator: NotIn, values: [ssd]}]}", false),
            ("{matchExpressions: [{key: zone, operator: NotIn, values: [a]}]}", true),
            ("{matchExpressions: [{key: disk, operator: Exists}]}", true),
            ("{matchExpressions: [{key: zone, operator: DoesNotExist}]}", true),
            ("{matchExpressions: [{key: cores, operator: Gt, values: ['15']}]}", true),
            ("{matchExpressions: [{key: cores, operator: Gt, values: ['16']}]}", false),
            ("{matchExpressions: [{key: cores, operator: Lt, values: ['17']}]}", true),
            ("{matchExpressions: [{key: disk, operator: Lt, values: ['17']}]}", false),
            ("{matchExpressions: [{key: zone, operator: Gt, values: ['1']}]}", false),
            ("{matchFields: [{key: metadata.name, operator: In, values: [node-1]}]}", true),
            ("{matchFields: [{key: metadata.name, operator: NotIn, values: [node-1]}]}", false),
            (
                "{matchFields: [{key: metadata.name, operator: In, values: [node-1]}], matchExpressions: [{key: zone, operator: Exists}]}",
                false,
            ),
        ];
        for (text, expected) in table {
            let term: NodeSelectorTerm = serde_yaml::from_str(text).expect(text);
            assert_eq!(term.matches("node-1", &labels), expected, "{text}");
        }
    }

    #[test]
    fn host_ports_conflict_by_address_and_protocol() {
        let port = |ip: &str, port, protocol| HostPort { ip: ip.into(), port, protocol };
        let table = [
            (port("", 80, Protocol::TCP), port("", 80, Protocol::TCP), true),
            (port("", 80, Protocol::TCP), port("", 81, Protocol::TCP), false),
            (port("", 80, Protocol::TCP), port("", 80, Protocol::UDP), false),
            (port("10.0.0.1", 80, Protocol::TCP), port("10.0.0.2", 80, Protocol::TCP), false),
            (port("10.0.0.1", 80, Protocol::TCP), port("10.0.0.1", 80, Protocol::TCP), true),
            (port("10.0.0.1", 80, Protocol::TCP), port("0.0.0.0", 80, Protocol::TCP), true),
        ];
        for (a, b, expected) in table {
            assert_eq!((a.conflicts(&b), b.conflicts(&a)), (expected, expected), "{a:?} {b:?}");
        }
    }
}
