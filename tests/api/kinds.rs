//! The kinds that no controller here uses: they can be created, read, changed and deleted.

use serde_json::{Value, json};

use super::{Api, JSON, MERGE, RING, names, text};

/// Every resource of every version in discovery, with its path and whether it is namespaced.
async fn resources(api: &Api) -> Vec<(String, Value)> {
    let mut versions = vec!["/api/v1".to_owned()];
    for group in api.get("/apis").await.ok()["groups"].as_array().expect("groups") {
        for version in group["versions"].as_array().expect("versions") {
            versions.push(format!("/apis/{}", text(&version["groupVersion"])));
        }
    }
    let mut all = Vec::new();
    for version in versions {
        for resource in api.get(&version).await.ok()["resources"].as_array().expect("resources") {
            if !text(&resource["name"]).contains('/') {
                all.push((version.clone(), resource.clone()));
            }
        }
    }
    all
}

/// A request for a certificate in PEM, as base64.
const CERTIFICATE_REQUEST: &str = "\
    LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIck1JR1JBZ0VBTUM4eEZUQVRCZ05WQkFvTURITjVjM1Js\
    YlRwdWIyUmxjekVXTUJRR0ExVUVBd3dOYzNsegpkR1Z0T201dlpHVTZZVEJaTUJNR0J5cUdTTTQ5QWdFR0NDcUdTTTQ5QXdF\
    SEEwSUFCUFdnWmZoZHNVQWdYbkJBCmEvNWVFUUplQmoxT1B6VmRVYzY1T0dnbm4vVXdXbThLdGxKMjlKVnJDelRIdDNrTUFG\
    ZmpsN3hGMUVQakQySmIKcVVHdDhVdWdBREFLQmdncWhrak9QUVFEQWdOSkFEQkdBaUVBdXdscEtaejNuMmJpazRhY25ManVQ\
    NzBFdVp6TQo1ZlowYlR5a2pXakltMjBDSVFESGNtWG9raUZIc1h1SW13SmNaOUwrVzlDdkQyMXV2aTRUMGcySU82ZG5SUT09\
    Ci0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo=";

/// The required fields of each kind with its own rules. All others only need a name.
fn required(kind: &str) -> Option<Value> {
    let pod = json!({ "containers": [{ "name": "c", "image": "i" }] });
    let template = json!({ "metadata": { "labels": { "app": "x" } }, "spec": pod });
    let selector = json!({ "matchLabels": { "app": "x" } });
    Some(match kind {
        "Pod" => json!({ "spec": pod }),
        "Service" => json!({ "spec": { "ports": [{ "port": 80 }] } }),
        "StatefulSet" => {
            json!({ "spec": { "serviceName": "x", "selector": selector, "template": template } })
        }
        "Deployment" | "ReplicaSet" | "DaemonSet" => {
            json!({ "spec": { "selector": selector, "template": template } })
        }
        "Job" => json!({ "spec": { "template": { "spec": {
            "restartPolicy": "Never", "containers": [{ "name": "c", "image": "i" }],
        } } } }),
        "CronJob" => {
            json!({ "spec": { "schedule": "0 0 * * *", "jobTemplate": { "spec": { "template": { "spec": {
            "restartPolicy": "Never", "containers": [{ "name": "c", "image": "i" }],
        } } } } } })
        }
        "ReplicationController" => json!({ "spec": { "selector": { "app": "x" }, "template": template } }),
        "EndpointSlice" => json!({ "addressType": "IPv4", "endpoints": [] }),
        "HorizontalPodAutoscaler" => json!({ "spec": {
            "maxReplicas": 2, "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "x" },
        } }),
        "Ingress" => {
            json!({ "spec": { "defaultBackend": { "service": { "name": "s", "port": { "number": 1 } } } } })
        }
        "IngressClass" => json!({ "spec": { "controller": "example.com/c" } }),
        "IPAddress" => {
            json!({ "spec": { "parentRef": { "resource": "services", "namespace": "default", "name": "s" } } })
        }
        "ServiceCIDR" => json!({ "spec": { "cidrs": ["10.0.0.0/24"] } }),
        "RoleBinding" | "ClusterRoleBinding" => role_ref(),
        "StorageClass" => json!({ "provisioner": "example.com/p" }),
        "PriorityClass" => json!({ "value": 1 }),
        "ControllerRevision" => json!({ "revision": 1, "data": {} }),
        "PersistentVolumeClaim" => json!({ "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } },
        } }),
        "PersistentVolume" => json!({ "spec": {
            "accessModes": ["ReadWriteOnce"], "capacity": { "storage": "1Gi" }, "hostPath": { "path": "/x" },
        } }),
        "Fault" | "CustomResourceDefinition" | "Event" => return None,
        _ => least_of_administrators(kind),
    })
}

