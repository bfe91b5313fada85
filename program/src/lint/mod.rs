//! Has no counterpart in a cluster: finds likely mistakes in manifests that an API server accepts. Must not depend on sockets, nor on files beyond the positions
//! of objects.
//!
//! Each rule is a function. A rule reports only what the manifests alone prove, in words for a reader without prior knowledge,
//! with a fix. It does not report what is likely on purpose.

mod configs;
mod endpoints;
mod faults;
mod governing;
mod pods;
mod ports;
mod rules;
mod services;
mod silence;
mod trial;
mod workloads;

#[cfg(test)]
mod cases;

pub use rules::RULES;

use std::hash::BuildHasher;
use std::net::IpAddr;

use rustc_hash::{FxBuildHasher, FxHashMap};

use clusterlocal_core::manifest::{Manifest, Place, Problem, Read, Severity};
use clusterlocal_core::store::{Key, Kind, Labels, Name, Object, PodSpec, Service, Store};
use clusterlocal_core::zone::Zone;

/// Finds likely mistakes in `manifests`, in their order, with the codes and severities of [`RULES`]; without those that an
/// object's annotation [`ALLOW_ANNOTATION`](clusterlocal_core::store::ALLOW_ANNOTATION) allows. `store` and `zone` belong to a
/// cluster that has been reconciled with the objects of the manifests.
pub fn lint(manifests: &[Manifest], store: &Store, zone: &Zone) -> Vec<Problem> {
    let reads = || manifests.iter().flat_map(|manifest| &manifest.objects);
    let templates: Vec<Template<'_>> = reads().filter_map(Template::of).collect();
    let mut by_label: FxHashMap<u64, Vec<usize>> = FxHashMap::default();
    for (at, template) in templates.iter().enumerate() {
        for label in template.labels.iter() {
            by_label.entry(hash(&template.key.namespace, label)).or_default().push(at);
        }
    }
    let mut cluster_ips = FxHashMap::default();
    for read in reads() {
        if let Object::Service(service) = &read.object {
            service.addresses().for_each(|ip| _ = cluster_ips.entry(ip).or_insert_with(|| read.object.key()));
        }
    }
    let cluster = Cluster { store, zone, templates, by_label, cluster_ips };
    let mut findings = Vec::new();
    for manifest in manifests {
        let from = findings.len();
        for read in &manifest.objects {
            cluster.review(read, &mut findings);
        }
        silence::apply(manifest, &mut findings, from);
        findings[from..].sort_by_key(Problem::line);
    }
    findings
}

/// The cluster of the manifests, with indexes for the rules.
struct Cluster<'a> {
    store: &'a Store,
    zone: &'a Zone,
    /// All descriptions of pods in the manifests: templates, and pods without a controller.
    templates: Vec<Template<'a>>,
    /// The templates with a label, by its [`hash`].
    by_label: FxHashMap<u64, Vec<usize>>,
    /// The cluster IPs of the manifests, each with the first Service that has it.
    cluster_ips: FxHashMap<IpAddr, Key>,
}

/// Hash of a label in a namespace. Collisions are rare, and harmless: matches are checked.
fn hash(namespace: &Name, label: (&str, &str)) -> u64 {
    FxBuildHasher.hash_one((namespace.as_str(), label))
}

/// A description of pods.
struct Template<'a> {
    /// The workload, or the pod itself.
    key: Key,
    labels: &'a Labels,
    spec: &'a PodSpec,
    /// The Service that the names of the pods are below.
    subdomain: &'a Name,
    /// Path of the pod's spec in the object.
    path: &'static str,
}

/// An object under review.
struct Reviewed<'a, T> {
    object: &'a T,
    key: Key,
    place: &'a Place,
    cluster: &'a Cluster<'a>,
    /// Whether it is a copy that tests a suggestion: rules then make no suggestions of their own.
    is_trial: bool,
}

