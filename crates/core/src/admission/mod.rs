//! Takes the place of the admission plugins that every API server runs: defaults from LimitRanges and classes for new
//! objects, and refusals by LimitRanges, classes and ResourceQuotas, for clients and controllers. Must not depend on
//! requests, controllers or the DNS.

pub mod classes;
pub mod limits;
pub(crate) mod quota;
mod usage;

pub use quota::Charges;
pub(crate) use usage::{Amounts, usage};
