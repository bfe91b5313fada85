//! Takes the place of apimachinery's patch code: what a patch makes of an object, as plain functions over JSON.
//! Which lists are merged by which key is in one table (`schema`). It must not know the store, HTTP or files.
//!
//! | function | what kubectl calls it |
//! |---|---|
//! | `strategic` | `patch --type strategic`, `edit`, `apply`, `label`, `annotate`, `set image` |
//! | `json_merge` | `patch --type merge` (RFC 7386) |
//! | `json_patch` | `patch --type json` (RFC 6902) |
//! | [`apply`] | what `apply` works out from what was applied before, what is wanted now and what there is |

mod json;
mod lists;
mod schema;
mod strategic;
#[cfg(test)]
mod tests;
mod three_way;
mod work;

pub use json::{json_merge, json_patch};
pub use strategic::strategic;
pub use three_way::apply;

/// Why a patch was not taken, in Kubernetes' words. The object may be half patched: patch a copy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// It is no patch (400 Bad Request).
    #[error("{0}")]
    Malformed(String),
    /// It is one, but not for this object (422 Unprocessable Entity).
    #[error("{0}")]
    DoesNotApply(String),
    /// Its cost has no bounds (413 Request Entity Too Large).
    #[error("{0}")]
    TooLarge(String),
    /// It takes too many steps (422 Unprocessable Entity).
    #[error("{0}")]
    TooMuchWork(String),
}
