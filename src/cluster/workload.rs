//! What makes a cluster's pods, and when that is done.

use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::change::Before;
use super::{Change, Cluster, Error, Operation, key, missing};
use crate::store::{Key, Kind, StatefulSet, Workload};
use crate::{ControlPlane, Driver};

/// How long is waited for pods, by the wall. Where that is not enough, the clock runs too slowly for a test.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What makes pods, in the order in which names are looked up.
const SCALABLE: [Kind; 3] = [Kind::StatefulSet, Kind::Deployment, Kind::ReplicaSet];

impl Cluster {
    /// Lets the StatefulSet, Deployment or ReplicaSet of this name have so many pods. Done when it has, all of them
    /// ready, and the DNS shows it; see [`rollout`](Self::rollout) for how long that is waited for.
    ///
    /// # Errors
    /// When there is none, or it has them not in time.
    pub fn scale(&self, name: &str, replicas: u32) -> Operation<'_, Result<Change, Error>> {
        let named = key(Kind::StatefulSet, name);
        self.operation(async move {
            let (key, before) = self.driver.write(|cluster| {
                let key = workload(cluster, &named)?;
                let before = Before::now(cluster);
                cluster.scale(&key, replicas);
                Ok::<_, Error>((key, before))
            })?;
            self.rolled_out(&key).await?;
            Ok(before.change(&self.driver, &self.queries))
        })
    }

    /// Waits until the StatefulSet, Deployment or ReplicaSet of this name has all its pods, of its latest template and
    /// ready: `kubectl rollout status`. Also done when nothing more is going to happen before somebody does something: a pod's
    /// readiness is held, or the clock stands still.
    ///
    /// # Errors
    /// When there is none, or after 30 seconds by the wall.
    pub fn rollout(&self, name: &str) -> Operation<'_, Result<Change, Error>> {
        let named = key(Kind::StatefulSet, name);
        self.operation(async move {
            let (key, before) = self
                .driver
                .read(|cluster| workload(cluster, &named).map(|key| (key, Before::now(cluster))))?;
            self.rolled_out(&key).await?;
            Ok(before.change(&self.driver, &self.queries))
        })
    }

    async fn rolled_out(&self, key: &Key) -> Result<(), Error> {
        let aim = format!("the rollout of {key}");
        self.until(
            &aim,
            |cluster| Progress::of(cluster, key).is_done(),
            |cluster| Progress::of(cluster, key).to_string(),
        )
        .await
    }

    /// Waits until `aim` holds, or nothing more is going to happen before somebody does something.
    pub(super) async fn until(
        &self,
        awaited: &str,
        aim: impl Fn(&ControlPlane) -> bool,
        state: impl Fn(&ControlPlane) -> String,
    ) -> Result<(), Error> {
        let is_over = |driver: &Driver| {
            let running = driver.clock().get().is_running();
            // The deadline of a rollout that stands still is no work that is left.
            let idle =
                |cluster: &ControlPlane| cluster.due().is_none_or(|due| due.since(cluster.now()) > PATIENCE);
            driver.read(|cluster| aim(cluster) || !running || idle(cluster))
        };
        wait_until(&self.driver, PATIENCE, is_over).await.map_err(|_| Error::Overdue {
            awaited: awaited.into(),
            waited: PATIENCE,
            state: self.driver.read(state),
        })
    }
}

/// Waits until the cluster of `driver` `is_over`, or ends, and looks again at each of its changes: at most for `within`, by the wall.
pub(super) async fn wait_until(
    driver: &Driver,
    within: Duration,
    is_over: impl Fn(&Driver) -> bool,
) -> Result<(), Elapsed> {
    let mut revisions = driver.revisions();
    let over = async {
        loop {
            revisions.mark_unchanged();
            if is_over(driver) || revisions.changed().await.is_err() {
                return;
            }
        }
    };
    timeout(within, over).await
}

/// What makes pods under the name of `named`.
fn workload(cluster: &ControlPlane, named: &Key) -> Result<Key, Error> {
    let keys = SCALABLE.map(|kind| Key { kind, ..named.clone() });
    let found = keys.into_iter().find(|key| cluster.store().object(key).is_some());
    found.ok_or_else(|| missing(cluster, named))
}

/// How far a rollout is.
struct Progress {
    wanted: u32,
    all: u32,
    ready: u32,
    /// Of the latest template, where those before are to be replaced at all.
    updated: u32,
}

impl Progress {
    fn of(cluster: &ControlPlane, key: &Key) -> Progress {
        let (namespace, name) = (&key.namespace, &key.name);
        if let Some(set) = cluster.store().get::<StatefulSet>(key.kind, namespace, name) {
            let (wanted, status) = (set.spec.replicas.unwrap_or(1), &set.status);
            let strategy = &set.spec.update_strategy;
            let kept = strategy.rolling().map_or(wanted, |rolling| rolling.partition);
            let updated =
                if strategy.is_on_delete() { wanted } else { status.updated_replicas + kept.min(wanted) };
            let (all, ready) = (status.replicas, status.ready_replicas);
            return Progress { wanted, all, ready, updated: updated.min(wanted) };
        }
        match cluster.store().get::<Workload>(key.kind, namespace, name) {
            Some(set) => {
                let (wanted, status) = (set.spec.replicas.unwrap_or(1), &set.status);
                let updated = if key.kind == Kind::Deployment { status.updated_replicas } else { wanted };
                Progress { wanted, all: status.replicas, ready: status.ready_replicas, updated }
            }
            // It is gone, and so are its pods.
            None => Progress { wanted: 0, all: 0, ready: 0, updated: 0 },
        }
    }

    fn is_done(&self) -> bool {
        [self.all, self.ready, self.updated] == [self.wanted; 3]
    }
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Progress { wanted, all, ready, updated } = self;
        write!(
            f,
            "{wanted} pods are wanted, there are {all}, {ready} are ready, {updated} of the latest template"
        )
    }
}
