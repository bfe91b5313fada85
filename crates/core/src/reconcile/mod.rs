//! Takes the place of the code that kube-controller-manager's controllers and the kubelet share: their input and
//! result, generated names, and deletion. Must not depend on any controller, files or the DNS.

mod delays;
pub mod deletion;
pub mod names;

use std::borrow::Cow;

use rustc_hash::FxHashSet;

use crate::admission::Charges;
use crate::store::{Change, Key, Name, Object, Store, Time};

pub use delays::Delays;
pub use deletion::{Deletion, Propagation, delete, delete_pod};

/// Which kubelets run the pods of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kubelets {
    /// Simulated ones: pods become ready with time, without a process.
    #[default]
    Simulated,
    /// Kubelets outside of the control plane, which write the status of pods. Pods get their addresses here.
    External,
}

/// The input of a controller.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) store: &'a Store,
    pub(crate) now: Time,
    /// Whether a whole cluster starts up: pods without delays are running as soon as those before them.
    pub(crate) at_once: bool,
    pub(crate) delays: Delays,
    pub(crate) kubelets: Kubelets,
    /// The namespaces that are being deleted: the API refuses new objects in them (the admission plugin
    /// NamespaceLifecycle).
    pub(crate) terminating: &'a FxHashSet<Name>,
    /// The feature gate `MaxUnavailableStatefulSet`.
    pub(crate) max_unavailable: bool,
    /// Whether a client has changed the cluster since it was loaded from a snapshot, so that controllers act on it.
    pub(crate) driven: bool,
}

/// The result of a controller's sync.
#[derive(Default)]
pub(crate) struct SyncResult {
    pub(crate) changes: Vec<Change>,
    pub(crate) events: Vec<EmittedEvent>,
    /// When to sync again, even without an event.
    pub(crate) requeue_at: Option<Time>,
    /// Whether the API refused a change: the task is retried after a while.
    pub(crate) refused: bool,
    /// The quotas of the namespace after an object was admitted, and what it was charged for.
    pub(crate) charges: Option<Charges>,
}

/// An Event to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EmittedEvent {
    pub(crate) about: Key,
    pub(crate) warning: bool,
    /// The reporting component: `statefulset-controller`.
    pub(crate) component: &'static str,
    pub(crate) reason: Cow<'static, str>,
    pub(crate) message: String,
}

impl SyncResult {
    pub(crate) fn put(&mut self, object: Object) {
        self.changes.push(Change::Put(object));
    }

    pub(crate) fn emit_event(
        &mut self,
        component: &'static str,
        about: Key,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        self.emit(false, component, about, reason, message.into());
    }

    pub(crate) fn emit_warning(
        &mut self,
        component: &'static str,
        about: Key,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        self.emit(true, component, about, reason, message.into());
    }

    fn emit(
        &mut self,
        warning: bool,
        component: &'static str,
        about: Key,
        reason: &'static str,
        message: String,
    ) {
        self.events.push(EmittedEvent { about, warning, component, reason: reason.into(), message });
    }

    /// Syncs again at `time`, or at the time already requested, whichever is earlier.
    pub(crate) fn requeue_at(&mut self, time: Time) {
        self.requeue_at = Some(self.requeue_at.map_or(time, |earlier| earlier.min(time)));
    }
}

impl From<Vec<Change>> for SyncResult {
    fn from(changes: Vec<Change>) -> Self {
        SyncResult { changes, ..SyncResult::default() }
    }
}
