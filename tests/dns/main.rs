//! Answers: of manifests' clusters to each question, byte by byte where it matters, and of the controllers' objects to names.

mod cluster;
#[path = "../common/mod.rs"]
mod common;
mod contract;
mod golden;
mod manifests;
mod rfc8906;
mod two_ways;
mod wire;
