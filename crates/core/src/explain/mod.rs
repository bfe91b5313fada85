//! Has no counterpart in a cluster: explains the answer to a question, by what the labels of a name mean, which object
//! it belongs to, which rule applies, and what is missing. Must not depend on sockets, nor on files beyond the
//! positions of objects.
//!
//! The answer itself always comes from [`crate::answer`]; only the reasons are determined here.

mod below;
mod existing;
mod fault;
mod missing;
mod question;
mod search;
mod subject;

#[cfg(test)]
mod cases;

use std::fmt;
use std::net::SocketAddr;

use rustc_hash::FxHashMap;

use crate::answer::ask;
use crate::manifest::{Manifest, Place, legible};
use crate::store::{Key, Kind, Name, Namespace, Pod, Service, Store};
use crate::wire::{DomainName, Header, RecordType, RecordView, ResponseCode, sections};
use crate::zone::Zone;
use subject::Subject;

pub use fault::doubts;
pub use question::Question;
pub use search::Lookup;

/// The answer to a question, with its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The absolute name that the answer is about.
    pub name: DomainName,
    /// The record type that the answer is about.
    pub record_type: RecordType,
    /// The reply's code.
    pub code: ResponseCode,
    /// The reply's answer section, in presentation form.
    pub records: Vec<String>,
    /// The main reason, in a sentence; empty if the records need none.
    pub reason: String,
    /// The namespace of the pod that looks the name up, and the names of its search list with the result of each;
    /// `None` for an absolute name.
    pub search: Option<(String, Vec<(DomainName, String)>)>,
    /// The servers to which the question is forwarded, with an unknown reply.
    pub upstream: Vec<SocketAddr>,
    /// The meaning of each part of the name, rightmost last.
    pub labels: Vec<(String, &'static str)>,
    /// The steps of the reasoning, in order.
    pub steps: Vec<String>,
    /// Suggested questions or changes.
    pub hints: Vec<String>,
}

impl Explanation {
    /// Whether the name has a record of the type.
    pub fn has_answer(&self) -> bool {
        !self.records.is_empty()
    }
}

/// A summary that starts with the reply's code; then the reasoning.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code;
        match self.records.len() {
            _ if !self.upstream.is_empty() => write!(f, "forwarded to {}", addresses(&self.upstream))?,
            0 if code == ResponseCode::NOERROR => write!(f, "{code} without data")?,
            0 => write!(f, "{code}")?,
            1 => write!(f, "{code} with 1 record")?,
            n => write!(f, "{code} with {n} records")?,
        }
        if !self.reason.is_empty() {
            write!(f, ": {}", self.reason)?;
        }
        writeln!(f)?;
        if let Some((namespace, tried)) = &self.search {
            writeln!(f, "\nsearch list of a pod in namespace {namespace} (ndots:5):")?;
            let width = tried.iter().map(|(name, _)| name.to_string().chars().count()).max().unwrap_or(0);
            for (name, outcome) in tried {
                writeln!(f, "  {:width$}  {outcome}", name.to_string())?;
            }
        }
        writeln!(f, "\n{} {}", self.name, self.record_type)?;
        let width = self.labels.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        for (label, meaning) in &self.labels {
            writeln!(f, "  {label:width$}  {meaning}")?;
        }
        if !self.records.is_empty() {
            writeln!(f)?;
        }
        for record in self.records.iter().take(RECORDS_SHOWN) {
            writeln!(f, "  {record}")?;
        }
        if self.records.len() > RECORDS_SHOWN {
            writeln!(f, "  and {} more", self.records.len() - RECORDS_SHOWN)?;
        }
        if !self.steps.is_empty() {
            writeln!(f)?;
        }
        self.steps.iter().try_for_each(|step| writeln!(f, "- {step}"))?;
        self.hints.iter().try_for_each(|hint| writeln!(f, "= help: {hint}"))
    }
}

/// `192.0.2.1:53, or 192.0.2.2:53 if that does not reply`
fn addresses(upstream: &[SocketAddr]) -> String {
    let all: Vec<String> = upstream.iter().map(SocketAddr::to_string).collect();
    match &all[..] {
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first}, or {} if that does not reply", rest.join(", ")),
        [] => String::new(),
    }
}

/// Maximum number of records, and of names in a sentence; of the rest only the number is shown.
const RECORDS_SHOWN: usize = 10;
const NAMES_SHOWN: usize = 5;

/// Maximum length of a sentence, in characters.
const STEP_CHARS: usize = 1000;

/// Explains the answers of one cluster.
pub struct Explainer<'a> {
    store: &'a Store,
    zone: &'a Zone,
    places: FxHashMap<Key, &'a Place>,
    upstream: &'a [SocketAddr],
}

impl<'a> Explainer<'a> {
    /// `store` and `zone` are those of an idle cluster with the objects of `manifests`.
    pub fn new(manifests: &'a [Manifest], store: &'a Store, zone: &'a Zone) -> Self {
        let reads = manifests.iter().flat_map(|manifest| &manifest.objects);
        let places = reads.map(|read| (read.object.key(), &read.place)).collect();
        Explainer { store, zone, places, upstream: &[] }
    }

