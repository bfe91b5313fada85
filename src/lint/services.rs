//! Rules about a Service by itself: whom it selects, where an alias leads, its addresses.

use std::net::IpAddr;

use super::{Cluster, Reviewed, Template};
use crate::manifest::Problem;
use crate::store::{IpFamily, IpFamilyPolicy, Labels, Service, nearest};
use crate::zone::{DomainName, Found, is_subdomain};

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

/// Such a Service has a name and nobody behind it: NXDOMAIN if it is headless, an address that refuses connections
/// if it is not.
fn selector_matches_nothing(service: &Reviewed<'_, Service>, findings: &mut Findings) {
    let (cluster, object) = (service.cluster, service.object);
    let selector = &object.spec.selector;
    let selected = !cluster.store.select_pods(&object.metadata.namespace, selector).is_empty()
        || cluster.selected(object).next().is_some();
    if selector.is_empty() || selected || cluster.has_recorded_endpoints(object) {
        return;
    }
    let effect = match object.is_headless() {
        true => "its name does not exist (NXDOMAIN)",
        false => "its address refuses connections",
    };
    let (path, message, help) = match nearest_template(cluster, object) {
        Some((template, Some((key, wanted)))) => (
            format!("spec.selector[{key}]"),
            format!(
                "selector {selector} matches no pod: the pods of {} have {key}={wanted}; {effect}",
                template.key
            ),
            format!("write {key}: {wanted}"),
        ),
        Some((template, None)) => (
            "spec.selector".into(),
            format!(
                "selector {selector} matches no pod: the pods of {} have {}; {effect}",
                template.key, template.labels
            ),
            "a selector finds pods by their own labels, and only in the Service's namespace".into(),
        ),
        None => (
            "spec.selector".into(),
            format!("selector {selector} matches no pod of these manifests; {effect}"),
            "give clusterlocal the manifest of those pods too, or correct the selector".into(),
        ),
    };
    findings.push(service.finding("selector-matches-nothing", &path, message, help));
}

/// The pods that were probably meant, and the label that is in the way if it is only one.
fn nearest_template<'a>(
    cluster: &'a Cluster<'a>,
    service: &'a Service,
) -> Option<(&'a Template<'a>, Option<(&'a str, &'a str)>)> {
    let selector = &service.spec.selector;
    let namespace = &service.metadata.namespace;
    // The same labels in another namespace: a namespace was forgotten.
    let elsewhere = || cluster.templates.iter().find(|template| selector.matches(template.labels));
    let shares_key =
        |template: &&Template<'_>| selector.iter().any(|(key, _)| template.labels.get(key).is_some());
    let here =
        cluster.templates.iter().filter(|template| template.key.namespace == *namespace).filter(shares_key);
    let most = here.clone().map(|template| agreeing(selector, template.labels)).max();
    let mut best = here.filter(|template| Some(agreeing(selector, template.labels)) == most);
    // Of several that are equally far, one is meant only if it is a slip of the finger away.
    let near = match (best.clone().nth(1), best.next()) {
        (None, only) => only,
        (Some(_), first) => {
            first.into_iter().chain(best).find(|template| is_a_slip(selector, template.labels))
        }
    };
    match near {
        _ if elsewhere().is_some() => elsewhere().map(|template| (template, None)),
        None => None,
        Some(template) => {
            let mut wrong = selector.iter().filter(|(key, value)| template.labels.get(key) != Some(value));
            let first = wrong.next().and_then(|(key, _)| Some((key, template.labels.get(key)?)));
            Some((template, first.filter(|_| wrong.next().is_none())))
        }
    }
}

fn agreeing(selector: &Labels, labels: &Labels) -> usize {
    selector.iter().filter(|(key, value)| labels.get(key) == Some(value)).count()
}

fn is_a_slip(selector: &Labels, labels: &Labels) -> bool {
    let differing = selector.iter().filter(|(key, value)| labels.get(key) != Some(value));
    let slip = |key: &str, value: &str| nearest(value, labels.get(key)).is_some();
    differing.into_iter().all(|(key, value)| slip(key, value))
}

