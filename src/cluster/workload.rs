//! Scaling workloads, and waiting for their rollouts.

use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::change::Before;
use super::{Change, Cluster, Error, Operation, key, missing};
use crate::reconcile::Kubelets;
use crate::store::{Key, Kind, StatefulSet, Workload};
use crate::{ControlPlane, Driver};

/// Time-out of a rollout, in real time: enough for any test whose clock is not slowed down.
pub(super) const ROLLOUT_TIMEOUT: Duration = Duration::from_secs(30);

/// Kinds that `scale` and `rollout` accept, in the order of lookup.
const SCALABLE: [Kind; 3] = [Kind::StatefulSet, Kind::Deployment, Kind::ReplicaSet];

impl Cluster {
    /// Sets the number of replicas of the StatefulSet, Deployment or ReplicaSet `name`. Done when all of its pods are ready
    /// and the DNS shows them; see [`rollout`](Self::rollout) for the time-out.
    ///
    /// # Errors
    /// If there is no such workload, or its pods are not ready in time.
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

    /// Waits until the StatefulSet, Deployment or ReplicaSet `name` has all its pods, of its latest template and ready:
    /// `kubectl rollout status`. Also done when the cluster is idle, with no timer pending: the readiness of a pod is held
    /// by an annotation, or the clock stands still.
    ///
    /// # Errors
    /// If there is no such workload, or after 30 seconds of real time.
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

    /// Waits until `aim` holds, or the cluster is idle, with no timer pending. With pods that are processes it never is.
    pub(super) async fn until(
        &self,
        awaited: &str,
        aim: impl Fn(&ControlPlane) -> bool,
        state: impl Fn(&ControlPlane) -> String,
    ) -> Result<(), Error> {
        let is_over = |driver: &Driver| {
            let running = driver.clock().get().is_running();
            // The progress deadline of a stalled rollout does not count as pending work.
            let idle = |cluster: &ControlPlane| {
                cluster.due().is_none_or(|due| due.since(cluster.now()) > ROLLOUT_TIMEOUT)
            };
            let is_known = |cluster: &ControlPlane| cluster.kubelets() == Kubelets::Simulated;
            driver.read(|cluster| aim(cluster) || !running || (is_known(cluster) && idle(cluster)))
        };
        wait_until(&self.driver, ROLLOUT_TIMEOUT, is_over).await.map_err(|_| Error::Timeout {
            awaited: awaited.into(),
            waited: ROLLOUT_TIMEOUT,
            state: self.driver.read(state),
        })
    }
}

/// Waits at most `within`, in real time, until `is_over` holds for `driver`, checked at each change of its cluster, or the
/// cluster ends.
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

/// Returns the key of the workload that `named` refers to by its name.
fn workload(cluster: &ControlPlane, named: &Key) -> Result<Key, Error> {
    let keys = SCALABLE.map(|kind| Key { kind, ..named.clone() });
    let found = keys.into_iter().find(|key| cluster.store().object(key).is_some());
    found.ok_or_else(|| missing(cluster, named))
}

/// The progress of a rollout.
struct Progress {
    wanted: u32,
    all: u32,
    ready: u32,
    /// Pods of the latest template; all of them if older pods are not replaced.
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
            // The workload is deleted, and so are its pods.
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
        write!(f, "{all} of {wanted} pods exist, {ready} are ready, {updated} are of the latest template")
    }
}
