//! What one request allocates before its object is validated (`BeginCreate` and `BeginUpdate` of a registry).

use clusterlocal_core::addresses::Range;

use crate::field::Cause;

/// From what is allocated for one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allocator<'a> {
    /// The range of cluster IPs; without one all addresses are taken.
    pub service_range: Option<&'a Range>,
    /// Whether nothing is stored (`dryRun=All`).
    pub dry_run: bool,
}

/// Why an object is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Code 422: what is wrong with the object, at least one cause.
    Invalid(Vec<Cause>),
    /// Code 500 without a reason: a plain error.
    Failed(String),
    /// Code 500, `InternalError`.
    Internal(String),
}
