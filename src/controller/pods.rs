//! The controllers that make pods: StatefulSet, Deployment (by way of a ReplicaSet), ReplicaSet, DaemonSet and Job.
//! All at once, as if every pod had become ready in its turn.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::{ToSmolStr, format_smolstr};

use super::names::{digest, generated};
use crate::store::{
    Change, ClaimTemplate, Key, Kind, Labels, Name, Node, Object, ObjectMeta, Owner, PINNED_IP_PREFIX,
    POD_INDEX_LABEL, POD_NAME_LABEL, Pod, PodSpec, PodStatus, PodTemplate, StatefulSet, Store, Workload,
    WorkloadSpec,
};

/// The changes that make the pods (or ReplicaSets) of the workload at `key` what it asks for.
pub(super) fn reconcile(store: &Store, key: &Key) -> Vec<Change> {
    let wanted = match store.object(key) {
        Some(Object::StatefulSet(set)) => set_pods(store, set),
        Some(Object::Deployment(deployment)) => return reconcile_deployment(store, key, deployment),
        Some(Object::ReplicaSet(set)) => {
            let replicas = set.spec.replicas.unwrap_or(1);
            generated_pods(store, key, &set.spec.template, 0..replicas)
        }
        Some(Object::Job(job)) => {
            // As many at once as may run, but no more than have to succeed.
            let at_once = job.spec.parallelism.unwrap_or(1).min(job.spec.completions.unwrap_or(u32::MAX));
            generated_pods(store, key, &job.spec.template, 0..at_once)
        }
        Some(Object::DaemonSet(set)) => daemon_pods(store, key, &set.spec.template),
        // The workload is gone: so are its pods (the garbage collector's work).
        _ if key.kind == Kind::Deployment => return delete_replica_sets(store, key, None),
        _ => Vec::new(),
    };
    let there = there(store, key);
    // Pods of a snapshot are the pods: none is added to them.
    let wanted = if there.iter().any(|pod| is_recorded(pod, key)) { Vec::new() } else { wanted };
    let names: FxHashSet<&Name> = wanted.iter().map(|pod| &pod.metadata.name).collect();
    let ours =
        |meta: &ObjectMeta| meta.synthesized && meta.owner.as_ref().is_some_and(|owner| is_owner(owner, key));
    let mut changes: Vec<Change> = there
        .iter()
        .filter(|pod| ours(&pod.metadata) && !names.contains(&pod.metadata.name))
        .map(|pod| Change::Delete(pod_key(pod)))
        .collect();
    let there: FxHashMap<&Name, &Arc<Pod>> = there.into_iter().map(|pod| (&pod.metadata.name, pod)).collect();
    for pod in wanted {
        match there.get(&pod.metadata.name) {
            None => changes.push(Change::Put(Object::Pod(Arc::new(pod)))),
            Some(there) if !there.metadata.synthesized => {}
            Some(there) if same_but_for_status(there, &pod) => {}
            Some(_) => {
                // Another template: a new pod takes the name. Its address goes with the old one.
                changes.push(Change::Delete(pod_key(&pod)));
                changes.push(Change::Put(Object::Pod(Arc::new(pod))));
            }
        }
    }
    changes
}

/// The pods whose names begin with the workload's, as all have that it makes.
fn there<'s>(store: &'s Store, key: &Key) -> Vec<&'s Arc<Pod>> {
    let prefix = format!("{}-", key.name);
    store.list_prefixed(Kind::Pod, &key.namespace, &prefix).collect()
}

fn pod_key(pod: &Pod) -> Key {
    Key::new(Kind::Pod, pod.metadata.namespace.clone(), pod.metadata.name.clone())
}

fn same_but_for_status(a: &Pod, b: &Pod) -> bool {
    a.metadata == b.metadata && a.spec == b.spec
}

