//! Takes the place of kube-apiserver's `endpoints/handlers` and `registry/rest`: one file for each verb, for what the verbs share, and for
//! the subresources and reviews that are answered at once. Must not depend on how requests are routed.

pub(crate) mod call;
pub(crate) mod delete;
mod identity;
mod journal;
pub(crate) mod list;
pub(crate) mod patch;
pub(crate) mod pods;
pub(crate) mod quota;
pub(crate) mod reviews;
pub(crate) mod scale;
pub(crate) mod show;
pub(crate) mod watch;
pub(crate) mod write;
