//! What the API server's validation refuses in an object that parsed: names, and fields that contradict each other.

mod annotations;
mod faults;
mod supported;

use std::collections::HashSet;
use std::net::IpAddr;

use super::limits::DOCUMENT_PROBLEMS;
use crate::store::{
    AddressType, ClusterIp, EndpointSlice, EndpointSubset, Endpoints, IntOrName, IpFamily, Kind, LABEL_MAX,
    LabelSelector, Name, Object, ObjectMeta, PodSpec, PodTemplate, SUBDOMAIN_MAX, Service, ServicePort,
    ServiceType, SliceAddress, StatefulSet, is_label, is_subdomain,
};

/// Something that the API server would refuse.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// The field, `spec.ports[0].name`.
    pub path: String,
    /// Kind of the error.
    pub fault: Fault,
    /// What is wrong, without the path.
    pub message: String,
    pub(crate) help: Option<String>,
}

/// In which way a field is wrong; the API has a word for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A required field is absent (`FieldValueRequired`).
    Missing,
    /// A value that has to be unique occurs twice (`FieldValueDuplicate`).
    Duplicate,
    /// It breaks the rule for names of its kind.
    Name(NameRule),
    /// A malformed value (`FieldValueInvalid`).
    Invalid,
}

/// What is wrong with `object`, up to as much as is told of one document.
pub(super) fn check(object: &Object) -> Vec<Finding> {
    let mut check = Check(Vec::new());
    check.metadata(object.kind(), object.metadata());
    match object {
        Object::Service(service) => check.service(service),
        Object::StatefulSet(set) => check.stateful_set(set),
        Object::Deployment(workload)
        | Object::ReplicaSet(workload)
        | Object::ReplicationController(workload)
        | Object::DaemonSet(workload)
        | Object::Job(workload) => check.template(workload.spec.selector.as_ref(), &workload.spec.template),
        Object::CronJob(cron) => {
            check.pod_spec("spec.jobTemplate.spec.template.spec", &cron.spec.job_template.spec.template.spec);
        }
        Object::Pod(pod) => check.pod_spec("spec", &pod.spec),
        Object::EndpointSlice(slice) => check.endpoint_slice(slice),
        Object::Endpoints(endpoints) => check.endpoints(endpoints),
        Object::Node(_)
        | Object::Namespace(_)
        | Object::PersistentVolumeClaim(_)
        | Object::PersistentVolume(_)
        | Object::ControllerRevision(_)
        | Object::Event(_)
        | Object::Fault(_)
        | Object::Inert(..) => {}
    }
    check.supported(object);
    check.0
}

/// What of `object`, which an API server takes, is not supported here.
pub(super) fn unsupported(object: &Object) -> Vec<Finding> {
    let mut check = Check(Vec::new());
    check.supported(object);
    check.0
}

/// Which of the API server's rules a name follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// RFC 1123 label.
    Label,
    /// RFC 1123 subdomain: labels with dots between.
    Subdomain,
    /// RFC 6335, 5.1: the name of a port in a pod.
    ServiceName,
    /// What can stand in a path: anything but `.`, `..`, `/` and `%`.
    PathSegment,
}

/// Whether names of this kind are only to stand in a path (`path.ValidatePathSegmentName` in the kind's strategy): those of
/// RBAC have colons, those of IPv6 addresses too, those of Events follow from any of these; those of budgets have no rule.
fn is_path_segment(kind: Kind) -> bool {
    match kind {
        Kind::Role
        | Kind::RoleBinding
        | Kind::ClusterRole
        | Kind::ClusterRoleBinding
        | Kind::Event
        | Kind::PodDisruptionBudget => true,
        Kind::Extra(extra) => {
            matches!(extra.names().kind, "IPAddress" | "APIService" | "CertificateSigningRequest")
        }
        _ => false,
    }
}

