//! Takes the place of apimachinery's `util/validation/field`: values with their paths, and what is wrong with them.

mod at;
mod cause;

pub(crate) use at::At;
pub use cause::Cause;
pub(crate) use cause::{Causes, Shown};
