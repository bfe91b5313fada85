//! Takes the place of apimachinery's strict decoding: fields that a kind does not have are most likely misspelt. It must
//! not know what the others mean.

use serde_json::Value;

use super::resource::{Resource, VERSION};
use super::schema::{self, Field, Shape};
use super::status::Status;

/// So many are told; nobody reads more.
const TOLD: usize = 20;

/// Refuses fields of `object` that its kind does not have, but for those that `before` had already: a manifest may have
/// brought them.
pub(super) fn check(resource: &Resource, object: &Value, before: Option<&Value>) -> Result<(), Status> {
    let unknown = |object| {
        let mut found = Vec::new();
        if let Some(known) = schema::fields(resource.kind) {
            search(object, known, String::new(), &mut found);
        }
        found
    };
    let had = before.map(unknown).unwrap_or_default();
    let new = unknown(object).into_iter().filter(|path| !had.contains(path)).take(TOLD);
    let new: Vec<String> = new.map(|path| format!("unknown field {path:?}")).collect();
    if new.is_empty() {
        return Ok(());
    }
    Err(Status::bad_request(format!(
        "{kind} in version {VERSION:?} cannot be handled as a {kind}: strict decoding error: {}",
        new.join(", "),
        kind = resource.kind,
    )))
}

/// Adds the paths of the fields of `object`, at `path`, that are none of `known`.
fn search(object: &Value, known: &'static [Field], path: String, found: &mut Vec<String>) {
    for (name, value) in object.as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let field = match schema::named(known, name) {
            Some(field) => field,
            // Whole objects say what they are, and so do those in others (volumeClaimTemplates).
            None if matches!(name.as_str(), "apiVersion" | "kind")
                && schema::named(known, "metadata").is_some() =>
            {
                continue;
            }
            None => {
                found.push(path);
                continue;
            }
        };
        let Some(known) = field.kind.fields() else { continue };
        match (field.shape, value) {
            (Shape::List, Value::Array(items)) => {
                let items = items.iter().enumerate();
                items.for_each(|(at, item)| search(item, known, format!("{path}[{at}]"), found));
            }
            (_, value) => search(value, known, path, found),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::Kind;

    #[test]
    fn what_is_misspelt_is_told_with_its_place() {
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
        assert_eq!(check(resource, &set, None).map_err(|status| status.message), Err(expected.into()));
        assert_eq!(check(resource, &set, Some(&set)), Ok(()), "nothing new");
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
                assert_eq!(check(Resource::of_kind(kind), &shown, None), Ok(()), "{shown}");
            }
        }
    }
}
