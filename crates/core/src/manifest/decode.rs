//! Decodes a document into an object: the single typed pass over the text.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::json;
use super::limits::{self, Expansion};
use super::meaning::Head;
use super::parse_error::{converted_error, json_error, plain_message, yaml_error};
use super::problem::Problem;
use super::source::Place;
use super::tree::Tree;
use super::wording;
use crate::store::{Key, Kind, Name, Object, ReplicationController};

/// Deserializes an object of this kind.
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

/// Deserializes a value of type `T`, as a seed.
struct Of<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Of<T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<T, D::Error> {
        T::deserialize(d)
    }
}

/// The head of the document at `place`, by a pass of the parser.
pub(super) fn head(place: &Place) -> Result<Head, Box<Problem>> {
    read(place, Repeated::Last, || Of::<Option<Head>>(std::marker::PhantomData))
        .map(Option::unwrap_or_default)
}

/// Decodes the document at `place` as an object of `kind`.
pub(super) fn object(place: &Place, kind: Kind) -> Result<Object, Box<Problem>> {
    let repeated = if kind == Kind::Fault { Repeated::Refused } else { Repeated::Last };
    read(place, repeated, || Typed(kind)).map_err(|problem| match named(place, kind) {
        Some(key) => Box::new(problem.about(key)),
        None => problem,
    })
}

/// Decodes `json` as an object of `kind`; the error is the field, if it is known, and the reason.
pub(super) fn from_json(json: &Value, kind: Kind) -> Result<Object, (String, String)> {
    of_json(Typed(kind), json).map_err(|error| {
        // The YAML parser's errors contain the path.
        let yaml = Typed(kind).deserialize(serde_yaml::Deserializer::from_str(&json.to_string()));
        let message = match yaml {
            Err(yaml) => plain_message(&yaml),
            Ok(_) => error.to_string(),
        };
        let message = wording::plain(&message);
        match message.split_once(": ") {
            Some((path, why)) if !path.contains([' ', '`']) => (path.into(), why.into()),
            _ => (String::new(), message),
        }
    })
}

/// Decodes the document at `place` as a `T`.
pub fn value<T: for<'de> Deserialize<'de>>(place: &Place) -> Result<T, Box<Problem>> {
    read(place, Repeated::Refused, || Of::<T>(std::marker::PhantomData))
}

/// Checks that the document at `place` is well-formed, regardless of its content.
pub(super) fn well_formed(place: &Place) -> Result<(), Box<Problem>> {
    value::<Option<IgnoredAny>>(place).map(drop)
}

/// Whether the document at `place` is well-formed and not a map, and so not an object.
pub(super) fn is_not_a_map(place: &Place) -> bool {
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

/// Decodes the items of the List at `place` in one pass: those that have a kind here.
pub(super) fn items(place: &Place, kinds: &[Option<Kind>]) -> Result<Vec<Option<Object>>, Box<Problem>> {
    read(place, Repeated::Last, || ListOf(kinds))
}

/// The key of an object some of whose fields are invalid.
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

/// The namespace of objects that have none.
pub(super) const DEFAULT_NAMESPACE: &str = "default";

/// Decodes the document at `place` in one pass, after checking its limits.
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
                // JSON is YAML, and the YAML parser's errors contain the path and the position.
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
    of_json(seed(), &tree).map_err(|error| converted_error(place, &error))
}

/// Decodes `json` from its text, as files are decoded: with the tree as a third format of every type, the program would be larger
/// by 3 %.
fn of_json<S: for<'de> DeserializeSeed<'de, Value = V>, V>(seed: S, json: &Value) -> serde_json::Result<V> {
    seed.deserialize(&mut serde_json::Deserializer::from_str(&json.to_string()))
}

/// The treatment of repeated keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeated {
    /// The last counts, as with kubectl.
    Last,
    /// An error, in our own kinds.
    Refused,
}

/// Decodes `text` again after an `error` that kubectl does not report: of a repeated key the last counts, and 3.0 is a
/// whole number.
fn lenient<S, V>(repeated: Repeated, seed: impl Fn() -> S, text: &str, error: &str) -> Option<V>
where
    S: for<'de> DeserializeSeed<'de, Value = V>,
{
    if repeated == Repeated::Refused || !error.contains("duplicate ") && !error.contains("floating point") {
        return None;
    }
    of_json(seed(), &Tree::of(text)?.value).ok()
}

/// Deserializes the `items` of a List, each as an object of its kind.
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
