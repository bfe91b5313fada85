//! The templates that a StatefulSet has and had, as ControllerRevisions (pkg/controller/history).

use std::sync::Arc;

use crate::reconcile::names::suffix;
use crate::reconcile::{Context, Outcome};

use crate::store::{
    Change, ControllerRevision, Key, Kind, Links, Name, Object, ObjectMeta, Owner, Pod, REVISION_LABEL,
    StatefulSet, Uid,
};

/// The label of a revision that says the hash of its template (`history.ControllerRevisionHashLabel`).
const HASH_LABEL: &str = "controller.kubernetes.io/hash";

/// So many old revisions are kept, if the set does not say.
const HISTORY_LIMIT: usize = 10;

/// The revisions of one set.
pub(super) struct Revisions {
    /// Oldest first; the last is the template of today.
    all: Vec<Arc<ControllerRevision>>,
}

impl Revisions {
    /// The revisions of `set`; one is made, or an old one becomes the newest again, if its template asks for that.
    pub(super) fn of(
        context: Context<'_>,
        key: &Key,
        uid: Uid,
        set: &StatefulSet,
        outcome: &mut Outcome,
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
                outcome.put(Object::ControllerRevision(again.clone()));
                all.push(again);
            }
            None => {
                let new = Arc::new(new(key, uid, set, newest + 1));
                outcome.put(Object::ControllerRevision(new.clone()));
                all.push(new);
            }
        }
        Revisions { all }
    }

    /// The revision of the template of today.
    pub(super) fn update(&self) -> &Arc<ControllerRevision> {
        self.all.last().expect("a set has the revision of its template")
    }

    /// The revision called `name`; that of today if there is none.
    pub(super) fn named(&self, name: &str) -> &Arc<ControllerRevision> {
        self.all.iter().find(|revision| revision.metadata.name == name).unwrap_or_else(|| self.update())
    }

    /// Lets go of the oldest ones that nobody uses.
    pub(super) fn prune(&self, set: &StatefulSet, current: &Name, pods: &[&Arc<Pod>], outcome: &mut Outcome) {
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
            outcome.changes.push(Change::Delete(old.metadata.key(Kind::ControllerRevision)));
        }
    }
}

/// The name of the revision that a pod was made from.
pub(super) fn revision_of(pod: &Pod) -> Option<&Name> {
    pod.metadata.labels.written(REVISION_LABEL)
}

/// Kubernetes makes the name from a hash of the template; here it follows from the number, so that nobody has to read
/// the template for it.
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
