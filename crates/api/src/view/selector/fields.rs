//! Field selectors: the fields of each kind that the API server supports.

use serde_json::Value;

use crate::schema::field;
use clusterlocal_core::store::{Kind, Name};

/// `fieldSelector=spec.nodeName=node-1,status.phase!=Running`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldSelector(Vec<Term>);

#[derive(Clone, Debug, PartialEq)]
struct Term {
    field: Name,
    equal: bool,
    value: String,
}

impl FieldSelector {
    /// Parses a selector over objects of `kind`; the empty one matches everything.
    ///
    /// # Errors
    ///
    /// Why it is invalid, or which field is not supported, for a 400 Bad Request.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, String> {
        FieldSelector::parse_renamed(kind, text, |field| Some(field.into()))
    }

    /// The same for events of `events.k8s.io`, whose fields have other names (`pkg/apis/events/v1`,
    /// AddFieldLabelConversionsForEvent).
    ///
    /// # Errors
    ///
    /// Those of [`Self::parse`].
    pub fn parse_event(text: &str) -> Result<Self, String> {
        FieldSelector::parse_renamed(Kind::Event, text, |field| match field {
            "reportingController" => Some(arcstr::literal!("reportingComponent")),
            "type" | "reason" | "metadata.name" | "metadata.namespace" => Some(field.into()),
            field => Some(arcstr::format!("involvedObject.{}", field.strip_prefix("regarding.")?)),
        })
    }

    fn parse_renamed(
        kind: Kind,
        text: &str,
        of_store: impl Fn(&str) -> Option<Name>,
    ) -> Result<Self, String> {
        let term = |(field, equal, value): (&str, bool, String)| match of_store(field) {
            Some(stored) if is_selectable(kind, &stored) => Ok(Term { field: stored, equal, value }),
            _ => Err(not_selectable(kind, field)),
        };
        terms(text)?.into_iter().map(term).collect::<Result<_, _>>().map(FieldSelector)
    }

    /// The only name that it matches, if there is one: no other object has to be checked.
    pub fn name(&self) -> Option<&str> {
        self.0.iter().find(|term| term.equal && term.field == "metadata.name").map(|term| term.value.as_str())
    }

    /// Whether `object` matches.
    pub fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|term| (of_field(object, &term.field) == term.value) == term.equal)
    }
}

/// Field, whether equal, value: each term of a selector, whatever its fields are.
///
/// # Errors
///
/// Why it is invalid, for a 400 Bad Request.
pub(crate) fn terms(text: &str) -> Result<Vec<(&str, bool, String)>, String> {
    let term = |term| {
        let (field, equal, value) =
            halves(term).ok_or_else(|| format!("invalid selector: '{text}'; can't understand '{term}'"))?;
        Ok((field, equal, unescaped(value)?))
    };
    split(text).into_iter().filter(|term| !term.is_empty()).map(term).collect()
}

/// The terms between commas without a preceding backslash.
fn split(text: &str) -> Vec<&str> {
    let (mut terms, mut from, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        if c == ',' && !escaped {
            terms.push(&text[from..at]);
            from = at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    terms.push(&text[from..]);
    terms
}

/// Field, whether equal, value.
fn halves(term: &str) -> Option<(&str, bool, &str)> {
    let at = term.find(['=', '!'])?;
    let (field, rest) = term.split_at(at);
    for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some(value) = rest.strip_prefix(operator) {
            return Some((field, equal, value));
        }
    }
    None
}

/// A value without its backslashes.
fn unescaped(value: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => plain.push(c),
                _ => {
                    return Err(format!("invalid field selector: invalid escape sequence in value: {value}"));
                }
            },
            ',' | '=' => {
                return Err(format!("invalid field selector: unescaped character in value: {value}"));
            }
            c => plain.push(c),
        }
    }
    Ok(plain)
}

/// The fields by which the API server selects objects of `kind`, besides name and namespace.
fn fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Pod => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        Kind::Node => &["spec.unschedulable"],
        Kind::Namespace => &["status.phase"],
        Kind::Service => &["spec.clusterIP", "spec.type"],
        Kind::ReplicaSet | Kind::ReplicationController => &["status.replicas"],
        Kind::Secret => &["type"],
        Kind::Extra(extra) if extra.names().kind == "CertificateSigningRequest" => &["spec.signerName"],
        Kind::Job => &["status.successful"],
        Kind::Event => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        _ => &[],
    }
}

fn is_selectable(kind: Kind, field: &str) -> bool {
    field == "metadata.name"
        || (field == "metadata.namespace" && kind.is_namespaced())
        || fields(kind).contains(&field)
}

/// The message of the kind's conversion functions, or of apimachinery's default one.
fn not_selectable(kind: Kind, field: &str) -> String {
    match fields(kind) {
        [] => {
            format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
        }
        _ => format!("field label not supported: {field}"),
    }
}

