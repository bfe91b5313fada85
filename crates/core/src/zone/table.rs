//! A map with cheap clones and small copies on change: readers keep their version while the writer continues.
//!
//! Small hash tables, the shards, are grouped in nodes: a change copies one node and the list of nodes; a bulk load
//! without readers copies nothing.

use std::array;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::FxBuildHasher;

/// Number of nodes. With [`SHARDS`] it keeps shards small with 100,000 entries, while the list of nodes fits into a
/// core's cache.
const NODES: usize = 128;
/// Number of shards of a node. All of them are copied when one changes.
const SHARDS: usize = 8;

type Shard<T> = HashTable<T>;
type Node<T> = Arc<[Shard<T>; SHARDS]>;

/// A value that contains its key.
pub(super) trait Keyed {
    type Key: Hash + Eq + ?Sized;

    fn key(&self) -> &Self::Key;
}

impl<K: Hash + Eq, V> Keyed for (K, V) {
    type Key = K;

    fn key(&self) -> &K {
        &self.0
    }
}

/// The key is the whole label.
impl Keyed for Box<[u8]> {
    type Key = [u8];

    fn key(&self) -> &[u8] {
        self
    }
}

pub(super) struct Table<T> {
    nodes: Arc<[Node<T>; NODES]>,
    len: usize,
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Table { nodes: Arc::clone(&self.nodes), len: self.len }
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        let empty = Arc::new(array::from_fn(|_| Shard::new()));
        Table { nodes: Arc::new(array::from_fn(|_| Arc::clone(&empty))), len: 0 }
    }
}

/// Every bit of the hash depends on every bit of the key: with FxHash alone, addresses of one range have most bits in
/// common.
fn hash<Q: Hash + ?Sized>(key: &Q) -> u64 {
    // The finalizer of MurmurHash3.
    let mut hash = FxBuildHasher.hash_one(key);
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

/// The node, and the shard in it. Uses bits from the middle: hashbrown uses the lowest and the highest.
fn path(hash: u64) -> (usize, usize) {
    let middle = (hash >> 32) as usize;
    (middle / SHARDS % NODES, middle % SHARDS)
}

impl<T: Keyed + Clone> Table<T> {
    /// The entry of `key`.
    pub(super) fn get(&self, key: &T::Key) -> Option<&T> {
        let hash = hash(key);
        let (node, shard) = path(hash);
        self.nodes[node][shard].find(hash, |entry| entry.key() == key)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.nodes.iter().flat_map(|node| node.iter()).flat_map(|shard| shard.iter())
    }

    /// Inserts `entry`, replacing the entry of its key; returns whether there was one.
    pub(super) fn insert(&mut self, entry: T) -> bool {
        let hash_value = hash(entry.key());
        let shard = self.shard(hash_value);
        match shard.entry(hash_value, |other| other.key() == entry.key(), |other| hash(other.key())) {
            Entry::Occupied(mut there) => {
                *there.get_mut() = entry;
                true
            }
            Entry::Vacant(place) => {
                place.insert(entry);
                self.len += 1;
                false
            }
        }
    }

    /// Removes the entry of `key`; returns whether there was one.
    pub(super) fn remove(&mut self, key: &T::Key) -> bool {
        let hash = hash(key);
        let removed = match self.shard(hash).find_entry(hash, |entry| entry.key() == key) {
            Ok(entry) => {
                entry.remove();
                true
            }
            Err(_) => false,
        };
        self.len -= usize::from(removed);
        removed
    }

    /// The shard for `hash`, for modification.
    fn shard(&mut self, hash: u64) -> &mut Shard<T> {
        let (node, shard) = path(hash);
        let node = &mut Arc::make_mut(&mut self.nodes)[node];
        &mut Arc::make_mut(node)[shard]
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::store::Name;

    /// The size of the largest shard with these keys.
    fn largest<K: Hash + Eq + Clone>(keys: impl Iterator<Item = K>) -> usize {
        let mut table = Table::default();
        keys.for_each(|key| _ = table.insert((key, ())));
        table.nodes.iter().flat_map(|node| node.iter()).map(|shard| shard.len()).max().unwrap_or(0)
    }

    #[test]
    fn keys_are_spread_over_the_shards() {
        const COUNT: u32 = 50_000;
        let mean = COUNT as usize / (NODES * SHARDS);
        let v4 = (0..COUNT).map(|n| Ipv4Addr::from(0x7ff4_0000 + n));
        let table = [
            ("addresses of endpoints", largest(v4.clone().map(|ip| ip.to_ipv6_mapped()))),
            ("addresses of Services", largest(v4.clone().map(IpAddr::V4))),
            ("pods", largest(v4.map(|ip| (Name::from("default"), IpAddr::V4(ip))))),
            ("names", largest((0..COUNT).map(|n| format!("store-{n}").into_bytes().into_boxed_slice()))),
        ];
        for (what, largest) in table {
            assert!(largest < 2 * mean, "{what}: {largest} in one shard, {mean} in all");
        }
    }

    #[test]
    fn a_clone_is_not_changed() {
        let mut table = Table::default();
        for n in 0..5000u32 {
            assert!(!table.insert((n, n)));
        }
        let before = table.clone();
        for n in 0..5000u32 {
            assert!(if n % 2 == 0 { table.insert((n, n + 1)) } else { table.remove(&n) });
        }
        assert!(!table.remove(&7));
        assert_eq!((before.len(), table.len()), (5000, 2500));
        assert_eq!((before.get(&7), table.get(&7)), (Some(&(7, 7)), None));
        assert_eq!((before.get(&8), table.get(&8)), (Some(&(8, 8)), Some(&(8, 9))));
        assert_eq!(table.iter().count(), 2500);
    }
}
