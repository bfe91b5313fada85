//! What the admission plugins do that every cluster has (`plugin/pkg/admission`): as far as they need nothing but the Pod.

use serde_json::{Value, json};

/// `serviceaccount` and `defaulttolerationseconds`: a Pod runs as the service account `default`, and stays for five minutes on a
/// node that is not ready or cannot be reached.
pub fn admit_pod(pod: &mut Value) {
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if spec.get("serviceAccountName").is_none_or(|name| name.is_null() || name == "") {
        spec.insert("serviceAccountName".into(), "default".into());
        spec.insert("serviceAccount".into(), "default".into());
    }
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    if tolerations.is_null() {
        *tolerations = json!([]);
    }
    let Some(tolerations) = tolerations.as_array_mut() else { return };
    let missing: Vec<&str> = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
        .into_iter()
        .filter(|key| !tolerations.iter().any(|one| is_tolerated(one, key)))
        .collect();
    for key in missing {
        tolerations.push(json!({
            "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
        }));
    }
}

/// Whether a Pod has its own toleration of the taint `key`.
fn is_tolerated(toleration: &Value, key: &str) -> bool {
    let is = |field: &str, value: &str| {
        let text = toleration[field].as_str().unwrap_or_default();
        text.is_empty() || text == value
    };
    is("key", key) && is("effect", "NoExecute")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerations_that_a_pod_has_are_kept() {
        let mut pod = json!({ "spec": { "tolerations": [{ "operator": "Exists" }] } });
        admit_pod(&mut pod);
        let expected = json!({ "spec": {
            "serviceAccount": "default",
            "serviceAccountName": "default",
            "tolerations": [{ "operator": "Exists" }],
        }});
        assert_eq!(pod, expected);
    }
}
