//! `node`: makes a node fail, recover or reboot, for which kubectl has no verb.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use clusterlocal_core::store::{BOOTS_ANNOTATION, MACHINE_ANNOTATION};
use serde_json::{Value, json};

use super::failure::Failure;
use super::output::print;
use super::running::ServerArgs;
use super::values;

#[derive(Debug, Args)]
pub struct NodeArgs {
    #[command(subcommand)]
    event: Event,
}

#[derive(Debug, Subcommand)]
enum Event {
    /// Partition the node from the control plane: its processes run on
    Down {
        #[command(flatten)]
        node: Node,
        /// Power it off: its processes end
        #[arg(long)]
        off: bool,
    },
    /// Connect the node again, or power it on
    Up(Node),
    /// Reboot it: its pods remain and get new addresses
    Reboot(Node),
}

#[derive(Debug, Args)]
struct Node {
    /// Name, node-1 or node/node-1
    #[arg(value_name = "NODE", value_parser = values::node_name)]
    name: String,
    #[command(flatten)]
    server: ServerArgs,
}

/// Path of nodes in the API.
const NODES: &str = "/api/v1/nodes";

impl Node {
    fn path(&self) -> String {
        format!("{NODES}/{}", self.name)
    }

    fn annotate(&self, annotations: Value) -> Result<Value, Failure> {
        self.or_near(self.server.annotate(&self.path(), annotations))
    }

    fn or_near(&self, result: Result<Value, Failure>) -> Result<Value, Failure> {
        self.server.or_near(result, "node", &self.name, NODES)
    }
}

pub fn run(args: NodeArgs) -> Result<ExitCode, Failure> {
    let (node, state) = match args.event {
        Event::Down { node, off } => {
            let machine = if off { "off" } else { "unreachable" };
            node.annotate(json!({ MACHINE_ANNOTATION: machine }))?;
            (node.name, "is down: not ready after 50 s, its pods evicted after another 5 minutes")
        }
        Event::Up(node) => {
            node.annotate(json!({ MACHINE_ANNOTATION: null }))?;
            (node.name, "is up")
        }
        Event::Reboot(node) => {
            let there = node.or_near(node.server.get(&node.path()))?;
            let boots = there["metadata"]["annotations"][BOOTS_ANNOTATION].as_str().unwrap_or("0");
            let boots = boots.parse::<u32>().unwrap_or(0).saturating_add(1).to_string();
            node.annotate(json!({ MACHINE_ANNOTATION: null, BOOTS_ANNOTATION: boots }))?;
            (node.name, "was rebooted")
        }
    };
    Ok(print(&format!("node/{node} {state}\n")))
}