/// Whether `name` is `SET-ORDINAL`, and which (stateful_set_utils.go, getParentNameAndOrdinal).
pub(crate) fn ordinal(name: &str) -> Option<(&str, u32)> {
    let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (set, ordinal) = name.split_at(name.len() - digits);
    Some((set.strip_suffix('-')?, ordinal.parse().ok()?))
}

/// Whether a manifest gives this pod of the workload, with a status: then it is a snapshot of a cluster.
fn is_recorded(pod: &Pod, key: &Key) -> bool {
    let by_name = || {
        key.kind == Kind::StatefulSet && ordinal(&pod.metadata.name).is_some_and(|(set, _)| *set == key.name)
    };
    let of_workload = || pod.metadata.owner.as_ref().map_or_else(by_name, |owner| is_owner(owner, key));
    !pod.metadata.synthesized && pod.status.is_recorded() && of_workload()
}

fn is_owner(owner: &Owner, key: &Key) -> bool {
    owner.kind == key.kind && owner.name == key.name
}

/// Deletes the ReplicaSets that the Deployment at `key` made, but for the one called `wanted`.
fn delete_replica_sets(store: &Store, key: &Key, wanted: Option<&Name>) -> Vec<Change> {
    let prefix = format!("{}-", key.name);
    store
        .list_prefixed::<Workload>(Kind::ReplicaSet, &key.namespace, &prefix)
        .map(|set| &set.metadata)
        .filter(|meta| meta.synthesized && meta.owner.as_ref().is_some_and(|owner| is_owner(owner, key)))
        .filter(|meta| Some(&meta.name) != wanted)
        .map(|meta| Change::Delete(Key::new(Kind::ReplicaSet, key.namespace.clone(), meta.name.clone())))
        .collect()
}

fn set_pods(store: &Store, set: &StatefulSet) -> Vec<Pod> {
    let nodes: Vec<_> = store.list::<Node>(Kind::Node).collect();
    let start = set.spec.ordinals.start;
    let end = start.saturating_add(set.spec.replicas.unwrap_or(1));
    (start..end)
        .map(|ordinal| {
            let name = format_smolstr!("{}-{ordinal}", set.metadata.name);
            let owner = Owner { kind: Kind::StatefulSet, name: set.metadata.name.clone() };
            let mut pod = from_template(&set.spec.template, &set.metadata, owner, name.clone());
            pod.metadata.labels = pod.metadata.labels.with([
                (Name::new_static(POD_INDEX_LABEL), ordinal.to_smolstr()),
                (Name::new_static(POD_NAME_LABEL), name.clone()),
            ]);
            pod.spec.hostname = name;
            pod.spec.subdomain = set.spec.service_name.clone();
            let claims = &set.spec.volume_claim_templates;
            let claim_name = |template: &ClaimTemplate| {
                format!("{}-{}-{ordinal}", template.metadata.name, set.metadata.name)
            };
            if !claims.is_empty() {
                pod.spec.claims = claims.iter().map(|claim| Name::from(claim_name(claim))).collect();
            }
            schedule(&mut pod, &nodes, ordinal as usize);
            pod
        })
        .collect()
}

fn generated_pods(
    store: &Store,
    key: &Key,
    template: &PodTemplate,
    numbers: std::ops::Range<u32>,
) -> Vec<Pod> {
    let nodes: Vec<_> = store.list::<Node>(Kind::Node).collect();
    let Some(object) = store.object(key) else { return Vec::new() };
    numbers
        .map(|number| {
            let name = Name::from(generated(&key.name, 5, (&key.namespace, number)));
            let owner = Owner { kind: key.kind, name: key.name.clone() };
            let mut pod = from_template(template, object.metadata(), owner, name);
            schedule(&mut pod, &nodes, number as usize);
            pod
        })
        .collect()
}

