//! A map whose clone costs next to nothing and whose change copies a small part: what readers hold stays as it is
//! while the writer goes on.
//!
//! Two levels suffice, and keep a lookup at two steps: an array of shards, each a small hash table. A change copies
//! the array of pointers and one shard; a bulk load, where nobody reads yet, copies nothing.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::FxBuildHasher;

/// So many that a shard stays small with 100,000 entries, so few that copying the array takes microseconds.
const SHARDS: usize = 1024;

type Shard<K, V> = HashTable<(K, V)>;

pub(super) struct Table<K, V> {
    shards: Arc<[Arc<Shard<K, V>>]>,
    len: usize,
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        Table { shards: Arc::clone(&self.shards), len: self.len }
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        let empty = Arc::new(Shard::new());
        Table { shards: std::iter::repeat_n(empty, SHARDS).collect(), len: 0 }
    }
}

fn hash<Q: Hash + ?Sized>(key: &Q) -> u64 {
    FxBuildHasher.hash_one(key)
}

/// Bits from the middle: hashbrown takes the lowest and the highest for itself.
fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

impl<K: Hash + Eq + Clone, V: Clone> Table<K, V> {
    pub(super) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let hash = hash(key);
        self.shards[shard_of(hash)].find(hash, |(k, _)| k.borrow() == key).map(|(_, v)| v)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shards.iter().flat_map(|shard| shard.iter().map(|(k, v)| (k, v)))
    }

    /// Sets or removes; returns what was there.
    pub(super) fn set(&mut self, key: K, value: Option<V>) -> Option<V> {
        self.update(key, |slot| std::mem::replace(slot, value))
    }

    /// Lets `change` have its way with the value at `key`, absent or not.
    pub(super) fn update<R>(&mut self, key: K, change: impl FnOnce(&mut Option<V>) -> R) -> R {
        let hash_value = hash(&key);
        let shard = Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[shard_of(hash_value)]);
        match shard.entry(hash_value, |(k, _)| *k == key, |(k, _)| hash(k)) {
            Entry::Occupied(entry) => {
                let ((key, value), vacant) = entry.remove();
                let mut slot = Some(value);
                let result = change(&mut slot);
                match slot {
                    Some(value) => _ = vacant.insert((key, value)),
                    None => self.len -= 1,
                }
                result
            }
            Entry::Vacant(entry) => {
                let mut slot = None;
                let result = change(&mut slot);
                if let Some(value) = slot {
                    entry.insert((key, value));
                    self.len += 1;
                }
                result
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_keeps_what_it_had() {
        let mut table = Table::default();
        for n in 0..5000u32 {
            table.set(n, Some(n));
        }
        let before = table.clone();
        for n in 0..5000u32 {
            table.set(n, (n % 2 == 0).then_some(n + 1));
        }
        assert_eq!((before.len(), table.len()), (5000, 2500));
        assert_eq!((before.get(&7), table.get(&7)), (Some(&7), None));
        assert_eq!((before.get(&8), table.get(&8)), (Some(&8), Some(&9)));
        assert_eq!(table.iter().count(), 2500);
    }
}
