//! The StatefulSet controller (pkg/controller/statefulset/stateful_set_control.go): pods in the order of their
//! ordinals, each with a stable name and claims.

mod claims;
mod making;

use std::borrow::Cow;
use std::sync::Arc;

use super::pods::PodBuilder;
use super::revisions::{Revisions, revision_of};
use super::scheduler::Nodes;
use super::{pods, refusal};
use crate::kubelet;
use crate::reconcile::{Context, SyncResult};
use crate::store::{
    IntOrPercent, Key, Name, Object, Owner, POD_NAME_LABEL, Pod, PodManagementPolicy, PodPhase, Resource,
    StatefulSet, StatefulSetStatus, Uid, ordinal, pinned_ip_annotation,
};
use claims::COMPONENT;

/// Maximum number of missing pods that are created one by one; a larger set gets pods without delays all at once, since
/// no client follows that many steps.
const STEPS_MAX: usize = 256;

/// Syncs the set at `key`: its next step (UpdateStatefulSet).
pub(super) fn sync(context: Context<'_>, key: &Key) -> SyncResult {
    let Some(stored) = context.store.stored(key) else { return SyncResult::default() };
    let Some(set) = StatefulSet::of(&stored.object) else { return SyncResult::default() };
    let uid = stored.uid();
    if pods::are_snapshot_owned(context, key) {
        return SyncResult::default();
    }
    let mut result = SyncResult::default();
    let there: Vec<&Arc<Pod>> = pods::of_workload(context.store, key).collect();
    let pods = claim_pods(key, uid, set, there, &mut result);
    let pods: Vec<&Arc<Pod>> = pods.iter().map(Cow::as_ref).collect();
    let revisions = Revisions::of(context, key, uid, set, &mut result);
    if repin(set, &pods, &mut result) {
        // Every pod has changed: sync again with their new state.
        return result;
    }
    let mut sync = Sync::new(context, key, set, &pods, revisions, result);
    if set.metadata.deletion_timestamp.is_none() && sync.fill() && sync.shrink() {
        sync.update();
    }
    sync.finish(&pods)
}

/// The pods of the set at `key` (PodControllerRefManager.ClaimPods): its own that its selector matches, and those
/// without a controller that it matches. It releases the others, and never changes pods of another controller.
fn claim_pods<'a>(
    key: &Key,
    uid: Uid,
    set: &StatefulSet,
    there: Vec<&'a Arc<Pod>>,
    result: &mut SyncResult,
) -> Vec<Cow<'a, Arc<Pod>>> {
    let deleting = set.metadata.deletion_timestamp.is_some();
    let selects = |pod: &Pod| match &set.spec.selector {
        Some(selector) => selector.matches(&pod.metadata.labels),
        None => set.spec.template.metadata.labels.matches(&pod.metadata.labels),
    };
    let mut claimed = Vec::with_capacity(there.len());
    for pod in there {
        let owned = pod.metadata.is_controlled_by(key, uid);
        let orphan = pod.metadata.links.is_orphan();
        let selected = selects(pod);
        if selected && owned {
            claimed.push(Cow::Borrowed(pod));
        } else if selected && orphan && !deleting && !pod.is_terminating() {
            let mut pod = pod.clone();
            let owner = Owner::controller(key.kind, key.name.clone(), Some(uid));
            Arc::make_mut(&mut pod).metadata.links.add_owner(owner);
            result.put(Object::Pod(pod.clone()));
            claimed.push(Cow::Owned(pod));
        } else if !selected && owned && !deleting {
            let mut pod = pod.clone();
            Arc::make_mut(&mut pod).metadata.links.remove_owners(|owner| owner.is(key));
            result.put(Object::Pod(pod));
        }
    }
    claimed
}

/// Sets the addresses of running pods to those that the set's annotations pin now, all at once. Returns whether any
/// changed.
fn repin(set: &StatefulSet, pods: &[&Arc<Pod>], result: &mut SyncResult) -> bool {
    let mut any = false;
    for pod in pods.iter().filter(|pod| pod.metadata.synthesized && !set.metadata.annotations.is_empty()) {
        let annotation = pinned_ip_annotation(&pod.metadata.name);
        let Some(pin) = set.metadata.annotations.get(&annotation) else { continue };
        if pod.metadata.annotations.get(&annotation) == Some(pin) {
            continue;
        }
        let mut pod = (***pod).clone();
        pod.metadata.annotations = pod.metadata.annotations.with([(annotation, pin)]);
        if !pod.status.ips.is_empty() {
            pod.status.ips = kubelet::pinned(&pod);
        }
        result.put(Object::Pod(Arc::new(pod)));
        any = true;
    }
    any
}

