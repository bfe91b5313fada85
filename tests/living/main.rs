//! A cluster over time: pods, nodes and workloads on a manual clock, files together with requests, and the way back to
//! files.

#[path = "../common/mod.rs"]
mod common;
mod nodes;
#[cfg(feature = "api")]
mod round_trip;
mod scenarios;
mod together;
mod workloads;
