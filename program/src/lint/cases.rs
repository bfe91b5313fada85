//! The findings of each rule, and manifests without findings.

mod suggestions;

use super::{RULES, lint};
use clusterlocal_core::manifest::{self, Problem};
use clusterlocal_core::zone::Zone;
use clusterlocal_core::{ControlPlane, Settings};

fn findings(text: &str) -> Vec<Problem> {
    let manifest = manifest::read_bytes("a.yaml", text.into());
    assert_eq!(manifest.problems, [], "{text}");
    let objects = manifest.objects.iter().map(|read| (read.object.key(), read.object.clone())).collect();
    // IPv4 only, for family-unavailable.
    let pod_range = "10.244.0.0/16".parse().unwrap();
    let mut cluster = ControlPlane::new(Settings { pod_range, ..Settings::default() });
    cluster.apply(&objects);
    let zone = Zone::clone(&cluster.published().load());
    lint(&[manifest], cluster.store(), &zone)
}

/// `CODE at LINE`, in order.
fn codes(text: &str) -> Vec<String> {
    let code = |problem: &Problem| format!("{} at {}", problem.code.unwrap_or("?"), problem.line());
    findings(text).iter().map(code).collect()
}

/// A headless Service `db` and a StatefulSet `db` without findings, with some lines changed: `LINE|TEXT`. `+|TEXT` adds a
/// document.
fn db(changes: &[&str]) -> String {
    const DB: [&str; 22] = [
        "apiVersion: v1",
        "kind: Service",
        "metadata: {name: db}",
        "spec:",
        "  clusterIP: None",
        "  selector: {app: db}",
        "  ports: [{name: sql, port: 5432}]",
        "---",
        "apiVersion: apps/v1",
        "kind: StatefulSet",
        "metadata: {name: db}",
        "spec:",
        "  serviceName: db",
        "  replicas: 2",
        "  selector: {matchLabels: {app: db}}",
        "  template:",
        "    metadata: {labels: {app: db}}",
        "    spec:",
        "      containers:",
        "      - name: db",
        "        ports: [{name: sql, containerPort: 5432}]",
        "        args: [run]",
    ];
    let mut lines: Vec<String> = DB.map(String::from).to_vec();
    for change in changes {
        let (at, line) = change.split_once('|').expect("LINE|TEXT");
        match at.parse::<usize>() {
            Ok(at) => lines[at - 1] = line.into(),
            Err(_) => lines.push(format!("---\n{line}")),
        }
    }
    lines.join("\n") + "\n"
}

/// A document to add: `add("v1 Service", "name: db", "spec: {}")`.
fn add(kind: &str, metadata: &str, rest: &str) -> String {
    let (api_version, kind) = kind.split_once(' ').expect("an apiVersion and a kind");
    format!("+|apiVersion: {api_version}\nkind: {kind}\nmetadata: {{{metadata}}}\n{rest}")
}

