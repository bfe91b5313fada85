//! Faults, built in Rust. [`fault`](crate::fault) lists their effects.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::change::Before;
use super::{Change, Cluster, Error};
use crate::fault::{Action, Actions, FaultSpec, Preset, Transport};
use crate::queries::QueryLog;
use crate::store::{self, Key, Kind, Object, ObjectMeta};
use crate::{ControlPlane, Driver, RecordType, ResponseCode, manifest};

/// Which queries fail, how and when. Texts have the syntax of `Fault` objects and of `clusterlocal fault add`.
///
/// ```
/// # use clusterlocal::{Cluster, Fault, RecordType};
/// # use std::time::Duration;
/// # fn main() -> Result<(), clusterlocal::Error> {
/// let cluster = Cluster::builder().topology("sets: {db: {replicas: 3, ports: {cql: 9042}}}").start().wait()?;
/// // The first two SRV queries fail.
/// let failing = cluster.fault(Fault::on("_cql._tcp.*").qtype(RecordType::SRV).servfail().times(2));
/// // A quarter of the answers to one pod are late.
/// let slow = cluster.fault(Fault::on("*").client("db-1").probability(0.25).delay(Duration::from_secs(3)));
/// // Answers are cut to two records, without TC.
/// let few = cluster.fault(Fault::on("db.*").does("cut 2"));
/// // No query is answered for half a minute.
/// let outage = cluster.fault(Fault::preset("dns-outage 30s"));
/// assert_eq!(failing.hits(), 0);
/// drop(outage);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a fault has no effect until it is passed to `Cluster::fault`"]
pub struct Fault {
    spec: FaultSpec,
    name: Option<String>,
}

impl From<FaultSpec> for Fault {
    fn from(spec: FaultSpec) -> Self {
        Fault { spec, name: None }
    }
}

impl Fault {
    /// Matches queries by name: `*` stands for any characters, `?` for one; `*` alone matches all queries.
    ///
    /// # Panics
    /// If `pattern` is empty or contains spaces or commas.
    #[track_caller]
    pub fn on(pattern: &str) -> Self {
        let mut fault = Fault::from(FaultSpec::default());
        fault.spec.matching.name = (pattern != "*").then(|| parsed(pattern));
        fault
    }

    /// A known failure, by its name: `cache 30`, `nodelocal`, `two-replicas-disagree`, `dns-outage 30s`, `slow 3s` and
    /// others; see [`PRESETS`](crate::fault::PRESETS). It matches all queries; the other methods narrow that down.
    ///
    /// # Panics
    /// If there is no preset of that name.
    #[track_caller]
    pub fn preset(preset: &str) -> Self {
        let preset: Preset = parsed(preset);
        Fault::from(FaultSpec { preset: Some(preset), ..FaultSpec::default() })
    }

    /// Matches queries of this type. Several calls add types.
    pub fn qtype(mut self, qtype: RecordType) -> Self {
        self.spec.matching.types.push(qtype);
        self
    }

