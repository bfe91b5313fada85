//! Tables of strategic merge patches and applies: object, patch, result. Written in YAML's flow style for readability.

mod json;
mod properties;

use serde_json::Value;

use super::MergeError;

fn version(kind: &str) -> &'static str {
    match kind {
        "Deployment" | "StatefulSet" => "apps/v1",
        "ValidatingWebhookConfiguration" => "admissionregistration.k8s.io/v1",
        "Ring" => "example.com/v1",
        _ => "v1",
    }
}

fn strategic(kind: &str, live: &mut Value, patch: &Value) -> Result<(), MergeError> {
    super::strategic(version(kind), kind, live, patch)
}

fn apply(kind: &str, last: Option<&Value>, wanted: &Value, live: &mut Value) {
    super::apply(version(kind), kind, last, wanted, live);
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn strategic_merge_patches() {
    // (kind, live, patch, patched)
    let table = [
        // Objects merge, null removes, other values replace.
        (
            "Pod",
            "{a: {b: 1, c: 2}, d: 3}",
            "{a: {b: 4, c: null}, e: {f: null, g: 5}}",
            "{a: {b: 4}, d: 3, e: {g: 5}}",
        ),
        ("Pod", "{a: {b: 1}}", "{a: 1}", "{a: 1}"),
        (
            "Node",
            "{metadata: {labels: {a: b}}}",
            "{metadata: {labels: {c: d}}}",
            "{metadata: {labels: {a: b, c: d}}}",
        ),
        // Containers by name, their lists by their own keys.
        (
            "Deployment",
            "{spec: {template: {spec: {containers: [{name: a, image: x, env: [{name: A, value: '1'}]}, {name: b}]}}}}",
            "{spec: {template: {spec: {containers: [{name: a, image: y, env: [{name: B, value: '2'}]}]}}}}",
            "{spec: {template: {spec: {containers: [{name: a, image: y, env: [{name: B, value: '2'}, {name: A, value: '1'}]}, {name: b}]}}}}",
        ),
        (
            "Pod",
            "{spec: {containers: [{name: a, ports: [{containerPort: 1, name: x}]}]}}",
            "{spec: {containers: [{name: a, ports: [{containerPort: 1, name: y}, {containerPort: 2}]}]}}",
            "{spec: {containers: [{name: a, ports: [{containerPort: 1, name: y}, {containerPort: 2}]}]}}",
        ),
        (
            "Pod",
            "{spec: {volumes: [{name: v, emptyDir: {}}]}}",
            "{spec: {volumes: [{name: v, $retainKeys: [hostPath, name], hostPath: {path: /x}}]}}",
            "{spec: {volumes: [{name: v, hostPath: {path: /x}}]}}",
        ),
        (
            "Deployment",
            "{spec: {strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}}}}",
            "{spec: {strategy: {$retainKeys: [type], type: Recreate}}}",
            "{spec: {strategy: {type: Recreate}}}",
        ),
        // Of two ports with the same number, the first is patched, as in a cluster.
        (
            "Service",
            "{spec: {ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}}",
            "{spec: {ports: [{port: 53, name: dns}]}}",
            "{spec: {ports: [{port: 53, protocol: UDP, name: dns}, {port: 53, protocol: TCP}]}}",
        ),
        // A selector is merged by a patch, unlike by an apply.
        (
            "Service",
            "{spec: {selector: {a: b}}}",
            "{spec: {selector: {c: d}}}",
            "{spec: {selector: {a: b, c: d}}}",
        ),
        // Lists without keys are replaced.
        (
            "Pod",
            "{spec: {tolerations: [{key: a}], volumes: [{name: v}]}}",
            "{spec: {tolerations: [{key: b}], volumes: []}}",
            "{spec: {tolerations: [{key: b}], volumes: [{name: v}]}}",
        ),
        (
            "Node",
            "{spec: {taints: [{key: a}]}}",
            "{spec: {taints: [{key: b}]}}",
            "{spec: {taints: [{key: b}]}}",
        ),
        ("Node", "{spec: {taints: [{key: a}]}}", "{spec: {taints: null}}", "{spec: {}}"),
        ("Endpoints", "{subsets: [{ports: [{port: 1}]}]}", "{subsets: []}", "{subsets: []}"),
        // Sets.
        (
            "Service",
            "{metadata: {finalizers: [a, b]}}",
            "{metadata: {finalizers: [b, c]}}",
            "{metadata: {finalizers: [a, b, c]}}",
        ),
        (
            "Pod",
            "{metadata: {finalizers: [a, b, c]}}",
            "{metadata: {$deleteFromPrimitiveList/finalizers: [a, x], finalizers: [d]}}",
            "{metadata: {finalizers: [d, b, c]}}",
        ),
        (
            "Pod",
            "{metadata: {finalizers: [a, b, c]}}",
            "{metadata: {$setElementOrder/finalizers: [c, a]}}",
            "{metadata: {finalizers: [b, c, a]}}",
        ),
        // Directives.
        (
            "Pod",
            "{spec: {containers: [{name: a}, {name: b}, {name: c}]}}",
            "{spec: {containers: [{name: b, $patch: delete}, {name: x, $patch: delete}]}}",
            "{spec: {containers: [{name: a}, {name: c}]}}",
        ),
        (
            "Pod",
            "{spec: {containers: [{name: a}]}}",
            "{spec: {containers: [{$patch: replace}, {name: b}]}}",
            "{spec: {containers: [{name: b}]}}",
        ),
        (
            "Pod",
            "{spec: {securityContext: {a: 1, b: 2}}}",
            "{spec: {securityContext: {$patch: replace, c: 3}}}",
            "{spec: {securityContext: {c: 3}}}",
        ),
        ("Pod", "{spec: {a: {b: 1}}}", "{spec: {a: {$patch: delete}}}", "{spec: {a: {}}}"),
        ("Pod", "{spec: {a: {b: 1}}}", "{spec: {a: {$patch: merge, c: 2}}}", "{spec: {a: {b: 1, c: 2}}}"),
        ("Pod", "{}", "{spec: {a: {$patch: delete, c: 2}}}", "{spec: {a: {c: 2}}}"),
        // The patch of `kubectl rollout undo` for a StatefulSet.
        (
            "StatefulSet",
            "{spec: {replicas: 3, template: {metadata: {labels: {a: b}}, spec: {hostname: x}}}}",
            "{spec: {template: {$patch: replace, spec: {hostname: y}}}}",
            "{spec: {replicas: 3, template: {spec: {hostname: y}}}}",
        ),
        // The list order that kubectl sends along.
        (
            "Pod",
            "{spec: {containers: [{name: a}, {name: b}]}}",
            "{spec: {$setElementOrder/containers: [{name: c}, {name: b}, {name: a}], containers: [{name: c}]}}",
            "{spec: {containers: [{name: c}, {name: b}, {name: a}]}}",
        ),
        (
            "Pod",
            "{spec: {containers: [{name: istio}, {name: a}, {name: b}]}}",
            "{spec: {$setElementOrder/containers: [{name: b}, {name: a}], containers: [{name: a, image: x}]}}",
            "{spec: {containers: [{name: istio}, {name: b}, {name: a, image: x}]}}",
        ),
        (
            "Pod",
            "{spec: {containers: [{name: a}, {name: istio}]}}",
            "{spec: {$setElementOrder/containers: [{name: a}, {name: b}], containers: [{name: b}]}}",
            "{spec: {containers: [{name: a}, {name: b}, {name: istio}]}}",
        ),
        // Without it the items of the patch are in its order, with a new one before those it does not name.
        (
            "Pod",
            "{spec: {containers: [{name: a}, {name: b}]}}",
            "{spec: {containers: [{name: x}]}}",
            "{spec: {containers: [{name: x}, {name: a}, {name: b}]}}",
        ),
        (
            "Pod",
            "{spec: {containers: [{name: a}, {name: b}]}}",
            "{spec: {containers: [{name: b}, {name: x}, {name: a}]}}",
            "{spec: {containers: [{name: b}, {name: x}, {name: a}]}}",
        ),
        (
            "Pod",
            "{spec: {containers: [{name: a}, {name: b}]}}",
            "{spec: {containers: [{name: a, $patch: delete}, {name: x}]}}",
            "{spec: {containers: [{name: x}, {name: b}]}}",
        ),
        (
            "Deployment",
            "{metadata: {finalizers: [x/b]}}",
            "{metadata: {finalizers: [x/a]}}",
            "{metadata: {finalizers: [x/a, x/b]}}",
        ),
        (
            "Pod",
            "{status: {conditions: [{type: Ready, status: 'True'}, {type: X, status: 'True'}]}}",
            "{status: {$setElementOrder/conditions: [{type: Ready}], conditions: [{type: Ready, status: 'False'}]}}",
            "{status: {conditions: [{type: Ready, status: 'False'}, {type: X, status: 'True'}]}}",
        ),
        (
            "Pod",
            "{metadata: {ownerReferences: [{uid: '1', name: a}, {uid: '2', name: b}]}}",
            "{metadata: {ownerReferences: [{uid: '1', $patch: delete}]}}",
            "{metadata: {ownerReferences: [{uid: '2', name: b}]}}",
        ),
        // Every kind has the keys of its own lists.
        (
            "ServiceAccount",
            "{secrets: [{name: a, namespace: x}], imagePullSecrets: [{name: p}]}",
            "{secrets: [{name: a, kind: Secret}], imagePullSecrets: [{name: q}]}",
            "{secrets: [{name: a, namespace: x, kind: Secret}], imagePullSecrets: [{name: q}]}",
        ),
        (
            "ValidatingWebhookConfiguration",
            "{webhooks: [{name: a, sideEffects: None}, {name: b}]}",
            "{webhooks: [{name: a, timeoutSeconds: 5}]}",
            "{webhooks: [{name: a, sideEffects: None, timeoutSeconds: 5}, {name: b}]}",
        ),
        // Of a custom resource only the metadata is known.
        (
            "Ring",
            "{metadata: {finalizers: [a]}, spec: {containers: [{name: a}]}}",
            "{metadata: {finalizers: [b]}, spec: {containers: [{name: b}]}}",
            "{metadata: {finalizers: [b, a]}, spec: {containers: [{name: b}]}}",
        ),
    ];
    for (kind, live, patch, expected) in table {
        let mut patched = yaml(live);
        strategic(kind, &mut patched, &yaml(patch)).unwrap_or_else(|error| panic!("{patch}: {error}"));
        assert_eq!(patched, yaml(expected), "{kind} {live}, patched with {patch}");
    }
}

#[test]
fn malformed_strategic_merge_patches_are_refused() {
    let live = "{metadata: {finalizers: [a]}, spec: {containers: [{name: a}]}}";
    let table = [
        ("[]", "a strategic merge patch has to be an object"),
        ("{spec: {$patch: remove}}", "unknown patch type: \"remove\", expected merge, replace or delete"),
        ("{spec: {$retainKeys: [a], b: 1}}", "b is in the patch but not in its $retainKeys"),
        (
            "{spec: {containers: [{image: x}]}}",
            "containers: an item does not contain declared merge key: name",
        ),
        (
            "{spec: {containers: [{$patch: delete}]}}",
            "containers: an item does not contain declared merge key: name",
        ),
        (
            "{spec: {containers: [{name: a, $patch: merge}]}}",
            "containers: $patch: merge is not for an item of a list",
        ),
        (
            "{metadata: {$deleteFromPrimitiveList/finalizers: a}}",
            "$deleteFromPrimitiveList/finalizers has to be a list",
        ),
        (
            "{spec: {$setElementOrder/containers: [{}]}}",
            "$setElementOrder/containers: an item does not contain declared merge key: name",
        ),
    ];
    for (patch, expected) in table {
        let refused = strategic("Pod", &mut yaml(live), &yaml(patch));
        assert_eq!(refused, Err(MergeError::Malformed(expected.into())), "{patch}");
    }
}

#[test]
fn three_way_merges() {
    // (kind, applied before, wanted now, live, live after)
    let table = [
        // Fields that are no longer in the manifest are removed; fields of other writers are kept.
        (
            "Service",
            "{metadata: {annotations: {mine: a, old: b}}, spec: {type: NodePort}}",
            "{metadata: {annotations: {mine: c}}, spec: {}}",
            "{metadata: {annotations: {mine: a, old: b, theirs: d}, uid: x}, spec: {type: NodePort, clusterIP: 10.0.0.1}}",
            "{metadata: {annotations: {mine: c, theirs: d}, uid: x}, spec: {clusterIP: 10.0.0.1}}",
        ),
        (
            "StatefulSet",
            "{spec: {replicas: 3}}",
            "{spec: {serviceName: a}}",
            "{spec: {replicas: 5, serviceName: a}}",
            "{spec: {serviceName: a}}",
        ),
        // Scaled by hand, and not in the manifest: the number is kept.
        (
            "StatefulSet",
            "{spec: {a: 1}}",
            "{spec: {a: 2}}",
            "{spec: {a: 1, replicas: 5}}",
            "{spec: {a: 2, replicas: 5}}",
        ),
        // Containers are merged by name; an injected sidecar is kept.
        (
            "Pod",
            "{spec: {containers: [{name: a, image: x, tty: true}, {name: b}]}}",
            "{spec: {containers: [{name: c}, {name: a, image: y}]}}",
            "{spec: {containers: [{name: a, image: x, tty: true, stdin: true}, {name: b}, {name: istio}]}}",
            "{spec: {containers: [{name: istio}, {name: c}, {name: a, image: y, stdin: true}]}}",
        ),
        // Two ports with the same number are distinct.
        (
            "Service",
            "~",
            "{spec: {ports: [{port: 53, protocol: UDP, name: dns}, {port: 53, name: dns-tcp}]}}",
            "{spec: {ports: [{port: 53, protocol: TCP, name: x, nodePort: 30000}]}}",
            "{spec: {ports: [{port: 53, protocol: UDP, name: dns}, {port: 53, protocol: TCP, name: dns-tcp, nodePort: 30000}]}}",
        ),
        // A selector is atomic.
        (
            "Service",
            "~",
            "{spec: {selector: {a: b}}}",
            "{spec: {selector: {c: d}}}",
            "{spec: {selector: {a: b}}}",
        ),
        // Lists without keys are atomic, and so is a list with an item that lacks its key.
        (
            "Pod",
            "~",
            "{spec: {tolerations: [{key: a}]}}",
            "{spec: {tolerations: [{key: b}]}}",
            "{spec: {tolerations: [{key: a}]}}",
        ),
        (
            "Pod",
            "~",
            "{spec: {volumes: [{emptyDir: {}}]}}",
            "{spec: {volumes: [{name: b}]}}",
            "{spec: {volumes: [{emptyDir: {}}]}}",
        ),
        // Sets.
        (
            "Pod",
            "{metadata: {finalizers: [a, b]}}",
            "{metadata: {finalizers: [b, c]}}",
            "{metadata: {finalizers: [a, b, x]}}",
            "{metadata: {finalizers: [b, x, c]}}",
        ),
        // An item whose type is atomic is replaced; a field of such a type that is granular is merged.
        (
            "ServiceAccount",
            "~",
            "{secrets: [{name: a}]}",
            "{secrets: [{name: a, namespace: b}, {name: c}]}",
            "{secrets: [{name: a}, {name: c}]}",
        ),
        (
            "PersistentVolume",
            "~",
            "{spec: {claimRef: {name: a}}}",
            "{spec: {claimRef: {name: a, uid: x}}}",
            "{spec: {claimRef: {name: a, uid: x}}}",
        ),
        (
            "Ring",
            "~",
            "{metadata: {finalizers: [b]}, status: {conditions: [{type: A}]}}",
            "{metadata: {finalizers: [a]}, status: {conditions: [{type: B}]}}",
            "{metadata: {finalizers: [b, a]}, status: {conditions: [{type: A}]}}",
        ),
        // Null is absent.
        ("Pod", "~", "{spec: {a: null, b: {c: null}}}", "{spec: {a: 1}}", "{spec: {b: {}}}"),
    ];
    for (kind, last, wanted, live, expected) in table {
        let (last, mut after) = (yaml(last), yaml(live));
        apply(kind, Some(&last).filter(|last| !last.is_null()), &yaml(wanted), &mut after);
        assert_eq!(after, yaml(expected), "{kind} {live}, wanted {wanted}, before {last}");
    }
}
