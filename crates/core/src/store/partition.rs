//! A Partition: groups of pods and nodes that do not reach each other. It is stored as written, like an object of a kind that no room
//! depends on. Must not depend on how packets are dropped.
//!
//! ```yaml
//! apiVersion: clusterlocal.dev/v1
//! kind: Partition
//! metadata: {name: split}
//! spec:
//!   groups:
//!   - pods: [db-0, db-1]      # of namespace default; ring/db-0 of another; * is any characters, ? is one
//!     nodes: [node-3]         # all pods of a node
//!   - pods: [db-2]
//! ```
//!
//! Pods that have no group in common do not reach each other; a pod that is in no group reaches all. One group is separated from all
//! other pods.

use std::net::IpAddr;

use serde_json::Value;

use super::Store;
use super::extra::Extra;
use super::kind::Kind;
use super::object::Object;
use super::pod::Pod;
use crate::fault::Glob;
use crate::text::{Name, is_label, is_subdomain};

/// The kind Partition.
pub const PARTITION: Kind = Kind::Extra(Extra::PARTITION);

/// Maximum number of groups, and of members of one.
const LIST_MAX: usize = 256;

/// The spec of a Partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionSpec(Vec<Group>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Group {
    pods: Vec<PodPattern>,
    nodes: Vec<Name>,
}

/// Pods of a namespace by name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PodPattern {
    namespace: Name,
    name: Glob,
}

impl PodPattern {
    fn matches(&self, pod: &Pod) -> bool {
        self.namespace == pod.metadata.namespace && self.name.matches(pod.metadata.name.as_bytes())
    }

    fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
        let name: Glob = name.parse().ok().filter(|_| is_label(namespace))?;
        Some(PodPattern { namespace: namespace.into(), name })
    }
}

impl Group {
    fn has(&self, pod: &Pod) -> bool {
        self.nodes.contains(&pod.spec.node_name) || self.pods.iter().any(|pattern| pattern.matches(pod))
    }
}

impl PartitionSpec {
    /// The spec of a Partition, if it is well-formed.
    pub fn of(object: &Object) -> Option<Self> {
        PartitionSpec::parse(&object.metadata().given.as_ref()?.json()["spec"]).ok()
    }

    /// Parses a spec.
    ///
    /// # Errors
    /// The path of a field, and what is wrong with it.
    pub fn parse(spec: &Value) -> Result<Self, (String, String)> {
        let wrong = |path: String, message: String| Err((path, message));
        known_fields(spec, "spec", &["groups"])?;
        let groups = spec["groups"].as_array().map_or(&[][..], Vec::as_slice);
        if groups.is_empty() || groups.len() > LIST_MAX {
            return wrong("spec.groups".into(), format!("expected from 1 to {LIST_MAX} groups"));
        }
        let mut parsed = Vec::new();
        for (at, group) in groups.iter().enumerate() {
            let path = format!("spec.groups[{at}]");
            known_fields(group, &path, &["pods", "nodes"])?;
            let mut members = Group::default();
            for (at, pod) in texts(group, &path, "pods")? {
                match PodPattern::parse(pod) {
                    Some(pattern) => members.pods.push(pattern),
                    None => {
                        return wrong(
                            at,
                            format!("{pod:?} is not a pod such as db-0, db-* or NAMESPACE/POD"),
                        );
                    }
                }
            }
            for (at, node) in texts(group, &path, "nodes")? {
                if !is_subdomain(node) {
                    return wrong(at, format!("{node:?} is not the name of a node such as node-1"));
                }
                members.nodes.push(node.into());
            }
            if members == Group::default() {
                return wrong(path, "has neither pods nor nodes".into());
            }
            parsed.push(members);
        }
        Ok(PartitionSpec(parsed))
    }

    /// The groups of each pod that is in one, by index. One group has the index 0, all other pods 1.
    fn groups<'s>(&self, store: &'s Store) -> Vec<(&'s Pod, Vec<usize>)> {
        let pods = store.list::<Pod>(Kind::Pod).map(|pod| {
            let groups = self.0.iter().enumerate().filter(|(_, group)| group.has(pod));
            let groups: Vec<usize> = groups.map(|(at, _)| at).collect();
            let is_other = self.0.len() == 1 && groups.is_empty();
            (&**pod, if is_other { vec![1] } else { groups })
        });
        pods.filter(|(_, groups)| !groups.is_empty()).collect()
    }

    /// Passes each two addresses between which no packet passes to `separate`. Pods on the network of their node have no network of
    /// their own, and are not separated.
    pub fn separated(&self, store: &Store, mut separate: impl FnMut(IpAddr, IpAddr)) {
        let mut pods = self.groups(store);
        pods.retain(|(pod, _)| !pod.spec.is_on_host_network());
        for (at, (pod, groups)) in pods.iter().enumerate() {
            let apart =
                pods[at + 1..].iter().filter(|(_, others)| !others.iter().any(|of| groups.contains(of)));
            for (other, _) in apart {
                for ip in pod.status.ips() {
                    let of_family = other.status.ips().filter(|other| other.is_ipv4() == ip.is_ipv4());
                    of_family.for_each(|other| separate(ip, other));
                }
            }
        }
    }

    /// The members that match no pod and no node of `store`, as they were written: a typo would separate nothing.
    pub fn without_match(&self, store: &Store) -> Vec<String> {
        let has_pod = |pattern: &PodPattern| store.list::<Pod>(Kind::Pod).any(|pod| pattern.matches(pod));
        let has_node = |name: &str| store.get::<super::node::Node>(Kind::Node, "", name).is_some();
        let mut without = Vec::new();
        for group in &self.0 {
            let pods = group.pods.iter().filter(|pattern| !has_pod(pattern));
            without.extend(pods.map(|pattern| format!("pod {}/{}", pattern.namespace, pattern.name)));
            let nodes = group.nodes.iter().filter(|name| !has_node(name));
            without.extend(nodes.map(|name| format!("node {name}")));
        }
        without
    }
}

