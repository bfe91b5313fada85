//! The API's refusals of objects that a controller creates: by validation of pods, and by the limit ranges and quotas
//! of the namespace.

use super::queue::Task;
use crate::admission::{Charges, classes, limits, quota};
use crate::reconcile::{Context, SyncResult};
use crate::store::{LABEL_MAX, Name, Object, Pod, Store, is_label, pod_spec};

/// The message of a refused pod update that changes the spec (ValidatePodUpdate), without the difference that follows
/// it.
pub const POD_UPDATE: &str = "pod updates may not change fields other than \
    `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` \
    (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` \
    (allow it to be set to 1 if it was previously negative)";

/// Whether `task` creates objects that count against a quota: it runs after all tasks before it.
pub(super) fn depends_on_others(store: &Store, task: &Task) -> bool {
    matches!(task, Task::Workload(key) if quota::is_in(store, &key.namespace))
}

/// The API's error for the new `object`, if it is refused: the sync has to be retried then. An admitted object is
/// charged to the quotas of the namespace before the next object of the sync.
pub(super) fn of(context: Context<'_>, object: &Object, result: &mut SyncResult) -> Option<String> {
    let namespace = &object.metadata().namespace;
    if context.terminating.contains(namespace) {
        // No retry: controllers give up at this cause (NamespaceTerminatingCause).
        return Some(format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        ));
    }
    let why = match object {
        Object::Pod(pod) => of_pod(pod),
        _ => None,
    };
    let why = why.or_else(|| of_admission(context, object, result));
    result.refused |= why.is_some();
    why
}

fn of_admission(context: Context<'_>, object: &Object, result: &mut SyncResult) -> Option<String> {
    let meta = object.metadata();
    let of_plugins = match object {
        Object::Pod(pod) => classes::refuses(context.store, pod)
            .or_else(|| limits::refuses(context.store, &meta.namespace, || pod_spec(pod))),
        _ => None,
    };
    let of_namespace = || Charges::of(context.store, &meta.namespace);
    let charges = result.charges.get_or_insert_with(of_namespace);
    let why = of_plugins.or_else(|| charges.admit(object).err())?;
    Some(format!("{} \"{}\" is forbidden: {why}", quota::resource_of(object), meta.name))
}

/// The error with which validation refuses `pod`.
fn of_pod(pod: &Pod) -> Option<String> {
    let name = &pod.metadata.name;
    if let Some(long) = pod.metadata.labels.longer_value(LABEL_MAX).map(Name::as_str) {
        return Some(format!(
            "Pod {name:?} is invalid: metadata.labels: Invalid value: {long:?}: must be no more than {LABEL_MAX} bytes"
        ));
    }
    let hostname = &pod.spec.hostname;
    if !hostname.is_empty() && hostname.len() > LABEL_MAX {
        return Some(format!(
            "Pod {name:?} is invalid: spec.hostname: Invalid value: {hostname:?}: must be no more than {LABEL_MAX} bytes"
        ));
    }
    if !hostname.is_empty() && !is_label(hostname) {
        return Some(format!(
            "Pod {name:?} is invalid: spec.hostname: Invalid value: {hostname:?}: a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        ));
    }
    None
}
