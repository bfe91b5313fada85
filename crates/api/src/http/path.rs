//! Parses the path of a request: discovery, or a resource with an object and a part of it, if any. Must not depend on
//! verbs, queries or objects.

use percent_encoding::percent_decode_str;

use crate::schema::registry::Registry;
use crate::schema::resource::{Resource, Subresource};

/// The documents about the DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dns {
    /// All records: `{"domain", "ttl", "records": [{"name", "ttl", "type", "data"}]}`.
    Records,
    /// The reply to a query as a pod sends it: `?name=&type=&namespace=`.
    Query,
    /// The reasons of that reply.
    Explain,
}

/// The target of a path.
#[derive(Debug, PartialEq)]
pub(crate) enum Target {
    /// `/healthz`, `/livez`, `/readyz`.
    Health,
    /// `/version`.
    Version,
    /// `/dns/records`, `/dns/query`, `/dns/explain`.
    Dns(Dns),
    /// `/fixture/pod/restart`: the verb `pod/restart` of a test fixture.
    Fixture(String),
    /// `/`: all paths.
    Root,
    /// `/api`: the core group.
    CoreGroup,
    /// `/apis`: the other groups.
    Groups,
    /// `/apis/apps`.
    Group(String),
    /// `/api/v1`, `/apis/apps/v1`.
    Resources(String, String),
    /// `/openapi/v2`.
    OpenApiV2,
    /// `/openapi/v3`.
    OpenApi,
    /// `/openapi/v3/apis/apps/v1`.
    OpenApiOf(String, String),
    /// Objects.
    Place(Place),
}

/// A resource, or an object.
#[derive(Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) resource: &'static Resource,
    /// Empty for a cluster-scoped resource, and for all namespaces.
    pub(crate) namespace: String,
    /// Empty for the collection.
    pub(crate) name: String,
    pub(crate) part: Part,
}

/// The part of an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Part {
    Whole,
    Subresource(&'static Subresource),
    /// The HTTP proxy to a container.
    Proxy,
}

impl Target {
    /// Returns the target of `path` among the resources of `registry`, if any.
    pub(crate) fn of(path: &str, registry: &Registry) -> Option<Target> {
        let decoded: Vec<_> = path
            .trim_matches('/')
            .split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8())
            .collect::<Result<_, _>>()
            .ok()?;
        let segments: Vec<_> = decoded.iter().map(AsRef::as_ref).collect();
        match &segments[..] {
            [""] => Some(Target::Root),
            // kube-apiserver has a path for each check: `/readyz/ping`.
            ["healthz" | "livez" | "readyz", ..] => Some(Target::Health),
            ["version"] => Some(Target::Version),
            ["dns", "records"] => Some(Target::Dns(Dns::Records)),
            ["dns", "query"] => Some(Target::Dns(Dns::Query)),
            ["dns", "explain"] => Some(Target::Dns(Dns::Explain)),
            ["fixture", verb @ ..] if !verb.is_empty() => Some(Target::Fixture(verb.join("/"))),
            ["api"] => Some(Target::CoreGroup),
            ["apis"] => Some(Target::Groups),
            ["apis", group] => Some(Target::Group(known(registry, group, None)?.0)),
            ["api", "v1"] => Some(Target::Resources(String::new(), "v1".into())),
            ["apis", group, version] => {
                let (group, version) = known(registry, group, Some(version))?;
                Some(Target::Resources(group, version))
            }
            ["openapi", "v2"] => Some(Target::OpenApiV2),
            ["openapi", "v3"] => Some(Target::OpenApi),
            ["openapi", "v3", "api", "v1"] => Some(Target::OpenApiOf(String::new(), "v1".into())),
            ["openapi", "v3", "apis", group, version] => {
                let (group, version) = known(registry, group, Some(version))?;
                Some(Target::OpenApiOf(group, version))
            }
            ["api", "v1", rest @ ..] => Place::of(registry, "", "v1", rest).map(Target::Place),
            ["apis", group, version, rest @ ..] if !group.is_empty() => {
                Place::of(registry, group, version, rest).map(Target::Place)
            }
            _ => None,
        }
    }
}

/// A group other than the core, with one of its versions, if it has resources.
fn known(registry: &Registry, group: &str, version: Option<&str>) -> Option<(String, String)> {
    let is = |resource: &&Resource| {
        resource.group == group && version.is_none_or(|version| version == resource.version)
    };
    let found = registry.all().find(is).filter(|_| !group.is_empty())?;
    Some((found.group.into(), found.version.into()))
}

