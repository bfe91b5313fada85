//! Current and former addresses of pods, to identify clients.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;

use crate::store::{Event, Kind, Object, Pod, Store};

/// Maximum number of released addresses that are remembered.
const RELEASED_MAX: usize = 4096;

/// Released addresses with their pods, the latest last.
#[derive(Default)]
pub(super) struct AddressHistory(VecDeque<(IpAddr, String)>);

impl AddressHistory {
    /// Observes an event, and records released addresses.
    pub(super) fn observe(&mut self, event: &Event) {
        let Some(Object::Pod(then)) = event.then() else { return };
        let now = match event.now() {
            Some(Object::Pod(now)) => Some(now),
            _ => None,
        };
        for ip in then.status.ips() {
            if !now.is_some_and(|now| now.status.ips().any(|still| still == ip)) {
                if self.0.len() == RELEASED_MAX {
                    self.0.pop_front();
                }
                self.0.push_back((ip, named(then)));
            }
        }
    }

    /// The pod of each of `addresses`, or the last one that had it: `NAMESPACE/NAME`.
    pub(super) fn of(&self, store: &Store, addresses: &HashSet<IpAddr>) -> HashMap<IpAddr, String> {
        let had = self.0.iter().filter(|(ip, _)| addresses.contains(ip)).cloned();
        let pods = store.list::<Pod>(Kind::Pod).filter(|pod| !pod.spec.is_on_host_network());
        let has = pods.flat_map(|pod| pod.status.ips().map(move |ip| (ip, pod)));
        had.chain(has.filter(|(ip, _)| addresses.contains(ip)).map(|(ip, pod)| (ip, named(pod)))).collect()
    }
}

fn named(pod: &Pod) -> String {
    format!("{}/{}", pod.metadata.namespace, pod.metadata.name)
}