impl<'a> Cluster<'a> {
    fn review(&'a self, read: &'a Read, findings: &mut Vec<Problem>) {
        fn reviewed<'r, T>(cluster: &'r Cluster<'r>, read: &'r Read, object: &'r T) -> Reviewed<'r, T> {
            Reviewed { object, key: read.object.key(), place: &read.place, cluster, is_trial: false }
        }
        match &read.object {
            Object::Service(service) => {
                let service = reviewed(self, read, &**service);
                services::review(&service, findings);
                ports::review(&service, findings);
                governing::review_service(&service, findings);
            }
            Object::StatefulSet(set) => {
                let set = reviewed(self, read, &**set);
                governing::review_set(&set, findings);
                workloads::review_set(&set, findings);
            }
            Object::EndpointSlice(slice) => {
                endpoints::review_slice(&reviewed(self, read, &**slice), findings)
            }
            Object::Endpoints(all) => endpoints::review_endpoints(&reviewed(self, read, &**all), findings),
            Object::Fault(fault) => faults::review(&reviewed(self, read, &**fault), findings),
            _ => {}
        }
        workloads::review(&reviewed(self, read, &read.object), findings);
        if let Some(template) = Template::of(read) {
            let template = reviewed(self, read, &template);
            pods::review(&template, findings);
            configs::review(&template, findings);
        }
    }

    fn service(&self, namespace: &str, name: &str) -> Option<&'a Service> {
        self.store.get::<Service>(Kind::Service, namespace, name).map(|service| &**service)
    }

    /// The names of the Services of `namespace`.
    fn service_names(&self, namespace: &str) -> impl Iterator<Item = &'a str> {
        self.store.list_in::<Service>(Kind::Service, namespace).map(|service| service.metadata.name.as_str())
    }

    /// The templates that `service` selects.
    fn selected(&self, service: &Service) -> impl Iterator<Item = &Template<'a>> {
        let (namespace, selector) = (service.metadata.namespace.clone(), service.spec.selector.clone());
        // Candidates are the templates with the rarest label of the selector.
        let with = |label| self.by_label.get(&hash(&namespace, label)).map_or(&[][..], Vec::as_slice);
        let rarest = selector.iter().map(with).min_by_key(|templates| templates.len()).unwrap_or_default();
        rarest
            .iter()
            .map(|at| &self.templates[*at])
            .filter(move |template| template.key.namespace == namespace && selector.matches(template.labels))
    }
}

impl<'a> Template<'a> {
    fn of(read: &'a Read) -> Option<Self> {
        let (labels, spec, subdomain, path) = match &read.object {
            Object::StatefulSet(set) => {
                let template = &set.spec.template;
                (&template.metadata.labels, &template.spec, &set.spec.service_name, "spec.template.spec")
            }
            Object::Deployment(workload)
            | Object::ReplicaSet(workload)
            | Object::ReplicationController(workload)
            | Object::DaemonSet(workload)
            | Object::Job(workload) => {
                let template = &workload.spec.template;
                (
                    &template.metadata.labels,
                    &template.spec,
                    &template.spec.shared.subdomain,
                    "spec.template.spec",
                )
            }
            Object::Pod(pod) => (&pod.metadata.labels, &pod.spec, &pod.spec.shared.subdomain, "spec"),
            _ => return None,
        };
        // Objects of a controller, in a snapshot, are not reviewed: their template is.
        let is_controlled = read.object.metadata().controller().is_some();
        (!is_controlled).then(|| Template { key: read.object.key(), labels, spec, subdomain, path })
    }
}

impl<T> Reviewed<'_, T> {
    /// A finding at the field `path`, with the severity of its rule.
    fn finding(
        &self,
        code: &'static str,
        path: &str,
        message: impl AsRef<str>,
        help: impl AsRef<str>,
    ) -> Problem {
        let problem = Problem::at(self.place, self.place.locate(path), message);
        let mut problem = problem.with_help(help).about(self.key.clone());
        problem.code = Some(code);
        problem.severity =
            RULES.iter().find(|rule| rule.code == code).map_or(Severity::Warning, |rule| rule.severity);
        problem
    }
}
