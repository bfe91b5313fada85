//! From one document to one object: which kind a head means, the single typed pass over the text, and what the
//! parser's errors say in our words, at the place where they are.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::documents;
use super::json;
use super::kinds;
use super::limits::{self, Expansion};
use super::problem::Problem;
use super::source::Place;
use super::tree::Tree;
use super::wording;
use crate::store::{Key, Kind, Name, Object, ReplicationController};

/// What a document says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, expecting = "a Kubernetes object")]
pub(super) struct Head {
    pub(super) api_version: Option<Name>,
    pub(super) kind: Option<Name>,
}

impl Head {
    /// Whether nothing of it is left to be understood.
    pub(super) fn is_whole(&self) -> bool {
        self.api_version.is_some() && self.kind.is_some()
    }
}

/// What a head means to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Object(Kind),
    /// A List, and what its items are if they do not say so: those of a `ServiceList` need not.
    List(Head),
    /// Our own short form.
    Topology,
    /// A story about the cluster.
    Scenario,
    /// A kind that the DNS does not depend on.
    Other,
    /// Kubernetes has this kind, but not there: the `apiVersion` it is in.
    Misplaced(&'static str),
    /// It says that it is ours, and we have no such kind.
    Unknown,
    /// What kustomize renders others with.
    Kustomization,
}

/// The `apiVersion` of our own kinds.
pub(super) const OWN_VERSION: &str = "clusterlocal.dev/v1";

/// The kinds that we read, with every `apiVersion` they have been in; the first is today's.
pub(super) const KINDS: [(&str, Kind, &[&str]); 17] = [
    ("Namespace", Kind::Namespace, &["v1"]),
    ("Node", Kind::Node, &["v1"]),
    ("Service", Kind::Service, &["v1"]),
    ("StatefulSet", Kind::StatefulSet, &["apps/v1", "apps/v1beta2", "apps/v1beta1"]),
    ("PetSet", Kind::StatefulSet, &["apps/v1alpha1"]),
    ("Deployment", Kind::Deployment, &["apps/v1", "apps/v1beta2", "apps/v1beta1", "extensions/v1beta1"]),
    ("ReplicaSet", Kind::ReplicaSet, &["apps/v1", "apps/v1beta2", "extensions/v1beta1"]),
    ("ReplicationController", Kind::ReplicationController, &["v1"]),
    ("DaemonSet", Kind::DaemonSet, &["apps/v1", "apps/v1beta2", "extensions/v1beta1"]),
    ("Job", Kind::Job, &["batch/v1"]),
    ("CronJob", Kind::CronJob, &["batch/v1", "batch/v1beta1", "batch/v2alpha1"]),
    ("Pod", Kind::Pod, &["v1"]),
    ("EndpointSlice", Kind::EndpointSlice, &["discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"]),
    ("Endpoints", Kind::Endpoints, &["v1"]),
    ("PersistentVolumeClaim", Kind::PersistentVolumeClaim, &["v1"]),
    ("PersistentVolume", Kind::PersistentVolume, &["v1"]),
    ("Fault", Kind::Fault, &[OWN_VERSION]),
];

/// What an object of `api_version` and `kind` is to us.
///
/// Groups count: `serving.knative.dev/v1` has a Service too, and it is another thing.
pub(super) fn meaning(api_version: &str, kind: &str) -> Meaning {
    if let Some(&(_, known, versions)) = KINDS.iter().find(|(name, ..)| *name == kind) {
        return if versions.contains(&api_version) {
            Meaning::Object(known)
        } else if kinds::is_built_in(api_version) {
            // Nobody but Kubernetes can add kinds to its own groups.
            Meaning::Misplaced(versions[0])
        } else {
            Meaning::Other
        };
    }
    if api_version == OWN_VERSION {
        return match kind {
            "Topology" => Meaning::Topology,
            "Scenario" => Meaning::Scenario,
            _ => Meaning::Unknown,
        };
    }
    if api_version.starts_with("kustomize.config.k8s.io/") {
        return Meaning::Kustomization;
    }
    match kind.strip_suffix("List") {
        Some("") if api_version == "v1" => Meaning::List(Head::default()),
        Some(item) if !item.is_empty() => {
            Meaning::List(Head { api_version: Some(api_version.into()), kind: Some(item.into()) })
        }
        _ => Meaning::Other,
    }
}

