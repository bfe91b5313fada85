//! The claims of a pod and the nodes from which their volumes can be reached
//! (pkg/scheduler/framework/plugins/volumebinding).

use std::sync::Arc;

use super::filters::Refusal;
use crate::store::{Kind, Name, Node, NodeSelector, PersistentVolume, PersistentVolumeClaim, Pod, Store};

const OTHER_NODE: Refusal = Refusal::unresolvable("node(s) didn't match PersistentVolume's node affinity");

/// The node affinities of the volumes that a pod's claims are bound to.
pub(super) struct Volumes<'a>(Vec<&'a NodeSelector>);

impl<'a> Volumes<'a> {
    /// Finds them.
    ///
    /// # Errors
    /// When a claim is missing, about to go or not bound.
    pub(super) fn of(store: &'a Store, pod: &Arc<Pod>) -> Result<Self, String> {
        let named = pod.spec.shared.constraints.as_ref().map_or(&[][..], |all| &all.claims);
        let claims = named.iter().cloned().chain(pod.claims());
        let mut selectors = Vec::new();
        let mut bound = true;
        for name in claims {
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
        let reaches = |selector: &&NodeSelector| {
            selector.node_selector_terms.iter().any(|term| term.matches(name, labels))
        };
        (!self.0.iter().all(reaches)).then_some(OTHER_NODE)
    }
}

/// The volume that a claim is bound to, if it is.
fn volume_of<'a>(
    store: &'a Store,
    namespace: &Name,
    name: &Name,
) -> Result<Option<&'a Arc<PersistentVolume>>, String> {
    let claim = store.get::<PersistentVolumeClaim>(Kind::PersistentVolumeClaim, namespace, name);
    let Some(claim) = claim else { return Err(format!("persistentvolumeclaim \"{name}\" not found")) };
    if claim.metadata.deletion_timestamp.is_some() {
        return Err(format!("persistentvolumeclaim \"{name}\" is being deleted"));
    }
    Ok(store.get::<PersistentVolume>(Kind::PersistentVolume, "", &claim.spec.volume_name))
}
