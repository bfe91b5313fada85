//! Objects as a request selects and formats them. Must not depend on verbs.

use serde_json::{Value, json};

use crate::http::accept::Form;
use crate::http::path::Place;
use crate::http::query::Query;
use crate::http::status::Status;
use crate::schema::resource::Resource;
use crate::schema::{crd, versions};
use crate::view::render::{self, Context};
use crate::view::selector::{FieldSelector, LabelSelector};
use crate::view::table::{self, Include};
use crate::view::{columns, fault};
use clusterlocal_core::ControlPlane;
use clusterlocal_core::store::{Key, Kind, Name, Object, Store, Stored, Time, View};

/// The objects of a kind that a request selects.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) kind: Kind,
    /// None for all.
    namespace: Option<Name>,
    labels: LabelSelector,
    fields: FieldSelector,
    /// Whether `fields` has other terms than a name.
    by_fields: bool,
}

impl Scope {
    /// The objects at `place` that match the selectors of `query`.
    pub(crate) fn of(kind: Kind, place: &Place, query: &Query) -> Result<Scope, Status> {
        let labels = LabelSelector::parse(&query.label_selector).map_err(|why| {
            Status::bad_request(format!("unable to parse labelSelector {:?}: {why}", query.label_selector))
        })?;
        let fields = match place.resource.group {
            "events.k8s.io" => FieldSelector::parse_event(&query.field_selector),
            _ => FieldSelector::parse(kind, &query.field_selector),
        };
        let fields = fields.map_err(Status::bad_request)?;
        let namespace = Some(Name::from(&place.namespace)).filter(|namespace| !namespace.is_empty());
        Ok(Scope { kind, namespace, labels, by_fields: !query.field_selector.is_empty(), fields })
    }

    /// The namespace, if there is only one.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Whether `key` is of the kind and in the namespace.
    pub(crate) fn is_at(&self, key: &Key) -> bool {
        key.kind == self.kind && self.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
    }

    /// Whether the selectors match `stored`, whose kind and namespace match; rendered from `view`.
    pub(crate) fn admits(&self, stored: &Stored, cluster: &ControlPlane, view: View<'_>) -> bool {
        let metadata = stored.object.metadata();
        // Most others are excluded without rendering their JSON.
        self.labels.admits(&metadata.labels)
            && self.fields.name().is_none_or(|name| name == metadata.name)
            && (!self.by_fields || self.fields.matches(&rendered_in(stored, cluster, view)))
    }
}

/// The object that `place` names.
pub(crate) fn stored<'s>(store: &'s Store, kind: Kind, place: &Place) -> Result<&'s Stored, Status> {
    let key = Key::new(kind, &place.namespace, &place.name);
    store.stored(&key).ok_or_else(|| Status::not_found(place.resource, &place.name))
}

/// The object in the API's form, from the current store.
pub(crate) fn rendered(stored: &Stored, cluster: &ControlPlane) -> Value {
    rendered_in(stored, cluster, View::now(cluster.store()))
}

/// The object in the API's form, from the store in `view`.
pub(crate) fn rendered_in(stored: &Stored, cluster: &ControlPlane, view: View<'_>) -> Value {
    let mut shown = render::object(stored, &Context { store: view });
    if let Object::Fault(fault) = &stored.object {
        shown["status"] = fault::status(fault, stored, cluster);
    }
    shown
}

/// The object in the API's form, in the version of `resource`.
pub(crate) fn rendered_as(resource: &Resource, stored: &Stored, cluster: &ControlPlane) -> Value {
    versions::present(cluster.store(), resource, rendered(stored, cluster))
}

/// The form in which a client receives objects of a resource.
#[derive(Clone, Copy)]
pub(crate) struct Presentation {
    pub(crate) kind: Kind,
    pub(crate) resource: &'static Resource,
    pub(crate) form: Form,
    pub(crate) include: Include,
}

impl Presentation {
    /// Renders `stored` in the requested version, from `view`.
    pub(crate) fn rendered(&self, stored: &Stored, cluster: &ControlPlane, view: View<'_>) -> Value {
        versions::present(cluster.store(), self.resource, rendered_in(stored, cluster, view))
    }

    /// Whether objects are sent in their stored form.
    pub(crate) fn is_stored_form(&self) -> bool {
        !self.resource.is_custom() && std::ptr::eq(self.resource, Resource::of_kind(self.kind))
    }

    /// One `object`.
    pub(crate) fn object(&self, object: Value, cluster: &ControlPlane) -> Value {
        match self.form {
            Form::Json => object,
            Form::Metadata => metadata_only(&object),
            Form::Table => {
                let metadata = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
                let mut table = self.empty_table(metadata, cluster);
                table["rows"] = json!([self.row(&object, cluster)]);
                table
            }
        }
    }

    /// A table without rows.
    pub(crate) fn empty_table(&self, metadata: Value, cluster: &ControlPlane) -> Value {
        let mut table = table::table(self.kind, [], metadata, Time::default(), self.include);
        if let Some(version) = crd::version(cluster.store(), self.resource) {
            table["columnDefinitions"] = columns::columns(version).into();
        }
        table
    }

    /// The row of `object`.
    pub(crate) fn row(&self, object: &Value, cluster: &ControlPlane) -> Value {
        match crd::version(cluster.store(), self.resource) {
            Some(version) => columns::row(version, object, cluster.now(), self.include),
            None => table::row(self.kind, object, cluster.now(), self.include),
        }
    }
}

/// A PartialObjectMetadata of `object`.
pub(crate) fn metadata_only(object: &Value) -> Value {
    json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] })
}
