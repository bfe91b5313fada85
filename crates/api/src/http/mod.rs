//! Takes the place of kube-apiserver's filters and request decoding: connections, limits, bodies, paths, queries and headers of
//! requests, and the replies and failures that go back. Must not depend on what a verb does.

pub(crate) mod accept;
pub(crate) mod body;
pub(crate) mod guard;
pub(crate) mod outgoing;
pub(crate) mod path;
pub(crate) mod places;
pub(crate) mod query;
pub(crate) mod reply;
pub(crate) mod server;
pub(crate) mod status;
