//! A pod of a cluster, and what a test can do with it.

use std::net::{IpAddr, SocketAddr};

use super::change::Before;
use super::{Change, Cluster, Error, Operation, missing};
use crate::ControlPlane;
use crate::store::{
    BOUND_PORT_PREFIX, CRASHES_ANNOTATION, IntOrName, Key, Kind, Pod, READY_ANNOTATION, pinned_ip_annotation,
};

/// A handle of a pod, by its name: it also refers to the pod that replaces it.
#[derive(Clone, Debug)]
pub struct PodHandle<'c> {
    pub(super) cluster: &'c Cluster,
    pub(super) key: Key,
}

impl<'c> PodHandle<'c> {
    pub(super) fn new(cluster: &'c Cluster, key: Key) -> Self {
        PodHandle { cluster, key }
    }

    /// Its current address; none if there is no such pod, or it has no address yet.
    pub fn address(&self) -> Option<IpAddr> {
        self.cluster.driver.read(|cluster| found(cluster, &self.key).ok()?.status.ips().next())
    }

    /// Returns whether the pod is ready.
    pub fn is_ready(&self) -> bool {
        self.cluster
            .driver
            .read(|cluster| found(cluster, &self.key).is_ok_and(|pod| pod.is_running_and_ready()))
    }

    /// Makes the pod ready, until the test, a client or a file changes that.
    ///
    /// # Errors
    /// If there is no such pod.
    pub fn ready(&self) -> Result<Change, Error> {
        self.annotate(|_, _| Ok(vec![(READY_ANNOTATION.into(), "true".into())]))
    }

    /// Makes the pod not ready, until the test, a client or a file changes that.
    ///
    /// # Errors
    /// If there is no such pod.
    pub fn unready(&self) -> Result<Change, Error> {
        self.annotate(|_, _| Ok(vec![(READY_ANNOTATION.into(), "false".into())]))
    }

    /// Crashes a container of the pod. The pod stays, and is ready again when its delays have passed.
    ///
    /// # Errors
    /// If there is no such pod.
    pub fn crash(&self) -> Result<Change, Error> {
        self.annotate(|_, pod| Ok(vec![(CRASHES_ANNOTATION.into(), (pod.status.restarts + 1).to_string())]))
    }

    /// Binds the pod to a socket of the test until the pod is replaced: A records have the IP of `address`, and SRV records
    /// of the port named `port` have its port.
    ///
    /// ```
    /// # use clusterlocal::Cluster;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = Cluster::builder().topology("sets: {db: {replicas: 2, ports: {cql: 9042}}}").start().wait()?;
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// cluster.pod("db-1").bind("cql", listener.local_addr()?)?;
    /// assert_eq!(cluster.pod("db-1").address(), Some(listener.local_addr()?.ip()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If there is no such pod, or no Service has such a port for it.
    pub fn bind(&self, port: &str, address: SocketAddr) -> Result<Change, Error> {
        self.annotate(|cluster, pod| {
            check_port(cluster, &self.key, pod, port)?;
            Ok(vec![
                (pinned_ip_annotation(&pod.metadata.name).to_string(), address.ip().to_string()),
                (format!("{BOUND_PORT_PREFIX}{port}"), address.port().to_string()),
            ])
        })
    }

    /// Deletes the pod: it stops within its grace period, and its controller, if any, replaces it.
    ///
    /// # Errors
    /// If there is no such pod.
    pub fn delete(&self) -> Result<Change, Error> {
        self.remove(None)
    }

    /// Deletes the pod's object at once, whether or not it has stopped: `kubectl delete --force --grace-period 0`.
    ///
    /// # Errors
    /// If there is no such pod.
    pub fn force_delete(&self) -> Result<Change, Error> {
        self.remove(Some(0))
    }

