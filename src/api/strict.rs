//! Takes the place of apimachinery's strict decoding: fields that a kind does not have are most likely misspelt. It must
//! not know what the others mean.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::crd;
use super::resource::Resource;
use super::schema::{self, Field, Shape};
use super::status::Status;

/// Maximum number of fields that an error or the warnings name: a wrong file has thousands.
const FIELDS_MAX: usize = 20;

/// The errors of strict decoding: fields that the kind of `resource` does not have, and fields that stand twice in `body`,
/// but for unknown ones that `before` had already: a manifest may have brought them. Of custom resources, `schema` knows the
/// fields.
pub(super) fn errors(
    resource: &Resource,
    object: &Value,
    schema: Option<&Value>,
    before: Option<&Value>,
    body: &[u8],
) -> Vec<String> {
    let unknown = |object, before| match schema {
        Some(schema) => crd::unknown_fields(object, schema),
        None if resource.is_custom() => Vec::new(),
        None => {
            let mut found = Vec::new();
            if let Some(known) = schema::of(&resource.api_version(), resource.kind) {
                search(object, before, known, &mut Vec::new(), &mut |path, _| found.push(text(path)));
            }
            found
        }
    };
    let mut new = unknown(object, before);
    if let Some(before) = before.filter(|_| !new.is_empty()) {
        let had: HashSet<String> = unknown(before, None).into_iter().collect();
        new.retain(|path| !had.contains(path));
    }
    let unknown = new.into_iter().map(|path| format!("unknown field {path:?}"));
    let twice = twice(body).into_iter().map(|path| format!("duplicate field {path:?}"));
    unknown.chain(twice).take(FIELDS_MAX).collect()
}

/// Refuses an object of `resource` with a value of another type than its field, unless `before` has it already: a manifest may
/// have brought it.
pub(super) fn decode(resource: &Resource, object: &Value, before: Option<&Value>) -> Result<(), Status> {
    if resource.is_custom() {
        return Ok(());
    }
    let wrong = |object, before| new_wrong_types(&resource.api_version(), resource.kind, object, before);
    let found = wrong(object, before);
    let had = before.filter(|_| !found.is_empty()).map(|before| wrong(before, None)).unwrap_or_default();
    let Some(first) = found.into_iter().find(|wrong| !had.contains(wrong)) else { return Ok(()) };
    Err(Status::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {kind}: json: {}",
        first.message,
        kind = resource.kind,
        version = resource.version,
    )))
}

/// Refuses an object of `resource` with `errors` of strict decoding.
pub(super) fn check(resource: &Resource, errors: &[String]) -> Result<(), Status> {
    if errors.is_empty() {
        return Ok(());
    }
    // What a schema knows is checked after decoding, and its errors name nothing else.
    if resource.is_custom() {
        return Err(Status::bad_request(format!("strict decoding error: {}", errors.join(", "))));
    }
    Err(Status::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {kind}: strict decoding error: {}",
        errors.join(", "),
        kind = resource.kind,
        version = resource.version,
    )))
}

/// The paths of the fields that stand more than once in the JSON `body`; none where it is no JSON.
fn twice(body: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut json = serde_json::Deserializer::from_slice(body);
    _ = Twice { path: String::new(), found: &mut found }.deserialize(&mut json);
    found
}

/// Looks for fields that stand twice, below `path`.
struct Twice<'f> {
    path: String,
    found: &'f mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Twice<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Twice<'_> {
    type Value = ();
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut at = 0;
        let path = |at: usize| format!("{}[{at}]", self.path);
        while items.next_element_seed(Twice { path: path(at), found: &mut *self.found })?.is_some() {
            at += 1;
        }
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
            if !seen.insert(name) && !self.found.contains(&path) {
                self.found.push(path.clone());
            }
            fields.next_value_seed(Twice { path, found: &mut *self.found })?;
        }
        Ok(())
    }
}

/// A field that a kind does not have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnknownField {
    /// As the API writes it: `spec.replcas`.
    pub(crate) name: String,
    /// Where it is: `metadata.labels[a.b/c]`.
    pub(crate) path: String,
    /// What was probably meant.
    pub(crate) meant: Option<String>,
}

