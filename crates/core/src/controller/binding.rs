//! The PersistentVolume controller (pkg/controller/volume/persistentvolume): binds claims to volumes and reclaims the
//! volumes of deleted claims. Provisions volumes of classes for claims that no volume fits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use super::volumes::{self, BindingMode, Request};
use crate::reconcile::names::generated;
use crate::reconcile::{Context, SyncResult, deletion};

use crate::store::{
    Change, ClaimSpec, Event, Key, Kind, Labels, Name, Object, ObjectMeta, ObjectReference, PersistentVolume,
    PersistentVolumeClaim, Pod, Store, Stored, Uid, VolumeSpec, VolumeStatus,
};

/// Reporting component of its Events.
const COMPONENT: &str = "persistentvolume-controller";

/// The annotation of an object that the controller, not its author, bound to another.
const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";

/// State of the controller between syncs. Empty in a cluster without volumes.
#[derive(Default)]
pub(super) struct Binder {
    /// The claims that are not bound to a volume.
    unbound: BTreeSet<Key>,
    /// The volumes that can be bound, or are reserved for a claim.
    available: BTreeSet<Name>,
    /// The volumes of deleted claims.
    released: BTreeMap<Key, Name>,
    /// The claims whose volume was deleted.
    lost: BTreeSet<Key>,
}

