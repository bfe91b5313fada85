//! `pkg/apis/rbac/validation`

use super::GROUP;
use crate::core::validation::metadata;
use crate::field::{At, Causes, Shown};
use crate::primitives::{names, selectors};
use crate::schema::go_json;

pub(super) fn validate_role(role: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&role.at("metadata"), true, names::path_segment, causes);
    for rule in role.at("rules").items() {
        validate_policy_rule(&rule, true, causes);
    }
}

pub(super) fn validate_role_update(role: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    validate_role(role, causes);
    metadata::validate_object_meta_update(&role.at("metadata"), &before.at("metadata"), causes);
}

pub(super) fn validate_cluster_role(role: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&role.at("metadata"), false, names::path_segment, causes);
    for rule in role.at("rules").items() {
        validate_policy_rule(&rule, false, causes);
    }
    if role.at("aggregationRule").is_set() {
        let all = role.at("aggregationRule.clusterRoleSelectors");
        if all.is_empty() {
            let why = "at least one clusterRoleSelector required if aggregationRule is non-nil";
            causes.required(&all, why);
        }
        for selector in all.items() {
            selectors::validate_label_selector(&selector, causes);
            if !selectors::is_valid(&selector) {
                causes.invalid(&selector, Shown::nil(), "invalid label selector.");
            }
        }
    }
}

pub(super) fn validate_cluster_role_update(role: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    validate_cluster_role(role, causes);
    metadata::validate_object_meta_update(&role.at("metadata"), &before.at("metadata"), causes);
}

fn validate_policy_rule(rule: &At<'_>, namespaced: bool, causes: &mut Causes) {
    if rule.at("verbs").is_empty() {
        causes.required(&rule.at("verbs"), "verbs must contain at least one value");
    }
    let urls = rule.at("nonResourceURLs");
    let (groups, resources) = (rule.at("apiGroups"), rule.at("resources"));
    if !urls.is_empty() {
        if namespaced {
            causes.invalid(&urls, urls.value(), "namespaced rules cannot apply to non-resource URLs");
        }
        if !groups.is_empty() || !resources.is_empty() || !rule.at("resourceNames").is_empty() {
            let why = "rules cannot apply to both regular resources and non-resource URLs";
            causes.invalid(&urls, urls.value(), why);
        }
        return;
    }
    if groups.is_empty() {
        causes.required(&groups, "resource rules must supply at least one api group");
    }
    if resources.is_empty() {
        causes.required(&resources, "resource rules must supply at least one resource");
    }
}

pub(super) fn validate_role_binding(binding: &At<'_>, causes: &mut Causes) {
    validate_binding(binding, true, causes);
}

pub(super) fn validate_cluster_role_binding(binding: &At<'_>, causes: &mut Causes) {
    validate_binding(binding, false, causes);
}

fn validate_binding(binding: &At<'_>, namespaced: bool, causes: &mut Causes) {
    metadata::validate_object_meta(&binding.at("metadata"), namespaced, names::path_segment, causes);
    let group = binding.at("roleRef.apiGroup");
    if group.text() != GROUP {
        causes.not_supported(&group, group.text(), &[GROUP]);
    }
    let kind = binding.at("roleRef.kind");
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&kind.text()) {
        causes.not_supported(&kind, kind.text(), kinds);
    }
    let name = binding.at("roleRef.name");
    if name.is_empty() {
        causes.required(&name, "");
    }
    for fault in names::path_segment(name.text()) {
        causes.invalid(&name, name.text(), &fault);
    }
    for subject in binding.at("subjects").items() {
        validate_role_binding_subject(&subject, namespaced, causes);
    }
}

pub(super) fn validate_role_binding_update(binding: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    validate_binding_update(binding, before, true, causes);
}

pub(super) fn validate_cluster_role_binding_update(binding: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    validate_binding_update(binding, before, false, causes);
}

fn validate_binding_update(binding: &At<'_>, before: &At<'_>, namespaced: bool, causes: &mut Causes) {
    validate_binding(binding, namespaced, causes);
    metadata::validate_object_meta_update(&binding.at("metadata"), &before.at("metadata"), causes);
    let role = binding.at("roleRef");
    if role.value() != before.at("roleRef").value() {
        causes.invalid(&role, go_json("RoleRef", role.value()), "cannot change roleRef");
    }
}

fn validate_role_binding_subject(subject: &At<'_>, namespaced: bool, causes: &mut Causes) {
    let (name, group, kind) = (subject.at("name"), subject.at("apiGroup"), subject.at("kind"));
    if name.is_empty() {
        causes.required(&name, "");
    }
    match kind.text() {
        "ServiceAccount" => {
            for fault in names::dns_subdomain(name.text()).into_iter().filter(|_| !name.is_empty()) {
                causes.invalid(&name, name.text(), &fault);
            }
            if !group.is_empty() {
                causes.not_supported(&group, group.text(), &[""]);
            }
            if !namespaced && subject.at("namespace").is_empty() {
                causes.required(&subject.at("namespace"), "");
            }
        }
        "User" | "Group" => {
            if group.text() != GROUP {
                causes.not_supported(&group, group.text(), &[GROUP]);
            }
        }
        other => causes.not_supported(&kind, other, &["ServiceAccount", "User", "Group"]),
    }
}
