//! Manifests as people have them become the objects a cluster would have, and files that are none of that are
//! refused without harm.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clusterlocal::manifest::{self, Manifest, Severity};
use clusterlocal::store::{ClusterIp, IntOrName, Object, PodManagementPolicy};
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

/// Written by hand over the years: comments everywhere, no namespace, an unnamed port, kinds that do not matter.
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
fn manifests_written_by_hand() {
    let manifest = read(BY_HAND);
    assert_eq!(problems(&manifest), [""; 0]);
    assert_eq!(keys(&manifest), ["Service default/ring", "StatefulSet default/ring"]);
    let skipped: Vec<_> = manifest.skipped.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    assert_eq!(skipped, [("ConfigMap", 1), ("StorageClass", 1)]);
    let Object::StatefulSet(set) = object(&manifest, "StatefulSet default/ring") else { unreachable!() };
    assert_eq!((set.spec.replicas, set.spec.selector.is_none()), (None, true));
    assert_eq!(set.spec.volume_claim_templates[0].metadata.name, "data");
    assert_eq!(manifest.objects[1].place.line(), 24);

    let windows =
        manifest::read_bytes("b.yaml", format!("\u{feff}{}", BY_HAND.replace('\n', "\r\n")).into_bytes());
    assert_eq!(problems(&windows), [""; 0]);
    assert!(manifest.objects.iter().zip(&windows.objects).all(|(a, b)| a.object == b.object));
}

/// As jsonnet and Helm render them: quoted keys, nulls, numbers as targetPort, source comments.
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
fn manifests_rendered_by_tools() {
    let manifest = read(RENDERED);
    assert_eq!(problems(&manifest), [""; 0]);
    let Object::Service(service) = object(&manifest, "Service queue/broker") else { unreachable!() };
    assert_eq!(service.spec.cluster_ip, ClusterIp::Unassigned);
    let targets: Vec<_> = service.spec.ports.iter().map(|port| port.target_port.clone()).collect();
    assert_eq!(targets, [Some(IntOrName::Int(10901)), Some(IntOrName::Name("http".into()))]);
    let Object::StatefulSet(set) = object(&manifest, "StatefulSet queue/broker") else { unreachable!() };
    assert_eq!(set.spec.pod_management_policy, PodManagementPolicy::Parallel);
}

/// As `kubectl get … -o yaml` and `-o json` print what a cluster has.
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
fn dumps_of_a_cluster_in_yaml_and_json() {
    let yaml = read(DUMPED);
    assert_eq!(problems(&yaml), [""; 0]);
    assert_eq!(keys(&yaml), ["Namespace shop", "Pod shop/cart-0", "EndpointSlice shop/cart-x7"]);
    let lines: Vec<u32> = yaml.objects.iter().map(|read| read.place.line()).collect();
    assert_eq!(lines, [3, 9, 30]);
    let spot = yaml.objects[1].place.locate("status.podIPs[1].ip");
    assert_eq!((spot.line, spot.column, &spot.text[spot.mark]), (26, 37, "'fd00::7'"));

    let value: serde_json::Value = serde_yaml::from_str(DUMPED).unwrap();
    let json = serde_json::to_string_pretty(&value).unwrap();
    // Two values in one file, as `kubectl get a -o json; kubectl get b -o json` make it.
    let twice =
        format!("{json}\n{}", r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "more"}}"#);
    let json = manifest::read_bytes("a.json", twice.into_bytes());
    assert_eq!(problems(&json), [""; 0]);
    assert_eq!(keys(&json)[..3], keys(&yaml));
    assert!(yaml.objects.iter().zip(&json.objects).all(|(a, b)| a.object == b.object));
    assert_eq!(keys(&json)[3], "Namespace more");
}

