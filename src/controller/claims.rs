//! The volume claims of a StatefulSet's pods, and the volumes they are bound to: made before the pod, found again by
//! name, let go as the set's retention policy says (KEP-1847).

use std::sync::Arc;

use super::names::generated;
use super::{Context, Outcome, statefulset};
use crate::store::{
    Change, ClaimSpec, ClaimTemplate, Key, Kind, Labels, Links, Name, Object, ObjectMeta, ObjectReference,
    Owner, PersistentVolume, PersistentVolumeClaim, Pod, Retention, StatefulSet, Store, VolumeSpec,
    VolumeStatus,
};

/// What the claim of an ordinal is called: `TEMPLATE-SET-ORDINAL`.
pub(super) fn name(template: &ClaimTemplate, set: &StatefulSet, ordinal: u32) -> Name {
    arcstr::format!("{}-{}-{ordinal}", template.metadata.name, set.metadata.name)
}

/// Makes the claims of the pod of an ordinal that are not there yet. Tells whether the pod may use them all: one that
/// is about to go may not be used again.
pub(super) fn make(
    context: Context<'_>,
    set: &StatefulSet,
    ordinal: u32,
    pod: &Name,
    outcome: &mut Outcome,
) -> bool {
    let mut usable = true;
    for template in &set.spec.volume_claim_templates {
        let name = name(template, set, ordinal);
        let namespace = &set.metadata.namespace;
        match context.store.get::<PersistentVolumeClaim>(Kind::PersistentVolumeClaim, namespace, &name) {
            Some(claim) => {
                let of_old_pod = claim.metadata.links.owners().iter().any(|owner| owner.kind == Kind::Pod);
                let pod_is_there = context.store.get::<Pod>(Kind::Pod, namespace, pod).is_some();
                usable &= claim.metadata.deletion_timestamp.is_none() && (!of_old_pod || pod_is_there);
            }
            None => {
                let set_name = &set.metadata.name;
                let message = format!("create Claim {name} Pod {pod} in StatefulSet {set_name} success");
                let about = Key::new(Kind::StatefulSet, namespace.clone(), set_name.clone());
                outcome.tell(statefulset::BY, about, "SuccessfulCreate", message);
                outcome.put(Object::PersistentVolumeClaim(Arc::new(from_template(template, set, name))));
            }
        }
    }
    usable
}

fn from_template(template: &ClaimTemplate, set: &StatefulSet, name: Name) -> PersistentVolumeClaim {
    let selected =
        set.spec.selector.as_ref().map(|selector| selector.match_labels.clone()).unwrap_or_default();
    let of_set = set.spec.persistent_volume_claim_retention_policy.when_deleted == Retention::Delete;
    let mut links = Links::default();
    if of_set {
        links.add_owner(Owner::plain(Kind::StatefulSet, set.metadata.name.clone(), None));
    }
    let metadata = ObjectMeta {
        name,
        namespace: set.metadata.namespace.clone(),
        labels: template.metadata.labels.with(selected.iter()),
        annotations: template.metadata.annotations.clone(),
        links,
        synthesized: true,
        ..ObjectMeta::default()
    };
    PersistentVolumeClaim { metadata, template: template.given.clone(), ..PersistentVolumeClaim::default() }
}

/// Lets the claims of a pod that is scaled away go with it, if the set says so.
pub(super) fn condemn(context: Context<'_>, set: &StatefulSet, pod: &Pod, outcome: &mut Outcome) {
    if set.spec.persistent_volume_claim_retention_policy.when_scaled == Retention::Retain {
        return;
    }
    for name in pod.claims() {
        let namespace = &pod.metadata.namespace;
        if let Some(claim) =
            context.store.get::<PersistentVolumeClaim>(Kind::PersistentVolumeClaim, namespace, &name)
        {
            let mut claim = claim.clone();
            Arc::make_mut(&mut claim).metadata.links.set_owners([Owner::plain(
                Kind::Pod,
                pod.metadata.name.clone(),
                None,
            )]);
            outcome.put(Object::PersistentVolumeClaim(claim));
        }
    }
}

