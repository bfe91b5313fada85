//! What an answer warns of in kinds that administrators write (`WarningsOnCreate` of their strategies).

use clusterlocal_admission::{GroupKind, warnings};
use serde_json::{Value, json};

#[test]
fn deprecated_labels_and_reserved_names_are_warned_of() {
    const ZONE: &str = "failure-domain.beta.kubernetes.io/zone";
    const SINCE: &str = "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead";
    let storage = |kind| GroupKind { group: "storage.k8s.io", kind };
    let requirement = json!([{ "key": ZONE, "values": ["a"] }]);
    let table: [(GroupKind<'_>, Value, Vec<String>); 5] = [
        (
            storage("StorageClass"),
            json!({ "allowedTopologies": [{ "matchLabelExpressions": requirement }] }),
            vec![format!("allowedTopologies[0].matchLabelExpressions[0].key: {SINCE}")],
        ),
        (
            storage("CSIStorageCapacity"),
            json!({ "nodeTopology": { "matchLabels": { ZONE: "a" }, "matchExpressions": requirement } }),
            vec![
                format!("nodeTopology.matchExpressions[0].key: {ZONE} is {SINCE}"),
                format!("nodeTopology.matchLabels.{ZONE}: {SINCE}"),
            ],
        ),
        (
            storage("CSIDriver"),
            json!({ "spec": { "tokenRequests": [{ "audience": "a" }] } }),
            vec![
                "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes"
                    .into(),
            ],
        ),
        (
            GroupKind { group: "node.k8s.io", kind: "RuntimeClass" },
            json!({ "scheduling": { "nodeSelector": { ZONE: "a" } } }),
            vec![format!("scheduling.nodeSelector: {SINCE}")],
        ),
        (
            GroupKind { group: "admissionregistration.k8s.io", kind: "ValidatingAdmissionPolicy" },
            json!({ "metadata": { "name": "a.static.k8s.io" } }),
            vec![
                "metadata.name: names ending with \".static.k8s.io\" are reserved for static manifest-based configurations and cannot be managed via the API"
                    .into(),
            ],
        ),
    ];
    for (of, object, expected) in table {
        assert_eq!(warnings(of, &object, None), expected, "{of:?}");
        assert_eq!(warnings(of, &json!({}), None), Vec::<String>::new(), "{of:?}");
    }
}

#[test]
fn token_requests_that_stay_are_not_warned_of() {
    let of = GroupKind { group: "storage.k8s.io", kind: "CSIDriver" };
    let driver = json!({ "spec": { "tokenRequests": [{ "audience": "a" }] } });
    assert_eq!(warnings(of, &driver, Some(&driver)), Vec::<String>::new());
    assert_eq!(warnings(of, &driver, Some(&json!({ "spec": {} }))).len(), 1);
}