/// The same for kinds that administrators and add-ons write.
fn least_of_administrators(kind: &str) -> Value {
    let rule = json!({
        "operations": ["CREATE"], "apiGroups": ["a.b"], "apiVersions": ["v1"], "resources": ["c"],
    });
    let constraints = json!({ "resourceRules": [rule] });
    match kind {
        "PodTemplate" => json!({ "template": { "spec": { "containers": [{ "name": "c", "image": "i" }] } } }),
        "APIService" => json!({ "spec": {
            "group": "example.com", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1,
        } }),
        "CSIStorageCapacity" => json!({ "storageClassName": "s" }),
        "VolumeAttachment" => json!({ "spec": {
            "attacher": "a.b", "nodeName": "n", "source": { "persistentVolumeName": "p" },
        } }),
        "VolumeAttributesClass" => json!({ "driverName": "a.b", "parameters": { "c": "d" } }),
        "RuntimeClass" => json!({ "handler": "h" }),
        "FlowSchema" => json!({ "spec": { "priorityLevelConfiguration": { "name": "p" } } }),
        "PriorityLevelConfiguration" => json!({ "spec": {
            "type": "Limited", "limited": { "limitResponse": { "type": "Reject" } },
        } }),
        "CertificateSigningRequest" => json!({ "spec": {
            "request": CERTIFICATE_REQUEST, "signerName": "a.b/c", "usages": ["client auth"],
        } }),
        "ValidatingAdmissionPolicy" => json!({ "spec": {
            "matchConstraints": constraints, "validations": [{ "expression": "true" }],
        } }),
        "ValidatingAdmissionPolicyBinding" => {
            json!({ "spec": { "policyName": "p", "validationActions": ["Deny"] } })
        }
        "MutatingAdmissionPolicy" => json!({ "spec": {
            "matchConstraints": constraints, "reinvocationPolicy": "Never",
            "mutations": [{ "patchType": "ApplyConfiguration", "applyConfiguration": { "expression": "Object{}" } }],
        } }),
        "MutatingAdmissionPolicyBinding" => json!({ "spec": { "policyName": "p" } }),
        "ResourceSlice" => json!({ "spec": {
            "driver": "a.b", "nodeName": "n", "pool": { "name": "p", "generation": 1, "resourceSliceCount": 1 },
        } }),
        _ => json!({}),
    }
}

#[tokio::test]
async fn every_kind_can_be_created_read_changed_and_deleted() {
    let api = Api::serve(RING).await;
    let mut checked = 0;
    for (version, resource) in resources(&api).await {
        let (plural, kind) = (text(&resource["name"]), text(&resource["kind"]));
        let can = |verb: &str| resource["verbs"].as_array().is_some_and(|verbs| verbs.contains(&verb.into()));
        let Some(mut object) = required(kind).filter(|_| can("create") && can("delete")) else { continue };
        let namespace = if resource["namespaced"] == true { "/namespaces/default" } else { "" };
        let collection = format!("{version}{namespace}/{plural}");
        let name = match kind {
            "IPAddress" => "192.0.2.1",
            "APIService" => "v1.example.com",
            _ => "a1",
        };
        let path = format!("{collection}/{name}");
        object["metadata"] = json!({ "name": name });
        let made = api.post(&collection, &object).await;
        assert_eq!(made.code, 201, "{collection}: {}", made.text);
        assert_eq!(
            (&made.json["kind"], &made.json["apiVersion"]),
            (&kind.into(), &version.trim_start_matches("/apis/").trim_start_matches("/api/").into()),
        );
        assert_eq!(api.post(&collection, &object).await.failure().1, "AlreadyExists", "{collection}");
        let labels = json!({ "metadata": { "labels": { "a": "b" } } });
        let labelled = api.patch(&path, MERGE, &labels).await.ok();
        assert_eq!(labelled["metadata"]["labels"]["a"], "b", "{path}");
        assert_ne!(labelled["metadata"]["resourceVersion"], made.json["metadata"]["resourceVersion"]);
        // Derived from the object as it was read.
        assert_eq!(api.put(&path, &made.json).await.failure().1, "Conflict", "{path}");
        let list = api.get(&format!("{collection}?labelSelector=a%3Db")).await.ok();
        assert_eq!((text(&list["kind"]), names(&list)), (format!("{kind}List").as_str(), vec![name]));
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let table = api.ask("GET", &path, &[("accept", table)], "").await.ok();
        assert_eq!(table["rows"][0]["cells"][0], name, "{path}");
        api.ask("DELETE", &format!("{path}?gracePeriodSeconds=0"), &[], "").await.ok();
        checked += 1;
    }
    assert!(checked >= 50, "{checked} kinds");
}

