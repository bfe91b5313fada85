//! Creation and updates of objects, and the messages if they are refused.

mod hostile;
mod jobs;
mod rollouts;

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Allocator, Refusal, Written};
use crate::view::render;
use clusterlocal_core::store::*;

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// An object of `kind` named `a` in `default`, with the fields in `rest`.
fn object_of(kind: Kind, rest: &str) -> Value {
    let mut json = yaml(rest);
    json["apiVersion"] = kind.api_version().into();
    json["kind"] = kind.as_str().into();
    if json["metadata"].get("name").is_none() {
        json["metadata"]["name"] = "a".into();
    }
    if kind.is_namespaced() {
        json["metadata"]["namespace"] = "default".into();
    }
    json
}

fn create(kind: Kind, json: Value) -> Result<Object, Refusal> {
    super::create(kind, json, &Allocator::default())
}

fn update(old: &Object, before: &Value, after: Value, written: Written) -> Result<Object, Refusal> {
    super::update(old, before, after, written, &Allocator::default())
}

fn causes(refusal: Refusal) -> Vec<super::Cause> {
    super::causes(Err(refusal))
}

fn messages(refusal: &Refusal) -> Vec<String> {
    causes(refusal.clone()).iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
}

const SET: &str = "{spec: {serviceName: a, replicas: 2, selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: a}}, spec: {containers: [{name: c, image: i}]}}}}";
const POD: &str = "{spec: {containers: [{name: c, image: i}]}}";
const SERVICE: &str = "{spec: {clusterIP: 10.96.0.9, ports: [{port: 80}], selector: {app: a}}}";

#[test]
fn what_is_taken() {
    let table = [
        (Kind::StatefulSet, SET),
        (Kind::Deployment, SET),
        (Kind::Pod, POD),
        (Kind::Service, SERVICE),
        (Kind::Service, "{spec: {clusterIP: None, selector: {app: a}}}"),
        (Kind::Service, "{spec: {type: ExternalName, externalName: example.org}}"),
        (Kind::Namespace, "{}"),
        (Kind::Node, "{status: {addresses: [{type: InternalIP, address: 10.0.0.1}]}}"),
        (
            Kind::PersistentVolumeClaim,
            "{spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}",
        ),
        (Kind::Endpoints, "{subsets: [{addresses: [{ip: 10.0.0.1}], ports: [{port: 1}]}]}"),
        (Kind::EndpointSlice, "{addressType: IPv4, endpoints: [{addresses: [10.0.0.1]}]}"),
    ];
    for (kind, rest) in table {
        let made = create(kind, object_of(kind, rest))
            .unwrap_or_else(|invalid| panic!("{rest}: {:?}", messages(&invalid)));
        assert_eq!(
            made.key().to_string(),
            if kind.is_namespaced() { format!("{kind} default/a") } else { format!("{kind} a") }
        );
        assert!(made.metadata().given.is_some(), "{rest}");
    }
}

