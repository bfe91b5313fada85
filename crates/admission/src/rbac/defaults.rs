//! `pkg/apis/rbac/v1/defaults.go`

use serde_json::Value;

use super::GROUP;

/// `SetDefaults_RoleBinding`, `SetDefaults_ClusterRoleBinding` and `SetDefaults_Subject`.
pub(super) fn set_defaults_role_binding(binding: &mut Value) {
    let fill = |value: &mut Value| {
        if let Some(object) = value.as_object_mut()
            && object.get("apiGroup").is_none_or(|group| group == "")
        {
            object.insert("apiGroup".into(), GROUP.into());
        }
    };
    if let Some(role) = binding.get_mut("roleRef") {
        fill(role);
    }
    let subjects = binding.get_mut("subjects").and_then(Value::as_array_mut);
    subjects
        .into_iter()
        .flatten()
        .filter(|subject| matches!(subject["kind"].as_str(), Some("User" | "Group")))
        .for_each(fill);
}

/// A role without rules is written with `rules: null`.
pub(super) fn write_rules(role: &mut Value) {
    if let Some(role) = role.as_object_mut()
        && role.get("rules").and_then(Value::as_array).is_none_or(Vec::is_empty)
    {
        role.insert("rules".into(), Value::Null);
    }
}
