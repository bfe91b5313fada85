//! The node of a pod, or the message if no node admits it, in the words of kube-scheduler 1.36.

use super::*;
use crate::manifest::read_bytes;
use crate::store::Change;

/// Three nodes in two zones; `node-3` is tainted. Pod `web` is on `node-1`, pod `hermit` on `node-2`.
const CLUSTER: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: default, labels: {team: a}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: other, labels: {team: b}}}
---
{apiVersion: v1, kind: Node, metadata: {name: node-1, labels: {kubernetes.io/hostname: node-1, zone: a, disk: ssd}}}
---
{apiVersion: v1, kind: Node, metadata: {name: node-2, labels: {kubernetes.io/hostname: node-2, zone: b}}}
---
{apiVersion: v1, kind: Node, metadata: {name: node-3, labels: {kubernetes.io/hostname: node-3, zone: b}},
 spec: {taints: [{key: t, value: v, effect: NoSchedule}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {app: web, version: '1'}}, spec: {nodeName: node-1,
 containers: [{name: c, ports: [{containerPort: 80, hostPort: 80}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: hermit, labels: {app: hermit}}, spec: {nodeName: node-2, affinity: {podAntiAffinity:
 {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone, labelSelector: {matchLabels: {app: loud}}}]}}}}
---
{apiVersion: v1, kind: PersistentVolume, metadata: {name: local}, spec: {nodeAffinity: {required: {nodeSelectorTerms:
 [{matchExpressions: [{key: zone, operator: In, values: [b]}]}]}}}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: bound}, spec: {volumeName: local}, status: {phase: Bound}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: unbound}}
";

fn store(manifests: &str) -> Store {
    let mut store = Store::new();
    let manifest = read_bytes("a.yaml", manifests.as_bytes().to_vec());
    assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
    for loaded in manifest.objects {
        store.apply(Change::Put(loaded.object));
    }
    store
}

/// The node of a pod whose turn starts at `node-1`.
fn placed(store: &Store, labels: &str, spec: &str) -> String {
    let text =
        format!("{{apiVersion: v1, kind: Pod, metadata: {{name: p, labels: {labels}}}, spec: {spec}}}");
    let manifest = read_bytes("p.yaml", text.clone().into_bytes());
    assert!(manifest.problems.is_empty(), "{text}: {:?}", manifest.problems);
    let Object::Pod(pod) = manifest.objects[0].object.clone() else { panic!("no pod") };
    match place(store, &pod, &in_order(store), 0) {
        Ok(node) => node.metadata.name.to_string(),
        Err(message) => message,
    }
}

/// The message for these reasons by node, and these results of preemption.
fn refused(reasons: &str, preemption: &str) -> String {
    format!(
        "0/3 nodes are available: {reasons}. no new claims to deallocate, preemption: 0/3 nodes are available: {preemption}."
    )
}

