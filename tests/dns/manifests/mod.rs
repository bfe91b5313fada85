//! Manifests from practice become the objects that a cluster would have; other files are refused without harm.

mod hostile;
mod problems;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clusterlocal_core::manifest::{self, Manifest, Severity};
use clusterlocal_core::store::{ClusterIp, IntOrName, Object, PodManagementPolicy};
use proptest::prelude::*;

fn read(text: &str) -> Manifest {
    manifest::read_bytes("a.yaml", text.into())
}

fn keys(manifest: &Manifest) -> Vec<String> {
    manifest.objects.iter().map(|read| read.object.key().to_string()).collect()
}

fn problems(manifest: &Manifest) -> Vec<String> {
    manifest.problems.iter().map(ToString::to_string).collect()
}

/// The object called `key`.
fn object<'a>(manifest: &'a Manifest, key: &str) -> &'a Object {
    let found = manifest.objects.iter().find(|read| read.object.key().to_string() == key);
    &found.unwrap_or_else(|| panic!("no {key} in {:?}", keys(manifest))).object
}

/// Written by hand over the years: comments everywhere, no namespace, an unnamed port, kinds without effect on the DNS.
const BY_HAND: &str = r#"# kubectl apply -f this.yaml
%YAML 1.1
---
# the governing service
apiVersion: "v1"   # quoted for no reason
kind: Service
metadata:
    name: ring
    labels: {app: ring}
    annotations:
        service.alpha.kubernetes.io/tolerate-unready-endpoints: "true"
spec:
    clusterIP: None
    ports:
        - port: 9042
    selector: {app: ring}
---

---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
...
---
apiVersion: apps/v1beta1 # no selector in those days
kind: StatefulSet
metadata:
  name: ring
spec:
  serviceName: ring
  template:
    metadata:
      labels:
        app: ring
    spec:
      containers:
      - name: ring
        command: ["sh", "-c", "rm -f *.pid && exec ring --seeds ring-0.ring.default.svc.cluster.local &"]
        ports:
        - {containerPort: 9042, name: cql}
        - {containerPort: 7000, name: intra}
  volumeClaimTemplates:
  - metadata: {name: data}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ring}
data:
  init.sh: |
    #!/bin/sh
    kind: Service
    --- not a document
    echo "{{ not a template }}"
"#;

#[test]
fn manifests_written_by_hand_are_read() {
    let manifest = read(BY_HAND);
    assert_eq!(problems(&manifest), [""; 0]);
    assert_eq!(
        keys(&manifest),
        ["Service default/ring", "StatefulSet default/ring", "ConfigMap default/ring"]
    );
    let skipped: Vec<_> = manifest.skipped.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    assert_eq!(skipped, [("StorageClass", 1)]);
    let Object::StatefulSet(set) = object(&manifest, "StatefulSet default/ring") else { unreachable!() };
    assert_eq!((set.spec.replicas, set.spec.selector.is_none()), (None, true));
    assert_eq!(set.spec.volume_claim_templates[0].metadata.name, "data");
    assert_eq!(manifest.objects[1].place.line(), 24);

    let windows =
        manifest::read_bytes("b.yaml", format!("\u{feff}{}", BY_HAND.replace('\n', "\r\n")).into_bytes());
    assert_eq!(problems(&windows), [""; 0]);
    assert!(manifest.objects.iter().zip(&windows.objects).all(|(a, b)| a.object == b.object));
}

/// As rendered by jsonnet and Helm: quoted keys, nulls, numbers as targetPort, source comments.
const RENDERED: &str = r#"---
# Source: broker/templates/service.yaml
"apiVersion": "v1"
"kind": "Service"
"metadata":
  "labels":
    "app.kubernetes.io/name": "broker"
  "name": "broker"
  "namespace": "queue"
"spec":
  "clusterIP": null
  "ports":
  - "name": "grpc"
    "port": 10901
    "targetPort": 10901
  - "name": "http"
    "port": 80
    "protocol": null
    "targetPort": "http"
  "selector":
    "app.kubernetes.io/name": "broker"
