//! Takes the place of the kubelet: the stages of a pod on a node. It gets an address, runs, becomes ready, crashes,
//! stops; by default without delay. Must not depend on the DNS or the system clock.

use std::sync::Arc;

use crate::addresses::Addresses;
use crate::reconcile::{Context, Kubelets, SyncResult, deletion};
use crate::store::{
    COMPLETES_ANNOTATION, CRASHES_ANNOTATION, Change, FAILS_ANNOTATION, IpList, Key, Kind, Machine, Node,
    Object, PINNED_IP_PREFIX, Pod, PodPhase, PodStatus, PodTemplate, READY_ANNOTATION, Store, duration,
    has_own_annotations, parse_ip, pinned_ip_annotation, set_of,
};

const COMPONENT: &str = "kubelet";

/// The next stage of the pod at `key`, if there is one.
///
/// A pod whose manifest has a phase is part of a snapshot: its status is kept until a client deletes the pod or sets
/// one of the annotations that control it.
pub(crate) fn sync(context: Context<'_>, key: &Key, addresses: &mut Addresses) -> SyncResult {
    let mut result = SyncResult::default();
    let Some(pod) = context.store.get::<Pod>(Kind::Pod, &key.namespace, &key.name) else { return result };
    let node = context.store.get::<Node>(Kind::Node, "", &pod.spec.node_name);
    if node.is_some_and(|node| node.machine() != Machine::Up) {
        return result;
    }
    if context.kubelets == Kubelets::External {
        return external(context, key, pod, addresses);
    }
    let boots = node.map_or(0, |node| node.boots());
    let life = PodSync { context, key, pod, boots };
    if pod.is_terminating() {
        life.stop(&mut result);
    } else if !pod.is_terminal()
        && let Some(status) = life.next(addresses, &mut result)
    {
        result.changes.push(Change::Put(Object::Pod(Arc::new(Pod { status, ..(**pod).clone() }))));
    }
    result
}

/// What is left to do for a pod that a kubelet outside of the control plane runs: it gets its addresses, and if it is deleted before
/// that, it goes at once.
fn external(context: Context<'_>, key: &Key, pod: &Arc<Pod>, addresses: &mut Addresses) -> SyncResult {
    let mut result = SyncResult::default();
    if !pod.status.ips.is_empty() || pod.is_terminal() {
        return result;
    }
    if pod.is_terminating() {
        result.changes.push(deletion::stopped((**pod).clone(), context.now));
        return result;
    }
    // Those of a sandbox that its node has lost are not its own any more.
    addresses.release(key);
    let started = start(context, pod, addresses);
    if started.ips.is_empty() {
        result.emit_warning(
            COMPONENT,
            key.clone(),
            "FailedCreatePodSandBox",
            "no address is left in the range of pods",
        );
        return result;
    }
    let (phase, ready, containers_ready) = (Some(PodPhase::Pending), false, false);
    let status = PodStatus { phase, ready, containers_ready, ..started };
    result.put(Object::Pod(Arc::new(Pod { status, ..(**pod).clone() })));
    result
}

/// Whether the pod becomes ready without delay once it has a node.
pub(crate) fn takes_no_time(context: Context<'_>, pod: &Pod) -> bool {
    let delays = context.delays.of(pod);
    let gated = !pod.spec.shared.readiness_gates.is_empty();
    context.kubelets == Kubelets::Simulated
        && delays.start.is_zero()
        && delays.ready.is_zero()
        && held(pod) != Some(false)
        && !gated
}

/// Whether a pod that is about to be created becomes ready without delay.
pub(crate) fn is_ready_at_once(context: Context<'_>, pod: &Pod) -> bool {
    !pod.spec.node_name.is_empty() && takes_no_time(context, pod)
}

