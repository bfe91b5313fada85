//! Takes the place of kube-apiserver's read side: objects of the store as clients see them, as JSON and as rows of a table, and the
//! selectors that choose among them. Must not depend on requests.

pub(in crate::api) mod columns;
pub(in crate::api) mod fault;
pub mod render;
pub(in crate::api) mod selector;
pub(in crate::api) mod table;