/// Deprecated for publishNotReadyAddresses in 1.11 and removed in 1.24; endpoint slices never heeded it.
fn annotation_without_effect(service: &Reviewed<'_, Service>, findings: &mut Findings) {
    const TOLERATE: &str = "service.alpha.kubernetes.io/tolerate-unready-endpoints";
    let asked = service.object.metadata.annotations.get(TOLERATE).is_some_and(|value| value == "true");
    if asked && !service.object.spec.publish_not_ready_addresses {
        findings.push(service.finding(
            "annotation-without-effect",
            &format!("metadata.annotations[{TOLERATE}]"),
            format!("{TOLERATE} has no effect any more: pods have no names before they are ready"),
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
            format!("{ip} is the address of {owner} already"),
            "leave clusterIP out: one is allocated",
        ));
    }
}

/// A family that was asked for in so many words, and that nothing in this cluster has an address of.
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
    let available: Vec<IpFamily> = match service.object.is_headless() {
        true => {
            let pods = store.select_pods(&meta.namespace, &spec.selector);
            pods.iter().flat_map(|pod| pod.status.ips()).map(IpFamily::of).collect()
        }
        false => {
            let settled = service.cluster.service(&meta.namespace, &meta.name);
            settled.into_iter().flat_map(Service::addresses).map(IpFamily::of).collect()
        }
    };
    for family in wanted.into_iter().filter(|family| !available.is_empty() && !available.contains(family)) {
        let record = if family == IpFamily::IPv4 { "A" } else { "AAAA" };
        findings.push(service.finding(
            "family-unavailable",
            path,
            format!("asks for {family:?}, which this cluster has no addresses of: there will be no {record} record"),
            "leave the family out, or give the cluster a range of each family (--pod-cidr, --service-cidr)",
        ));
    }
}

fn external_name(service: &Reviewed<'_, Service>, findings: &mut Findings) {
    let target = service.object.spec.external_name.as_deref().unwrap_or_default();
    let mut tell = |code, message: String, help: String| {
        findings.push(service.finding(code, "spec.externalName", message, help));
    };
    if target.parse::<IpAddr>().is_ok() {
        return tell(
            "external-name-address",
            format!(
                "{target} is an address: an alias can only lead to a name, so CoreDNS has no such Service"
            ),
            "leave out type, externalName and selector, and give the address in an EndpointSlice".into(),
        );
    }
    let domain = &service.cluster.zone.settings().domain;
    let shown = domain.to_string();
    let shown = shown.trim_end_matches('.');
    let Ok(name) = target.parse::<DomainName>() else { return };
    if is_subdomain(domain.as_wire(), name.as_wire()) {
        if let Some(why) = leads_nowhere(service, &name) {
            let help = "write the name of a Service that exists: SERVICE.NAMESPACE.svc.".to_string() + shown;
            tell("external-name-dangling", format!("{target} {why}"), help);
        }
    } else if target.trim_end_matches('.').ends_with(".svc") || name.label_count() == 1 {
        // What an alias leads to is looked up as it stands: search domains are the client's, and for its own question.
        tell(
            "external-name-dangling",
            format!("{target} is looked up as it stands, without the cluster domain: there is no such name"),
            format!("write all of it: SERVICE.NAMESPACE.svc.{shown}"),
        );
    }
}

/// Follows aliases within the zone; tells why there is no end to them.
fn leads_nowhere(service: &Reviewed<'_, Service>, target: &DomainName) -> Option<String> {
    let zone = service.cluster.zone;
    let domain = zone.settings().domain.as_wire();
    let own = format!("{}.{}.svc.{}", service.key.name, service.key.namespace, zone.settings().domain);
    let mut seen: Vec<Vec<u8>> = own.parse::<DomainName>().iter().map(|own| own.as_wire().to_vec()).collect();
    let mut next = target.as_wire().to_ascii_lowercase();
    loop {
        if seen.contains(&next) {
            return Some("leads back to this Service".into());
        }
        let relative = &next[..next.len() - domain.len()];
        let mut alias = None;
        match zone.find(relative, false) {
            Found::Pairs(pairs) => pairs.each(|pair| {
                if let crate::zone::TargetRef::Alias(name) = pair.target {
                    alias = Some(name.to_ascii_lowercase());
                }
                false
            }),
            Found::Pod(..) => return None,
            Found::Missing | Found::Container => {
                return Some("is the name of nothing in this cluster".into());
            }
        };
        match alias.filter(|alias| is_subdomain(domain, alias)) {
            None => return None,
            Some(alias) => seen.push(std::mem::replace(&mut next, alias)),
        }
    }
}