/// Reads the object of this kind from any deserializer.
struct Typed(Kind);

impl<'de> DeserializeSeed<'de> for Typed {
    type Value = Object;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Object, D::Error> {
        Ok(match self.0 {
            Kind::Namespace => Object::Namespace(Arc::deserialize(d)?),
            Kind::Node => Object::Node(Arc::deserialize(d)?),
            Kind::Service => Object::Service(Arc::deserialize(d)?),
            Kind::StatefulSet => Object::StatefulSet(Arc::deserialize(d)?),
            Kind::Deployment => Object::Deployment(Arc::deserialize(d)?),
            Kind::ReplicaSet => Object::ReplicaSet(Arc::deserialize(d)?),
            Kind::DaemonSet => Object::DaemonSet(Arc::deserialize(d)?),
            Kind::ReplicationController => {
                Object::ReplicationController(Arc::new(ReplicationController::deserialize(d)?.into()))
            }
            Kind::Job => Object::Job(Arc::deserialize(d)?),
            Kind::CronJob => Object::CronJob(Arc::deserialize(d)?),
            Kind::Pod => Object::Pod(Arc::deserialize(d)?),
            Kind::EndpointSlice => Object::EndpointSlice(Arc::deserialize(d)?),
            Kind::Endpoints => Object::Endpoints(Arc::deserialize(d)?),
            Kind::PersistentVolumeClaim => Object::PersistentVolumeClaim(Arc::deserialize(d)?),
            Kind::PersistentVolume => Object::PersistentVolume(Arc::deserialize(d)?),
            Kind::ControllerRevision => Object::ControllerRevision(Arc::deserialize(d)?),
            Kind::Event => Object::Event(Arc::deserialize(d)?),
            Kind::Fault => Object::Fault(Arc::deserialize(d)?),
            kind => Object::Inert(kind, Arc::deserialize(d)?),
        })
    }
}

/// A value of type `T`, as a seed.
struct Of<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Of<T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<T, D::Error> {
        T::deserialize(d)
    }
}

/// The head of the document at `place`, by a parser's pass.
pub(super) fn head(place: &Place) -> Result<Head, Box<Problem>> {
    read(place, Repeated::Last, || Of::<Option<Head>>(std::marker::PhantomData))
        .map(Option::unwrap_or_default)
}

/// The document at `place` as an object of `kind`.
pub(super) fn object(place: &Place, kind: Kind) -> Result<Object, Box<Problem>> {
    let repeated = if kind == Kind::Fault { Repeated::Refused } else { Repeated::Last };
    read(place, repeated, || Typed(kind)).map_err(|problem| match named(place, kind) {
        Some(key) => Box::new(problem.about(key)),
        None => problem,
    })
}

/// `json` as an object of `kind`, or what is wrong with it: the field, as far as it is known, and why.
pub(super) fn from_json(json: &serde_json::Value, kind: Kind) -> Result<Object, (String, String)> {
    Typed(kind).deserialize(json).map_err(|error| {
        // The YAML parser knows the path of what it does not like.
        let yaml = Typed(kind).deserialize(serde_yaml::Deserializer::from_str(&json.to_string()));
        let message = match yaml {
            Err(yaml) => {
                let position = yaml.location().map(|at| (at.line(), at.column()));
                without_position(&yaml.to_string(), position, 1)
            }
            Ok(_) => error.to_string(),
        };
        let message = wording::plain(&message);
        match message.split_once(": ") {
            Some((path, why)) if !path.contains([' ', '`']) => (path.into(), why.into()),
            _ => (String::new(), message),
        }
    })
}

/// The document at `place` as a `T`.
pub fn value<T: for<'de> Deserialize<'de>>(place: &Place) -> Result<T, Box<Problem>> {
    read(place, Repeated::Refused, || Of::<T>(std::marker::PhantomData))
}