/// The status of a pod that was started: running, with its addresses, and ready if that takes no time. It stays pending
/// if no address is left.
pub(crate) fn start(context: Context<'_>, pod: &Pod, addresses: &mut Addresses) -> PodStatus {
    let store = context.store;
    let ips = match pinned(pod) {
        pinned if !pinned.is_empty() => pinned,
        _ if pod.status.ips().next().is_some() && !pod.spec.is_on_host_network() => {
            pod.status.ips().collect()
        }
        _ if pod.spec.is_on_host_network() => node_addresses(store, pod),
        _ => addresses.pod(
            &Key::new(Kind::Pod, pod.metadata.namespace.clone(), pod.metadata.name.clone()),
            set_of(pod),
        ),
    };
    let node = store.get::<Node>(Kind::Node, "", &pod.spec.node_name);
    let status = PodStatus {
        simulated: true,
        since: Some(context.now),
        boot: node.map_or(0, |node| node.boots()),
        restarts: pod.status.restarts,
        details: pod.status.foreign_details(),
        ..PodStatus::default()
    };
    if ips.is_empty() {
        return PodStatus { phase: Some(PodPhase::Pending), ..status };
    }
    let containers_ready = !pod.is_terminating() && takes_no_time_to_be_ready(context, pod);
    let ready = containers_ready && gates_are_open(pod);
    let ready_since = Some(context.now);
    PodStatus { phase: Some(PodPhase::Running), ips, ready, containers_ready, ready_since, ..status }
}

/// Whether all conditions in the pod's readiness gates are true (GeneratePodReadyCondition).
fn gates_are_open(pod: &Pod) -> bool {
    let holds = |gate| pod.status.condition(gate).is_some_and(|condition| condition.status == "True");
    pod.spec.shared.readiness_gates.iter().all(|gate| holds(gate.as_str()))
}

fn takes_no_time_to_be_ready(context: Context<'_>, pod: &Pod) -> bool {
    match held(pod) {
        Some(ready) => ready,
        None => context.delays.of(pod).ready.is_zero(),
    }
}

/// Whether the kubelet, or before it the scheduler, may have work left for a pod.
pub(crate) fn needs_sync(pod: &Pod) -> bool {
    let annotations = &pod.metadata.annotations;
    let driven = !annotations.is_empty()
        && (has_own_annotations(annotations)
            || annotations.iter().any(|(key, _)| key.starts_with(PINNED_IP_PREFIX)));
    let status = &pod.status;
    if pod.is_terminating() || driven || !pod.spec.shared.readiness_gates.is_empty() {
        return true;
    }
    // The addresses of a pod on the host network may change with its node's.
    let settled = status.phase == Some(PodPhase::Running) && status.ready && !pod.spec.is_on_host_network();
    !status.is_recorded() && !pod.is_terminal() && !settled
}

/// A pod at one moment.
struct PodSync<'a> {
    context: Context<'a>,
    key: &'a Key,
    pod: &'a Arc<Pod>,
    /// Number of boots of its node.
    boots: u32,
}

