//! Takes the place of kube-apiserver's read side: renders objects of the store. The fields that a client wrote come first,
//! those of controllers and the status override them, and Kubernetes' defaults fill in the rest. The same object gives the
//! same JSON. Must not depend on requests.

mod cluster;
mod endpoints;
mod metadata;
mod node;
mod pod;
mod pod_status;
mod services;
mod volumes;
mod workloads;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use crate::schema::crd;
use crate::schema::resource::group_kind;
use clusterlocal_core::store::{
    Key, Kind, LabelSelector, Object, ObjectReference, Operator, Store, Stored, Uid, View, without_nulls,
};

pub(crate) use metadata::{protection, remove_protection};

/// The input of rendering, besides the object.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Its owners, for their UIDs, and the objects that its fields derive from.
    pub store: View<'a>,
}

impl<'a> Context<'a> {
    /// The current objects of `store`.
    pub fn now(store: &'a Store) -> Self {
        Context { store: View::now(store) }
    }
}

/// Renders the object completely.
pub fn object(stored: &Stored, context: &Context<'_>) -> Value {
    let kind = stored.object.kind();
    let meta = stored.object.metadata();
    let given = meta.given.as_ref().and_then(|given| given.json().as_object());
    let mut json = given.map(without_nulls).unwrap_or_default();
    json.insert("kind".into(), kind.as_str().into());
    // A custom resource has the version in which it was written.
    match kind {
        Kind::Extra(extra) if extra.is_defined() && json.contains_key("apiVersion") => {}
        _ => drop(json.insert("apiVersion".into(), kind.api_version().into())),
    }
    let of_given = json.remove("metadata");
    let mut shown = Shown { stored, context: *context, json };
    let metadata = metadata::metadata(&shown, of_given);
    shown.json.insert("metadata".into(), metadata);
    match &stored.object {
        Object::Namespace(namespace) => cluster::namespace(&mut shown, namespace),
        Object::Event(event) => cluster::event(&mut shown, event),
        Object::Node(node) => node::node(&mut shown, node),
        Object::Service(service) => services::service(&mut shown, service),
        Object::EndpointSlice(slice) => endpoints::slice(&mut shown, slice),
        Object::Endpoints(all) => endpoints::endpoints(&mut shown, all),
        Object::StatefulSet(set) => workloads::stateful_set(&mut shown, set),
        Object::Deployment(workload) => workloads::deployment(&mut shown, workload),
        Object::ReplicaSet(workload) => workloads::replica_set(&mut shown, workload),
        Object::ReplicationController(workload) => workloads::replication_controller(&mut shown, workload),
        Object::DaemonSet(workload) => workloads::daemon_set(&mut shown, workload),
        Object::Job(workload) => workloads::job(&mut shown, workload),
        Object::CronJob(cron) => workloads::cron_job(&mut shown, cron),
        Object::ControllerRevision(revision) => workloads::controller_revision(&mut shown, revision),
        Object::Pod(pod) => pod::pod(&mut shown, pod),
        Object::PersistentVolumeClaim(claim) => volumes::claim(&mut shown, claim),
        Object::PersistentVolume(volume) => volumes::volume(&mut shown, volume),
        Object::Inert(kind, _) if *kind == crd::DEFINITION => {
            crd::fill_spec(&mut shown.json);
            let created = shown.created();
            let status = crd::status(&Value::Object(shown.json.clone()), &created);
            shown.json.insert("status".into(), status);
        }
        Object::Fault(_) | Object::Inert(..) => {}
    }
    // The status of a Pod derives from its defaults, and fills them in first.
    if kind != Kind::Pod {
        shown.fill_in();
    }
    shown.json.into()
}

/// An object that is being rendered.
struct Shown<'a> {
    stored: &'a Stored,
    context: Context<'a>,
    /// The result.
    json: Map<String, Value>,
}

impl Shown<'_> {
    fn metadata(&mut self) -> &mut Map<String, Value> {
        clusterlocal_core::store::object(&mut self.json, "metadata")
    }

    fn spec(&mut self) -> &mut Map<String, Value> {
        clusterlocal_core::store::object(&mut self.json, "spec")
    }

    fn status(&mut self) -> &mut Map<String, Value> {
        clusterlocal_core::store::object(&mut self.json, "status")
    }

    /// Fills in the defaults of the kind.
    fn fill_in(&mut self) {
        let kind = self.stored.object.kind();
        let Some(of) = group_kind(kind) else { return };
        let mut json = Value::Object(std::mem::take(&mut self.json));
        clusterlocal_admission::default(of, &mut json);
        if kind == Kind::Pod {
            clusterlocal_admission::admit_pod(&mut json);
        }
        if let Value::Object(json) = json {
            self.json = json;
        }
    }

    /// Whether a client wrote the field `name`.
    fn has(&self, name: &str) -> bool {
        self.json.get(name).is_some_and(|value| !value.is_null())
    }

    /// The creation time in the API's format.
    fn created(&self) -> String {
        self.stored.created.to_string()
    }

    /// The UID of the object at `key`, if it exists.
    fn uid_of(&self, key: &Key) -> Option<Uid> {
        Some(self.context.store.stored(key)?.uid())
    }

    /// A reference to another object, with its UID if it exists.
    fn reference(&self, to: &ObjectReference) -> Value {
        let mut json = Map::new();
        put(&mut json, "kind", to.kind.as_str());
        put(&mut json, "namespace", to.namespace.as_str());
        put(&mut json, "name", to.name.as_str());
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == to.kind);
        if let Some(uid) =
            kind.and_then(|kind| self.uid_of(&Key::new(kind, to.namespace.clone(), to.name.clone())))
        {
            json.insert("uid".into(), uid.to_string().into());
        }
        json.into()
    }
}

/// `object[field] = value`, except for zero and the empty text, as with Go's `omitempty`.
fn put(object: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    let value = value.into();
    match &value {
        Value::String(text) if text.is_empty() => drop(object.remove(field)),
        Value::Number(number) if number.as_u64() == Some(0) => drop(object.remove(field)),
        Value::Array(items) if items.is_empty() => drop(object.remove(field)),
        _ => drop(object.insert(field.into(), value)),
    }
}

/// A selector that was not written as JSON.
fn selector_json(selector: &LabelSelector) -> Value {
    let mut json = Map::new();
    clusterlocal_core::store::put_labels(&mut json, "matchLabels", &selector.match_labels);
    let expressions = selector.match_expressions.iter().map(|requirement| {
        let operator = match requirement.operator {
            Operator::In => "In",
            Operator::NotIn => "NotIn",
            Operator::Exists => "Exists",
            Operator::DoesNotExist => "DoesNotExist",
        };
        let values: Vec<&str> = requirement.values.iter().map(|value| value.as_str()).collect();
        let mut json = json!({ "key": requirement.key.as_str(), "operator": operator });
        if !values.is_empty() {
            json["values"] = values.into();
        }
        json
    });
    put(&mut json, "matchExpressions", expressions.collect::<Vec<Value>>());
    json.into()
}
