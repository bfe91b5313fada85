//! The current and former templates of a StatefulSet, as ControllerRevisions (pkg/controller/history).

use std::sync::Arc;

use crate::reconcile::names::suffix;
use crate::reconcile::{Context, SyncResult};

use crate::store::{
    Change, ControllerRevision, Key, Kind, Links, Name, Object, ObjectMeta, Owner, Pod, REVISION_LABEL,
    StatefulSet, Uid,
};

/// The label with the hash of a revision's template (`history.ControllerRevisionHashLabel`).
const HASH_LABEL: &str = "controller.kubernetes.io/hash";

/// Default maximum number of old revisions.
const HISTORY_LIMIT: usize = 10;

/// The revisions of one set.
pub(super) struct Revisions {
    /// Oldest first; the last has the current template.
    all: Vec<Arc<ControllerRevision>>,
}

impl Revisions {
    /// Finds the revisions of `set`. Creates one for its template, or makes an old one with the same template the
    /// newest.
    pub(super) fn of(
        context: Context<'_>,
        key: &Key,
        uid: Uid,
        set: &StatefulSet,
        result: &mut SyncResult,
    ) -> Self {
        let prefix = format!("{}-", key.name);
        let there = context.store.list_prefixed::<ControllerRevision>(
            Kind::ControllerRevision,
            &key.namespace,
            &prefix,
        );
        let mut all: Vec<_> = there.filter(|revision| revision.metadata.is_owned_by(key)).cloned().collect();
        all.sort_by_key(|revision| revision.revision);
        let newest = all.last().map_or(0, |newest| newest.revision);
        match all.iter().position(|revision| revision.template == set.spec.template) {
            Some(at) if at + 1 == all.len() => {}
            Some(at) => {
                let mut again = all.remove(at);
                Arc::make_mut(&mut again).revision = newest + 1;
                result.put(Object::ControllerRevision(again.clone()));
                all.push(again);
            }
            None => {
                let new = Arc::new(new(key, uid, set, newest + 1));
                result.put(Object::ControllerRevision(new.clone()));
                all.push(new);
            }
        }
        Revisions { all }
    }

    /// The revision of the current template.
    pub(super) fn update(&self) -> &Arc<ControllerRevision> {
        self.all.last().expect("a set has the revision of its template")
    }

    /// The revision called `name`; the current one if it does not exist.
    pub(super) fn named(&self, name: &str) -> &Arc<ControllerRevision> {
        self.all.iter().find(|revision| revision.metadata.name == name).unwrap_or_else(|| self.update())
    }

    /// Deletes the oldest unused ones beyond the history limit.
    pub(super) fn prune(
        &self,
        set: &StatefulSet,
        current: &Name,
        pods: &[&Arc<Pod>],
        result: &mut SyncResult,
    ) {
        let limit = set.spec.revision_history_limit.map_or(HISTORY_LIMIT, |limit| limit as usize);
        if self.all.len() <= limit {
            return;
        }
        let used = |name: &Name| {
            name == current
                || *name == self.update().metadata.name
                || pods.iter().any(|pod| revision_of(pod) == Some(name))
        };
        let unused: Vec<_> = self.all.iter().filter(|revision| !used(&revision.metadata.name)).collect();
        for old in unused.iter().take(unused.len().saturating_sub(limit)) {
            result.changes.push(Change::Delete(old.metadata.key(Kind::ControllerRevision)));
        }
    }
}

/// The name of the revision that a pod was made from.
pub(super) fn revision_of(pod: &Pod) -> Option<&Name> {
    pod.metadata.labels.written(REVISION_LABEL)
}

/// Kubernetes derives the name from a hash of the template; here it is derived from the number, so that the template
/// need not be hashed.
fn new(key: &Key, uid: Uid, set: &StatefulSet, revision: u64) -> ControllerRevision {
    // The set's name is not cut as that of a pod is (history.ControllerRevisionName).
    let hash = Name::from(suffix(&key.name, 10, (&key.namespace, revision)));
    let name = arcstr::format!("{}-{hash}", key.name);
    let labels = set.spec.template.metadata.labels.with([(HASH_LABEL, hash)]);
    let metadata = ObjectMeta {
        name,
        namespace: key.namespace.clone(),
        labels,
        annotations: set.metadata.annotations.clone(),
        links: Links::of_controller(Owner::controller(key.kind, key.name.clone(), Some(uid)), ""),
        synthesized: true,
        ..ObjectMeta::default()
    };
    ControllerRevision { metadata, revision, template: set.spec.template.clone() }
}
