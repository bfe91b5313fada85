//! Namespaces, and the finalizers of their spec.

use serde::Deserialize;
use serde_json::{Value, json};

use super::given::Given;
use super::meta::ObjectMeta;
use super::names::Name;

/// The label with the name of a namespace, which every namespace has.
pub const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The finalizer in the spec of every namespace: the namespace controller removes it when the namespace is empty.
pub const NAMESPACE_FINALIZER: &str = "kubernetes";

/// A namespace. The DNS only depends on its existence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Namespace {
    pub metadata: ObjectMeta,
}

impl Namespace {
    /// The finalizers in its spec, which hold it in addition to those in its metadata.
    pub fn spec_finalizers(&self) -> Vec<Name> {
        let given = self.metadata.given.as_ref().and_then(|given| given.json().pointer("/spec/finalizers"));
        match given.and_then(Value::as_array) {
            Some(all) => all.iter().filter_map(Value::as_str).map(Name::from).collect(),
            None => vec![Name::from(NAMESPACE_FINALIZER)],
        }
    }

    /// This namespace with `finalizers` in its spec.
    #[must_use]
    pub fn with_spec_finalizers(&self, finalizers: &[Name]) -> Namespace {
        let finalizers: Vec<&str> = finalizers.iter().map(Name::as_str).collect();
        self.with("spec", json!({ "finalizers": finalizers }))
    }

    /// This namespace with `status`.
    #[must_use]
    pub(crate) fn with_status(&self, status: Value) -> Namespace {
        self.with("status", status)
    }

    fn with(&self, field: &str, value: Value) -> Namespace {
        let mut namespace = self.clone();
        let given = self.metadata.given.as_ref().map(|given| given.json().clone());
        let mut given = given.unwrap_or_else(|| json!({}));
        given[field] = value;
        namespace.metadata.given = Some(Given::from(given));
        namespace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_has_the_finalizer_of_its_controller_unless_it_was_removed() {
        let table = [
            (None, vec!["kubernetes"]),
            (Some(json!({})), vec!["kubernetes"]),
            (Some(json!({ "spec": { "finalizers": null } })), vec!["kubernetes"]),
            (Some(json!({ "spec": { "finalizers": [] } })), vec![]),
            (Some(json!({ "spec": { "finalizers": ["example.com/hold"] } })), vec!["example.com/hold"]),
        ];
        for (given, expected) in table {
            let given = given.map(Given::from);
            let metadata = ObjectMeta { given: given.clone(), ..ObjectMeta::default() };
            let namespace = Namespace { metadata };
            assert_eq!(namespace.spec_finalizers(), expected, "{given:?}");
            assert!(namespace.with_spec_finalizers(&[]).spec_finalizers().is_empty(), "{given:?}");
        }
    }
}