impl Binder {
    /// Observes an event. Returns the claims to enqueue, besides one that has itself changed.
    pub(super) fn observe(&mut self, event: &Event) -> Vec<Key> {
        let gone = event.after.is_none();
        match event.object() {
            Object::PersistentVolumeClaim(claim) => {
                let key = claim.metadata.key(Kind::PersistentVolumeClaim);
                if gone && is_bound(claim) {
                    self.released.insert(key.clone(), claim.spec.volume_name.clone());
                }
                if gone || !claim.status.phase.is_empty() {
                    self.unbound.remove(&key);
                } else {
                    self.unbound.insert(key);
                }
                Vec::new()
            }
            Object::PersistentVolume(volume) => {
                let name = &volume.metadata.name;
                if !gone && volumes::is_available(volume) {
                    self.available.insert(name.clone());
                    return self.unbound.iter().cloned().collect();
                }
                self.available.remove(name);
                let claim = volume.spec.claim_ref.as_ref().filter(|_| gone).map(claim_of);
                self.lost.extend(claim.clone());
                claim.into_iter().collect()
            }
            Object::Inert(Kind::StorageClass, _) => self.unbound.iter().cloned().collect(),
            Object::Pod(pod) if event.before.is_none() && !self.unbound.is_empty() => {
                let claim =
                    |name| Key::new(Kind::PersistentVolumeClaim, pod.metadata.namespace.clone(), name);
                pod.all_claims().map(claim).filter(|claim| self.unbound.contains(claim)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Syncs the claim at `key` (syncClaim): binds it, or removes it once no pod uses it any more.
    pub(super) fn sync(&mut self, context: Context<'_>, key: &Key) -> SyncResult {
        let mut result = SyncResult::default();
        let volume = self.released.remove(key);
        let volume =
            volume.and_then(|name| volume_named(context.store, &name)).filter(|volume| is_of(volume, key));
        if let Some(volume) = volume {
            release(context.store, volume, &mut result);
        }
        let lost = self.lost.remove(key);
        let Some(claim) = context.store.get::<PersistentVolumeClaim>(
            Kind::PersistentVolumeClaim,
            &key.namespace,
            &key.name,
        ) else {
            return result;
        };
        if claim.metadata.deletion_timestamp.is_some() {
            let change = deletion::released(context.store, Object::PersistentVolumeClaim(claim.clone()));
            result.changes.extend(Some(change).filter(|change| matches!(change, Change::Delete(_))));
        } else if claim.status.phase.is_empty() {
            self.bind(context, key, claim, &mut result);
        } else if lost && is_bound(claim) && volume_named(context.store, &claim.spec.volume_name).is_none() {
            let mut claim = PersistentVolumeClaim::clone(claim);
            claim.status.phase = arcstr::literal!("Lost");
            result.put(Object::PersistentVolumeClaim(Arc::new(claim)));
            let message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
            result.emit_warning(COMPONENT, key.clone(), "ClaimLost", message);
        }
        result
    }

    /// Binds an unbound claim if there is a volume for it, or one can be provisioned (syncUnboundClaim).
    fn bind(&self, context: Context<'_>, key: &Key, claim: &PersistentVolumeClaim, result: &mut SyncResult) {
        let store = context.store;
        let request = Request::of(store, claim);
        let named = &claim.spec.volume_name;
        if !named.is_empty() {
            let Some(volume) = volume_named(store, named) else { return };
            if volume.spec.claim_ref.is_some() && !is_of(volume, key) {
                let message = format!("volume {named:?} already bound to a different claim.");
                result.emit_warning(COMPONENT, key.clone(), "FailedBinding", message);
            } else if let Some(why) = request.mismatch(volume).filter(|_| volume.spec.claim_ref.is_none()) {
                let message = format!("Cannot bind to requested volume {named:?}: {why}");
                result.emit_warning(COMPONENT, key.clone(), "VolumeMismatch", message);
            } else {
                bind_to(key, claim, volume, result);
            }
            return;
        }
        let mode = BindingMode::of(store, request.class);
        let consumers = if mode == BindingMode::Immediate { Vec::new() } else { consumers(store, key) };
        if mode == BindingMode::WaitForFirstConsumer && consumers.is_empty() {
            let kept = self.available(store).find(|volume| is_of(volume, key) && request.fits(volume));
            return match kept {
                Some(volume) => bind_to(key, claim, volume, result),
                None => {
                    let message = "waiting for first consumer to be created before binding";
                    result.emit_event(COMPONENT, key.clone(), "WaitForFirstConsumer", message);
                }
            };
        }
        let reachable = |volume: &&Arc<PersistentVolume>| {
            consumers.iter().all(|pod| super::scheduler::reaches(store, pod, volume))
        };
        if let Some(volume) =
            request.best(self.available(store).filter(reachable), |volume| is_of(volume, key))
        {
            bind_to(key, claim, volume, result);
        } else if request.class.is_empty() {
            let message = "no persistent volumes available for this claim and no storage class is set";
            result.emit_event(COMPONENT, key.clone(), "FailedBinding", message);
        } else if volumes::has_no_provisioner(store, request.class) {
            let message = format!(
                "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system \
                 administrator. If volume creation is delayed, please verify that the provisioner is running and correctly \
                 registered.",
                volumes::NO_PROVISIONER
            );
            result.emit_event(COMPONENT, key.clone(), "ExternalProvisioning", message);
        } else {
            provision(context, key, claim, result);
        }
    }

    fn available<'s>(&self, store: &'s Store) -> impl Iterator<Item = &'s Arc<PersistentVolume>> {
        self.available.iter().filter_map(|name| volume_named(store, name))
    }
}

fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    claim.status.phase == "Bound" && !claim.spec.volume_name.is_empty()
}

fn volume_named<'s>(store: &'s Store, name: &str) -> Option<&'s Arc<PersistentVolume>> {
    store.get::<PersistentVolume>(Kind::PersistentVolume, "", name)
}

fn claim_of(reference: &ObjectReference) -> Key {
    Key::new(Kind::PersistentVolumeClaim, reference.namespace.clone(), reference.name.clone())
}

/// Whether a volume is bound to the claim at `key`, or reserved for it.
fn is_of(volume: &PersistentVolume, key: &Key) -> bool {
    let reference = volume.spec.claim_ref.as_ref();
    reference.is_some_and(|claim| claim.name == key.name && claim.namespace == key.namespace)
}

/// The pods that use a claim and have not ended.
fn consumers<'s>(store: &'s Store, claim: &Key) -> Vec<&'s Arc<Pod>> {
    let pods = store.list_in::<Pod>(Kind::Pod, &claim.namespace);
    pods.filter(|pod| pod.uses_claim(&claim.name) && !pod.is_terminal()).collect()
}

