//! Ownership of objects by controllers: a controller manages the objects that its selector matches, adopts matching
//! objects without a controller, and releases its own that no longer match (pkg/controller/controller_ref_manager.go).

use std::sync::Arc;

use crate::reconcile::{Context, SyncResult};
use crate::store::{Key, LabelSelector, Labels, Object, ObjectMeta, Owner, Pod, Stored, Workload};

/// The owner reference of objects that the controller at `key` creates.
pub(super) fn controller_ref(context: Context<'_>, key: &Key) -> Owner {
    Owner::controller(key.kind, key.name.clone(), context.store.stored(key).map(Stored::uid))
}

/// Whether the object at `key` is the controller of an object with this metadata.
pub(super) fn manages(context: Context<'_>, key: &Key, meta: &ObjectMeta) -> bool {
    let uid = || context.store.stored(key).map(Stored::uid);
    meta.is_owned_by(key) && uid().is_some_and(|uid| meta.is_controlled_by(key, uid))
}

/// The controller of an object, if it has one.
pub(super) fn controller_key(meta: &ObjectMeta) -> Option<Key> {
    meta.controller().map(|owner| owner.key(&meta.namespace))
}

/// Makes the object at `key` the controller of an object.
pub(super) fn adopt(context: Context<'_>, key: &Key, meta: &mut ObjectMeta) {
    meta.links.add_owner(controller_ref(context, key));
}

/// Removes the object at `key` as the controller of an object.
pub(super) fn release(key: &Key, meta: &mut ObjectMeta) {
    meta.links.remove_owners(|owner| owner.controller && owner.is(key));
}

/// The selector of a workload; by default all labels of its template.
pub(super) fn selector_of(set: &Workload) -> LabelSelector {
    let of_template = || LabelSelector::of(set.spec.template.metadata.labels.clone());
    set.spec.selector.clone().unwrap_or_else(of_template)
}

/// What to do with an object according to the selector (BaseControllerRefManager.ClaimObject).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Nothing: another controller manages it, or it does not match.
    None,
    Own,
    Adopt,
    Release,
}

impl Claim {
    /// The claim on an object that the controller manages, or that is an orphan; a controller that is being deleted
    /// changes none.
    pub(super) fn of(owned: bool, orphan: bool, matches: bool, terminating: bool, deleting: bool) -> Self {
        if owned && matches {
            Claim::Own
        } else if owned && !deleting {
            Claim::Release
        } else if orphan && matches && !terminating && !deleting {
            Claim::Adopt
        } else {
            Claim::None
        }
    }
}

/// The pods of the workload at `key`, by name, after adoption and release. Terminating pods are neither adopted nor
/// released.
pub(super) fn claim_pods(
    context: Context<'_>,
    key: &Key,
    set: &Workload,
    result: &mut SyncResult,
) -> Vec<Arc<Pod>> {
    let selector = selector_of(set);
    let deleting = set.metadata.deletion_timestamp.is_some();
    let mut matcher = Matcher { selector: &selector, last: None };
    let Some(uid) = context.store.stored(key).map(Stored::uid) else { return Vec::new() };
    let mut pods = Vec::new();
    for pod in context.store.pods_near(key, &selector) {
        let meta = &pod.metadata;
        let matches = matcher.matches(&meta.labels);
        let owned = meta.is_controlled_by(key, uid);
        match Claim::of(owned, meta.links.is_orphan(), matches, pod.is_terminating(), deleting) {
            Claim::Own => pods.push(pod.clone()),
            Claim::Adopt => {
                let mut pod = pod.clone();
                adopt(context, key, &mut Arc::make_mut(&mut pod).metadata);
                result.put(Object::Pod(pod.clone()));
                pods.push(pod);
            }
            Claim::Release if !pod.is_terminating() => {
                let mut pod = pod.clone();
                release(key, &mut Arc::make_mut(&mut pod).metadata);
                result.put(Object::Pod(pod));
            }
            Claim::Release | Claim::None => {}
        }
    }
    pods
}

/// A selector that is matched against the labels of many pods of few templates.
struct Matcher<'a> {
    selector: &'a LabelSelector,
    last: Option<(Labels, bool)>,
}

impl Matcher<'_> {
    fn matches(&mut self, labels: &Labels) -> bool {
        match &self.last {
            Some((last, matched)) if last.is_same_value(labels) => *matched,
            _ => {
                let matched = self.selector.matches(labels);
                self.last = Some((labels.clone(), matched));
                matched
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_adopted_and_released() {
        // Owned, orphan, matching, terminating, controller deleted.
        let table = [
            ([true, false, true, false, false], Claim::Own),
            ([true, false, true, true, true], Claim::Own),
            ([true, false, false, false, false], Claim::Release),
            ([true, false, false, false, true], Claim::None),
            ([false, true, true, false, false], Claim::Adopt),
            ([false, true, true, true, false], Claim::None),
            ([false, true, true, false, true], Claim::None),
            ([false, true, false, false, false], Claim::None),
            ([false, false, true, false, false], Claim::None),
        ];
        for ([owned, orphan, matches, terminating, deleting], expected) in table {
            let claim = Claim::of(owned, orphan, matches, terminating, deleting);
            assert_eq!(claim, expected, "{owned} {orphan} {matches} {terminating} {deleting}");
        }
    }
}
