//! Explains why a name does not exist, and suggests similar ones.

use std::net::IpAddr;

use super::subject::{ServiceName, Subject};
use super::{Explainer, Reasons, listed};
use crate::store::{Kind, Namespace, Pod, Service, StatefulSet, nearest};
use crate::wire::{Presentation, RecordType};
use crate::zone::PodNames;

impl Explainer<'_> {
    /// Fills in `why` for a reply that denies the name.
    pub(super) fn missing(&self, subject: &Subject, record_type: RecordType, why: &mut Reasons) {
        match subject {
            _ if record_type == RecordType::TXT && self.is_container(subject) => {
                why.reason = "there are only names below it, and CoreDNS denies it for TXT questions".into();
            }
            Subject::Namespace(namespace) => _ = self.shows(namespace, why),
            Subject::Service(of) => self.missing_service(of, why),
            Subject::Endpoint(host, of) => self.missing_endpoint(host, of, why),
            Subject::Port(port, protocol, of) => self.missing_port(port, protocol, of, why),
            Subject::TooDeep(left, of) => self.too_deep(left, of, why),
            Subject::PodAddress(label, namespace) => self.missing_pod(label, namespace, why),
            Subject::Reverse(ip) => self.missing_address(*ip, record_type, why),
            Subject::ReversePart => {
                why.reason =
                    "the name is not a complete address, and CoreDNS denies the names in between".into();
            }
            Subject::Version => {
                why.reason = format!("dns-version has a TXT record, and does not exist for {}", record_type);
            }
            Subject::NoTree(left) => self.no_tree(left, why),
            _ => why.reason = format!("CoreDNS denies this name for {} questions", record_type),
        }
    }

    fn is_container(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Apex | Subject::Tree => true,
            Subject::Namespace(namespace) => self.has_namespace(namespace),
            _ => false,
        }
    }

    fn no_tree(&self, left: &[String], why: &mut Reasons) {
        let last = left.last().map(String::as_str).unwrap_or_default();
        why.reason = format!("below the cluster domain there are only svc and pod, not {last}");
        let name = left.join(".");
        match &left {
            [.., service, namespace] if self.service(namespace, service).is_some() => {
                why.hints.push(format!("svc is missing: ask for {}", self.full(&format!("{name}.svc"))));
            }
            [.., service] if self.service("default", service).is_some() => {
                why.hints.push(format!("ask for {}", self.full(&format!("{name}.default.svc"))));
            }
            _ => why
                .hints
                .push(format!("names of Services have the form {}", self.full("SERVICE.NAMESPACE.svc"))),
        }
    }

    /// Fills in `why` if the namespace does not exist.
    pub(super) fn shows(&self, namespace: &str, why: &mut Reasons) -> bool {
        let allowed = &self.zone.settings().namespaces;
        if !self.has_namespace(namespace) {
            why.reason = format!("there is no namespace {namespace}");
            let all = || self.store.list::<Namespace>(Kind::Namespace).map(|all| all.metadata.name.as_str());
            match nearest(namespace, all()) {
                Some(near) => why.hints.push(format!("did you mean namespace {near}?")),
                None => why.steps.push(format!("there are namespaces {}", listed(all()))),
            }
            return false;
        }
        if !allowed.is_empty() && !allowed.iter().any(|name| name == namespace) {
            why.reason = format!("namespace {namespace} is hidden: only {} are shown", listed(allowed));
            return false;
        }
        true
    }

    pub(super) fn missing_service(&self, of: &ServiceName, why: &mut Reasons) {
        if !self.shows(&of.namespace, why) {
            return self.elsewhere(of, why);
        }
        match self.service(&of.namespace, &of.name) {
            Some(service) => self.without_endpoints(service, why),
            None => self.no_service(of, why),
        }
    }

    pub(super) fn no_service(&self, of: &ServiceName, why: &mut Reasons) {
        let ServiceName { namespace, name } = of;
        why.reason = format!("there is no Service {namespace}/{name}");
        if let Some(set) = self.store.get::<StatefulSet>(Kind::StatefulSet, namespace, name) {
            let set_name = self.named(Kind::StatefulSet, &set.metadata.namespace, &set.metadata.name);
            why.steps
                .push(format!("{set_name} is no Service; its serviceName is {:?}", &*set.spec.service_name));
            if self.service(namespace, &set.spec.service_name).is_some() {
                why.hints.push(format!(
                    "ask for {}",
                    self.full(&format!("{}.{namespace}.svc", set.spec.service_name))
                ));
            }
            return;
        }
        if let Some(pod) = self.store.get::<Pod>(Kind::Pod, namespace, name) {
            why.steps
                .push(format!("{} is a pod, which only has a name below a Service", self.named_pod(pod)));
            return self.names_of_pod(pod, why);
        }
        match nearest(name, self.service_names(namespace)) {
            Some(near) => {
                let full = self.full(&format!("{near}.{namespace}.svc"));
                why.hints.push(format!("did you mean {full}?"));
            }
            None => self.elsewhere(of, why),
        }
    }

    /// The same name in another namespace, or the Services of this one.
    pub(super) fn elsewhere(&self, of: &ServiceName, why: &mut Reasons) {
        let all = self.store.list::<Service>(Kind::Service).map(|service| &service.metadata);
        let same: Vec<_> = all.filter(|meta| meta.name == of.name).map(|meta| &meta.namespace).collect();
        for namespace in same.iter().take(1) {
            why.hints.push(format!(
                "Service {} exists in namespace {namespace}: did you mean {}?",
                of.name,
                self.full(&format!("{}.{namespace}.svc", of.name))
            ));
        }
        if same.is_empty() && self.has_namespace(&of.namespace) {
            let names = listed(self.service_names(&of.namespace));
            why.steps.push(if names.is_empty() {
                format!("namespace {} has no Services", of.namespace)
            } else {
                format!("namespace {} has Services {names}", of.namespace)
            });
        }
    }

    /// A Service that exists, but its name does not.
    pub(super) fn without_endpoints(&self, service: &Service, why: &mut Reasons) {
        let name = format!("Service {}/{}", service.metadata.namespace, service.metadata.name);
        if let Some(target) = service.spec.external_name.as_deref().filter(|_| service.is_external_name()) {
            self.describe(service, why);
            why.reason = format!(
                "{name} is an alias for the address {target}; the target of an alias is a name, so CoreDNS ignores it"
            );
            why.hints.push("give the address in an EndpointSlice of a Service without a selector".into());
            return;
        }
        self.describe(service, why);
        if !service.is_headless() {
            why.reason = format!("{name} has no cluster IP of a family that this cluster has");
            return;
        }
        if self.store.has_recorded_endpoints(service) {
            why.reason = format!("{name} has no ready endpoint in the EndpointSlices of the manifests");
            return;
        }
        if service.spec.selector.is_empty() {
            why.reason = format!("{name} has neither a selector nor EndpointSlices, and so no endpoints");
            return;
        }
        let pods = self.store.select_pods(&service.metadata.namespace, &service.spec.selector);
        if pods.is_empty() {
            why.reason =
                format!("{name} is headless, and its selector {} matches no pod", service.spec.selector);
            if let Some(pod) = self.similar_pod(service) {
                why.steps.push(format!("{} has labels {}", self.named_pod(pod), pod.metadata.labels));
            }
            why.hints.push("`clusterlocal check` reports which label differs".into());
            return;
        }
        why.reason = format!(
            "{name} is headless and has no ready endpoint: {}",
            format_args!("{} {}", self.named_pod(pods[0]), not_ready_reason(pods[0]))
        );
        for pod in pods.iter().skip(1).take(super::NAMES_SHOWN) {
            why.steps.push(format!("{} {}", self.named_pod(pod), not_ready_reason(pod)));
        }
        why.hints.push(
            "publishNotReadyAddresses: true in the Service gives pods names before they are ready".into(),
        );
    }

    /// A pod of the namespace with other values for the selector's labels; preferably one that differs by a typo.
    fn similar_pod(&self, service: &Service) -> Option<&Pod> {
        let pods = || self.store.list_prefixed::<Pod>(Kind::Pod, &service.metadata.namespace, "");
        let slip = service.spec.selector.iter().find_map(|(key, value)| {
            let others = pods().filter_map(|pod| pod.metadata.labels.get(key));
            let near = nearest(value, others)?;
            pods().find(|pod| pod.metadata.labels.get(key).is_some_and(|other| other == near))
        });
        let shares_key =
            |pod: &Pod| service.spec.selector.iter().any(|(key, _)| pod.metadata.labels.get(key).is_some());
        slip.or_else(|| pods().find(|pod| shares_key(pod))).map(|pod| &**pod)
    }

    /// Adds the names of a pod.
    pub(super) fn names_of_pod(&self, pod: &Pod, why: &mut Reasons) {
        let found: Vec<String> = pod
            .status
            .ips()
            .flat_map(|ip| self.zone.names_of(ip))
            .map(|[host, service]| Presentation(&[host, service, b"\0"].concat()).to_string())
            .map(|relative| self.full(relative.trim_end_matches('.')))
            .collect();
        if found.is_empty() {
            why.steps.push(format!("{} has no name at all", self.named_pod(pod)))
        } else {
            why.hints.push(format!("{} is called {}", pod.metadata.name, listed(found)))
        }
    }

    fn too_deep(&self, left: &[String], of: &ServiceName, why: &mut Reasons) {
        why.reason =
            "names below a Service have one more label (endpoints) or two (_PORT._PROTOCOL), not three"
                .into();
        if let [.., host] = left
            && left.len() == 3
            && left[0].starts_with('_')
        {
            let endpoint = format!("{host}.{}.{}.svc", of.name, of.namespace);
            why.steps.push("ports of an endpoint have no names".into());
            why.hints.push(format!("ask for SRV of {}", self.full(&endpoint)));
        }
    }

    fn missing_pod(&self, label: &str, namespace: &str, why: &mut Reasons) {
        if self.zone.settings().pods == PodNames::Disabled {
            why.reason = "names of pod addresses are disabled (pods disabled)".into();
            return;
        }
        if !self.shows(namespace, why) {
            return;
        }
        if let Some(pod) = self.store.get::<Pod>(Kind::Pod, namespace, label) {
            why.reason = "below pod there are addresses with dashes (10-244-0-7), not names of pods".into();
            return self.names_of_pod(pod, why);
        }
        why.reason = match self.zone.settings().pods {
            PodNames::Verified => format!("no running pod of namespace {namespace} has the address {label}"),
            _ => format!("{label} is not an address with dashes for dots, like 10-244-0-7"),
        };
    }

    fn missing_address(&self, ip: IpAddr, record_type: RecordType, why: &mut Reasons) {
        if record_type != RecordType::PTR {
            why.reason = "reverse names have PTR records only".into();
            return;
        }
        why.reason = format!("{ip} is neither a cluster IP nor a ready endpoint's address");
        let pods = self.store.list::<Pod>(Kind::Pod);
        let Some(pod) = pods.into_iter().find(|pod| pod.status.ips().any(|own| own == ip)) else { return };
        let over = self.store.services_selecting(&pod.metadata.namespace, &pod.metadata.labels);
        why.steps.push(match over.first() {
            None => format!("{} has it, but no Service selects that pod", self.named_pod(pod)),
            Some(_) => format!("{} {}", self.named_pod(pod), not_ready_reason(pod)),
        });
    }
}

/// Why a selected pod is not a ready endpoint, as the rest of a sentence about it.
pub(super) fn not_ready_reason(pod: &Pod) -> &'static str {
    if pod.is_terminal() {
        "has ended"
    } else if pod.status.ips().next().is_none() {
        "has no address yet"
    } else if pod.is_terminating() {
        "is terminating"
    } else if !pod.status.ready {
        "is not ready"
    } else {
        "has no address of a family that the Service has"
    }
}