impl Place {
    fn of(registry: &Registry, group: &str, version: &str, segments: &[&str]) -> Option<Place> {
        let (namespace, rest) = match segments {
            // The parts of a namespace itself, rather than resources in it.
            ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => ("", segments),
            ["namespaces", "", ..] => return None,
            ["namespaces", namespace, rest @ ..] => (*namespace, rest),
            _ => ("", segments),
        };
        let [plural, rest @ ..] = rest else { return None };
        let resource = registry.find(group, version, plural)?;
        if !resource.namespaced && !namespace.is_empty() {
            return None;
        }
        let (name, part) = match rest {
            [] => ("", Part::Whole),
            // Objects of all namespaces can be listed, but a single one needs its namespace.
            _ if resource.namespaced && namespace.is_empty() => return None,
            ["", ..] => return None,
            [name] => (*name, Part::Whole),
            [name, "proxy", ..] if matches!(resource.plural, "pods" | "services" | "nodes") => {
                (*name, Part::Proxy)
            }
            [name, subresource] => (*name, Part::Subresource(resource.subresource(subresource)?)),
            _ => return None,
        };
        Some(Place { resource, namespace: namespace.into(), name: name.into(), part })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Renders `group plural namespace name part`, as far as present.
    fn rendered(path: &str) -> String {
        match Target::of(path, Registry::built_in()) {
            None => "nothing".into(),
            Some(Target::Place(place)) => {
                let part = match place.part {
                    Part::Whole => "",
                    Part::Subresource(subresource) => subresource.name,
                    Part::Proxy => "proxy",
                };
                let Place { resource, namespace, name, .. } = &place;
                let words = [resource.group, resource.plural, namespace, name, part];
                words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
            }
            Some(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn paths_are_parsed_like_kube_apiservers() {
        let table = [
            ("/", "Root"),
            ("/api", "CoreGroup"),
            ("/api/", "CoreGroup"),
            ("/api/v1", "Resources(\"\", \"v1\")"),
            ("/apis", "Groups"),
            ("/apis/apps", "Group(\"apps\")"),
            ("/apis/apps/v1", "Resources(\"apps\", \"v1\")"),
            ("/apis/apps/v2", "nothing"),
            ("/readyz/ping", "Health"),
            ("/openapi/v3/apis/batch/v1", "OpenApiOf(\"batch\", \"v1\")"),
            ("/dns/explain", "Dns(Explain)"),
            ("/fixture/pod/restart", "Fixture(\"pod/restart\")"),
            ("/fixture", "nothing"),
            ("/dns", "nothing"),
            ("/openapi/v2", "OpenApiV2"),
            ("/openapi/v4", "nothing"),
            ("/api/v1/pods", "pods"),
            ("/api/v1/namespaces/db/pods", "pods db"),
            ("/api/v1/namespaces/db/pods/cass-0", "pods db cass-0"),
            ("/api/v1/namespaces/db/pods/cass%2D0", "pods db cass-0"),
            ("/api/v1/namespaces/db/pods/cass-0/eviction", "pods db cass-0 eviction"),
            ("/api/v1/namespaces/db/pods/cass-0/proxy/a/b", "pods db cass-0 proxy"),
            ("/api/v1/namespaces/db/pods/cass-0/nonsense", "nothing"),
            ("/api/v1/pods/cass-0", "nothing"),
            ("/api/v1/namespaces", "namespaces"),
            ("/api/v1/namespaces/db", "namespaces db"),
            ("/api/v1/namespaces/db/status", "namespaces db status"),
            ("/api/v1/namespaces/db/finalize", "namespaces db finalize"),
            ("/api/v1/namespaces//pods", "nothing"),
            ("/api/v1/namespaces/db/nodes", "nothing"),
            ("/api/v1/nodes/n", "nodes n"),
            ("/apis/apps/v1/namespaces/db/statefulsets/cass/scale", "apps statefulsets db cass scale"),
            ("/apis/apps/v1/namespaces/db/pods", "nothing"),
            ("/apis/clusterlocal.dev/v1/clocks/cluster/advance", "clusterlocal.dev clocks cluster advance"),
            ("/api/v1/%ff", "nothing"),
        ];
        for (path, expected) in table {
            assert_eq!(rendered(path), expected, "{path}");
        }
    }
}
