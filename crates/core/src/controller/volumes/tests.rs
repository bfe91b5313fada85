//! The volume to which a claim is bound. Kubernetes 1.36 binds the same.

use super::*;
use crate::manifest::read_bytes;
use crate::store::{Change, Inert, Object, ObjectMeta};

/// Volumes by name, each with its spec.
const VOLUMES: [(&str, &str); 8] = [
    ("tiny", "{capacity: {storage: 500Mi}, accessModes: [ReadWriteOnce]}"),
    ("large", "{capacity: {storage: 10Gi}, accessModes: [ReadWriteOnce]}"),
    ("medium", "{capacity: {storage: 2Gi}, accessModes: [ReadWriteOnce]}"),
    ("shared", "{capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce, ReadWriteMany]}"),
    ("slow", "{capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], storageClassName: slow}"),
    ("raw", "{capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], volumeMode: Block}"),
    (
        "kept",
        "{capacity: {storage: 5Gi}, accessModes: [ReadWriteOnce], claimRef: {namespace: a, name: kept}}",
    ),
    (
        "others",
        "{capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], claimRef: {namespace: a, name: other}}",
    ),
];

fn object(text: String) -> Object {
    let manifest = read_bytes("a.yaml", text.clone().into_bytes());
    assert!(manifest.problems.is_empty(), "{text}: {:?}", manifest.problems);
    manifest.objects[0].object.clone()
}

fn volume(name: &str, spec: &str) -> Arc<PersistentVolume> {
    let text = format!(
        "{{apiVersion: v1, kind: PersistentVolume, metadata: {{name: {name}, labels: {{name: {name}}}}}, spec: {spec}}}"
    );
    let Object::PersistentVolume(volume) = object(text) else { panic!("no volume") };
    volume
}

fn claim(name: &str, spec: &str) -> Arc<PersistentVolumeClaim> {
    let text = format!(
        "{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: {name}, namespace: a}}, spec: {spec}}}"
    );
    let Object::PersistentVolumeClaim(claim) = object(text) else { panic!("no claim") };
    claim
}

#[test]
fn claims_are_bound_to_the_best_match() {
    let volumes = VOLUMES.map(|(name, spec)| volume(name, spec));
    // The claim and its spec; the expected volume.
    let table = [
        // The smallest sufficient one.
        (
            "c",
            "{accessModes: [ReadWriteOnce], storageClassName: '', resources: {requests: {storage: 100Mi}}}",
            "tiny",
        ),
        (
            "c",
            "{accessModes: [ReadWriteOnce], storageClassName: '', resources: {requests: {storage: 1Gi}}}",
            "medium",
        ),
        (
            "c",
            "{accessModes: [ReadWriteOnce], storageClassName: '', resources: {requests: {storage: 3G}}}",
            "large",
        ),
        (
            "c",
            "{accessModes: [ReadWriteOnce], storageClassName: '', resources: {requests: {storage: 1Ti}}}",
            "none",
        ),
        // One with more modes than requested, if no other has them.
        (
            "c",
            "{accessModes: [ReadWriteMany], storageClassName: '', resources: {requests: {storage: 1Gi}}}",
            "shared",
        ),
        (
            "c",
            "{accessModes: [ReadOnlyMany], storageClassName: '', resources: {requests: {storage: 1Gi}}}",
            "none",
        ),
        // Of the requested class; without a request and a default class, one without a class.
        (
            "c",
            "{accessModes: [ReadWriteOnce], storageClassName: slow, resources: {requests: {storage: 1Gi}}}",
            "slow",
        ),
        (
            "c",
            "{accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: 1Gi}}}",
            "none",
        ),
        ("c", "{accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}", "medium"),
        (
            "c",
            "{accessModes: [ReadWriteOnce], storageClassName: '', volumeMode: Block, resources: {requests: {storage: 1Gi}}}",
            "raw",
        ),
        // With the requested labels.
        (
            "c",
            "{accessModes: [ReadWriteOnce], storageClassName: '', selector: {matchLabels: {name: large}}, resources: {requests: {storage: 1Gi}}}",
            "large",
        ),
        (
            "c",
            "{accessModes: [ReadWriteOnce], storageClassName: '', selector: {matchLabels: {name: slow}}, resources: {requests: {storage: 1Gi}}}",
            "none",
        ),
        // One that is reserved for the claim, regardless of class and labels, if it is large enough.
        (
            "kept",
            "{accessModes: [ReadWriteOnce], storageClassName: slow, resources: {requests: {storage: 1Gi}}}",
            "kept",
        ),
        (
            "kept",
            "{accessModes: [ReadWriteOnce], storageClassName: '', resources: {requests: {storage: 6Gi}}}",
            "large",
        ),
    ];
    for (name, spec, expected) in table {
        let claim = claim(name, spec);
        let is_kept = |volume: &PersistentVolume| {
            volume.spec.claim_ref.as_ref().is_some_and(|claim| claim.name == name)
        };
        let found = Request::of(&Store::new(), &claim).best(volumes.iter(), is_kept);
        assert_eq!(found.map_or("none", |volume| volume.metadata.name.as_str()), expected, "{name} {spec}");
    }
}

