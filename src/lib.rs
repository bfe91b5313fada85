//! `cluster.local`, without the cluster: what a Kubernetes cluster's DNS answers, worked out from manifests alone.
//!
//! Every room takes the place of one part of Kubernetes and is named after what that part does:
//!
//! ```text
//!   zones/*.yaml ─▶ manifest ─▶ store ◀─▶ controller      statefulset, endpointslice, workloads, node, scheduler
//!                       watch ───┤ │  ◀─▶ kubelet         what a pod does with time
//!       kubectl ─▶ api, merge ───┘ ▼
//!                                zone ─▶ answer ─▶ serve ─▶ dig, your store, your test
//! ```
//!
//! Arrows run one way. [`zone`], [`answer`], [`controller`] and `merge` are plain functions over plain data; tokio appears in
//! [`serve`], `api`, `watch` and the [`Driver`] only, YAML in [`manifest`] only. [`ControlPlane`] is all of it up to the zone
//! and is told what time it is; a [`Driver`] keeps it in time with a [`Clock`], for all who look and change. [`lint`] and
//! [`explain`] look at it from outside, for people who wonder.

pub mod answer;
#[cfg(feature = "api")]
pub mod api;
mod clock;
mod cluster;
mod control_plane;
pub mod controller;
mod driver;
pub mod explain;
pub mod kubelet;
pub mod lint;
pub mod manifest;
#[cfg(feature = "api")]
pub mod merge;
mod parallel;
pub mod play;
pub mod queries;
pub mod record_type;
pub mod serve;
pub mod store;
#[cfg(feature = "watch")]
pub mod watch;
pub mod zone;

pub use answer::ResponseCode;
pub use clock::{Clock, SharedClock};
pub use cluster::{
    Builder, Change, Cluster, Error, Fault, FaultGuard, NodeHandle, Operation, PodHandle, Queries, Unseen,
};
pub use control_plane::{ControlPlane, Settings, SettingsError, Traced};
pub use driver::Driver;
pub use record_type::RecordType;
pub use store::fault::Transport;

/// The README's Rust code compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
