//! Takes the place of the colleague who knows why a name does not resolve: what the labels of a name mean, which
//! object stands behind it, which rule applies, and what is missing. It must not know sockets, nor files beyond the
//! place where an object stands.
//!
//! The answer itself comes from [`crate::answer`], always; only the reasons are found here.

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

/// Why a question has the answer that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The name that the answer is about, in full.
    pub name: DomainName,
    /// The type that the answer is about.
    pub record_type: RecordType,
    /// The reply's code.
    pub code: ResponseCode,
    /// The reply's answer section, in presentation form.
    pub records: Vec<String>,
    /// What decides the matter, in a sentence; empty where the records speak for themselves.
    pub reason: String,
    /// The namespace of the pod that looks the name up, and each name that its search list makes of it, with the outcome;
    /// `None` where the name is whole.
    pub search: Option<(String, Vec<(DomainName, String)>)>,
    /// The servers that are asked instead of this cluster, whose reply is not known here.
    pub upstream: Vec<SocketAddr>,
    /// What the parts of the name mean, rightmost last.
    pub labels: Vec<(String, &'static str)>,
    /// What led there, in order.
    pub steps: Vec<String>,
    /// What to ask or to write instead.
    pub hints: Vec<String>,
}

impl Explanation {
    /// Whether the name has a record of the type.
    pub fn has_answer(&self) -> bool {
        !self.records.is_empty()
    }
}

/// The answer in short first, which begins with the reply's code; then the reasoning.
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

/// `192.0.2.1:53, or 192.0.2.2:53 where that is silent`
fn addresses(upstream: &[SocketAddr]) -> String {
    let all: Vec<String> = upstream.iter().map(SocketAddr::to_string).collect();
    match &all[..] {
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first}, or {} where that is silent", rest.join(", ")),
        [] => String::new(),
    }
}

/// So many records, and names in a sentence, are shown; of more, the number is.
const RECORDS_SHOWN: usize = 10;
const NAMES_SHOWN: usize = 5;

/// The longest sentence, in characters.
const STEP_CHARS: usize = 1000;

/// Explains answers of one cluster.
pub struct Explainer<'a> {
    store: &'a Store,
    zone: &'a Zone,
    places: FxHashMap<Key, &'a Place>,
    upstream: &'a [SocketAddr],
}

impl<'a> Explainer<'a> {
    /// `store` and `zone` are those of a cluster that has settled with the objects of `manifests`.
    pub fn new(manifests: &'a [Manifest], store: &'a Store, zone: &'a Zone) -> Self {
        let reads = manifests.iter().flat_map(|manifest| &manifest.objects);
        let places = reads.map(|read| (read.object.key(), &read.place)).collect();
        Explainer { store, zone, places, upstream: &[] }
    }

    /// The same, of a server that asks these for names outside the cluster.
    #[must_use]
    pub fn with_upstream(self, upstream: &'a [SocketAddr]) -> Self {
        Explainer { upstream, ..self }
    }

    /// The servers that are asked for `name` in place of this cluster; none where it answers itself.
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
        let mut why = Why::default();
        match &subject {
            Subject::Foreign => self.foreign(&mut why),
            _ if matches!(record_type, RecordType::AXFR | RecordType::IXFR) => {
                why.reason = "zones are not transferred, as in a cluster".into();
            }
            _ if explanation.has_answer() => self.existing(&subject, record_type, &mut why),
            // The handler does not look at the name at all.
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
        // Labels and targets may hold what a terminal would obey.
        let plain = |texts: Vec<String>| texts.iter().map(|text| legible(text, STEP_CHARS)).collect();
        let (steps, hints) = (plain(why.steps), plain(why.hints));
        Explanation { reason: legible(&why.reason, STEP_CHARS), steps, hints, ..explanation }
    }

    fn foreign(&self, why: &mut Why) {
        why.reason = format!("the name is neither in {} nor in a reverse zone", self.domain());
        if self.upstream.is_empty() {
            why.hints.push("with --upstream, `serve` asks another server for such names".into());
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

    /// A name below the cluster domain, in full.
    fn full(&self, relative: &str) -> String {
        format!("{relative}.{}", self.domain())
    }

    /// The cluster domain, without its final dot.
    fn domain(&self) -> String {
        self.zone.settings().domain.to_string().trim_end_matches('.').into()
    }
}

/// The part of an explanation that is not the answer itself.
#[derive(Default)]
struct Why {
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
