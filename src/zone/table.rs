//! A map whose clone costs next to nothing and whose change copies a small part: what readers hold stays as it is
//! while the writer goes on.
//!
//! Small hash tables, the shards, hang in a tree of two levels that is the same for every size: a change copies one shard
//! and the two nodes above it; a bulk load, where nobody reads yet, copies nothing.

use std::array;
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::FxBuildHasher;

/// The number of children of a node. Its square is the number of shards: a shard stays small with 100,000 entries, and
/// the nodes above all of them fit into a core's cache.
const CHILDREN: usize = 32;

type Shard<K, V> = HashTable<(K, V)>;
type Node<T> = Arc<[Arc<T>; CHILDREN]>;

pub(super) struct Table<K, V> {
    root: Node<[Arc<Shard<K, V>>; CHILDREN]>,
    len: usize,
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        Table { root: Arc::clone(&self.root), len: self.len }
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        let empty = Arc::new(Shard::new());
        let node = Arc::new(array::from_fn(|_| Arc::clone(&empty)));
        Table { root: Arc::new(array::from_fn(|_| Arc::clone(&node))), len: 0 }
    }
}

fn hash<Q: Hash + ?Sized>(key: &Q) -> u64 {
    FxBuildHasher.hash_one(key)
}

/// The child of the root, and the child of that. Bits from the middle: hashbrown takes the lowest and the highest for
/// itself.
fn path(hash: u64) -> (usize, usize) {
    let middle = (hash >> 32) as usize;
    (middle / CHILDREN % CHILDREN, middle % CHILDREN)
}

impl<K: Hash + Eq + Clone, V: Clone> Table<K, V> {
    pub(super) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let hash = hash(key);
        let (node, shard) = path(hash);
        self.root[node][shard].find(hash, |(k, _)| k.borrow() == key).map(|(_, v)| v)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let shards = self.root.iter().flat_map(|node| node.iter());
        shards.flat_map(|shard| shard.iter().map(|(k, v)| (k, v)))
    }

    /// Sets or removes; returns what was there.
    pub(super) fn set(&mut self, key: K, value: Option<V>) -> Option<V> {
        self.update(key, |slot| std::mem::replace(slot, value))
    }

    /// Lets `change` have its way with the value at `key`, absent or not.
    pub(super) fn update<R>(&mut self, key: K, change: impl FnOnce(&mut Option<V>) -> R) -> R {
        let hash_value = hash(&key);
        let (node, shard) = path(hash_value);
        let node = Arc::make_mut(&mut Arc::make_mut(&mut self.root)[node]);
        let shard = Arc::make_mut(&mut node[shard]);
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
