//! The rooms of clusterlocal that need no sockets: from the objects of a Kubernetes cluster to the answers of its DNS,
//! as pure functions. It is internal: the program and the packages of clusterlocal share it, its API may change with
//! any release, and tests use the package `clusterlocal` instead.
//!
//! Most rooms take the place of one part of Kubernetes and are named after it; see `docs/architecture.md`. Dependencies
//! between the rooms are acyclic, which a test of the package `clusterlocal` checks. [`wire`] is the DNS wire format
//! and depends on no other room; [`types`] are those of the Kubernetes API; [`zone`], [`answer`], [`controller`] and
//! [`merge`] are pure functions; YAML is parsed in [`manifest`] only. [`ControlPlane`] is all of it up to the zone and
//! gets the time from its caller; a [`Driver`] keeps it in step with a [`Clock`]. [`explain`] inspects it.
//!
//! No room uses sockets, HTTP or the crates of hickory.

pub mod addresses;
pub mod admission;
pub mod answer;
mod bind_error;
mod clock;
mod control_plane;
pub mod controller;
pub mod descriptors;
mod driver;
pub mod explain;
pub mod fault;
pub mod kubelet;
pub mod manifest;
pub mod merge;
pub mod output_file;
pub mod parallel;
pub mod queries;
pub mod reconcile;
pub mod store;
pub mod text;
pub mod types;
pub mod wire;
pub mod zone;

pub use bind_error::BindError;
pub use clock::{Clock, MANUAL_START, SharedClock};
pub use control_plane::{ControlPlane, DnsChange, MAX_STORE_BYTES, Replaced, Settings, SettingsError};
pub use driver::Driver;
pub use fault::Transport;
pub use wire::{RecordType, ResponseCode};
