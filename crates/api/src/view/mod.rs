//! Takes the place of kube-apiserver's read side: objects of the store as JSON and as rows of a table, and the selectors
//! among them. Must not depend on requests.

pub(crate) mod columns;
pub(crate) mod fault;
pub mod render;
pub(crate) mod selector;
pub(crate) mod table;
