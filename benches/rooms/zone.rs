//! The tree of names: from a name to its records.

use clusterlocal_core::zone::Found;
use divan::{Bencher, black_box};

use crate::cluster::{Cluster, namespace};
use crate::{STEPS, in_turn, living, question};

#[derive(Clone, Copy, Debug)]
enum Name {
    Pod,
    Service,
    Missing,
}

/// `Zone::find` among 1,000 Services of 10 pods.
#[divan::bench(args = [Name::Pod, Name::Service, Name::Missing], sample_size = STEPS)]
fn find(bencher: Bencher<'_, '_>, name: Name) {
    let zone = living(Cluster::USUAL).published();
    let zone = zone.load();
    let names: Vec<_> = (0..Cluster::USUAL.services)
        .map(|service| {
            let within = format!("store-{service}.{}.svc", namespace(service));
            question::wire(&match name {
                Name::Pod => format!("store-{service}-{}.{within}", service % Cluster::USUAL.pods),
                Name::Service => within,
                Name::Missing => format!("store-{service}-{}.{within}", Cluster::USUAL.pods),
            })
        })
        .collect();
    let is_missing = |found: Found<'_>| matches!(found, Found::Missing);
    assert_eq!(is_missing(zone.find(&names[0], false)), matches!(name, Name::Missing));
    let mut next = in_turn(&names);
    bencher.bench_local(|| is_missing(zone.find(black_box(next()), false)));
}
