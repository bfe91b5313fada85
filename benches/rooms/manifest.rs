//! From text to objects.

use clusterlocal_core::manifest::{self, Manifest};
use divan::Bencher;
use divan::counter::BytesCount;

use crate::cluster::Cluster;

/// 1,000 Services and their StatefulSets in one file.
#[divan::bench(sample_count = 30)]
fn a_thousand_in_one_file(bencher: Bencher<'_, '_>) {
    read(bencher, Cluster::USUAL.manifests());
}

/// One of them: what a save costs when each has its own file.
#[divan::bench]
fn one_in_its_own_file(bencher: Bencher<'_, '_>) {
    read(bencher, Cluster::USUAL.manifest(0));
}

fn read(bencher: Bencher<'_, '_>, text: String) {
    let bytes = text.into_bytes();
    let documents = bytes.windows(4).filter(|window| window == b"\n---").count();
    bencher.counter(BytesCount::new(bytes.len())).with_inputs(|| bytes.clone()).bench_values(|bytes| {
        let read: Manifest = manifest::read_bytes("cluster.yaml", bytes);
        assert_eq!(read.objects.len(), documents);
        read
    });
}