/// Checks that the document at `place` is well-formed, whatever it is.
pub(super) fn well_formed(place: &Place) -> Result<(), Box<Problem>> {
    value::<Option<IgnoredAny>>(place).map(drop)
}

/// Whether the document at `place` is well-formed, and no map: no object, whatever it is.
pub(super) fn is_no_map(place: &Place) -> bool {
    type Map = std::collections::HashMap<String, IgnoredAny>;
    value::<Option<Map>>(place).is_err() && well_formed(place).is_ok()
}

/// The heads of the items of the List at `place`.
pub(super) fn item_heads(place: &Place) -> Result<Vec<Head>, Box<Problem>> {
    #[derive(Deserialize)]
    struct Heads {
        #[serde(default)]
        items: Option<Vec<Head>>,
    }
    let heads = read(place, Repeated::Last, || Of::<Heads>(std::marker::PhantomData))?;
    Ok(heads.items.unwrap_or_default())
}

/// The items of the List at `place` in one pass: those that have a kind here.
pub(super) fn items(place: &Place, kinds: &[Option<Kind>]) -> Result<Vec<Option<Object>>, Box<Problem>> {
    read(place, Repeated::Last, || ListOf(kinds))
}

/// How an object may be called whose fields cannot all be read.
fn named(place: &Place, kind: Kind) -> Option<Key> {
    #[derive(Deserialize)]
    struct Named {
        metadata: Meta,
    }
    #[derive(Deserialize)]
    struct Meta {
        name: Name,
        namespace: Option<Name>,
    }
    let text = place.text();
    limits::structure(&text).ok()?;
    let Named { metadata } = serde_yaml::from_str(&text).ok()?;
    let namespace = if kind.is_namespaced() {
        metadata.namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.into())
    } else {
        Name::default()
    };
    Some(Key::new(kind, namespace, metadata.name))
}

/// Where objects live that do not say where.
pub(super) const DEFAULT_NAMESPACE: &str = "default";

/// One pass over the document at `place`, after making sure that it will be a short one.
fn read<S, V>(place: &Place, repeated: Repeated, seed: impl Fn() -> S) -> Result<V, Box<Problem>>
where
    S: for<'de> DeserializeSeed<'de, Value = V>,
{
    let text = place.text();
    limits::structure(&text).map_err(|why| Box::new(Problem::at(place, place.head(), why.to_string())))?;
    if place.passage.json {
        let json = seed().deserialize(&mut serde_json::Deserializer::from_str(&text));
        return json
            .or_else(|error| lenient(repeated, &seed, &text, &error.to_string()).ok_or(error))
            .map_err(|error| {
                // JSON is YAML, and the YAML parser knows the path and the place of what it does not like.
                match seed().deserialize(serde_yaml::Deserializer::from_str(&text)) {
                    Err(yaml) if yaml.location().is_some() => yaml_error(place, &text, &yaml),
                    _ => json_error(place, &text, &error),
                }
            });
    }
    let yaml = || serde_yaml::Deserializer::from_str(&text);
    let problem = |error: serde_yaml::Error| yaml_error(place, &text, &error);
    let typed = || {
        let outcome = seed().deserialize(yaml());
        outcome
            .or_else(|error| lenient(repeated, &seed, &text, &error.to_string()).ok_or(error))
            .map_err(problem)
    };
    if !limits::has_aliases(&text) {
        return typed();
    }
    if !text.contains("<<") {
        Expansion::default().deserialize(yaml()).map_err(problem)?;
        return typed();
    }
    // Merge keys are applied to a tree of values, which has no positions.
    let tree = json::from_text(&text).map_err(problem)?;
    seed().deserialize(&tree).map_err(|error| json_error(place, &text, &error))
}

/// What becomes of a key that is there twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeated {
    /// The last counts, as for kubectl.
    Last,
    /// It is an error, in our own kinds.
    Refused,
}

/// What `text` says, where that failed with `error` for a reason that is none to kubectl: of a key that is there twice the
/// last counts, and 3.0 is a whole number.
fn lenient<S, V>(repeated: Repeated, seed: impl Fn() -> S, text: &str, error: &str) -> Option<V>
where
    S: for<'de> DeserializeSeed<'de, Value = V>,
{
    if repeated == Repeated::Refused || !error.contains("duplicate ") && !error.contains("floating point") {
        return None;
    }
    seed().deserialize(&Tree::of(text)?.value).ok()
}