#[test]
fn lists_in_any_style_hold_the_same() {
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
fn merge_keys_merge() {
    let manifest = read(
        "x-base: &base {clusterIP: None}\napiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  <<: *base\n  selector: {app: a}\n",
    );
    assert_eq!(problems(&manifest), [""; 0]);
    let Object::Service(service) = object(&manifest, "Service default/a") else { unreachable!() };
    assert!(service.is_headless());
}

#[test]
fn mistakes_are_told_with_file_line_and_column() {
    let service = |rest: &str| format!("apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\n{rest}");
    let table = [
        ("kind: Pod\nmetadata: {name: a}\n".into(), "a.yaml:1:1: apiVersion is missing"),
        ("{}\n".into(), "a.yaml:1:1: apiVersion and kind are missing"),
        ("just words\n".into(), "a.yaml:1:1: expected a Kubernetes object, not the text \"just words\""),
        ("apiVersion: v1\nkind: StatefulSet\n".into(), "a.yaml:1:13: apiVersion: StatefulSet is not in \"v1\"; write apiVersion: apps/v1"),
        ("apiVersion: v1\nkind: Pod\nspec: {}\n".into(), "a.yaml:1:1: missing field `metadata`"),
        ("apiVersion: v1\nkind: Pod\nmetadata:\n\tname: a\n".into(), "a.yaml:4:1: a tab: YAML is indented with spaces"),
        ("apiVersion: v1\nkind: Pod\nmetadata:\n  name: \"a\n".into(), "a.yaml:5:1: found unexpected end of stream, while scanning a quoted scalar at line 4 column 9"),
        ("{{- if .Values.on }}\napiVersion: v1\nkind: Pod\n{{- end }}\n".into(), "a.yaml:1:1: looks like an unrendered Helm template; render it first"),
        ("apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Release.Name }}\n".into(), "a.yaml:4:9: looks like an unrendered Helm template"),
        (service("spec: {ports: [{port: eighty}]}"), "a.yaml:4:23: Service default/a: spec.ports[0].port: expected a port number"),
        (service("spec: {ports: [{port: 0}]}"), "a.yaml:4:23: Service default/a: spec.ports[0].port: expected a port number from 1 to 65535, not 0"),
        (service("spec: {ports: [{port: 80, protocol: tcp}]}"), "a.yaml:4:37: Service default/a: spec.ports[0].protocol: unknown variant `tcp`, expected one of `TCP`, `UDP`, `SCTP`; did you mean `TCP`?"),
        (service("spec: {clusterIP: none, ports: [{port: 80}]}"), "a.yaml:4:19: Service default/a: spec.clusterIP: \"none\" is not an IP address; write None"),
        ("apiVersion: apps/v1\nkind: Statefulset\nmetadata: {name: a}\n".into(), "a.yaml:2:7: kind: no such kind in \"apps/v1\": Statefulset; did you mean StatefulSet? write kind: StatefulSet"),
        ("apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: a}\n".into(), "a.yaml:1:13: warning: apiVersion: clusters since Kubernetes 1.22 do not know Ingress in \"extensions/v1beta1\"; write apiVersion: networking.k8s.io/v1"),
        ("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n".into(), "a.yaml:2:7: kind: a Kustomization says what kustomize makes of other files; render it: -k"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nstatus: {podIP: 10.0.0.256}\n".into(), "a.yaml:4:17: Pod default/a: status.podIP: \"10.0.0.256\" is not an IP address"),
        ("apiVersion: v1\nkind: Node\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Node\nmetadata:\n  name: a\n  labels: {x: y}\n".into(), "a.yaml:8:9: warning: Node a: is at a.yaml:3 already, with other contents: this one counts"),
        ("kind: List\napiVersion: v1\nitems:\n- kind: Node\n  apiVersion: v1\nmetadata: {a: [}\n".into(), "a.yaml:4:3: missing field `metadata`"),
        ("a: \u{1b}[2J\n".into(), "a.yaml:1:4: control character U+001B"),
        ("a: b\0".into(), "a.yaml:1:5: NUL byte; is this a text file?"),
    ];
    for (text, expected) in table {
        let found = problems(&read(&text));
        assert!(
            found.first().is_some_and(|first| first.starts_with(expected)),
            "{text}\n{found:#?}\n{expected}"
        );
    }
}

#[test]
fn what_kubectl_takes_is_taken() {
    let set = |replicas: &str| {
        format!(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: a}}\nspec:\n  {replicas}\n  template: {{}}\n"
        )
    };
    let json = |replicas: &str| {
        format!(
            r#"{{"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {{"name": "a"}}, "spec": {{{replicas}, "template": {{}}}}}}"#
        )
    };
    // Of a key that is there twice the last counts, and 3.0 is a whole number.
    let table = [
        set("replicas: 3.0"),
        set("replicas: 3e0"),
        set("replicas: 7\n  replicas: 3"),
        set("replicas: 3\n  x: {a: 1, a: 2}"),
        set("replicas: 3").replace("kind: StatefulSet", "kind: Pod\nkind: StatefulSet"),
        set("replicas: 3").replace("{name: a}", "{name: b, labels: {x: y, x: z}, name: a}"),
        json("\"replicas\": 3.0"),
        json("\"replicas\": 7, \"replicas\": 3"),
        json("\"replicas\": 3").replace("\"metadata\"", "\"kind\": \"StatefulSet\", \"metadata\""),
        set("replicas: 7") + "---\n" + &set("replicas: 3"),
    ];
    for text in table {
        let manifest = read(&text);
        assert!(
            manifest.problems.iter().all(|problem| problem.severity == Severity::Warning),
            "{text} {manifest:?}"
        );
        assert_eq!(keys(&manifest), ["StatefulSet default/a"], "{text}");
        let Object::StatefulSet(set) = object(&manifest, "StatefulSet default/a") else { unreachable!() };
        assert_eq!(set.spec.replicas, Some(3), "{text}");
    }
    let port = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 8e1}]}\n";
    let Object::Service(service) = object(&read(port), "Service default/a").clone() else { unreachable!() };
    assert_eq!(service.spec.ports[0].port, 80);
    assert_eq!(
        problems(&read(&set("replicas: 2.5")))[0],
        "a.yaml:5:13: StatefulSet default/a: spec.replicas: expected a whole number from 0 to 4294967295, such as 3, not 2.5"
    );
}

