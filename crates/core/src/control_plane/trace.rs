//! Log of visible DNS changes, with their time and cause.

use std::collections::VecDeque;

use crate::store::{Event, Object, Pod, PodPhase, Time};
use crate::zone::NameChange;

/// Maximum number of changes in the log; the oldest are dropped.
const CHANGES_MAX: usize = 4096;

/// Maximum number of names of one change.
const NAMES_MAX: usize = 1024;

/// A change of the DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsChange {
    /// Number of the change, starting at 1.
    pub number: u64,
    /// The time, in the cluster's time.
    pub at: Time,
    /// The serial of the SOA after the change.
    pub serial: u32,
    /// The names that were added and removed; at most 1,024.
    pub names: Vec<NameChange>,
    /// The cause: `Pod default/db-1 became ready`.
    pub cause: String,
}

/// The latest changes.
#[derive(Default)]
pub(super) struct Trace {
    kept: VecDeque<DnsChange>,
    count: u64,
}

impl Trace {
    pub(super) fn push(&mut self, at: Time, serial: u32, mut names: Vec<NameChange>, cause: String) {
        self.count += 1;
        names.truncate(NAMES_MAX);
        if self.kept.len() == CHANGES_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(DnsChange { number: self.count, at, serial, names, cause });
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &DnsChange> {
        self.kept.iter()
    }
}

/// The event among `events` to report as the cause of the change of `names`: the last one about a pod with one of them,
/// or else about any pod, or else about any object.
pub(super) fn cause<'e>(
    events: impl DoubleEndedIterator<Item = &'e Event>,
    names: &[NameChange],
) -> Option<String> {
    let (mut of_a_pod, mut other) = (None, None);
    for event in events.rev() {
        let Some(happened) = happened(event) else { continue };
        let text = || format!("{} {happened}", event.object().key());
        match event.object() {
            Object::Pod(pod) if has_one_of(pod, names) => return Some(text()),
            Object::Pod(_) if of_a_pod.is_none() => of_a_pod = Some(text()),
            Object::Pod(_) => {}
            _ if other.is_none() => other = Some(text()),
            _ => {}
        }
    }
    of_a_pod.or(other)
}

/// Whether one of `names` has an address of `pod`. Only the first of very many are compared.
fn has_one_of(pod: &Pod, names: &[NameChange]) -> bool {
    let mut addresses = pod.status.ips().map(|ip| ip.to_string());
    addresses.any(|ip| names.iter().take(16).any(|name| name.target == ip))
}

fn happened(event: &Event) -> Option<String> {
    let text = match (event.then(), event.now()) {
        // Derived from other objects, and never a cause itself.
        (_, Some(Object::EndpointSlice(slice))) | (Some(Object::EndpointSlice(slice)), None)
            if slice.metadata.synthesized =>
        {
            return None;
        }
        (_, Some(Object::Event(_))) | (Some(Object::Event(_)), None) => return None,
        (Some(Object::Pod(then)), Some(Object::Pod(now))) => pod(then, now)?,
        (None, Some(Object::Pod(pod))) if pod.is_running_and_ready() => "was created and is ready".into(),
        (None, Some(_)) => "was created".into(),
        (Some(_), None) => "was deleted".into(),
        (Some(_), Some(_)) => "changed".into(),
        (None, None) => return None,
    };
    Some(text)
}

fn pod(then: &Pod, now: &Pod) -> Option<String> {
    let ended = |phase| matches!(phase, Some(PodPhase::Failed | PodPhase::Succeeded));
    if !then.is_terminating() && now.is_terminating() {
        return Some("began to terminate".into());
    }
    if !ended(then.status.phase) && ended(now.status.phase) {
        return Some("ended".into());
    }
    let address = |pod: &Pod| pod.status.ips().next();
    match (address(then), address(now)) {
        (None, Some(_)) if now.status.ready => return Some("runs and is ready".into()),
        (None, Some(ip)) => return Some(format!("got the address {ip}")),
        (Some(old), Some(ip)) if old != ip => return Some(format!("got another address, {ip}")),
        _ => {}
    }
    if then.status.restarts < now.status.restarts {
        return Some("crashed".into());
    }
    match (then.status.ready, now.status.ready) {
        (false, true) => return Some("became ready".into()),
        (true, false) => return Some("is not ready any more".into()),
        _ => {}
    }
    (then.metadata.labels != now.metadata.labels).then(|| "has other labels".into())
}
