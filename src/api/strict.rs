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
                search(object, before, known, &mut Vec::new(), &mut found);
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

/// A step from a value to one in it.
enum Step<'o> {
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
            Step::Item(at) => write!(text, "[{at}]"),
        };
    }
    text
}

/// Adds the paths of the fields of `object`, at `path`, that are none of `known`, but for those whose value is the same in
/// `before`. Every write is searched, and mostly nothing is found: a path is written only then.
fn search<'o>(
    object: &'o Value,
    before: Option<&Value>,
    known: &'static [Field],
    path: &mut Vec<Step<'o>>,
    found: &mut Vec<String>,
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
                found.push(text(path));
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
