//! The claims of a pod, and the nodes that their volumes are accessible from
//! (pkg/scheduler/framework/plugins/volumebinding).

use std::sync::Arc;

use super::node_filters::Refusal;
use crate::store::{
    Kind, Labels, Name, Node, NodeSelector, PersistentVolume, PersistentVolumeClaim, Pod, Store,
};

const OTHER_NODE: Refusal = Refusal::unresolvable("node(s) didn't match PersistentVolume's node affinity");

/// The node affinities of the volumes to which a pod's claims are bound.
pub(super) struct Volumes<'a>(Vec<&'a NodeSelector>);

impl<'a> Volumes<'a> {
    /// Collects them.
    ///
    /// # Errors
    /// If a claim is missing, being deleted or not bound.
    pub(super) fn of(store: &'a Store, pod: &Arc<Pod>) -> Result<Self, String> {
        let mut selectors = Vec::new();
        let mut bound = true;
        for name in pod.all_claims() {
            match volume_of(store, &pod.metadata.namespace, &name)? {
                Some(volume) => selectors.extend(volume.spec.node_affinity.required.as_ref()),
                None => bound = false,
            }
        }
        if !bound {
            return Err("pod has unbound immediate PersistentVolumeClaims".into());
        }
        Ok(Volumes(selectors))
    }

    pub(super) fn filter(&self, node: &Node) -> Option<Refusal> {
        let (name, labels) = (&node.metadata.name, &node.metadata.labels);
        (!self.0.iter().all(|selector| selects(selector, name, labels))).then_some(OTHER_NODE)
    }
}

fn selects(selector: &NodeSelector, name: &Name, labels: &Labels) -> bool {
    selector.node_selector_terms.iter().any(|term| term.matches(name, labels))
}

/// Whether `volume` is accessible from a node that admits `pod` regardless of other pods.
pub(in crate::controller) fn reaches(store: &Store, pod: &Pod, volume: &PersistentVolume) -> bool {
    let Some(required) = &volume.spec.node_affinity.required else { return true };
    let mut nodes = store.list::<Node>(Kind::Node).filter(|node| {
        let named = &pod.spec.node_name;
        if named.is_empty() { super::admits(node, &pod.spec) } else { node.metadata.name == *named }
    });
    nodes.any(|node| selects(required, &node.metadata.name, &node.metadata.labels))
}

/// The volume to which a claim is bound, if it is.
fn volume_of<'a>(
    store: &'a Store,
    namespace: &Name,
    name: &Name,
) -> Result<Option<&'a Arc<PersistentVolume>>, String> {
    let claim = store.get::<PersistentVolumeClaim>(Kind::PersistentVolumeClaim, namespace, name);
    let Some(claim) = claim else { return Err(format!("persistentvolumeclaim \"{name}\" not found")) };
    let volume = &claim.spec.volume_name;
    if claim.status.phase == "Lost" {
        return Err(format!(
            "persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}"
        ));
    }
    if claim.metadata.deletion_timestamp.is_some() {
        return Err(format!("persistentvolumeclaim \"{name}\" is being deleted"));
    }
    if claim.status.phase != "Bound" {
        return Ok(None);
    }
    Ok(store.get::<PersistentVolume>(Kind::PersistentVolume, "", &claim.spec.volume_name))
}
