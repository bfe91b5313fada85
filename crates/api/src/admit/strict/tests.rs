use serde_json::json;

use super::*;
use clusterlocal_core::store::Kind;

/// As a real API server answers.
#[test]
fn values_of_another_type_are_found() {
    let table = [
        (
            "Service",
            json!({"metadata": {"labels": {"app": 5}}}),
            "metadata.labels.app",
            "number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            "Service",
            json!({"metadata": {"labels": []}}),
            "metadata.labels",
            "array into Go struct field ObjectMeta.metadata.labels of type map[string]string",
        ),
        (
            "Service",
            json!({"metadata": "x"}),
            "metadata",
            "string into Go struct field Service.metadata of type v1.ObjectMeta",
        ),
        (
            "Service",
            json!({"spec": {"ports": [{"port": "80"}]}}),
            "spec.ports[0].port",
            "string into Go struct field ServicePort.spec.ports.port of type int32",
        ),
        (
            "Service",
            json!({"spec": {"ports": [{"port": 1.5}]}}),
            "spec.ports[0].port",
            "number 1.5 into Go struct field ServicePort.spec.ports.port of type int32",
        ),
        (
            "Service",
            json!({"spec": {"ports": "x"}}),
            "spec.ports",
            "string into Go struct field ServiceSpec.spec.ports of type []v1.ServicePort",
        ),
        (
            "Pod",
            json!({"spec": {"volumes": ["x"]}}),
            "spec.volumes[0]",
            "string into Go struct field PodSpec.spec.volumes of type v1.Volume",
        ),
        (
            "Pod",
            json!({"metadata": {"annotations": {"a.b/c": true}}}),
            "metadata.annotations[a.b/c]",
            "bool into Go struct field ObjectMeta.metadata.annotations of type string",
        ),
        (
            "Pod",
            json!({"spec": {"containers": [{"env": [{"name": "A", "value": 1}]}]}}),
            "spec.containers[0].env[0].value",
            "number into Go struct field EnvVar.spec.containers.env.value of type string",
        ),
    ];
    for (kind, object, path, message) in table {
        let found = clusterlocal_admission::problems("v1", kind, &object);
        let [first, ..] = &found[..] else { panic!("{object}: {found:?}") };
        let expected = format!("json: cannot unmarshal {message}");
        assert_eq!((&*first.path, &*first.message), (path, &*expected), "{object}");
    }
    let fine =
        json!({"spec": {"ports": [{"port": 80, "targetPort": "http", "name": null}], "selector": null}});
    assert_eq!(clusterlocal_admission::problems("v1", "Service", &fine), []);
}

#[test]
fn unknown_fields_have_paths() {
    let resource = Resource::of_kind(Kind::StatefulSet);
    let set = json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": { "name": "db", "labels": { "anything": "goes" }, "lables": {} },
        "spec": {
            "replica": 3,
            "template": { "spec": {
                "containers": [{ "name": "a" }, { "name": "b", "imagee": "x", "livenessProbe": { "exec": {}, "x": 1 } }],
                "volumes": [{ "name": "v", "emptyDir": {} }],
            } },
            "volumeClaimTemplates": [{ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {} }],
        },
    });
    let expected = "StatefulSet in version \"v1\" cannot be handled as a StatefulSet: strict decoding error: unknown \
                    field \"metadata.lables\", unknown field \"spec.replica\", unknown field \
                    \"spec.template.spec.containers[1].imagee\", unknown field \
                    \"spec.template.spec.containers[1].livenessProbe.x\"";
    let refused = |before| {
        let unknown = decode(resource, &mut set.clone(), before, b"")?;
        check(resource, &errors(unknown, b""))
    };
    assert_eq!(refused(None), Err(expected.into()));
    assert_eq!(refused(Some(&set)), Ok(()), "nothing new");
}

/// The order is that of sigs.k8s.io/json: of a field that stands twice the second counts, and each is named once.
#[test]
fn errors_stand_in_the_order_of_the_document() {
    let unknown = ["spec.a", "spec.x[1].z", "y"];
    let table: [(&str, &[&str]); 6] = [
        (r#"{"b": 1, "spec": {"b": 1}}"#, &["unknown spec.a", "unknown spec.x[1].z", "unknown y"]),
        (
            r#"{"y": 1, "spec": {"x": [{"z": 1}, {"z": 1}], "a": {"y": 2}}}"#,
            &["unknown y", "unknown spec.x[1].z", "unknown spec.a"],
        ),
        (
            r#"{"spec": {"n": 2, "x": [{"y": 1}, {"y": 1, "y": null}], "n": 3, "a": 1, "a": 1, "n": 4}}"#,
            &[
                "duplicate spec.x[1].y",
                "duplicate spec.n",
                "unknown spec.a",
                "duplicate spec.a",
                "unknown spec.x[1].z",
                "unknown y",
            ],
        ),
        (
            r#"{"a": 1, "a": 2, "a": 3, "y": 1}"#,
            &["duplicate a", "unknown y", "unknown spec.a", "unknown spec.x[1].z"],
        ),
        ("y: 1\nspec: {a: 1}", &["unknown spec.a", "unknown spec.x[1].z", "unknown y"]),
        ("", &["unknown spec.a", "unknown spec.x[1].z", "unknown y"]),
    ];
    for (body, expected) in table {
        let unknown = unknown.map(|path| format!("unknown field {path:?}")).to_vec();
        let found = errors(unknown, body.as_bytes());
        let found: Vec<String> =
            found.iter().map(|error| error.replace(" field \"", " ").replace('"', "")).collect();
        assert_eq!(found, expected, "{body}");
    }
}

/// As kube-apiserver 1.36 answers.
#[test]
fn the_wrong_value_that_stands_first_is_named() {
    let resource = Resource::of_kind(Kind::Pod);
    let table = [
        (
            r#"{"spec": {"containers": 5}, "metadata": {"labels": 5}}"#,
            "PodSpec.spec.containers of type []v1.Container",
        ),
        (
            r#"{"metadata": {"labels": 5}, "spec": {"containers": 5}}"#,
            "ObjectMeta.metadata.labels of type map[string]string",
        ),
        (
            r#"{"spec": {"overhead": {"cpu": "x"}, "hostNetwork": 1}, "metadata": {"deletionTimestamp": "y"}}"#,
            "quantities must match",
        ),
        (
            r#"{"spec": {"tolerations": [{}, 5], "hostNetwork": 5}}"#,
            "PodSpec.spec.tolerations of type v1.Toleration",
        ),
    ];
    for (body, expected) in table {
        let mut object = serde_json::from_str(body).expect(body);
        let refused = decode(resource, &mut object, None, body.as_bytes()).expect_err(body);
        assert!(refused.contains(expected), "{body}: {refused}");
    }
}

/// Everything that the API shows could be sent back.
#[test]
fn what_is_shown_is_known() {
    let zones = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../zones");
    let objects = clusterlocal_core::manifest::load(&[zones])
        .manifests
        .into_iter()
        .flat_map(|manifest| manifest.objects);
    let objects = objects.map(|read| (read.object.key(), read.object)).collect();
    let mut cluster = clusterlocal_core::ControlPlane::new(clusterlocal_core::Settings::default());
    cluster.apply(&objects);
    for kind in Kind::ALL {
        for stored in cluster.store().all_stored(kind, None) {
            let mut shown = crate::verbs::show::rendered(stored, &cluster);
            let unknown = decode(Resource::of_kind(kind), &mut shown, None, b"");
            assert_eq!(unknown, Ok(Vec::new()), "{shown}");
        }
    }
}
