//! The forms that a client accepts, by its `Accept` header: plain objects, tables or metadata only, and the form of
//! discovery; as JSON or YAML. Must not depend on objects.

use hyper::header::{ACCEPT, HeaderMap};

use super::status::Status;

/// The form of objects in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The objects as they are.
    Json,
    /// `meta.k8s.io/v1` Table: what `kubectl get` prints.
    Table,
    /// `meta.k8s.io/v1` PartialObjectMetadata, or a list of it.
    Metadata,
}

/// The form of aggregated discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregated {
    V2,
    V2Beta1,
}

/// An entry of the header.
struct Range<'a> {
    is_yaml: bool,
    parameters: Vec<(&'a str, &'a str)>,
}

impl Range<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.parameters.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, value)| *value)
    }

    /// Whether it requests the kind `kind` of `group`.
    fn is(&self, kind: &str, group: &str, versions: &[&str]) -> bool {
        self.get("as") == Some(kind)
            && self.get("g") == Some(group)
            && self.get("v").is_some_and(|version| versions.contains(&version))
    }
}

/// The content type of YAML.
pub(crate) const YAML: &str = "application/yaml";

/// Whether the client prefers YAML to JSON.
pub(crate) fn is_yaml(headers: &HeaderMap) -> bool {
    ranges(&header(headers)).next().is_some_and(|range| range.is_yaml)
}

/// Whether the client accepts JSON, if there is another form as well.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let accept = header(headers);
    accept.trim().is_empty() || ranges(&accept).next().is_some_and(|range| !range.is_yaml)
}

/// The header's entries that include JSON or YAML, in order: clients of Kubernetes order them by preference, without
/// weights.
fn ranges(accept: &str) -> impl Iterator<Item = Range<'_>> {
    accept.split(',').filter_map(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let essence = parts.next()?.to_ascii_lowercase();
        let known = matches!(essence.as_str(), "application/json" | YAML | "application/*" | "*/*");
        let parameters = parts.filter_map(|part| part.split_once('=')).collect();
        known.then_some(Range { is_yaml: essence == YAML, parameters })
    })
}

/// The whole header; empty if there is none, which accepts anything.
fn header(headers: &HeaderMap) -> String {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join(",")
}

impl Form {
    /// Returns the first form in the header that is supported.
    pub(crate) fn requested(headers: &HeaderMap) -> Result<Form, Status> {
        let accept = header(headers);
        if accept.trim().is_empty() {
            return Ok(Form::Json);
        }
        let form = |range: Range<'_>| match range.get("as") {
            None => Some(Form::Json),
            _ if range.is("Table", "meta.k8s.io", &["v1"]) => Some(Form::Table),
            _ if range.is("PartialObjectMetadata", "meta.k8s.io", &["v1"]) => Some(Form::Metadata),
            _ if range.is("PartialObjectMetadataList", "meta.k8s.io", &["v1"]) => Some(Form::Metadata),
            _ => None,
        };
        ranges(&accept).find_map(form).ok_or_else(|| Status::not_acceptable(&["application/json"]))
    }
}

impl Aggregated {
    /// Returns the form if the header has it before the older one, which is a document per group.
    pub(crate) fn requested(headers: &HeaderMap) -> Option<Aggregated> {
        const KIND: &str = "APIGroupDiscoveryList";
        let accept = header(headers);
        let form = |range: Range<'_>| match range.get("as") {
            None => Some(None),
            _ if range.is(KIND, "apidiscovery.k8s.io", &["v2"]) => Some(Some(Aggregated::V2)),
            _ if range.is(KIND, "apidiscovery.k8s.io", &["v2beta1"]) => Some(Some(Aggregated::V2Beta1)),
            _ => None,
        };
        ranges(&accept).find_map(form).flatten()
    }

    /// The version in `apiVersion` and the content type.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Aggregated::V2 => "v2",
            Aggregated::V2Beta1 => "v2beta1",
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(accept: &'static str) -> HeaderMap {
        [(ACCEPT, HeaderValue::from_static(accept))].into_iter().collect()
    }

    #[test]
    fn the_first_supported_form_is_used() {
        let get = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,\
                   application/json";
        let table = [
            ("", Some(Form::Json)),
            ("*/*", Some(Form::Json)),
            ("application/json, */*", Some(Form::Json)),
            (get, Some(Form::Table)),
            ("application/json;as=Table;v=v2;g=meta.k8s.io,application/json", Some(Form::Json)),
            ("application/vnd.kubernetes.protobuf,application/json", Some(Form::Json)),
            (
                "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,\
                 application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                Some(Form::Metadata),
            ),
            ("application/vnd.kubernetes.protobuf", None),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Some(Form::Json)),
        ];
        for (accept, expected) in table {
            assert_eq!(Form::requested(&headers(accept)).ok(), expected, "{accept}");
        }
        assert_eq!(Form::requested(&HeaderMap::new()), Ok(Form::Json));
    }

    #[test]
    fn aggregated_discovery_is_used_if_it_comes_first() {
        let old =
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        let new = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;\
                   g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        let table = [
            (old, Some(Aggregated::V2Beta1)),
            (new, Some(Aggregated::V2)),
            ("application/json", None),
            ("application/json;g=apidiscovery.k8s.io;v=v3;as=APIGroupDiscoveryList,application/json", None),
        ];
        for (accept, expected) in table {
            assert_eq!(Aggregated::requested(&headers(accept)), expected, "{accept}");
        }
    }
}