#[test]
fn a_json_mistake_is_told_at_its_place() {
    let json = r#"{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
   "spec": {"ports": [{"port": "80"}]}},
  {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "B"}}]}
{"apiVersion": "v1","#;
    let found = problems(&manifest::read_bytes("a.json", json.into()));
    let expected = [
        "a.json:3:32: Service default/a: spec.ports[0].port: expected a port number from 1 to 65535, not the text \"80\"",
        "a.json:4:60: Pod default/B: metadata.name: \"B\" is not a valid name: lower-case letters, digits, inner hyphens and dots between labels; write \"b\"",
        "a.json:5:20: EOF while parsing an object",
    ];
    assert_eq!(found, expected);
}

#[test]
fn one_bad_document_leaves_the_others_alone() {
    let manifest = read(
        "apiVersion: v1\nkind: Node\nmetadata: {name: a}\n---\n]\n---\napiVersion: v1\nkind: Node\nmetadata: {name: b}\n---\n: :\n  - }\n",
    );
    assert_eq!(keys(&manifest), ["Node a", "Node b"]);
    assert_eq!(manifest.problems.iter().map(|problem| problem.line()).collect::<Vec<_>>(), [5, 11]);
}

#[test]
fn a_problem_is_drawn_with_its_line() {
    let manifest =
        read("apiVersion: v1\nkind: Service\nmetadata:\n  name: Web\nspec: {ports: [{port: 80}]}\n");
    let expected = "\
error: Service default/Web: metadata.name: \"Web\" is not a valid name: lower-case letters, digits and inner hyphens
 --> a.yaml:4:9
  |
4 |   name: Web
  |         ^^^
  |
  = help: write \"web\"";
    assert_eq!(manifest.problems[0].render(false), expected);
    assert!(manifest.problems[0].render(true).contains("\u{1b}["));
}

#[test]
fn files_are_found_read_in_order_and_held_against_each_other() {
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
    // Of the two that are called c the last counts.
    assert_eq!(read, ["Node a", "Node b", "Node c", "Node a", "Node d"]);
    let shown: Vec<_> = loaded
        .problems
        .iter()
        .map(|p| p.to_string().replace(&format!("{}/", directory.path().display()), ""))
        .collect();
    let expected = [
        "c.json:1:59: warning: Node c: is at a.yaml:7 already, with other contents: this one counts; leave one of them out, or give it another name or namespace",
        "d.yaml:3:18: warning: Node a: is at a.yaml:3 already",
    ];
    assert_eq!(shown, expected);
    assert!(!loaded.has_errors());

    let missing = manifest::load(&[directory.path().join("none.yaml"), directory.path().join("e.yaml")]);
    let shown: Vec<_> = missing.problems.iter().map(|problem| problem.message.clone()).collect();
    assert_eq!(shown, ["cannot open: No such file or directory (os error 2)", "directory without manifests"]);
}

/// Runs `read` and holds it to a time that only work out of proportion would take, in a debug build as well.
fn refused(what: &str, read: impl FnOnce() -> Manifest) -> String {
    let begin = Instant::now();
    let manifest = read();
    assert!(begin.elapsed() < Duration::from_secs(2), "{what} took {:?}", begin.elapsed());
    assert_eq!(manifest.objects.len(), 0, "{what}");
    assert_eq!(manifest.problems[0].severity, Severity::Error);
    let shown = manifest.problems[0].to_string() + &manifest.problems[0].render(false);
    assert!(shown.len() < 4_000, "{what}: {shown}");
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{what}: {shown:?}");
    shown
}

