//! Rolling update of a DaemonSet (update.go, rollingUpdate): deletes old pods first, or with surge creates new ones
//! first.

use std::sync::Arc;

use super::{Daemons, Fit};
use crate::store::{Name, Pod, UpdateStrategyType};

/// The pods of a node that are not being deleted: at most one of the current template and one of another.
struct Pair<'a> {
    new: Option<&'a Arc<Pod>>,
    old: Option<&'a Arc<Pod>>,
}

impl<'a> Daemons<'a> {
    fn desired(&self) -> u32 {
        self.nodes.values().filter(|fit| **fit == Fit::Run).count() as u32
    }

    /// Maximum number of nodes with two pods during an update.
    pub(super) fn surge(&self) -> u32 {
        self.set
            .spec
            .update_strategy
            .rolling_update
            .max_surge
            .map_or(0, |number| number.of_up(self.desired()))
    }

    /// Maximum number of nodes without an available pod during an update.
    fn unavailable(&self) -> u32 {
        let number = self.set.spec.update_strategy.rolling_update.max_unavailable;
        let number = number.map_or(1, |number| number.of_up(self.desired()));
        // At least one, or the update could not progress.
        if number == 0 && self.surge() == 0 { 1 } else { number }
    }

    /// Takes the next step of the update.
    pub(super) fn roll(&mut self) {
        if self.set.spec.update_strategy.strategy == Some(UpdateStrategyType::OnDelete) {
            return;
        }
        match self.surge() {
            0 => self.replace(),
            surge => self.replace_with_surge(surge),
        }
    }

    /// `None` if there are more than two (findUpdatedPodsOnNode).
    fn pair(&self, node: &Name) -> Option<Pair<'a>> {
        let mut pair = Pair { new: None, old: None };
        for pod in self.live_on(node) {
            let place = if self.is_updated(pod) { &mut pair.new } else { &mut pair.old };
            if place.replace(pod).is_some() {
                return None;
            }
        }
        Some(pair)
    }

    fn replace(&mut self) {
        let most = self.unavailable() as usize;
        let nodes: Vec<Name> = self.by_node.keys().cloned().collect();
        let (mut unavailable, mut allowed, mut candidates) = (0, Vec::new(), Vec::new());
        for node in &nodes {
            match self.pair(node) {
                Some(Pair { new: Some(new), old: None }) => {
                    unavailable += usize::from(!self.is_available(new))
                }
                Some(Pair { new: None, old: Some(old) }) if !self.is_available(old) => {
                    allowed.push(old);
                    unavailable += 1;
                }
                Some(Pair { new: None, old: Some(old) }) => candidates.push(old),
                // These are handled by the next sync.
                _ => unavailable += 1,
            }
        }
        let free = most.saturating_sub(unavailable);
        allowed.into_iter().chain(candidates.into_iter().take(free)).for_each(|pod| self.delete(pod));
    }

    fn replace_with_surge(&mut self, most: u32) {
        let nodes: Vec<Name> = self.by_node.keys().cloned().collect();
        let (mut surge, mut available) = (0, 0);
        let (mut doomed, mut misplaced) = (Vec::new(), Vec::new());
        let (mut allowed, mut candidates) = (Vec::new(), Vec::new());
        for node in &nodes {
            let Some(pair) = self.pair(node) else {
                surge += 1;
                continue;
            };
            available += u32::from(pair.old.or(pair.new).is_some_and(|pod| self.is_available(pod)));
            let Some(old) = pair.old else { continue };
            let fits = self.nodes.get(node) == Some(&Fit::Run);
            match pair.new {
                Some(new) if self.is_available(new) => doomed.push(old),
                Some(_) => surge += 1,
                None if self.is_available(old) && fits => candidates.push(node),
                None if self.is_available(old) => misplaced.push(old),
                None if fits => allowed.push(node),
                None => doomed.push(old),
            }
        }
        let to_spare = available.saturating_sub(self.desired()) as usize;
        doomed.extend(misplaced.into_iter().take(to_spare));
        let free = most.saturating_sub(surge) as usize;
        allowed.into_iter().chain(candidates.into_iter().take(free)).for_each(|node| self.make(node));
        doomed.into_iter().for_each(|pod| self.delete(pod));
    }
}
