//! The rooms of clusterlocal that need no sockets: what a Kubernetes cluster makes of its objects, and what its DNS answers, as
//! plain functions over plain data. It is internal: the program and the packages of clusterlocal share it, its API may change
//! with any release, and a test uses the package `clusterlocal` instead.
//!
//! Every room takes the place of one part of Kubernetes and is named after what that part does; `docs/architecture.md` has the
//! picture. Arrows between the rooms run one way; a test of the package `clusterlocal` holds them. [`wire`] is the DNS wire format and depends on no other
//! room; [`types`] are those of the Kubernetes API;
//! [`zone`], [`answer`], [`controller`] and [`merge`] are plain functions over plain data; YAML appears in [`manifest`]
//! only. [`ControlPlane`] is all of it up to the zone and gets the time from its caller; a [`Driver`] keeps it in step with a
//! [`Clock`]. [`explain`] inspects it.
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
pub use control_plane::{ControlPlane, MAX_STORE_BYTES, Replaced, Settings, SettingsError, Traced};
pub use driver::Driver;
pub use fault::Transport;
pub use wire::{RecordType, ResponseCode};