---
# Source: broker/templates/statefulset.yaml
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: broker, namespace: queue, annotations: null}
spec:
  podManagementPolicy: Parallel
  replicas: 3
  ordinals: null
  serviceName: broker
  selector: {matchLabels: {app.kubernetes.io/name: broker}}
  template:
    metadata:
      labels: &labels
        app.kubernetes.io/name: broker
    spec:
      nodeSelector: *labels
      initContainers: null
      containers:
      - {name: broker, ports: null}
"#;

#[test]
fn manifests_rendered_by_tools_are_read() {
    let manifest = read(RENDERED);
    assert_eq!(problems(&manifest), [""; 0]);
    let Object::Service(service) = object(&manifest, "Service queue/broker") else { unreachable!() };
    assert_eq!(service.spec.cluster_ip, ClusterIp::Unassigned);
    let targets: Vec<_> = service.spec.ports.iter().map(|port| port.target_port.clone()).collect();
    assert_eq!(targets, [Some(IntOrName::Int(10901)), Some(IntOrName::Name("http".into()))]);
    let Object::StatefulSet(set) = object(&manifest, "StatefulSet queue/broker") else { unreachable!() };
    assert_eq!(set.spec.pod_management_policy, PodManagementPolicy::Parallel);
}

/// As printed by `kubectl get … -o yaml` and `-o json`.
const DUMPED: &str = r#"apiVersion: v1
items:
- apiVersion: v1
  kind: Namespace
  metadata:
    creationTimestamp: "2026-05-01T09:00:00Z"
    name: shop
    namespace: not-namespaced
- apiVersion: v1
  kind: Pod
  metadata:
    annotations:
      note: |-
        several lines
        - with: dashes
    name: cart-0
    namespace: shop
    ownerReferences:
    - {apiVersion: apps/v1, controller: true, kind: StatefulSet, name: cart, uid: x}
  spec: {hostname: cart-0, subdomain: cart, nodeName: n1}
  status:
    conditions:
    - {status: "True", type: Ready}
    phase: Running
    podIP: 10.244.1.7
    podIPs: [{ip: 10.244.1.7}, {ip: 'fd00::7'}]
- apiVersion: metrics.k8s.io/v1beta1
  kind: PodMetrics
  metadata: {name: cart-0, namespace: shop}
- addressType: IPv4
  apiVersion: discovery.k8s.io/v1
  endpoints:
  - addresses: [10.244.1.7]
    conditions: {ready: true}
    hostname: cart-0
  kind: EndpointSlice
  metadata: {labels: {kubernetes.io/service-name: cart}, name: cart-x7, namespace: shop}
  ports: [{name: http, port: 8080, protocol: TCP}]
kind: List
metadata:
  resourceVersion: ""
"#;

#[test]
fn dumps_of_a_cluster_are_read_in_yaml_and_json() {
    let yaml = read(DUMPED);
    assert_eq!(problems(&yaml), [""; 0]);
    assert_eq!(keys(&yaml), ["Namespace shop", "Pod shop/cart-0", "EndpointSlice shop/cart-x7"]);
    let lines: Vec<u32> = yaml.objects.iter().map(|read| read.place.line()).collect();
    assert_eq!(lines, [3, 9, 30]);
    let spot = yaml.objects[1].place.locate("status.podIPs[1].ip");
    assert_eq!((spot.line, spot.column, &spot.text[spot.mark]), (26, 37, "'fd00::7'"));

    let value: serde_json::Value = serde_yaml::from_str(DUMPED).unwrap();
    let json = serde_json::to_string_pretty(&value).unwrap();
    // Two values in one file, as made by `kubectl get a -o json; kubectl get b -o json`.
    let twice =
        format!("{json}\n{}", r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "more"}}"#);
    let json = manifest::read_bytes("a.json", twice.into_bytes());
    assert_eq!(problems(&json), [""; 0]);
    assert_eq!(keys(&json)[..3], keys(&yaml));
    assert!(yaml.objects.iter().zip(&json.objects).all(|(a, b)| a.object == b.object));
    assert_eq!(keys(&json)[3], "Namespace more");
}

