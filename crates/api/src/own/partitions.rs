//! Warnings for a client that writes a Partition: why it may separate nothing. Must not depend on how packets are dropped.

use clusterlocal_core::reconcile::Kubelets;
use clusterlocal_core::store::{PARTITION, PartitionSpec};

use crate::verbs::call::Api;

/// Returns the reasons why the Partition that was written last may separate nothing.
pub(crate) fn doubts(api: &Api) -> Vec<String> {
    api.driver.read(|cluster| {
        let latest = cluster.store().all_stored(PARTITION, None).max_by_key(|stored| stored.revision);
        let Some(spec) = latest.and_then(|stored| PartitionSpec::of(&stored.object)) else {
            return Vec::new();
        };
        let without = spec.without_match(cluster.store());
        let mut doubts: Vec<String> = without.iter().map(|member| format!("there is no {member}")).collect();
        if cluster.kubelets() == Kubelets::Simulated {
            doubts.push(
                "pods are simulated and send nothing: a Partition separates the pods of clusterlocal run"
                    .into(),
            );
        }
        doubts
    })
}
