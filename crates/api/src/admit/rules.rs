//! What a client has to say though a manifest need not: kube-apiserver's validation of fields that the DNS does not
//! depend on, as far as people run into it.

use std::collections::HashSet;

use serde_json::Value;

use super::Cause;
use super::words::{duplicate, invalid, not_supported, required};
use crate::schema::field;
use clusterlocal_core::store::{Kind, LabelSelector, Labels};

/// What is wrong with `json`, an object of `kind` in which nothing has been filled in yet.
pub(super) fn check(kind: Kind, json: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    labels(&mut causes, json, "metadata.labels");
    keys(&mut causes, json, "metadata.annotations");
    if kind.is_workload() && kind != Kind::CronJob {
        labels(&mut causes, json, "spec.template.metadata.labels");
        keys(&mut causes, json, "spec.template.metadata.annotations");
    }
    match kind {
        Kind::StatefulSet | Kind::Deployment | Kind::ReplicaSet | Kind::DaemonSet => {
            if kind == Kind::StatefulSet {
                update_strategy(&mut causes, json);
            }
            counts(&mut causes, json);
            causes.extend(super::rollouts::check(kind, json));
            selector(&mut causes, kind, json);
            pod_spec(&mut causes, json, "spec.template.spec");
            let policy = field::text(json, "/spec/template/spec/restartPolicy");
            if !matches!(policy, "" | "Always") {
                causes.push(not_supported("spec.template.spec.restartPolicy", policy, &["Always"]));
            }
        }
        Kind::ReplicationController => {
            counts(&mut causes, json);
            pod_spec(&mut causes, json, "spec.template.spec");
        }
        Kind::Job => causes.extend(super::jobs::spec(json, "spec")),
        Kind::CronJob => causes.extend(super::cron_jobs::check(json)),
        Kind::Pod => pod_spec(&mut causes, json, "spec"),
        Kind::Service => {
            let spec = |name: &str| field::text(json, &format!("/spec/{name}"));
            let portless = spec("clusterIP") == "None" || spec("type") == "ExternalName";
            if !portless && field::items(json, "/spec/ports").is_empty() {
                causes.push(required("spec.ports", ""));
            }
            labels(&mut causes, json, "spec.selector");
            causes.extend(super::services::check(json));
        }
        _ => {}
    }
    causes
}

/// Numbers that are not negative.
fn counts(causes: &mut Vec<Cause>, json: &Value) {
    for name in ["replicas", "minReadySeconds", "revisionHistoryLimit"] {
        let value = json.pointer(&format!("/spec/{name}"));
        if value.and_then(Value::as_i64).is_some_and(|number| number < 0) {
            causes.push(invalid(format!("spec.{name}"), value, "must be greater than or equal to 0"));
        }
    }
}

/// The block `rollingUpdate` of a StatefulSet (ValidateStatefulSetSpec). Its value is shown as Go's struct.
fn update_strategy(causes: &mut Vec<Cause>, json: &Value) {
    const BLOCK: &str = "spec.updateStrategy.rollingUpdate";
    let Some(rolling) = json.pointer("/spec/updateStrategy/rollingUpdate").filter(|value| value.is_object())
    else {
        return;
    };
    let partition = rolling.get("partition");
    if field::text(json, "/spec/updateStrategy/type") == "OnDelete" {
        let partition = partition.cloned().unwrap_or_else(|| 0.into());
        let shown = format!("Invalid value: {{\"Partition\":{partition},\"MaxUnavailable\":null}}");
        let message = format!("{shown}: only allowed for updateStrategy 'RollingUpdate'");
        causes.push(Cause { field: BLOCK.into(), reason: "FieldValueInvalid", message });
    } else if partition.and_then(Value::as_i64).is_some_and(|partition| partition < 0) {
        causes.push(invalid(format!("{BLOCK}.partition"), partition, "must be greater than or equal to 0"));
    }
}

/// Keys of labels or annotations that are no qualified names (`content.IsLabelKey`).
fn keys(causes: &mut Vec<Cause>, json: &Value, path: &str) {
    let pointer = format!("/{}", path.replace('.', "/"));
    for key in json.pointer(&pointer).and_then(Value::as_object).into_iter().flat_map(|map| map.keys()) {
        if let Some(why) = name_broken(key) {
            causes.push(invalid(path, Some(&key.as_str().into()), &why));
        }
    }
}

