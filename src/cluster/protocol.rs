//! The fixture over HTTP: the methods of a [`Cluster`] as verbs below `/fixture/` of a server's API, for clients in other
//! languages (`docs/fixture-protocol.md`). It translates; what a verb does is in the method of its name.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::running::Running;
use super::{Addresses, Change, Cluster, Error, Fault, Mark};
use crate::fault::FaultSpec;
use crate::manifest;
use crate::queries::{Position, QueryLog};
use crate::store::{Kind, OBJECT_BYTES, Pod, duration};
use crate::{ControlPlane, Driver};
use clusterlocal_api::{Fixture, FixtureError, FixtureReply, check_growth, growth};

/// Maximum time of `advance`: everything that is due until then happens before the reply.
const ADVANCE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Maximum time of `wait-for-change`.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// Returns the verbs for the cluster of `driver`, whose DNS listens at `dns` and whose API listens at `api`. Must be called on
/// the runtime of the server.
pub fn fixture(driver: Driver, queries: QueryLog, dns: SocketAddr, api: SocketAddr) -> Fixture {
    let domain = driver.read(|cluster| cluster.published().load().settings().domain.clone());
    let cluster = Arc::new(Cluster {
        #[cfg(feature = "watch")]
        files: super::Files::follow(crate::watch::Sources::waiting(&[]), driver.clone()),
        driver,
        queries,
        addresses: Addresses { dns, api },
        domain,
        running: Running::attached(),
        #[cfg(all(feature = "run", target_os = "linux"))]
        pods: None,
    });
    Arc::new(move |verb, arguments| -> FixtureReply {
        let cluster = cluster.clone();
        Box::pin(async move { call(&cluster, &verb, &Arguments(arguments)).await })
    })
}

async fn call(cluster: &Cluster, verb: &str, given: &Arguments) -> Result<Value, FixtureError> {
    let changed = match verb.split_once('/') {
        Some(("pod", verb)) => on_pod(cluster, verb, given).await?,
        Some(("node", verb)) => on_node(cluster, verb, given)?,
        Some(_) => return Err(FixtureError::Unknown),
        None => match verb {
            "mark" => return Ok(mark(cluster.mark())),
            "fault" => return fault(cluster, given),
            "scale" => scale(cluster, given).await?,
            "rollout" => cluster.rollout(given.text("name")?).await?,
            "apply" => apply(cluster, given.text("manifests")?)?,
            "delete" => cluster.delete(given.kind("kind")?, given.text("name")?)?,
            "advance" => cluster.advance(given.duration("by", ADVANCE_MAX)?),
            "wait-for-change" => {
                let after =
                    Position { number: given.number("query")?, serial: Some(given.number("serial")?) };
                cluster.wait_for_change(Mark(after), given.duration("within", WAIT_MAX)?).await?
            }
            _ => return Err(FixtureError::Unknown),
        },
    };
    Ok(change(&changed))
}

/// Scales a workload, unless the pods exceed the size of the store.
async fn scale(cluster: &Cluster, given: &Arguments) -> Result<Change, FixtureError> {
    let (name, replicas) = (given.text("name")?, given.number::<u32>("replicas")?);
    let wanted = usize::try_from(replicas).unwrap_or(usize::MAX);
    cluster.driver.read(|cluster| {
        let more = wanted.saturating_sub(cluster.store().list::<Pod>(Kind::Pod).count());
        fits(cluster, more.saturating_mul(OBJECT_BYTES))
    })?;
    Ok(cluster.scale(name, replicas).await?)
}

/// Applies manifests, unless their objects and pods exceed the size of the store.
fn apply(cluster: &Cluster, manifests: &str) -> Result<Change, FixtureError> {
    let read = manifest::combine(vec![manifest::read_bytes("manifests", manifests.as_bytes().to_vec())]);
    if !read.has_errors() {
        cluster.driver.read(|cluster| {
            let objects = read.objects();
            let needed = objects.iter().map(|(key, new)| growth(cluster.store().object(key), new));
            fits(cluster, needed.fold(0, usize::saturating_add))
        })?;
    }
    Ok(cluster.apply(manifests)?)
}

fn fits(cluster: &ControlPlane, more: usize) -> Result<(), FixtureError> {
    check_growth(cluster, more).map_err(|status| refused(status.message))
}

