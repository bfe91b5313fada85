use proptest::prelude::*;

use super::*;

/// A message of these fields.
fn of(fields: &[(u32, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    fields.iter().for_each(|(number, bytes)| put(&mut out, *number, bytes));
    out
}

/// A body as clients send it.
fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let type_meta = of(&[(1, api_version.as_bytes()), (2, kind.as_bytes())]);
    [MAGIC, &of(&[(1, &type_meta), (2, raw)])].concat()
}

#[test]
fn go_zeros_are_left_out_unless_they_mean_something() {
    let labels = of(&[(1, b"app"), (2, b"db")]);
    let empty_value = of(&[(1, b"x")]);
    let metadata = of(&[(1, b"web"), (5, b""), (8, b""), (11, &labels), (11, &empty_value)]);
    // {type: Int, intVal: 0, strVal: ""}, and {type: String, intVal: 0, strVal: "25%"}.
    let zero = b"\x08\x00\x10\x00\x1a\x00";
    let percent = b"\x08\x01\x10\x00\x1a\x0325%";
    let rolling = of(&[(1, zero), (2, percent)]);
    let volume = of(&[(1, b"scratch"), (2, &of(&[(2, b"")]))]);
    let limits = of(&[(1, b"cpu"), (2, &of(&[(1, b"500m")]))]);
    let port = b"\x0a\x00\x10\x00\x18\x50\x22\x03TCP\x2a\x00";
    let container = of(&[(1, b"c"), (3, b"sleep"), (3, b""), (6, port), (8, &of(&[(1, &limits)]))]);
    let pod = of(&[(1, &volume), (2, &container)]);
    let template = of(&[(1, b""), (2, &pod)]);
    // replicas: 0, minReadySeconds: 0.
    let spec = [&b"\x08\x00\x28\x00"[..], &of(&[(3, &template), (4, &of(&[(2, &rolling)]))])].concat();
    let raw = of(&[(1, &metadata), (2, &spec), (3, b"")]);
    let expected = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "web", "labels": { "app": "db", "x": "" } },
        "spec": {
            "replicas": 0,
            "strategy": { "rollingUpdate": { "maxUnavailable": 0, "maxSurge": "25%" } },
            "template": {
                "metadata": {},
                "spec": {
                    "volumes": [{ "name": "scratch", "emptyDir": {} }],
                    "containers": [{
                        "name": "c",
                        "command": ["sleep", ""],
                        "ports": [{ "containerPort": 80, "protocol": "TCP" }],
                        "resources": { "limits": { "cpu": "500m" } },
                    }],
                },
            },
        },
        "status": {},
    });
    assert_eq!(object(&body("apps/v1", "Deployment", &raw)), Ok(expected));
}

#[test]
fn bytes_are_base64() {
    let data = of(&[(1, b"password"), (2, b"\xff\x00\xfe")]);
    let secret = object(&body("v1", "Secret", &of(&[(2, &data)])));
    assert_eq!(secret.unwrap()["data"], json!({ "password": "/wD+" }));
}

#[test]
fn schemas_of_custom_resources() {
    let leaf = of(&[(5, b"integer")]);
    let root = [
        // additionalProperties: a schema, items: two, default, maximum 2.5, enum, a nested property.
        of(&[(5, b"object"), (30, &of(&[(2, &leaf)])), (24, &of(&[(2, &leaf), (2, &leaf)]))]),
        of(&[(8, &of(&[(1, b"{\"a\":1}")])), (20, &of(&[(1, b"3")]))]),
        [&[9 << 3 | 1][..], &2.5f64.to_le_bytes()].concat(),
        of(&[(29, &of(&[(1, b"spec"), (2, &leaf)])), (33, b"\x08\x01")]),
    ]
    .concat();
    let version = of(&[(1, b"v1"), (4, &of(&[(1, &root)])), (5, &of(&[(1, b"")]))]);
    let raw = of(&[(2, &of(&[(7, &version)]))]);
    let read = object(&body("apiextensions.k8s.io/v1", "CustomResourceDefinition", &raw)).unwrap();
    let leaf = json!({ "type": "integer" });
    let schema = json!({
        "type": "object",
        "additionalProperties": leaf,
        "items": [leaf, leaf],
        "default": { "a": 1 },
        "enum": [3],
        "maximum": 2.5,
        "properties": { "spec": leaf },
        "additionalItems": true,
    });
    let version = &read["spec"]["versions"][0];
    assert_eq!(version["schema"]["openAPIV3Schema"], schema);
    assert_eq!(version["subresources"]["status"], json!({}));
    let micro = of(&[(2, b"\x08\x80\xe2\xcf\xaa\x06\x10\xb9\x60")]);
    let event = object(&body("events.k8s.io/v1", "Event", &micro));
    assert_eq!(event.unwrap()["eventTime"], "2023-11-14T22:13:20.000012Z");
}

#[test]
fn lists_in_maps_are_messages() {
    let extra = of(&[(1, b"scopes"), (2, &of(&[(1, b"a"), (1, b"b")]))]);
    let review = body("authorization.k8s.io/v1", "SubjectAccessReview", &of(&[(2, &of(&[(5, &extra)]))]));
    assert_eq!(object(&review).unwrap()["spec"], json!({ "extra": { "scopes": ["a", "b"] } }));
}

#[test]
fn options_of_a_deletion_are_of_every_version() {
    let options = object(&body("apps/v1", "DeleteOptions", b"\x08\x00"));
    let expected = json!({ "apiVersion": "apps/v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0 });
    assert_eq!(options, Ok(expected));
}

#[test]
fn times_and_fields_of_tomorrow() {
    let metadata = of(&[(9, b"\x08\x80\xe2\xcf\xaa\x06\x10\x00"), (10_000, b"whatever")]);
    let read = object(&body("v1", "Pod", &of(&[(1, &metadata)])));
    assert_eq!(read.unwrap()["metadata"], json!({ "deletionTimestamp": "2023-11-14T22:13:20Z" }));
}

#[test]
fn what_is_none_is_refused() {
    assert_eq!(object(b"{}"), Err(ProtobufError::Magic));
    assert_eq!(object(&body("v1", "Ring", b"")), Err(ProtobufError::Kind("Ring".into())));
    assert_eq!(object(&body("clusterlocal.dev/v1", "Fault", b"")), Err(ProtobufError::Kind("Fault".into())));
    assert_eq!(object(&body("v1", "Pod", b"\x0a\x05")), Err(ProtobufError::Malformed));
    // A number where a message should be.
    assert_eq!(object(&body("v1", "Pod", b"\x08\x01")), Err(ProtobufError::Malformed));
}

proptest! {
    #[test]
    fn no_bytes_are_too_odd(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
        for (version, kind) in [
            ("v1", "Pod"),
            ("apps/v1", "Deployment"),
            ("v1", "Service"),
            ("discovery.k8s.io/v1", "EndpointSlice"),
            ("events.k8s.io/v1", "Event"),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
            ("authorization.k8s.io/v1", "SubjectAccessReview"),
        ] {
            _ = object(&body(version, kind, &raw));
        }
        _ = object(&[MAGIC, &raw].concat());
    }
}
