//! `cluster.local`, without the cluster: what a Kubernetes cluster's DNS answers, worked out from manifests alone, in the
//! process of a test.
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
//! // Give cluster.dns_addr(), or cluster.resolver("default"), to the code under test.
//! cluster.scale("cassandra", 5).await?;
//! let outage = cluster.fault(Fault::on("_cql._tcp.*").qtype(RecordType::SRV).servfail().times(2));
//! # assert!(code_under_test().await.is_err());
//! let again = cluster.queries().qtype(RecordType::SRV).fault(outage.name());
//! assert_eq!(again.wait_for(2, Duration::from_secs(10)).await?.len(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! # Begin
//!
//! [`Cluster::builder`] takes manifests as text ([`manifests`](Builder::manifests)), in the
//! [short form](manifest::topology) ([`topology`](Builder::topology)) or as files ([`path`](Builder::path), and with the feature
//! `watch` `Builder::follow`: each save changes the cluster). What is wrong with
//! them is told with file, line and column, all at once. A cluster listens on a port of its own, the same for UDP and TCP, and
//! lives on a thread of its own: tests run in parallel, and one that blocks stops nobody. Dropping it ends all of it.
//!
//! What waits for the cluster is an [`Operation`]: `.await` it on any runtime, or [`wait`](Operation::wait) for it without one.
//! All other methods return at once.
//!
//! # Drive
//!
//! | to | call |
//! |---|---|
//! | scale and roll out | [`scale`](Cluster::scale), [`rollout`](Cluster::rollout), [`apply`](Cluster::apply), [`delete`](Cluster::delete) |
//! | drive a pod | [`pod("db-1")`](Cluster::pod)`.`[`unready`](PodHandle::unready)`()`, [`ready`](PodHandle::ready), [`crash`](PodHandle::crash), [`delete`](PodHandle::delete), [`force_delete`](PodHandle::force_delete), [`restart`](PodHandle::restart), [`restart_with_ip`](PodHandle::restart_with_ip) |
//! | let a pod be a socket of the test | [`bind("cql", listener.local_addr()?)`](PodHandle::bind) |
//! | fail a node | [`node("node-1")`](Cluster::node)`.`[`down`](NodeHandle::down)`()`, [`off`](NodeHandle::off), [`up`](NodeHandle::up), [`reboot`](NodeHandle::reboot) |
//! | change the files it follows | with the feature `watch`: `Builder::follow`, [`wait_for_change`](Cluster::wait_for_change), `Cluster::files` |
//! | let time pass | [`clock(Clock::manual())`](Builder::clock), [`advance`](Cluster::advance), [`delays`](Builder::delays) |
//!
//! Each returns when the DNS shows what it did, with the serial and the names that came and went: a [`Change`]. Pods take no
//! time unless [`delays`](Builder::delays) or annotations say so; then they start, get ready and stop in their order, as in a
//! cluster.
//!
//! # Break
//!
//! A [`Fault`] says what it hits, by name, type, transport, client, count or lot, and what happens: a code, silence, a delay,
//! truncation with and without TC, stale or partial answers, caches. [`Cluster::fault`] begins it; dropping what that
//! returns ends it. [`Fault::preset`] knows troubles by name: `dns-outage 30s`, `cache 30`, `two-replicas-disagree`. All there is is
//! listed in [`fault`].
//!
//! # Ask
//!
//! [`Cluster::queries`] knows every question with its client, the pod that has the address, and what was answered:
//! [`wait_for`](Queries::wait_for) waits for it, [`assert_none`](Queries::assert_none) fails the test and tells what was asked,
//! [`after`](Queries::after) looks at what came since a change was visible.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `hickory`, on by default | `serve::ClusterHandler`, the cluster's zone in any hickory server; without it no crate of hickory is built |
//! | `resolver` | `Cluster::resolver`, a hickory-resolver that asks the cluster |
//! | `api` | `Cluster::api_url`, the Kubernetes API over HTTP, for client libraries |
//! | `watch` | following manifests on disk, as the program does |
//!
//! # How it is built
//!
//! Every room takes the place of one part of Kubernetes and is named after what that part does:
//!
//! ```text
//!   zones/*.yaml ─▶ manifest ─▶ store ◀─▶ controller      statefulset, endpointslice, workloads, node, scheduler
//!                       watch ───┤ │  ◀─▶ kubelet         what a pod does with time
//!       kubectl ─▶ api, merge ───┘ ▼
//!                                zone ─▶ answer ─▶ serve ─▶ dig, your store, your test
//!                                                   ╰▶ queries     what was asked
//! ```
//!
//! This package is the last three: [`serve`] answers, [`Cluster`] is a cluster and its listeners, for tests, and [`play`] runs
//! Scenarios against it. The rest is in packages of its own, which are internal and may change with any release: the API in
//! `clusterlocal-api`, everything that needs no sockets in `clusterlocal-core`. `docs/architecture.md` lists the rooms, and a test
//! holds the arrows between them.

mod cluster;
pub mod play;
#[cfg(test)]
mod rooms;
pub mod serve;
#[cfg(feature = "watch")]
#[doc(hidden)]
pub mod watch;

// The rooms of the core, under the names that they have there.
#[cfg(feature = "watch")]
use clusterlocal_core::{Replaced, parallel};
use clusterlocal_core::{
    addresses, answer, descriptors, fault, manifest, queries, reconcile, store, wire, zone,
};
// Those of its types that do not belong to the surface of this package.
use clusterlocal_core::{ControlPlane, Driver, Settings, SharedClock, Traced};

#[cfg(feature = "watch")]
pub use cluster::Files;
pub use cluster::{
    Builder, Change, Cluster, Error, Fault, FaultGuard, Mark, NodeHandle, Operation, PodHandle, Queries,
    Unseen,
};
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

/// The Rust code of the README and of the page about Rust tests runs.
#[cfg(all(doctest, feature = "resolver"))]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../docs/rust-tests.md")]
struct Pages;
