//! PodDisruptionBudgets: evictions that they refuse, and pods that they cannot count.

use serde_json::{Value, json};

use super::{Api, RING, text};

/// `pkg/registry/core/pod/storage/eviction.go` and the disruption controller.
#[tokio::test]
async fn a_disruption_budget_refuses_evictions() {
    let api = Api::serve(RING).await;
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let budget = |spec: Value| {
        let mut budget = json!({ "metadata": { "name": "b" }, "spec": { "selector": { "matchLabels": { "app": "db" } } } });
        for (name, value) in spec.as_object().expect("fields") {
            budget["spec"][name] = value.clone();
        }
        budget
    };
    // Current, desired, expected and allowed, of three ready pods.
    let table = [
        (json!({ "minAvailable": 2 }), [3, 2, 3, 1]),
        (json!({ "minAvailable": "50%" }), [3, 2, 3, 1]),
        (json!({ "minAvailable": 3 }), [3, 3, 3, 0]),
        (json!({ "minAvailable": 5 }), [3, 5, 3, 0]),
        (json!({ "maxUnavailable": 0 }), [3, 3, 3, 0]),
        (json!({ "maxUnavailable": "34%" }), [3, 1, 3, 2]),
    ];
    for (spec, expected) in table {
        api.post(budgets, &budget(spec.clone())).await.ok();
        let status = api.get(&format!("{budgets}/b")).await.ok()["status"].clone();
        let numbers = ["currentHealthy", "desiredHealthy", "expectedPods", "disruptionsAllowed"];
        assert_eq!(numbers.map(|name| status[name].clone()), expected.map(Value::from), "{spec}");
        let condition = if expected[3] > 0 { "SufficientPods" } else { "InsufficientPods" };
        assert_eq!(status["conditions"][0]["reason"], condition, "{spec}");
        api.ask("DELETE", &format!("{budgets}/b"), &[], "").await.ok();
    }
    api.post(budgets, &budget(json!({ "minAvailable": 2 }))).await.ok();
    let evict = async |pod: &str| {
        let eviction = json!({ "kind": "Eviction", "apiVersion": "policy/v1", "metadata": { "name": pod } });
        api.post(&format!("/api/v1/namespaces/default/pods/{pod}/eviction"), &eviction).await
    };
    assert_eq!(evict("db-2").await.code, 201);
    // The replacement is ready at once.
    api.ask("DELETE", &format!("{budgets}/b"), &[], "").await.ok();
    api.post(budgets, &budget(json!({ "minAvailable": 3 }))).await.ok();
    let refused = evict("db-1").await;
    let expected = "Cannot evict pod as it would violate the pod's disruption budget.";
    assert_eq!(refused.failure(), (429, "TooManyRequests", expected));
    let cause = &refused.json["details"]["causes"][0];
    assert_eq!(
        (text(&cause["reason"]), text(&cause["message"])),
        ("DisruptionBudget", "The disruption budget b needs 3 healthy pods and has 3 currently")
    );
}

/// A budget states which pods it cannot count (disruption.go, trySync, getExpectedScale).
#[tokio::test]
async fn a_disruption_budget_reports_pods_it_cannot_count() {
    let template = json!({ "metadata": { "labels": { "app": "x" } }, "spec": { "containers": [{ "name": "c", "image": "i" }] } });
    let daemons = json!({ "selector": { "matchLabels": { "app": "x" } }, "template": template });
    let three = json!({ "replicas": 3, "selector": { "app": "x" }, "template": template });
    let bare = json!({ "containers": [{ "name": "c", "image": "i" }] });
    let unmanaged = "UnmanagedPods: Pods selected by this PodDisruptionBudget (selector: &LabelSelector{MatchLabels:\
                     map[string]string{},MatchExpressions:[]LabelSelectorRequirement{LabelSelectorRequirement{Key:app,\
                     Operator:In,Values:[x y],},},}) were found to be unmanaged. As a result, the status of the PDB cannot be \
                     calculated correctly, which may result in undefined behavior. To account for these pods please set \
                     \".spec.minAvailable\" field of the PDB to an integer value.";
    let no_scale = "CalculateExpectedPodCountFailed: Failed to calculate the number of expected pods: daemonsets.apps does not \
                    implement the scale subresource";
    let (pods, sets) = ("/api/v1/namespaces/default/pods", "/apis/apps/v1/namespaces/default/daemonsets");
    let controllers = "/api/v1/namespaces/default/replicationcontrollers";
    // Owner of the pods, budget, Event, condition, expected pods.
    let table = [
        (None, json!({ "maxUnavailable": 1 }), Some("NoPods: No matching pods found"), "InsufficientPods", 0),
        (Some((pods, &bare)), json!({ "maxUnavailable": 1 }), Some(unmanaged), "InsufficientPods", 0),
        (Some((pods, &bare)), json!({ "minAvailable": "50%" }), Some(unmanaged), "InsufficientPods", 0),
        (Some((pods, &bare)), json!({ "minAvailable": 0 }), None, "SufficientPods", 1),
        (Some((sets, &daemons)), json!({ "maxUnavailable": 1 }), Some(no_scale), "SyncFailed", 0),
        (Some((controllers, &three)), json!({ "maxUnavailable": 1 }), None, "SufficientPods", 3),
    ];
    for (made, mut spec, event, reason, expected) in table {
        let api = Api::serve("apiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n").await;
        if let Some((path, spec)) = made {
            let object = json!({ "metadata": { "name": "x", "labels": { "app": "x" } }, "spec": spec });
            api.post(path, &object).await.ok();
        }
        spec["selector"] =
            json!({ "matchExpressions": [{ "key": "app", "operator": "In", "values": ["x", "y"] }] });
        let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
        api.post(budgets, &json!({ "metadata": { "name": "b" }, "spec": spec })).await.ok();
        let status = api.get(&format!("{budgets}/b")).await.ok()["status"].clone();
        assert_eq!(status["conditions"][0]["reason"], reason, "{spec}");
        assert_eq!(status["expectedPods"], expected, "{spec}");
        let events = api.get("/api/v1/namespaces/default/events").await.ok();
        let items = events["items"].as_array().expect("items").iter();
        let of_budget = items.filter(|event| event["involvedObject"]["kind"] == "PodDisruptionBudget");
        let events: Vec<String> = of_budget
            .map(|event| format!("{}: {}", text(&event["reason"]), text(&event["message"])))
            .collect();
        assert_eq!(events, event.into_iter().collect::<Vec<_>>(), "{spec}");
    }
}
