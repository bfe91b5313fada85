//! Pods as processes: what containerd, a CNI plugin, kube-proxy and the kubelet do on the nodes of a cluster. Linux only.
#![cfg(target_os = "linux")]

mod handle;
mod kubelet;
mod netlink;
mod network;
pub mod proxy;
mod runtime;
mod separation;

use std::process::ExitCode;

use ipnet::IpNet;

pub use handle::{Node, NodeError, Pod};
pub use kubelet::{
    COMMAND_PREFIX, Cluster, Images, Input, Lines, LogOptions, Machine, Objects, Options, Piece, PodId,
    Resize, Session, StreamError, StreamOptions, Streaming, Wait, run,
};
pub use runtime::protocol::{Mount, PodEvent, PodSandbox, Process};
pub use separation::Separations;

/// The verb with which a program starts the processes of a node: a program that runs pods calls [`process`] first of all, with the
/// arguments after this one.
pub const VERB: &str = "__node";

/// The version of this package. The server and the program of the node's processes have the same one.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The last argument of the processes of pods on the network of the host.
pub(crate) const ON_HOST: &str = "on-host";

/// What separates the pods of a node from the machine and from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Namespaces for network, mounts, processes and hostname.
    Namespaces,
    /// Nothing: pods are on the network of the host.
    None,
}

/// Becomes a process of a node. The arguments are those that this package appends to [`VERB`]. The calling process must have one
/// thread.
pub fn process(arguments: &[String]) -> ExitCode {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["node" | "host", version, ..] if version != VERSION => runtime::agent::refuse(format!(
            "the program that runs pods has version {VERSION}, and {version} is expected"
        )),
        ["node", _, pods, services] => runtime::agent::enter(pods, services),
        ["host", _] => runtime::agent::run_on_host(),
        ["agent", pods, services, caller] => {
            let caller = caller
                .split_once(':')
                .and_then(|(user, group)| Some((user.parse().ok()?, group.parse().ok()?)));
            runtime::agent::run(&ranges(pods), &ranges(services), caller)
        }
        ["init"] => runtime::init::run(Isolation::Namespaces),
        ["init", ON_HOST] => runtime::init::run(Isolation::None),
        ["launch"] => runtime::launch::run(Isolation::Namespaces),
        ["launch", ON_HOST] => runtime::launch::run(Isolation::None),
        _ => {
            eprintln!("{VERB} is for the program itself: use the verb run");
            ExitCode::FAILURE
        }
    }
}

fn ranges(text: &str) -> Vec<IpNet> {
    text.split(',').filter_map(|range| range.parse().ok()).collect()
}
