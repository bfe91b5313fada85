//! Rules about ports of Services: whether SRV records exist, and whether a container listens at their ports.

use super::Reviewed;
use clusterlocal_core::manifest::Problem;
use clusterlocal_core::store::{ContainerPort, IntOrName, PodSpec, Service, ServicePort, nearest};

pub(super) fn review(service: &Reviewed<'_, Service>, findings: &mut Vec<Problem>) {
    let object = service.object;
    if object.is_external_name() || service.cluster.store.has_recorded_endpoints(object) {
        return;
    }
    let specs = selected_specs(service);
    let declared: Vec<&ContainerPort> = specs
        .iter()
        .flat_map(|spec| spec.serving_containers())
        .flat_map(|container| &container.ports)
        .collect();
    ports_missing(service, &declared, findings);
    // Declaring ports is optional: a container without declared ports proves nothing.
    let all_declare = specs
        .iter()
        .flat_map(|spec| spec.shared.containers.iter())
        .all(|container| !container.ports.is_empty());
    for (at, port) in object.spec.ports.iter().enumerate() {
        port_unnamed(service, at, port, &declared, findings);
        match &port.target_port {
            Some(IntOrName::Name(name)) if !specs.is_empty() => {
                named_target(service, at, port, name, &declared, findings);
            }
            Some(IntOrName::Name(_)) => {}
            // The SRV records of a Service with an address have its own port; only kube-proxy uses the target port.
            _ if !object.is_headless() || !all_declare || declared.is_empty() => {}
            Some(IntOrName::Int(number)) => {
                numbered_target(service, at, port, ("targetPort", *number), &declared, findings);
            }
            None => numbered_target(service, at, port, ("port", port.port), &declared, findings),
        }
    }
}

/// The different specs of the pods that a Service selects; pods of one template share theirs.
fn selected_specs<'a>(service: &'a Reviewed<'_, Service>) -> Vec<&'a PodSpec> {
    let object = service.object;
    let pods = service.cluster.store.select_pods(&object.metadata.namespace, &object.spec.selector);
    let of_pods = pods.into_iter().map(|pod| &pod.spec);
    // A workload that is scaled to 0 has no pods, but a template.
    let of_templates = service.cluster.selected(object).map(|template| template.spec);
    let mut specs: Vec<&PodSpec> = Vec::new();
    for spec in of_pods.chain(of_templates) {
        let same = |last: &&PodSpec| {
            std::sync::Arc::ptr_eq(&last.shared, &spec.shared)
                || last.shared.containers == spec.shared.containers
        };
        if !specs.last().is_some_and(same) {
            specs.push(spec);
        }
    }
    specs
}

fn ports_missing(service: &Reviewed<'_, Service>, declared: &[&ContainerPort], findings: &mut Vec<Problem>) {
    if !service.object.spec.ports.is_empty() {
        return;
    }
    let message = if service.object.is_headless() {
        "has no ports: there are address records, but no SRV records"
    } else {
        "has no ports: the API server refuses a Service with an address and without ports"
    };
    let help = match declared.first() {
        Some(port) => {
            let name = if port.name.is_empty() { "main" } else { &port.name };
            format!("write ports: [{{name: {name}, port: {}}}]", port.container_port)
        }
        None => "add the port that the pods listen at, with a name: ports: [{name: …, port: …}]".into(),
    };
    findings.push(service.finding("ports-missing", "spec.ports", message, help));
}

fn port_unnamed(
    service: &Reviewed<'_, Service>,
    at: usize,
    port: &ServicePort,
    declared: &[&ContainerPort],
    findings: &mut Vec<Problem>,
) {
    if !port.name.is_empty() || !service.object.is_headless() {
        return;
    }
    let of_container = declared.iter().find(|d| d.container_port == port.port && !d.name.is_empty());
    let name = of_container.map_or(service.key.name.as_str(), |d| d.name.as_str());
    findings.push(service.finding(
        "port-unnamed",
        &format!("spec.ports[{at}].name"),
        format!(
            "port {} has no name: there are no SRV records at _NAME._{}",
            port.port,
            port.protocol.label()
        ),
        format!("write name: {name}"),
    ));
}

/// Maximum number of ports in a message.
const PORTS_SHOWN: usize = 8;

