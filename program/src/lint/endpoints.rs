//! Rules about EndpointSlices and Endpoints in manifests.

use super::Reviewed;
use clusterlocal_core::manifest::Problem;
use clusterlocal_core::store::{EndpointSlice, Endpoints, Kind, SERVICE_NAME_LABEL, Service, nearest};

const CODE: &str = "endpoints-without-service";

/// A slice belongs to its Service by a label, not by its name.
pub(super) fn review_slice(slice: &Reviewed<'_, EndpointSlice>, findings: &mut Vec<Problem>) {
    let Some(service) = slice.object.service_name() else {
        let mut names = without_selector(slice);
        let named = names.find(|name| slice.key.name.starts_with(name)).unwrap_or("SERVICE");
        findings.push(slice.finding(
            CODE,
            "metadata.labels",
            format!("has no label {SERVICE_NAME_LABEL}: it belongs to no Service, regardless of its name"),
            format!("write {SERVICE_NAME_LABEL}: {named}"),
        ));
        return;
    };
    let path = format!("metadata.labels[{SERVICE_NAME_LABEL}]");
    without_service(slice, service, &path, findings);
}

pub(super) fn review_endpoints(endpoints: &Reviewed<'_, Endpoints>, findings: &mut Vec<Problem>) {
    // Old clusters elect leaders with empty Endpoints.
    if !endpoints.object.subsets.is_empty() {
        let name = endpoints.key.name.clone();
        without_service(endpoints, &name, "metadata.name", findings);
    }
}

/// The Services without a selector: the endpoints of others are written by their controller.
fn without_selector<'a, T>(of: &'a Reviewed<'_, T>) -> impl Iterator<Item = &'a str> {
    let all = of.cluster.store.list_in::<Service>(Kind::Service, &of.key.namespace);
    all.filter(|service| service.spec.selector.is_empty()).map(|service| service.metadata.name.as_str())
}

fn without_service<T>(of: &Reviewed<'_, T>, service: &str, path: &str, findings: &mut Vec<Problem>) {
    let namespace = &of.key.namespace;
    if of.cluster.service(namespace, service).is_some() {
        return;
    }
    let help = match nearest(service, without_selector(of)) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("add a Service {service}, without a selector, to namespace {namespace}"),
    };
    let message = format!("there is no Service {namespace}/{service}: these endpoints have no names");
    findings.push(of.finding(CODE, path, message, help));
}