impl PodSync<'_> {
    /// Stops the pod after its grace period: its status becomes terminal, then its object is removed.
    fn stop(&self, result: &mut SyncResult) {
        let (now, pod) = (self.context.now, self.pod);
        if pod.is_terminal() && pod.metadata.is_deleted_but_for_finalizers() {
            return;
        }
        let requested = pod.metadata.deletion_requested().unwrap_or(now);
        if requested == now {
            let name = pod.spec.shared.containers.first().map_or("", |container| container.name.as_str());
            result.emit_event(COMPONENT, self.key.clone(), "Killing", format!("Stopping container {name}"));
        }
        let grace = pod.metadata.deletion_grace_period_seconds;
        let stopped = requested.after(self.context.delays.of(pod).stop).min(requested.after_secs(grace));
        if now < stopped && !pod.is_terminal() {
            return result.requeue_at(stopped);
        }
        let mut ended = pod.clone();
        if !pod.is_terminal() {
            let status = &mut Arc::make_mut(&mut ended).status;
            (status.phase, status.ready, status.containers_ready) = (Some(PodPhase::Succeeded), false, false);
            result.changes.push(Change::Put(Object::Pod(ended.clone())));
        }
        result.changes.push(deletion::stopped(Arc::unwrap_or_clone(ended), now));
    }

    /// The pod's next status, if it changes now.
    fn next(&self, addresses: &mut Addresses, result: &mut SyncResult) -> Option<PodStatus> {
        let (now, status) = (self.context.now, &self.pod.status);
        if status.is_recorded() {
            return self.readiness(result);
        }
        let delays = self.context.delays.of(self.pod);
        // A status that a client wrote to a pod with an address is not overwritten.
        let runs = match status.written() {
            Some(_) => !status.ips.is_empty(),
            None => status.phase == Some(PodPhase::Running),
        };
        if !runs {
            let taken = status.since.unwrap_or(now);
            if now < taken.after(delays.start) {
                result.requeue_at(taken.after(delays.start));
                let pending = PodStatus {
                    phase: Some(PodPhase::Pending),
                    since: Some(taken),
                    simulated: true,
                    ..status.clone()
                };
                return Some(pending).filter(|pending| pending != status);
            }
            let started = start(self.context, self.pod, addresses);
            let stays = started.phase == status.phase;
            if !stays && started.phase == Some(PodPhase::Running) {
                let name =
                    self.pod.spec.shared.containers.first().map_or("", |container| container.name.as_str());
                result.emit_event(
                    COMPONENT,
                    self.key.clone(),
                    "Started",
                    format!("Started container {name}"),
                );
            }
            return Some(started).filter(|_| !stays);
        }
        if status.boot != self.boots {
            return Some(self.after_reboot(addresses));
        }
        if let Some(ended) = self.ended(result) {
            return Some(ended);
        }
        if self.crashes() > status.restarts {
            result.emit_warning(
                COMPONENT,
                self.key.clone(),
                "BackOff",
                "Back-off restarting failed container",
            );
            let restarts = self.crashes();
            return Some(PodStatus {
                restarts,
                ready: false,
                containers_ready: false,
                ready_since: Some(now),
                since: Some(now),
                details: status.foreign_details(),
                ..status.clone()
            });
        }
        let ips = match pinned(self.pod) {
            // An annotation gives the pod's real address, now that it runs.
            pinned if !pinned.is_empty() => pinned,
            _ if self.pod.spec.is_on_host_network() => node_addresses(self.context.store, self.pod),
            _ => IpList::default(),
        };
        if ips != status.ips && !ips.is_empty() {
            return Some(PodStatus { ips, ..status.clone() });
        }
        self.readiness(result)
    }

    /// The status of a pod that has run for the time in its annotation. If its restart policy allows, its containers
    /// are restarted instead.
    fn ended(&self, result: &mut SyncResult) -> Option<PodStatus> {
        let (now, status) = (self.context.now, &self.pod.status);
        let annotations = &self.pod.metadata.annotations;
        let after = |annotation| annotations.get(annotation).and_then(duration);
        let ends = [(COMPLETES_ANNOTATION, PodPhase::Succeeded), (FAILS_ANNOTATION, PodPhase::Failed)];
        let ends = ends.into_iter().filter_map(|(annotation, phase)| Some((after(annotation)?, phase)));
        let (after, phase) = ends.min_by_key(|(after, _)| *after)?;
        let at = status.since.unwrap_or(now).after(after);
        if now < at {
            result.requeue_at(at);
            return None;
        }
        let policy =
            self.pod.spec.shared.template.as_ref().map_or("Always", |template| restart_policy(template));
        let again = policy == "Always" || (policy == "OnFailure" && phase == PodPhase::Failed);
        // A container that ends as it starts is not restarted at the same moment.
        if again && !after.is_zero() {
            let ready = status.ready && self.context.delays.of(self.pod).ready.is_zero();
            let restarts = status.restarts + 1;
            result.requeue_at(now.after(after));
            return Some(PodStatus {
                restarts,
                ready,
                since: Some(now),
                ready_since: Some(now),
                ..status.clone()
            });
        }
        Some(PodStatus { phase: Some(phase), ready: false, ready_since: Some(now), ..status.clone() })
    }

    /// The status after a reboot of the node: the pod is the same, but its sandbox is not: it is not ready, then it has
    /// another address.
    fn after_reboot(&self, addresses: &mut Addresses) -> PodStatus {
        let status = &self.pod.status;
        if status.ready {
            return PodStatus {
                ready: false,
                containers_ready: false,
                ready_since: Some(self.context.now),
                details: status.foreign_details(),
                ..status.clone()
            };
        }
        addresses.release(self.key);
        let mut fresh = (**self.pod).clone();
        fresh.status = PodStatus {
            restarts: status.restarts + 1,
            details: status.foreign_details(),
            ..PodStatus::default()
        };
        start(self.context, &fresh, addresses)
    }

    /// Readiness after its delay, or as an annotation or a client sets it.
    fn readiness(&self, result: &mut SyncResult) -> Option<PodStatus> {
        let (now, status) = (self.context.now, &self.pod.status);
        let gated = !self.pod.spec.shared.readiness_gates.is_empty();
        let (containers_ready, ready) = match (held(self.pod), status.is_written_true("ContainersReady")) {
            (Some(ready), _) => (ready, ready && gates_are_open(self.pod)),
            (None, Some(containers)) if gated => (containers, containers && gates_are_open(self.pod)),
            (None, Some(containers)) => (containers, status.is_written_true("Ready") == Some(true)),
            (None, None) if status.is_recorded() => return None,
            (None, None) => {
                let due = status.since.unwrap_or(now).after(self.context.delays.of(self.pod).ready);
                if now < due {
                    result.requeue_at(due);
                }
                (now >= due, now >= due && gates_are_open(self.pod))
            }
        };
        if (ready, containers_ready) == (status.ready, status.containers_ready) {
            return None;
        }
        if !containers_ready && status.containers_ready {
            result.emit_warning(COMPONENT, self.key.clone(), "Unhealthy", "Readiness probe failed");
        }
        let ready_since = if ready == status.ready { status.ready_since } else { Some(now) };
        Some(PodStatus { ready, containers_ready, ready_since, ..status.clone() })
    }

    fn crashes(&self) -> u32 {
        let text = self.pod.metadata.annotations.get(CRASHES_ANNOTATION);
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

/// The restart policy of a template.
pub(crate) fn restart_policy(template: &PodTemplate) -> &str {
    let written = template.given.as_ref().and_then(|given| given.json().pointer("/spec/restartPolicy"));
    written.and_then(serde_json::Value::as_str).unwrap_or("Always")
}

/// The readiness that an annotation or a client sets.
fn held(pod: &Pod) -> Option<bool> {
    match pod.metadata.annotations.get(READY_ANNOTATION) {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    }
}

/// The addresses that an annotation pins. They were validated when the manifest was read.
pub(crate) fn pinned(pod: &Pod) -> IpList {
    if pod.metadata.annotations.is_empty() {
        return IpList::default();
    }
    let annotation = pinned_ip_annotation(&pod.metadata.name);
    let text = pod.metadata.annotations.get(&annotation).unwrap_or_default();
    text.split(',').filter_map(|ip| parse_ip(ip.trim()).ok()).collect()
}

/// The addresses of its node, for a pod on the host network.
fn node_addresses(store: &Store, pod: &Pod) -> IpList {
    let by_name = store.get::<Node>(Kind::Node, "", &pod.spec.node_name);
    let node = by_name.or_else(|| store.list::<Node>(Kind::Node).next());
    node.map(|node| node.status.addresses.iter().copied().collect()).unwrap_or_default()
}
