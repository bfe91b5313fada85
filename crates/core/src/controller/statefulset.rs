//! The StatefulSet controller (pkg/controller/statefulset/stateful_set_control.go): pods in the order of their ordinals,
//! each with a name and claims that stay.

mod making;

use std::borrow::Cow;
use std::sync::Arc;

use super::pods::Mould;
use super::revisions::{Revisions, revision_of};
use super::scheduler::Nodes;
use super::{claims, pods, refusal};
use crate::kubelet;
use crate::reconcile::{Context, Outcome};
use crate::store::{
    IntOrPercent, Key, Name, Object, Owner, POD_NAME_LABEL, Pod, PodManagementPolicy, PodPhase, Resource,
    StatefulSet, StatefulSetStatus, Uid, ordinal, pinned_ip_annotation,
};

/// Who tells of what it does.
pub(super) const BY: &str = "statefulset-controller";

/// A set that lacks more pods than this gets those that take no time all at once: nobody follows so many steps.
const STEPS_MAX: usize = 256;

/// One look at the set at `key`: what it does next (UpdateStatefulSet).
pub(super) fn sync(context: Context<'_>, key: &Key) -> Outcome {
    let Some(stored) = context.store.stored(key) else { return Outcome::default() };
    let Some(set) = StatefulSet::of(&stored.object) else { return Outcome::default() };
    let uid = stored.uid();
    if pods::are_believed(context, key) {
        return Outcome::default();
    }
    let mut outcome = Outcome::default();
    let there: Vec<&Arc<Pod>> = pods::of_workload(context.store, key).collect();
    let pods = claim_pods(key, uid, set, there, &mut outcome);
    let pods: Vec<&Arc<Pod>> = pods.iter().map(Cow::as_ref).collect();
    let revisions = Revisions::of(context, key, uid, set, &mut outcome);
    if repin(set, &pods, &mut outcome) {
        // Every pod has changed: look again at what they are then.
        return outcome;
    }
    let mut sync = Sync::new(context, key, set, &pods, revisions, outcome);
    if set.metadata.deletion_timestamp.is_none() && sync.fill() && sync.shrink() {
        sync.update();
    }
    sync.finish(&pods)
}

/// The pods of the set at `key` (PodControllerRefManager.ClaimPods): its own, as long as its selector matches them, and
/// those without a controller that it matches. It releases the others, and never touches what another controller manages.
fn claim_pods<'a>(
    key: &Key,
    uid: Uid,
    set: &StatefulSet,
    there: Vec<&'a Arc<Pod>>,
    outcome: &mut Outcome,
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
            outcome.put(Object::Pod(pod.clone()));
            claimed.push(Cow::Owned(pod));
        } else if !selected && owned && !deleting {
            let mut pod = pod.clone();
            Arc::make_mut(&mut pod).metadata.links.remove_owners(|owner| owner.is(key));
            outcome.put(Object::Pod(pod));
        }
    }
    claimed
}

/// Gives running pods the addresses that the set's annotations pin now. All move at once, as they were asked to. Tells
/// whether any did.
fn repin(set: &StatefulSet, pods: &[&Arc<Pod>], outcome: &mut Outcome) -> bool {
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
        outcome.put(Object::Pod(Arc::new(pod)));
        any = true;
    }
    any
}

