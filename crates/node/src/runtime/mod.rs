//! Takes the place of containerd: processes in namespaces of their own, started and ended on request. Must not depend on
//! Kubernetes objects.
//!
//! ```text
//!   server ─▶ node process ─▶ init process of a pod ─▶ first process of a container
//!     ╰───────────────────────▲   start, signal, exited
//! ```
//!
//! The node's process ([`agent`]) has the network of the cluster, and a user namespace where it does not run as root. It
//! makes the namespaces of each pod and starts its init process ([`init`]) in them, which starts containers
//! ([`launch`]). All of them end when the server does: each has a channel whose other end the server holds, and when the init
//! process ends, the kernel ends all others of its PID namespace.

pub(crate) mod agent;
pub(crate) mod channel;
pub(crate) mod descendants;
pub(crate) mod init;
pub(crate) mod launch;
mod limits;
pub(crate) mod namespaces;
pub(crate) mod protocol;
pub(crate) mod root;
pub(crate) mod sub_path;
