//! `node`: what kubectl has no word for, a machine that fails, comes back, or is booted.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use clusterlocal::store::{BOOTS_ANNOTATION, MACHINE_ANNOTATION};
use serde_json::json;

use super::Failure;
use super::running::{ServerArgs, name};

#[derive(Debug, Args)]
pub struct NodeArgs {
    #[command(subcommand)]
    event: Event,
}

#[derive(Debug, Subcommand)]
enum Event {
    /// Nobody hears of the node any more; what runs on it runs on, behind a partition
    Down {
        #[command(flatten)]
        node: Node,
        /// The machine is off: nothing runs on it
        #[arg(long)]
        off: bool,
    },
    /// The node is heard of again
    Up(Node),
    /// The machine is booted: its pods are the same, with other addresses
    Reboot(Node),
}

#[derive(Debug, Args)]
struct Node {
    /// The node's name
    #[arg(value_name = "NODE")]
    name: String,
    #[command(flatten)]
    server: ServerArgs,
}

impl Node {
    fn path(&self) -> Result<String, Failure> {
        Ok(format!("/api/v1/nodes/{}", name(&self.name)?))
    }
}

pub fn run(args: NodeArgs) -> Result<ExitCode, Failure> {
    let (node, told) = match args.event {
        Event::Down { node, off } => {
            let machine = if off { "off" } else { "unreachable" };
            node.server.annotate(&node.path()?, json!({ MACHINE_ANNOTATION: machine }))?;
            (node.name, "is down: not ready in 50 s, and its pods are evicted after another 5 minutes")
        }
        Event::Up(node) => {
            node.server.annotate(&node.path()?, json!({ MACHINE_ANNOTATION: null }))?;
            (node.name, "is up")
        }
        Event::Reboot(node) => {
            let path = node.path()?;
            let there = node.server.get(&path)?;
            let boots = there["metadata"]["annotations"][BOOTS_ANNOTATION].as_str().unwrap_or("0");
            let boots = boots.parse::<u32>().unwrap_or(0).saturating_add(1).to_string();
            node.server.annotate(&path, json!({ MACHINE_ANNOTATION: null, BOOTS_ANNOTATION: boots }))?;
            (node.name, "was rebooted")
        }
    };
    Ok(super::print(&format!("node/{node} {told}\n")))
}