#[test]
fn correct_manifests_have_no_findings() {
    let tables = [
        db(&[]),
        // Started together, without a readiness probe.
        db(&["14|  replicas: 3\n  podManagementPolicy: Parallel"]),
        // No declared ports.
        db(&["21|"]),
        // A Service for clients with the same pods.
        db(&[&add("v1 Service", "name: client", "spec: {selector: {app: db}, ports: [{port: 5432}]}")]),
        // One Service for each pod.
        db(&[&add("v1 Service", "name: db-0", "spec: {selector: {statefulset.kubernetes.io/pod-name: db-0}, ports: [{port: 5432}]}")]),
        // Scaled to 0.
        db(&["14|  replicas: 0"]),
        // Names of the cluster: complete, short, and with a variable.
        db(&["22|        args: [db-0.db.default.svc.cluster.local, 'db-1.db:5432', $(POD).db.default.svc, kubernetes.default.svc]"]),
        // Names outside the cluster, and text that looks like names.
        db(&["22|        args: [example.org, /var/lib/db.svc, 10.0.0.1, --config=db-7.yaml, v1.2.svc-x]"]),
        // Two sets that share their Service.
        db(&[&add("apps/v1 StatefulSet", "name: more", "spec: {serviceName: db, selector: {matchLabels: {app: db}}, template: {metadata: {labels: {app: db}}}}")]),
        // Identities of a mesh, and Services of a namespace that is not in the manifests.
        db(&["22|        args: [web.app.serviceaccount.identity.mesh.cluster.local, 'spiffe://cluster.local/ns/default/sa/db']"]),
        db(&["22|        args: ['*.db.identity.linkerd.cluster.local', 'otel-collector.observability.svc:4317']"]),
        // A gossip ring over two sets, Services for peers that are not ready, and for other ports.
        RING.into(),
        db(&[&add(
            "v1 Service",
            "name: early",
            "spec: {clusterIP: None, publishNotReadyAddresses: true, selector: {app: db}, ports: [{name: sql, port: 5432}]}",
        )]),
        // Findings that annotations allow.
        db(&[
            "3|metadata: {name: db, annotations: {clusterlocal.dev/allow: 'port-unnamed, ports-missing'}}",
            "7|  ports: [{port: 5432}]",
        ]),
        db(&[
            "11|metadata: {name: db, annotations: {clusterlocal.dev/allow: unknown-name}}",
            "22|        args: [db-7.db]",
        ]),
        // The short form.
        "{apiVersion: clusterlocal.dev/v1, kind: Topology, sets: {db: {replicas: 3, ports: {sql: 5432}, client: db-read}}}".into(),
        // Endpoints of a snapshot.
        db(&[
            &add("v1 Service", "name: out", "spec: {clusterIP: None, selector: {app: gone}, ports: [{name: x, port: 1}]}"),
            &add(
                "discovery.k8s.io/v1 EndpointSlice",
                "name: out-x, labels: {kubernetes.io/service-name: out}",
                "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}]",
            ),
        ]),
    ];
    for text in tables {
        assert_eq!(codes(&text), Vec::<String>::new(), "{text}");
    }
}

