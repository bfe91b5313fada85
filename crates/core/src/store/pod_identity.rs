//! The workload of a pod, and the pod's number in it.

use super::{Key, Kind, Machine, Name, Node, Pod, Store};

/// The key of a pod.
pub fn key_of(pod: &Pod) -> Key {
    pod.metadata.key(Kind::Pod)
}

/// Parses a name of the form `SET-ORDINAL` (stateful_set_utils.go, getParentNameAndOrdinal).
pub fn ordinal(name: &str) -> Option<(&str, u32)> {
    let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (set, ordinal) = name.split_at(name.len() - digits);
    Some((set.strip_suffix('-')?, ordinal.parse().ok()?))
}

/// The name of a pod's workload, and the pod's number in it.
pub fn set_of(pod: &Pod) -> Option<(&Name, u32)> {
    let owner = pod.metadata.controller()?;
    Some((&owner.name, ordinal(&pod.metadata.name).map_or(0, |(_, ordinal)| ordinal)))
}

/// The StatefulSet, existing or not, that a pod's name refers to.
pub fn set_named_by(pod: &Pod) -> Option<Key> {
    let (set, _) = ordinal(&pod.metadata.name)?;
    Some(Key::new(Kind::StatefulSet, pod.metadata.namespace.clone(), set))
}

/// The workload that manages a pod. A pod without a controller may be adopted by the StatefulSet in its name.
pub fn owner_of(pod: &Pod) -> Option<Key> {
    let namespace = || pod.metadata.namespace.clone();
    match pod.metadata.controller() {
        Some(owner) => Some(Key::new(owner.kind, namespace(), owner.name.clone())),
        None => set_named_by(pod),
    }
}

/// Whether the node of `pod` is unreachable: its containers cannot be stopped.
pub fn is_out_of_reach(store: &Store, pod: &Pod) -> bool {
    let node = store.get::<Node>(Kind::Node, "", &pod.spec.node_name);
    node.is_some_and(|node| node.machine() == Machine::Unreachable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_are_parsed() {
        let table = [
            ("db-0", Some(("db", 0))),
            ("my-db-12", Some(("my-db", 12))),
            ("db-x", None),
            ("db", None),
            ("db-", None),
            ("db-99999999999", None),
        ];
        for (name, expected) in table {
            assert_eq!(ordinal(name), expected, "{name}");
        }
    }
}