/// The `items` of a List, each read as its kind asks.
struct ListOf<'a>(&'a [Option<Kind>]);

impl<'de> DeserializeSeed<'de> for ListOf<'_> {
    type Value = Vec<Option<Object>>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ListOf<'_> {
    type Value = Vec<Option<Object>>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a List")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(key) = map.next_key::<Name>()? {
            if key == "items" {
                items = map.next_value_seed(ItemsOf(self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(items)
    }
}

struct ItemsOf<'a>(&'a [Option<Kind>]);

impl<'de> DeserializeSeed<'de> for ItemsOf<'_> {
    type Value = Vec<Option<Object>>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ItemsOf<'_> {
    type Value = Vec<Option<Object>>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        for kind in self.0 {
            items.push(match kind {
                Some(kind) => seq.next_element_seed(Typed(*kind))?,
                None => seq.next_element::<IgnoredAny>()?.and(None),
            });
        }
        Ok(items)
    }
}

/// The YAML parser's error as a problem at its place.
fn yaml_error(place: &Place, text: &str, error: &serde_yaml::Error) -> Box<Problem> {
    if let Some(at) = documents::template_directive(text) {
        return Box::new(unrendered(place, at));
    }
    let location = error.location();
    let position = location.as_ref().map(|at| (at.line(), at.column()));
    let message = without_position(&error.to_string(), position, place.passage.line);
    let message = match &*message {
        "recursion limit exceeded" => "nested deeper than 128 levels".into(),
        "repetition limit exceeded" => "aliases expand this document too far".into(),
        _ => message,
    };
    if let Some((before, key)) = message.split_once("duplicate field `") {
        let key = key.trim_end_matches('`');
        let spot = place.locate_repeated(before.trim_end_matches(": "), key);
        return Box::new(Problem::at(place, spot, format!("{before}key `{key}` is there twice")));
    }
    let at = location.as_ref().map(serde_yaml::Location::index);
    // The scanner speaks of characters and tokens, where all that is wrong is a tab.
    let scanner = message.contains("token") || message.contains("indentation") || message.contains("block");
    if let Some(tab) = at.filter(|_| scanner).and_then(|at| wording::tab(text, at)) {
        let problem = Problem::at(place, place.at(tab), "a tab: YAML is indented with spaces");
        return Box::new(problem.with_help("write two spaces for each level instead of the tab"));
    }
    let spot = at.map_or_else(|| place.head(), |at| place.at(at));
    let message = wording::plain(&message);
    let problem = Problem::at(place, spot, &message);
    Box::new(match similar(&message) {
        Some(word) => problem.with_help(format!("did you mean `{word}`?")),
        None => problem,
    })
}

/// That there is a template's directive at byte `at` of the document.
pub(super) fn unrendered(place: &Place, at: usize) -> Problem {
    let help = "render it first: helm template RELEASE CHART > rendered.yaml";
    Problem::at(place, place.at(at), "looks like an unrendered Helm template").with_help(help)
}

/// The JSON parser's error as a problem at its place.
pub(super) fn json_error(place: &Place, text: &str, error: &serde_json::Error) -> Box<Problem> {
    let (line, column) = (error.line(), error.column());
    let begin = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
    let message = without_position(&error.to_string(), Some((line, column)), 1);
    Box::new(Problem::at(place, place.at(begin + column.saturating_sub(1)), wording::plain(&message)))
}

