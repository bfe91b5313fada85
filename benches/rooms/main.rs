//! `cargo bench --profile dist`: what one step costs in each room, without sockets and files. `cargo bench --profile dist -- zone` is one room's alone.
//!
//! Names are asked for in turn: the same one over and over would be found in the processor's cache.

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

/// So many steps make a sample of what takes less than a clock can tell: every Service once.
const STEPS: u32 = Cluster::USUAL.services as u32;

fn main() {
    divan::main();
}

/// `cluster`, read and alive.
fn living(cluster: Cluster) -> ControlPlane {
    let read = clusterlocal_core::manifest::read_bytes("cluster.yaml", cluster.manifests().into_bytes());
    let loaded = clusterlocal_core::manifest::combine(vec![read]);
    assert!(!loaded.has_errors(), "{:?}", loaded.problems);
    let mut control_plane = ControlPlane::new(Settings::default());
    control_plane.apply(&loaded.objects());
    control_plane
}

/// Whatever is asked for next, of so many, over and over.
fn in_turn<'a, T>(of: &'a [T]) -> impl FnMut() -> &'a T {
    let mut all = of.iter().cycle();
    move || all.next().expect("there is something to ask for")
}
