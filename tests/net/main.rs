//! The interfaces of the process: sockets of either transport, an upstream, hickory's server, and files that change.

#[path = "../common/mod.rs"]
mod common;
mod forwarding;
#[cfg(feature = "hickory")]
mod hickory;
#[cfg(all(unix, feature = "watch"))]
mod reload;
mod sockets;
mod transports;
