//! Keeps a control plane in time: whoever reads finds it at the present moment, what is due happens when it is due, and
//! those who watch are told. It must not know files, HTTP or the DNS.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::clock::Clock;
use crate::control_plane::ControlPlane;

/// A control plane that several can ask and change, and its clock. A clone is another handle on the same.
#[derive(Clone)]
pub struct Driver(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// The store's revision.
    revisions: watch::Sender<u64>,
    /// Something may be due earlier than before.
    earlier: Notify,
}

struct State {
    cluster: ControlPlane,
    clock: Clock,
}

impl State {
    fn catch_up(&mut self) {
        self.cluster.advance_to(self.clock.now());
    }
}

impl Driver {
    /// Drives `cluster` by `clock`, from now on. Nothing becomes due by itself before [`Self::run`] is called.
    pub fn new(cluster: ControlPlane, clock: Clock) -> Self {
        let mut state = State { cluster, clock };
        state.catch_up();
        let revisions = watch::Sender::new(state.cluster.store().revision());
        Driver(Arc::new(Shared { state: Mutex::new(state), revisions, earlier: Notify::new() }))
    }

    /// Lets things happen when they are due, for ever.
    pub async fn run(&self) {
        loop {
            let wait = self.change(|state| {
                let due = state.cluster.due();
                due.and_then(|due| state.clock.until(due))
            });
            let earlier = self.0.earlier.notified();
            match wait {
                // A millisecond is the least that a timer can wait for.
                Some(wait) => drop(tokio::time::timeout(wait.max(Duration::from_millis(1)), earlier).await),
                None => earlier.await,
            }
        }
    }

    /// What `look` sees of the cluster at this moment.
    pub fn read<R>(&self, look: impl FnOnce(&ControlPlane) -> R) -> R {
        look(&self.lock().cluster)
    }

    /// Lets `act` change the cluster. Afterwards those who watch are told.
    pub fn write<R>(&self, act: impl FnOnce(&mut ControlPlane) -> R) -> R {
        let result = self.change(|state| act(&mut state.cluster));
        self.0.earlier.notify_one();
        result
    }

    /// The revision of the store, told anew after each change.
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.0.revisions.subscribe()
    }

    /// The clock, as it is.
    pub fn clock(&self) -> Clock {
        self.lock().clock.clone()
    }

    /// Lets `act` set the clock. What is due by then happens before this returns.
    pub fn set_clock(&self, act: impl FnOnce(&mut Clock)) {
        self.change(|state| {
            act(&mut state.clock);
            state.catch_up();
        });
        self.0.earlier.notify_one();
    }

    fn change<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        state.catch_up();
        let result = act(&mut state);
        let revision = state.cluster.store().revision();
        drop(state);
        self.0.revisions.send_if_modified(|told| std::mem::replace(told, revision) != revision);
        result
    }

    /// A panic inside of a controller must not take the cluster away from everybody else.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
