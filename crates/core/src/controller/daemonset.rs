//! The DaemonSet controller (pkg/controller/daemon): one pod on every node that its template admits.

mod update;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::pods::PodBuilder;
use super::{daemon_history, ownership, pods, refusal};
use crate::reconcile::names::generated_from;
use crate::reconcile::{Context, SyncResult};
use crate::store::{
    Key, Kind, NOT_READY_TAINT, Name, Node, Object, Pod, PodPhase, PodSpec, REVISION_LABEL, Taint,
    Toleration, UNREACHABLE_TAINT, Workload, WorkloadStatus, key_of,
};

/// Reporting component of its Events.
const COMPONENT: &str = "daemonset-controller";

/// The label with the generation of a pod's template.
const GENERATION_LABEL: &str = "pod-template-generation";

/// Minimum time until a failed pod of a node is replaced (failedPodsBackoff, its first step).
const FAILED_BACKOFF: Duration = Duration::from_secs(1);

/// Tolerations of every pod of a DaemonSet (AddOrUpdateDaemonPodTolerations).
static TOLERATIONS: LazyLock<Vec<Toleration>> = LazyLock::new(|| {
    vec![
        tolerates(NOT_READY_TAINT, "NoExecute"),
        tolerates(UNREACHABLE_TAINT, "NoExecute"),
        tolerates("node.kubernetes.io/disk-pressure", "NoSchedule"),
        tolerates("node.kubernetes.io/memory-pressure", "NoSchedule"),
        tolerates("node.kubernetes.io/pid-pressure", "NoSchedule"),
        tolerates("node.kubernetes.io/unschedulable", "NoSchedule"),
    ]
});

/// The additional toleration on the host network.
static ON_HOST: LazyLock<Toleration> =
    LazyLock::new(|| tolerates("node.kubernetes.io/network-unavailable", "NoSchedule"));

fn tolerates(key: &'static str, effect: &'static str) -> Toleration {
    Toleration {
        key: Name::from(key),
        operator: arcstr::literal!("Exists"),
        effect: Name::from(effect),
        ..Toleration::default()
    }
}

/// Syncs the DaemonSet at `key` (syncDaemonSet).
pub(super) fn sync(context: Context<'_>, key: &Key) -> SyncResult {
    let mut result = SyncResult::default();
    let Some(set) = context.store.get::<Workload>(Kind::DaemonSet, &key.namespace, &key.name) else {
        return result;
    };
    if pods::are_snapshot_owned(context, key) || set.metadata.deletion_timestamp.is_some() {
        return result;
    }
    let history = daemon_history::History::of(context, key, set, &mut result);
    let all = ownership::claim_pods(context, key, set, &mut result);
    let mut builder = PodBuilder::new(context.store, &set.spec.template, &set.metadata, Kind::DaemonSet);
    builder.labels = builder.labels.with([
        (REVISION_LABEL, history.hash.clone()),
        (GENERATION_LABEL, arcstr::format!("{}", history.revision)),
    ]);
    let on_host = builder.spec.is_on_host_network();
    let shared = builder.shared();
    let own = shared.tolerations.iter().filter(|own| !TOLERATIONS.iter().any(|t| t.is_like(own)));
    shared.tolerations = own.chain(TOLERATIONS.iter()).chain(on_host.then_some(&*ON_HOST)).cloned().collect();
    let mut daemons = Daemons {
        context,
        key,
        set,
        hash: history.hash.clone(),
        by_node: BTreeMap::new(),
        nodes: BTreeMap::new(),
        builder,
        made: set.status.made,
        result,
    };
    for pod in &all {
        if !(pod.is_terminal() && pod.is_terminating()) {
            daemons.by_node.entry(pod.spec.node_name.clone()).or_default().push(pod);
        }
    }
    daemons.by_node.values_mut().for_each(|pods| daemons_by_age(context, pods));
    for node in context.store.list::<Node>(Kind::Node) {
        let fit = Fit::of(node, &daemons.builder.spec, &set.spec.template.spec.node_name);
        daemons.nodes.insert(node.metadata.name.clone(), fit);
    }
    let settled = !daemons.manage();
    // Pods that this sync created exist at the next one (the controller's expectations).
    if settled {
        daemons.roll();
    }
    history.clean_up(set, &all, &mut daemons.result);
    daemons.finish(history.revision)
}

