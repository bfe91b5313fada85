//! Takes the place of kube-apiserver's discovery: the documents from which clients learn the groups, versions, resources and fields
//! of the API. Must not depend on verbs.

mod groups;
mod openapi;

use std::net::SocketAddr;

use hyper::header::HeaderMap;

use crate::http::accept::{self, Aggregated};
use crate::http::path::Target;
use crate::http::reply::Reply;
use crate::schema::registry::Registry;
use clusterlocal_core::{ControlPlane, Driver};

/// The document for `target`: groups, versions, resources or fields.
pub(crate) fn document(
    driver: &Driver,
    address: SocketAddr,
    target: &Target,
    registry: &Registry,
    headers: &HeaderMap,
) -> Reply {
    let aggregated = |form: Aggregated, core| {
        let content_type = match form {
            Aggregated::V2 => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            Aggregated::V2Beta1 => {
                "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
            }
        };
        Reply::Typed(content_type, groups::aggregated(registry, form, core).to_string().into_bytes())
    };
    match (target, Aggregated::requested(headers)) {
        (Target::Health, _) => Reply::text("ok"),
        (Target::Version, _) => Reply::ok(&groups::version()),
        (Target::CoreGroup, Some(form)) => aggregated(form, true),
        (Target::Groups, Some(form)) => aggregated(form, false),
        (Target::CoreGroup, None) => Reply::ok(&groups::core_group(address)),
        (Target::Groups, None) => Reply::ok(&groups::all_groups(registry)),
        (Target::Group(group), _) => Reply::ok(&groups::group(registry, group)),
        (Target::Resources(group, version), _) => Reply::ok(&groups::resources(registry, group, version)),
        (Target::OpenApiV2, _) if accept::is_json(headers) => {
            Reply::ok(&driver.read(|cluster| openapi::v2_json(registry, cluster.store())))
        }
        (Target::OpenApiV2, _) => Reply::Typed(openapi::V2_TYPE, openapi::v2(registry)),
        (Target::OpenApi, _) => Reply::ok(&openapi::index(registry)),
        (Target::OpenApiOf(group, version), _) => {
            let read = |cluster: &ControlPlane| openapi::document(registry, cluster.store(), group, version);
            Reply::ok(&driver.read(read))
        }
        (Target::Root | Target::Dns(_) | Target::Fixture(_) | Target::Place(_), _) => {
            Reply::ok(&groups::paths(registry))
        }
    }
}
