//! Takes the place of what kube-controller-manager's controllers and the kubelet share: what they decide from and what they
//! decide, names they generate, and how an object is deleted. It must not know a single controller, files or the DNS.

mod delays;
pub mod deletion;
pub mod names;

use rustc_hash::FxHashSet;

use crate::admission::Charges;
use crate::store::{Change, Key, Name, Object, Store, Time};

pub use delays::Delays;
pub use deletion::{Deletion, Propagation, delete, delete_pod};

/// What a controller decides from.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) store: &'a Store,
    pub(crate) now: Time,
    /// Whether a cluster comes up as a whole: pods that take no time are there with those before them.
    pub(crate) at_once: bool,
    pub(crate) delays: Delays,
    /// The namespaces that are being deleted: the API refuses new objects in them (the admission plugin
    /// NamespaceLifecycle).
    pub(crate) terminating: &'a FxHashSet<Name>,
    /// The feature gate `MaxUnavailableStatefulSet`.
    pub(crate) max_unavailable: bool,
    /// Whether what a snapshot shows is only where the cluster began: somebody has changed something since.
    pub(crate) driven: bool,
}

/// What a controller decided.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) changes: Vec<Change>,
    pub(crate) told: Vec<Told>,
    /// When to look again, even if nothing happens.
    pub(crate) again: Option<Time>,
    /// Whether the API refused something: the task is repeated after a while.
    pub(crate) refused: bool,
    /// The quotas of the namespace, once an object was admitted, and what it was charged for.
    pub(crate) charges: Option<Charges>,
}

/// Something to tell people by an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) about: Key,
    pub(crate) warning: bool,
    /// Who tells: `statefulset-controller`.
    pub(crate) by: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Outcome {
    pub(crate) fn put(&mut self, object: Object) {
        self.changes.push(Change::Put(object));
    }

    pub(crate) fn tell(
        &mut self,
        by: &'static str,
        about: Key,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        self.told.push(Told { about, warning: false, by, reason, message: message.into() });
    }

    pub(crate) fn warn(
        &mut self,
        by: &'static str,
        about: Key,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        self.told.push(Told { about, warning: true, by, reason, message: message.into() });
    }

    /// Looks again at `time`, or when it wanted to, whichever is earlier.
    pub(crate) fn look_again(&mut self, time: Time) {
        self.again = Some(self.again.map_or(time, |again| again.min(time)));
    }
}

impl From<Vec<Change>> for Outcome {
    fn from(changes: Vec<Change>) -> Self {
        Outcome { changes, ..Outcome::default() }
    }
}