/// The value of a field for a selector.
fn of_field(object: &Value, name: &str) -> String {
    let at = |path: &str| field::at(object, path);
    let text = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    match name {
        "status.podIPs" => {
            let all = at("/status/podIPs").and_then(Value::as_array).into_iter().flatten();
            all.map(|ip| text(ip.get("ip"))).collect::<Vec<_>>().join(",")
        }
        "spec.unschedulable" | "spec.hostNetwork" => {
            field::flag(object, &format!("/{}", name.replace('.', "/"))).to_string()
        }
        "status.replicas" => field::number(object, "/status/replicas").to_string(),
        "status.successful" => field::number(object, "/status/succeeded").to_string(),
        "source" => match text(at("/source/component")) {
            component if component.is_empty() => text(at("/reportingComponent")),
            component => component,
        },
        path => text(at(&format!("/{}", path.replace('.', "/")))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn field_selectors_match_like_apimachinerys() {
        let pod = json!({
            "metadata": { "name": "db-0", "namespace": "db" },
            "spec": { "nodeName": "node-1" },
            "status": { "phase": "Running", "podIP": "10.0.0.1", "podIPs": [{ "ip": "10.0.0.1" }, { "ip": "fd00::1" }] },
        });
        let event =
            json!({ "involvedObject": { "name": "a,b" }, "reportingComponent": "kubelet", "type": "Normal" });
        let table = [
            (Kind::Pod, "", &pod, true),
            (Kind::Pod, "metadata.name=db-0", &pod, true),
            (Kind::Pod, "metadata.name=db-0,metadata.namespace!=db", &pod, false),
            (Kind::Pod, "spec.nodeName==node-1,status.phase!=Pending", &pod, true),
            (Kind::Pod, "status.podIP=10.0.0.2", &pod, false),
            (Kind::Pod, "status.podIPs=10.0.0.1\\,fd00::1", &pod, true),
            (Kind::Pod, "spec.hostNetwork=false", &pod, true),
            (Kind::Pod, "spec.serviceAccountName=", &pod, true),
            (Kind::Node, "spec.unschedulable=false", &json!({ "spec": {} }), true),
            (Kind::Node, "spec.unschedulable=true", &json!({ "spec": { "unschedulable": true } }), true),
            (Kind::ReplicaSet, "status.replicas=0", &json!({}), true),
            (Kind::ReplicationController, "status.replicas=1", &json!({}), false),
            (Kind::Secret, "type=Opaque", &json!({ "type": "Opaque" }), true),
            (Kind::Event, "involvedObject.name=a\\,b,source=kubelet,type=Normal", &event, true),
            (Kind::StatefulSet, "metadata.name=a", &json!({ "metadata": { "name": "b" } }), false),
        ];
        for (kind, text, object, expected) in table {
            let selector = FieldSelector::parse(kind, text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(selector.matches(object), expected, "{kind} {text}");
        }
        assert_eq!(
            FieldSelector::parse(Kind::Pod, "status.phase!=a,metadata.name=b").expect("one").name(),
            Some("b")
        );
    }

    #[test]
    fn fields_of_events_have_the_names_of_their_group() {
        let event = json!({
            "involvedObject": { "kind": "Pod", "name": "db-0" },
            "reportingComponent": "kubelet",
            "reason": "Started",
        });
        let table = [
            ("reportingController=kubelet,reason=Started", Ok(true)),
            ("regarding.kind=Pod,regarding.name=db-1", Ok(false)),
            ("involvedObject.name=db-0", Err("field label not supported: involvedObject.name")),
            ("regarding.image=a", Err("field label not supported: regarding.image")),
        ];
        for (text, expected) in table {
            let found = FieldSelector::parse_event(text).map(|selector| selector.matches(&event));
            assert_eq!(found, expected.map_err(String::from), "{text}");
        }
        assert!(FieldSelector::parse(Kind::Event, "regarding.kind=Pod").is_err());
    }

    #[test]
    fn invalid_field_selectors_are_refused() {
        let table = [
            (Kind::Pod, "spec.foo=a", "field label not supported: spec.foo"),
            (Kind::Node, "metadata.namespace=a", "field label not supported: metadata.namespace"),
            (
                Kind::StatefulSet,
                "spec.replicas=1",
                "\"spec.replicas\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
            ),
            (Kind::Pod, "status.phase", "invalid selector: 'status.phase'; can't understand 'status.phase'"),
            (
                Kind::Pod,
                "metadata.name=a\\b",
                "invalid field selector: invalid escape sequence in value: a\\b",
            ),
            (Kind::Pod, "metadata.name=a=b", "invalid field selector: unescaped character in value: a=b"),
        ];
        for (kind, text, expected) in table {
            assert_eq!(FieldSelector::parse(kind, text), Err(expected.into()), "{text}");
        }
    }
}
