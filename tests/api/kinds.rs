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
        "Partition" => json!({ "spec": { "groups": [{ "pods": ["db-0"] }] } }),
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
