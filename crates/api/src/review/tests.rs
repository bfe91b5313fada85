//! Warnings about manifests that kubectl would not apply.

use super::review;
use clusterlocal_core::manifest::read_bytes;

/// A StatefulSet and its Service, without a fault.
const GOOD: &str = "\
apiVersion: v1
kind: Service
metadata: {name: db}
spec:
  clusterIP: None
  selector: {app: db}
  ports: [{name: sql, port: 5432}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 3
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
      - name: c
        image: i
        env: [{name: A, value: '1'}]
        ports: [{name: sql, containerPort: 5432}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {a: b}
";

fn warnings(name: &str, text: &str) -> Vec<String> {
    let manifest = read_bytes(name, text.into());
    assert!(
        manifest
            .problems
            .iter()
            .all(|problem| problem.severity == clusterlocal_core::manifest::Severity::Warning),
        "{text} {manifest:?}"
    );
    let problems = review(&[manifest]);
    problems.iter().map(|problem| problem.to_string().replace(&format!("{name}:"), "")).collect()
}

#[test]
fn problems_are_reported_with_their_line() {
    // A part of the manifest, its replacement, and the warnings.
    let table: &[(&str, &str, &[&str])] = &[
        ("", "", &[]),
        // Fields that there are not.
        (
            "clusterIP: None",
            "clusterIp: None",
            &["5:14: warning: Service default/db: unknown field \"spec.clusterIp\"; did you mean clusterIP?"],
        ),
        (
            "replicas: 3",
            "replcas: 3",
            &[
                "13:12: warning: StatefulSet default/db: unknown field \"spec.replcas\"; did you mean replicas?",
            ],
        ),
        ("  replicas: 3\n", "", &[]),
        (
            "{name: c}\ndata:",
            "{name: c}\ndatas:",
            &["28:1: warning: ConfigMap default/c: unknown field \"datas\"; did you mean data?"],
        ),
        (
            "image: i\n",
            "image: i\n        volumes: []\n",
            &[
                "unknown field \"spec.template.spec.containers[0].volumes\"; did you mean spec.template.spec.volumes?",
            ],
        ),
        (
            "{name: sql, port: 5432}",
            "{name: sql, port: 5432, targetport: 1}",
            &[
                "7:47: warning: Service default/db: unknown field \"spec.ports[0].targetport\"; did you mean targetPort?",
            ],
        ),
        // Values of another type.
        (
            "{labels: {app: db}}\n    spec",
            "{labels: {app: db, version: 1}}\n    spec",
            &[
                "17:43: warning: StatefulSet default/db: spec.template.metadata.labels.version: cannot unmarshal number into Go struct field ObjectMeta.spec.template.metadata.labels of type string; write it in quotes: \"1\"",
            ],
        ),
        (
            "value: '1'",
            "value: 1",
            &["EnvVar.spec.template.spec.containers.env.value of type string; write it in quotes: \"1\""],
        ),
        ("value: '1'", "value: true", &["cannot unmarshal bool"]),
        (
            "data: {a: b}",
            "data: {a: 1}",
            &[
                "28:11: warning: ConfigMap default/c: data.a: cannot unmarshal number into Go struct field ConfigMap.data of type string",
            ],
        ),
        (
            "metadata: {name: c}",
            "metadata: {name: c, annotations: {x/y: 1}}",
            &["metadata.annotations[x/y]: cannot unmarshal number"],
        ),
        // YAML 1.1, which kubectl reads.
        (
            "value: '1'",
            "value: yes",
            &[
                "cannot unmarshal bool into Go struct field EnvVar.spec.template.spec.containers.env.value of type string; write it in quotes",
            ],
        ),
        ("value: '1'", "value: 'yes'", &[]),
        ("{name: A, value: '1'}", "{name: A, value: 0755}", &["cannot unmarshal number"]),
        (
            "      containers:\n",
            "      volumes: [{name: v, configMap: {name: c, defaultMode: 0755}}]\n      containers:\n",
            &[],
        ),
        // What validation refuses.
        (
            "port: 5432}",
            "port: 5432, targetPort: '5432'}",
            &[
                "7:47: warning: Service default/db: spec.ports[0].targetPort: Invalid value: \"5432\": must contain at least one letter (a-z)",
            ],
        ),
        (
            "metadata: {name: db}\nspec:\n  clusterIP",
            "metadata: {name: db, labels: {a: b c}}\nspec:\n  clusterIP",
            &[
                "3:22: warning: Service default/db: metadata.labels: Invalid value: \"b c\": a valid label must be an empty string",
            ],
        ),
        (
            "metadata: {name: db}\nspec:\n  clusterIP",
            "metadata: {name: db, labels: {a b: c}}\nspec:\n  clusterIP",
            &["metadata.labels: Invalid value: \"a b\": name part must consist of"],
        ),
        (
            "{labels: {app: db}}\n    spec",
            "{labels: {app: db, b: 'c d'}}\n    spec",
            &["17:16: warning: StatefulSet default/db: spec.template.labels: Invalid value: \"c d\""],
        ),
        (
            "        image: i\n",
            "",
            &[
                "20:9: warning: StatefulSet default/db: spec.template.spec.containers[0].image: Required value",
            ],
        ),
        (
            "- name: c",
            "- name: c_1",
            &["containers[0].name: Invalid value: \"c_1\": a lowercase RFC 1123 label"],
        ),
        ("- name: c\n", "-\n", &["spec.template.spec.containers[0].name: Required value"]),
        (
            "{name: A, value: '1'}",
            "{value: '1'}",
            &["spec.template.spec.containers[0].env[0].name: Required value"],
        ),
        // Duplicate keys.
        (
            "replicas: 3\n",
            "replicas: 3\n  replicas: 4\n",
            &["14:3: warning: duplicate field \"spec.replicas\": the last one counts"],
        ),
        (
            "{app: db}\n  ports",
            "{app: db, app: db}\n  ports",
            &["6:23: warning: duplicate field \"spec.selector.app\""],
        ),
        (
            "kind: ConfigMap\n",
            "kind: ConfigMap\nkind: ConfigMap\n",
            &["27:1: warning: duplicate field \"kind\""],
        ),
    ];
    let mut wrong = Vec::new();
    for (from, to, expected) in table {
        let warnings = warnings("a.yaml", &GOOD.replacen(from, to, 1));
        let all = warnings.len() == expected.len()
            && warnings.iter().zip(*expected).all(|(line, part)| line.contains(part));
        wrong.extend((!all).then(|| format!("{to}: {warnings:#?}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn items_of_lists_are_reviewed_in_every_form() {
    let item = |extra: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: a}}, spec: {{type: ExternalName, externalName: a.b{extra}}}}}"
        )
    };
    let (good, bad) = (item(""), item(", replcas: 1").replace("name: a}", "name: b}"));
    let block = format!("apiVersion: v1\nkind: List\nitems:\n- {good}\n- {bad}\n");
    let flow = format!("{{apiVersion: v1, kind: List, items: [{good},\n{bad}]}}");
    let json = "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"b\"}, \"spec\": {\"type\": \"ExternalName\", \"externalName\": \"a.b\", \"replcas\": 1}}]}";
    let typed = "apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: b}\n  spec: {type: ExternalName, externalName: a.b, replcas: 1}\n";
    for (name, text, line) in
        [("a.yaml", &*block, 5), ("a.yaml", &*flow, 2), ("a.json", json, 2), ("a.yaml", typed, 5)]
    {
        let warnings = warnings(name, text);
        assert_eq!(warnings.len(), 1, "{text} {warnings:?}");
        assert!(
            warnings[0].starts_with(&format!("{line}:"))
                && warnings[0].contains("Service default/b: unknown field \"spec.replcas\""),
            "{text} {warnings:?}"
        );
    }
}

#[test]
fn the_number_of_warnings_per_file_is_limited() {
    let bad = "apiVersion: v1\nkind: Service\nmetadata: {name: a#}\nspec: {type: ExternalName, externalName: a.b, x: 1}\n---\n";
    let many: String = (0..500).map(|n| bad.replace('#', &n.to_string())).collect();
    let warnings = warnings("a.yaml", &many);
    assert_eq!(warnings.len(), super::FILE_WARNINGS + 1);
    assert!(warnings.last().is_some_and(|last| last.contains("450 more")), "{:?}", warnings.last());
}

/// An API server would accept the project's examples and the manifests of its tests.
#[test]
fn the_examples_have_no_warnings() {
    let zones = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../zones");
    let loaded = clusterlocal_core::manifest::load(&[zones.clone(), zones.join("traps")]);
    let warnings: Vec<String> = review(&loaded.manifests).iter().map(ToString::to_string).collect();
    assert_eq!(warnings, [""; 0]);
}
