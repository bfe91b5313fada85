//! The volume claims of a StatefulSet's pods: created before the pod, reused by name, and deleted according to the
//! set's retention policy (KEP-1847).

use std::sync::Arc;

use crate::controller::{refusal, volumes};
use crate::reconcile::{Context, SyncResult};
use crate::store::{
    ClaimTemplate, Key, Kind, Links, Name, Object, ObjectMeta, Owner, PersistentVolumeClaim, Pod, Retention,
    StatefulSet, Stored, ordinal, pod_spec,
};

/// The StatefulSet controller, as the source of Events.
pub(super) const COMPONENT: &str = "statefulset-controller";

/// The name of the claim for an ordinal: `TEMPLATE-SET-ORDINAL`.
pub(super) fn name(template: &ClaimTemplate, set: &StatefulSet, ordinal: u32) -> Name {
    arcstr::format!("{}-{}-{ordinal}", template.metadata.name, set.metadata.name)
}

/// Whether a claim of the pod of an ordinal is owned by an earlier pod of that name and must not be reused
/// (PodClaimIsStale).
pub(super) fn is_stale(context: Context<'_>, set: &StatefulSet, ordinal: u32, pod: &Name) -> bool {
    if set.spec.volume_claim_templates.is_empty() {
        return false;
    }
    let pod = Key::new(Kind::Pod, set.metadata.namespace.clone(), pod.clone());
    let uid = context.store.stored(&pod).map(Stored::uid);
    set.spec.volume_claim_templates.iter().any(|template| {
        let name = name(template, set, ordinal);
        let claim =
            context.store.get::<PersistentVolumeClaim>(Kind::PersistentVolumeClaim, &pod.namespace, &name);
        let stale = |owner: &Owner| owner.is(&pod) && uid.is_none_or(|uid| !owner.has_uid(uid));
        claim.is_some_and(|claim| claim.metadata.links.owners().iter().any(stale))
    })
}

/// Whether the volumes of `pod` are the claims of the set's templates for its ordinal (storageMatches); false for an
/// adopted pod that was created without them.
pub(super) fn are_mounted(set: &StatefulSet, pod: &Pod) -> bool {
    let made_with = &pod.spec.shared.claim_templates;
    let templates = || set.spec.volume_claim_templates.iter();
    if templates().all(|template| made_with.contains(&template.metadata.name)) {
        return true;
    }
    let Some((_, ordinal)) = ordinal(&pod.metadata.name) else { return false };
    let spec = pod_spec(pod);
    let volumes = || spec["volumes"].as_array().into_iter().flatten();
    templates().all(|template| {
        let claim = name(template, set, ordinal);
        let mounted = volumes().rfind(|volume| volume["name"] == *template.metadata.name);
        made_with.contains(&template.metadata.name)
            || mounted.is_some_and(|volume| volume["persistentVolumeClaim"]["claimName"] == *claim)
    })
}

/// Creates the missing claims for the pod of an ordinal (createPersistentVolumeClaims).
///
/// # Errors
///
/// Why the pod cannot use all of them: the API refused one, or one is being deleted.
pub(super) fn make(
    context: Context<'_>,
    set: &StatefulSet,
    ordinal: u32,
    pod: &Name,
    result: &mut SyncResult,
) -> Result<(), String> {
    let mut wrong = Vec::new();
    let about = || set.metadata.key(Kind::StatefulSet);
    for template in &set.spec.volume_claim_templates {
        let name = name(template, set, ordinal);
        let namespace = &set.metadata.namespace;
        match context.store.get::<PersistentVolumeClaim>(Kind::PersistentVolumeClaim, namespace, &name) {
            Some(claim) if claim.metadata.deletion_timestamp.is_some() => {
                wrong.push(format!("pvc {name} is being deleted"));
            }
            Some(_) => {}
            None => {
                let set_name = &set.metadata.name;
                let mut claim = from_template(template, set, name.clone());
                claim.metadata.links = owners_by_policy(context, set, None).apply(&claim.metadata.links);
                let claim = Object::PersistentVolumeClaim(Arc::new(claim));
                if let Some(why) = refusal::of(context, &claim, result) {
                    let message = format!(
                        "Create Claim {name} for Pod {pod} in StatefulSet {set_name} failed error: {why}"
                    );
                    result.emit_warning(COMPONENT, about(), "FailedCreate", message);
                    wrong.push(format!("failed to create PVC {name}: {why}"));
                    continue;
                }
                let message = format!("Create Claim {name} Pod {pod} in StatefulSet {set_name} success");
                result.emit_event(COMPONENT, about(), "SuccessfulCreate", message);
                result.put(claim);
            }
        }
    }
    match wrong.len() {
        0 => Ok(()),
        1 => Err(wrong.remove(0)),
        _ => Err(format!("[{}]", wrong.join(", "))),
    }
}

