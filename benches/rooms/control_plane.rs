//! From the change of one pod to the published zone, in clusters of several sizes.

use clusterlocal_core::store::{Key, Kind, READY_ANNOTATION};
use divan::Bencher;

use crate::cluster::{Cluster, namespace};
use crate::living;

/// A pod becomes ready, or not ready.
#[divan::bench(args = [100, 1_000, 10_000, 100_000], sample_count = 300)]
fn one_pod_among(bencher: Bencher<'_, '_>, pods: usize) {
    let cluster = Cluster { services: pods / 10, pods: 10 };
    let mut control_plane = living(cluster);
    let keys: Vec<_> = (0..cluster.services)
        .map(|service| {
            let pod = format!("store-{service}-{}", service % cluster.pods);
            Key::new(Kind::Pod, namespace(service), pod)
        })
        .collect();
    let mut turn = 0;
    bencher.bench_local(|| {
        let key = &keys[turn % keys.len()];
        let ready = if turn / keys.len() % 2 == 0 { "false" } else { "true" };
        turn += 1;
        let before = control_plane.serial();
        control_plane.annotate(key, &[(READY_ANNOTATION, Some(ready))]);
        assert_ne!(control_plane.serial(), before, "the zone shows it");
    });
}
