//! Takes the place of kube-apiserver's registry: what it makes of an object that a client sends, field by field, and why it
//! refuses one, in its words. Plain functions over JSON: [`default`], [`begin`], then [`before_create`] or [`before_update`], then
//! [`warnings`], as the API server calls them.
//!
//! A folder for each group of `pkg/apis`: its `mod.rs` lists the `Strategy` of each kind, `defaults` is
//! `pkg/apis/GROUP/VERSION/defaults.go`, `validation` is `pkg/apis/GROUP/validation`, so that a function is found under the
//! name that it has there. All of them read an object as the API server would write it: what is absent is the zero value.
//!
//! It must not know requests, the store, or what a cluster makes of objects.

mod admissionregistration;
mod allocation;
mod apiregistration;
mod apps;
mod autoscaling;
mod batch;
mod certificates;
mod coordination;
mod core;
mod discovery;
mod field;
mod flowcontrol;
mod networking;
mod node;
mod policy;
mod primitives;
mod rbac;
mod registry;
mod resource;
mod scheduling;
mod schema;
mod storage;
mod strategy;

/// The release of Kubernetes whose API server this is.
pub const KUBERNETES_VERSION: &str = "1.36.3";

pub use allocation::{Allocator, Refusal};
pub use autoscaling::{autoscaler_to_v1, autoscaler_to_v2};
pub use certificates::administrator;
pub use core::plugins::admit_pod;
pub use field::Cause;
pub use primitives::names::{Faults, name_faults};
pub use registry::{
    GroupKind, before_create, before_status_update, before_update, begin, default, is_namespaced,
    is_unconditional, is_validated, warnings,
};
pub use schema::{Decoded, Problem, decode, problems};
