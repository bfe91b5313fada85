//! Tells in the log which names came and went, and why.

use clusterlocal_core::Driver;
use tracing::info;

/// So many names of one change are told one by one; of more, only the number is.
const NAMES_TOLD: usize = 100;

/// Tells every change of the DNS from now on, for as long as the cluster lives.
pub async fn tell_changes(driver: Driver) {
    let mut told = driver.read(|cluster| cluster.trace().next_back().map_or(0, |last| last.number));
    let mut revisions = driver.revisions();
    while revisions.changed().await.is_ok() {
        let new: Vec<_> = driver.read(|cluster| {
            let newer = cluster.trace().rev().take_while(|change| change.number > told).cloned();
            newer.collect()
        });
        for change in new.into_iter().rev() {
            told = change.number;
            for name in change.names.iter().take(NAMES_TOLD) {
                info!("{name}");
            }
            match change.names.len().saturating_sub(NAMES_TOLD) {
                0 => info!("serial {}: {}", change.serial, change.cause),
                untold => info!("and {untold} names more; serial {}: {}", change.serial, change.cause),
            }
        }
    }
}
