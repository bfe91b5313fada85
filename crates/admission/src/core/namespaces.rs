//! Namespaces and ServiceAccounts (`pkg/registry/core/namespace`, `pkg/registry/core/serviceaccount`).

use serde_json::{Value, json};

use super::validation::metadata;
use super::volumes::put_default;
use crate::field::{At, Causes};
use crate::primitives::names;
use crate::primitives::updates::keep_status;
use crate::strategy::Strategy;

pub(crate) const NAMESPACE: Strategy = Strategy {
    default: |namespace| {
        label_with_name(namespace);
        put_default(&mut namespace["status"], "phase", "Active");
    },
    prepare_for_create: |namespace| {
        namespace["status"] = json!({ "phase": "Active" });
        let finalizers = &mut namespace["spec"]["finalizers"];
        match finalizers.as_array_mut() {
            Some(all) if all.iter().any(|one| one == "kubernetes") => {}
            Some(all) => all.push("kubernetes".into()),
            None => *finalizers = json!(["kubernetes"]),
        }
        label_with_name(namespace);
    },
    prepare_for_update: |namespace, before| {
        keep_status(namespace, before);
        namespace["spec"] = before["spec"].clone();
        // `Canonicalize`
        label_with_name(namespace);
    },
    validate: validate_namespace,
    validate_update: |namespace, before, causes| {
        validate_namespace(namespace, causes);
        metadata::validate_object_meta_update(&namespace.at("metadata"), &before.at("metadata"), causes);
    },
    validate_status_update: super::statuses::validate_namespace_status_update,
    ..Strategy::of("", "Namespace", false)
};

pub(crate) const SERVICE_ACCOUNT: Strategy = Strategy {
    prepare_for_create: clean_secret_references,
    prepare_for_update: |account, _| clean_secret_references(account),
    validate: validate_service_account,
    validate_update: |account, before, causes| {
        metadata::validate_object_meta_update(&account.at("metadata"), &before.at("metadata"), causes);
        validate_service_account(account, causes);
    },
    warnings: warnings_for_service_account,
    ..Strategy::of("", "ServiceAccount", true)
};

/// `SetDefaults_Namespace`: selectors of namespaces can name one.
fn label_with_name(namespace: &mut Value) {
    let name = namespace["metadata"]["name"].clone();
    if let Some(metadata) = namespace["metadata"].as_object_mut().filter(|_| name.is_string() && name != "") {
        let labels = metadata.entry("labels").or_insert_with(|| json!({}));
        if let Some(labels) = labels.as_object_mut() {
            labels.insert("kubernetes.io/metadata.name".into(), name);
        }
    }
}

/// `ValidateNamespace`. All finalizers have the path of their list.
fn validate_namespace(namespace: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&namespace.at("metadata"), false, names::dns_label, causes);
    let finalizers = namespace.at("spec.finalizers");
    for finalizer in finalizers.items() {
        let finalizer = finalizers.with(finalizer.value());
        names::check(&finalizer, names::label_key, causes);
        metadata::validate_kube_finalizer_name(&finalizer, causes);
    }
}

/// Only the names of its secrets count.
fn clean_secret_references(account: &mut Value) {
    for secret in account.get_mut("secrets").and_then(Value::as_array_mut).into_iter().flatten() {
        *secret = match secret.get("name") {
            Some(name) => json!({ "name": name }),
            None => json!({}),
        };
    }
}

fn validate_service_account(account: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&account.at("metadata"), true, names::dns_subdomain, causes);
}

/// `warnIfHasEnforceMountableSecretsAnnotation`: once, when it comes.
fn warnings_for_service_account(account: &Value, before: Option<&Value>) -> Vec<String> {
    const KEY: &str = "kubernetes.io/enforce-mountable-secrets";
    let has = |account: &Value| account["metadata"]["annotations"].get(KEY).is_some();
    if !has(account) || before.is_some_and(has) {
        return Vec::new();
    }
    let why = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets";
    vec![format!("metadata.annotations[{KEY}]: {why}")]
}