impl NameRule {
    /// Why `text` is no such name, and what to write instead.
    pub(super) fn refuses(self, text: &str) -> Option<(String, Option<String>)> {
        let (holds, max, what) = match self {
            NameRule::Label => (is_label(text), LABEL_MAX, "lower-case letters, digits and inner hyphens"),
            NameRule::Subdomain => (
                is_subdomain(text),
                SUBDOMAIN_MAX,
                "lower-case letters, digits, inner hyphens and dots between labels",
            ),
            NameRule::PathSegment => (
                !matches!(text, "" | "." | "..") && !text.contains(['/', '%']),
                usize::MAX,
                "what a path can hold: it may not be '.' or '..' nor contain '/' or '%'",
            ),
            NameRule::ServiceName => (
                is_label(text)
                    && text.len() <= 15
                    && text.contains(char::is_alphabetic)
                    && !text.contains("--"),
                15,
                "lower-case letters, digits and single inner hyphens, with a letter among them",
            ),
        };
        if holds {
            return None;
        }
        if text.is_empty() {
            return Some(("is missing".into(), None));
        }
        if text.len() > max {
            let shown: String = text.chars().take(20).collect();
            return Some((format!("{shown:?}… has {} bytes, at most {max} are allowed", text.len()), None));
        }
        let lower = text.to_ascii_lowercase().replace('_', "-");
        let help = (lower != text && self.refuses(&lower).is_none()).then(|| format!("write {lower:?}"));
        Some((format!("{text:?} is not a valid name: {what}"), help))
    }
}

struct Check(Vec<Finding>);

