//! A cluster in time: pods, nodes and workloads on a clock that is moved by hand, files beside requests, and back to files.

#[path = "../common/mod.rs"]
mod common;
mod nodes;
#[cfg(feature = "api")]
mod round_trip;
mod scenarios;
mod together;
mod workloads;
