//! The groups and resources, which clients discover before they send requests: a document per group, or all in one
//! (aggregated discovery). Must not depend on objects.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::http::accept::Aggregated;
use crate::schema::registry::Registry;
use crate::schema::resource::{KUBERNETES_VERSION, Resource, Subresource};

/// The document at `/version`. kubectl warns about servers more than one minor release away from its own; a recent version
/// avoids that.
pub(super) fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "gitVersion": KUBERNETES_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, go_arch()),
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
    })
}

/// The processor architecture in Go's terms.
fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// `/`: the paths of the server.
pub(super) fn paths(registry: &Registry) -> Value {
    let mut paths: Vec<String> = vec!["/api".into(), "/api/v1".into(), "/apis".into()];
    for group in groups(registry) {
        paths.push(format!("/apis/{group}"));
        paths.extend(registry.versions(group).into_iter().map(|version| format!("/apis/{group}/{version}")));
    }
    paths.extend(
        ["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"].map(String::from),
    );
    json!({ "paths": paths })
}

/// The groups other than the core.
fn groups(registry: &Registry) -> impl Iterator<Item = &'static str> {
    registry.groups().into_iter().filter(|group| !group.is_empty())
}

/// `/api`. `address` is the address of this server.
pub(super) fn core_group(address: SocketAddr) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [
            { "clientCIDR": "0.0.0.0/0", "serverAddress": address.to_string() },
        ],
    })
}

/// `/apis`.
pub(super) fn all_groups(registry: &Registry) -> Value {
    let groups: Vec<Value> = groups(registry).map(|group| group_entry(registry, group)).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

/// `/apis/apps`.
pub(super) fn group(registry: &Registry, group: &str) -> Value {
    let mut entry = group_entry(registry, group);
    entry["kind"] = "APIGroup".into();
    entry["apiVersion"] = "v1".into();
    entry
}

fn group_entry(registry: &Registry, group: &str) -> Value {
    let version = |version: &str| json!({ "groupVersion": format!("{group}/{version}"), "version": version });
    let versions: Vec<Value> = registry.versions(group).into_iter().map(version).collect();
    json!({ "name": group, "preferredVersion": versions.first(), "versions": versions })
}

/// `/api/v1`, `/apis/apps/v1`.
pub(super) fn resources(registry: &Registry, group: &str, version: &str) -> Value {
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let mut resources = Vec::new();
    for resource in registry.of_version(group, version) {
        let mut entry = json!({
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": resource.verbs,
        });
        names(resource, &mut entry);
        resources.push(entry);
        resources.extend(resource.subresources.iter().map(|subresource| part_entry(resource, subresource)));
    }
    json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources })
}

fn names(resource: &Resource, entry: &mut Value) {
    if !resource.short.is_empty() {
        entry["shortNames"] = resource.short.as_slice().into();
    }
    if !resource.categories.is_empty() {
        entry["categories"] = resource.categories.as_slice().into();
    }
}

fn part_entry(resource: &Resource, part: &Subresource) -> Value {
    let mut entry = json!({
        "name": format!("{}/{}", resource.plural, part.name),
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": part_kind(resource, part),
        "verbs": part.verbs,
    });
    if part.has_own_type() && part.group != resource.group {
        entry["group"] = part.group.into();
        entry["version"] = part.version.into();
    }
    entry
}

fn part_kind<'a>(resource: &'a Resource, part: &'a Subresource) -> &'a str {
    if part.has_own_type() { part.kind } else { resource.kind }
}

/// `/api` and `/apis` in one document: each group with all its resources.
pub(super) fn aggregated(registry: &Registry, form: Aggregated, core: bool) -> Value {
    let groups = registry.groups().into_iter().filter(|group| group.is_empty() == core);
    let items: Vec<Value> = groups
        .map(|group| {
            let version = |version: &str| {
                let resources: Vec<Value> =
                    registry.of_version(group, version).map(aggregated_resource).collect();
                json!({ "version": version, "resources": resources, "freshness": "Current" })
            };
            let versions: Vec<Value> = registry.versions(group).into_iter().map(version).collect();
            let metadata = if core { json!({}) } else { json!({ "name": group }) };
            json!({ "metadata": metadata, "versions": versions })
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{}", form.version()),
        "metadata": {},
        "items": items,
    })
}

fn aggregated_resource(resource: &Resource) -> Value {
    let own_kind = json!({ "group": resource.group, "version": resource.version, "kind": resource.kind });
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": own_kind,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": resource.verbs,
    });
    names(resource, &mut entry);
    let part = |part: &Subresource| {
        let kind = if part.has_own_type() {
            json!({ "group": part.group, "version": part.version, "kind": part.kind })
        } else {
            own_kind.clone()
        };
        json!({ "subresource": part.name, "responseKind": kind, "verbs": part.verbs })
    };
    if !resource.subresources.is_empty() {
        entry["subresources"] = resource.subresources.iter().map(part).collect();
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>(list: &'a Value, key: &str, name: &str) -> &'a Value {
        let entries = list.as_array().expect("a list");
        entries.iter().find(|entry| entry[key] == name).unwrap_or_else(|| panic!("no {name}"))
    }

    #[test]
    fn both_forms_have_the_same_resources() {
        for (core, group) in [(true, ""), (false, "apps"), (false, "batch")] {
            let registry = Registry::built_in();
            let old = resources(registry, group, "v1");
            let new = aggregated(registry, Aggregated::V2, core);
            let items = new["items"].as_array().expect("items");
            let item =
                items.iter().find(|item| core || item["metadata"]["name"] == group).expect("the group");
            for resource in registry.of_version(group, "v1") {
                let old_entry = entry(&old["resources"], "name", resource.plural);
                let new_entry = entry(&item["versions"][0]["resources"], "resource", resource.plural);
                for (a, b) in
                    [("verbs", "verbs"), ("shortNames", "shortNames"), ("singularName", "singularResource")]
                {
                    assert_eq!(old_entry.get(a), new_entry.get(b), "{} {a}", resource.plural);
                }
            }
        }
    }

    #[test]
    fn fields_that_kubectl_depends_on_are_present() {
        let core = resources(Registry::built_in(), "", "v1");
        // `kubectl drain` evicts only if this is present.
        let eviction = entry(&core["resources"], "name", "pods/eviction");
        assert_eq!((&eviction["kind"], &eviction["group"]), (&"Eviction".into(), &"policy".into()));
        // `kubectl scale` sends the kind that is stated here.
        let apps = resources(Registry::built_in(), "apps", "v1");
        let scale = entry(&apps["resources"], "name", "statefulsets/scale");
        assert_eq!((&scale["kind"], &scale["group"]), (&"Scale".into(), &"autoscaling".into()));
        assert_eq!(entry(&core["resources"], "name", "pods")["categories"], json!(["all"]));
        assert_eq!(entry(&core["resources"], "name", "pods/status")["kind"], "Pod");
    }
}