#[test]
fn the_default_class_applies_to_claims_without_one() {
    let volume = volume("v", "{capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce]}");
    let claim = claim("c", "{accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}");
    for (is_default, bound) in [("true", false), ("false", true)] {
        let annotations = Labels::from_iter([("storageclass.kubernetes.io/is-default-class", is_default)]);
        let metadata = ObjectMeta { name: "standard".into(), annotations, ..ObjectMeta::default() };
        let mut store = Store::new();
        store.apply(Change::Put(Object::Inert(Kind::StorageClass, Arc::new(Inert { metadata }))));
        let found = Request::of(&store, &claim).best([&volume].into_iter(), |_| false);
        assert_eq!(found.is_some(), bound, "{is_default}");
    }
}

#[test]
fn a_named_volume_has_to_match() {
    let table = [
        ("medium", "{storageClassName: '', resources: {requests: {storage: 1Gi}}}", None),
        (
            "tiny",
            "{storageClassName: '', resources: {requests: {storage: 1Gi}}}",
            Some("requested PV is too small"),
        ),
        (
            "slow",
            "{storageClassName: '', resources: {requests: {storage: 1Gi}}}",
            Some("storageClassName does not match"),
        ),
        (
            "raw",
            "{storageClassName: '', resources: {requests: {storage: 1Gi}}}",
            Some("incompatible volumeMode"),
        ),
        (
            "medium",
            "{storageClassName: '', accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}}",
            Some("incompatible accessMode"),
        ),
    ];
    for (name, spec, expected) in table {
        let (_, of_volume) = VOLUMES.into_iter().find(|(other, _)| *other == name).expect("a volume");
        let why = Request::of(&Store::new(), &claim("c", spec)).mismatch(&volume(name, of_volume));
        assert_eq!(why.as_deref(), expected, "{name} {spec}");
    }
}

#[test]
fn released_volumes_are_reclaimed() {
    let table = [
        ("{persistentVolumeReclaimPolicy: Retain, hostPath: {path: /tmp/x}}", Ok(false)),
        ("{hostPath: {path: /tmp/x}}", Ok(false)),
        ("{persistentVolumeReclaimPolicy: Delete, hostPath: {path: /tmp/x}}", Ok(true)),
        ("{persistentVolumeReclaimPolicy: Delete, csi: {driver: x}}", Ok(true)),
        (
            "{persistentVolumeReclaimPolicy: Delete, hostPath: {path: /x}}",
            Err("host_path deleter only supports /tmp/.+ but received provided /x".to_owned()),
        ),
    ];
    for (spec, expected) in table {
        assert_eq!(reclaim(&volume("v", spec)), expected, "{spec}");
    }
}
