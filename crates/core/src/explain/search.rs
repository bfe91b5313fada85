//! Looks up names like a pod does: through the search path of its resolv.conf.

use super::{Explainer, Explanation, Question};
use crate::answer::ask;
use crate::store::{Kind, Namespace, Service, nearest};
use crate::wire::{DomainName, Header, IN, NameError, ResponseCode, labels};

/// `ndots:5` of a pod's resolv.conf: names with fewer dots are tried with the search domains first.
const NDOTS: usize = 5;

/// The result of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The name of the answer: the first that has one, or else the most probable one.
    pub name: DomainName,
    /// Each name that was tried, in order, with the result; empty for an absolute name.
    pub tried: Vec<(DomainName, String)>,
}

impl Explainer<'_> {
    /// Looks `question` up like a pod of `namespace`: a name outside this cluster's zones with fewer than five dots is
    /// tried with the suffixes NAMESPACE.svc.DOMAIN, svc.DOMAIN and DOMAIN, then unchanged.
    pub fn look_up(&self, question: &Question, namespace: &str) -> Lookup {
        let Question { name, record_type, absolute } = question;
        let known = self.zone.locate(&name.as_wire().to_ascii_lowercase(), IN).is_some();
        let dots = name.label_count().saturating_sub(1);
        if *absolute || known || dots >= NDOTS || name.label_count() == 0 {
            return Lookup { name: name.clone(), tried: Vec::new() };
        }
        let domain = &self.zone.settings().domain;
        let suffixes = domain.search_domains(namespace).into_iter().chain([".".into()]);
        let mut tried = Vec::new();
        let mut answered = false;
        for suffix in suffixes {
            // Names that are too long are skipped, like resolvers do.
            let Ok(candidate) = join(name, &suffix) else { continue };
            let reply = ask(self.zone, &candidate, *record_type);
            let header = Header::read(&reply).expect("a reply has a header");
            answered = header.counts[1] > 0;
            let outcome = match header.response_code() {
                ResponseCode::NOERROR if !answered => "NOERROR without data".into(),
                code => code.to_string(),
            };
            tried.push((candidate, outcome));
            if answered {
                break;
            }
        }
        let last = tried.len() - 1;
        let chosen = if answered { last } else { self.intended(name, namespace).min(last) };
        Lookup { name: tried[chosen].0.clone(), tried }
    }

    /// Explains the answer to `question` for a pod of `namespace`.
    pub fn search(&self, question: &Question, namespace: &str) -> Explanation {
        let Lookup { name, tried } = self.look_up(question, namespace);
        let mut explanation = self.explain(&name, question.record_type);
        if !explanation.has_answer() && !tried.is_empty() {
            self.name_namespaces(&question.name, namespace, &mut explanation);
        }
        explanation.search = (!tried.is_empty()).then(|| (namespace.into(), tried));
        explanation
    }

    /// Adds to the reason where the intended Service probably exists.
    fn name_namespaces(&self, name: &DomainName, namespace: &str, explanation: &mut Explanation) {
        let all = texts(name);
        let Some(service) = all.last().filter(|last| self.service(namespace, last).is_none()) else { return };
        let elsewhere = self.namespaces_of(service);
        let Some(first) = elsewhere.first().filter(|_| !self.has_namespace(service)) else { return };
        explanation.reason = match elsewhere.len() {
            1 => format!("Service {service} exists in namespace {first}, not in {namespace}"),
            _ => format!(
                "Service {service} exists in namespaces {}, not in {namespace}",
                super::listed(&elsewhere)
            ),
        };
        let relative = format!("{}.{first}", all.join("."));
        explanation.hints = vec![format!(
            "from namespace {namespace}, ask for {} or {relative}; in namespace {first} (-n {first}) the name is right",
            self.full(&format!("{relative}.svc")),
        )];
    }

    /// The namespaces that have a Service of this name.
    fn namespaces_of(&self, service: &str) -> Vec<&str> {
        let all = self.store.list::<Service>(Kind::Service).map(|service| &service.metadata);
        all.filter(|meta| meta.name == service).map(|meta| meta.namespace.as_str()).collect()
    }

    /// The index of the search domain that the name was probably written for, if none of them completes it.
    fn intended(&self, name: &DomainName, namespace: &str) -> usize {
        let all = texts(name);
        let namespaces = || self.store.list::<Namespace>(Kind::Namespace).map(|n| n.metadata.name.as_str());
        match &*all.iter().map(String::as_str).collect::<Vec<_>>() {
            [.., "svc" | "pod"] => 2,
            [_] => 0,
            [.., last] if self.service(namespace, last).is_some() => 0,
            [.., last] if self.has_namespace(last) => 1,
            [.., last] if !self.namespaces_of(last).is_empty() => 0,
            [.., last] if nearest(last, self.service_names(namespace)).is_some() => 0,
            [.., last] if nearest(last, namespaces()).is_some() => 1,
            _ => 3,
        }
    }
}

/// The labels of a name, in lower case.
fn texts(name: &DomainName) -> Vec<String> {
    labels(name.as_wire()).map(|label| String::from_utf8_lossy(label).to_ascii_lowercase()).collect()
}

fn join(name: &DomainName, suffix: &str) -> Result<DomainName, NameError> {
    if suffix == "." { name.to_string().parse() } else { format!("{name}{suffix}").parse() }
}
