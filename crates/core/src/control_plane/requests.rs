//! Takes the place of clients with typed requests: annotate, scale, delete, by key and without JSON. Must not depend on
//! the client.

use std::sync::Arc;

use serde_json::{Value, json};

use super::ControlPlane;
use crate::reconcile::Deletion;
use crate::store::{Change, Given, Key, Labels, Object};

impl ControlPlane {
    /// Sets annotations of the object at `key`; removes those without a value. Returns whether the object exists.
    pub fn annotate(&mut self, key: &Key, annotations: &[(&str, Option<&str>)]) -> bool {
        self.amend(key, |object| {
            let metadata = object.metadata_mut();
            let kept =
                metadata.annotations.iter().filter(|(key, _)| annotations.iter().all(|(k, _)| k != key));
            let set = annotations.iter().filter_map(|(key, value)| Some((*key, (*value)?)));
            metadata.annotations = kept.chain(set).collect::<Labels>();
            let shown = metadata.annotations.iter().map(|(k, v)| (k.to_string(), Value::from(v)));
            ("/metadata", "annotations", Value::Object(shown.collect()))
        })
    }

    /// Sets the replicas of the StatefulSet, Deployment or ReplicaSet at `key`. Returns whether it exists.
    pub fn scale(&mut self, key: &Key, replicas: u32) -> bool {
        self.amend(key, |object| {
            match object {
                Object::StatefulSet(set) => Arc::make_mut(set).spec.replicas = Some(replicas),
                Object::Deployment(set) | Object::ReplicaSet(set) => {
                    Arc::make_mut(set).spec.replicas = Some(replicas)
                }
                _ => {}
            }
            ("/spec", "replicas", replicas.into())
        })
    }

    /// Deletes the object at `key`: a pod after `grace` seconds or its own grace period, other objects at once. Returns
    /// whether the object exists.
    pub fn delete(&mut self, key: &Key, grace: Option<u32>) -> bool {
        self.request_deletion(key, Deletion { grace, propagation: None })
    }

    /// Applies `edit` to the object at `key`, and the same change to its original JSON: the field of that name below
    /// the JSON pointer.
    fn amend(
        &mut self,
        key: &Key,
        edit: impl FnOnce(&mut Object) -> (&'static str, &'static str, Value),
    ) -> bool {
        let Some(mut object) = self.store().object(key).cloned() else { return false };
        let (at, field, value) = edit(&mut object);
        if let Some(given) = &object.metadata().given {
            let mut json = given.json().clone();
            if let Some(parent) = json.pointer_mut(at) {
                parent[field] = value;
            } else {
                json[&at[1..]] = json!({ field: value });
            }
            object.keep(Given::from(json));
        }
        self.request(vec![Change::Put(object)]);
        true
    }
}
