//! What an object keeps when a client changes it: what controllers and kubelets know of it, and the parts that the
//! client left alone, exactly as they were.

use std::sync::Arc;

use serde_json::Value;

use clusterlocal_core::store::{Given, Object, Part, PodTemplate};

/// Which parts a client changed.
#[derive(Clone, Copy)]
pub(super) struct Changes {
    pub(super) spec: bool,
    pub(super) template: bool,
    pub(super) claims: bool,
    pub(super) status: bool,
}

/// `new` with the state of `old` that has no JSON. Unchanged fields are the same as before, however the API rendered them: they
/// cause no rollout.
pub(super) fn unchanged(old: &Object, mut new: Object, changes: Changes) -> Object {
    new.metadata_mut().synthesized = old.metadata().synthesized;
    match (old, &mut new) {
        (Object::StatefulSet(old), Object::StatefulSet(new)) => {
            let spec = &mut Arc::make_mut(new).spec;
            if !changes.spec {
                spec.clone_from(&old.spec);
            }
            if !changes.template {
                spec.template = old.spec.template.clone();
            }
            if !changes.claims {
                spec.volume_claim_templates.clone_from(&old.spec.volume_claim_templates);
            }
        }
        (Object::Deployment(old), Object::Deployment(new))
        | (Object::ReplicaSet(old), Object::ReplicaSet(new))
        | (Object::ReplicationController(old), Object::ReplicationController(new))
        | (Object::DaemonSet(old), Object::DaemonSet(new))
        | (Object::Job(old), Object::Job(new)) => {
            let spec = &mut Arc::make_mut(new).spec;
            if !changes.spec {
                spec.clone_from(&old.spec);
            }
            if !changes.template {
                spec.template = old.spec.template.clone();
            }
        }
        (Object::Pod(old), Object::Pod(new)) if !changes.spec => {
            Arc::make_mut(new).spec.clone_from(&old.spec);
        }
        _ => {}
    }
    if changes.status { new } else { new.with_state_of(old) }
}

/// Whether nothing has to be kept of what a client wrote: it changed no more of an object that a controller made than
/// its labels and annotations. Many pods are touched like that, and what is written of each is much.
pub(super) fn is_known(old: &Object, before: &Value, after: &Value, changes: Changes) -> bool {
    let same = |(key, value): (&String, &Value)| {
        matches!(key.as_str(), "labels" | "annotations") || before["metadata"].get(key) == Some(value)
    };
    let plain = after["metadata"].as_object().is_some_and(|metadata| metadata.iter().all(same));
    matches!(old, Object::Pod(_))
        && old.metadata().given.is_none()
        && !changes.spec
        && !changes.status
        && plain
}

/// The template of a revision that a client makes: its data is a patch that brings the template back.
pub(super) fn template_of_revision(object: &mut Object, json: &Value) {
    let Object::ControllerRevision(revision) = object else { return };
    let Some(template) = json.pointer("/data/spec/template") else { return };
    let mut template = template.clone();
    if let Some(template) = template.as_object_mut() {
        template.remove("$patch");
    }
    if let Ok(mut read) = serde_json::from_str::<PodTemplate>(&template.to_string()) {
        read.given = Some(Part::new(&Given::from(template), ""));
        Arc::make_mut(revision).template = Arc::new(read);
    }
}
