//! Keeps a control plane in step with a clock: readers see its state at the current time, timers fire when they are
//! due, and watchers are notified. Must not depend on files, HTTP or the DNS.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::clock::{Clock, SharedClock};
use crate::control_plane::ControlPlane;
use crate::queries::Query;

/// A control plane with its clock, shared by threads. Clones are handles to the same one.
#[derive(Clone)]
pub struct Driver(Arc<Shared>);

struct Shared {
    cluster: Mutex<ControlPlane>,
    /// Changed only under the lock.
    clock: SharedClock,
    /// The store's revision.
    revisions: watch::Sender<u64>,
    /// Notifies `run` that a timer may be due earlier than before.
    earlier: Notify,
}

impl Driver {
    /// Starts to drive `cluster` by `clock`. No timer fires by itself before [`Self::run`] is called.
    pub fn new(cluster: ControlPlane, clock: Clock) -> Self {
        let (mut cluster, clock) = (cluster, SharedClock::new(clock));
        cluster.advance_to(clock.now());
        let revisions = watch::Sender::new(cluster.store().revision());
        Driver(Arc::new(Shared { cluster: Mutex::new(cluster), clock, revisions, earlier: Notify::new() }))
    }

    /// Fires timers when they are due. Never returns.
    pub async fn run(&self) {
        loop {
            let due = self.change(|cluster| cluster.due());
            let wait = due.and_then(|due| self.0.clock.get().until(due));
            let earlier = self.0.earlier.notified();
            match wait {
                // A timer cannot wait for less than a millisecond.
                Some(wait) => drop(tokio::time::timeout(wait.max(Duration::from_millis(1)), earlier).await),
                None => earlier.await,
            }
        }
    }

    /// Passes the cluster at the current time to `read`, after all timers that are due.
    pub fn read<R>(&self, read: impl FnOnce(&ControlPlane) -> R) -> R {
        self.change(|cluster| read(cluster))
    }

    /// Passes the cluster to `act`, which may change it, and notifies watchers afterwards.
    pub fn write<R>(&self, act: impl FnOnce(&mut ControlPlane) -> R) -> R {
        let result = self.change(act);
        self.0.earlier.notify_one();
        result
    }

    /// The store's revision, sent after each change.
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.0.revisions.subscribe()
    }

    /// Fills in the pods that queries came from, where known.
    pub fn name_pods(&self, queries: &mut [Query]) {
        let clients: HashSet<IpAddr> = queries.iter().map(|query| query.client.ip()).collect();
        let pods = self.read(|cluster| cluster.pods_at(&clients));
        for query in queries {
            query.pod = pods.get(&query.client.ip()).cloned();
        }
    }

    /// The clock, for reading.
    pub fn clock(&self) -> &SharedClock {
        &self.0.clock
    }

    /// Passes the clock to `act`, which may change it. Timers that are due by then fire before this returns.
    pub fn set_clock(&self, act: impl FnOnce(&mut Clock)) {
        self.change(|cluster| {
            self.0.clock.set(act);
            cluster.advance_to(self.0.clock.now());
        });
        self.0.earlier.notify_one();
    }

    fn change<R>(&self, act: impl FnOnce(&mut ControlPlane) -> R) -> R {
        let mut cluster = self.lock();
        cluster.advance_to(self.0.clock.now());
        let result = act(&mut cluster);
        let revision = cluster.store().revision();
        drop(cluster);
        self.0.revisions.send_if_modified(|sent| std::mem::replace(sent, revision) != revision);
        result
    }

    /// A panic inside a controller must not make the cluster unusable for other threads.
    fn lock(&self) -> MutexGuard<'_, ControlPlane> {
        self.0.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::Settings;

    #[test]
    fn timers_fire_without_reads() {
        let driver = Driver::new(ControlPlane::new(Settings::default()), Clock::real().at_speed(100_000.0));
        let before = driver.read(ControlPlane::now);
        while driver.clock().now().since(before) < Duration::from_secs(180) {
            std::hint::spin_loop();
        }
        assert!(driver.read(ControlPlane::now).since(before) >= Duration::from_secs(180));
    }
}