    /// Deletes the pod. Done when the pod that replaces it is ready, with another address, and the DNS shows it; or when
    /// the cluster is idle, with no timer pending.
    ///
    /// # Errors
    /// If there is no such pod, or it is not replaced within 30 seconds of real time.
    pub fn restart(&self) -> Operation<'c, Result<Change, Error>> {
        self.restart_at(None)
    }

    /// As [`restart`](Self::restart), and the pod that replaces it has this address.
    ///
    /// # Errors
    /// As for `restart`; also if the pod does not belong to a StatefulSet: replacements of other pods have other names.
    pub fn restart_with_ip(&self, address: IpAddr) -> Operation<'c, Result<Change, Error>> {
        self.restart_at(Some(address))
    }

    fn restart_at(&self, address: Option<IpAddr>) -> Operation<'c, Result<Change, Error>> {
        let (cluster, key) = (self.cluster, self.key.clone());
        cluster.operation(async move {
            let (before, old) = cluster.driver.write(|cluster| {
                let pod = found(cluster, &key)?;
                let owner = pod.metadata.controller().cloned();
                let old = cluster.store().stored(&key).map(|stored| stored.uid());
                let before = Before::now(cluster);
                if let Some(address) = address {
                    let set = owner.filter(|owner| owner.kind == Kind::StatefulSet).ok_or_else(|| {
                        Error::Refused(format!(
                            "{key} does not belong to a StatefulSet: its replacement would have another name"
                        ))
                    })?;
                    let set = Key::new(set.kind, key.namespace.clone(), set.name);
                    let pin = pinned_ip_annotation(&key.name);
                    cluster.annotate(&set, &[(&pin, Some(&address.to_string()))]);
                }
                cluster.delete(&key, None);
                Ok::<_, Error>((before, old))
            })?;
            let replaced = |cluster: &ControlPlane| {
                let now = cluster.store().stored(&key);
                now.is_some_and(|now| Some(now.uid()) != old)
                    && found(cluster, &key).is_ok_and(|pod| pod.is_running_and_ready())
            };
            let state = |cluster: &ControlPlane| match found(cluster, &key) {
                Ok(pod) if pod.is_terminating() => format!("{key} is terminating"),
                Ok(_) => format!("{key} is not ready"),
                Err(_) => format!("{key} does not exist"),
            };
            cluster.until(&format!("the replacement of {key}"), replaced, state).await?;
            Ok(before.change(&cluster.driver, &cluster.queries))
        })
    }

    fn remove(&self, grace: Option<u32>) -> Result<Change, Error> {
        self.cluster.change(|cluster| {
            if cluster.delete(&self.key, grace) { Ok(()) } else { Err(missing(cluster, &self.key)) }
        })
    }

    fn annotate(
        &self,
        annotations: impl FnOnce(&ControlPlane, &Pod) -> Result<Vec<(String, String)>, Error>,
    ) -> Result<Change, Error> {
        self.cluster.change(|cluster| {
            let annotations = annotations(cluster, found(cluster, &self.key)?)?;
            let annotations: Vec<_> =
                annotations.iter().map(|(key, value)| (key.as_str(), Some(value.as_str()))).collect();
            cluster.annotate(&self.key, &annotations);
            Ok(())
        })
    }
}

fn found<'s>(cluster: &'s ControlPlane, key: &Key) -> Result<&'s Pod, Error> {
    let pod = cluster.store().get::<Pod>(Kind::Pod, &key.namespace, &key.name);
    pod.map(|pod| &**pod).ok_or_else(|| missing(cluster, key))
}

/// Checks that some Service has a port called `port` for `pod`, at `key`.
fn check_port(cluster: &ControlPlane, key: &Key, pod: &Pod, port: &str) -> Result<(), Error> {
    let services = cluster.store().services_selecting(&key.namespace, &pod.metadata.labels);
    let ports = services.iter().flat_map(|service| &service.spec.ports);
    let mut names: Vec<&str> = Vec::new();
    for known in ports {
        names.push(&known.name);
        if let Some(IntOrName::Name(target)) = &known.target_port {
            names.push(target);
        }
    }
    if names.contains(&port) {
        return Ok(());
    }
    names.sort_unstable();
    names.dedup();
    Err(Error::Refused(format!(
        "no Service of {key} has a port {port:?}; {}",
        match names.join(", ") {
            names if names.is_empty() => "none has a port".into(),
            names => format!("existing: {names}"),
        }
    )))
}