fn daemon_pods(store: &Store, key: &Key, template: &PodTemplate) -> Vec<Pod> {
    let Some(object) = store.object(key) else { return Vec::new() };
    store
        .list::<Node>(Kind::Node)
        .map(|node| {
            let name = Name::from(generated(&key.name, 5, (&key.namespace, &node.metadata.name)));
            let owner = Owner { kind: key.kind, name: key.name.clone() };
            let mut pod = from_template(template, object.metadata(), owner, name);
            pod.spec.node_name = node.metadata.name.clone();
            pod
        })
        .collect()
}

fn from_template(template: &PodTemplate, workload: &ObjectMeta, owner: Owner, name: Name) -> Pod {
    let pin = |annotations: &Labels| {
        let pin = format!("{PINNED_IP_PREFIX}{name}");
        Some((Name::from(&pin), annotations.get(&pin)?.clone()))
    };
    let pinned = (!workload.annotations.is_empty()).then(|| pin(&workload.annotations)).flatten();
    let metadata = ObjectMeta {
        namespace: workload.namespace.clone(),
        labels: template.metadata.labels.clone(),
        annotations: match pinned {
            Some(pin) => template.metadata.annotations.with([pin]),
            None => template.metadata.annotations.clone(),
        },
        owner: Some(owner),
        synthesized: true,
        name,
        ..ObjectMeta::default()
    };
    let spec = PodSpec { node_name: Name::default(), ..template.spec.clone() };
    Pod { metadata, spec, status: PodStatus::default(), template: None }
}

/// Spreads pods over the nodes in turn, as the scheduler does when nothing else is asked for.
fn schedule(pod: &mut Pod, nodes: &[&Arc<Node>], turn: usize) {
    if let Some(node) = nodes.get(turn % nodes.len().max(1)) {
        pod.spec.node_name = node.metadata.name.clone();
    }
}

fn reconcile_deployment(store: &Store, key: &Key, deployment: &Workload) -> Vec<Change> {
    let prefix = format!("{}-", key.name);
    let mut sets = store.list_prefixed::<Workload>(Kind::ReplicaSet, &key.namespace, &prefix);
    let recorded = sets.any(|set| {
        !set.metadata.synthesized && set.metadata.owner.as_ref().is_some_and(|o| is_owner(o, key))
    });
    if recorded {
        return delete_replica_sets(store, key, None);
    }
    let hash = generated(&key.name, 10, template_digest(&deployment.spec.template));
    let name = Name::from(hash.as_str());
    let pod_hash = Name::from(hash.rsplit('-').next().unwrap_or_default());
    let mut template = (*deployment.spec.template).clone();
    template.metadata.labels = template.metadata.labels.with([("pod-template-hash", pod_hash)]);
    let metadata = ObjectMeta {
        name: name.clone(),
        namespace: key.namespace.clone(),
        labels: template.metadata.labels.clone(),
        annotations: deployment.metadata.annotations.clone(),
        owner: Some(Owner { kind: Kind::Deployment, name: key.name.clone() }),
        synthesized: true,
        ..ObjectMeta::default()
    };
    let spec = WorkloadSpec {
        replicas: deployment.spec.replicas,
        selector: deployment.spec.selector.clone(),
        template: Arc::new(template),
        ..WorkloadSpec::default()
    };
    let mut changes = delete_replica_sets(store, key, Some(&name));
    changes.push(Change::Put(Object::ReplicaSet(Arc::new(Workload {
        metadata,
        spec,
        ..Workload::default()
    }))));
    changes
}

/// A number that depends on what of the template shows in the DNS.
fn template_digest(template: &PodTemplate) -> u64 {
    let labels: Vec<_> = template.metadata.labels.iter().collect();
    let ports: Vec<_> = template
        .spec
        .serving_containers()
        .flat_map(|c| c.ports.iter().map(|p| (p.name.as_str(), p.container_port, p.protocol)))
        .collect();
    digest((labels, ports, &template.spec.hostname, &template.spec.subdomain, template.spec.host_network))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_of_names() {
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