/// The fields of `object` that its kind does not have. None if the kind is not known.
pub(crate) fn unknown_fields(api_version: &str, kind: &str, object: &Value) -> Vec<UnknownField> {
    let mut found = Vec::new();
    if let Some(known) = schema::of(api_version, kind) {
        let mut add = |path: &[Step<'_>], siblings: &'static [Field]| {
            if found.len() < FIELDS_MAX {
                found.push(UnknownField {
                    name: text(path),
                    path: place(path),
                    meant: meant(known, path, siblings),
                });
            }
        };
        search(object, None, known, &mut Vec::new(), &mut add);
    }
    found
}

/// What was meant by the field at the end of `path`, beside which there may be `siblings`: one that is a slip away, one that is
/// further out or further in, because it is indented wrongly.
fn meant(kind: &'static [Field], path: &[Step<'_>], siblings: &'static [Field]) -> Option<String> {
    let Some(Step::Field(name)) = path.last() else { return None };
    let inside = siblings.iter().find_map(|sibling| {
        let there = sibling.kind.fields().is_some_and(|fields| schema::named(fields, name).is_some());
        (there && matches!(sibling.shape, schema::Shape::One { .. }))
            .then(|| format!("{}.{name}", sibling.name))
    });
    let mut outside = None;
    let mut known = kind;
    for at in 0..path.len() {
        if schema::named(known, name).is_some() {
            outside = Some(if at == 0 { (*name).into() } else { format!("{}.{name}", text(&path[..at])) });
        }
        if let Step::Field(step) = path[at] {
            match schema::named(known, step).and_then(|field| field.kind.fields()) {
                Some(fields) => known = fields,
                None => break,
            }
        }
    }
    let names = siblings.iter().map(|field| field.name).filter(|name| *name != "*");
    crate::store::nearest(name, names).map(str::to_owned).or(outside).or(inside)
}

/// A value that is of another type than its field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WrongType {
    /// Where it is: `metadata.labels[a.b/c]`.
    pub(crate) path: String,
    /// The same as a JSON pointer (RFC 6901).
    pub(crate) pointer: String,
    /// What Go's decoder answers: `cannot unmarshal number into Go struct field …`.
    pub(crate) message: String,
    /// The value as a string, where a string is wanted and it would be one in quotes.
    pub(crate) quoted: Option<String>,
}

/// The values of `object` that are of another type than their fields, at most [`FIELDS_MAX`]. None if the kind is not known.
pub(crate) fn wrong_types(api_version: &str, kind: &str, object: &Value) -> Vec<WrongType> {
    new_wrong_types(api_version, kind, object, None)
}

/// The same, but for the fields of `object` whose values `before` has already: most writes leave the spec as it is.
fn new_wrong_types(api_version: &str, kind: &str, object: &Value, before: Option<&Value>) -> Vec<WrongType> {
    let mut found = Vec::new();
    // Our own kinds have types of their own: a step of a Fault's sequence is a string or a list.
    let known =
        schema::of(api_version, kind).filter(|_| !api_version.starts_with(super::resource::OWN_GROUP));
    if let Some(known) = known {
        Types { path: Vec::new(), found: &mut found }.fields(kind, object, before, known);
    }
    found
}

/// The fields that hold 64 bits; other whole numbers have 32 (`types.go` of each group, as far as they are written by hand).
const LONG: [&str; 12] = [
    "activeDeadlineSeconds",
    "deletionGracePeriodSeconds",
    "expirationSeconds",
    "fsGroup",
    "generation",
    "gracePeriodSeconds",
    "observedGeneration",
    "runAsGroup",
    "runAsUser",
    "supplementalGroups",
    "terminationGracePeriodSeconds",
    "tolerationSeconds",
];

struct Types<'o, 'f> {
    path: Vec<Step<'o>>,
    found: &'f mut Vec<WrongType>,
}

