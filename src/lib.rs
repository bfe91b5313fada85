//! The DNS of a Kubernetes cluster without the cluster: answers computed from manifests, inside the process of a test.
//!
#![cfg_attr(feature = "resolver", doc = "```")]
#![cfg_attr(not(feature = "resolver"), doc = "```ignore")]
//! use clusterlocal::{Cluster, Fault, RecordType};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let manifests = "apiVersion: clusterlocal.dev/v1\nkind: Topology\nsets: {cassandra: {replicas: 3, ports: {cql: 9042}}}\n";
//! let cluster = Cluster::builder().manifests(manifests).start().await?;
//! # let client = cluster.resolver("default");
//! # let code_under_test = || client.srv_lookup("_cql._tcp.cassandra.default.svc.cluster.local.");
//! // Pass cluster.dns_addr(), or cluster.resolver("default"), to the code under test.
//! cluster.scale("cassandra", 5).await?;
//! let outage = cluster.fault(Fault::on("_cql._tcp.*").qtype(RecordType::SRV).servfail().times(2));
//! # assert!(code_under_test().await.is_err());
//! let again = cluster.queries().qtype(RecordType::SRV).fault(outage.name());
//! assert_eq!(again.wait_for(2, Duration::from_secs(10)).await?.len(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! # Start a cluster
//!
//! [`Cluster::builder`] takes manifests as text ([`manifests`](Builder::manifests)), in the [short
//! form](manifest::topology) ([`topology`](Builder::topology)) or as files ([`path`](Builder::path), and with the feature
//! `watch` `Builder::follow`: each save changes the cluster). All problems of the manifests are reported at once, with
//! file, line and column. A cluster listens on a port of its own, the same for UDP and TCP, and runs on a thread of its
//! own: tests run in parallel, and a test that blocks does not block the cluster. Dropping the [`Cluster`] ends everything.
//!
//! Methods that wait for the cluster return an [`Operation`]: `.await` it on any runtime, or call [`wait`](Operation::wait)
//! without one. All other methods return at once.
//!
//! # Change the cluster
//!
//! | to | call |
//! |---|---|
//! | scale and roll out | [`scale`](Cluster::scale), [`rollout`](Cluster::rollout), [`apply`](Cluster::apply), [`delete`](Cluster::delete) |
//! | change a pod | [`pod("db-1")`](Cluster::pod)`.`[`unready`](PodHandle::unready)`()`, [`ready`](PodHandle::ready), [`crash`](PodHandle::crash), [`delete`](PodHandle::delete), [`force_delete`](PodHandle::force_delete), [`restart`](PodHandle::restart), [`restart_with_ip`](PodHandle::restart_with_ip) |
//! | bind a pod to a socket of the test | [`bind("cql", listener.local_addr()?)`](PodHandle::bind) |
//! | fail a node | [`node("node-1")`](Cluster::node)`.`[`down`](NodeHandle::down)`()`, [`off`](NodeHandle::off), [`up`](NodeHandle::up), [`reboot`](NodeHandle::reboot) |
//! | change the followed files | with the feature `watch`: `Builder::follow`, [`wait_for_change`](Cluster::wait_for_change), `Cluster::files` |
//! | advance time | [`clock(Clock::manual())`](Builder::clock), [`advance`](Cluster::advance), [`delays`](Builder::delays) |
//!
//! Each returns once the DNS shows the change, with the serial and the names that were added or removed: a [`Change`]. Pods
//! take no time unless [`delays`](Builder::delays) or annotations set it; then they start, become ready and stop in the
//! order of a cluster.
//!
//! # Inject faults
//!
//! A [`Fault`] selects queries by name, type, transport, client, count or probability, and sets what happens to them: a
//! response code, no answer, a delay, truncation with and without TC, stale or partial answers, caches. [`Cluster::fault`]
//! starts it; dropping the returned guard ends it. [`Fault::preset`] takes known failures by name: `dns-outage 30s`, `cache
//! 30`, `two-replicas-disagree`. [`fault`] lists all of them.
//!
//! # Check the queries
//!
//! [`Cluster::queries`] returns each query with its client, the pod that has the client's address, and the answer:
//! [`wait_for`](Queries::wait_for) waits for queries, [`assert_none`](Queries::assert_none) fails the test and lists what
//! was asked, [`after`](Queries::after) selects those that arrived after a change was visible.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `hickory`, on by default | `serve::ClusterHandler`, the cluster's zone in any hickory server; without it no crate of hickory is built |
//! | `resolver` | `Cluster::resolver`, a hickory-resolver whose server is the cluster |
//! | `api` | `Cluster::api_url`, the Kubernetes API over HTTP, for client libraries |
//! | `watch` | following manifests on disk, as the program does |
//! | `run` | `Builder::run`: pods that run as processes, on Linux; their lines and exit codes |
//!
//! # Layout
//!
//! Each module is named after the part of Kubernetes that it takes the place of:
//!
//! ```text
//!   zones/*.yaml ─▶ manifest ─▶ store ◀─▶ controller      statefulset, endpointslice, workloads, node, scheduler
//!                       watch ───┤ │  ◀─▶ kubelet         the stages of a pod
//!       kubectl ─▶ api, merge ───┘ ▼
//!                                zone ─▶ answer ─▶ serve ─▶ dig, your store, your test
//!                                                   ╰▶ queries     the record of questions
//! ```
//!
//! This package is the last three: [`serve`] answers, [`Cluster`] is a cluster with its listeners, for tests, and [`play`]
//! runs Scenarios against it. The rest is in internal packages, which may change with any release: the API in
//! `clusterlocal-api`, everything that needs no sockets in `clusterlocal-core`. `docs/architecture.md` lists the rooms, and
//! the test `rooms` checks which of them use which.

