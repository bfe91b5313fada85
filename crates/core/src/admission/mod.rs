//! Takes the place of the admission plugins that every API server runs: what the LimitRanges of a namespace and the classes of the
//! cluster give a new object, and what they and ResourceQuotas refuse, be it a client's or a controller's. It must not know requests, controllers or
//! the DNS.

pub mod classes;
pub mod limits;
pub(crate) mod quota;
mod usage;

pub use quota::Charges;
pub(crate) use usage::{Amounts, usage};
