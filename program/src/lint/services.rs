//! Rules about Services: selectors, targets of ExternalNames, addresses.

use std::net::IpAddr;

use super::{Reviewed, Template};
use clusterlocal_core::manifest::Problem;
use clusterlocal_core::store::{IntOrName, IpFamily, IpFamilyPolicy, Labels, Service, nearest};
use clusterlocal_core::wire::{DomainName, is_subdomain};
use clusterlocal_core::zone::{Each, Found, TargetRef};

type Findings = Vec<Problem>;

pub(super) fn review(service: &Reviewed<'_, Service>, findings: &mut Findings) {
    if service.object.is_external_name() {
        external_name(service, findings);
        return;
    }
    selector_matches_nothing(service, findings);
    annotation_without_effect(service, findings);
    cluster_ip_taken(service, findings);
    family_unavailable(service, findings);
}

/// A Service without endpoints: NXDOMAIN if it is headless, an address that refuses connections if it is not.
fn selector_matches_nothing(service: &Reviewed<'_, Service>, findings: &mut Findings) {
    let (cluster, object) = (service.cluster, service.object);
    let selector = &object.spec.selector;
    let selected = !cluster.store.select_pods(&object.metadata.namespace, selector).is_empty()
        || cluster.selected(object).next().is_some();
    if selector.is_empty() || selected || cluster.store.has_recorded_endpoints(object) {
        return;
    }
    let effect = if object.is_headless() {
        "its name does not exist (NXDOMAIN)"
    } else {
        "its address refuses connections"
    };
    let (path, message, help) = match correction(service) {
        Some(Correction::Label(template, key, wanted)) => (
            format!("spec.selector[{key}]"),
            format!(
                "selector {selector} matches no pod: the pods of {} have {key}={wanted}; {effect}",
                template.key
            ),
            format!("write {key}: {wanted}"),
        ),
        Some(Correction::Namespace(template)) => (
            "spec.selector".into(),
            format!(
                "selector {selector} matches no pod of namespace {}: the pods of {} have these labels; {effect}",
                object.metadata.namespace, template.key
            ),
            format!("write namespace: {} in the Service, where the pods are", template.key.namespace),
        ),
        None => (
            "spec.selector".into(),
            format!("selector {selector} matches no pod of these manifests; {effect}"),
            "add the manifest of these pods, or correct the selector".into(),
        ),
    };
    findings.push(service.finding("selector-matches-nothing", &path, message, help));
}

/// A likely correction of a selector that matches nothing.
enum Correction<'a> {
    /// One label has another value in the pods of this template.
    Label(&'a Template<'a>, &'a str, &'a str),
    /// The pods of this template are in another namespace.
    Namespace(&'a Template<'a>),
}

/// The correction that fixes the Service, if labels or ports show that these are its pods: any label could be made to match.
fn correction<'a>(service: &Reviewed<'a, Service>) -> Option<Correction<'a>> {
    if service.is_trial {
        return None;
    }
    let (cluster, object) = (service.cluster, service.object);
    let (selector, namespace) = (&object.spec.selector, &object.metadata.namespace);
    let here = || cluster.templates.iter().filter(|template| template.key.namespace == *namespace);
    let near = here().filter_map(|template| {
        let mut wrong = selector.iter().filter(|(key, value)| template.labels.get(key) != Some(value));
        let (key, value) = wrong.next().filter(|_| wrong.next().is_none())?;
        let wanted = template.labels.get(key)?;
        let is_slip = nearest(value, [wanted]).is_some();
        let proven = is_slip || agreeing(selector, template.labels) > 0 || fits_alone(service, template);
        proven.then_some((template, key, wanted))
    });
    let cured = near.filter(|(template, key, wanted)| {
        serves(object, template)
            && service.is_cured("selector-matches-nothing", |copy| {
                copy.spec.selector = copy
                    .spec
                    .selector
                    .iter()
                    .map(|(k, v)| (k, if k == *key { *wanted } else { v }))
                    .collect();
            })
    });
    let mut cured = cured.peekable();
    if let Some((template, key, wanted)) = cured.next() {
        // Of several corrections none is more likely, unless they are the same label.
        let only = cured.all(|(_, other_key, other)| (other_key, other) == (key, wanted));
        return only.then_some(Correction::Label(template, key, wanted));
    }
    let mut elsewhere = cluster.templates.iter().filter(|template| {
        template.key.namespace != *namespace && selector.matches(template.labels) && serves(object, template)
    });
    let first = elsewhere.next()?;
    elsewhere
        .all(|template| template.key.namespace == first.key.namespace)
        .then_some(Correction::Namespace(first))
}