#[test]
fn hostile_text_is_refused_cheaply() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n";
    let bomb =
        format!("{service}l: &l [{}]\nspec: {{ports: [{}]}}\n", "x,".repeat(100_000), "*l,".repeat(2_000));
    let laughs: String =
        (1..10).map(|n| format!("a{n}: &a{n} [{}]\n", format!("*a{},", n - 1).repeat(10))).collect();
    let table: [(&str, Vec<u8>, &str); 12] = [
        ("deep", "[".repeat(200_000).into(), "nested deeper than"),
        (
            "deep block",
            (service.to_owned() + "x:\n  " + &"- ".repeat(200_000)).into(),
            "more than 250000 fields",
        ),
        ("wide", format!("{service}x: [{}]", "a,".repeat(1_000_000)).into(), "more than 250000 fields"),
        ("bomb", bomb.into(), "aliases expand"),
        ("laughs", format!("{service}a0: &a0 [x]\n{laughs}").into(), "aliases expand"),
        ("one scalar", format!("{service}spec: {}", "a".repeat(5 << 20)).into(), "at most 4194304 are read"),
        (
            "long name",
            service.replace("name: a", &format!("name: {}", "a".repeat(1 << 20))).into(),
            "has 1048576 bytes",
        ),
        (
            "bad ports",
            format!("{service}spec: {{ports: [{}]}}", "{port: 1, name: A},".repeat(20_000)).into(),
            "not a valid name",
        ),
        ("problems", "---\nkind: Pod\n".repeat(50_000).into(), "apiVersion is missing"),
        ("binary", b"\x7fELF\x02\x01\x01\0\0\0".to_vec(), "control character"),
        ("UTF-16", b"\xff\xfea\0:\0 \x001\0".to_vec(), "save the file as UTF-8"),
        ("Latin-1", b"# caf\xe9\n".to_vec(), "byte 0xe9 is not UTF-8"),
    ];
    for (what, bytes, expected) in table {
        let shown = refused(what, || manifest::read_bytes("a.yaml", bytes));
        assert!(shown.contains(expected), "{what}: {shown}");
    }
    // Warnings are counted from a number on, and nothing is looked up for them.
    for document in ["apiVersion: v1\nkind: Nonsense\n", "apiVersion: v1\nkind: Node\nmetadata: {name: a}\n"]
    {
        let begin = Instant::now();
        let many = manifest::read_bytes("a.yaml", format!("---\n{document}").repeat(50_000).into());
        assert!(begin.elapsed() < Duration::from_secs(8), "{document} took {:?}", begin.elapsed());
        let last = many.problems.last().map(ToString::to_string).unwrap_or_default();
        assert!(last.contains("more warnings in this file are left out"), "{document}: {last}");
        assert!(many.problems.len() < 60 && many.objects.len() < 2, "{document}: {}", many.problems.len());
    }
    let nested =
        format!("{}{}", r#"{"apiVersion":"v1","kind":"List","items":["#.repeat(5_000), "]}".repeat(5_000));
    refused("nested Lists", || manifest::read_bytes("a.json", nested.into_bytes()));
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_without_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    nix::unistd::mkfifo(&path("fifo.yaml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::File::create(path("huge.yaml")).unwrap().set_len(200 << 20).unwrap();
    std::os::unix::fs::symlink(path("loop.yaml"), path("loop.yaml")).unwrap();
    let table: [(PathBuf, &str); 5] = [
        (path("fifo.yaml"), "not a regular file"),
        (path("huge.yaml"), "larger than 48 MiB"),
        (path("loop.yaml"), "cannot open"),
        ("/dev/zero".into(), "not a regular file"),
        (directory.path().into(), "not a regular file"),
    ];
    for (path, expected) in table {
        let shown = refused(expected, || manifest::read_file(&path));
        assert!(shown.contains(expected), "{}: {shown}", path.display());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever the bytes, there are objects and problems in the end; the body of the fuzz target `manifest`.
    #[test]
    fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..512), json: bool) {
        manifest::read_bytes(if json { "a.json" } else { "a.yaml" }, bytes);
    }

    /// The same for what is nearly a manifest: real ones, cut and with pieces changed.
    #[test]
    fn spoilt_manifests_are_read_to_an_end(
        which in 0..3_usize,
        spoilt in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(PIECES)), 1..6),
        json: bool,
    ) {
        let mut text = [BY_HAND, RENDERED, DUMPED][which].to_owned();
        for (at, piece) in spoilt {
            let at = at.index(text.len());
            if text.is_char_boundary(at) {
                text.insert_str(at, piece);
            }
        }
        let manifest = manifest::read_bytes(if json { "a.json" } else { "a.yaml" }, text.into_bytes());
        for problem in &manifest.problems {
            problem.render(false);
        }
        for read in &manifest.objects {
            read.place.locate("spec.ports[0].name");
        }
    }
}

/// What manifests are spoilt with: everything that means something to YAML, JSON or us.
const PIECES: &[&str] = &[
    "\n---\n",
    "\n...\n",
    "- ",
    ": ",
    "\n",
    "  ",
    "\t",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "&a ",
    "*a",
    "<<: *a\n",
    "!x ",
    "|",
    ">",
    "#",
    "? ",
    "%",
    "\0",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "é",
    "\r",
    "items:\n",
    "kind: List\n",
    "{{ .x }}",
    "clusterIP: None\n",
    ",",
    "null",
    "~",
    "0x1f",
    "1e9",
    "-1",
];
