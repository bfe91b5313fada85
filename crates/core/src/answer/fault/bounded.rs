//! A bounded map that evicts the oldest entry when it is full, so that clients that query new names without end cannot
//! exhaust memory.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// A map with a maximum number of entries and a maximum total weight.
pub(super) struct Bounded<K, V> {
    entries: HashMap<K, (V, usize)>,
    /// The keys in order of insertion.
    arrived: VecDeque<K>,
    weight: usize,
    entries_max: usize,
    weight_max: usize,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    pub(super) fn new(entries_max: usize, weight_max: usize) -> Self {
        Bounded { entries: HashMap::new(), arrived: VecDeque::new(), weight: 0, entries_max, weight_max }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(value, _)| value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(value, _)| value)
    }

    /// Inserts `value` of weight `weight`. A value heavier than the maximum is not stored.
    pub(super) fn insert(&mut self, key: K, value: V, weight: usize) {
        if weight > self.weight_max {
            return;
        }
        self.weight += weight;
        match self.entries.insert(key.clone(), (value, weight)) {
            Some((_, old)) => self.weight -= old,
            None => self.arrived.push_back(key),
        }
        while self.entries.len() > self.entries_max || self.weight > self.weight_max {
            let Some(first) = self.arrived.pop_front() else { return };
            if let Some((_, weight)) = self.entries.remove(&first) {
                self.weight -= weight;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entry_is_evicted() {
        let mut map = Bounded::new(2, 10);
        for (key, weight) in [("a", 1), ("b", 1), ("a", 2), ("c", 1)] {
            map.insert(key, (), weight);
        }
        let there = |map: &Bounded<&str, ()>| ["a", "b", "c", "d"].map(|key| map.get(&key).is_some());
        assert_eq!(there(&map), [false, true, true, false]);
        map.insert("d", (), 10);
        assert_eq!(there(&map), [false, false, false, true]);
        map.insert("a", (), 11);
        assert_eq!(there(&map), [false, false, false, true], "too heavy");
    }
}