/// Unassigned, pending and not ready pods first, then the oldest (podByCreationTimestampAndPhase).
fn daemons_by_age(context: Context<'_>, pods: &mut [&Arc<Pod>]) {
    pods.sort_by_cached_key(|pod| {
        let born = context.store.stored(&key_of(pod)).map_or(u64::MAX, |stored| stored.born());
        (pod.spec.node_name.is_empty(), born)
    });
}

/// Whether a node should run a pod of a DaemonSet (NodeShouldRunDaemonPod).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// A pod should run there, and is created if missing.
    Run,
    /// An existing pod may continue to run.
    Keep,
    No,
}

impl Fit {
    /// Decides for pods of `spec`, whose template may name the node `only`.
    fn of(node: &Node, spec: &PodSpec, only: &Name) -> Self {
        let tolerated = |taint: &&Taint| spec.tolerates(taint).is_some();
        let mut untolerated = node.spec.taints.iter().filter(|taint| taint.keeps_away() && !tolerated(taint));
        let is_another = !only.is_empty() && *only != node.metadata.name;
        if is_another
            || !super::scheduler::matches_node(node, spec)
            || untolerated.clone().any(|taint| taint.effect == "NoExecute")
        {
            Fit::No
        } else if untolerated.next().is_some() {
            Fit::Keep
        } else {
            Fit::Run
        }
    }
}

struct Daemons<'a> {
    context: Context<'a>,
    key: &'a Key,
    set: &'a Arc<Workload>,
    /// The hash of the current revision.
    hash: Name,
    /// Its pods by the node that they are on or were created for, oldest first.
    by_node: BTreeMap<Name, Vec<&'a Arc<Pod>>>,
    nodes: BTreeMap<Name, Fit>,
    builder: PodBuilder<'a>,
    made: u32,
    result: SyncResult,
}

impl<'a> Daemons<'a> {
    fn is_updated(&self, pod: &Pod) -> bool {
        pod.metadata.labels.get(REVISION_LABEL) == Some(&self.hash)
    }

    fn is_available(&self, pod: &Pod) -> bool {
        pod.is_available(self.set.spec.min_ready_seconds, self.context.now)
    }

