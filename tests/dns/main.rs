//! Answers: to queries of a cluster from manifests, byte by byte where it matters, and the names of the controllers'
//! objects.

mod cluster;
#[path = "../common/mod.rs"]
mod common;
mod contract;
mod golden;
mod manifests;
mod rfc8906;
mod two_ways;
mod wire;
