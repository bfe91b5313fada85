//! Problems of manifests: messages and positions.

use super::*;

#[test]
fn problems_have_file_line_and_column() {
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
        ("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n".into(), "a.yaml:2:7: kind: a Kustomization is input for kustomize, not an object; render it: use -k"),
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
fn manifests_that_kubectl_accepts_are_accepted() {
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
    // Of a duplicate key the last value is used, and 3.0 is a whole number.
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
fn problems_in_json_have_their_position() {
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
fn a_malformed_document_does_not_affect_the_others() {
    let manifest = read(
        "apiVersion: v1\nkind: Node\nmetadata: {name: a}\n---\n]\n---\napiVersion: v1\nkind: Node\nmetadata: {name: b}\n---\n: :\n  - }\n",
    );
    assert_eq!(keys(&manifest), ["Node a", "Node b"]);
    assert_eq!(manifest.problems.iter().map(|problem| problem.line()).collect::<Vec<_>>(), [5, 11]);
}

#[test]
fn a_problem_is_rendered_with_its_source_line() {
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
