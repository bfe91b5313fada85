//! Keeps a control plane in time: whoever reads finds it at the present moment, what is due happens when it is due, and
//! those who watch are told. It must not know files, HTTP or the DNS.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::clock::{Clock, SharedClock};
use crate::control_plane::ControlPlane;
use crate::queries::Query;

/// A control plane that several can ask and change, and its clock. A clone is another handle on the same.
#[derive(Clone)]
pub struct Driver(Arc<Shared>);

struct Shared {
    cluster: Mutex<ControlPlane>,
    /// Set under the lock only.
    clock: SharedClock,
    /// The store's revision.
    revisions: watch::Sender<u64>,
    /// Something may be due earlier than before.
    earlier: Notify,
}

impl Driver {
    /// Drives `cluster` by `clock`, from now on. Nothing becomes due by itself before [`Self::run`] is called.
    pub fn new(cluster: ControlPlane, clock: Clock) -> Self {
        let (mut cluster, clock) = (cluster, SharedClock::new(clock));
        cluster.advance_to(clock.now());
        let revisions = watch::Sender::new(cluster.store().revision());
        Driver(Arc::new(Shared { cluster: Mutex::new(cluster), clock, revisions, earlier: Notify::new() }))
    }

    /// Lets things happen when they are due, for ever.
    pub async fn run(&self) {
        loop {
            let due = self.change(|cluster| cluster.due());
            let wait = due.and_then(|due| self.0.clock.get().until(due));
            let earlier = self.0.earlier.notified();
            match wait {
                // A millisecond is the least that a timer can wait for.
                Some(wait) => drop(tokio::time::timeout(wait.max(Duration::from_millis(1)), earlier).await),
                None => earlier.await,
            }
        }
    }

    /// What `look` sees of the cluster at this moment: what is due by now has happened.
    pub fn read<R>(&self, look: impl FnOnce(&ControlPlane) -> R) -> R {
        self.change(|cluster| look(cluster))
    }

    /// Lets `act` change the cluster. Afterwards those who watch are told.
    pub fn write<R>(&self, act: impl FnOnce(&mut ControlPlane) -> R) -> R {
        let result = self.change(act);
        self.0.earlier.notify_one();
        result
    }

    /// The revision of the store, told anew after each change.
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.0.revisions.subscribe()
    }

    /// Says of queries which pods they came from, as far as that is known.
    pub fn name_pods(&self, queries: &mut [Query]) {
        let clients: HashSet<IpAddr> = queries.iter().map(|query| query.client.ip()).collect();
        let pods = self.read(|cluster| cluster.pods_at(&clients));
        for query in queries {
            query.pod = pods.get(&query.client.ip()).cloned();
        }
    }

    /// The clock, to be looked at.
    pub fn clock(&self) -> &SharedClock {
        &self.0.clock
    }

    /// Lets `act` set the clock. What is due by then happens before this returns.
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
        self.0.revisions.send_if_modified(|told| std::mem::replace(told, revision) != revision);
        result
    }

    /// A panic inside of a controller must not take the cluster away from everybody else.
    fn lock(&self) -> MutexGuard<'_, ControlPlane> {
        self.0.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::Settings;

    #[test]
    fn time_passes_though_nothing_happens() {
        let driver = Driver::new(ControlPlane::new(Settings::default()), Clock::real().at_speed(100_000.0));
        let before = driver.read(ControlPlane::now);
        while driver.clock().now().since(before) < Duration::from_secs(180) {
            std::hint::spin_loop();
        }
        assert!(driver.read(ControlPlane::now).since(before) >= Duration::from_secs(180));
    }
}