/// Whether the Service has the name of the workload, or all of its ports are ports of the template, which no other Service
/// selects.
fn fits_alone(service: &Reviewed<'_, Service>, template: &Template<'_>) -> bool {
    let object = service.object;
    let declared =
        || template.spec.serving_containers().flat_map(|container| &container.ports).next().is_some();
    let all = service.cluster.store.services_selecting(&template.key.namespace, template.labels);
    let mut others = all.iter().filter(|other| other.is_headless() == object.is_headless());
    object.metadata.name == template.key.name
        || (declared()
            && !object.spec.ports.is_empty()
            && others.next().is_none()
            && serves(object, template))
}

/// Whether the template declares the ports of the Service, or no ports at all.
fn serves(service: &Service, template: &Template<'_>) -> bool {
    let declared: Vec<_> =
        template.spec.serving_containers().flat_map(|container| &container.ports).collect();
    declared.is_empty()
        || service.spec.ports.iter().all(|port| match &port.target_port {
            Some(IntOrName::Name(name)) => declared.iter().any(|d| d.name == *name),
            Some(IntOrName::Int(number)) => declared.iter().any(|d| d.container_port == *number),
            None => declared.iter().any(|d| d.container_port == port.port),
        })
}

fn agreeing(selector: &Labels, labels: &Labels) -> usize {
    selector.iter().filter(|(key, value)| labels.get(key) == Some(value)).count()
}

/// Deprecated for publishNotReadyAddresses in 1.11 and removed in 1.24; EndpointSlices never supported it.
fn annotation_without_effect(service: &Reviewed<'_, Service>, findings: &mut Findings) {
    const TOLERATE: &str = "service.alpha.kubernetes.io/tolerate-unready-endpoints";
    let is_set = service.object.metadata.annotations.get(TOLERATE).is_some_and(|value| value == "true");
    if is_set && !service.object.spec.publish_not_ready_addresses {
        findings.push(service.finding(
            "annotation-without-effect",
            &format!("metadata.annotations[{TOLERATE}]"),
            format!("{TOLERATE} no longer has an effect: pods have no names before they are ready"),
            "write publishNotReadyAddresses: true into the spec",
        ));
    }
}

fn cluster_ip_taken(service: &Reviewed<'_, Service>, findings: &mut Findings) {
    let owned = service.object.addresses().find_map(|ip| Some((ip, service.cluster.cluster_ips.get(&ip)?)));
    if let Some((ip, owner)) = owned.filter(|(_, owner)| **owner != service.key) {
        findings.push(service.finding(
            "cluster-ip-taken",
            "spec.clusterIP",
            format!("{ip} is already the address of {owner}"),
            "leave clusterIP out: one is allocated",
        ));
    }
}

