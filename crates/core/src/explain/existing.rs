//! Explains the records of a name that exists, or the absence of records of the requested type.

use std::net::IpAddr;

use super::subject::{ServiceName, Subject};
use super::{Explainer, Reasons, listed};
use crate::store::{IpFamily, Pod, Service};
use crate::wire::{DomainName, RecordType};
use crate::zone::{PodNames, dashed};

impl Explainer<'_> {
    /// Fills in `why` for a reply with records.
    pub(super) fn existing(&self, subject: &Subject, record_type: RecordType, why: &mut Reasons) {
        match subject {
            Subject::Service(of) | Subject::Port(_, _, of) => {
                let Some(service) = self.service(&of.namespace, &of.name) else { return };
                self.describe(service, why);
                if record_type == RecordType::SRV {
                    self.srv_rule(service, why);
                }
                self.left_out(service, why);
                self.elsewhere_target(service, why);
            }
            Subject::Endpoint(host, of) => self.existing_endpoint(host, of, why),
            Subject::PodAddress(label, namespace) => why.steps.push(match self.zone.settings().pods {
                PodNames::Verified => format!("{label} is the address of a pod of namespace {namespace}"),
                _ => format!(
                    "{label} spells the address: it is answered whether or not a pod has it (pods insecure)"
                ),
            }),
            Subject::Reverse(ip) => self.reverse_rule(*ip, why),
            Subject::Apex => why.steps.push("the cluster domain itself has SOA and NS records".into()),
            Subject::NameServer => why.steps.push("the address of the cluster's DNS server".into()),
            Subject::Version => {
                why.steps.push(
                    "the version of the specification \"Kubernetes DNS-Based Service Discovery\"".into(),
                );
            }
            _ => {}
        }
    }

    /// Adds the type of the Service, and what its name points to.
    pub(super) fn describe(&self, service: &Service, why: &mut Reasons) {
        let name = self.named_service(service);
        let step = if let Some(target) =
            service.spec.external_name.as_deref().filter(|_| service.is_external_name())
        {
            format!("{name} is of type ExternalName: an alias for {target}")
        } else if service.is_headless() {
            let source = if self.store.has_recorded_endpoints(service) {
                "those in the manifests".into()
            } else if service.spec.selector.is_empty() {
                "it has no selector, and there are none in the manifests".into()
            } else {
                format!("the pods that its selector {} matches", service.spec.selector)
            };
            format!("{name} is headless (clusterIP: None): its name points to its ready endpoints, {source}")
        } else {
            format!(
                "{name} is not headless: its name points to its cluster IP {}",
                listed(service.addresses())
            )
        };
        why.steps.push(step);
    }

    fn srv_rule(&self, service: &Service, why: &mut Reasons) {
        why.steps.push(if service.is_headless() {
            "SRV records point to each endpoint and the port it listens on (targetPort, or else port)".into()
        } else {
            "SRV records of a Service with a cluster IP point to the Service itself, not to its pods".into()
        });
    }

    /// The target of an alias is outside the cluster.
    fn elsewhere_target(&self, service: &Service, why: &mut Reasons) {
        let target = service.spec.external_name.as_deref().filter(|_| service.is_external_name());
        let target = target.and_then(|target| target.parse::<DomainName>().ok());
        if target.is_some_and(|target| Subject::of(self.zone, &target) == Subject::Foreign) {
            why.steps.push(
                "its target is not in this cluster: without --upstream, the alias is all of the answer"
                    .into(),
            );
        }
    }

    /// Adds the endpoints that are missing because they are not ready.
    fn left_out(&self, service: &Service, why: &mut Reasons) {
        if !service.is_headless()
            || service.spec.publish_not_ready_addresses
            || self.store.has_recorded_endpoints(service)
        {
            return;
        }
        let pods = self.store.select_pods(&service.metadata.namespace, &service.spec.selector);
        let waiting = pods.iter().filter(|pod| !pod.status.ready || pod.is_terminating());
        let waiting: Vec<_> = waiting.map(|pod| &pod.metadata.name).collect();
        if !waiting.is_empty() {
            why.steps.push(format!("omitted, because they are not ready: {}", listed(waiting)));
        }
    }

    fn existing_endpoint(&self, host: &str, of: &ServiceName, why: &mut Reasons) {
        let Some(service) = self.service(&of.namespace, &of.name) else { return };
        let pods = self.store.select_pods(&service.metadata.namespace, &service.spec.selector);
        let by_hostname =
            |pod: &&&std::sync::Arc<Pod>| pod.spec.hostname == host && pod.spec.shared.subdomain == of.name;
        let by_address = |pod: &&&std::sync::Arc<Pod>| pod.status.ips().any(|ip| dashed(ip) == host);
        let service_name = self.named_service(service);
        why.steps.push(match (pods.iter().find(by_hostname), pods.iter().find(by_address)) {
            (Some(pod), _) => format!(
                "{} is selected by {service_name}, and its subdomain (a StatefulSet's serviceName) is that Service: it is \
                 called by its hostname",
                self.named_pod(pod)
            ),
            (None, Some(pod)) => format!(
                "{} is selected by {service_name}, which does not govern it: its name is derived from its address",
                self.named_pod(pod)
            ),
            (None, None) => format!("{host} is an endpoint of {service_name}"),
        });
    }

    fn reverse_rule(&self, ip: IpAddr, why: &mut Reasons) {
        let services = self.store.list::<Service>(crate::store::Kind::Service);
        why.steps.push(match services.into_iter().find(|service| service.addresses().any(|own| own == ip)) {
            Some(service) => format!("{ip} is the cluster IP of {}", self.named_service(service)),
            None => format!("{ip} is a ready endpoint: it has one name below each Service that selects it"),
        });
    }

    /// Fills in `why` for a name that exists without a record of the type.
    pub(super) fn without_data(&self, subject: &Subject, record_type: RecordType, why: &mut Reasons) {
        match subject {
            Subject::Apex | Subject::Tree | Subject::Namespace(_) => {
                why.reason = format!(
                    "the name exists, because there are names below it; it has no {record_type} record itself"
                );
            }
            Subject::Service(of) | Subject::Port(_, _, of) | Subject::Endpoint(_, of) => {
                match self.service(&of.namespace, &of.name) {
                    Some(service) => self.service_without_data(service, subject, record_type, why),
                    None => why.reason = format!("the name has no {record_type} record"),
                }
            }
            Subject::PodAddress(..) if matches!(record_type, RecordType::A | RecordType::AAAA) => {
                why.reason = "the address is of the other family".into();
            }
            Subject::Reverse(_) | Subject::ReversePart => {
                why.reason = format!("there are no {record_type} records here")
            }
            _ => why.reason = format!("the name has no {record_type} record"),
        }
    }

    fn service_without_data(
        &self,
        service: &Service,
        subject: &Subject,
        record_type: RecordType,
        why: &mut Reasons,
    ) {
        let name = format!("Service {}/{}", service.metadata.namespace, service.metadata.name);
        self.describe(service, why);
        match record_type {
            RecordType::A | RecordType::AAAA if service.is_external_name() => {
                let target = service.spec.external_name.as_deref().unwrap_or_default();
                why.reason = format!("{name} is an alias for {target}, which has no {} record", record_type);
                why.steps.push(
                    "an alias within the cluster is only returned together with the records of its target"
                        .into(),
                );
                self.without_target(target, record_type, why);
            }
            RecordType::A | RecordType::AAAA => {
                let (wanted, other) = match record_type {
                    RecordType::A => (IpFamily::IPv4, "AAAA"),
                    _ => (IpFamily::IPv6, "A"),
                };
                why.reason = match subject {
                    Subject::Endpoint(host, _) => {
                        format!("endpoint {host} of {name} has no {wanted:?} address")
                    }
                    _ if service.is_headless() => format!("no endpoint of {name} has an {wanted:?} address"),
                    _ => format!("{name} has no {wanted:?} address"),
                };
                why.steps.push(format!(
                    "the name has {other} records: a resolver that queries both types uses those"
                ));
                why.hints.push(
                    "for both families write ipFamilyPolicy: PreferDualStack, and give pods both".into(),
                );
            }
            RecordType::SRV if service.is_external_name() => {
                why.reason = format!("{name} is an alias: it has CNAME, A and AAAA answers only");
            }
            RecordType::SRV if service.spec.ports.is_empty() => {
                why.reason = format!("{name} has no ports, and an SRV record needs one");
                why.hints.push("write ports: [{name: NAME, port: NUMBER}] into the Service".into());
            }
            RecordType::SRV => {
                why.reason = format!("no endpoint of {name} has a port");
                why.steps.push(
                    "a targetPort by name is looked up in each pod; here none has a port of that name".into(),
                );
            }
            RecordType::CNAME => {
                why.reason = format!("{name} is not an alias: only Services of type ExternalName are")
            }
            _ => why.reason = format!("a cluster's DNS has no {} records for Services", record_type),
        }
    }

    /// Adds why an alias's target has no answer; an alias is not followed further.
    fn without_target(&self, target: &str, record_type: RecordType, why: &mut Reasons) {
        let Ok(name) = target.parse::<DomainName>() else { return };
        let is_alias = match Subject::of(self.zone, &name) {
            Subject::Service(of) => {
                self.service(&of.namespace, &of.name).is_some_and(Service::is_external_name)
            }
            _ => false,
        };
        if is_alias {
            why.steps.push(format!("{target} is an alias too: its target has no answer, or there is a loop"));
        } else {
            let there = self.explain(&name, record_type);
            why.steps.push(format!("{target}: {}: {}", there.code, there.reason));
            why.hints.extend(there.hints);
        }
    }
}