/// Whether the set's claims can only be bound to existing volumes: no provisioner creates any.
pub(super) fn wait_for_volumes(context: Context<'_>, set: &StatefulSet) -> bool {
    set.spec.volume_claim_templates.iter().any(|template| {
        let class = volumes::class_of_template(template);
        class.is_empty() || volumes::has_no_provisioner(context.store, class)
    })
}

fn from_template(template: &ClaimTemplate, set: &StatefulSet, name: Name) -> PersistentVolumeClaim {
    let selected =
        set.spec.selector.as_ref().map(|selector| selector.match_labels.clone()).unwrap_or_default();
    let metadata = ObjectMeta {
        name,
        namespace: set.metadata.namespace.clone(),
        labels: template.metadata.labels.with(selected.iter()),
        annotations: template.metadata.annotations.clone(),
        synthesized: true,
        ..ObjectMeta::default()
    };
    PersistentVolumeClaim { metadata, template: template.given.clone(), ..PersistentVolumeClaim::default() }
}

/// The owners of a claim by the set's retention policy, and those that it must not have.
struct Owners {
    set: Owner,
    pod: Option<Owner>,
    /// Whether the claim is deleted with the set.
    of_set: bool,
}

/// Determines the owners of the claims of a pod (updateClaimOwnerRefForSetAndPod). `condemned` is a pod beyond the
/// set's ordinals.
fn owners_by_policy(context: Context<'_>, set: &StatefulSet, condemned: Option<&Pod>) -> Owners {
    let policy = set.spec.persistent_volume_claim_retention_policy;
    let uid = |key: &Key| context.store.stored(key).map(Stored::uid);
    let key = set.metadata.key(Kind::StatefulSet);
    let scaled = condemned.filter(|_| policy.when_scaled == Retention::Delete);
    let of_pod = |pod: &Pod| {
        let key = pod.metadata.key(Kind::Pod);
        Owner::controller(Kind::Pod, key.name.clone(), uid(&key))
    };
    Owners {
        set: Owner::controller(Kind::StatefulSet, key.name.clone(), uid(&key)),
        pod: scaled.map(of_pod),
        of_set: policy.when_deleted == Retention::Delete && scaled.is_none(),
    }
}

impl Owners {
    /// `links` with these owners. From a claim that another controller manages only wrong owners are removed.
    fn apply(&self, links: &Links) -> Links {
        let is_managed = |owner: &Owner| {
            (owner.kind == Kind::StatefulSet && owner.name == self.set.name) || owner.kind == Kind::Pod
        };
        let has_other_controller = links.owners().iter().any(|owner| owner.controller && !is_managed(owner));
        let due = match (&self.pod, self.of_set) {
            _ if has_other_controller => None,
            (Some(pod), _) => Some(pod),
            (None, true) => Some(&self.set),
            (None, false) => None,
        };
        let existing = links.owners().iter().filter(|owner| is_managed(owner));
        if existing.eq(due) {
            return links.clone();
        }
        let mut links = links.clone();
        links.remove_owners(is_managed);
        due.into_iter().for_each(|due| links.add_owner(due.clone()));
        links
    }
}

/// Sets the owners of a pod's claims according to the set's retention policy (UpdatePodClaimForRetentionPolicy).
/// Returns whether any differed. A claim that an earlier set of that name owns is not changed.
pub(super) fn retain(
    context: Context<'_>,
    set: &StatefulSet,
    pod: &Pod,
    condemned: bool,
    result: &mut SyncResult,
) -> bool {
    let mut changed = false;
    let templates = &set.spec.volume_claim_templates;
    let ordinal = ordinal(&pod.metadata.name).filter(|_| !templates.is_empty());
    let Some((_, ordinal)) = ordinal else { return changed };
    let owners = owners_by_policy(context, set, condemned.then_some(pod));
    let is_stale = |owner: &Owner| {
        let same = owner.kind == Kind::StatefulSet && owner.name == owners.set.name;
        same && owners.set.uid.is_some_and(|uid| !owner.has_uid(uid))
    };
    for name in templates.iter().map(|template| name(template, set, ordinal)) {
        let namespace = &pod.metadata.namespace;
        let claim = context.store.get::<PersistentVolumeClaim>(Kind::PersistentVolumeClaim, namespace, &name);
        let Some(claim) = claim.filter(|claim| !claim.metadata.links.owners().iter().any(is_stale)) else {
            continue;
        };
        let links = owners.apply(&claim.metadata.links);
        if links != claim.metadata.links {
            let mut claim = claim.clone();
            Arc::make_mut(&mut claim).metadata.links = links;
            result.put(Object::PersistentVolumeClaim(claim));
            changed = true;
        }
    }
    changed
}