/// `a, b and 3 more`, without duplicates.
fn shown<T: ToString>(ports: impl IntoIterator<Item = T>) -> String {
    let mut all: Vec<String> = Vec::new();
    for port in ports {
        let port = port.to_string();
        if !all.contains(&port) {
            all.push(port);
        }
    }
    match all.len().saturating_sub(PORTS_SHOWN) {
        0 => all.join(", "),
        more => format!("{} and {more} more", all[..PORTS_SHOWN].join(", ")),
    }
}

/// A named targetPort is resolved in each pod; a pod without the name does not get the port (FindPort).
fn named_target(
    service: &Reviewed<'_, Service>,
    at: usize,
    port: &ServicePort,
    name: &str,
    declared: &[&ContainerPort],
    findings: &mut Vec<Problem>,
) {
    let namesakes: Vec<_> = declared.iter().filter(|d| d.name == *name).collect();
    if namesakes.iter().any(|d| d.protocol == port.protocol) {
        return;
    }
    if let Some(other) = namesakes.first() {
        return protocol_differs(service, at, port, other, findings);
    }
    let names = || declared.iter().map(|d| d.name.as_str()).filter(|name| !name.is_empty());
    let same_number = || {
        let mut same = declared.iter().filter(|d| d.container_port == port.port && !d.name.is_empty());
        same.next().map(|d| d.name.as_str())
    };
    let correction = nearest(name, names()).or_else(same_number).filter(|correction| {
        !service.is_trial
            && service.is_cured("target-port-unknown", |copy| {
                copy.spec.ports[at].target_port = Some(IntOrName::Name((*correction).into()));
            })
    });
    let help = match (correction, shown(names())) {
        (Some(correction), _) => format!("write targetPort: {correction}"),
        (None, all) if all.is_empty() => {
            format!("name the container's port: ports: [{{name: {name}, containerPort: …}}]")
        }
        (None, all) => {
            format!("the containers' ports are named {all}: write one of these, or name a port {name}")
        }
    };
    findings.push(service.finding(
        "target-port-unknown",
        &format!("spec.ports[{at}].targetPort"),
        format!("no port of the selected pods is named {name:?}: this port has no endpoints"),
        help,
    ));
}

/// The SRV records of a headless Service have the target port.
fn numbered_target(
    service: &Reviewed<'_, Service>,
    at: usize,
    port: &ServicePort,
    (field, number): (&str, u16),
    declared: &[&ContainerPort],
    findings: &mut Vec<Problem>,
) {
    let same: Vec<_> = declared.iter().filter(|d| d.container_port == number).collect();
    if same.iter().any(|d| d.protocol == port.protocol) {
        return;
    }
    if let Some(other) = same.first() {
        return protocol_differs(service, at, port, other, findings);
    }
    let namesake = declared.iter().find(|d| !d.name.is_empty() && d.name == port.name);
    let namesake = namesake.filter(|declared| {
        !service.is_trial
            && service.is_cured("srv-port-unserved", |copy| {
                copy.spec.ports[at].target_port = Some(IntOrName::Int(declared.container_port));
            })
    });
    let mut numbers: Vec<u16> = declared.iter().map(|d| d.container_port).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let all = shown(numbers);
    let help = match namesake {
        Some(declared) => format!("write targetPort: {}", declared.container_port),
        None => format!(
            "if a container listens there, declare it: ports: [{{containerPort: {number}}}]; if not, write the targetPort"
        ),
    };
    findings.push(service.finding(
        "srv-port-unserved",
        &format!("spec.ports[{at}].{field}"),
        format!("SRV records have port {number}, which no container declares: they declare {all}"),
        help,
    ));
}

fn protocol_differs(
    service: &Reviewed<'_, Service>,
    at: usize,
    port: &ServicePort,
    declared: &ContainerPort,
    findings: &mut Vec<Problem>,
) {
    findings.push(
        service.finding(
            "port-protocol-differs",
            &format!("spec.ports[{at}].protocol"),
            format!(
                "is {:?}, but the container's port {} is {:?}",
                port.protocol, declared.container_port, declared.protocol
            ),
            if service.is_trial
                || !service.is_cured("port-protocol-differs", |copy| {
                    copy.spec.ports[at].protocol = declared.protocol
                })
            {
                format!("write protocol: {:?} at the container's port, if it serves both", port.protocol)
            } else {
                format!(
                    "write protocol: {:?} here, or {:?} at the container's port",
                    declared.protocol, port.protocol
                )
            },
        ),
    );
}
