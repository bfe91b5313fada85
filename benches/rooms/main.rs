//! `cargo bench --profile dist`: the cost of one step in each room, without sockets and files. `cargo bench --profile dist
//! -- zone` measures one room.
//!
//! Names are queried in turn: a single name would always be in the processor's cache.

mod answer;
#[path = "../common/cluster.rs"]
mod cluster;
mod control_plane;
mod manifest;
#[path = "../common/question.rs"]
mod question;
mod zone;

use cluster::Cluster;
use clusterlocal_core::{ControlPlane, Settings};

/// TYPE A and SRV (RFC 1035, RFC 2782).
const A: u16 = 1;
const SRV: u16 = 33;

/// Number of steps in a sample, for steps shorter than the clock's resolution: every Service once.
const STEPS: u32 = Cluster::USUAL.services as u32;

fn main() {
    divan::main();
}

/// A reconciled cluster of the manifests of `cluster`.
fn living(cluster: Cluster) -> ControlPlane {
    let read = clusterlocal_core::manifest::read_bytes("cluster.yaml", cluster.manifests().into_bytes());
    let loaded = clusterlocal_core::manifest::combine(vec![read]);
    assert!(!loaded.has_errors(), "{:?}", loaded.problems);
    let mut control_plane = ControlPlane::new(Settings::default());
    control_plane.apply(&loaded.objects());
    control_plane
}

/// Returns the elements of a slice in turn, repeatedly.
fn in_turn<'a, T>(of: &'a [T]) -> impl FnMut() -> &'a T {
    let mut all = of.iter().cycle();
    move || all.next().expect("there is something to ask for")
}
