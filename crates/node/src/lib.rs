//! Pods as processes: what containerd, a CNI plugin, kube-proxy and the kubelet do on the nodes of a cluster. Linux only.
#![cfg(target_os = "linux")]

mod handle;
mod kubelet;
mod netlink;
mod network;
pub mod proxy;
mod runtime;

use std::process::ExitCode;

use ipnet::IpNet;

pub use handle::{Node, NodeError, Pod};
pub use kubelet::{COMMAND_PREFIX, Cluster, Images, Lines, Objects, Options, PodId, run};
pub use runtime::protocol::{Mount, PodEvent, PodSandbox, Process};

/// The verb with which a program starts the processes of a node: a program that runs pods calls [`process`] first of all, with the
/// arguments after this one.
pub const VERB: &str = "__node";

/// Becomes a process of a node. The arguments are those that this package appends to [`VERB`]. The calling process must have one
/// thread.
pub fn process(arguments: &[String]) -> ExitCode {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["node", pods, services] => runtime::agent::enter(pods, services),
        ["agent", pods, services, caller] => {
            let caller = caller
                .split_once(':')
                .and_then(|(user, group)| Some((user.parse().ok()?, group.parse().ok()?)));
            runtime::agent::run(&ranges(pods), &ranges(services), caller)
        }
        ["init"] => runtime::init::run(),
        ["launch"] => runtime::launch::run(),
        _ => {
            eprintln!("{VERB} is for the program itself: use the verb run");
            ExitCode::FAILURE
        }
    }
}

fn ranges(text: &str) -> Vec<IpNet> {
    text.split(',').filter_map(|range| range.parse().ok()).collect()
}