#[test]
fn what_is_refused_and_why() {
    let table: &[(Kind, &str, &[&str])] = &[
        (
            Kind::StatefulSet,
            "{spec: {template: {spec: {containers: [{name: c, image: i}]}}}}",
            &[
                "spec.selector: Required value",
                "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`",
            ],
        ),
        (
            Kind::StatefulSet,
            "{spec: {replicas: -1, selector: {}, template: {spec: {containers: [{name: c, image: i}]}}}}",
            &[
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
                "spec.selector: Invalid value: {}: empty selector is invalid for statefulset",
            ],
        ),
        (
            Kind::Deployment,
            "{spec: {selector: {matchLabels: {app: b}}, template: {metadata: {labels: {app: a}}, spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}",
            &[
                "spec.template.metadata.labels: Invalid value: {\"app\":\"a\"}: `selector` does not match template `labels`",
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            ],
        ),
        (
            Kind::Job,
            "{spec: {template: {spec: {containers: [{name: c, image: i}]}}}}",
            &["spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""],
        ),
        (
            Kind::Pod,
            "{spec: {containers: [{name: c}, {name: c, image: i}, {image: i}]}}",
            &[
                "spec.containers[0].image: Required value",
                "spec.containers[1].name: Duplicate value: \"c\"",
                "spec.containers[2].name: Required value",
            ],
        ),
        (Kind::Pod, "{spec: {}}", &["spec.containers: Required value"]),
        (
            Kind::Pod,
            "{metadata: {name: A_b}, spec: {containers: [{name: c, image: i, ports: [{containerPort: 70000}]}]}}",
            &[
                "metadata.name: Invalid value: \"A_b\": a lowercase RFC 1123 subdomain must consist of",
                "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            ],
        ),
        (
            Kind::Pod,
            "{metadata: {labels: {a: b c}}, spec: {subdomain: A, containers: [{name: c, image: i, ports: [{containerPort: 1, name: a--b}]}]}}",
            &[
                "metadata.labels: Invalid value: \"b c\": a valid label must be",
                "spec.containers[0].ports[0].name: Invalid value: \"a--b\": must not contain consecutive hyphens",
                "spec.subdomain: Invalid value: \"A\": a lowercase RFC 1123 label must consist of",
            ],
        ),
        (
            Kind::Service,
            "{metadata: {name: 0A}, spec: {ports: [{port: 80, name: x}, {port: 80, name: x}, {port: 81}]}}",
            &[
                "metadata.name: Invalid value: \"0A\": a lowercase RFC 1123 label must consist of",
                "spec.ports[1].name: Duplicate value: \"x\"",
                "spec.ports[2].name: Required value",
                "spec.ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":80,",
            ],
        ),
        (Kind::Service, "{spec: {selector: {a: b}}}", &["spec.ports: Required value"]),
        (
            Kind::Service,
            "{spec: {type: External, ports: [{port: 1}]}}",
            &[
                "spec.type: Unsupported value: \"External\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
            ],
        ),
        (Kind::Service, "{spec: {type: ExternalName}}", &["spec.externalName: Required value"]),
        (
            Kind::Service,
            "{spec: {clusterIP: 10.0.0.256, ports: [{port: 1}]}}",
            &["spec.clusterIPs[0]: Invalid value: \"10.0.0.256\": must be a valid IP address"],
        ),
        (
            Kind::EndpointSlice,
            "{addressType: IPv4, endpoints: [{addresses: []}]}",
            &["endpoints[0].addresses: Required value: must contain at least 1 address"],
        ),
    ];
    let mut wrong = Vec::new();
    for (kind, rest, expected) in table {
        let invalid = create(*kind, object_of(*kind, rest)).expect_err(rest);
        let messages = messages(&invalid);
        let is_expected = |(message, expected): (&String, &&str)| message.starts_with(*expected);
        if messages.len() != expected.len() || !messages.iter().zip(*expected).all(is_expected) {
            wrong.push(format!("{rest}: {messages:#?}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "{}", wrong.join("\n"));
    let reasons: Vec<_> =
        causes(create(Kind::Service, object_of(Kind::Service, "{spec: {type: X}}")).expect_err("a type"));
    let reasons: Vec<_> = reasons.iter().map(|cause| cause.reason).collect();
    assert_eq!(reasons, ["FieldValueRequired", "FieldValueNotSupported"]);
}

/// A store with one object, as the API would make it.
fn stored(kind: Kind, rest: &str) -> Store {
    let mut store = Store::new();
    let made = create(kind, object_of(kind, rest))
        .unwrap_or_else(|invalid| panic!("{rest}: {:?}", messages(&invalid)));
    store.apply(Change::Put(made));
    store
}

fn the_one(store: &Store) -> &Stored {
    let object = store.objects().next().expect("an object");
    store.stored(&object.key()).expect("it is there")
}

fn shown(store: &Store) -> Value {
    render::object(the_one(store), &render::Context::now(store))
}

/// Lets a client merge `patch` into the one object of `store`.
fn edit(store: &Store, patch: &str) -> Result<Object, Vec<String>> {
    let before = shown(store);
    let mut after = before.clone();
    clusterlocal_core::merge::json_merge(&mut after, &yaml(patch));
    update(&the_one(store).object, &before, after, Written::Whole).map_err(|invalid| messages(&invalid))
}

#[test]
fn what_may_be_changed_and_what_not() {
    let set_only = "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
    let pod_only = "spec: Forbidden: pod updates may not change fields other than";
    let claim = "{spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}";
    let slice = "{addressType: IPv4, endpoints: [{addresses: [10.0.0.1]}]}";
    let table = [
        (
            Kind::StatefulSet,
            SET,
            "{spec: {replicas: 5, template: {spec: {hostname: x}}, minReadySeconds: 3}}",
            "",
        ),
        (Kind::StatefulSet, SET, "{metadata: {labels: {x: y}, annotations: {z: w}}}", ""),
        (Kind::StatefulSet, SET, "{spec: {serviceName: b}}", set_only),
        (Kind::StatefulSet, SET, "{spec: {podManagementPolicy: Parallel}}", set_only),
        (
            Kind::Deployment,
            SET,
            "{spec: {selector: {matchLabels: {app: b}}, template: {metadata: {labels: {app: b}}}}}",
            "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"b\"}}: field is immutable",
        ),
        (
            Kind::Deployment,
            SET,
            "{spec: {replicas: 0, paused: true, strategy: {type: Recreate, rollingUpdate: null}}}",
            "",
        ),
        (Kind::Service, SERVICE, "{spec: {ports: [{port: 81}], selector: {app: b}}}", ""),
        (
            Kind::Service,
            SERVICE,
            "{spec: {clusterIP: 10.96.0.10}}",
            "spec.clusterIPs[0]: Invalid value: [\"10.96.0.10\"]: may not change once set",
        ),
        (
            Kind::Service,
            SERVICE,
            "{spec: {clusterIP: None}}",
            "spec.clusterIPs[0]: Invalid value: [\"None\"]: may not change once set",
        ),
        (Kind::Service, SERVICE, "{spec: {clusterIP: null, clusterIPs: null}}", ""),
        (Kind::Service, SERVICE, "{spec: {type: ExternalName, externalName: example.org}}", ""),
        (Kind::Pod, POD, "{metadata: {labels: {a: b}}, spec: {activeDeadlineSeconds: 9}}", ""),
        (Kind::Pod, POD, "{spec: {hostname: x}}", pod_only),
        // Admission adds what every pod tolerates.
        (Kind::Pod, POD, "{spec: {tolerations: [{key: x}]}}", ""),
        (Kind::Pod, POD, "{spec: {containers: [{name: c, image: 'j:1'}]}}", pod_only),
        // The default of the policy derives from the tag.
        (Kind::Pod, POD, "{spec: {containers: [{name: c, image: j}]}}", ""),
        (
            Kind::PersistentVolumeClaim,
            claim,
            "{spec: {resources: {requests: {storage: 2Gi}}}}",
            "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName \
             for bound claims",
        ),
        (
            Kind::PersistentVolumeClaim,
            claim,
            "{spec: {accessModes: [ReadWriteMany]}}",
            "spec: Forbidden: spec is immutable after creation",
        ),
        (
            Kind::EndpointSlice,
            slice,
            "{addressType: IPv6, endpoints: []}",
            "addressType: Invalid value: \"IPv6\": field is immutable",
        ),
        (Kind::Node, "{}", "{spec: {unschedulable: true, taints: [{key: a, effect: NoExecute}]}}", ""),
    ];
    for (kind, rest, patch, expected) in table {
        match edit(&stored(kind, rest), patch) {
            Ok(_) => assert_eq!(expected, "", "{kind} {patch} was taken"),
            Err(causes) => {
                let first = causes.first().map_or("", String::as_str);
                assert!(!expected.is_empty() && first.starts_with(expected), "{kind} {patch}: {causes:?}");
            }
        }
    }
}

#[test]
fn a_manifest_may_be_sent_again_as_it_is() {
    for (kind, rest) in
        [(Kind::StatefulSet, SET), (Kind::Deployment, SET), (Kind::Pod, POD), (Kind::Service, SERVICE)]
    {
        let store = stored(kind, rest);
        let again = update(&the_one(&store).object, &shown(&store), object_of(kind, rest), Written::Whole);
        let again = again.unwrap_or_else(|invalid| panic!("{kind}: {:?}", messages(&invalid)));
        assert_eq!(super::whole(&again), super::whole(&the_one(&store).object), "{kind}");
    }
}

#[test]
fn what_a_manifest_left_open_is_not_asked_for_later() {
    let mut store = Store::new();
    let bare = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\nspec: {template: {metadata: {labels: {app: a}}}}\n";
    for read in clusterlocal_core::manifest::read_bytes("a.yaml", bare.into()).objects {
        store.apply(Change::Put(read.object));
    }
    assert_eq!(
        edit(&store, "{spec: {replicas: 3}}").map(|object| object.key().to_string()),
        Ok("StatefulSet default/a".into())
    );
    // A template that was refused before is not looked at (ValidateStatefulSetUpdate).
    assert!(edit(&store, "{spec: {template: {spec: {containers: [{name: c}]}}}}").is_ok());
}

#[test]
fn a_template_that_is_left_alone_is_the_same() {
    let store = stored(Kind::StatefulSet, SET);
    let Object::StatefulSet(old) = &the_one(&store).object else { panic!("no set") };
    let Ok(Object::StatefulSet(scaled)) = edit(&store, "{spec: {replicas: 5}}") else { panic!("not scaled") };
    assert!(Arc::ptr_eq(&scaled.spec.template, &old.spec.template));
    assert_eq!(scaled.spec.replicas, Some(5));
    let Ok(Object::StatefulSet(other)) = edit(&store, "{spec: {template: {spec: {hostname: x}}}}") else {
        panic!("not changed")
    };
    assert_ne!(other.spec.template, old.spec.template);
}

#[test]
fn a_label_makes_no_other_generation() {
    let topology = "apiVersion: clusterlocal.dev/v1\nkind: Topology\nsets: {a: {replicas: 1}}\n";
    let mut made = Store::new();
    for read in clusterlocal_core::manifest::read_bytes("a.yaml", topology.into()).objects {
        if read.object.kind() == Kind::StatefulSet {
            made.apply(Change::Put(read.object));
        }
    }
    for mut store in [stored(Kind::StatefulSet, SET), made] {
        for (patch, generation) in [
            ("{metadata: {labels: {x: y}}}", 1),
            ("{spec: {replicas: 7}}", 2),
            ("{metadata: {labels: {x: z}}}", 2),
        ] {
            let edited = edit(&store, patch).unwrap_or_else(|causes| panic!("{patch}: {causes:?}"));
            store.apply(Change::Put(edited));
            assert_eq!(the_one(&store).generation, generation, "{patch}");
        }
    }
}

#[test]
fn a_pod_that_is_labelled_lives_on() {
    let mut store = stored(Kind::Pod, POD);
    let Object::Pod(pod) = the_one(&store).object.clone() else { panic!("no pod") };
    let mut pod = (*pod).clone();
    pod.metadata.synthesized = true;
    Arc::make_mut(&mut pod.spec.shared).claim_templates = ["data".into()].into();
    pod.status = PodStatus {
        phase: Some(PodPhase::Running),
        ready: true,
        containers_ready: true,
        ips: [[10, 0, 0, 1].into()].into_iter().collect(),
        since: Some(Time::from_unix_millis(5)),
        restarts: 3,
        simulated: true,
        ..PodStatus::default()
    };
    store.apply(Change::Put(Object::Pod(Arc::new(pod.clone()))));
    let Ok(Object::Pod(labelled)) =
        edit(&store, "{metadata: {annotations: {clusterlocal.dev/ready: 'false'}}}")
    else {
        panic!("not labelled")
    };
    assert_eq!((&labelled.status, labelled.metadata.synthesized), (&pod.status, true));
    assert_eq!(labelled.claims().collect::<Vec<_>>(), ["data-a"]);
    assert_eq!(labelled.metadata.annotations.len(), 1);
}

#[test]
fn an_alias_has_no_address_and_what_is_not_mentioned_stays() {
    let store = stored(Kind::Service, SERVICE);
    let before = shown(&store);
    let Ok(Object::Service(alias)) = edit(&store, "{spec: {type: ExternalName, externalName: example.org}}")
    else {
        panic!("no alias")
    };
    assert_eq!(alias.addresses().count(), 0);
    let mut replaced = before.clone();
    replaced["spec"] = json!({ "ports": [{ "port": 81 }] });
    let Ok(Object::Service(replaced)) = update(&the_one(&store).object, &before, replaced, Written::Whole)
    else {
        panic!("not replaced")
    };
    assert_eq!(replaced.addresses().map(|ip| ip.to_string()).collect::<Vec<_>>(), ["10.96.0.9"]);
}

#[test]
fn what_the_server_says_is_not_kept() {
    let store = stored(Kind::Deployment, SET);
    let Ok(edited) =
        edit(&store, "{metadata: {annotations: {deployment.kubernetes.io/revision: '7', a: b}}}")
    else {
        panic!("not edited")
    };
    let given = edited.metadata().given.as_ref().expect("given").json().clone();
    assert_eq!(
        given["metadata"],
        yaml("{name: a, namespace: default, annotations: {a: b, deployment.kubernetes.io/revision: '7'}}")
    );
    // What admission gives all volumes is not what keeps this one.
    for (patch, kept) in [
        ("{metadata: {labels: {a: b}}}", "~"),
        ("{metadata: {finalizers: [x/y, kubernetes.io/pv-protection]}}", "[x/y]"),
    ] {
        let Ok(edited) = edit(
            &stored(
                Kind::PersistentVolume,
                "{spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /x}}}",
            ),
            patch,
        ) else {
            panic!("not edited")
        };
        let given = edited.metadata().given.as_ref().expect("given").json();
        assert_eq!(given["metadata"]["finalizers"], yaml(kept), "{patch}");
    }
}

#[test]
fn a_revision_is_a_template() {
    let data = "{revision: 2, data: {spec: {template: {$patch: replace, metadata: {labels: {app: a}}, spec: {containers: [{name: c, image: i}]}}}}}";
    let Ok(Object::ControllerRevision(revision)) =
        create(Kind::ControllerRevision, object_of(Kind::ControllerRevision, data))
    else {
        panic!("no revision")
    };
    let Ok(Object::StatefulSet(set)) = create(Kind::StatefulSet, object_of(Kind::StatefulSet, SET)) else {
        panic!("no set")
    };
    assert_eq!((revision.revision, &revision.template), (2, &set.spec.template));
}