/// Manifests with findings, for every rule, with their lines.
fn cases() -> Vec<(String, &'static [&'static str])> {
    let service =
        |name: &str, spec: &str| add("v1 Service", &format!("name: {name}"), &format!("spec: {spec}"));
    let long = "a".repeat(62);
    let annotation = "service.alpha.kubernetes.io/tolerate-unready-endpoints";
    vec![
        (db(&["6|  selector: {app: dv}"]), &["selector-matches-nothing at 6"]),
        (db(&["6|  selector: {}"]), &["governing-service-selects-others at 13"]),
        (db(&["13|  serviceName: bd"]), &["governing-service-missing at 13"]),
        (db(&["13|"]), &["service-name-missing at 12"]),
        (
            db(&["11|metadata: {name: db, annotations: {clusterlocal.dev/allow: port-unnamd}}"]),
            &["unknown-code at 11"],
        ),
        (db(&["5|"]), &["governing-service-not-headless at 13"]),
        (db(&["15|"]), &["selector-missing at 12"]),
        (db(&["9|apiVersion: apps/v1beta1", "15|"]), &["api-version-removed at 9"]),
        (db(&["9|apiVersion: apps/v1beta2", "15|"]), &["api-version-removed at 9", "selector-missing at 12"]),
        (db(&["7|  ports: [{name: sql, port: 80}]"]), &["srv-port-unserved at 7"]),
        (db(&["7|  ports: [{name: sql, port: 80, targetPort: sqk}]"]), &["target-port-unknown at 7"]),
        (db(&["7|  ports: [{name: sql, port: 5432, protocol: UDP}]"]), &["port-protocol-differs at 7"]),
        (
            db(&["7|  ports: [{name: sql, port: 53, targetPort: sql, protocol: UDP}]"]),
            &["port-protocol-differs at 7"],
        ),
        (db(&["7|  ports: [{port: 5432}]"]), &["port-unnamed at 7"]),
        (db(&["7|"]), &["ports-missing at 4"]),
        (
            db(&[&format!("3|metadata: {{name: db, annotations: {{{annotation}: 'true'}}}}")]),
            &["annotation-without-effect at 3"],
        ),
        (db(&[&format!("11|metadata: {{name: {long}}}")]), &["name-too-long at 11"]),
        (
            db(&[
                "14|  podManagementPolicy: Parallel\n  replicas: 2",
                "22|        readinessProbe: {tcpSocket: {port: sql}}",
            ]),
            &["parallel-before-ready at 14"],
        ),
        (
            db(&["14|  ordinals: {start: 5}\n  updateStrategy: {rollingUpdate: {partition: 2}}"]),
            &["partition-counts-from-start at 15"],
        ),
        (db(&["22|        args: ['http://dv.default.svc.cluster.local:80']"]), &["unknown-name at 22"]),
        (db(&["22|        args: ['http://db.default.cluster.local:80']"]), &["unknown-name at 22"]),
        (db(&["22|        env: [{name: SEED, value: db-2.db}]"]), &["unknown-name at 22"]),
        (db(&["22|        command: [join, 'db-0.db.prod.svc,db-1.db.prod.svc']"]), &["unknown-name at 22"]),
        (db(&["22|        args: [_http._tcp.db.default.svc.cluster.local]"]), &["unknown-name at 22"]),
        (
            db(&[&service(
                "peers",
                "{clusterIP: None, selector: {app: db}, ports: [{name: sql, port: 5432}]}",
            )]),
            &["second-headless-service at 27"],
        ),
        (
            db(&[&add(
                "apps/v1 Deployment",
                "name: backup",
                "spec: {selector: {matchLabels: {app: db}}, template: {metadata: {labels: {app: db}}}}",
            )]),
            &["foreign-pods at 6"],
        ),
        (
            db(&[&service("out", "{type: ExternalName, externalName: 192.0.2.1}")]),
            &["external-name-address at 27"],
        ),
        (
            db(&[&service("out", "{type: ExternalName, externalName: dv.default.svc.cluster.local}")]),
            &["external-name-dangling at 27"],
        ),
        (
            db(&[&service("out", "{type: ExternalName, externalName: db.default.svc}")]),
            &["external-name-dangling at 27"],
        ),
        (
            db(&[&service("out", "{type: ExternalName, externalName: out.default.svc.cluster.local}")]),
            &["external-name-dangling at 27"],
        ),
        (
            db(&[
                &service("one", "{clusterIP: 10.96.0.9, selector: {app: db}, ports: [{port: 1}]}"),
                &service("two", "{clusterIP: 10.96.0.9, selector: {app: db}, ports: [{port: 1}]}"),
            ]),
            &["cluster-ip-taken at 32"],
        ),
        (db(&["5|  clusterIP: None\n  ipFamilies: [IPv4, IPv6]"]), &["family-unavailable at 6"]),
        (
            db(&[&add("v1 Endpoints", "name: dc", "subsets: [{addresses: [{ip: 10.0.0.1}]}]")]),
            &["endpoints-without-service at 26"],
        ),
        (
            db(&[&add("discovery.k8s.io/v1 EndpointSlice", "name: db-1", "addressType: IPv4")]),
            &["endpoints-without-service at 26"],
        ),
        (
            db(&[&add("v1 Pod", "name: p", "spec: {hostname: p, subdomain: dv}")]),
            &["subdomain-without-service at 27"],
        ),
        (
            db(&[&add(
                "clusterlocal.dev/v1 Fault",
                "name: f",
                "spec: {match: {clients: [db-9]}, actions: [drop]}",
            )]),
            &["fault-without-effect at 27"],
        ),
        (
            db(&[&add("clusterlocal.dev/v1 Fault", "name: f", "spec: {match: {name: db}, actions: [drop]}")]),
            &["fault-without-effect at 27"],
        ),
        (
            db(&[
                &service("x", "{clusterIP: None, selector: {app: x}, ports: [{name: x, port: 1}]}"),
                &add("v1 Pod", "name: p, labels: {app: x}", "spec: {hostname: p}"),
            ]),
            &["hostname-without-subdomain at 32"],
        ),
    ]
}