async fn on_pod(cluster: &Cluster, verb: &str, given: &Arguments) -> Result<Change, FixtureError> {
    let pod = cluster.pod(given.text("name")?);
    Ok(match verb {
        "ready" => pod.ready()?,
        "unready" => pod.unready()?,
        "crash" => pod.crash()?,
        "bind" => pod.bind(given.text("port")?, given.parsed::<SocketAddr>("address")?)?,
        "delete" => pod.delete()?,
        "force-delete" => pod.force_delete()?,
        "restart" if given.0["address"].is_null() => pod.restart().await?,
        "restart" => pod.restart_with_ip(given.parsed::<IpAddr>("address")?).await?,
        _ => return Err(FixtureError::Unknown),
    })
}

fn on_node(cluster: &Cluster, verb: &str, given: &Arguments) -> Result<Change, FixtureError> {
    let node = cluster.node(given.text("name")?);
    Ok(match verb {
        "down" => node.down()?,
        "off" => node.off()?,
        "up" => node.up()?,
        "reboot" => node.reboot()?,
        _ => return Err(FixtureError::Unknown),
    })
}

/// Adds a fault: `does` has the effect as the command line has it, `spec` the other fields of a Fault's spec.
fn fault(cluster: &Cluster, given: &Arguments) -> Result<Value, FixtureError> {
    let spec = match &given.0["spec"] {
        Value::Null => FaultSpec::default(),
        spec => serde_json::from_value(spec.clone()).map_err(|error| refused(format!("spec: {error}")))?,
    };
    let effect: FaultSpec = given.parsed("does")?;
    let (actions, sequence, preset) = (effect.actions, effect.sequence, effect.preset);
    let mut fault = Fault::from(FaultSpec { actions, sequence, preset, ..spec });
    if !given.0["name"].is_null() {
        fault = fault.named(given.text("name")?);
    }
    let key = cluster.add_fault(fault)?;
    let mut reply = mark(cluster.mark());
    reply["name"] = key.name.as_str().into();
    Ok(reply)
}

/// `{"serial", "query"}`: the serial of the DNS, and the number of the latest query.
fn mark(Mark(position): Mark) -> Value {
    json!({ "serial": position.serial, "query": position.number })
}

/// A mark with the names that were added and removed.
fn change(change: &Change) -> Value {
    let mut reply = mark(change.mark);
    let names = change.names.iter();
    let names = names.map(|name| json!({ "added": name.added, "name": name.name, "target": name.target }));
    reply["names"] = names.collect();
    reply
}

/// The arguments of a verb.
struct Arguments(Value);

impl Arguments {
    fn text(&self, key: &str) -> Result<&str, FixtureError> {
        self.0[key].as_str().ok_or_else(|| refused(format!("{key}: Required value: a text")))
    }

    fn number<T: TryFrom<u64>>(&self, key: &str) -> Result<T, FixtureError> {
        let number = self.0[key].as_u64().and_then(|number| number.try_into().ok());
        number.ok_or_else(|| refused(format!("{key}: Required value: a whole number, not negative")))
    }

    fn parsed<T: FromStr<Err: std::fmt::Display>>(&self, key: &str) -> Result<T, FixtureError> {
        let text = self.text(key)?;
        text.parse().map_err(|error| refused(format!("{key}: Invalid value: {text:?}: {error}")))
    }

    fn duration(&self, key: &str, most: Duration) -> Result<Duration, FixtureError> {
        let text = self.text(key)?;
        let found = duration(text).filter(|time| *time <= most);
        found.ok_or_else(|| {
            let most = most.as_secs() / 3600;
            refused(format!(
                "{key}: Invalid value: {text:?}: a duration such as 500ms or 1m30s, at most {most}h"
            ))
        })
    }

    fn kind(&self, key: &str) -> Result<Kind, FixtureError> {
        let name = self.text(key)?;
        let unknown =
            || refused(format!("{key}: Invalid value: {name:?}: a kind such as StatefulSet or Pod"));
        Kind::referred("", name).ok_or_else(unknown)
    }
}

fn refused(why: String) -> FixtureError {
    FixtureError::Refused(why)
}

impl From<Error> for FixtureError {
    fn from(error: Error) -> Self {
        let why = error.to_string();
        match error {
            Error::Missing { .. } => FixtureError::Missing(why),
            Error::Timeout { .. } => FixtureError::Timeout(why),
            _ => FixtureError::Refused(why),
        }
    }
}