/// A pod of the set as the sync sees it.
enum Slot<'a> {
    /// There is none.
    Empty,
    There(&'a Arc<Pod>),
    /// It was made by this sync; whether it is available already, because it takes no time.
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
    /// The name of the revision that pods below the partition, or not yet reached, have.
    current: Name,
    /// By ordinal, from the start.
    slots: Vec<Slot<'a>>,
    /// Pods beyond the set's ordinals, highest first.
    condemned: Vec<(u32, &'a Arc<Pod>)>,
    /// Whether there is a pod whose name begins with the set's: a new set's ordinals need no lookup each.
    names_are_taken: bool,
    nodes: Nodes<'a>,
    /// Whether a claim template asks for a volume that is not made for it: its pods wait until there are volumes.
    waits_for_volumes: bool,
    /// By the name of their revision.
    moulds: Vec<(Name, Mould<'a>)>,
    /// Room for the text of a pod's name.
    text: String,
    /// Whether the API refused something.
    failed: bool,
    outcome: Outcome,
}

impl<'a> Sync<'a> {
    fn new(
        context: Context<'a>,
        key: &'a Key,
        set: &'a Arc<StatefulSet>,
        pods: &[&'a Arc<Pod>],
        revisions: Revisions,
        outcome: Outcome,
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
            moulds: Vec::new(),
            text: String::new(),
            failed: false,
            outcome,
        }
    }

    /// `OrderedReady`: one thing at a time, each when the one before is well.
    fn is_ordered(&self) -> bool {
        self.set.spec.pod_management_policy == PodManagementPolicy::OrderedReady
    }

    fn is_unavailable(&self, pod: &Pod) -> bool {
        pod.is_terminating() || !pod.is_available(self.set.spec.min_ready_seconds, self.context.now)
    }

    /// As [`Self::is_unavailable`], of what is in a slot: what is not there is not available.
    fn lacks(&self, slot: &Slot<'_>) -> bool {
        match slot {
            Slot::Empty => true,
            Slot::There(pod) => self.is_unavailable(pod),
            Slot::Made { available } => !available,
        }
    }

    /// Makes the pods that are missing, lowest first. Returns whether to go on to others: not after an error, which ends the
    /// work on the pods at once, or, where pods are handled in parallel, once the batch is done (slowStartBatch).
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

    /// Records that the API refused to `verb` a pod; the sync is repeated later.
    fn fail(&mut self, verb: &str, reason: &'static str, pod: &Name, why: &str) -> bool {
        let message = format!("{verb} Pod {pod} in StatefulSet {} failed error: {why}", self.key.name);
        self.outcome.warn(BY, self.key.clone(), reason, message);
        self.outcome.refused = true;
        self.failed = true;
        false
    }

    /// Looks after a pod that is there. Tells whether it is well, so that the next one may be looked at.
    fn keep(&mut self, pod: &'a Arc<Pod>) -> bool {
        if pod.is_terminal() {
            // Its name is free when the object is gone.
            if !pod.is_terminating() {
                self.delete(pod);
            }
            return false;
        }
        if pod.status.phase == Some(PodPhase::Pending) && !pod.is_terminating() {
            let ordinal = ordinal(&pod.metadata.name).map_or(0, |(_, ordinal)| ordinal);
            if claims::make(self.context, self.set, ordinal, &pod.metadata.name, &mut self.outcome).is_err() {
                self.failed = true;
                self.outcome.refused = true;
                return false;
            }
        }
        let from = pod.available_from(self.set.spec.min_ready_seconds);
        if let Some(from) = from.filter(|from| *from > self.context.now) {
            self.outcome.look_again(from);
        }
        let well = pod.is_running_and_ready() && !self.is_unavailable(pod);
        if well || !self.is_ordered() {
            return self.conform(pod) && well;
        }
        well
    }

    /// Brings a pod and its claims to the identity, the volumes and the retention policy that the set asks for
    /// (UpdateStatefulPod). Returns whether it is so: the API refuses to change the volumes of a pod.
    fn conform(&mut self, pod: &Arc<Pod>) -> bool {
        let name = &pod.metadata.name;
        let identified = pod.metadata.labels.get(POD_NAME_LABEL) == Some(name);
        let mounted = claims::are_mounted(self.set, pod);
        if !mounted {
            let ordinal = ordinal(name).map_or(0, |(_, ordinal)| ordinal);
            if let Err(why) = claims::make(self.context, self.set, ordinal, name, &mut self.outcome) {
                return self.fail("Update", "FailedUpdate", name, &why);
            }
        }
        let retained = !claims::retain(self.context, self.set, pod, false, &mut self.outcome);
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
            self.outcome.put(Object::Pod(pod));
        }
        let message = format!("Update Pod {name} in StatefulSet {} successful", self.key.name);
        self.outcome.tell(BY, self.key.clone(), "SuccessfulUpdate", message);
        true
    }

    /// Deletes pods beyond the set's ordinals, highest first. Tells whether to go on to updates.
    fn shrink(&mut self) -> bool {
        let in_range = self.slots.iter().any(|slot| self.lacks(slot));
        // The first unavailable pod of all: only it may be deleted though it is not well.
        let first = if in_range {
            None
        } else {
            self.condemned.iter().rev().find(|(_, pod)| self.is_unavailable(pod)).map(|(ordinal, _)| *ordinal)
        };
        for (_, pod) in self.condemned.clone() {
            claims::retain(self.context, self.set, pod, true, &mut self.outcome);
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

    /// Brings pods to the template of today, highest first.
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

    /// As many at a time as may be unavailable (the feature gate MaxUnavailableStatefulSet, with kubernetes#137666).
    fn update_within_budget(&mut self, partition: usize, most: Option<IntOrPercent>, new: &Name) {
        let most = most.map_or(1, |most| most.of(self.slots.len() as u32)).max(1) as usize;
        let missing = self.slots.iter().filter(|slot| self.lacks(slot)).count();
        let old = |pod: &&Arc<Pod>| revision_of(pod) != Some(new) && !pod.is_terminating();
        let old: Vec<&'a Arc<Pod>> =
            self.slots[partition..].iter().rev().filter_map(Slot::pod).filter(old).collect();
        // Those that nobody can use anyway are outside of the budget.
        let (broken, well): (Vec<_>, Vec<_>) = old.into_iter().partition(|pod| self.is_unavailable(pod));
        let budget = most.saturating_sub(missing);
        let broken = if self.is_ordered() { Vec::new() } else { broken };
        for pod in broken.into_iter().chain(well.into_iter().take(budget)) {
            self.delete(pod);
        }
    }

    fn delete(&mut self, pod: &Arc<Pod>) {
        let message = format!("Delete Pod {} in StatefulSet {} successful", pod.metadata.name, self.key.name);
        self.outcome.tell(BY, self.key.clone(), "SuccessfulDelete", message);
        self.outcome.changes.push(pods::delete(pod, self.context.now));
    }

    /// Notes in the set's status what was found (updateStatus, completeRollingUpdate).
    fn finish(mut self, pods: &[&Arc<Pod>]) -> Outcome {
        let (now, min_ready) = (self.context.now, self.set.spec.min_ready_seconds);
        let new = self.revisions.update().metadata.name.clone();
        let mut status = StatefulSetStatus {
            observed_generation: self.context.store.stored(self.key).map_or(0, |stored| stored.generation),
            current_revision: self.current.clone(),
            update_revision: new.clone(),
            ..StatefulSetStatus::default()
        };
        // What takes no time is there in the same moment.
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
        // Whether they are available is not looked at (kubernetes#136831).
        if rolls && [status.updated_replicas, status.replicas, status.ready_replicas] == [wanted; 3] {
            status.current_revision = new;
            status.current_replicas = status.updated_replicas;
        }
        self.revisions.prune(self.set, &status.current_revision, pods, &mut self.outcome);
        // Conditions alone are no reason to write, and a status that is written has none (inconsistentStatus).
        let conditions = self.set.status.conditions.clone();
        if (StatefulSetStatus { conditions, ..status.clone() }) != self.set.status {
            let mut set = self.set.clone();
            Arc::make_mut(&mut set).status = status;
            self.outcome.put(Object::StatefulSet(set));
        }
        self.outcome
    }
}
