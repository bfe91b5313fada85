//! Matches volumes to a claim (component-helpers, storage/volume/pv_helpers.go): by size, modes, class and selector.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::store::{
    ClaimTemplate, Key, Kind, LabelSelector, Labels, PersistentVolume, PersistentVolumeClaim, Store,
};
use crate::text::Quantity;

/// The default storage class.
pub const DEFAULT_CLASS: &str = "standard";

/// The provisioner of classes without dynamic provisioning.
pub(super) const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// The annotation for a class from before there was a field.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

/// The volume binding mode of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BindingMode {
    /// On creation.
    Immediate,
    /// When a pod uses the claim.
    WaitForFirstConsumer,
}

impl BindingMode {
    /// The mode of the class called `class` (IsDelayBindingMode).
    pub(super) fn of(store: &Store, class: &str) -> Self {
        match text(class_spec(store, class), "/volumeBindingMode") {
            "WaitForFirstConsumer" => BindingMode::WaitForFirstConsumer,
            _ => BindingMode::Immediate,
        }
    }
}

fn class_spec<'s>(store: &'s Store, class: &str) -> Option<&'s Value> {
    let class = store.object(&Key::new(Kind::StorageClass, "", class))?;
    class.metadata().given.as_ref().map(|given| given.json())
}

/// Whether the class called `class` has no dynamic provisioning.
pub(super) fn has_no_provisioner(store: &Store, class: &str) -> bool {
    text(class_spec(store, class), "/provisioner") == NO_PROVISIONER
}

/// Whether a StorageClass is the default (the admission plugin DefaultStorageClass).
fn has_default_class(store: &Store) -> bool {
    const IS_DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";
    let mut classes = store.all_stored(Kind::StorageClass, None);
    classes.any(|class| class.object.metadata().annotations.get(IS_DEFAULT) == Some("true"))
}

fn text<'a>(json: Option<&'a Value>, pointer: &str) -> &'a str {
    json.and_then(|json| json.pointer(pointer)).and_then(Value::as_str).unwrap_or_default()
}

/// The class that a claim with these annotations and this spec requests; empty for no class.
fn written_class<'a>(annotations: &'a Labels, spec: Option<&'a Value>) -> Option<&'a str> {
    let written = spec.and_then(|spec| spec.get("storageClassName")).and_then(Value::as_str);
    annotations.get(CLASS_ANNOTATION).or(written)
}

/// The class of the claims that a StatefulSet creates from `template`.
pub(super) fn class_of_template(template: &ClaimTemplate) -> &str {
    let spec = template.given.as_ref().and_then(|given| given.json().get("spec"));
    written_class(&template.metadata.annotations, spec).unwrap_or(DEFAULT_CLASS)
}

/// Whether `volume` can be bound: it has no claim, and is not being deleted.
pub(super) fn is_available(volume: &PersistentVolume) -> bool {
    matches!(volume.status.phase.as_str(), "" | "Available") && volume.metadata.deletion_timestamp.is_none()
}

/// The requirements of a claim.
pub(super) struct Request<'a> {
    size: Quantity,
    pub(super) class: &'a str,
    /// Whether the claim names no class. Without a default class such a claim is bound to a volume without a class;
    /// here, if there is no such volume, one of the default class is provisioned.
    is_any_class: bool,
    mode: &'a str,
    access: Vec<&'a str>,
    selector: Option<LabelSelector>,
}

impl<'a> Request<'a> {
    pub(super) fn of(store: &Store, claim: &'a PersistentVolumeClaim) -> Self {
        let spec = claim.written_spec();
        let size = spec.and_then(|spec| spec.pointer("/resources/requests/storage")).and_then(Quantity::read);
        let class = written_class(&claim.metadata.annotations, spec);
        let selector = spec.and_then(|spec| spec.get("selector")).filter(|selector| !selector.is_null());
        Request {
            size: size.unwrap_or(Quantity::ZERO),
            class: class.unwrap_or(DEFAULT_CLASS),
            is_any_class: class.is_none() && !has_default_class(store),
            mode: volume_mode(spec),
            access: access_modes(spec),
            selector: selector.and_then(|selector| LabelSelector::deserialize(selector).ok()),
        }
    }

