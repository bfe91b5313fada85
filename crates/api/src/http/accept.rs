//! What a client can read, from its `Accept` header: plain objects, tables or metadata only, and which form of
//! discovery; as JSON or as YAML. It must not know objects.

use hyper::header::{ACCEPT, HeaderMap};

use super::status::Status;

/// What objects are answered as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As they are.
    Json,
    /// `meta.k8s.io/v1` Table: what `kubectl get` prints.
    Table,
    /// `meta.k8s.io/v1` PartialObjectMetadata, or a list of it.
    Metadata,
}

/// Which form of discovery of all groups at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregated {
    V2,
    V2Beta1,
}

/// One entry of the header.
struct Range<'a> {
    is_yaml: bool,
    parameters: Vec<(&'a str, &'a str)>,
}

impl Range<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.parameters.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, value)| *value)
    }

    /// Whether it asks for the kind `kind` of `group`.
    fn is(&self, kind: &str, group: &str, versions: &[&str]) -> bool {
        self.get("as") == Some(kind)
            && self.get("g") == Some(group)
            && self.get("v").is_some_and(|version| versions.contains(&version))
    }
}

/// How objects are called that are written as YAML.
pub(crate) const YAML: &str = "application/yaml";

/// Whether the client would rather have YAML than JSON.
pub(crate) fn is_yaml(headers: &HeaderMap) -> bool {
    ranges(&header(headers)).next().is_some_and(|range| range.is_yaml)
}

/// Whether the client takes JSON, where something else could be made as well.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let accept = header(headers);
    accept.trim().is_empty() || ranges(&accept).next().is_some_and(|range| !range.is_yaml)
}

/// The header's entries that JSON or YAML is one of, first choice first: clients of Kubernetes list them in order and give no
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

/// The whole header; nothing where there is none, and then anything goes.
fn header(headers: &HeaderMap) -> String {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join(",")
}

impl Form {
    /// The first that the client names and that can be made.
    pub(crate) fn wanted(headers: &HeaderMap) -> Result<Form, Status> {
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
    /// The form that the client names before the older one of a document a group, if it does.
    pub(crate) fn wanted(headers: &HeaderMap) -> Option<Aggregated> {
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

    /// As in `apiVersion` and the content type.
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
    fn forms() {
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
            assert_eq!(Form::wanted(&headers(accept)).ok(), expected, "{accept}");
        }
        assert_eq!(Form::wanted(&HeaderMap::new()), Ok(Form::Json));
    }

    #[test]
    fn discovery() {
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
            assert_eq!(Aggregated::wanted(&headers(accept)), expected, "{accept}");
        }
    }
}
