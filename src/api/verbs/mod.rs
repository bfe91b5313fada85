//! Takes the place of kube-apiserver's `endpoints/handlers` and `registry/rest`: one file for each verb, for what the verbs share, and for
//! the subresources and reviews that are answered at once. Must not depend on how requests are routed.

pub(in crate::api) mod call;
pub(in crate::api) mod delete;
mod identity;
pub(in crate::api) mod list;
pub(in crate::api) mod pods;
mod quota;
pub(in crate::api) mod reviews;
pub(in crate::api) mod scale;
pub(in crate::api) mod show;
pub(in crate::api) mod watch;
pub(in crate::api) mod write;
