//! Determines which faults are in force: their windows in the cluster's time, the addresses of the pods they apply to,
//! and the past zones that they need. Must not depend on their effect on an answer.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::answer::Faults;
use crate::answer::fault::{Rule, ZoneHistory};
use crate::fault::{Action, Client, FaultSpec};
use crate::store::{Fault, Kind, Name, Pod, Resource, Store, Stored, Time};
use crate::zone::Published;

/// The faults as last published.
#[derive(Default)]
pub(super) struct FaultsInForce {
    published: Faults,
    known: BTreeMap<Name, PublishedFault>,
    due: Option<Time>,
}

/// A fault and its published rule.
struct PublishedFault {
    stored: Stored,
    rule: Arc<Rule>,
}

impl FaultsInForce {
    /// A handle to the published faults.
    pub(super) fn published(&self) -> Faults {
        self.published.clone()
    }

    /// Removes all faults, also for holders of [`Self::published`].
    pub(super) fn cleared(&self) -> Self {
        self.published.publish(Vec::new());
        FaultsInForce { published: self.published.clone(), ..FaultsInForce::default() }
    }

    /// When the next fault starts or ends.
    pub(super) fn due(&self) -> Option<Time> {
        self.due
    }

    /// Publishes the faults of `store` at `now`, if they have changed.
    pub(super) fn update(&mut self, store: &Store, now: Time, zone: &Published) {
        let mut all = store.all_stored(Kind::Fault, None).peekable();
        if all.peek().is_none() && self.known.is_empty() {
            return;
        }
        let mut due: Option<Time> = None;
        let mut known = BTreeMap::new();
        for stored in all {
            let Some(fault) = Fault::of(&stored.object) else { continue };
            let window = Window::of(&fault.spec.expanded(), stored.created);
            due = window.edges().filter(|edge| *edge > now).chain(due).min();
            let before = self.known.get(&fault.metadata.name).filter(|known| known.is_of(stored, fault));
            let rule = rule(fault, window.contains(now), before.map(|known| &known.rule), store, now, zone);
            known.insert(fault.metadata.name.clone(), PublishedFault { stored: stored.clone(), rule });
        }
        self.due = due;
        let same = known.len() == self.known.len()
            && known.values().zip(self.known.values()).all(|(new, old)| Arc::ptr_eq(&new.rule, &old.rule));
        self.known = known;
        if !same {
            let mut known: Vec<&PublishedFault> = self.known.values().collect();
            known.sort_by_key(|known| (Reverse(known.rule.spec.priority), known.stored.born()));
            self.published.publish(known.into_iter().map(|known| known.rule.clone()).collect());
        }
    }

    /// Records a new zone, for faults that answer from past ones.
    pub(super) fn record_zone(&mut self, now: Time, zone: &Published) {
        for PublishedFault { rule, .. } in self.known.values().filter(|known| known.rule.in_force) {
            if let Some(lag) = lag(&rule.spec) {
                rule.past.push(now, Arc::clone(&zone.load()), lag);
            }
        }
    }
}

impl PublishedFault {
    /// Whether this is the fault of `stored`, with an unchanged spec.
    fn is_of(&self, stored: &Stored, fault: &Fault) -> bool {
        self.stored.is_same_object(stored)
            && Fault::of(&self.stored.object).is_some_and(|before| before.spec == fault.spec)
    }
}

/// The time in which a fault is in force.
struct Window {
    begin: Time,
    /// The end; absent for an unlimited fault.
    end: Option<Time>,
}

impl Window {
    fn of(spec: &FaultSpec, created: Time) -> Self {
        let begin = created.after(spec.after);
        Window { begin, end: spec.lasting.map(|lasting| begin.after(lasting)) }
    }

    fn contains(&self, now: Time) -> bool {
        self.begin <= now && self.end.is_none_or(|end| now < end)
    }

    fn edges(&self) -> impl Iterator<Item = Time> {
        [self.begin].into_iter().chain(self.end)
    }
}

/// The rule of `fault` to publish: `before` itself if nothing has changed.
fn rule(
    fault: &Fault,
    in_force: bool,
    before: Option<&Arc<Rule>>,
    store: &Store,
    now: Time,
    zone: &Published,
) -> Arc<Rule> {
    let spec = fault.spec.expanded();
    let clients = networks(store, &spec.matching.clients);
    if let Some(before) = before.filter(|rule| rule.in_force == in_force && rule.clients == clients) {
        return before.clone();
    }
    let past = match before {
        Some(before) if before.in_force == in_force => before.past.clone(),
        _ if in_force && keeps_zone(&spec) => Arc::new(ZoneHistory::from(now, Arc::clone(&zone.load()))),
        _ => Arc::default(),
    };
    let state = before.map(|before| before.state.clone()).unwrap_or_default();
    Arc::new(Rule { name: fault.metadata.name.clone(), spec, clients, in_force, past, state })
}

fn keeps_zone(spec: &FaultSpec) -> bool {
    spec.all_actions().any(|action| matches!(action, Action::Stale | Action::Flap | Action::Lag(_)))
}

/// Maximum delay with which changes become visible, if a fault delays them.
fn lag(spec: &FaultSpec) -> Option<Duration> {
    let lags = spec.all_actions().filter_map(|action| match action {
        Action::Lag(by) => Some(*by),
        _ => None,
    });
    lags.max()
}

/// The addresses of `clients`, for pods the current ones.
fn networks(store: &Store, clients: &[Client]) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for client in clients {
        match client {
            Client::Network(network) => networks.push(*network),
            Client::Pod { namespace, name } => {
                if let Some(pod) = store.get::<Pod>(Kind::Pod, namespace, name) {
                    networks.extend(pod.status.ips().map(IpNet::from));
                }
            }
        }
    }
    networks
}
