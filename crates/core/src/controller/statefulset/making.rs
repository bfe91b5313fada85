//! The pods that a set makes: their names, their revision, and what stands in their way.

use std::fmt::Write;
use std::sync::Arc;

use super::{BY, Slot, Sync};
use crate::controller::pods::Mould;
use crate::controller::{claims, refusal};
use crate::kubelet;
use crate::store::{ControllerRevision, Kind, Name, Object, Pod, REVISION_LABEL, StatefulSet, Store};

impl Sync<'_> {
    /// Makes the pod of an ordinal. Tells whether it is available at once.
    pub(super) fn make(&mut self, ordinal: u32, index: usize, at_once: bool) -> bool {
        let name = self.pod_name(ordinal);
        if claims::is_stale(self.context, self.set, ordinal, &name) {
            return false;
        }
        if let Err(why) = claims::make(self.context, self.set, ordinal, &name, &mut self.outcome) {
            return self.fail("Create", "FailedCreate", &name, &why);
        }
        // The API would say AlreadyExists: the pod is another's, or an earlier set's that has not stopped yet.
        if self.names_are_taken
            && self.context.store.get::<Pod>(Kind::Pod, &self.key.namespace, &name).is_some()
        {
            return false;
        }
        let mut pod = self.new_pod(name.clone(), ordinal);
        let takes_no_time = kubelet::takes_no_time(self.context, &pod)
            && self.set.spec.min_ready_seconds == 0
            && !self.waits_for_volumes;
        let mut available = false;
        if at_once
            && takes_no_time
            && let Some(node) = self.nodes.choose(&pod.spec, ordinal as usize)
        {
            pod.spec.node_name = node.metadata.name.clone();
            available = true;
        }
        let pod = Object::Pod(Arc::new(pod));
        if let Some(why) = refusal::of(self.context, &pod, &mut self.outcome) {
            return self.fail("Create", "FailedCreate", &name, &why);
        }
        // No Events during bring-up: there is no watcher, and a message for each pod is measurable.
        if !self.context.at_once {
            let message = format!("Create Pod {name} in StatefulSet {} successful", self.key.name);
            self.outcome.tell(BY, self.key.clone(), "SuccessfulCreate", message);
        }
        self.outcome.put(pod);
        self.slots[index] = Slot::Made { available };
        available
    }

    /// `SET-ORDINAL`.
    fn pod_name(&mut self, ordinal: u32) -> Name {
        self.text.clear();
        self.text.push_str(&self.key.name);
        write!(self.text, "-{ordinal}").expect("a String takes any text");
        Name::from(self.text.as_str())
    }

    fn new_pod(&mut self, name: Name, ordinal: u32) -> Pod {
        let revision = self.revision_for(ordinal).clone();
        let of_revision = |(of, _): &(Name, Mould<'_>)| *of == revision.metadata.name;
        let at = self.moulds.iter().position(of_revision).unwrap_or_else(|| {
            self.moulds
                .push((revision.metadata.name.clone(), mould(self.context.store, self.set, &revision)));
            self.moulds.len() - 1
        });
        let (_, mould) = &self.moulds[at];
        let mut pod = mould.pod(name.clone());
        pod.metadata.labels = mould.labels.of_pod(&name);
        pod.spec.hostname = name;
        pod
    }

    /// Which revision a new pod gets (newVersionedStatefulSetPod).
    fn revision_for(&self, ordinal: u32) -> &Arc<ControllerRevision> {
        let start = self.set.spec.ordinals.start;
        let strategy = self.set.spec.update_strategy;
        let kept = match strategy.rolling() {
            _ if strategy.is_on_delete() => start,
            Some(rolling) => start.saturating_add(rolling.partition),
            // As many as have it still, whichever they are (kubernetes#70442).
            None => start.saturating_add(self.set.status.current_replicas),
        };
        if ordinal < kept { self.revisions.named(&self.current) } else { self.revisions.update() }
    }
}

/// What the pods of a revision have in common.
fn mould<'a>(store: &Store, set: &'a StatefulSet, revision: &ControllerRevision) -> Mould<'a> {
    let mut mould = Mould::new(store, &revision.template, &set.metadata, Kind::StatefulSet);
    mould.labels = mould.labels.with([(arcstr::literal!(REVISION_LABEL), revision.metadata.name.clone())]);
    mould.shared().subdomain = set.spec.service_name.clone();
    let claims = set.spec.volume_claim_templates.iter();
    mould.shared().claim_templates = claims.map(|claim| claim.metadata.name.clone()).collect();
    mould
}