mod cluster;
pub mod play;
#[cfg(test)]
mod rooms;
#[cfg(all(feature = "run", target_os = "linux"))]
#[doc(hidden)]
pub mod run;
pub mod serve;
#[cfg(feature = "watch")]
#[doc(hidden)]
pub mod watch;

// The rooms of the core, under their names there.
#[cfg(feature = "watch")]
use clusterlocal_core::{Replaced, parallel};
use clusterlocal_core::{
    addresses, answer, descriptors, fault, manifest, queries, reconcile, store, wire, zone,
};
// Types of the core that are not part of this package's API.
use clusterlocal_core::{ControlPlane, DnsChange, Driver, Settings, SharedClock};

#[cfg(feature = "watch")]
pub use cluster::Files;
// The verbs of the fixture over HTTP, for the program.
#[cfg(feature = "api")]
#[doc(hidden)]
pub use cluster::fixture;
pub use cluster::{
    Builder, Change, Cluster, Error, Fault, FaultGuard, Mark, NodeHandle, Operation, PodHandle, Queries,
    QueryTimeout,
};
#[cfg(all(feature = "run", target_os = "linux"))]
pub use cluster::{ExecOutput, Run, node_process};
#[doc(inline)]
pub use clusterlocal_core::addresses::Range;
#[doc(inline)]
pub use clusterlocal_core::answer::{Record, Reply};
#[doc(inline)]
pub use clusterlocal_core::manifest::{Problem, Severity};
#[doc(inline)]
pub use clusterlocal_core::queries::Query;
#[doc(inline)]
pub use clusterlocal_core::reconcile::Delays;
#[doc(inline)]
pub use clusterlocal_core::store::{Kind, Time};
#[doc(inline)]
pub use clusterlocal_core::wire::{DomainName, Edns};
#[doc(inline)]
pub use clusterlocal_core::zone::NameChange;
#[doc(inline)]
pub use clusterlocal_core::{Clock, MANUAL_START, RecordType, ResponseCode, SettingsError, Transport};

/// Compiles and runs the Rust code of the README and of the page about Rust tests.
#[cfg(all(doctest, feature = "resolver"))]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../docs/rust-tests.md")]
struct Pages;