/// A required family that the cluster has no addresses of.
fn family_unavailable(service: &Reviewed<'_, Service>, findings: &mut Findings) {
    let spec = &service.object.spec;
    let (path, wanted) = match spec.ip_family_policy {
        _ if !spec.ip_families.is_empty() => ("spec.ipFamilies", spec.ip_families.clone()),
        Some(IpFamilyPolicy::RequireDualStack) => {
            ("spec.ipFamilyPolicy", vec![IpFamily::IPv4, IpFamily::IPv6])
        }
        _ => return,
    };
    let (store, meta) = (service.cluster.store, &service.object.metadata);
    let available: Vec<IpFamily> = if service.object.is_headless() {
        let pods = store.select_pods(&meta.namespace, &spec.selector);
        pods.iter().flat_map(|pod| pod.status.ips()).map(IpFamily::of).collect()
    } else {
        let settled = service.cluster.service(&meta.namespace, &meta.name);
        settled.into_iter().flat_map(Service::addresses).map(IpFamily::of).collect()
    };
    for family in wanted.into_iter().filter(|family| !available.is_empty() && !available.contains(family)) {
        let record = if family == IpFamily::IPv4 { "A" } else { "AAAA" };
        findings.push(service.finding(
            "family-unavailable",
            path,
            format!(
                "requires {family:?}, of which this cluster has no addresses: there is no {record} record"
            ),
            "leave the family out, or give the cluster a range of each family (--pod-cidr, --service-cidr)",
        ));
    }
}

fn external_name(service: &Reviewed<'_, Service>, findings: &mut Findings) {
    let target = service.object.spec.external_name.as_deref().unwrap_or_default();
    let mut report = |code, message: String, help: String| {
        findings.push(service.finding(code, "spec.externalName", message, help));
    };
    if target.parse::<IpAddr>().is_ok() {
        return report(
            "external-name-address",
            format!(
                "{target} is an address: an alias must be a name: CoreDNS has no records for this Service"
            ),
            "leave out type, externalName and selector, and give the address in an EndpointSlice".into(),
        );
    }
    let domain = &service.cluster.zone.settings().domain;
    let shown = domain.to_string();
    let shown = shown.trim_end_matches('.');
    let Ok(name) = target.parse::<DomainName>() else { return };
    if is_subdomain(domain.as_wire(), name.as_wire()) {
        if let Some(why) = dangling(service, &name) {
            let help = "write the name of a Service that exists: SERVICE.NAMESPACE.svc.".to_string() + shown;
            report("external-name-dangling", format!("{target} {why}"), help);
        }
    } else if target.trim_end_matches('.').ends_with(".svc") || name.label_count() == 1 {
        // The target of an alias is looked up without search domains: clients apply these to their own queries only.
        report(
            "external-name-dangling",
            format!("{target} is looked up without the cluster domain: this name does not exist"),
            format!("write the full name: SERVICE.NAMESPACE.svc.{shown}"),
        );
    }
}

/// Follows aliases within the zone, and returns the reason if they do not end at a name.
fn dangling(service: &Reviewed<'_, Service>, target: &DomainName) -> Option<String> {
    let zone = service.cluster.zone;
    let domain = zone.settings().domain.as_wire();
    let own = format!("{}.{}.svc.{}", service.key.name, service.key.namespace, zone.settings().domain);
    let mut seen: Vec<Vec<u8>> = own.parse::<DomainName>().iter().map(|own| own.as_wire().to_vec()).collect();
    let mut next = target.as_wire().to_ascii_lowercase();
    loop {
        if seen.contains(&next) {
            return Some("is an alias of this Service itself".into());
        }
        let relative = &next[..next.len() - domain.len()];
        let mut alias = None;
        match zone.find(relative, false) {
            Found::Pairs(pairs) => pairs.each(Each::Pair, |pair| {
                if let TargetRef::Alias(name) = pair.target {
                    alias = Some(name.to_ascii_lowercase());
                }
                false
            }),
            Found::Pod(..) => return None,
            Found::Missing | Found::Container => {
                return Some("does not exist in this cluster".into());
            }
        };
        match alias.filter(|alias| is_subdomain(domain, alias)) {
            None => return None,
            Some(alias) => seen.push(std::mem::replace(&mut next, alias)),
        }
    }
}