/// Names of RBAC and a few other kinds only have to be path segments; other names are DNS names (ValidateName of each
/// kind).
#[tokio::test]
async fn names_are_validated_by_the_rules_of_their_kind() {
    let api = Api::serve(RING).await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let segments = ["system:a", "A", "a_b", "a b", "10.0.0.1"];
    let not_segments = ["a/b", "a%b", "..", "."];
    let subdomains = ["a.b", "10.0.0.1", "a-b"];
    let not_subdomains = ["system:a", "A", "a_b", "a b", "a/b", "-a", "a..b"];
    let labels = ["a-b", "0a"];
    let not_labels = ["a.b", "A", "system:a"];
    let event = json!({ "involvedObject": { "kind": "Pod", "namespace": "default", "name": "p" } });
    let table: [(String, Value, &[&str], &[&str]); 10] = [
        (format!("{rbac}/clusterroles"), json!({}), &segments, &not_segments),
        (format!("{rbac}/clusterrolebindings"), role_ref(), &segments, &not_segments),
        (format!("{rbac}/namespaces/default/roles"), json!({}), &segments, &not_segments),
        (format!("{rbac}/namespaces/default/rolebindings"), role_ref(), &segments, &not_segments),
        ("/api/v1/namespaces/default/events".into(), event, &segments, &not_segments),
        ("/api/v1/namespaces/default/configmaps".into(), json!({}), &subdomains, &not_subdomains),
        ("/api/v1/namespaces/default/serviceaccounts".into(), json!({}), &subdomains, &not_subdomains),
        (
            "/apis/scheduling.k8s.io/v1/priorityclasses".into(),
            json!({ "value": 1 }),
            &subdomains,
            &not_subdomains,
        ),
        ("/api/v1/namespaces".into(), json!({}), &labels, &not_labels),
        (
            "/apis/apps/v1/namespaces/default/statefulsets".into(),
            required("StatefulSet").expect("required fields"),
            &labels,
            &not_labels,
        ),
    ];
    for (collection, object, allowed, refused) in table {
        let names = allowed.iter().map(|name| (name, 201)).chain(refused.iter().map(|name| (name, 422)));
        for (name, code) in names {
            let mut object = object.clone();
            object["metadata"] = json!({ "name": name });
            let made = api.post(&collection, &object).await;
            assert_eq!(made.code, code, "{collection} {name}: {}", made.text);
        }
    }
}