    /// Matches queries over UDP, or over TCP.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.spec.matching.transport = Some(transport);
        self
    }

    /// Matches queries from a pod (`db-1`, `ring/db-1`), an address or a network. Several calls add clients.
    ///
    /// # Panics
    /// If `client` is none of these.
    #[track_caller]
    pub fn client(mut self, client: &str) -> Self {
        self.spec.matching.clients.push(parsed(client));
        self
    }

    /// Hits every `count`th matching query.
    ///
    /// # Panics
    /// If `count` is 0.
    #[track_caller]
    pub fn every(mut self, count: u32) -> Self {
        self.spec.matching.every =
            Some(NonZeroU32::new(count).expect("every(0) is not allowed: use 1 for each matching query"));
        self
    }

    /// Hits a matching query with this probability, from 0 to 1, drawn from the [`seed`](Self::seed).
    ///
    /// # Panics
    /// If `probability` is not between 0 and 1.
    #[track_caller]
    pub fn probability(mut self, probability: f64) -> Self {
        self.spec.matching.probability = Some(parsed(&probability.to_string()));
        self
    }

    /// Maximum number of hits.
    pub fn times(mut self, times: u32) -> Self {
        self.spec.times = Some(times);
        self
    }

    /// Takes precedence over faults of a lower priority, which is 0 by default. Of equals, the one created first is tried
    /// first.
    pub fn priority(mut self, priority: i32) -> Self {
        self.spec.priority = priority;
        self
    }

    /// Starts this long after its creation, on the cluster's clock.
    pub fn after(mut self, time: Duration) -> Self {
        self.spec.after = time;
        self
    }

    /// Ends after this time, on the cluster's clock.
    pub fn lasting(mut self, time: Duration) -> Self {
        self.spec.lasting = Some(time);
        self
    }

    /// Sets the seed of its random choices.
    pub fn seed(mut self, seed: u64) -> Self {
        self.spec.seed = seed;
        self
    }

    /// Sets the name of the fault. Of several faults that match a query, the first by name is applied. The default names
    /// are `fault-1`, `fault-2` …, in the order of creation.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Answers SERVFAIL.
    pub fn servfail(self) -> Self {
        self.action(Action::Rcode(ResponseCode::SERVFAIL))
    }

    /// Answers REFUSED.
    pub fn refused(self) -> Self {
        self.action(Action::Rcode(ResponseCode::REFUSED))
    }

    /// Answers NXDOMAIN.
    pub fn nxdomain(self) -> Self {
        self.action(Action::Rcode(ResponseCode::NXDOMAIN))
    }

    /// Answers NOERROR without records.
    pub fn nodata(self) -> Self {
        self.action(Action::NoData)
    }

    /// Drops the query: no answer.
    pub fn silence(self) -> Self {
        self.action(Action::Drop)
    }

    /// Delays the answer, in real time: a client's timeouts do not follow the cluster's clock.
    pub fn delay(self, by: Duration) -> Self {
        self.action(Action::Delay { by, jitter: Duration::ZERO })
    }

    /// Sets TC and removes all records, as if the answer did not fit.
    pub fn truncate(self) -> Self {
        self.action(Action::Truncate { keep: 0 })
    }

    /// Adds an action.
    #[doc(hidden)]
    pub fn action(mut self, action: Action) -> Self {
        self.spec.actions.0.push(action);
        self
    }

    /// Adds the actions in a text: `"omit db-1.*, glue none"`. See [`ACTIONS`](crate::fault::ACTIONS) for the syntax.
    ///
    /// # Panics
    /// If `actions` cannot be parsed.
    #[track_caller]
    pub fn does(mut self, actions: &str) -> Self {
        let actions: Actions = parsed(actions);
        self.spec.actions.0.extend(actions.0);
        self
    }

    /// Applies `steps` in turn, separately for each name, type and client: `["ok", "ok", "drop"]`.
    ///
    /// # Panics
    /// If a step cannot be parsed.
    #[track_caller]
    pub fn in_turn(mut self, steps: &[&str]) -> Self {
        let steps: Result<Vec<Actions>, _> = steps.iter().map(|step| step.parse()).collect();
        self.spec.sequence = steps.unwrap_or_else(|error| panic!("{error}"));
        self
    }
}

#[track_caller]
fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// A fault in a cluster. Dropping it ends the fault.
#[must_use = "dropping the guard ends the fault"]
pub struct FaultGuard {
    driver: Driver,
    queries: QueryLog,
    key: Key,
}

impl Cluster {
    /// Adds a fault, which lasts until the returned guard is dropped.
    ///
    /// # Panics
    /// If the combination of its parts is invalid, or its name is.
    #[track_caller]
    pub fn fault(&self, fault: impl Into<Fault>) -> FaultGuard {
        self.try_fault(fault).unwrap_or_else(|refused| panic!("{refused}"))
    }

    /// As [`fault`](Self::fault), and returns an error instead of a panic.
    ///
    /// # Errors
    /// If the combination of its parts is invalid, or its name is.
    pub fn try_fault(&self, fault: impl Into<Fault>) -> Result<FaultGuard, Error> {
        let key = self.add_fault(fault.into())?;
        Ok(FaultGuard { driver: self.driver.clone(), queries: self.queries.clone(), key })
    }

    /// Adds a fault that lasts until it is deleted, and returns its key.
    pub(super) fn add_fault(&self, Fault { spec, name }: Fault) -> Result<Key, Error> {
        self.driver.write(|cluster| {
            let name = name.unwrap_or_else(|| free_name(cluster));
            let metadata = ObjectMeta { name: name.into(), ..ObjectMeta::default() };
            let object = Object::Fault(Arc::new(store::Fault { metadata, spec, ..store::Fault::default() }));
            let key = object.key();
            if let Some(refused) = manifest::refused(&object) {
                return Err(Error::Refused(format!("{key}: {refused}")));
            }
            cluster.request(vec![store::Change::Put(object)]);
            Ok(key)
        })
    }
}

fn free_name(cluster: &ControlPlane) -> String {
    let is_free = |name: &String| cluster.store().object(&Key::new(Kind::Fault, "", name.as_str())).is_none();
    (1u32..)
        .map(|number| format!("fault-{number}"))
        .find(is_free)
        .expect("there are more numbers than faults")
}

impl FaultGuard {
    /// The name of the fault, as in the log of queries.
    pub fn name(&self) -> &str {
        &self.key.name
    }

    /// Returns the number of queries and connections that it has hit.
    pub fn hits(&self) -> u64 {
        self.driver.read(|cluster| cluster.faults().hits(&self.key.name))
    }

    /// Ends the fault and returns the change, for `queries().after(&ended)`.
    pub fn end(self) -> Change {
        let (driver, queries) = (self.driver.clone(), self.queries.clone());
        let before = driver.read(Before::now);
        drop(self);
        before.change(&driver, &queries)
    }
}

impl Drop for FaultGuard {
    fn drop(&mut self) {
        self.driver.write(|cluster| cluster.delete(&self.key, None));
    }
}

impl std::fmt::Debug for FaultGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FaultGuard").field(&self.name()).finish()
    }
}