fn known_fields(value: &Value, path: &str, known: &[&str]) -> Result<(), (String, String)> {
    let Some(fields) = value.as_object() else {
        return Err((path.into(), format!("expected a map with {}", known.join(" and "))));
    };
    match fields.keys().find(|field| !known.contains(&field.as_str())) {
        Some(field) => {
            Err((path.into(), format!("unknown field `{field}`, expected {}", known.join(" or "))))
        }
        None => Ok(()),
    }
}

/// The texts of a list, each with its path.
fn texts<'v>(value: &'v Value, path: &str, field: &str) -> Result<Vec<(String, &'v str)>, (String, String)> {
    let path = format!("{path}.{field}");
    let list = match value.get(field) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) if list.len() <= LIST_MAX => list,
        Some(_) => return Err((path, format!("expected a list of at most {LIST_MAX} names"))),
    };
    let text = |(at, value): (usize, &'v Value)| {
        let path = format!("{path}[{at}]");
        match value.as_str() {
            Some(text) => Ok((path, text)),
            None => Err((path, "expected a name".to_owned())),
        }
    };
    list.iter().enumerate().map(text).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::store::Change;

    /// Pods a to d of namespace default and one of another, each on a node: a and b on node-1, c on node-2, d and e on node-3.
    fn store() -> Store {
        let mut store = Store::new();
        let table = [
            ("default", "a-0", "node-1", "10.0.0.1"),
            ("default", "a-1", "node-1", "10.0.0.2"),
            ("default", "c", "node-2", "10.0.0.3"),
            ("default", "d", "node-3", "10.0.0.4"),
            ("ring", "e", "node-3", "10.0.0.5"),
        ];
        for (namespace, name, node, ip) in table {
            let pod: Pod = serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"nodeName": node, "containers": []},
                "status": {"podIP": ip},
            }))
            .unwrap();
            store.apply(Change::Put(Object::Pod(Arc::new(pod))));
        }
        store
    }

    /// Groups, and the last numbers of the addresses that are separated.
    #[test]
    fn pods_without_a_common_group_are_separated() {
        let table = [
            (json!([{"pods": ["c"]}, {"pods": ["d"]}]), "3|4"),
            (json!([{"pods": ["a-*"]}, {"pods": ["c", "ring/e"]}]), "1|3 1|5 2|3 2|5"),
            (json!([{"nodes": ["node-1"]}, {"nodes": ["node-2"]}]), "1|3 2|3"),
            (json!([{"nodes": ["node-3"]}]), "1|4 1|5 2|4 2|5 3|4 3|5"),
            // c is in both groups and reaches all.
            (json!([{"pods": ["a-0", "c"]}, {"pods": ["c", "d"]}]), "1|4"),
            (json!([{"pods": ["a-0"]}, {"pods": ["c"]}, {"pods": ["d"]}]), "1|3 1|4 3|4"),
            (json!([{"pods": ["e"]}, {"pods": ["d"]}]), ""),
        ];
        let store = store();
        for (groups, expected) in table {
            let spec = PartitionSpec::parse(&json!({"groups": groups})).unwrap();
            let mut pairs = Vec::new();
            let last = |ip: IpAddr| ip.to_string().rsplit('.').next().unwrap().to_owned();
            spec.separated(&store, |one, other| pairs.push(format!("{}|{}", last(one), last(other))));
            pairs.sort();
            assert_eq!(pairs.join(" "), expected, "{groups}");
        }
    }

    /// A spec, the path of what is wrong, and the beginning of the message.
    #[test]
    fn specs_are_strict() {
        let table = [
            (json!({}), "spec.groups: expected from 1"),
            (json!({"groups": []}), "spec.groups: expected from 1"),
            (json!({"group": []}), "spec: unknown field `group`, expected groups"),
            (json!({"groups": [{}]}), "spec.groups[0]: has neither pods nor nodes"),
            (json!({"groups": ["db-0"]}), "spec.groups[0]: expected a map with pods and nodes"),
            (
                json!({"groups": [{"pods": ["db 0"]}]}),
                "spec.groups[0].pods[0]: \"db 0\" is not a pod such as",
            ),
            (json!({"groups": [{"pods": "db-0"}]}), "spec.groups[0].pods: expected a list"),
            (
                json!({"groups": [{"nodes": ["-"]}]}),
                "spec.groups[0].nodes[0]: \"-\" is not the name of a node",
            ),
        ];
        for (spec, expected) in table {
            let (path, message) = PartitionSpec::parse(&spec).unwrap_err();
            assert!(format!("{path}: {message}").starts_with(expected), "{spec}: {path}: {message}");
        }
    }

    #[test]
    fn members_without_a_match_are_found() {
        let spec = json!({"groups": [{"pods": ["a-*", "b"], "nodes": ["node-9"]}]});
        let without = PartitionSpec::parse(&spec).unwrap().without_match(&store());
        assert_eq!(without, ["pod default/b", "node node-9"]);
    }
}