#[test]
fn filter_plugins_admit_and_refuse_nodes() {
    let store = store(CLUSTER);
    let pod_affinity = |kind: &str, term: &str| {
        format!("{{affinity: {{{kind}: {{requiredDuringSchedulingIgnoredDuringExecution: [{term}]}}}}}}")
    };
    let node_affinity = |terms: &str| {
        format!(
            "{{affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: [{terms}]}}}}}}}}"
        )
    };
    let spread = |more: &str| {
        format!("{{topologySpreadConstraints: [{{whenUnsatisfiable: DoNotSchedule, maxSkew: 1, {more}}}]}}")
    };
    let is_web = "labelSelector: {matchLabels: {app: web}}";
    let (tolerant, port) = ("{key: t, operator: Exists}", "{containerPort: 80, hostPort: 80}");
    let (helpless, hopeful) =
        ("Preemption is not helpful for scheduling", "No preemption victims found for incoming pod");
    let table = [
        ("{}", "{}".to_string(), "node-1".to_string()),
        ("{}", "{nodeSelector: {zone: b}}".into(), "node-2".into()),
        (
            "{}",
            format!("{{nodeSelector: {{kubernetes.io/hostname: node-3}}, tolerations: [{tolerant}]}}"),
            "node-3".into(),
        ),
        (
            "{}",
            "{nodeSelector: {kubernetes.io/hostname: node-3}}".into(),
            refused(
                "1 node(s) had untolerated taint(s), 2 node(s) didn't match Pod's node affinity/selector",
                &format!("3 {helpless}"),
            ),
        ),
        ("{}", node_affinity("{matchExpressions: [{key: disk, operator: DoesNotExist}]}"), "node-2".into()),
        (
            "{}",
            node_affinity("{matchFields: [{key: metadata.name, operator: In, values: [node-9]}]}"),
            refused("3 node(s) didn't satisfy plugin(s) [NodeAffinity]", &format!("3 {helpless}")),
        ),
        (
            "{}",
            node_affinity(
                "{matchFields: [{key: metadata.name, operator: In, values: [node-1]}], matchExpressions: [{key: x, operator: Exists}]}",
            ),
            refused(
                "1 node(s) didn't match Pod's node affinity/selector, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]",
                &format!("3 {helpless}"),
            ),
        ),
        ("{}", format!("{{containers: [{{name: c, ports: [{port}]}}]}}"), "node-2".into()),
        (
            "{}",
            format!("{{nodeSelector: {{zone: a}}, containers: [{{name: c, ports: [{port}]}}]}}"),
            refused(
                "1 node(s) didn't have free ports for the requested pod ports, 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had untolerated taint(s)",
                &format!("1 {hopeful}, 2 {helpless}"),
            ),
        ),
        ("{}", pod_affinity("podAffinity", &format!("{{topologyKey: zone, {is_web}}}")), "node-1".into()),
        ("{}", pod_affinity("podAntiAffinity", &format!("{{topologyKey: zone, {is_web}}}")), "node-2".into()),
        (
            "{}",
            pod_affinity("podAffinity", "{topologyKey: zone, labelSelector: {matchLabels: {app: none}}}"),
            refused(
                "1 node(s) had untolerated taint(s), 2 node(s) didn't match pod affinity rules",
                &format!("3 {helpless}"),
            ),
        ),
        // The first pod of its kind satisfies its own affinity.
        (
            "{app: own}",
            pod_affinity("podAffinity", "{topologyKey: zone, labelSelector: {matchLabels: {app: own}}}"),
            "node-1".into(),
        ),
        // Pods of other namespaces do not count, unless they are selected.
        (
            "{}",
            pod_affinity("podAntiAffinity", &format!("{{topologyKey: zone, namespaces: [other], {is_web}}}")),
            "node-1".into(),
        ),
        (
            "{}",
            pod_affinity(
                "podAntiAffinity",
                &format!("{{topologyKey: zone, namespaceSelector: {{matchLabels: {{team: a}}}}, {is_web}}}"),
            ),
            "node-2".into(),
        ),
        (
            "{version: '2'}",
            pod_affinity(
                "podAntiAffinity",
                &format!("{{topologyKey: zone, matchLabelKeys: [version], {is_web}}}"),
            ),
            "node-1".into(),
        ),
        // The anti-affinity of an existing pod.
        ("{app: loud}", "{}".into(), "node-1".into()),
        (
            "{app: loud}",
            "{nodeSelector: {zone: b}}".into(),
            refused(
                "1 node(s) didn't match Pod's node affinity/selector, 1 node(s) didn't satisfy existing pods anti-affinity rules, 1 node(s) had untolerated taint(s)",
                &format!("1 {hopeful}, 2 {helpless}"),
            ),
        ),
        ("{app: web}", spread(&format!("topologyKey: zone, {is_web}")), "node-2".into()),
        // Nodes that the pod's selector excludes are not domains.
        (
            "{app: web}",
            format!(
                "{{nodeSelector: {{zone: a}}, topologySpreadConstraints: [{{whenUnsatisfiable: DoNotSchedule, maxSkew: 1, topologyKey: zone, {is_web}}}]}}"
            ),
            "node-1".into(),
        ),
        (
            "{app: web}",
            format!(
                "{{nodeSelector: {{zone: a}}, topologySpreadConstraints: [{{whenUnsatisfiable: DoNotSchedule, maxSkew: 1, topologyKey: zone, nodeAffinityPolicy: Ignore, {is_web}}}]}}"
            ),
            refused(
                "1 node(s) didn't match Pod's node affinity/selector, 1 node(s) didn't match pod topology spread constraints, 1 node(s) had untolerated taint(s)",
                &format!("1 {hopeful}, 2 {helpless}"),
            ),
        ),
        // With fewer domains than the required minimum, an empty one is assumed.
        ("{app: web}", spread(&format!("topologyKey: disk, {is_web}")), { "node-1".into() }),
        (
            "{app: web}",
            spread(&format!("topologyKey: disk, minDomains: 2, {is_web}")),
            refused(
                "1 node(s) didn't match pod topology spread constraints, 1 node(s) didn't match pod topology spread constraints (missing required label), 1 node(s) had untolerated taint(s)",
                &format!("1 {hopeful}, 2 {helpless}"),
            ),
        ),
        ("{}", "{volumes: [{name: v, persistentVolumeClaim: {claimName: bound}}]}".into(), "node-2".into()),
        (
            "{}",
            "{nodeSelector: {zone: a}, volumes: [{name: v, persistentVolumeClaim: {claimName: bound}}]}"
                .into(),
            refused(
                "1 node(s) didn't match PersistentVolume's node affinity, 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had untolerated taint(s)",
                &format!("3 {helpless}"),
            ),
        ),
        (
            "{}",
            "{volumes: [{name: v, persistentVolumeClaim: {claimName: unbound}}]}".into(),
            "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found".into(),
        ),
        (
            "{}",
            "{volumes: [{name: v, persistentVolumeClaim: {claimName: none}}]}".into(),
            "0/3 nodes are available: persistentvolumeclaim \"none\" not found. not found".into(),
        ),
    ];
    for (labels, spec, expected) in table {
        assert_eq!(placed(&store, labels, &spec), expected, "{labels} {spec}");
    }
}

