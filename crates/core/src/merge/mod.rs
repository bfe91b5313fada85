//! Takes the place of apimachinery's patch code: applies patches to objects, as pure functions over JSON. One table
//! (`schema`) lists the merge keys of lists. Must not depend on the store, HTTP or files.
//!
//! | function | used by kubectl |
//! |---|---|
//! | `strategic` | `patch --type strategic`, `edit`, `apply`, `label`, `annotate`, `set image` |
//! | `json_merge` | `patch --type merge` (RFC 7386) |
//! | `json_patch` | `patch --type json` (RFC 6902) |
//! | [`apply`] | the three-way merge of `apply`: of the last applied, the new and the live object |

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

/// Why a patch was refused, in Kubernetes' words. The object may be partly patched: patch a copy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// It is not a valid patch (400 Bad Request).
    #[error("{0}")]
    Malformed(String),
    /// It cannot be applied to this object (422 Unprocessable Entity).
    #[error("{0}")]
    DoesNotApply(String),
    /// It exceeds a size limit (413 Request Entity Too Large).
    #[error("{0}")]
    TooLarge(String),
    /// It takes too many steps (422 Unprocessable Entity).
    #[error("{0}")]
    TooMuchWork(String),
}
