//! The machines of nodes: which run, and which are connected. Must not depend on pods.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::error;

use super::Shared;
use crate::Node;

/// The machine of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Whether it is on.
    pub is_on: bool,
    /// Whether it reaches other nodes and the API server. One that is off does not.
    pub is_connected: bool,
    /// Number of its boots: when it changes, nothing that ran before runs any more.
    pub boots: u32,
}

/// That of a node without an object, too: its kubelet registers it again.
impl Default for Machine {
    fn default() -> Self {
        Machine { is_on: true, is_connected: true, boots: 0 }
    }
}

/// The machines of all nodes on which there are, or were, pods.
#[derive(Default)]
pub(super) struct Nodes(HashMap<String, watch::Sender<Machine>>);

impl Nodes {
    /// Applies partitions and the state of machines to the network, and reports changes to the pods of each node.
    pub(super) async fn follow(&mut self, shared: &Arc<Shared>) {
        let separations = shared.cluster.separations();
        if let Err(error) = blocking(shared, move |node| node.separate(separations)).await {
            error!("a partition is incomplete: {error}");
        }
        let machines = shared.cluster.machines();
        for name in machines.keys().filter(|name| !self.0.contains_key(*name)).cloned().collect::<Vec<_>>() {
            self.0.insert(name, watch::Sender::new(Machine::default()));
        }
        for (name, known) in &self.0 {
            let machine = machines.get(name).copied().unwrap_or_default();
            let before = *known.borrow();
            if before == machine {
                continue;
            }
            if before.is_connected != machine.is_connected {
                let name = name.clone();
                let connected = machine.is_connected;
                if let Err(error) = blocking(shared, move |node| node.connect(&name, connected)).await {
                    error!("a node is not cut off or connected: {error}");
                }
            }
            known.send_replace(machine);
        }
    }

    /// Whether the node's kubelet reaches the API server.
    pub(super) fn is_connected(&self, node: &str) -> bool {
        self.0.get(node).is_none_or(|machine| machine.borrow().is_connected)
    }

    /// The node's machine, and its changes.
    pub(super) fn machine(&mut self, node: &str) -> watch::Receiver<Machine> {
        self.0.entry(node.to_string()).or_insert_with(|| watch::Sender::new(Machine::default())).subscribe()
    }
}

/// Calls `act` where it may block.
async fn blocking(
    shared: &Arc<Shared>,
    act: impl FnOnce(&Node) -> Result<(), crate::NodeError> + Send + 'static,
) -> Result<(), String> {
    let shared = shared.clone();
    let done = tokio::task::spawn_blocking(move || act(&shared.node)).await;
    done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}
