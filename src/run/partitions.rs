//! The Partitions of the cluster, for the network: which addresses do not reach each other. Must not depend on how packets are dropped.

use clusterlocal_node::Separations;

use crate::ControlPlane;
use crate::store::{PARTITION, PartitionSpec};

/// The addresses of pods that Partitions separate.
pub(super) fn separations(cluster: &ControlPlane) -> Separations {
    let store = cluster.store();
    let mut separations = Separations::default();
    for spec in store.all_stored(PARTITION, None).filter_map(|stored| PartitionSpec::of(&stored.object)) {
        spec.separated(store, |one, other| separations.separate(one, other));
    }
    separations
}