/// A pod of the set during the sync.
enum Slot<'a> {
    /// The pod is missing.
    Empty,
    There(&'a Arc<Pod>),
    /// The pod was created by this sync; it is already available if it has no delays.
    Made {
        available: bool,
    },
}

impl<'a> Slot<'a> {
    fn pod(&self) -> Option<&'a Arc<Pod>> {
        match *self {
            Slot::There(pod) => Some(pod),
            _ => None,
        }
    }
}

struct Sync<'a> {
    context: Context<'a>,
    key: &'a Key,
    set: &'a Arc<StatefulSet>,
    revisions: Revisions,
    /// The name of the revision of pods below the partition, or not yet updated.
    current: Name,
    /// By ordinal, from the start ordinal on.
    slots: Vec<Slot<'a>>,
    /// Pods beyond the set's ordinals, highest first.
    condemned: Vec<(u32, &'a Arc<Pod>)>,
    /// Whether any pod's name starts with the set's: if not, ordinals need no lookup.
    names_are_taken: bool,
    nodes: Nodes<'a>,
    /// Whether a claim template needs a volume that is not provisioned: pods wait until there are volumes.
    waits_for_volumes: bool,
    /// Builders by the name of their revision.
    builders: Vec<(Name, PodBuilder<'a>)>,
    /// Buffer for a pod's name.
    text: String,
    /// Whether the API refused a change.
    failed: bool,
    result: SyncResult,
}

impl<'a> Sync<'a> {
    fn new(
        context: Context<'a>,
        key: &'a Key,
        set: &'a Arc<StatefulSet>,
        pods: &[&'a Arc<Pod>],
        revisions: Revisions,
        result: SyncResult,
    ) -> Self {
        let ordinals = set.ordinals();
        let mut slots: Vec<Slot<'a>> = ordinals.clone().map(|_| Slot::Empty).collect();
        let mut condemned = Vec::new();
        for pod in pods {
            match ordinal(&pod.metadata.name) {
                Some((_, ordinal)) if ordinals.contains(&ordinal) => {
                    slots[(ordinal - ordinals.start) as usize] = Slot::There(pod);
                }
                Some((_, ordinal)) => condemned.push((ordinal, *pod)),
                None => {}
            }
        }
        condemned.sort_by_key(|(ordinal, _)| std::cmp::Reverse(*ordinal));
        let current = if set.status.current_revision.is_empty() {
            revisions.update().metadata.name.clone()
        } else {
            revisions.named(&set.status.current_revision).metadata.name.clone()
        };
        Sync {
            context,
            key,
            set,
            revisions,
            current,
            slots,
            condemned,
            names_are_taken: pods::named_by(context.store, key).next().is_some(),
            nodes: Nodes::of(context.store),
            waits_for_volumes: claims::wait_for_volumes(context, set),
            builders: Vec::new(),
            text: String::new(),
            failed: false,
            result,
        }
    }

    /// `OrderedReady`: one change at a time, each after the pod before it is available.
    fn is_ordered(&self) -> bool {
        self.set.spec.pod_management_policy == PodManagementPolicy::OrderedReady
    }

    fn is_unavailable(&self, pod: &Pod) -> bool {
        pod.is_terminating() || !pod.is_available(self.set.spec.min_ready_seconds, self.context.now)
    }

    /// As [`Self::is_unavailable`] for a slot; an empty one is unavailable.
    fn lacks(&self, slot: &Slot<'_>) -> bool {
        match slot {
            Slot::Empty => true,
            Slot::There(pod) => self.is_unavailable(pod),
            Slot::Made { available } => !available,
        }
    }

    /// Creates the missing pods, lowest first. Returns whether to continue: an error ends the work on pods at once, or,
    /// with parallel pod management, after the batch (slowStartBatch).
    fn fill(&mut self) -> bool {
        let start = self.set.spec.ordinals.start;
        let missing = self.slots.iter().filter(|slot| matches!(slot, Slot::Empty)).count();
        let at_once = self.context.at_once || missing > STEPS_MAX;
        for index in 0..self.slots.len() {
            let goes_on = match self.slots[index] {
                Slot::Empty => self.make(start + index as u32, index, at_once),
                Slot::There(pod) => self.keep(pod),
                Slot::Made { .. } => true,
            };
            let ends_batch = (index + 2).is_power_of_two();
            if (!goes_on && self.is_ordered()) || (self.failed && ends_batch) {
                return false;
            }
        }
        !self.failed
    }

    /// Records that the API refused to `verb` a pod; the sync is retried.
    fn fail(&mut self, verb: &str, reason: &'static str, pod: &Name, why: &str) -> bool {
        let message = format!("{verb} Pod {pod} in StatefulSet {} failed error: {why}", self.key.name);
        self.result.emit_warning(COMPONENT, self.key.clone(), reason, message);
        self.result.refused = true;
        self.failed = true;
        false
    }

    /// Syncs an existing pod. Returns whether it is available, so that the next one may be processed.
    fn keep(&mut self, pod: &'a Arc<Pod>) -> bool {
        if pod.is_terminal() {
            // Its name is free when the object has been removed.
            if !pod.is_terminating() {
                self.delete(pod);
            }
            return false;
        }
        if pod.status.phase == Some(PodPhase::Pending) && !pod.is_terminating() {
            let ordinal = ordinal(&pod.metadata.name).map_or(0, |(_, ordinal)| ordinal);
            if claims::make(self.context, self.set, ordinal, &pod.metadata.name, &mut self.result).is_err() {
                self.failed = true;
                self.result.refused = true;
                return false;
            }
        }
        let from = pod.available_from(self.set.spec.min_ready_seconds);
        if let Some(from) = from.filter(|from| *from > self.context.now) {
            self.result.requeue_at(from);
        }
        let well = pod.is_running_and_ready() && !self.is_unavailable(pod);
        if well || !self.is_ordered() {
            return self.conform(pod) && well;
        }
        well
    }

    /// Updates a pod and its claims to the identity, the volumes and the retention policy of the set
    /// (UpdateStatefulPod). Returns whether it could: the API refuses to change the volumes of a pod.
    fn conform(&mut self, pod: &Arc<Pod>) -> bool {
        let name = &pod.metadata.name;
        let identified = pod.metadata.labels.get(POD_NAME_LABEL) == Some(name);
        let mounted = claims::are_mounted(self.set, pod);
        if !mounted {
            let ordinal = ordinal(name).map_or(0, |(_, ordinal)| ordinal);
            if let Err(why) = claims::make(self.context, self.set, ordinal, name, &mut self.result) {
                return self.fail("Update", "FailedUpdate", name, &why);
            }
        }
        let retained = !claims::retain(self.context, self.set, pod, false, &mut self.result);
        if !mounted {
            let why = format!("Pod {name:?} is invalid: spec: Forbidden: {}", refusal::POD_UPDATE);
            return self.fail("Update", "FailedUpdate", name, &why);
        }
        if identified && retained {
            return true;
        }
        if !identified {
            let mut pod = pod.clone();
            let meta = &mut Arc::make_mut(&mut pod).metadata;
            meta.labels = meta.labels.of_pod(name);
            self.result.put(Object::Pod(pod));
        }
        let message = format!("Update Pod {name} in StatefulSet {} successful", self.key.name);
        self.result.emit_event(COMPONENT, self.key.clone(), "SuccessfulUpdate", message);
        true
    }

    /// Deletes pods beyond the set's ordinals, highest first. Returns whether to continue with updates.
    fn shrink(&mut self) -> bool {
        let in_range = self.slots.iter().any(|slot| self.lacks(slot));
        // The first unavailable pod of all: only it may be deleted although it is unavailable.
        let first = if in_range {
            None
        } else {
            self.condemned.iter().rev().find(|(_, pod)| self.is_unavailable(pod)).map(|(ordinal, _)| *ordinal)
        };
        for (_, pod) in self.condemned.clone() {
            claims::retain(self.context, self.set, pod, true, &mut self.result);
        }
        for (ordinal, pod) in self.condemned.clone() {
            if pod.is_terminating() {
                if self.is_ordered() {
                    return false;
                }
                continue;
            }
            if self.is_ordered() && self.is_unavailable(pod) && first != Some(ordinal) {
                return false;
            }
            self.delete(pod);
            if self.is_ordered() {
                return false;
            }
        }
        true
    }

    /// Updates pods to the current template, highest first.
    fn update(&mut self) {
        let strategy = self.set.spec.update_strategy;
        if strategy.is_on_delete() {
            return;
        }
        let rolling = strategy.rolling().unwrap_or_default();
        let new = self.revisions.update().metadata.name.clone();
        let partition = (rolling.partition as usize).min(self.slots.len());
        if self.context.max_unavailable {
            return self.update_within_budget(partition, rolling.max_unavailable, &new);
        }
        for index in (partition..self.slots.len()).rev() {
            match &self.slots[index] {
                Slot::There(pod) if revision_of(pod) != Some(&new) && !pod.is_terminating() => {
                    let pod = *pod;
                    return self.delete(pod);
                }
                slot if self.lacks(slot) => return,
                _ => {}
            }
        }
    }

    /// Updates at most `max_unavailable` pods at a time (the feature gate MaxUnavailableStatefulSet, with
    /// kubernetes#137666).
    fn update_within_budget(&mut self, partition: usize, max_unavailable: Option<IntOrPercent>, new: &Name) {
        let total = self.slots.len() as u32;
        let budget = max_unavailable.map_or(1, |number| number.of(total)).max(1) as usize;
        let missing = self.slots.iter().filter(|slot| self.lacks(slot)).count();
        let old = |pod: &&Arc<Pod>| revision_of(pod) != Some(new) && !pod.is_terminating();
        let old: Vec<&'a Arc<Pod>> =
            self.slots[partition..].iter().rev().filter_map(Slot::pod).filter(old).collect();
        // Pods that are unavailable anyway do not count against the budget.
        let (broken, well): (Vec<_>, Vec<_>) = old.into_iter().partition(|pod| self.is_unavailable(pod));
        let budget = budget.saturating_sub(missing);
        let broken = if self.is_ordered() { Vec::new() } else { broken };
        for pod in broken.into_iter().chain(well.into_iter().take(budget)) {
            self.delete(pod);
        }
    }

    fn delete(&mut self, pod: &Arc<Pod>) {
        let message = format!("Delete Pod {} in StatefulSet {} successful", pod.metadata.name, self.key.name);
        self.result.emit_event(COMPONENT, self.key.clone(), "SuccessfulDelete", message);
        self.result.changes.push(pods::delete(pod, self.context.now));
    }

    /// Writes the set's status (updateStatus, completeRollingUpdate).
    fn finish(mut self, pods: &[&Arc<Pod>]) -> SyncResult {
        let (now, min_ready) = (self.context.now, self.set.spec.min_ready_seconds);
        let new = self.revisions.update().metadata.name.clone();
        let mut status = StatefulSetStatus {
            observed_generation: self.context.store.stored(self.key).map_or(0, |stored| stored.generation),
            current_revision: self.current.clone(),
            update_revision: new.clone(),
            ..StatefulSetStatus::default()
        };
        // A pod without delays is available at the same moment.
        let made =
            self.slots.iter().filter(|slot| matches!(slot, Slot::Made { available: true })).count() as u32;
        status.replicas = made;
        status.ready_replicas = made;
        status.available_replicas = made;
        status.updated_replicas = made;
        status.current_replicas = if self.current == new { made } else { 0 };
        for pod in pods {
            let ready = pod.is_running_and_ready();
            status.replicas += 1;
            status.ready_replicas += u32::from(ready);
            status.available_replicas += u32::from(ready && pod.is_available(min_ready, now));
            let revision = revision_of(pod).filter(|_| !pod.is_terminating());
            status.current_replicas += u32::from(revision == Some(&self.current));
            status.updated_replicas += u32::from(revision == Some(&new));
        }
        let wanted = self.set.spec.replicas.unwrap_or(1);
        let rolls = !self.set.spec.update_strategy.is_on_delete();
        // Availability is not checked (kubernetes#136831).
        if rolls && [status.updated_replicas, status.replicas, status.ready_replicas] == [wanted; 3] {
            status.current_revision = new;
            status.current_replicas = status.updated_replicas;
        }
        self.revisions.prune(self.set, &status.current_revision, pods, &mut self.result);
        // Changed conditions alone do not cause a write, and a written status has none (inconsistentStatus).
        let conditions = self.set.status.conditions.clone();
        if (StatefulSetStatus { conditions, ..status.clone() }) != self.set.status {
            let mut set = self.set.clone();
            Arc::make_mut(&mut set).status = status;
            self.result.put(Object::StatefulSet(set));
        }
        self.result
    }
}
