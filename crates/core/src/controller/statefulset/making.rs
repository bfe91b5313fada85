//! The pods that a set creates: their names, their revision, and obstacles.

use std::fmt::Write;
use std::sync::Arc;

use super::claims::{self, COMPONENT};
use super::{Slot, Sync};
use crate::controller::pods::PodBuilder;
use crate::controller::refusal;
use crate::kubelet;
use crate::store::{ControllerRevision, Kind, Name, Object, Pod, REVISION_LABEL, StatefulSet, Store};

impl Sync<'_> {
    /// Creates the pod of an ordinal. Returns whether it is available at once.
    pub(super) fn make(&mut self, ordinal: u32, index: usize, at_once: bool) -> bool {
        let name = self.pod_name(ordinal);
        if claims::is_stale(self.context, self.set, ordinal, &name) {
            return false;
        }
        if let Err(why) = claims::make(self.context, self.set, ordinal, &name, &mut self.result) {
            return self.fail("Create", "FailedCreate", &name, &why);
        }
        // The API would reply AlreadyExists: another controller has the pod, or that of an earlier set has not stopped
        // yet.
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
        if let Some(why) = refusal::of(self.context, &pod, &mut self.result) {
            return self.fail("Create", "FailedCreate", &name, &why);
        }
        // No Events during start-up: there is no watcher, and a message for each pod is measurable.
        if !self.context.at_once {
            let message = format!("Create Pod {name} in StatefulSet {} successful", self.key.name);
            self.result.emit_event(COMPONENT, self.key.clone(), "SuccessfulCreate", message);
        }
        self.result.put(pod);
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
        let of_revision = |(of, _): &(Name, PodBuilder<'_>)| *of == revision.metadata.name;
        let at = self.builders.iter().position(of_revision).unwrap_or_else(|| {
            self.builders
                .push((revision.metadata.name.clone(), builder(self.context.store, self.set, &revision)));
            self.builders.len() - 1
        });
        let (_, builder) = &self.builders[at];
        let mut pod = builder.pod(name.clone());
        pod.metadata.labels = builder.labels.of_pod(&name);
        pod.spec.hostname = name;
        pod
    }

    /// The revision of a new pod (newVersionedStatefulSetPod).
    fn revision_for(&self, ordinal: u32) -> &Arc<ControllerRevision> {
        let start = self.set.spec.ordinals.start;
        let strategy = self.set.spec.update_strategy;
        let kept = match strategy.rolling() {
            _ if strategy.is_on_delete() => start,
            Some(rolling) => start.saturating_add(rolling.partition),
            // As many as still have it, regardless of their ordinals (kubernetes#70442).
            None => start.saturating_add(self.set.status.current_replicas),
        };
        if ordinal < kept { self.revisions.named(&self.current) } else { self.revisions.update() }
    }
}

/// The builder for pods of a revision.
fn builder<'a>(store: &Store, set: &'a StatefulSet, revision: &ControllerRevision) -> PodBuilder<'a> {
    let mut builder = PodBuilder::new(store, &revision.template, &set.metadata, Kind::StatefulSet);
    builder.labels =
        builder.labels.with([(arcstr::literal!(REVISION_LABEL), revision.metadata.name.clone())]);
    builder.shared().subdomain = set.spec.service_name.clone();
    let claims = set.spec.volume_claim_templates.iter();
    builder.shared().claim_templates = claims.map(|claim| claim.metadata.name.clone()).collect();
    builder
}