impl Check {
    fn push(&mut self, path: String, fault: Fault, message: String, help: Option<String>) {
        if self.0.len() < DOCUMENT_PROBLEMS {
            self.0.push(Finding { path, fault, message, help });
        }
    }

    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.push(path.into(), Fault::Invalid, message.into(), None);
    }

    fn add_with_help(&mut self, path: &str, message: impl Into<String>, help: &str) {
        self.push(path.into(), Fault::Invalid, message.into(), Some(help.into()));
    }

    fn missing(&mut self, path: impl Into<String>, message: &str) {
        self.push(path.into(), Fault::Missing, message.into(), None);
    }

    fn duplicate(&mut self, path: impl Into<String>, message: String) {
        self.push(path.into(), Fault::Duplicate, message, None);
    }

    fn name(&mut self, path: impl Into<String>, text: &str, rule: NameRule) {
        if let Some((message, help)) = rule.refuses(text) {
            let fault = if text.is_empty() { Fault::Missing } else { Fault::Name(rule) };
            self.push(path.into(), fault, message, help);
        }
    }

    fn optional_name(&mut self, path: impl Into<String>, text: &str, rule: NameRule) {
        if !text.is_empty() {
            self.name(path, text, rule);
        }
    }

    fn metadata(&mut self, kind: Kind, meta: &ObjectMeta) {
        let rule = match kind {
            // A Service may begin with a digit since 1.36 (RelaxedServiceNameValidation).
            Kind::Service | Kind::Namespace | Kind::StatefulSet => NameRule::Label,
            kind if is_path_segment(kind) => NameRule::PathSegment,
            _ => NameRule::Subdomain,
        };
        self.name("metadata.name", &meta.name, rule);
        if kind.is_namespaced() {
            self.name("metadata.namespace", &meta.namespace, NameRule::Label);
        }
    }

    fn service(&mut self, service: &Service) {
        let spec = &service.spec;
        if service.is_external_name() {
            // The API server takes the trailing dot of an absolute name as well.
            let target = spec.external_name.as_deref().unwrap_or_default();
            let target = target.strip_suffix('.').unwrap_or(target);
            if target.is_empty() {
                self.missing(
                    "spec.externalName",
                    "is missing: a Service of type ExternalName is an alias for it",
                );
            } else {
                self.name("spec.externalName", target, NameRule::Subdomain);
            }
            if spec.cluster_ip != ClusterIp::Unassigned || !spec.cluster_ips.is_empty() {
                self.add("spec.clusterIP", "a Service of type ExternalName has no cluster IP");
            }
        } else {
            self.cluster_ips(service);
        }
        self.service_ports(&spec.ports);
    }

    /// The addresses and families of a Service, in the words of ValidateServiceClusterIPsRelatedFields.
    fn cluster_ips(&mut self, service: &Service) {
        let spec = &service.spec;
        let listed = &spec.cluster_ips;
        let exposed = match spec.service_type {
            ServiceType::NodePort => Some("NodePort"),
            ServiceType::LoadBalancer => Some("LoadBalancer"),
            _ => None,
        };
        if let Some(exposed) = exposed.filter(|_| service.is_headless()) {
            self.add("spec.clusterIPs[0]", format!("may not be set to 'None' for {exposed} services"));
        }
        if let Some(first) = listed.first() {
            if spec.cluster_ip != ClusterIp::Unassigned && spec.cluster_ip != *first {
                self.add("spec.clusterIPs", "first value must match `clusterIP`");
            }
            if listed.len() > 1 && listed.contains(&ClusterIp::None) {
                return self.add("spec.clusterIPs", "'None' must be the first and only value");
            }
        }
        let addresses: Vec<IpAddr> = service.addresses().collect();
        self.one_of_each_family("spec.clusterIPs", &addresses);
        for (at, family) in spec.ip_families.iter().enumerate() {
            if spec.ip_families[..at].contains(family) {
                self.duplicate(format!("spec.ipFamilies[{at}]"), "is named twice".into());
            }
        }
        for (at, (family, ip)) in spec.ip_families.iter().zip(&addresses).enumerate() {
            if IpFamily::of(*ip) != *family {
                self.add(
                    format!("spec.clusterIPs[{at}]"),
                    format!("expected an {family:?} value as indicated by `ipFamilies[{at}]`"),
                );
            }
        }
    }

    fn one_of_each_family(&mut self, path: &str, addresses: &[IpAddr]) {
        if addresses.len() > 2 {
            self.add(path, "may only hold up to 2 values");
        }
        let same = |family: IpFamily| addresses.iter().filter(|ip| IpFamily::of(**ip) == family).count() > 1;
        if same(IpFamily::IPv4) || same(IpFamily::IPv6) {
            self.add(path, "may specify no more than one IP for each IP family");
        }
    }

    fn service_ports(&mut self, ports: &[ServicePort]) {
        let (mut names, mut numbers) = (HashSet::new(), HashSet::new());
        for (at, port) in ports.iter().enumerate() {
            let path = format!("spec.ports[{at}]");
            if !port.name.is_empty() {
                self.port_name(format!("{path}.name"), &port.name, NameRule::Label, &mut names);
            } else if ports.len() > 1 {
                self.missing(
                    format!("{path}.name"),
                    "is missing: a Service with several ports names them all",
                );
            }
            if !numbers.insert((port.port, port.protocol)) {
                let message = format!("{}/{:?} is the port of an earlier entry", port.port, port.protocol);
                self.duplicate(format!("{path}.port"), message);
            }
            if let Some(IntOrName::Name(name)) = &port.target_port {
                self.name(format!("{path}.targetPort"), name, NameRule::ServiceName);
            }
        }
    }

    fn port_name<'a>(&mut self, path: String, name: &'a Name, rule: NameRule, names: &mut HashSet<&'a Name>) {
        if names.insert(name) {
            self.optional_name(path, name, rule);
        } else {
            self.duplicate(path, format!("{name:?} is the name of an earlier port"));
        }
    }

    fn stateful_set(&mut self, set: &StatefulSet) {
        let spec = &set.spec;
        self.optional_name("spec.serviceName", &spec.service_name, NameRule::Label);
        if spec.update_strategy.is_on_delete() && spec.update_strategy.rolling_update.is_some() {
            self.add_with_help(
                "spec.updateStrategy.rollingUpdate",
                "only allowed for updateStrategy 'RollingUpdate'",
                "leave rollingUpdate out, or write null for it in a patch",
            );
        }
        self.template(spec.selector.as_ref(), &spec.template);
    }

    fn template(&mut self, selector: Option<&LabelSelector>, template: &PodTemplate) {
        if let Some(selector) = selector.filter(|s| !s.matches(&template.metadata.labels)) {
            let got = &template.metadata.labels;
            self.add_with_help(
                "spec.selector.matchLabels",
                format!("{selector} does not match the labels of the template ({got})"),
                "give spec.template.metadata.labels every label of the selector",
            );
        }
        self.pod_spec("spec.template.spec", &template.spec);
    }

    fn pod_spec(&mut self, path: &str, spec: &PodSpec) {
        self.optional_name(format!("{path}.hostname"), &spec.hostname, NameRule::Label);
        self.optional_name(format!("{path}.subdomain"), &spec.shared.subdomain, NameRule::Label);
        for (field, containers) in
            [("containers", &spec.shared.containers), ("initContainers", &spec.shared.init_containers)]
        {
            for (c, container) in containers.iter().enumerate() {
                let mut names = HashSet::new();
                for (p, port) in container.ports.iter().enumerate().filter(|(_, port)| !port.name.is_empty())
                {
                    let path = format!("{path}.{field}[{c}].ports[{p}].name");
                    self.port_name(path, &port.name, NameRule::ServiceName, &mut names);
                }
            }
        }
    }

    fn endpoint_slice(&mut self, slice: &EndpointSlice) {
        for (at, endpoint) in slice.endpoints.iter().enumerate() {
            let path = format!("endpoints[{at}]");
            if endpoint.addresses.is_empty() {
                self.missing(format!("{path}.addresses"), "is empty: an endpoint has at least one address");
            }
            for (a, address) in endpoint.addresses.iter().enumerate() {
                self.address(format!("{path}.addresses[{a}]"), address, slice.address_type);
            }
            self.optional_name(format!("{path}.hostname"), &endpoint.hostname, NameRule::Label);
        }
        let mut names = HashSet::new();
        for (at, port) in slice.ports.iter().enumerate() {
            self.port_name(format!("ports[{at}].name"), &port.name, NameRule::Label, &mut names);
        }
    }

    fn address(&mut self, path: String, address: SliceAddress<'_>, wanted: AddressType) {
        match (wanted, address.ip()) {
            (AddressType::FQDN, _) => self.name(path, &address.to_string(), NameRule::Subdomain),
            (AddressType::IPv4, Ok(IpAddr::V4(_))) | (AddressType::IPv6, Ok(IpAddr::V6(_))) => {}
            (_, Ok(ip)) => self.add(path, format!("{ip} is not of the slice's addressType {wanted:?}")),
            (_, Err(message)) => self.add(path, message),
        }
    }

    fn endpoints(&mut self, endpoints: &Endpoints) {
        for (at, subset) in endpoints.subsets.iter().enumerate() {
            self.subset(&format!("subsets[{at}]"), subset);
        }
    }

    fn subset(&mut self, path: &str, subset: &EndpointSubset) {
        for (field, addresses) in
            [("addresses", &subset.addresses), ("notReadyAddresses", &subset.not_ready_addresses)]
        {
            for (at, address) in addresses.iter().enumerate() {
                self.optional_name(
                    format!("{path}.{field}[{at}].hostname"),
                    &address.hostname,
                    NameRule::Label,
                );
            }
        }
        // Unlike those of a slice, ports may have the same name (validateEndpointPort).
        for (at, port) in subset.ports.iter().enumerate() {
            let path = format!("{path}.ports[{at}].name");
            if port.name.is_empty() && subset.ports.len() > 1 {
                self.missing(path, "is missing: a subset with several ports names them all");
            } else {
                self.optional_name(path, &port.name, NameRule::Label);
            }
        }
    }
}

#[cfg(test)]
mod tests;