impl<'o> Types<'o, '_> {
    /// Looks at the fields of `object`, which is of the type called `of`, but for those that `before` has with the same value.
    fn fields(&mut self, of: &str, object: &'o Value, before: Option<&Value>, known: &'static [Field]) {
        for (name, value) in object.as_object().into_iter().flatten() {
            if before.is_some_and(|before| before.get(name) == Some(value)) {
                continue;
            }
            let Some(field) = schema::named(known, name).filter(|_| !value.is_null()) else { continue };
            self.path.push(Step::Field(name));
            let go = go_type(field);
            match (field.shape, value) {
                (schema::Shape::List, Value::Array(items)) => {
                    for (at, item) in items.iter().enumerate() {
                        self.path.push(Step::Item(at));
                        self.value(of, field, &go, item);
                        self.path.pop();
                    }
                }
                (schema::Shape::List, other) if field.kind != schema::Type::Bytes => {
                    self.wrong(of, other, &format!("[]{go}"));
                }
                (schema::Shape::Map, Value::Object(entries)) => {
                    for (key, entry) in entries {
                        self.path.push(Step::Key(key));
                        self.value(of, field, &go, entry);
                        self.path.pop();
                    }
                }
                (schema::Shape::Map, other) => self.wrong(of, other, &format!("map[string]{go}")),
                (_, value) => self.value(of, field, &go, value),
            }
            self.path.pop();
        }
    }

    /// Looks at one value of `field` of the type called `of`.
    fn value(&mut self, of: &str, field: &'static Field, go: &str, value: &'o Value) {
        use schema::Type;
        let fits = match field.kind {
            _ if value.is_null() => true,
            Type::String | Type::Bytes => value.is_string(),
            Type::Integer => value.is_i64() || value.is_u64(),
            Type::Float => value.is_number(),
            Type::Boolean => value.is_boolean(),
            Type::Named(_) => value.is_object(),
            Type::IntOrString => value.is_i64() || value.is_u64() || value.is_string(),
            _ => true,
        };
        match (fits, field.kind) {
            (false, _) => self.wrong(of, value, go),
            (true, Type::Named(name)) => {
                if let Some(known) = field.kind.fields() {
                    self.fields(name.rsplit('.').next().unwrap_or(name), value, None, known);
                }
            }
            (true, _) => {}
        }
    }

    fn wrong(&mut self, of: &str, value: &Value, wanted: &str) {
        if self.found.len() >= FIELDS_MAX {
            return;
        }
        let got = match value {
            Value::String(_) => "string".into(),
            Value::Bool(_) => "bool".into(),
            Value::Array(_) => "array".into(),
            Value::Object(_) => "object".into(),
            // Go repeats a number that its type cannot hold.
            Value::Number(number) if wanted.starts_with("int") => format!("number {number}"),
            _ => "number".into(),
        };
        let fields: Vec<&str> = self
            .path
            .iter()
            .filter_map(|step| if let Step::Field(name) = step { Some(*name) } else { None })
            .collect();
        let message =
            format!("cannot unmarshal {got} into Go struct field {of}.{} of type {wanted}", fields.join("."));
        let quoted = matches!(value, Value::Number(_) | Value::Bool(_)) && wanted == "string";
        self.found.push(WrongType {
            path: place(&self.path),
            pointer: pointer(&self.path),
            message,
            quoted: quoted.then(|| value.to_string()),
        });
    }
}

/// What Go calls the type of one value of `field`.
fn go_type(field: &Field) -> String {
    use schema::Type;
    match field.kind {
        Type::Integer if LONG.contains(&field.name) => "int64".into(),
        Type::Integer => "int32".into(),
        Type::Float => "float64".into(),
        Type::Boolean => "bool".into(),
        Type::Bytes => "[]uint8".into(),
        Type::Named(name) => format!("v1.{}", name.rsplit('.').next().unwrap_or(name)),
        Type::IntOrString => "intstr.IntOrString".into(),
        _ => "string".into(),
    }
}

