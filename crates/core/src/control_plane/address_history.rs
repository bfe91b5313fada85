//! Which pod has, or had, an address: who it was that asked.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;

use crate::store::{Event, Kind, Object, Pod, Store};

/// So many addresses are remembered that pods have given back.
const KEPT: usize = 4096;

/// The addresses that pods had, the latest last.
#[derive(Default)]
pub(super) struct Tenants(VecDeque<(IpAddr, String)>);

impl Tenants {
    /// Takes notice of addresses that were given back.
    pub(super) fn note(&mut self, event: &Event) {
        let Some(Object::Pod(then)) = event.then() else { return };
        let now = match event.now() {
            Some(Object::Pod(now)) => Some(now),
            _ => None,
        };
        for ip in then.status.ips() {
            if !now.is_some_and(|now| now.status.ips().any(|still| still == ip)) {
                if self.0.len() == KEPT {
                    self.0.pop_front();
                }
                self.0.push_back((ip, named(then)));
            }
        }
    }

    /// Of `addresses`, those that a pod has or had, with the last one that did: `NAMESPACE/NAME`.
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
