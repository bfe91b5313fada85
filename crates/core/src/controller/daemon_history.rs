//! The current and former templates of a DaemonSet, as ControllerRevisions (pkg/controller/daemon/update.go,
//! constructHistory).

use std::sync::Arc;

use super::ownership;
use crate::reconcile::names::suffix;
use crate::reconcile::{Context, SyncResult};
use crate::store::{
    Change, ControllerRevision, Key, Kind, Labels, Name, Object, ObjectMeta, Pod, REVISION_LABEL,
    TEMPLATE_GENERATION_ANNOTATION, Workload,
};

/// Default maximum number of old revisions.
const HISTORY_LIMIT: usize = 10;

/// The history of one DaemonSet.
pub(super) struct History {
    /// Oldest first, without the current one.
    old: Vec<Arc<ControllerRevision>>,
    /// The label value of the pods of the current template.
    pub(super) hash: Name,
    /// The revision number of the current template.
    pub(super) revision: u64,
}

impl History {
    /// Finds the revisions of `set`. Creates one for its template, or makes an old one with the same template the
    /// newest.
    pub(super) fn of(context: Context<'_>, key: &Key, set: &Workload, result: &mut SyncResult) -> Self {
        let prefix = format!("{}-", key.name);
        let kind = Kind::ControllerRevision;
        let there = context.store.list_prefixed::<ControllerRevision>(kind, &key.namespace, &prefix);
        let mut old: Vec<Arc<ControllerRevision>> =
            there.filter(|revision| ownership::manages(context, key, &revision.metadata)).cloned().collect();
        old.sort_by_key(|revision| revision.revision);
        let current = old.iter().rposition(|revision| revision.template == set.spec.template);
        let current = current.map(|at| old.remove(at));
        let next = old.last().map_or(0, |newest| newest.revision) + 1;
        let current = match current {
            Some(current) if current.revision >= next => current,
            Some(mut current) => {
                Arc::make_mut(&mut current).revision = next;
                result.put(Object::ControllerRevision(current.clone()));
                current
            }
            None => {
                let new = Arc::new(new(context, key, set, next));
                result.put(Object::ControllerRevision(new.clone()));
                new
            }
        };
        let hash = current.metadata.labels.written(REVISION_LABEL).cloned().unwrap_or_default();
        History { old, hash, revision: current.revision }
    }

    /// Deletes the oldest revisions without pods beyond the history limit (cleanupHistory).
    pub(super) fn clean_up(&self, set: &Workload, pods: &[Arc<Pod>], result: &mut SyncResult) {
        let limit = set.spec.revision_history_limit.map_or(HISTORY_LIMIT, |limit| limit as usize);
        let mut surplus = self.old.len().saturating_sub(limit);
        for revision in &self.old {
            let hash = revision.metadata.labels.get(REVISION_LABEL);
            let used = pods.iter().any(|pod| pod.metadata.labels.get(REVISION_LABEL) == hash);
            if surplus > 0 && !used {
                result.changes.push(Change::Delete(revision.metadata.key(Kind::ControllerRevision)));
                surplus -= 1;
            }
        }
    }
}

/// The revision of the current template. Its hash is derived from its number, so that the template need not be hashed.
fn new(context: Context<'_>, key: &Key, set: &Workload, revision: u64) -> ControllerRevision {
    let hash = Name::from(suffix(&key.name, 10, (&key.namespace, revision)));
    let labels: Labels = set.spec.template.metadata.labels.with([(REVISION_LABEL, hash.clone())]);
    let mut metadata = ObjectMeta {
        name: arcstr::format!("{}-{hash}", key.name),
        namespace: key.namespace.clone(),
        labels,
        annotations: set.metadata.annotations.with([(TEMPLATE_GENERATION_ANNOTATION, revision.to_string())]),
        synthesized: true,
        ..ObjectMeta::default()
    };
    ownership::adopt(context, key, &mut metadata);
    ControllerRevision { metadata, revision, template: set.spec.template.clone() }
}
