//! Takes the place of apiextensions-apiserver: what the CustomResourceDefinitions of the store define, and what becomes of
//! the objects of such resources. It must not know requests.

pub(crate) mod openapi;
mod schema;
mod status;

use serde_json::Value;

use super::field;
use super::resource::{ALL_VERBS, Held, PART_VERBS, Resource, Subresource, interned, verbs};
use clusterlocal_admission::Cause;
use clusterlocal_core::store::{Extra, Key, Kind, Name, Store};

pub(crate) use schema::{check as check_object, complete, unknown_fields};
pub(crate) use status::{fill_spec, status};

/// The kind of the definitions themselves.
pub(crate) const DEFINITION: Kind = Kind::Extra(Extra::DEFINITION);

/// The resources that the definitions of `store` define: one for each version that is served.
pub(crate) fn resources(store: &Store) -> Vec<Resource> {
    let mut all = Vec::new();
    for stored in store.all_stored(DEFINITION, None) {
        let Some(given) = &stored.object.metadata().given else { continue };
        let spec = &given.json()["spec"];
        for version in field::items(spec, "/versions") {
            if field::flag(version, "/served") {
                all.extend(resource(spec, version));
            }
        }
    }
    all
}

/// The kind whose objects `definition` defines.
pub(crate) fn kind(definition: &Value) -> Option<Kind> {
    let text = |at: &str| field::text(definition, at);
    let namespaced = text("/spec/scope") == "Namespaced";
    let kind = text("/spec/names/kind");
    Extra::defined(text("/spec/group"), kind, namespaced).map(Kind::Extra).filter(|_| !kind.is_empty())
}

fn resource(spec: &Value, version: &Value) -> Option<Resource> {
    let text = |at: &str| interned(field::text(spec, at));
    let texts = |at: &str| -> Vec<&'static str> {
        field::items(spec, at).iter().filter_map(Value::as_str).map(interned).collect()
    };
    let namespaced = text("/scope") == "Namespaced";
    let kind = text("/names/kind");
    let held = Held::Store(Kind::Extra(Extra::defined(text("/group"), kind, namespaced)?));
    let part = |name: &'static str, of: [&'static str; 3]| {
        let [group, version, kind] = of;
        Subresource { name, group, version, kind, verbs: verbs(PART_VERBS) }
    };
    let has = |name: &str| version["subresources"].get(name).is_some_and(|part| !part.is_null());
    let mut subresources = Vec::new();
    subresources.extend(has("scale").then(|| part("scale", ["autoscaling", "v1", "Scale"])));
    subresources.extend(has("status").then(|| part("status", ["", "", ""])));
    let or = |name: &'static str, other: String| if name.is_empty() { interned(&other) } else { name };
    Some(Resource {
        group: text("/group"),
        version: interned(field::text(version, "/name")),
        plural: text("/names/plural"),
        singular: or(text("/names/singular"), kind.to_lowercase()),
        short: texts("/names/shortNames"),
        categories: texts("/names/categories"),
        kind,
        list_kind: or(text("/names/listKind"), format!("{kind}List")),
        namespaced,
        held,
        verbs: verbs(ALL_VERBS),
        subresources,
    })
}

/// The version of the definition of `resource` that it is served in.
pub(crate) fn version<'s>(store: &'s Store, resource: &Resource) -> Option<&'s Value> {
    if !resource.is_custom() {
        return None;
    }
    let name = Name::from(resource.qualified());
    let definition = store.object(&Key::new(DEFINITION, "", name))?;
    let json = definition.metadata().given.as_ref()?.json();
    field::items(json, "/spec/versions").iter().find(|version| version["name"] == resource.version)
}

/// The schema of the objects of `resource`; null where it has none.
pub(crate) fn schema_of<'s>(store: &'s Store, resource: &Resource) -> Option<&'s Value> {
    version(store, resource).map(|version| &version["schema"]["openAPIV3Schema"])
}

/// How a version of a group ranks: `v2` before `v1`, both before `v1beta2`, that before `v1alpha1`, and everything else
/// after them (`k8s.io/apimachinery/pkg/version`, CompareKubeAwareVersionStrings).
pub(crate) fn priority(version: &str) -> (u8, u32, u32, std::cmp::Reverse<String>) {
    let other = (0, 0, 0, std::cmp::Reverse(version.to_owned()));
    let Some(rest) = version.strip_prefix('v') else { return other };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (major, rest) = rest.split_at(digits);
    let Ok(major) = major.parse() else { return other };
    let (stage, minor) = match rest {
        "" => (3, Ok(0)),
        _ if rest.starts_with("beta") => (2, rest[4..].parse()),
        _ if rest.starts_with("alpha") => (1, rest[5..].parse()),
        _ => return other,
    };
    match minor {
        Ok(minor) => (stage, major, minor, std::cmp::Reverse(String::new())),
        Err(_) => other,
    }
}

/// What is wrong with the new or changed `definition` (`validation.go`, ValidateCustomResourceDefinition), as far as what
/// is served follows from it.
pub(crate) fn check(definition: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut add = |field: &str, reason: &'static str, message: String| {
        causes.push(Cause { field: field.into(), reason, message });
    };
    let text = |at: &str| field::text(definition, at);
    let (group, plural) = (text("/spec/group"), text("/spec/names/plural"));
    for (field, value) in [
        ("spec.group", group),
        ("spec.scope", text("/spec/scope")),
        ("spec.names.plural", plural),
        ("spec.names.kind", text("/spec/names/kind")),
    ] {
        if value.is_empty() {
            add(field, "FieldValueRequired", "Required value".into());
        }
    }
    let expected = format!("{plural}.{group}");
    let name = text("/metadata/name");
    if name != expected {
        let message = format!("Invalid value: {name:?}: must be spec.names.plural+\".\"+spec.group");
        add("metadata.name", "FieldValueInvalid", message);
    }
    let scope = text("/spec/scope");
    if !matches!(scope, "" | "Namespaced" | "Cluster") {
        let message = format!("Unsupported value: {scope:?}: supported values: \"Cluster\", \"Namespaced\"");
        add("spec.scope", "FieldValueNotSupported", message);
    }
    let versions = field::items(definition, "/spec/versions");
    if versions.iter().filter(|version| field::flag(version, "/storage")).count() != 1 {
        let message = "Invalid value: must have exactly one version marked as storage version";
        add("spec.versions", "FieldValueInvalid", message.into());
    }
    for (at, version) in versions.iter().enumerate() {
        if version.pointer("/schema/openAPIV3Schema").is_none_or(Value::is_null)
            && !field::flag(definition, "/spec/preserveUnknownFields")
        {
            let field = format!("spec.versions[{at}].schema.openAPIV3Schema");
            add(&field, "FieldValueRequired", "Required value: schemas are required".into());
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_by_rank() {
        let ranked =
            ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"];
        let mut sorted = ranked;
        sorted.reverse();
        sorted.sort_by_key(|version| std::cmp::Reverse(priority(version)));
        assert_eq!(sorted, ranked, "the example of the documentation");
    }
}
