//! Takes the place of a cluster in a test: the fixture, to start, change, inject faults into and inspect. It only translates
//! a test's calls into those of the other rooms. Must not depend on the program.

#[cfg(feature = "api")]
mod api;
mod builder;
mod change;
mod error;
mod fault;
#[cfg(feature = "watch")]
mod files;
mod node;
mod operation;
mod pod;
#[cfg(all(feature = "run", target_os = "linux"))]
mod processes;
#[cfg(feature = "api")]
mod protocol;
mod queries;
#[cfg(feature = "resolver")]
mod resolver;
mod running;
mod view;
mod workload;

use std::net::SocketAddr;
use std::time::Duration;

use crate::manifest;
use crate::queries::QueryLog;
use crate::store::{self, Key, Kind, Time};
use crate::wire::DomainName;
use crate::{ControlPlane, Driver};
use running::Running;
use workload::wait_until;

pub use builder::Builder;
pub use change::{Change, Mark};
pub use error::{Error, QueryTimeout};
pub use fault::{Fault, FaultGuard};
#[cfg(feature = "watch")]
pub use files::Files;
pub use node::NodeHandle;
pub use operation::Operation;
pub use pod::PodHandle;
#[cfg(all(feature = "run", target_os = "linux"))]
pub use processes::{ExecOutput, Run, node_process};
#[cfg(feature = "api")]
pub use protocol::fixture;
pub use queries::Queries;

/// A cluster for tests: its DNS, its API and its pods. Dropping it ends all of them.
///
/// It runs on a thread of its own, so a test may block and may use any runtime, or none. [`start`](Builder::start),
/// [`scale`](Self::scale), [`rollout`](Self::rollout), a pod's [`restart`](PodHandle::restart) and the `wait_for` methods
/// wait for the cluster and return [`Operation`]s: `.await` them on any runtime, which runs other tasks meanwhile, or call
/// [`wait`](Operation::wait) without one. All other methods return at once; they block the calling thread until the
/// controllers have reconciled the change: microseconds for a pod, milliseconds for thousands.
///
/// Objects are named as in `kubectl`: `db-0` is in the namespace `default`, `ring/db-0` in `ring`.
///
/// ```
/// # fn main() -> Result<(), clusterlocal::Error> {
/// let manifests = "
/// apiVersion: clusterlocal.dev/v1
/// kind: Topology
/// sets:
///   cassandra: {replicas: 3, ports: {cql: 9042}}
/// ";
/// let cluster = clusterlocal::Cluster::builder().manifests(manifests).start().wait()?;
/// let change = cluster.scale("cassandra", 5).wait()?;
/// let names: Vec<_> = change.names.iter().map(|name| name.name.as_str()).collect();
/// assert_eq!(names, ["cassandra-3.cassandra.default", "cassandra-4.cassandra.default"]);
/// # Ok(())
/// # }
/// ```
pub struct Cluster {
    driver: Driver,
    queries: QueryLog,
    addresses: Addresses,
    domain: DomainName,
    #[cfg(feature = "watch")]
    files: Files,
    /// Ends when it is dropped.
    running: Running,
    /// What is kept of pods that run as processes. Dropped after they have been killed.
    #[cfg(all(feature = "run", target_os = "linux"))]
    pods: Option<processes::Pods>,
}

/// Tests share a cluster between threads and tasks: its types are `Send` and `Sync`.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Cluster>();
    shared::<PodHandle<'_>>();
    shared::<NodeHandle<'_>>();
    shared::<FaultGuard>();
    shared::<Queries>();
};

/// The addresses of a cluster's listeners.
#[derive(Clone, Copy)]
struct Addresses {
    dns: SocketAddr,
    #[cfg(feature = "api")]
    api: SocketAddr,
}

impl Cluster {
    /// Returns a builder with the default configuration.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The address of its DNS server, over UDP and TCP.
    pub fn dns_addr(&self) -> SocketAddr {
        self.addresses.dns
    }

    /// The URL of its Kubernetes API, for client libraries: `http://127.0.0.1:41234`.
    #[cfg(feature = "api")]
    pub fn api_url(&self) -> String {
        format!("http://{}", self.addresses.api)
    }

    /// The `resolv.conf` of a pod in `namespace`. Its name server has no port, because resolv.conf(5) has no syntax for
    /// one: a client without port 53 takes the search list from it, and the address from [`dns_addr`](Self::dns_addr).
    pub fn resolv_conf(&self, namespace: &str) -> String {
        let (ip, search) = (self.addresses.dns.ip(), self.search(namespace).join(" "));
        format!("nameserver {ip}\nsearch {search}\noptions ndots:5\n")
    }

    /// The search domains of a pod in `namespace`.
    pub fn search(&self, namespace: &str) -> [String; 3] {
        self.domain.search_domains(namespace)
    }

    /// Serial of the SOA: it grows with every change of the DNS.
    pub fn serial(&self) -> u32 {
        self.driver.read(ControlPlane::serial)
    }

    /// The time on the cluster's clock.
    pub fn now(&self) -> Time {
        self.driver.clock().now()
    }

    /// Advances the clock. When it returns, everything due by then has happened, each event at its time.
    ///
    /// ```
    /// # use clusterlocal::{Clock, Cluster};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), clusterlocal::Error> {
    /// let cluster = Cluster::builder().topology("sets: {db: {replicas: 3}}").clock(Clock::manual()).start().wait()?;
    /// cluster.node("node-1").down()?;
    /// let change = cluster.advance(Duration::from_secs(60));
    /// assert_eq!(change.names[0].name, "db-0.db.default", "its node is not ready");
    /// # Ok(())
    /// # }
    /// ```
    pub fn advance(&self, time: Duration) -> Change {
        let before = self.driver.read(change::Before::now);
        self.driver.set_clock(|clock| clock.advance(time));
        before.change(&self.driver, &self.queries)
    }

