//! Rules about a StatefulSet and its governing Service.
//!
//! A pod has the name POD.SERVICE only below the Service in serviceName of its set, and only if that Service selects it
//! (endpointslice controller, ShouldSetHostname). The API server does not check either.

use super::{Cluster, Reviewed};
use clusterlocal_core::manifest::Problem;
use clusterlocal_core::store::{Kind, Service, StatefulSet, nearest};

pub(super) fn review_set(set: &Reviewed<'_, StatefulSet>, findings: &mut Vec<Problem>) {
    let (cluster, object) = (set.cluster, set.object);
    let (namespace, name) = (&object.metadata.namespace, &object.spec.service_name);
    let cures = |code: &str, name: &str| {
        !set.is_trial && set.is_cured(code, |copy| copy.spec.service_name = name.into())
    };
    let candidate = candidate(cluster, object).map(|service| service.metadata.name.as_str());
    let mut report = |code, message: String, help: String| {
        findings.push(set.finding(code, "spec.serviceName", message, help));
    };
    if name.is_empty() {
        let help = match candidate.filter(|name| cures("service-name-missing", name)) {
            Some(service) => format!("write serviceName: {service}"),
            None => format!(
                "{}, and write serviceName: {}",
                add_one(object, &object.metadata.name),
                object.metadata.name
            ),
        };
        return report(
            "service-name-missing",
            "has no serviceName: its pods have no names in the DNS".into(),
            help,
        );
    }
    let Some(service) = cluster.service(namespace, name) else {
        let message = format!(
            "there is no Service {namespace}/{name}: the pods have no names like {}",
            first_pod(object)
        );
        let near = nearest(name, cluster.service_names(namespace));
        let mut likely = near.into_iter().chain(candidate);
        let help = match likely.find(|name| cures("governing-service-missing", name)) {
            Some(service) => format!("did you mean {service}? write serviceName: {service}"),
            None => add_one(object, name),
        };
        return report("governing-service-missing", message, help);
    };
    if selects_others(cluster, object, service) {
        let message = if service.spec.selector.is_empty() {
            format!("Service {name} has no selector: the pods have no names below it")
        } else {
            format!("Service {name} does not select this set's pods: they have no names below it")
        };
        let labels = &object.spec.template.metadata.labels;
        report(
            "governing-service-selects-others",
            message,
            format!("select labels of the pods, which have {labels}"),
        );
    } else if !service.is_headless() {
        let message = format!(
            "Service {name} has a cluster IP: its name resolves to that, not to the pods (and only CoreDNS gives pods \
             names below it)"
        );
        let help = match candidate.filter(|name| cures("governing-service-not-headless", name)) {
            Some(other) => format!("write serviceName: {other}"),
            None => format!(
                "{}, and write serviceName: {name}-headless; keep Service {name} for clients",
                add_one(object, &format!("{name}-headless"))
            ),
        };
        report("governing-service-not-headless", message, help);
    }
}

pub(super) fn review_service(service: &Reviewed<'_, Service>, findings: &mut Vec<Problem>) {
    if service.object.is_headless() {
        second_headless_service(service, findings);
        foreign_pods(service, findings);
    }
}

/// Below a headless Service that does not govern them, pods have names made of their addresses.
fn second_headless_service(service: &Reviewed<'_, Service>, findings: &mut Vec<Problem>) {
    let (cluster, own) = (service.cluster, &service.object.metadata.name);
    // A Service over several workloads finds all of them, by address.
    let mut workloads: Vec<_> = cluster.selected(service.object).map(|template| &template.key).collect();
    workloads.dedup();
    if workloads.len() > 1 {
        return;
    }
    let sets = cluster.selected(service.object).filter(|template| template.key.kind == Kind::StatefulSet);
    for template in sets.filter(|template| template.subdomain != own) {
        // A wrong or missing governing Service is another finding.
        let governing = cluster.service(&template.key.namespace, template.subdomain);
        let governs = governing.is_some_and(|governing| {
            governing.spec.selector.matches(template.labels) && is_alike(governing, service.object)
        });
        if governs {
            findings.push(service.finding(
                "second-headless-service",
                "spec.selector",
                format!(
                    "selects the pods of StatefulSet {}, which Service {} governs: below this one they are named by \
                     address, like 10-244-0-7.{own}",
                    template.key.name, template.subdomain
                ),
                format!("look peers up by {}, or write serviceName: {own} into the set", template.subdomain),
            ));
        }
    }
}