#[test]
fn lists_of_any_style_have_the_same_objects() {
    let table = [
        "{kind: List, apiVersion: v1, items: [{kind: Node, apiVersion: v1, metadata: {name: n}}, {kind: Pod, apiVersion: v1, metadata: {name: p}}]}",
        "kind: List\napiVersion: v1\nitems:\n- kind: Node\n  apiVersion: v1\n  metadata: {name: n}\n-\n  kind: Pod\n  apiVersion: v1\n  metadata: {name: p}\n",
        "kind: List\napiVersion: v1\nitems:\n  - {kind: Node, apiVersion: v1, metadata: &m {name: n}}\n  - {kind: Pod, apiVersion: v1, metadata: {name: p, labels: *m}}\n",
        "kind: List\napiVersion: v1\nitems:\n- kind: Node\n  apiVersion: v1\n  metadata:\n    name: n\n    note: \"one\n- two\"\n- {kind: Pod, apiVersion: v1, metadata: {name: p}}\n",
        "kind: List\napiVersion: v1\nitems:\n- kind: List\n  apiVersion: v1\n  items:\n  - kind: Node\n    apiVersion: v1\n    metadata: {name: n}\n- {kind: Pod, apiVersion: v1, metadata: {name: p}}\n",
        "kind: NodeList\napiVersion: v1\nitems:\n- metadata: {name: n}\n---\nkind: PodList\napiVersion: v1\nitems: [{metadata: {name: p}}]\n",
    ];
    for text in table {
        let manifest = read(text);
        assert_eq!(
            (problems(&manifest), keys(&manifest)),
            (vec![], vec!["Node n".into(), "Pod default/p".into()]),
            "{text}"
        );
    }
    for empty in [
        "",
        "# nothing\n---\n# here\n",
        "kind: List\napiVersion: v1\nitems: []\n",
        "kind: List\napiVersion: v1\nitems:\n",
    ] {
        let manifest = read(empty);
        assert_eq!((problems(&manifest), manifest.objects.len()), (vec![], 0), "{empty:?}");
    }
}

#[test]
fn yaml_merge_keys_are_applied() {
    let manifest = read(
        "x-base: &base {clusterIP: None}\napiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  <<: *base\n  selector: {app: a}\n",
    );
    assert_eq!(problems(&manifest), [""; 0]);
    let Object::Service(service) = object(&manifest, "Service default/a") else { unreachable!() };
    assert!(service.is_headless());
}

#[test]
fn files_are_read_in_order_and_compared() {
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    let node = |name: &str, zone: &str| {
        format!("apiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{zone: {zone}}}}}\n")
    };
    put("b.yml", &node("b", "x"));
    put("a.yaml", &(node("a", "x") + "---\n" + &node("c", "x")));
    put(
        "c.json",
        r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "c", "labels": {"zone": "y"}}}"#,
    );
    put("d.yaml", &(node("a", "x") + "---\n" + &node("d", "x")));
    put(".hidden.yaml", "}");
    put("notes.txt", "}");
    std::fs::create_dir(directory.path().join("e.yaml")).unwrap();

    let loaded = manifest::load(&[directory.path().into(), directory.path().join("b.yml")]);
    let read: Vec<_> = loaded.manifests.iter().flat_map(keys).collect();
    // Of the two nodes named c the last one is used.
    assert_eq!(read, ["Node a", "Node b", "Node c", "Node a", "Node d"]);
    let shown: Vec<_> = loaded
        .problems
        .iter()
        .map(|p| p.to_string().replace(&format!("{}/", directory.path().display()), ""))
        .collect();
    let expected = [
        "c.json:1:59: warning: Node c: is at a.yaml:7 already, with other contents: this one counts; delete one of them, or give it another name or namespace",
        "d.yaml:3:18: warning: Node a: is at a.yaml:3 already",
    ];
    assert_eq!(shown, expected);
    assert!(!loaded.has_errors());

    let missing = manifest::load(&[directory.path().join("none.yaml"), directory.path().join("e.yaml")]);
    let shown: Vec<_> = missing.problems.iter().map(|problem| problem.message.clone()).collect();
    assert_eq!(shown, ["cannot open: No such file or directory (os error 2)", "directory without manifests"]);
}
