//! The view of a cluster for its DNS servers. It joins `driver` and `serve`, which must not depend on each other.

use super::Cluster;
use crate::Driver;
use crate::serve::View;

/// The zone and the faults of a cluster whose driver follows its clock.
impl From<&Driver> for View {
    fn from(driver: &Driver) -> Self {
        let (zone, faults) = driver.read(|cluster| (cluster.published(), cluster.faults()));
        View { zone, faults, clock: driver.clock().clone(), queries: None }
    }
}

/// The cluster of a test: queries of this view are also in [`Cluster::queries`].
impl From<&Cluster> for View {
    fn from(cluster: &Cluster) -> Self {
        View::from(&cluster.driver).with_queries(cluster.queries.clone())
    }
}