/// A parser's message without its own position, which the problem has already; other positions in it (where the
/// quoted scalar began that does not end) count from `first_line`.
fn without_position(message: &str, position: Option<(usize, usize)>, first_line: u32) -> String {
    const AT: &str = " at line ";
    const COLUMN: &str = " column ";
    let mut parts = message.split(AT);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let parsed = (|| {
            let (line, rest) = part.split_at(digits(part));
            let rest = rest.strip_prefix(COLUMN)?;
            let (column, rest) = rest.split_at(digits(rest));
            Some((line.parse::<usize>().ok()?, column.parse::<usize>().ok()?, rest))
        })();
        match parsed {
            Some((line, column, rest)) if position == Some((line, column)) => shown.push_str(rest),
            Some((line, column, rest)) => {
                let line = line + first_line as usize - 1;
                shown.push_str(&format!("{AT}{line}{COLUMN}{column}{rest}"));
            }
            None => shown.push_str(&format!("{AT}{part}")),
        }
    }
    shown
}

/// The word that was meant, when serde says "unknown field `a`, expected one of `b`, `c`".
fn similar(message: &str) -> Option<&str> {
    if !message.contains("unknown field `") && !message.contains("unknown variant `") {
        return None;
    }
    let mut words = message.split('`').skip(1).step_by(2);
    let unknown = words.next()?.to_lowercase();
    // A slip of the finger or two, but not another word.
    let far = 1 + unknown.chars().count() / 4;
    words
        .map(|word| (strsim::damerau_levenshtein(&unknown, &word.to_lowercase()), word))
        .filter(|&(distance, _)| distance <= far)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_count_with_their_group() {
        let table = [
            ("v1", "Service", Meaning::Object(Kind::Service)),
            ("serving.knative.dev/v1", "Service", Meaning::Other),
            ("apps/v1beta1", "StatefulSet", Meaning::Object(Kind::StatefulSet)),
            ("apps/v1alpha1", "PetSet", Meaning::Object(Kind::StatefulSet)),
            ("v1", "StatefulSet", Meaning::Misplaced("apps/v1")),
            ("apps/v1", "Service", Meaning::Misplaced("v1")),
            ("apps/v7", "Deployment", Meaning::Misplaced("apps/v1")),
            ("apps.openshift.io/v1", "Deployment", Meaning::Other),
            ("extensions/v1beta1", "Ingress", Meaning::Other),
            ("monitoring.coreos.com/v1", "Prometheus", Meaning::Other),
            ("clusterlocal.dev/v1", "Topology", Meaning::Topology),
            ("clusterlocal.dev/v1", "Fault", Meaning::Object(Kind::Fault)),
            ("chaos-mesh.org/v1alpha1", "Fault", Meaning::Other),
            ("v1", "Fault", Meaning::Misplaced("clusterlocal.dev/v1")),
            ("app/v1", "StatefulSet", Meaning::Misplaced("apps/v1")),
            ("networking.k8s.io/v1", "Service", Meaning::Misplaced("v1")),
            ("clusterlocal.dev/v1", "Falut", Meaning::Unknown),
            ("kustomize.config.k8s.io/v1beta1", "Kustomization", Meaning::Kustomization),
            ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", Meaning::Other),
            ("v1", "List", Meaning::List(Head::default())),
            (
                "v1",
                "ServiceList",
                Meaning::List(Head { api_version: Some("v1".into()), kind: Some("Service".into()) }),
            ),
        ];
        for (api_version, kind, expected) in table {
            assert_eq!(meaning(api_version, kind), expected, "{api_version} {kind}");
        }
    }

    #[test]
    fn a_parsers_own_position_is_taken_out_and_others_are_counted_from_the_file() {
        let table = [
            ("a: bad at line 3 column 5", "a: bad"),
            (
                "found end at line 3 column 5, while scanning at line 1 column 2",
                "found end, while scanning at line 11 column 2",
            ),
            ("look at line up", "look at line up"),
        ];
        for (message, expected) in table {
            assert_eq!(without_position(message, Some((3, 5)), 11), expected);
        }
    }

    #[test]
    fn misspelt_words_are_recognised() {
        let table = [
            ("unknown field `replica`, expected one of `replicas`, `ports`", Some("replicas")),
            ("unknown variant `tcp`, expected one of `TCP`, `UDP`, `SCTP`", Some("TCP")),
            ("unknown field `image`, expected one of `replicas`, `ports`", None),
            ("invalid type: string \"`a`\"", None),
        ];
        for (message, expected) in table {
            assert_eq!(similar(message), expected, "{message}");
        }
    }
}
