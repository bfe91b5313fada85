//! A node of a cluster, and the failures of its machine.

use super::{Change, Cluster, Error, missing};
use crate::store::{BOOTS_ANNOTATION, Key, Kind, MACHINE_ANNOTATION, Node};

/// A handle of a node.
#[derive(Clone, Debug)]
pub struct NodeHandle<'c> {
    cluster: &'c Cluster,
    key: Key,
}

impl<'c> NodeHandle<'c> {
    pub(super) fn new(cluster: &'c Cluster, key: Key) -> Self {
        NodeHandle { cluster, key }
    }

    /// Cuts the node off from the control plane; its containers keep running, as behind a network partition. After 50
    /// seconds of the cluster's time it is not ready, and after 300 more its pods are evicted and stay terminating.
    ///
    /// # Errors
    /// If there is no such node.
    pub fn down(&self) -> Result<Change, Error> {
        self.set(Some("unreachable"), false)
    }

    /// Switches the machine off: as [`down`](Self::down), and its containers stop.
    ///
    /// # Errors
    /// If there is no such node.
    pub fn off(&self) -> Result<Change, Error> {
        self.set(Some("off"), false)
    }

    /// Reconnects the node to the control plane.
    ///
    /// # Errors
    /// If there is no such node.
    pub fn up(&self) -> Result<Change, Error> {
        self.set(None, false)
    }

    /// Boots the machine: its pods stay and get new addresses.
    ///
    /// # Errors
    /// If there is no such node.
    pub fn reboot(&self) -> Result<Change, Error> {
        self.set(None, true)
    }

    fn set(&self, machine: Option<&'static str>, boot: bool) -> Result<Change, Error> {
        self.cluster.change(|cluster| {
            let node = cluster.store().get::<Node>(Kind::Node, "", &self.key.name);
            let Some(node) = node else { return Err(missing(cluster, &self.key)) };
            let boots = (node.boots() + u32::from(boot)).to_string();
            let mut annotations = vec![(MACHINE_ANNOTATION, machine)];
            annotations.extend(boot.then_some((BOOTS_ANNOTATION, Some(boots.as_str()))));
            cluster.annotate(&self.key, &annotations);
            Ok(())
        })
    }
}