    /// Pods of a node that are not being deleted.
    fn live_on(&self, node: &str) -> Vec<&'a Arc<Pod>> {
        let pods = self.by_node.get(node).into_iter().flatten();
        pods.filter(|pod| !pod.is_terminating()).copied().collect()
    }

    /// Creates missing pods, and deletes those that should not run. Returns whether it changed anything (manage,
    /// podsShouldBeOnNode).
    fn manage(&mut self) -> bool {
        let nodes: Vec<(Name, Fit)> = self.nodes.iter().map(|(name, fit)| (name.clone(), *fit)).collect();
        let (mut missing, mut doomed) = (Vec::new(), Vec::new());
        for (node, fit) in nodes {
            let exists = self.by_node.contains_key(&node);
            match fit {
                Fit::Run if !exists => missing.push(node),
                Fit::Run | Fit::Keep => {
                    let running = self.running_on(&node, &mut doomed);
                    if self.surge() == 0 {
                        doomed.extend(running.into_iter().skip(1));
                    } else if running.is_empty() && fit == Fit::Run {
                        missing.push(node);
                    } else if running.len() > 1 {
                        self.thin_out(&running, &mut doomed);
                    }
                }
                Fit::No => doomed.extend(self.live_on(&node)),
            }
        }
        // Pods for deleted nodes (getUnscheduledPodsWithoutNode; the pod garbage collector deletes those that were
        // scheduled).
        let gone: Vec<Name> =
            self.by_node.keys().filter(|node| !self.nodes.contains_key(*node)).cloned().collect();
        gone.iter().for_each(|node| doomed.extend(self.live_on(node)));
        let any = !missing.is_empty() || !doomed.is_empty();
        missing.iter().for_each(|node| self.make(node));
        doomed.iter().for_each(|pod| self.delete(pod));
        any
    }

    /// The pods of a node that have not ended and are not being deleted; ended ones are added to `doomed`.
    fn running_on(&mut self, node: &Name, doomed: &mut Vec<&'a Arc<Pod>>) -> Vec<&'a Arc<Pod>> {
        let (ended, running): (Vec<_>, Vec<_>) =
            self.live_on(node).into_iter().partition(|pod| pod.is_terminal());
        for pod in ended {
            let name = format!("{}/{}", self.key.namespace, pod.metadata.name);
            let failed = pod.status.phase == Some(PodPhase::Failed);
            let at = pod.status.since.unwrap_or_default().after(FAILED_BACKOFF);
            if failed && at > self.context.now {
                self.result.requeue_at(at);
                continue;
            }
            if failed {
                let message = format!("Found failed daemon pod {name} on node {node}, will try to kill it");
                self.result.emit_warning(COMPONENT, self.key.clone(), "FailedDaemonPod", message);
            } else {
                let message =
                    format!("Found succeeded daemon pod {name} on node {node}, will try to delete it");
                self.result.emit_event(COMPONENT, self.key.clone(), "SucceededDaemonPod", message);
            }
            doomed.push(pod);
        }
        running
    }

    /// With surge, an old pod and a new one share a node until the new one is available.
    fn thin_out(&self, running: &[&'a Arc<Pod>], doomed: &mut Vec<&'a Arc<Pod>>) {
        let (mut newest, mut oldest) = (None, None);
        for pod in running {
            let place = if self.is_updated(pod) { &mut newest } else { &mut oldest };
            match place {
                None => *place = Some(*pod),
                Some(_) => doomed.push(pod),
            }
        }
        if let (Some(new), Some(old)) = (newest, oldest)
            && (!old.status.ready || self.is_available(new))
        {
            doomed.push(old);
        }
    }

    fn make(&mut self, node: &Name) {
        let name = loop {
            let name = Name::from(generated_from(&self.key.name, (&self.key.namespace, node, self.made)));
            self.made += 1;
            if self.context.store.get::<Pod>(Kind::Pod, &self.key.namespace, &name).is_none() {
                break name;
            }
        };
        let mut pod = self.builder.pod(name);
        pod.spec.node_name = node.clone();
        let message = format!("Created pod: {}", pod.metadata.name);
        let pod = Object::Pod(Arc::new(pod));
        if let Some(why) = refusal::of(self.context, &pod, &mut self.result) {
            return self.result.emit_warning(
                COMPONENT,
                self.key.clone(),
                "FailedCreate",
                format!("Error creating: {why}"),
            );
        }
        self.result.emit_event(COMPONENT, self.key.clone(), "SuccessfulCreate", message);
        self.result.put(pod);
    }

    fn delete(&mut self, pod: &Arc<Pod>) {
        let message = format!("Deleted pod: {}", pod.metadata.name);
        self.result.emit_event(COMPONENT, self.key.clone(), "SuccessfulDelete", message);
        self.result.changes.push(pods::delete(pod, self.context.now));
    }

    /// Writes the status (updateDaemonSetStatus).
    fn finish(mut self, revision: u64) -> SyncResult {
        let stored = self.context.store.stored(self.key);
        let mut status = WorkloadStatus {
            observed_generation: stored.map_or(0, |stored| stored.generation),
            template_generation: revision,
            collision_count: self.set.status.collision_count,
            conditions: self.set.status.conditions.clone(),
            made: self.made,
            ..WorkloadStatus::default()
        };
        for (node, fit) in &self.nodes {
            let pod = self.by_node.get(node).and_then(|pods| pods.first());
            if *fit != Fit::Run {
                status.misscheduled += u32::from(pod.is_some());
                continue;
            }
            status.desired += 1;
            let Some(pod) = pod else { continue };
            status.replicas += 1;
            status.ready_replicas += u32::from(pod.status.ready);
            status.available_replicas += u32::from(self.is_available(pod));
            status.updated_replicas += u32::from(self.is_updated(pod));
            let from = pod.available_from(self.set.spec.min_ready_seconds);
            if let Some(from) = from.filter(|from| *from > self.context.now) {
                self.result.requeue_at(from);
            }
        }
        status.unavailable_replicas = status.desired - status.available_replicas;
        if status != self.set.status {
            let mut set = self.set.clone();
            Arc::make_mut(&mut set).status = status;
            self.result.put(Object::DaemonSet(set));
        }
        self.result
    }
}
