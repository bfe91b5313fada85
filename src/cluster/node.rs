//! A node of a cluster, and what can happen to a machine.

use super::{Change, Cluster, Error, missing};
use crate::store::{BOOTS_ANNOTATION, Key, Kind, MACHINE_ANNOTATION, Node};

/// A node, to be driven.
#[derive(Clone, Debug)]
pub struct NodeHandle<'c> {
    cluster: &'c Cluster,
    key: Key,
}

impl<'c> NodeHandle<'c> {
    pub(super) fn new(cluster: &'c Cluster, key: Key) -> Self {
        NodeHandle { cluster, key }
    }

    /// Nobody hears of it any more; what runs on it runs on, behind a partition. It is not ready after 50 seconds of the
    /// cluster's time, and its pods are evicted after 300 more, for ever terminating.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn down(&self) -> Result<Change, Error> {
        self.set(Some("unreachable"), false)
    }

    /// The machine is off: as [`down`](Self::down), and nothing runs on it.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn off(&self) -> Result<Change, Error> {
        self.set(Some("off"), false)
    }

    /// It is heard of again.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn up(&self) -> Result<Change, Error> {
        self.set(None, false)
    }

    /// The machine is booted: its pods are the same, with other addresses.
    ///
    /// # Errors
    /// When there is no such node.
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
