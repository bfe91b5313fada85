//! What a test lets go wrong, said from Rust; what comes of it is told in [`fault`](crate::fault).

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::change::Before;
use super::{Change, Cluster, Error};
use crate::fault::{Action, Actions, FaultSpec, Preset, Transport};
use crate::queries::QueryLog;
use crate::store::{self, Key, Kind, Object, ObjectMeta};
use crate::{ControlPlane, Driver, RecordType, ResponseCode, manifest};

/// What goes wrong, for whom and when: first what it hits, then what happens. Texts are those of `Fault` objects, and of
/// `clusterlocal fault add`.
///
/// ```
/// # use clusterlocal::{Cluster, Fault, RecordType};
/// # use std::time::Duration;
/// # fn main() -> Result<(), clusterlocal::Error> {
/// let cluster = Cluster::builder().topology("sets: {db: {replicas: 3, ports: {cql: 9042}}}").start().wait()?;
/// // The first two SRV lookups fail.
/// let failing = cluster.fault(Fault::on("_cql._tcp.*").qtype(RecordType::SRV).servfail().times(2));
/// // One answer in four comes late, to one of the pods.
/// let slow = cluster.fault(Fault::on("*").client("db-1").probability(0.25).delay(Duration::from_secs(3)));
/// // Only two of the pods are told of, and TC is not set.
/// let few = cluster.fault(Fault::on("db.*").does("cut 2"));
/// // Nothing is answered for half a minute.
/// let outage = cluster.fault(Fault::preset("dns-outage 30s"));
/// assert_eq!(failing.hits(), 0);
/// drop(outage);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "it does nothing before it is given to `Cluster::fault`"]
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
    /// On questions for names like `pattern`: `*` stands for any characters, `?` for one; all of them for `*`.
    ///
    /// # Panics
    /// If that is no pattern for names: it is empty, or has spaces or commas in it.
    #[track_caller]
    pub fn on(pattern: &str) -> Self {
        let mut fault = Fault::from(FaultSpec::default());
        fault.spec.matching.name = (pattern != "*").then(|| parsed(pattern));
        fault
    }

    /// A trouble that people know, by its name: `cache 30`, `nodelocal`, `two-replicas-disagree`, `dns-outage 30s`, `slow 3s`
    /// and others, see [`PRESETS`](crate::fault::PRESETS). On all questions; the other methods narrow that down.
    ///
    /// # Panics
    /// If there is none of that name.
    #[track_caller]
    pub fn preset(preset: &str) -> Self {
        let preset: Preset = parsed(preset);
        Fault::from(FaultSpec { preset: Some(preset), ..FaultSpec::default() })
    }

    /// On questions for records of this type. More than once adds to them.
    pub fn qtype(mut self, qtype: RecordType) -> Self {
        self.spec.matching.types.push(qtype);
        self
    }

    /// On questions over UDP, or over TCP.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.spec.matching.transport = Some(transport);
        self
    }

    /// On questions from a pod (`db-1`, `ring/db-1`), an address or a network. More than once adds to them.
    ///
    /// # Panics
    /// If it is none of these.
    #[track_caller]
    pub fn client(mut self, client: &str) -> Self {
        self.spec.matching.clients.push(parsed(client));
        self
    }

    /// On each third, say, of the questions for which all else holds.
    ///
    /// # Panics
    /// If that is each noughth.
    #[track_caller]
    pub fn every(mut self, count: u32) -> Self {
        self.spec.matching.every = Some(NonZeroU32::new(count).expect("each noughth question is none"));
        self
    }

    /// With this probability, from 0 to 1, drawn from the [`seed`](Self::seed) for each question.
    ///
    /// # Panics
    /// If that is no probability.
    #[track_caller]
    pub fn probability(mut self, probability: f64) -> Self {
        self.spec.matching.probability = Some(parsed(&probability.to_string()));
        self
    }

    /// So often at most.
    pub fn times(mut self, times: u32) -> Self {
        self.spec.times = Some(times);
        self
    }

    /// Before faults of a lower priority, which is 0 by default; among equals, the one that was created first is tried first.
    pub fn priority(mut self, priority: i32) -> Self {
        self.spec.priority = priority;
        self
    }

    /// From so long after it was made, in the cluster's time.
    pub fn after(mut self, time: Duration) -> Self {
        self.spec.after = time;
        self
    }

    /// For so long, in the cluster's time.
    pub fn lasting(mut self, time: Duration) -> Self {
        self.spec.lasting = Some(time);
        self
    }

    /// With what goes by lot derived from this.
    pub fn seed(mut self, seed: u64) -> Self {
        self.spec.seed = seed;
        self
    }

    /// Under this name. Of several faults that hit a question, the first by name has it alone; without a word they are
    /// called `fault-1`, `fault-2` …, as they are made.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// SERVFAIL.
    pub fn servfail(self) -> Self {
        self.action(Action::Rcode(ResponseCode::SERVFAIL))
    }

    /// REFUSED.
    pub fn refused(self) -> Self {
        self.action(Action::Rcode(ResponseCode::REFUSED))
    }

    /// NXDOMAIN.
    pub fn nxdomain(self) -> Self {
        self.action(Action::Rcode(ResponseCode::NXDOMAIN))
    }

    /// The name exists, and has no such records.
    pub fn nodata(self) -> Self {
        self.action(Action::NoData)
    }

    /// No answer.
    pub fn silence(self) -> Self {
        self.action(Action::Drop)
    }

    /// The answer comes so much later, by the wall's clock: a client's patience does not know the cluster's.
    pub fn delay(self, by: Duration) -> Self {
        self.action(Action::Delay { by, jitter: Duration::ZERO })
    }

    /// TC is set and no record is there, as if the answer did not fit.
    pub fn truncate(self) -> Self {
        self.action(Action::Truncate { keep: 0 })
    }

    /// This, too.
    #[doc(hidden)]
    pub fn action(mut self, action: Action) -> Self {
        self.spec.actions.0.push(action);
        self
    }

    /// What `actions` says, too: `"omit db-1.*, glue none"`. All there is to say is in [`ACTIONS`](crate::fault::ACTIONS).
    ///
    /// # Panics
    /// If it says nothing that there is.
    #[track_caller]
    pub fn does(mut self, actions: &str) -> Self {
        let actions: Actions = parsed(actions);
        self.spec.actions.0.extend(actions.0);
        self
    }

    /// What each of `steps` says, in turn for each name, type and client: `["ok", "ok", "drop"]`.
    ///
    /// # Panics
    /// If one of them says nothing that there is.
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