/// The required fields of an RBAC binding.
fn role_ref() -> Value {
    json!({ "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "x" } })
}

/// kubectl stopped at the first missing kind of a known group, and applied nothing after it.
#[tokio::test]
async fn no_kind_of_a_known_group_is_missing() {
    let api = Api::serve(RING).await;
    let known: Vec<String> = resources(&api)
        .await
        .into_iter()
        .map(|(version, resource)| format!("{version} {}", text(&resource["kind"])))
        .collect();
    for expected in [
        "/apis/batch/v1 CronJob",
        "/apis/autoscaling/v2 HorizontalPodAutoscaler",
        "/apis/autoscaling/v1 HorizontalPodAutoscaler",
        "/api/v1 ResourceQuota",
        "/api/v1 LimitRange",
        "/apis/scheduling.k8s.io/v1 PriorityClass",
        "/apis/admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration",
        "/apis/storage.k8s.io/v1 CSIDriver",
        "/apis/networking.k8s.io/v1 IngressClass",
        "/apis/node.k8s.io/v1 RuntimeClass",
        "/apis/coordination.k8s.io/v1 Lease",
        "/apis/apiextensions.k8s.io/v1 CustomResourceDefinition",
        "/apis/events.k8s.io/v1 Event",
    ] {
        assert!(known.iter().any(|known| known == expected), "{expected}");
    }
}

#[tokio::test]
async fn all_versions_of_a_kind_share_its_objects() {
    let api = Api::serve(RING).await;
    let scaler = json!({
        "metadata": { "name": "s" },
        "spec": {
            "maxReplicas": 3,
            "scaleTargetRef": { "kind": "Deployment", "name": "d", "apiVersion": "apps/v1" },
            "targetCPUUtilizationPercentage": 50,
        },
    });
    let path = "namespaces/default/horizontalpodautoscalers";
    api.post(&format!("/apis/autoscaling/v1/{path}"), &scaler).await.ok();
    let second = api.get(&format!("/apis/autoscaling/v2/{path}/s")).await.ok();
    assert_eq!(second["apiVersion"], "autoscaling/v2");
    assert_eq!(second["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 50);
    let first = api.get(&format!("/apis/autoscaling/v1/{path}/s")).await.ok();
    assert_eq!(first["spec"]["targetCPUUtilizationPercentage"], 50);
    let event = json!({
        "metadata": { "name": "e", "namespace": "default" },
        "eventTime": "2023-11-14T22:13:20.000012Z",
        "regarding": { "kind": "Pod", "namespace": "default", "name": "db-0" },
        "reason": "Tried", "action": "Trying", "note": "as a test", "type": "Normal",
        "reportingController": "tests", "reportingInstance": "one",
    });
    let made = api.post("/apis/events.k8s.io/v1/namespaces/default/events", &event).await.ok();
    assert_eq!((text(&made["note"]), text(&made["apiVersion"])), ("as a test", "events.k8s.io/v1"));
    let core = api.get("/api/v1/namespaces/default/events/e").await.ok();
    assert_eq!((text(&core["message"]), text(&core["involvedObject"]["name"])), ("as a test", "db-0"));
}

#[tokio::test]
async fn access_reviews_are_answered() {
    let api = Api::serve(RING).await;
    let ask = |verb: &str| json!({ "spec": { "resourceAttributes": { "verb": verb, "resource": "pods" } } });
    for (path, expected) in [
        ("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "/status/allowed"),
        ("/apis/authorization.k8s.io/v1/subjectaccessreviews", "/status/allowed"),
        ("/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews", "/status/allowed"),
        ("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", "/status/resourceRules"),
        ("/apis/authentication.k8s.io/v1/selfsubjectreviews", "/status/userInfo/username"),
    ] {
        let answer = api.post(path, &ask("delete")).await;
        assert_eq!(answer.code, 201, "{path}: {}", answer.text);
        assert!(answer.json.pointer(expected).is_some_and(|value| *value != false), "{}", answer.text);
    }
    // A resource without metadata is not rendered as a table.
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io"), ("content-type", JSON)];
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    assert_eq!(api.ask("POST", path, &table, ask("get").to_string()).await.code, 406);
    let token = "/api/v1/namespaces/default/serviceaccounts/default/token";
    let token = api.post(token, &json!({ "spec": {} })).await.ok()["status"]["token"].clone();
    let review = |token: &Value| json!({ "spec": { "token": token } });
    let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    let status = api.post(reviews, &review(&token)).await.ok()["status"].clone();
    assert_eq!(
        (&status["authenticated"], text(&status["user"]["username"])),
        (&true.into(), "system:serviceaccount:default:default")
    );
    let status = api.post(reviews, &review(&"a.b.c".into())).await.ok()["status"].clone();
    assert!(status.get("authenticated").is_none() && status["error"].is_string(), "{status}");
}

#[tokio::test]
async fn unknown_and_duplicate_fields_are_reported_by_field_validation() {
    let api = Api::serve(RING).await;
    let body = r#"{"metadata": {"name": "m"}, "datta": {}, "data": {"a": "1", "a": "2"}}"#;
    let maps = "/api/v1/namespaces/default/configmaps";
    let send = async |validation: &str| {
        let path = format!("{maps}?dryRun=All&fieldValidation={validation}");
        api.ask("POST", &path, &[("content-type", JSON)], body).await
    };
    let strict = send("Strict").await;
    let (code, _, message) = strict.failure();
    let expected = "strict decoding error: unknown field \"datta\", duplicate field \"data.a\"";
    assert!(code == 400 && message.ends_with(expected), "{message}");
    for (validation, warnings) in [("Warn", 2), ("", 2), ("Ignore", 0)] {
        let answer = send(validation).await;
        assert_eq!((answer.code, answer.headers.get_all("warning").iter().count()), (201, warnings));
    }
    let warned = send("Warn").await;
    assert_eq!(warned.headers["warning"], r#"299 - "unknown field \"datta\"""#);
}

#[tokio::test]
async fn yaml_is_served_on_request() {
    let api = Api::serve(RING).await;
    let yaml = api.ask("GET", "/api/v1/namespaces/default", &[("accept", "application/yaml")], "").await;
    assert_eq!(yaml.headers["content-type"], "application/yaml");
    assert!(yaml.text.contains("kind: Namespace\n"), "{}", yaml.text);
}

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

/// The quota controller computes the usage, the admission plugin refuses requests.
#[tokio::test]
async fn a_quota_counts_usage_and_refuses_excess() {
    let api = Api::serve(RING).await;
    api.post("/api/v1/namespaces", &json!({ "metadata": { "name": "q" } })).await.ok();
    let quotas = "/api/v1/namespaces/q/resourcequotas";
    let hard =
        json!({ "pods": "2", "cpu": "1", "memory": "500Mi", "services": "1", "count/configmaps": "3" });
    api.post(quotas, &json!({ "metadata": { "name": "test-quota" }, "spec": { "hard": hard } })).await.ok();
    let used = async |name: &str| {
        api.get(&format!("{quotas}/test-quota")).await.ok()["status"]["used"][name].clone()
    };
    assert_eq!((used("pods").await, used("count/configmaps").await), ("0".into(), "1".into()));
    let pod = |name: &str, resources: Value| json!({ "metadata": { "name": name }, "spec": { "containers": [{ "name": "c", "image": "i", "resources": resources }] } });
    let pods = "/api/v1/namespaces/q/pods";
    let small = json!({ "requests": { "cpu": "500m", "memory": "252Mi" } });
    api.post(pods, &pod("one", small)).await.ok();
    assert_eq!(
        (used("pods").await, used("cpu").await, used("memory").await),
        ("1".into(), "500m".into(), "252Mi".into())
    );
    let large = json!({ "requests": { "cpu": "600m", "memory": "100Mi" } });
    assert_eq!(
        api.post(pods, &pod("two", large)).await.failure(),
        (
            403,
            "Forbidden",
            "pods \"two\" is forbidden: exceeded quota: test-quota, requested: cpu=600m, used: cpu=500m, limited: cpu=1"
        )
    );
    assert_eq!(
        api.post(pods, &pod("two", json!({}))).await.failure().2,
        "pods \"two\" is forbidden: failed quota: test-quota: must specify cpu for: c; memory for: c"
    );
    api.ask("DELETE", &format!("{pods}/one?gracePeriodSeconds=0"), &[], "").await.ok();
    assert_eq!(used("cpu").await, "0");
}

#[tokio::test]
async fn a_limit_range_sets_defaults_and_refuses_excess() {
    let api = Api::serve(RING).await;
    let limits = json!([{
        "type": "Container",
        "min": { "cpu": "50m" },
        "max": { "cpu": "500m" },
        "default": { "cpu": "300m" },
        "defaultRequest": { "cpu": "100m" },
    }]);
    let range = json!({ "metadata": { "name": "r" }, "spec": { "limits": limits } });
    api.post("/api/v1/namespaces/default/limitranges", &range).await.ok();
    let pod = |name: &str, resources: Value| json!({ "metadata": { "name": name }, "spec": { "containers": [{ "name": "c", "image": "i", "resources": resources }] } });
    let pods = "/api/v1/namespaces/default/pods";
    let made = api.post(pods, &pod("one", json!({}))).await.ok();
    assert_eq!(
        made["spec"]["containers"][0]["resources"],
        json!({ "requests": { "cpu": "100m" }, "limits": { "cpu": "300m" } })
    );
    assert_eq!(
        api.post(pods, &pod("two", json!({ "limits": { "cpu": "600m" } }))).await.failure().2,
        "pods \"two\" is forbidden: maximum cpu usage per Container is 500m, but limit is 600m"
    );
}