/// Two sets, a governing Service for each, and one that selects both.
const RING: &str = "\
{apiVersion: v1, kind: Service, metadata: {name: ring}, spec: {clusterIP: None, selector: {ring: 'yes'}, ports: [{name: gossip, port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: None, selector: {app: a}, ports: [{name: http, port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: b}, spec: {clusterIP: None, selector: {app: b}, ports: [{name: http, port: 80}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: a}
spec:
  serviceName: a
  selector: {matchLabels: {app: a}}
  template:
    metadata: {labels: {app: a, ring: 'yes'}}
    spec: {containers: [{name: c, image: i, ports: [{containerPort: 80}]}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: b}
spec:
  serviceName: b
  selector: {matchLabels: {app: b}}
  template:
    metadata: {labels: {app: b, ring: 'yes'}}
    spec: {containers: [{name: c, image: i, ports: [{containerPort: 80}]}]}
";

/// A port that several containers declare is listed once, in one finding.
#[test]
fn ports_are_listed_once() {
    let text = db(&[
        "7|  ports: [{name: gossip, port: 7946}]",
        "21|        ports: [{containerPort: 80}, {containerPort: 81}]\n      - {name: b, image: b, ports: [{containerPort: 80}]}\n      - {name: c, image: c, ports: [{containerPort: 80, protocol: UDP}]}",
        "22|",
    ]);
    let found = findings(&text);
    let messages: Vec<_> = found.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(messages, ["SRV records have port 7946, which no container declares: they declare 80, 81"]);
}

#[test]
fn each_rule_finds_its_mistake() {
    for (text, expected) in cases() {
        assert_eq!(codes(&text), expected, "{text}");
    }
}

#[test]
fn every_rule_is_listed_and_has_a_case() {
    let mut found: Vec<_> =
        cases().iter().flat_map(|(text, _)| findings(text)).filter_map(|p| p.code).collect();
    found.sort_unstable();
    found.dedup();
    let listed: Vec<_> = RULES.iter().map(|rule| rule.code).collect();
    assert_eq!(found, listed);
}

/// Common mistakes in one manifest: a set without a selector, a port at which no container listens, a Service for clients with
/// the labels of another application.
#[test]
fn common_mistakes_are_found_together() {
    let text = "\
apiVersion: v1
kind: Service
metadata:
  name: shop-peers
spec:
  clusterIP: None
  selector:
    app: shop
  ports:
  - name: http
    port: 80
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: shop-set
spec:
  serviceName: shop-peers
  replicas: 2
  template:
    metadata:
      labels:
        app: shop
    spec:
      containers:
      - name: shop
        env:
        - name: PEERS
          value: store.default.svc.cluster.local
        ports:
        - name: http
          containerPort: 8080
---
apiVersion: v1
kind: Service
metadata:
  name: shop-public
spec:
  selector:
    app: store
  ports:
  - port: 80
    targetPort: 8080
";
    let messages: Vec<String> = findings(text).iter().map(ToString::to_string).collect();
    let expected = [
        "a.yaml:11:11: warning: Service default/shop-peers: SRV records have port 80, which no container declares: they \
         declare 8080; write targetPort: 8080",
        "a.yaml:17:1: StatefulSet default/shop-set: has no spec.selector: the API server refuses it (here, the \
         labels of the template are used); write selector: {matchLabels: {app: shop}}",
        "a.yaml:29:18: warning: StatefulSet default/shop-set: store.default.svc.cluster.local does not exist in this \
         cluster's DNS; there is no Service store in namespace default: add its manifest, or correct the \
         name",
        "a.yaml:40:10: warning: Service default/shop-public: selector app=store matches no pod: the pods of StatefulSet \
         default/shop-set have app=shop; its address refuses connections; write app: shop",
    ];
    assert_eq!(messages, expected);
}