/// Whether two Services have the same purpose: one for pods that are not ready, or for other ports, is not a mistake.
fn is_alike(one: &Service, other: &Service) -> bool {
    let ports = |service: &Service| service.spec.ports.iter().map(|port| port.port).collect::<Vec<_>>();
    one.spec.publish_not_ready_addresses == other.spec.publish_not_ready_addresses
        && ports(one) == ports(other)
}

/// Clients that look up the peers get pods of another workload.
fn foreign_pods(service: &Reviewed<'_, Service>, findings: &mut Vec<Problem>) {
    let own = &service.object.metadata.name;
    let selected: Vec<_> = service.cluster.selected(service.object).collect();
    let is_governed = |template: &&&super::Template<'_>| {
        template.key.kind == Kind::StatefulSet && template.subdomain == own
    };
    let Some(governed) = selected.iter().find(is_governed) else { return };
    for foreign in selected.iter().filter(|template| template.subdomain != own) {
        // A pod of the set, in a snapshot without ownerReferences.
        let set = clusterlocal_core::store::ordinal(&foreign.key.name).map(|(set, _)| set);
        if foreign.key.kind == Kind::Pod && set == Some(&*governed.key.name) {
            continue;
        }
        findings.push(service.finding(
            "foreign-pods",
            "spec.selector",
            format!(
                "governs {}, but also selects the pods of {}: they appear as peers",
                governed.key, foreign.key
            ),
            format!("give the pods of {} a label of their own, and select that", governed.key),
        ));
    }
}

/// A Service that could govern the set: one that selects its pods, preferably headless.
fn candidate<'a>(cluster: &Cluster<'a>, set: &StatefulSet) -> Option<&'a Service> {
    let labels = &set.spec.template.metadata.labels;
    let over = cluster.store.services_selecting(&set.metadata.namespace, labels);
    let headless = over.iter().find(|service| service.is_headless());
    headless.or(over.first()).map(|service| &***service)
}

/// Whether the Service selects pods, but not those of the set. A Service that selects no pods is another finding.
fn selects_others(cluster: &Cluster<'_>, set: &StatefulSet, service: &Service) -> bool {
    let selector = &service.spec.selector;
    if selector.is_empty() {
        return !cluster.store.has_recorded_endpoints(service);
    }
    !selector.matches(&set.spec.template.metadata.labels) && cluster.selected(service).next().is_some()
}

/// The Service to add, to be copied.
fn add_one(set: &StatefulSet, name: &str) -> String {
    let labels = match &set.spec.selector {
        Some(selector) if !selector.match_labels.is_empty() => &selector.match_labels,
        _ => &set.spec.template.metadata.labels,
    };
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}: {value:?}")).collect();
    let declared = set.spec.template.spec.serving_containers().flat_map(|container| &container.ports);
    let named = declared.filter(|port| !port.name.is_empty());
    let ports: Vec<String> =
        named.map(|port| format!("{{name: {}, port: {}}}", port.name, port.container_port)).collect();
    let ports = if ports.is_empty() { String::new() } else { format!(", ports: [{}]", ports.join(", ")) };
    format!("add a Service {name} with spec: {{clusterIP: None, selector: {{{}}}{ports}}}", labels.join(", "))
}

fn first_pod(set: &StatefulSet) -> String {
    format!("{}-{}.{}", set.metadata.name, set.spec.ordinals.start, set.spec.service_name)
}
