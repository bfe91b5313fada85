//! What a driven cluster shows to the servers of its DNS: what joins `driver` and `serve`, which must not depend on each other.

use crate::Driver;
use crate::serve::View;

/// The zone and the faults of a cluster that is kept in step with its clock.
impl From<&Driver> for View {
    fn from(driver: &Driver) -> Self {
        let (zone, faults) = driver.read(|cluster| (cluster.published(), cluster.faults()));
        View { zone, faults, clock: driver.clock().clone(), queries: None }
    }
}
