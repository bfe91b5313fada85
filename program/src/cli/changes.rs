//! Writes each change of the DNS to the log: names added and removed, and the cause.

use clusterlocal_core::Driver;
use tracing::info;

/// Maximum number of names that are logged for one change; of more, the number is.
const NAMES_LOGGED: usize = 100;

/// Logs every change of the DNS from now on, until the cluster ends.
pub async fn log_changes(driver: Driver) {
    let mut logged = driver.read(|cluster| cluster.trace().next_back().map_or(0, |last| last.number));
    let mut revisions = driver.revisions();
    while revisions.changed().await.is_ok() {
        let new: Vec<_> = driver.read(|cluster| {
            let newer = cluster.trace().rev().take_while(|change| change.number > logged).cloned();
            newer.collect()
        });
        for change in new.into_iter().rev() {
            logged = change.number;
            for name in change.names.iter().take(NAMES_LOGGED) {
                info!("{name}");
            }
            match change.names.len().saturating_sub(NAMES_LOGGED) {
                0 => info!("serial {}: {}", change.serial, change.cause),
                more => info!("and {more} more names; serial {}: {}", change.serial, change.cause),
            }
        }
    }
}