/// (the state of the node, the tolerations, the node of the pod or the message)
#[test]
fn taints_are_tolerated_or_refuse_pods() {
    let (key, cordoned) = ("node.kubernetes.io/unschedulable", "1 node(s) were unschedulable");
    let tainted = "1 node(s) had untolerated taint(s)";
    let table = [
        ("spec: {unschedulable: true}", String::new(), cordoned),
        ("spec: {unschedulable: true}", format!("{{key: {key}, operator: Exists}}"), "n"),
        ("spec: {taints: [{key: a, value: b, effect: NoExecute}]}", String::new(), tainted),
        ("spec: {taints: [{key: a, value: b, effect: NoExecute}]}", "{key: a, value: b}".into(), "n"),
        ("spec: {taints: [{key: a, value: b, effect: NoExecute}]}", "{key: a, value: c}".into(), tainted),
        (
            "spec: {taints: [{key: a, value: b, effect: NoExecute}]}",
            "{key: a, operator: Exists, effect: NoSchedule}".into(),
            tainted,
        ),
        ("spec: {taints: [{key: a, effect: PreferNoSchedule}]}", String::new(), "n"),
        ("status: {conditions: [{type: Ready, status: Unknown}]}", String::new(), tainted),
        ("status: {conditions: [{type: Ready, status: Unknown}]}", "{operator: Exists}".into(), "n"),
    ];
    for (node, toleration, expected) in table {
        let store = store(&format!("{{apiVersion: v1, kind: Node, metadata: {{name: n}}, {node}}}"));
        let placed = placed(&store, "{}", &format!("{{tolerations: [{toleration}]}}"));
        let plain = placed.strip_prefix("0/1 nodes are available: ").unwrap_or(&placed);
        assert_eq!(plain.split('.').next(), expected.split('.').next(), "{node} {toleration}");
    }
}