/// The change that deletes a claim; while a pod uses it, it is only marked (the finalizer `pvc-protection`).
pub(super) fn delete(context: Context<'_>, claim: &Arc<PersistentVolumeClaim>) -> Change {
    if !is_used(context.store, claim) {
        return Change::Delete(claim.metadata.key(Kind::PersistentVolumeClaim));
    }
    let mut claim = claim.clone();
    let meta = &mut Arc::make_mut(&mut claim).metadata;
    meta.deletion_timestamp.get_or_insert(context.now);
    Change::Put(Object::PersistentVolumeClaim(claim))
}

/// Whether a pod uses the claim: then it only goes with the last of them (the finalizer `pvc-protection`).
pub(crate) fn is_used(store: &Store, claim: &PersistentVolumeClaim) -> bool {
    let meta = &claim.metadata;
    let mut pods = store.list_in::<Pod>(Kind::Pod, &meta.namespace);
    pods.any(|pod| pod.uses_claim(&meta.name) && !pod.is_terminal())
}

/// Binds a claim to a volume: to the first that nobody has, or to one that is made for it. What was bound to a claim
/// that is gone is free of it.
pub(super) fn sync(context: Context<'_>, key: &Key) -> Outcome {
    let mut outcome = Outcome::default();
    let claim =
        context.store.get::<PersistentVolumeClaim>(Kind::PersistentVolumeClaim, &key.namespace, &key.name);
    let Some(claim) = claim else {
        outcome.changes.extend(released(context, key));
        return outcome;
    };
    if claim.metadata.deletion_timestamp.is_some() {
        if !is_used(context.store, claim) {
            outcome.changes.push(Change::Delete(key.clone()));
        }
    } else if claim.status.phase.is_empty() && claim.spec.volume_name.is_empty() {
        let free = |volume: &&Arc<PersistentVolume>| {
            volume.spec.claim_ref.is_none() && matches!(volume.status.phase.as_str(), "" | "Available")
        };
        let volume = context.store.list::<PersistentVolume>(Kind::PersistentVolume).find(free);
        let mut volume = volume.map_or_else(|| provisioned(key), |volume| (**volume).clone());
        volume.spec.claim_ref = Some(ObjectReference {
            kind: arcstr::literal!("PersistentVolumeClaim"),
            name: key.name.clone(),
            namespace: key.namespace.clone(),
        });
        volume.status = VolumeStatus { phase: arcstr::literal!("Bound") };
        let mut claim = (**claim).clone();
        claim.spec = ClaimSpec { volume_name: volume.metadata.name.clone() };
        claim.status = VolumeStatus { phase: arcstr::literal!("Bound") };
        outcome.put(Object::PersistentVolume(Arc::new(volume)));
        outcome.put(Object::PersistentVolumeClaim(Arc::new(claim)));
    }
    outcome
}

/// A volume made for a claim, as a storage class's provisioner does it.
fn provisioned(claim: &Key) -> PersistentVolume {
    let name = generated("pvc", 12, (&claim.namespace, &claim.name));
    let metadata = ObjectMeta {
        name: name.into(),
        labels: Labels::default(),
        synthesized: true,
        ..ObjectMeta::default()
    };
    PersistentVolume { metadata, spec: VolumeSpec::default(), status: VolumeStatus::default() }
}

/// What becomes of the volume of a claim that is gone: one that was made for it goes, another is kept with its data.
fn released(context: Context<'_>, claim: &Key) -> Option<Change> {
    let bound = |volume: &&Arc<PersistentVolume>| {
        let reference = volume.spec.claim_ref.as_ref();
        reference.is_some_and(|claimed| claimed.name == claim.name && claimed.namespace == claim.namespace)
    };
    let volume = context.store.list::<PersistentVolume>(Kind::PersistentVolume).find(bound)?;
    if volume.metadata.synthesized {
        return Some(Change::Delete(volume.metadata.key(Kind::PersistentVolume)));
    }
    let mut volume = (**volume).clone();
    volume.status.phase = arcstr::literal!("Released");
    Some(Change::Put(Object::PersistentVolume(Arc::new(volume))))
}
