//! What one request allocates before its object is validated (`BeginCreate` and `BeginUpdate` of a registry).

use clusterlocal_core::addresses::Addresses;

use crate::field::Cause;

/// From what is allocated for one request.
#[derive(Clone, Copy, Default)]
pub struct Allocator<'a> {
    /// The addresses and node ports of the cluster; without them no address and port is of another Service, or of a wrong range.
    pub addresses: Option<&'a Addresses>,
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