/// A step from a value to one in it.
#[derive(Clone, Copy)]
enum Step<'o> {
    /// To a map's value.
    Key(&'o str),
    Field(&'o str),
    Item(usize),
}

/// `spec.containers[1].image`
fn text(path: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in path {
        _ = match step {
            Step::Field(name) if text.is_empty() => write!(text, "{name}"),
            Step::Field(name) => write!(text, ".{name}"),
            Step::Key(name) => write!(text, ".{name}"),
            Step::Item(at) => write!(text, "[{at}]"),
        };
    }
    text
}

/// The same as manifests are searched for it: a key with dots is in brackets.
fn place(path: &[Step<'_>]) -> String {
    path.iter().fold(String::new(), |text, step| match step {
        Step::Field(name) | Step::Key(name) => crate::manifest::tree::below(&text, name),
        Step::Item(at) => format!("{text}[{at}]"),
    })
}

fn pointer(path: &[Step<'_>]) -> String {
    path.iter().fold(String::new(), |text, step| match step {
        Step::Field(name) | Step::Key(name) => {
            format!("{text}/{}", name.replace('~', "~0").replace('/', "~1"))
        }
        Step::Item(at) => format!("{text}/{at}"),
    })
}

/// Hands the paths of the fields of `object`, at `path`, that are none of `known` to `found`, with what could be there, but for
/// those whose value is the same in `before`. Every write is searched, and mostly nothing is found: a path is written only then.
fn search<'o>(
    object: &'o Value,
    before: Option<&Value>,
    known: &'static [Field],
    path: &mut Vec<Step<'o>>,
    found: &mut impl FnMut(&[Step<'o>], &'static [Field]),
) {
    for (name, value) in object.as_object().into_iter().flatten() {
        let before = before.and_then(|before| before.get(name));
        if before == Some(value) {
            continue;
        }
        let field = match schema::named(known, name) {
            Some(field) => field,
            // Whole objects say what they are, and so do those in others (volumeClaimTemplates).
            None if matches!(name.as_str(), "apiVersion" | "kind")
                && schema::named(known, "metadata").is_some() =>
            {
                continue;
            }
            None => {
                path.push(Step::Field(name));
                found(path, known);
                path.pop();
                continue;
            }
        };
        let Some(known) = field.kind.fields() else { continue };
        path.push(Step::Field(name));
        match (field.shape, value) {
            (Shape::List, Value::Array(items)) => {
                for (at, item) in items.iter().enumerate() {
                    path.push(Step::Item(at));
                    search(item, before.and_then(|before| before.get(at)), known, path, found);
                    path.pop();
                }
            }
            (Shape::Map, Value::Object(entries)) => {
                for (key, entry) in entries {
                    path.push(Step::Key(key));
                    search(entry, before.and_then(|before| before.get(key)), known, path, found);
                    path.pop();
                }
            }
            (_, value) => search(value, before, known, path, found),
        }
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::Kind;

    #[test]
    fn what_was_meant_by_an_unknown_field() {
        let table = [
            ("Service", json!({"spec": {"clusterIp": "None"}}), "spec.clusterIp", Some("clusterIP")),
            ("StatefulSet", json!({"spec": {"replcas": 3}}), "spec.replcas", Some("replicas")),
            (
                "Service",
                json!({"spec": {"publishNotReadyAdresses": true}}),
                "spec.publishNotReadyAdresses",
                Some("publishNotReadyAddresses"),
            ),
            // Indented too little, and too much.
            ("Service", json!({"clusterIP": "None"}), "clusterIP", Some("spec.clusterIP")),
            (
                "StatefulSet",
                json!({"spec": {"template": {"spec": {"serviceName": "a"}}}}),
                "spec.template.spec.serviceName",
                Some("spec.serviceName"),
            ),
            (
                "StatefulSet",
                json!({"spec": {"template": {"spec": {"containers": [{"volumes": []}]}}}}),
                "spec.template.spec.containers[0].volumes",
                Some("spec.template.spec.volumes"),
            ),
            (
                "Pod",
                json!({"spec": {"containers": [{"image": "a", "ports": [{"targetPort": 1}]}]}}),
                "spec.containers[0].ports[0].targetPort",
                None,
            ),
            ("Pod", json!({"metadata": {"labels": {"anything": "x"}}, "bogus": 1}), "bogus", None),
        ];
        for (kind, object, name, meant) in table {
            let version = if kind == "StatefulSet" { "apps/v1" } else { "v1" };
            let found = unknown_fields(version, kind, &object);
            let [UnknownField { name: found, meant: proposed, .. }] = &found[..] else {
                panic!("{object}: {found:?}")
            };
            assert_eq!((&**found, proposed.as_deref()), (name, meant), "{object}");
        }
    }

    /// As a real API server answers.
    #[test]
    fn values_of_another_type_are_found() {
        let table = [
            (
                "Service",
                json!({"metadata": {"labels": {"app": 5}}}),
                "metadata.labels.app",
                "number into Go struct field ObjectMeta.metadata.labels of type string",
            ),
            (
                "Service",
                json!({"metadata": {"labels": []}}),
                "metadata.labels",
                "array into Go struct field ObjectMeta.metadata.labels of type map[string]string",
            ),
            (
                "Service",
                json!({"metadata": "x"}),
                "metadata",
                "string into Go struct field Service.metadata of type v1.ObjectMeta",
            ),
            (
                "Service",
                json!({"spec": {"ports": [{"port": "80"}]}}),
                "spec.ports[0].port",
                "string into Go struct field ServicePort.spec.ports.port of type int32",
            ),
            (
                "Service",
                json!({"spec": {"ports": [{"port": 1.5}]}}),
                "spec.ports[0].port",
                "number 1.5 into Go struct field ServicePort.spec.ports.port of type int32",
            ),
            (
                "Service",
                json!({"spec": {"ports": "x"}}),
                "spec.ports",
                "string into Go struct field ServiceSpec.spec.ports of type []v1.ServicePort",
            ),
            (
                "Pod",
                json!({"spec": {"volumes": ["x"]}}),
                "spec.volumes[0]",
                "string into Go struct field PodSpec.spec.volumes of type v1.Volume",
            ),
            (
                "Pod",
                json!({"metadata": {"annotations": {"a.b/c": true}}}),
                "metadata.annotations[a.b/c]",
                "bool into Go struct field ObjectMeta.metadata.annotations of type string",
            ),
            (
                "Pod",
                json!({"spec": {"containers": [{"env": [{"name": "A", "value": 1}]}]}}),
                "spec.containers[0].env[0].value",
                "number into Go struct field EnvVar.spec.containers.env.value of type string",
            ),
        ];
        for (kind, object, path, message) in table {
            let found = wrong_types("v1", kind, &object);
            let [WrongType { path: at, message: answer, .. }] = &found[..] else {
                panic!("{object}: {found:?}")
            };
            assert_eq!((&**at, &**answer), (path, &*format!("cannot unmarshal {message}")), "{object}");
        }
        let fine =
            json!({"spec": {"ports": [{"port": 80, "targetPort": "http", "name": null}], "selector": null}});
        assert_eq!(wrong_types("v1", "Service", &fine), []);
    }

    #[test]
    fn unknown_fields_have_paths() {
        let resource = Resource::of_kind(Kind::StatefulSet);
        let set = json!({
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": { "name": "db", "labels": { "anything": "goes" }, "lables": {} },
            "spec": {
                "replica": 3,
                "template": { "spec": {
                    "containers": [{ "name": "a" }, { "name": "b", "imagee": "x", "livenessProbe": { "exec": {}, "x": 1 } }],
                    "volumes": [{ "name": "v", "emptyDir": {} }],
                } },
                "volumeClaimTemplates": [{ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {} }],
            },
        });
        let expected = "StatefulSet in version \"v1\" cannot be handled as a StatefulSet: strict decoding error: unknown \
                        field \"metadata.lables\", unknown field \"spec.replica\", unknown field \
                        \"spec.template.spec.containers[1].imagee\", unknown field \
                        \"spec.template.spec.containers[1].livenessProbe.x\"";
        let refused = |before| check(resource, &errors(resource, &set, None, before, b""));
        assert_eq!(refused(None).map_err(|status| status.message), Err(expected.into()));
        assert_eq!(refused(Some(&set)), Ok(()), "nothing new");
    }

    #[test]
    fn duplicate_fields_have_paths() {
        let table: [(&str, &[&str]); 4] = [
            (r#"{"a": 1, "b": {"a": 1}}"#, &[]),
            (
                r#"{"spec": {"replicas": 2, "replicas": 3, "x": [{"y": 1}, {"y": 1, "y": null}]}}"#,
                &["spec.replicas", "spec.x[1].y"],
            ),
            (r#"{"a": 1, "a": 2, "a": 3}"#, &["a"]),
            ("no: json", &[]),
        ];
        for (body, expected) in table {
            assert_eq!(twice(body.as_bytes()), expected, "{body}");
        }
    }

    /// Everything that the API shows could be sent back.
    #[test]
    fn what_is_shown_is_known() {
        let zones = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("zones");
        let objects =
            crate::manifest::load(&[zones]).manifests.into_iter().flat_map(|manifest| manifest.objects);
        let objects = objects.map(|read| (read.object.key(), read.object)).collect();
        let mut cluster = crate::ControlPlane::new(crate::Settings::default());
        cluster.apply(&objects);
        for kind in Kind::ALL {
            for stored in cluster.store().all_stored(kind, None) {
                let shown = crate::api::show::rendered(stored, &cluster);
                assert!(errors(Resource::of_kind(kind), &shown, None, None, b"").is_empty(), "{shown}");
            }
        }
    }
}