    /// Why the claim cannot be bound to the volume that it names (checkVolumeSatisfyClaim).
    pub(super) fn mismatch(&self, volume: &PersistentVolume) -> Option<String> {
        let offer = Offer::of(volume);
        if volume.metadata.deletion_timestamp.is_some() {
            Some(format!("the volume is marked for deletion {:?}", volume.metadata.name.as_str()))
        } else if offer.size < self.size {
            Some("requested PV is too small".into())
        } else if !self.takes_class(offer.class) {
            Some("storageClassName does not match".into())
        } else if offer.mode != self.mode {
            Some("incompatible volumeMode".into())
        } else if !offer.has_modes(&self.access) {
            Some("incompatible accessMode".into())
        } else {
            None
        }
    }

    fn takes_class(&self, class: &str) -> bool {
        class == self.class || (self.is_any_class && class.is_empty())
    }

    /// Whether a volume that is reserved for the claim can be bound to it.
    pub(super) fn fits(&self, volume: &PersistentVolume) -> bool {
        let offer = Offer::of(volume);
        offer.size >= self.size && offer.mode == self.mode && offer.has_modes(&self.access)
    }

    /// The volume to bind the claim to (findByClaim, FindMatchingVolume): among those with the fewest access modes one
    /// that is reserved for it, or the smallest.
    pub(super) fn best<'v>(
        &self,
        volumes: impl Iterator<Item = &'v Arc<PersistentVolume>>,
        is_kept: impl Fn(&PersistentVolume) -> bool,
    ) -> Option<&'v Arc<PersistentVolume>> {
        let candidates = volumes.filter(|volume| self.fits(volume)).filter_map(|volume| {
            let offer = Offer::of(volume);
            let kept = is_kept(volume);
            let selected =
                self.selector.as_ref().is_none_or(|selector| selector.matches(&volume.metadata.labels));
            let free = volume.spec.claim_ref.is_none() && self.takes_class(offer.class) && selected;
            (kept || free).then_some(((offer.access.len(), !kept, offer.size), volume))
        });
        candidates.min_by_key(|(rank, _)| *rank).map(|(_, volume)| volume)
    }
}

/// The properties of a volume.
struct Offer<'a> {
    size: Quantity,
    class: &'a str,
    mode: &'a str,
    access: Vec<&'a str>,
}

impl<'a> Offer<'a> {
    fn of(volume: &'a PersistentVolume) -> Self {
        let spec = volume.written_spec();
        let size = spec.and_then(|spec| spec.pointer("/capacity/storage")).and_then(Quantity::read);
        let annotation = volume.metadata.annotations.get(CLASS_ANNOTATION);
        Offer {
            size: size.unwrap_or(Quantity::ZERO),
            class: annotation.unwrap_or(text(spec, "/storageClassName")),
            mode: volume_mode(spec),
            access: access_modes(spec),
        }
    }

    fn has_modes(&self, wanted: &[&str]) -> bool {
        wanted.iter().all(|mode| self.access.contains(mode))
    }
}

fn volume_mode(spec: Option<&Value>) -> &str {
    match text(spec, "/volumeMode") {
        "" => "Filesystem",
        mode => mode,
    }
}

fn access_modes(spec: Option<&Value>) -> Vec<&str> {
    let modes = spec.and_then(|spec| spec.get("accessModes")).and_then(Value::as_array);
    let mut modes: Vec<&str> = modes.into_iter().flatten().filter_map(Value::as_str).collect();
    modes.sort_unstable();
    modes.dedup();
    modes
}

/// Whether a volume is deleted with its claim, by its reclaim policy.
///
/// # Errors
///
/// Why it cannot be deleted (pkg/volume/hostpath, newDeleter).
pub(super) fn reclaim(volume: &PersistentVolume) -> Result<bool, String> {
    let spec = volume.written_spec();
    if text(spec, "/persistentVolumeReclaimPolicy") != "Delete" {
        return Ok(false);
    }
    match text(spec, "/hostPath/path") {
        "" => Ok(true),
        path if path.len() > "/tmp/".len() && path.starts_with("/tmp/") => Ok(true),
        path => Err(format!("host_path deleter only supports /tmp/.+ but received provided {path}")),
    }
}

#[cfg(test)]
mod tests;
