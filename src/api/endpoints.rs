//! Takes the endpoints controller's place for those who still ask for Endpoints: nobody here keeps them, so they are
//! worked out from a Service's slices when they are asked for. It must not know requests.

use super::render::{self, Context};
use crate::ControlPlane;
use crate::store::{Event, Key, Kind, Name, Object, Stored};

/// The Endpoints of the Services in `namespace` (or in all) for which nobody wrote any.
pub(super) fn all(cluster: &ControlPlane, namespace: Option<&str>) -> Vec<Stored> {
    cluster.store().all_stored(Kind::Service, namespace).filter_map(|service| of(cluster, service)).collect()
}

/// Those of the Service `name` in `namespace`.
pub(super) fn one(cluster: &ControlPlane, namespace: &str, name: &str) -> Option<Stored> {
    of(cluster, cluster.store().stored(&Key::new(Kind::Service, namespace, name))?)
}

fn of(cluster: &ControlPlane, service: &Stored) -> Option<Stored> {
    let metadata = service.object.metadata();
    let written = Key::new(Kind::Endpoints, metadata.namespace.clone(), metadata.name.clone());
    if cluster.store().stored(&written).is_some() {
        return None;
    }
    render::derived_endpoints(service, &Context { store: cluster.store() })
}

/// What something that happened to a Service or a slice is to one who watches Endpoints: the type of the event, and the
/// Endpoints, as they are by now.
pub(super) fn event(cluster: &ControlPlane, event: &Event) -> Option<(&'static str, Stored)> {
    let object = event.object();
    let service = |name: &Name| one(cluster, &object.metadata().namespace, name);
    let (kind, mut endpoints) = match (object, &event.before, &event.after) {
        (Object::Service(_), Some(before), None) => ("DELETED", of(cluster, before)?),
        (Object::Service(_), before, Some(_)) => {
            (if before.is_none() { "ADDED" } else { "MODIFIED" }, service(&object.metadata().name)?)
        }
        (Object::EndpointSlice(slice), ..) => ("MODIFIED", service(slice.service_name()?)?),
        _ => return None,
    };
    endpoints.revision = event.revision;
    Some((kind, endpoints))
}
