//! The usage of a namespace's ResourceQuotas (`pkg/controller/resourcequota`).

use std::time::Duration;

use serde_json::json;

use crate::admission::{Amounts, quota, usage};
use crate::reconcile::{Context, SyncResult};
use crate::store::{Event, Inert, Name, Object};
use crate::text::Quantity;

/// Interval at which all quotas are recomputed: kube-controller-manager's default of `--resource-quota-sync-period`.
pub(super) const RESYNC: Duration = Duration::from_secs(300);

/// Whether only the status of a quota changed: its controller ignores that (`addQuota`).
pub(super) fn is_status_only(event: &Event) -> bool {
    let (Some(Object::Inert(quota::QUOTA, then)), Some(Object::Inert(quota::QUOTA, now))) =
        (event.then(), event.now())
    else {
        return false;
    };
    let hard = |quota: &Inert| Some(quota.metadata.given.as_ref()?.json()["spec"]["hard"].clone());
    hard(then) == hard(now)
}

/// Writes the usage into the status of the quotas of `namespace` (`syncResourceQuota`).
pub(super) fn sync(context: Context<'_>, namespace: &Name) -> SyncResult {
    let mut result = SyncResult::default();
    let store = context.store;
    for (stored, written) in quota::quotas(store, namespace) {
        let hard = quota::hard(written);
        let mut used: Amounts = hard.keys().map(|name| (name.clone(), Quantity::ZERO)).collect();
        let counted = store.all_in(namespace).map(|stored| &stored.object);
        for object in counted.filter(|object| quota::is_in_scope(written, object)) {
            for (name, amount) in usage(object) {
                if let Some(sum) = used.get_mut(&name) {
                    *sum = *sum + amount;
                }
            }
        }
        let status = json!({ "hard": written["spec"]["hard"], "used": quota::json_of(&used) });
        stored.object.with_given_status(status).into_iter().for_each(|object| result.put(object));
    }
    result
}