    /// The same, for a server that forwards names outside the cluster to `upstream`.
    #[must_use]
    pub fn with_upstream(self, upstream: &'a [SocketAddr]) -> Self {
        Explainer { upstream, ..self }
    }

    /// The servers to which `name` is forwarded; empty if the cluster answers itself.
    pub fn forwards(&self, name: &DomainName) -> &'a [SocketAddr] {
        if Subject::of(self.zone, name) == Subject::Foreign { self.upstream } else { &[] }
    }

    /// Explains the answer for an absolute `name`.
    pub fn explain(&self, name: &DomainName, record_type: RecordType) -> Explanation {
        let reply = ask(self.zone, name, record_type);
        let records = sections(&reply).map(|[answer, ..]| answer).unwrap_or_default();
        let shown = |record: RecordView<'_>| format!("{} {}", record.record_type, record.data());
        let subject = Subject::of(self.zone, name);
        let explanation = Explanation {
            name: name.clone(),
            record_type,
            code: Header::read(&reply).expect("a reply has a header").response_code(),
            records: records.into_iter().map(shown).collect(),
            reason: String::new(),
            search: None,
            upstream: self.forwards(name).to_vec(),
            labels: subject.labels(self.zone, name),
            steps: Vec::new(),
            hints: Vec::new(),
        };
        let mut why = Reasons::default();
        match &subject {
            Subject::Foreign => self.foreign(&mut why),
            _ if matches!(record_type, RecordType::AXFR | RecordType::IXFR) => {
                why.reason = "zones are not transferred, as in a cluster".into();
            }
            _ if explanation.has_answer() => self.existing(&subject, record_type, &mut why),
            // The handler ignores the name.
            _ if record_type == RecordType::SOA => {
                why.reason =
                    "the SOA record stands at the zone's own name; below it CoreDNS has none, whether the \
                              name exists or not"
                        .into();
            }
            _ if explanation.code == ResponseCode::NOERROR => {
                self.without_data(&subject, record_type, &mut why)
            }
            _ => self.missing(&subject, record_type, &mut why),
        }
        // Labels and targets may contain terminal control sequences.
        let plain = |texts: Vec<String>| texts.iter().map(|text| legible(text, STEP_CHARS)).collect();
        let (steps, hints) = (plain(why.steps), plain(why.hints));
        Explanation { reason: legible(&why.reason, STEP_CHARS), steps, hints, ..explanation }
    }

    fn foreign(&self, why: &mut Reasons) {
        why.reason = format!("the name is neither in {} nor in a reverse zone", self.domain());
        if self.upstream.is_empty() {
            why.hints.push("with --upstream, `serve` forwards such names to another server".into());
        }
    }

    fn has_namespace(&self, name: &str) -> bool {
        self.store.get::<Namespace>(Kind::Namespace, "", name).is_some()
    }

    fn service(&self, namespace: &str, name: &str) -> Option<&'a Service> {
        self.store.get::<Service>(Kind::Service, namespace, name).map(|service| &**service)
    }

    fn service_names(&self, namespace: &str) -> impl Iterator<Item = &'a str> {
        self.store.list_in::<Service>(Kind::Service, namespace).map(|service| service.metadata.name.as_str())
    }

    /// `Service db/cass (cass.yaml:3)`.
    fn named(&self, kind: Kind, namespace: &Name, name: &Name) -> String {
        let key = Key::new(kind, namespace.clone(), name.clone());
        let place = |key: &Key| {
            self.places.get(key).map(|p| format!("{}:{}", p.file(), p.locate("metadata.name").line))
        };
        let owner = self.store.object(&key).and_then(|object| object.metadata().controller());
        let owner = owner.map(|owner| Key::new(owner.kind, namespace.clone(), owner.name.clone()));
        match place(&key).or_else(|| place(&owner?)) {
            Some(place) => format!("{key} ({place})"),
            None => key.to_string(),
        }
    }

    fn named_service(&self, service: &Service) -> String {
        self.named(Kind::Service, &service.metadata.namespace, &service.metadata.name)
    }

    fn named_pod(&self, pod: &Pod) -> String {
        self.named(Kind::Pod, &pod.metadata.namespace, &pod.metadata.name)
    }

    /// An absolute name below the cluster domain.
    fn full(&self, relative: &str) -> String {
        format!("{relative}.{}", self.domain())
    }

    /// The cluster domain, without the final dot.
    fn domain(&self) -> String {
        self.zone.settings().domain.to_string().trim_end_matches('.').into()
    }
}

/// The reasons of an answer.
#[derive(Default)]
struct Reasons {
    reason: String,
    steps: Vec<String>,
    hints: Vec<String>,
}

/// `a, b and 3 more`.
fn listed<T: fmt::Display>(all: impl IntoIterator<Item = T>) -> String {
    let all: Vec<String> = all.into_iter().map(|item| item.to_string()).collect();
    match all.len().saturating_sub(NAMES_SHOWN) {
        0 => all.join(", "),
        more => format!("{} and {more} more", all[..NAMES_SHOWN].join(", ")),
    }
}
