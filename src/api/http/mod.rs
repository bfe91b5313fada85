//! Takes the place of kube-apiserver's filters and request decoding: connections, limits, bodies, paths, queries and headers of
//! requests, and the replies and failures that go back. Must not depend on what a verb does.

pub(in crate::api) mod accept;
pub(in crate::api) mod body;
pub(in crate::api) mod guard;
pub(in crate::api) mod outgoing;
pub(in crate::api) mod path;
pub(in crate::api) mod places;
pub(in crate::api) mod query;
pub(in crate::api) mod reply;
pub(in crate::api) mod server;
pub(in crate::api) mod status;
