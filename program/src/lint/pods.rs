//! Rules about hostname and subdomain of pods without a StatefulSet.

use super::{Reviewed, Template};
use clusterlocal_core::manifest::Problem;
use clusterlocal_core::store::{Kind, nearest};

pub(super) fn review(template: &Reviewed<'_, Template<'_>>, findings: &mut Vec<Problem>) {
    // A StatefulSet sets both.
    if template.key.kind == Kind::StatefulSet {
        return;
    }
    let (spec, namespace) = (template.object.spec, &template.key.namespace);
    if !spec.shared.subdomain.is_empty()
        && template.cluster.service(namespace, &spec.shared.subdomain).is_none()
    {
        // Only a headless Service that selects the pod gives it a name.
        let near =
            nearest(&spec.shared.subdomain, template.cluster.service_names(namespace)).filter(|near| {
                let service = template.cluster.service(namespace, near);
                service.is_some_and(|service| {
                    let selector = &service.spec.selector;
                    service.is_headless() && !selector.is_empty() && selector.matches(template.object.labels)
                })
            });
        let help = match near {
            Some(near) => format!("did you mean {near}?"),
            None => format!("add a headless Service {} that selects the pod", spec.shared.subdomain),
        };
        findings.push(template.finding(
            "subdomain-without-service",
            &format!("{}.subdomain", template.object.path),
            format!(
                "there is no Service {namespace}/{}: the pod has no name below it",
                spec.shared.subdomain
            ),
            help,
        ));
    }
    hostname_without_subdomain(template, findings);
}

/// Only pods that a headless Service selects are expected to have a name.
fn hostname_without_subdomain(template: &Reviewed<'_, Template<'_>>, findings: &mut Vec<Problem>) {
    let spec = template.object.spec;
    if spec.hostname.is_empty() || !spec.shared.subdomain.is_empty() {
        return;
    }
    let over = template.cluster.store.services_selecting(&template.key.namespace, template.object.labels);
    if let Some(service) = over.iter().find(|service| service.is_headless()) {
        let service = &service.metadata.name;
        findings.push(template.finding(
            "hostname-without-subdomain",
            &format!("{}.hostname", template.object.path),
            format!("hostname alone is not a name in the DNS: {}.{service} does not exist", spec.hostname),
            format!("add subdomain: {service}"),
        ));
    }
}
