//! The API server, as the kubelet uses it. Must not depend on the network.

use std::sync::Arc;

use clusterlocal_api::{render, token_of};
use clusterlocal_node::{Cluster, Objects, PodId};
use serde_json::Value;
use tokio::sync::watch;

use crate::store::{Key, Kind, Name, Pod, Service, Time};
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

    /// Changes the pod if it still is the one with this UID.
    fn change(&self, pod: &PodId, change: impl FnOnce(&mut ControlPlane, &Key)) {
        let key = Key::new(Kind::Pod, Name::from(pod.namespace.as_str()), Name::from(pod.name.as_str()));
        self.driver.write(|cluster| {
            if cluster.store().stored(&key).is_some_and(|stored| stored.uid().to_string() == pod.uid) {
                change(cluster, &key);
            }
        });
    }
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

    fn write_status(&self, pod: &PodId, status: Value) {
        self.change(pod, |cluster, key| cluster.request_pod_status(key, status));
    }

    fn remove(&self, pod: &PodId) {
        self.change(pod, |cluster, key| cluster.request_pod_removal(key));
    }

    fn record(&self, pod: &PodId, warning: bool, reason: &str, message: &str) {
        self.change(pod, |cluster, key| cluster.record_event(key, warning, reason, message));
    }

    fn now(&self) -> Time {
        self.driver.clock().now()
    }
}