/// A fault of a cluster. It is over when this is dropped.
#[must_use = "the fault is over as soon as this is dropped"]
pub struct FaultGuard {
    driver: Driver,
    queries: QueryLog,
    key: Key,
}

impl Cluster {
    /// Lets something go wrong, from now on until what is returned is dropped.
    ///
    /// # Panics
    /// If the fault asks for what cannot be together, or has a name that none can have.
    #[track_caller]
    pub fn fault(&self, fault: impl Into<Fault>) -> FaultGuard {
        self.try_fault(fault).unwrap_or_else(|refused| panic!("{refused}"))
    }

    /// As [`fault`](Self::fault), for faults that come from elsewhere.
    ///
    /// # Errors
    /// If the fault asks for what cannot be together, or has a name that none can have.
    pub fn try_fault(&self, fault: impl Into<Fault>) -> Result<FaultGuard, Error> {
        let Fault { spec, name } = fault.into();
        let key = self.driver.write(|cluster| {
            let name = name.unwrap_or_else(|| free_name(cluster));
            let metadata = ObjectMeta { name: name.into(), ..ObjectMeta::default() };
            let object = Object::Fault(Arc::new(store::Fault { metadata, spec, ..store::Fault::default() }));
            let key = object.key();
            if let Some(refused) = manifest::refused(&object) {
                return Err(Error::Refused(format!("{key}: {refused}")));
            }
            cluster.request(vec![store::Change::Put(object)]);
            Ok(key)
        })?;
        Ok(FaultGuard { driver: self.driver.clone(), queries: self.queries.clone(), key })
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
    /// The fault's name, as queries that it hit tell it.
    pub fn name(&self) -> &str {
        &self.key.name
    }

    /// How many questions and connections it has hit.
    pub fn hits(&self) -> u64 {
        self.driver.read(|cluster| cluster.faults().hits(&self.key.name))
    }

    /// Ends it now, and tells when that was: `queries().after(&ended)`.
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