/// Binds a claim and a volume to each other (bind). An annotation on each records that its author did not choose the
/// other.
fn bind_to(key: &Key, claim: &PersistentVolumeClaim, volume: &PersistentVolume, result: &mut SyncResult) {
    const NAMED: [(&str, &str); 1] = [BOUND[0]];
    let mut volume = volume.clone();
    if volume.spec.claim_ref.is_none() {
        volume.metadata.annotations = volume.metadata.annotations.with([(BOUND_BY_CONTROLLER, "yes")]);
    }
    let own = &claim.metadata.annotations;
    let annotations = if claim.spec.volume_name.is_empty() { own.with(BOUND) } else { own.with(NAMED) };
    put_bound(key, claim, annotations, volume, result);
}

/// Creates a volume for a claim, as the provisioner of its class would, and binds it.
fn provision(context: Context<'_>, key: &Key, claim: &PersistentVolumeClaim, result: &mut SyncResult) {
    let uid = context.store.stored(key).map(Stored::uid);
    put_bound(
        key,
        claim,
        provisioned_annotations(&claim.metadata.annotations),
        provisioned(key, uid),
        result,
    );
}

fn put_bound(
    key: &Key,
    claim: &PersistentVolumeClaim,
    annotations: Labels,
    mut volume: PersistentVolume,
    result: &mut SyncResult,
) {
    volume.spec.claim_ref = Some(ObjectReference {
        kind: arcstr::literal!("PersistentVolumeClaim"),
        name: key.name.clone(),
        namespace: key.namespace.clone(),
    });
    volume.status = VolumeStatus { phase: arcstr::literal!("Bound") };
    let mut claim = claim.clone();
    claim.metadata.annotations = annotations;
    claim.spec = ClaimSpec { volume_name: volume.metadata.name.clone() };
    claim.status = VolumeStatus { phase: arcstr::literal!("Bound") };
    result.put(Object::PersistentVolume(Arc::new(volume)));
    result.put(Object::PersistentVolumeClaim(Arc::new(claim)));
}

/// The provisioner of the default StorageClass, as annotations of claims name it.
const PROVISIONER: &str = "clusterlocal.dev/provisioner";

/// The annotations of a claim that is bound to a volume chosen by the controller.
const BOUND: [(&str, &str); 2] = [("pv.kubernetes.io/bind-completed", "yes"), (BOUND_BY_CONTROLLER, "yes")];

/// `annotations` of a claim, with those added when it is bound to a provisioned volume.
fn provisioned_annotations(annotations: &Labels) -> Labels {
    const PROVISIONED: [(&str, &str); 2] = [
        ("volume.beta.kubernetes.io/storage-provisioner", PROVISIONER),
        ("volume.kubernetes.io/storage-provisioner", PROVISIONER),
    ];
    // Most claims have no annotations of their own and share this value.
    static ALONE: LazyLock<Labels> = LazyLock::new(|| BOUND.into_iter().chain(PROVISIONED).collect());
    if annotations.is_empty() {
        ALONE.clone()
    } else {
        annotations.with(BOUND.into_iter().chain(PROVISIONED))
    }
}

/// A volume provisioned for a claim.
fn provisioned(claim: &Key, uid: Option<Uid>) -> PersistentVolume {
    let name =
        uid.map_or_else(|| generated("pvc", 12, (&claim.namespace, &claim.name)), |uid| format!("pvc-{uid}"));
    let metadata = ObjectMeta {
        name: name.into(),
        labels: Labels::default(),
        synthesized: true,
        ..ObjectMeta::default()
    };
    PersistentVolume { metadata, spec: VolumeSpec::default(), status: VolumeStatus::default() }
}

/// Reclaims the volume of a deleted claim (reclaimVolume): a provisioned one is deleted, another is deleted or retained
/// with its data according to its policy.
fn release(store: &Store, volume: &Arc<PersistentVolume>, result: &mut SyncResult) {
    let key = volume.metadata.key(Kind::PersistentVolume);
    let reclaimed = volumes::reclaim(volume);
    if volume.metadata.synthesized || matches!(reclaimed, Ok(true)) {
        return result.changes.push(Change::Delete(key));
    }
    let mut released = PersistentVolume::clone(volume);
    released.status.phase = match reclaimed {
        Err(_) => arcstr::literal!("Failed"),
        Ok(_) => arcstr::literal!("Released"),
    };
    result.changes.push(deletion::released(store, Object::PersistentVolume(Arc::new(released))));
    if let Err(why) = reclaimed {
        result.emit_warning(COMPONENT, key, "VolumeFailedDelete", why);
    }
}