/// Why `key` is no qualified name, if it is none (`content.IsLabelKey`).
pub(super) fn name_broken(key: &str) -> Option<String> {
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    Some(match () {
        () if crate::view::selector::is_qualified_name(key) => return None,
        () if name.is_empty() => "name part must be non-empty".to_owned(),
        () if name.len() > 63 => "name part must be no more than 63 characters".into(),
        () if !crate::view::selector::is_label_value(name) => {
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
             alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
             '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
                .into()
        }
        () => "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
               '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
               validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            .into(),
    })
}

/// Labels whose keys or values are none.
fn labels(causes: &mut Vec<Cause>, json: &Value, path: &str) {
    keys(causes, json, path);
    let pointer = format!("/{}", path.replace('.', "/"));
    for value in
        json.pointer(&pointer).and_then(Value::as_object).into_iter().flat_map(|labels| labels.values())
    {
        if value.as_str().is_some_and(|text| !crate::view::selector::is_label_value(text)) {
            let why = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and \
                       must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', \
                       regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
            causes.push(invalid(path, Some(value), why));
        }
    }
}

/// The selector is there, asks for something and means the template's pods.
fn selector(causes: &mut Vec<Cause>, kind: Kind, json: &Value) {
    let Some(value) = json.pointer("/spec/selector").filter(|value| !value.is_null()) else {
        causes.push(required("spec.selector", ""));
        return;
    };
    let Ok(selector) = <LabelSelector as serde::Deserialize>::deserialize(value) else { return };
    if selector.is_empty() {
        let kind = kind.as_str().to_ascii_lowercase();
        causes.push(invalid("spec.selector", Some(value), &format!("empty selector is invalid for {kind}")));
    }
    let template = json.pointer("/spec/template/metadata/labels");
    let template: Labels =
        template.and_then(|labels| serde::Deserialize::deserialize(labels).ok()).unwrap_or_default();
    if !selector.matches(&template) {
        let labels = json
            .pointer("/spec/template/metadata/labels")
            .cloned()
            .unwrap_or_else(|| Value::Object(Default::default()));
        let why = "`selector` does not match template `labels`";
        causes.push(invalid("spec.template.metadata.labels", Some(&labels), why));
    }
}

/// There are containers, and each has a name of its own and an image.
pub(super) fn pod_spec(causes: &mut Vec<Cause>, json: &Value, path: &str) {
    let pointer = format!("/{}", path.replace('.', "/"));
    if field::items(json, &format!("{pointer}/containers")).is_empty() {
        causes.push(required(format!("{path}.containers"), ""));
    }
    let mut names = HashSet::new();
    for list in ["initContainers", "containers"] {
        for (at, container) in field::items(json, &format!("{pointer}/{list}")).iter().enumerate() {
            let path = format!("{path}.{list}[{at}]");
            let name = field::text(container, "/name");
            env(causes, container, &path);
            if name.is_empty() {
                causes.push(required(format!("{path}.name"), ""));
            } else if !clusterlocal_core::store::is_label(name) {
                let why = super::words::rule_broken(clusterlocal_core::manifest::NameRule::Label, name);
                causes.push(invalid(format!("{path}.name"), container.get("name"), &why));
            } else if !names.insert(name) {
                causes.push(duplicate(format!("{path}.name"), container.get("name")));
            }
            if field::text(container, "/image").is_empty() {
                causes.push(required(format!("{path}.image"), ""));
            }
        }
    }
}

/// Variables have names, and one source (`validateEnv`).
fn env(causes: &mut Vec<Cause>, container: &Value, path: &str) {
    for (at, variable) in field::items(container, "/env").iter().enumerate() {
        let path = format!("{path}.env[{at}]");
        if field::text(variable, "/name").is_empty() {
            causes.push(required(format!("{path}.name"), ""));
        }
        if field::is_set(variable, "/valueFrom") && !field::text(variable, "/value").is_empty() {
            let why = "may not be specified when `value` is not empty";
            causes.push(invalid(format!("{path}.valueFrom"), Some(&"".into()), why));
        }
    }
}