    /// Returns a handle of the pod `NAME`, or `NAMESPACE/NAME`. Its existence is checked by the methods of the handle.
    pub fn pod(&self, name: &str) -> PodHandle<'_> {
        PodHandle::new(self, key(Kind::Pod, name))
    }

    /// Returns a handle of the node `NAME`. Its existence is checked by the methods of the handle.
    pub fn node(&self, name: &str) -> NodeHandle<'_> {
        NodeHandle::new(self, Key::new(Kind::Node, "", name))
    }

    /// Returns the current position, for queries that arrive [after](Queries::after) it.
    ///
    /// ```
    /// # use clusterlocal::Cluster;
    /// # fn main() -> Result<(), clusterlocal::Error> {
    /// let cluster = Cluster::builder().topology("sets: {db: {replicas: 1}}").start().wait()?;
    /// let mark = cluster.mark();
    /// // ... the code under test must not send queries ...
    /// assert_eq!(cluster.queries().after(&mark).count(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn mark(&self) -> Mark {
        self.driver.read(|cluster| Mark::now(cluster, &self.queries))
    }

    /// Waits at most `within`, in real time, for a change of the DNS after a [`Mark`] or a [`Change`]. For changes that are
    /// not made by a method of this cluster: a saved file, a pod that becomes ready, a write through the API.
    ///
    /// # Errors
    /// If the DNS has not changed by then.
    pub fn wait_for_change(
        &self,
        after: impl Into<Mark>,
        within: Duration,
    ) -> Operation<'static, Result<Change, Error>> {
        let (driver, queries, after) = (self.driver.clone(), self.queries.clone(), after.into());
        Operation::new(Some(self.running.handle().clone()), async move {
            let is_later = |cluster: &ControlPlane| Some(cluster.serial()) != after.0.serial;
            match wait_until(&driver, within, |driver| driver.read(is_later)).await {
                Ok(()) => Ok(change::since(after, &driver, &queries)),
                Err(_) => Err(Error::Timeout {
                    awaited: "a change of the DNS".into(),
                    waited: within,
                    state: format!("the serial is still {}", driver.read(ControlPlane::serial)),
                }),
            }
        })
    }

    /// Returns all queries so far.
    pub fn queries(&self) -> Queries {
        Queries::new(self.queries.clone(), self.driver.clone(), self.running.handle().clone())
    }

    /// Creates or updates the objects in `manifests`; fields they do not set are kept, as with `kubectl apply`. When it
    /// returns, the DNS shows the immediate effects; see [`rollout`](Self::rollout) for the rest.
    ///
    /// # Errors
    /// If the manifests cannot be read or are refused.
    pub fn apply(&self, manifests: impl Into<String>) -> Result<Change, Error> {
        let read = manifest::combine(vec![manifest::read_bytes("manifests", manifests.into().into_bytes())]);
        if read.has_errors() {
            return Err(Error::Manifests(read.problems));
        }
        let objects = read.objects().into_values().map(store::Change::Put).collect();
        self.change(|cluster| {
            cluster.request(objects);
            Ok(())
        })
    }

    /// Deletes the object of this kind and name. A pod stops within its grace period.
    ///
    /// # Errors
    /// If there is no such object.
    pub fn delete(&self, kind: Kind, name: &str) -> Result<Change, Error> {
        let key = if kind.is_namespaced() { key(kind, name) } else { Key::new(kind, "", name) };
        self.change(|cluster| if cluster.delete(&key, None) { Ok(()) } else { Err(missing(cluster, &key)) })
    }

    /// The control plane, of the internal package `clusterlocal-core`.
    #[doc(hidden)]
    pub fn driver(&self) -> &Driver {
        &self.driver
    }

    fn operation<'c, T>(&self, work: impl Future<Output = T> + Send + 'c) -> Operation<'c, T> {
        Operation::new(Some(self.running.handle().clone()), work)
    }

    /// Applies `act` to the cluster and returns the resulting change of the DNS.
    fn change(&self, act: impl FnOnce(&mut ControlPlane) -> Result<(), Error>) -> Result<Change, Error> {
        let before = self.driver.write(|cluster| {
            let before = change::Before::now(cluster);
            act(cluster).map(|()| before)
        })?;
        Ok(before.change(&self.driver, &self.queries))
    }
}

/// Wakes tasks that wait for a query before the runtime stops.
impl Drop for Cluster {
    fn drop(&mut self) {
        self.queries.close();
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("dns", &self.addresses.dns).finish_non_exhaustive()
    }
}

/// Parses `NAME` or `NAMESPACE/NAME`: `db-0` is in the namespace `default`, `ring/db-0` in `ring`.
fn key(kind: Kind, name: &str) -> Key {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    Key::new(kind, namespace, name)
}

/// The error for a `key` without an object, with the names of the objects of its kind.
fn missing(cluster: &ControlPlane, key: &Key) -> Error {
    let within = (!key.namespace.is_empty()).then_some(key.namespace.as_str());
    let there = cluster.store().all_stored(key.kind, within);
    let there = there.map(|stored| stored.object.metadata().name.to_string()).collect();
    Error::Missing { wanted: key.to_string(), there }
}
