//! The API server, as the kubelet uses it. Must not depend on the network.

use std::collections::HashMap;
use std::sync::Arc;

use clusterlocal_api::{render, token_of};
use clusterlocal_node::{Cluster, Machine, Objects, PodId, Separations};
use serde_json::Value;
use tokio::sync::watch;

use super::partitions::separations;
use crate::store::{self, Key, Kind, Name, Node, Pod, Service, Time};
use crate::{ControlPlane, Driver};

/// The API of a cluster, for its kubelet.
pub(super) struct Api {
    driver: Driver,
    /// The certificate that verifies the API server, as PEM.
    root_ca: String,
}

/// The ConfigMap with the certificate, in each namespace. Its object in the store has none: clients on the machine use no TLS.
const ROOT_CA: &str = "kube-root-ca.crt";

impl Api {
    /// The API of the cluster of `driver`, which `root_ca` verifies.
    pub(super) fn new(driver: Driver, root_ca: String) -> Arc<Self> {
        Arc::new(Api { driver, root_ca })
    }

    fn object(&self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
        let key = Key::new(kind, Name::from(namespace), Name::from(name));
        self.driver.read(|cluster| shown(cluster, &key))
    }

    /// Changes the pod if it still is the one with this UID. Returns nothing if its node does not reach the API server.
    fn change<R>(&self, pod: &PodId, change: impl FnOnce(&mut ControlPlane, &Key) -> R) -> Option<Option<R>> {
        let key = Key::new(Kind::Pod, Name::from(pod.namespace.as_str()), Name::from(pod.name.as_str()));
        self.driver.write(|cluster| {
            let there = cluster.store().get::<Pod>(Kind::Pod, &key.namespace, &key.name);
            if there.is_some_and(|there| !machine_of(cluster, &there.spec.node_name).is_connected) {
                return None;
            }
            let is_same =
                cluster.store().stored(&key).is_some_and(|stored| stored.uid().to_string() == pod.uid);
            Some(is_same.then(|| change(cluster, &key)))
        })
    }
}

/// The machine of a node.
fn machine_of(cluster: &ControlPlane, node: &str) -> Machine {
    cluster.store().get::<Node>(Kind::Node, "", node).map(|node| machine(node)).unwrap_or_default()
}

fn machine(node: &Node) -> Machine {
    let (is_on, is_connected) = match node.machine() {
        store::Machine::Up => (true, true),
        store::Machine::Unreachable => (true, false),
        store::Machine::Off => (false, false),
    };
    Machine { is_on, is_connected, boots: node.boots() }
}

/// The object at `key`, as the API shows it.
pub(crate) fn shown(cluster: &ControlPlane, key: &Key) -> Option<Value> {
    let store = cluster.store();
    store.stored(key).map(|stored| render::object(stored, &render::Context::now(store)))
}

impl Objects for Api {
    fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let kind = Kind::referred("v1", kind)?;
        let mut object = self.object(kind, namespace, name)?;
        if kind == Kind::referred("v1", "ConfigMap")? && name == ROOT_CA {
            object["data"]["ca.crt"] = self.root_ca.clone().into();
        }
        Some(object)
    }

    fn services(&self, namespace: &str) -> Vec<Value> {
        self.driver.read(|cluster| {
            let services = cluster.store().list_in::<Service>(Kind::Service, namespace);
            services.filter_map(|service| shown(cluster, &service.metadata.key(Kind::Service))).collect()
        })
    }

    fn token(&self, namespace: &str, account: &str, audience: &str, seconds: u64) -> Option<String> {
        self.driver.read(|cluster| token_of(cluster, namespace, account, audience, seconds))
    }
}

impl Cluster for Api {
    fn pods(&self) -> Vec<Value> {
        self.driver.read(|cluster| {
            let pods = cluster.store().list::<Pod>(Kind::Pod);
            let placed =
                pods.filter(|pod| !pod.spec.node_name.is_empty() && pod.status.ips().next().is_some());
            placed.filter_map(|pod| shown(cluster, &pod.metadata.key(Kind::Pod))).collect()
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.driver.revisions()
    }

    fn machines(&self) -> HashMap<String, Machine> {
        self.driver.read(|cluster| {
            let nodes = cluster.store().list::<Node>(Kind::Node);
            nodes.map(|node| (node.metadata.name.to_string(), machine(node))).collect()
        })
    }

    fn separations(&self) -> Separations {
        self.driver.read(separations)
    }

    fn write_status(&self, pod: &PodId, status: Value) -> bool {
        self.change(pod, |cluster, key| cluster.request_pod_status(key, status)).is_some()
    }

    fn remove(&self, pod: &PodId) -> bool {
        self.change(pod, |cluster, key| cluster.request_pod_removal(key)).is_some()
    }

    fn renew_addresses(&self, pod: &PodId) -> Option<Value> {
        let renewed = self.change(pod, |cluster, key| {
            cluster.request_pod_addresses(key);
            let pod = cluster.store().get::<Pod>(Kind::Pod, &key.namespace, &key.name)?;
            pod.status.ips().next()?;
            shown(cluster, key)
        });
        renewed???.into()
    }

    fn record(&self, pod: &PodId, warning: bool, reason: &str, message: &str) {
        self.change(pod, |cluster, key| cluster.record_event(key, warning, reason, message));
    }

    fn now(&self) -> Time {
        self.driver.clock().now()
    }
}
