//! Explains why a name below a Service does not exist: that of an endpoint, or of a port.

use super::missing::not_ready_reason;
use super::subject::ServiceName;
use super::{Explainer, Reasons, listed};
use crate::store::ordinal;
use crate::store::{Endpoint, IntOrName, Kind, Name, Pod, Service, StatefulSet, nearest};
use crate::wire::DomainName;
use crate::zone::{Found, dashed};

impl Explainer<'_> {
    pub(super) fn missing_endpoint(&self, host: &str, of: &ServiceName, why: &mut Reasons) {
        if !self.shows(&of.namespace, why) {
            return self.elsewhere(of, why);
        }
        let Some(service) = self.service(&of.namespace, &of.name) else {
            self.no_service(of, why);
            if let Some(pod) = self.store.get::<Pod>(Kind::Pod, &of.namespace, host) {
                self.names_of_pod(pod, why);
            }
            return;
        };
        let name = format!("Service {}/{}", of.namespace, of.name);
        if service.is_external_name() {
            why.reason = format!("{name} is an alias, which has no names below it");
            return self.describe(service, why);
        }
        if let Some(protocol) = host.strip_prefix('_') {
            why.reason =
                format!("one label more than the Service is an endpoint, and there is none called {host}");
            why.hints
                .push(format!("ports are asked for as _PORT._{protocol}.{}.{}.svc", of.name, of.namespace));
            return;
        }
        let pod = self.store.get::<Pod>(Kind::Pod, &of.namespace, host);
        let by_hostname = || {
            let pods = self.store.list_prefixed::<Pod>(Kind::Pod, &of.namespace, "");
            pods.into_iter().find(|pod| pod.spec.hostname == host && pod.spec.shared.subdomain == of.name)
        };
        match pod.or_else(by_hostname) {
            Some(pod) => self.pod_without_name(pod, service, why),
            None => self.no_endpoint(host, service, why),
        }
    }

    /// A pod that exists, but has no name under this Service.
    fn pod_without_name(&self, pod: &Pod, service: &Service, why: &mut Reasons) {
        let (meta, of) = (&pod.metadata, &service.metadata.name);
        let pod_name = format!("pod {}/{}", meta.namespace, meta.name);
        let recorded = self.store.has_recorded_endpoints(service);
        if recorded {
            why.reason = format!(
                "{pod_name} exists, but no ready endpoint of that hostname is in the EndpointSlices of Service {of}"
            );
            why.steps.push("the manifests contain the endpoints, which are therefore not computed".into());
        } else if !service.spec.selector.matches(&meta.labels) || service.spec.selector.is_empty() {
            why.reason = format!("{pod_name} is not selected by Service {of}");
            why.steps.push(format!("{} selects {}", self.named_service(service), service.spec.selector));
            why.steps.push(format!("{} has labels {}", self.named_pod(pod), meta.labels));
            self.names_of_pod(pod, why);
        } else if pod.spec.shared.subdomain != *of || pod.spec.hostname.is_empty() {
            why.reason = format!("{pod_name} is selected by Service {of}, which does not govern it");
            why.steps.push(format!(
                "a pod is called by its hostname only below the Service that its subdomain (a StatefulSet's serviceName) \
                 names; {} has {}",
                self.named_pod(pod),
                if pod.spec.shared.subdomain.is_empty() { "none".into() } else { format!("{:?}", &*pod.spec.shared.subdomain) }
            ));
            self.names_of_pod(pod, why);
        } else {
            why.reason = format!("{pod_name} is selected by Service {of} but {}", not_ready_reason(pod));
            self.describe(service, why);
            why.steps.push(format!("{} {}", self.named_pod(pod), not_ready_reason(pod)));
            why.hints.push(
                "publishNotReadyAddresses: true in the Service gives pods names before they are ready".into(),
            );
        }
    }

    fn no_endpoint(&self, host: &str, service: &Service, why: &mut Reasons) {
        let name = format!("Service {}/{}", service.metadata.namespace, service.metadata.name);
        why.reason = format!("{name} has no endpoint {host}");
        self.describe(service, why);
        let namespace = &service.metadata.namespace;
        let pods = self.store.select_pods(namespace, &service.spec.selector);
        // A pod with a hostname has no name from its address.
        if let Some(pod) = pods.iter().find(|pod| pod.status.ips().any(|ip| dashed(ip) == host)) {
            why.steps.push(format!(
                "{} has that address; an endpoint has one name, its hostname if it has one",
                self.named_pod(pod)
            ));
            return self.names_of_pod(pod, why);
        }
        if let Some((set, _)) = ordinal(host)
            && let Some(set) = self.store.get::<StatefulSet>(Kind::StatefulSet, namespace, set)
        {
            let replicas = set.spec.replicas.unwrap_or(1);
            let start = set.spec.ordinals.start;
            let set_name = self.named(Kind::StatefulSet, namespace, &set.metadata.name);
            why.steps.push(match replicas {
                0 => format!("{set_name} has 0 replicas"),
                n => format!(
                    "{set_name} has {n} replicas: {0}-{start} to {0}-{1}",
                    set.metadata.name,
                    start + n - 1
                ),
            });
            return;
        }
        let hosts: Vec<Name> = self.hosts(service);
        match nearest(host, hosts.iter().map(Name::as_str)) {
            Some(near) => {
                let full = self.full(&format!("{near}.{}.{namespace}.svc", service.metadata.name));
                why.hints.push(format!("did you mean {full}?"));
            }
            None if hosts.is_empty() => why.steps.push("it has no ready endpoint at all".into()),
            None => why.steps.push(format!("its endpoints are {}", listed(&hosts))),
        }
    }

    /// The host labels of the ready endpoints.
    fn hosts(&self, service: &Service) -> Vec<Name> {
        let slices = self.store.slices_of(&service.metadata.namespace, &service.metadata.name);
        let endpoints = slices.into_iter().flat_map(|slice| &slice.endpoints);
        let ready = endpoints.filter(|endpoint| endpoint.conditions.ready != Some(false));
        let label = |endpoint: &Endpoint| {
            let address = || endpoint.addresses.iter().next()?.ip().ok().map(|ip| Name::from(dashed(ip)));
            if endpoint.hostname.is_empty() { address() } else { Some(endpoint.hostname.clone()) }
        };
        ready.filter_map(label).collect()
    }

    pub(super) fn missing_port(&self, port: &str, protocol: &str, of: &ServiceName, why: &mut Reasons) {
        let service = match self.service(&of.namespace, &of.name) {
            Some(service) if self.has_namespace(&of.namespace) => service,
            _ => return self.missing_service(of, why),
        };
        let name = format!("Service {}/{}", of.namespace, of.name);
        let relative = format!("{}.{}.svc", of.name, of.namespace);
        if service.is_external_name() {
            why.reason = format!("{name} is an alias, which has no ports");
            return self.describe(service, why);
        }
        if !self.exists(&relative) {
            return self.without_endpoints(service, why);
        }
        let ports = &service.spec.ports;
        let named: Vec<String> = ports
            .iter()
            .filter(|port| !port.name.is_empty())
            .map(|port| format!("_{}._{}", port.name, port.protocol.label()))
            .collect();
        let described = self.named_service(service);
        if let Some(same) = ports.iter().find(|p| p.name.eq_ignore_ascii_case(port)) {
            if same.protocol.label() != protocol {
                why.reason = format!("port {port} of {name} is {}, not {protocol}", same.protocol.label());
                why.hints.push(format!(
                    "ask for {}",
                    self.full(&format!("_{port}._{}.{relative}", same.protocol.label()))
                ));
                return;
            }
            why.reason = format!("no endpoint of {name} has the port {port}");
            if let Some(IntOrName::Name(target)) = &same.target_port {
                why.steps.push(format!("its targetPort {:?} is the name of no port of the pods", &**target));
            }
            return;
        }
        why.reason = format!("{name} has no port called {port}");
        match nearest(port, ports.iter().map(|port| port.name.as_str()).filter(|name| !name.is_empty())) {
            Some(near) => why
                .hints
                .push(format!("did you mean {}?", self.full(&format!("_{near}._{protocol}.{relative}")))),
            None if ports.is_empty() => why.steps.push(format!("{described} has no ports")),
            None if named.is_empty() => {
                why.steps.push(format!("{described} has a port, but it has no name"));
                why.hints.push(format!(
                    "write name: {port} at the port, or ask for SRV of {}",
                    self.full(&relative)
                ));
            }
            None => why.steps.push(format!("{described} has ports {}", listed(&named))),
        }
    }

    fn exists(&self, relative: &str) -> bool {
        let wire = relative.parse::<DomainName>().map(|name| name.as_wire().to_ascii_lowercase());
        wire.is_ok_and(|wire| !matches!(self.zone.find(&wire[..wire.len() - 1], false), Found::Missing))
    }
}
