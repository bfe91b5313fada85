//! Rules about a StatefulSet and the Service that its pods have their names from.
//!
//! A pod is called POD.SERVICE only below the Service that its set names in serviceName, and only if that Service
//! selects it (endpoint slice controller, ShouldSetHostname). The API server checks none of it.

use super::{Cluster, Reviewed};
use crate::manifest::Problem;
use crate::store::{Kind, Service, StatefulSet, nearest};

pub(super) fn review_set(set: &Reviewed<'_, StatefulSet>, findings: &mut Vec<Problem>) {
    let (cluster, object) = (set.cluster, set.object);
    let (namespace, name) = (&object.metadata.namespace, &object.spec.service_name);
    let candidate = candidate(cluster, object);
    let mut tell = |code, message: String, help: String| {
        findings.push(set.finding(code, "spec.serviceName", message, help));
    };
    if name.is_empty() {
        let help = match candidate {
            Some(service) => format!("write serviceName: {}", service.metadata.name),
            None => "add a headless Service that selects the pods, and write its name: serviceName: …".into(),
        };
        return tell(
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
        let nearest = || nearest(name, cluster.service_names(namespace)).map(str::to_owned);
        let help = match candidate.map(|service| service.metadata.name.to_string()).or_else(nearest) {
            Some(meant) => format!("did you mean {meant}? write serviceName: {meant}"),
            None => format!("add a Service called {name} with clusterIP: None that selects the pods"),
        };
        return tell("governing-service-missing", message, help);
    };
    if selects_others(cluster, object, service) {
        let message = match service.spec.selector.is_empty() {
            true => format!("Service {name} has no selector: the pods have no names below it"),
            false => format!("Service {name} does not select this set's pods: they have no names below it"),
        };
        let labels = &object.spec.template.metadata.labels;
        tell(
            "governing-service-selects-others",
            message,
            format!("let it select labels of the pods, which have {labels}"),
        );
    } else if !service.is_headless() {
        let message = format!(
            "Service {name} has an address of its own: its name leads there, not to the pods (and only CoreDNS gives \
             pods names below it)"
        );
        let help = match candidate.filter(|candidate| candidate.is_headless()) {
            Some(other) => format!("write serviceName: {}", other.metadata.name),
            None => format!("write clusterIP: None into Service {name}, or add a headless one and name that"),
        };
        tell("governing-service-not-headless", message, help);
    }
}

pub(super) fn review_service(service: &Reviewed<'_, Service>, findings: &mut Vec<Problem>) {
    if service.object.is_headless() {
        second_headless_service(service, findings);
        foreign_pods(service, findings);
    }
}

/// Peers that are looked up by a Service which does not govern them come back under names made of addresses.
fn second_headless_service(service: &Reviewed<'_, Service>, findings: &mut Vec<Problem>) {
    let (cluster, own) = (service.cluster, &service.object.metadata.name);
    let sets = cluster.selected(service.object).filter(|template| template.key.kind == Kind::StatefulSet);
    for template in sets.filter(|template| template.subdomain != own) {
        // A set whose Service is wrong or missing is told of there.
        let governing = cluster.service(&template.key.namespace, template.subdomain);
        let governs = governing.is_some_and(|governing| governing.spec.selector.matches(template.labels));
        if governs {
            findings.push(service.finding(
                "second-headless-service",
                "spec.selector",
                format!(
                    "selects the pods of StatefulSet {}, which are governed by Service {}: here they are called by \
                     address, like 10-244-0-7.{own}",
                    template.key.name, template.subdomain
                ),
                format!("look peers up by {}, or write serviceName: {own} into the set", template.subdomain),
            ));
        }
    }
}

/// Whoever asks for the peers gets pods that are none.
fn foreign_pods(service: &Reviewed<'_, Service>, findings: &mut Vec<Problem>) {
    let own = &service.object.metadata.name;
    let selected: Vec<_> = service.cluster.selected(service.object).collect();
    let is_governed = |template: &&&super::Template<'_>| {
        template.key.kind == Kind::StatefulSet && template.subdomain == own
    };
    let Some(governed) = selected.iter().find(is_governed) else { return };
    for foreign in selected.iter().filter(|template| template.subdomain != own) {
        // A set's pod that a snapshot has without its owner.
        let set = crate::controller::ordinal(&foreign.key.name).map(|(set, _)| set);
        if foreign.key.kind == Kind::Pod && set == Some(&*governed.key.name) {
            continue;
        }
        findings.push(service.finding(
            "foreign-pods",
            "spec.selector",
            format!(
                "governs {}, but also selects the pods of {}: they will be among the peers",
                governed.key, foreign.key
            ),
            format!("give the pods of {} a label of their own, and select that", governed.key),
        ));
    }
}

/// The Service that could govern the set: one over its pods, headless if there is such.
fn candidate<'a>(cluster: &Cluster<'a>, set: &StatefulSet) -> Option<&'a Service> {
    let labels = &set.spec.template.metadata.labels;
    let over = cluster.store.services_selecting(&set.metadata.namespace, labels);
    let headless = over.iter().find(|service| service.is_headless());
    headless.or(over.first()).map(|service| &***service)
}

/// Whether the Service selects pods, but not those of the set. One that selects none at all is told of by itself.
fn selects_others(cluster: &Cluster<'_>, set: &StatefulSet, service: &Service) -> bool {
    let selector = &service.spec.selector;
    if selector.is_empty() {
        return !cluster.has_recorded_endpoints(service);
    }
    !selector.matches(&set.spec.template.metadata.labels) && cluster.selected(service).next().is_some()
}

fn first_pod(set: &StatefulSet) -> String {
    format!("{}-{}.{}", set.metadata.name, set.spec.ordinals.start, set.spec.service_name)
}
