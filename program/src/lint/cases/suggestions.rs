//! What findings suggest.

use super::{add, db, findings};

/// (manifest, code, suggestion): a suggestion is made only if it fixes the manifest.
#[test]
fn suggestions_fix_the_manifest() {
    let client = |spec: &str| add("v1 Service", "name: gateway", &format!("spec: {{selector: {spec}}}"));
    let read = |spec: &str| {
        add(
            "v1 Service",
            "name: db-read",
            &format!("spec: {{{spec}, selector: {{app: db}}, ports: [{{name: sql, port: 5432}}]}}"),
        )
    };
    let table: Vec<(String, &str, &str)> = vec![
        (db(&["6|  selector: {app: dv}"]), "selector-matches-nothing", "write app: db"),
        // Any label could be made to match: the ports must match, too.
        (
            db(&[&client("{app: gateway}, ports: [{name: http, port: 80}]")]),
            "selector-matches-nothing",
            "add the manifest of these pods, or correct the selector",
        ),
        (
            db(&[&client("{app: gateway}, ports: [{name: http, port: 80, targetPort: http}]")]),
            "selector-matches-nothing",
            "add the manifest of these pods, or correct the selector",
        ),
        (
            db(&["21|", &client("{app: gateway}, ports: [{name: http, port: 80}]")]),
            "selector-matches-nothing",
            "add the manifest of these pods, or correct the selector",
        ),
        (
            db(&[&client("{app: gateway}, ports: [{name: sql, port: 5432}]")]),
            "selector-matches-nothing",
            "write app: db",
        ),
        (
            db(&["3|metadata: {name: db, namespace: other}", "13|"]),
            "selector-matches-nothing",
            "write namespace: default in the Service, where the pods are",
        ),
        (
            db(&["13|  serviceName: bd"]),
            "governing-service-missing",
            "did you mean db? write serviceName: db",
        ),
        // A Service with a cluster IP does not govern.
        (
            db(&["5|", "13|  serviceName: bd"]),
            "governing-service-missing",
            "add a Service bd with spec: {clusterIP: None, selector: {app: \"db\"}, ports: [{name: sql, port: 5432}]}",
        ),
        (
            db(&["5|", "13|"]),
            "service-name-missing",
            "add a Service db with spec: {clusterIP: None, selector: {app: \"db\"}, ports: [{name: sql, port: 5432}]}, and write serviceName: db",
        ),
        (db(&["13|"]), "service-name-missing", "write serviceName: db"),
        (
            db(&["13|  serviceName: db-read", &read("clusterIP: 10.96.0.9")]),
            "governing-service-not-headless",
            "write serviceName: db",
        ),
        (
            db(&["5|"]),
            "governing-service-not-headless",
            "add a Service db-headless with spec: {clusterIP: None, selector: {app: \"db\"}, ports: [{name: sql, port: 5432}]}, and write serviceName: \
             db-headless; keep Service db for clients",
        ),
        (
            db(&["22|        args: [db-0.dv.default.svc.cluster.local]"]),
            "unknown-name",
            "did you mean db.default?",
        ),
        (
            db(&["22|        args: [db-7.dv.default.svc.cluster.local]"]),
            "unknown-name",
            "there is no Service dv in namespace default: add its manifest, or correct the name",
        ),
        (db(&["7|  ports: [{port: 5432}]"]), "port-unnamed", "write name: sql"),
        (
            db(&[&add("v1 Pod", "name: p, labels: {app: x}", "spec: {hostname: p, subdomain: dv}")]),
            "subdomain-without-service",
            "add a headless Service dv that selects the pod",
        ),
        (
            db(&[&add("v1 Endpoints", "name: dc", "subsets: [{addresses: [{ip: 10.0.0.1}]}]")]),
            "endpoints-without-service",
            "add a Service dc, without a selector, to namespace default",
        ),
        (db(&["7|  ports: [{name: sql, port: 80}]"]), "srv-port-unserved", "write targetPort: 5432"),
        (
            db(&["7|  ports: [{name: gossip, port: 7946}]"]),
            "srv-port-unserved",
            "if a container listens there, declare it: ports: [{containerPort: 7946}]; if not, write the targetPort",
        ),
        (
            db(&["7|  ports: [{name: sql, port: 80, targetPort: sqk}]"]),
            "target-port-unknown",
            "write targetPort: sql",
        ),
        (
            db(&["7|  ports: [{name: http, port: 80, targetPort: metrics}]"]),
            "target-port-unknown",
            "the containers' ports are named sql: write one of these, or name a port metrics",
        ),
        (
            db(&["7|  ports: [{name: sql, port: 5432, protocol: UDP}]"]),
            "port-protocol-differs",
            "write protocol: TCP here, or UDP at the container's port",
        ),
        // The same port over TCP exists.
        (
            db(&["7|  ports: [{name: sql, port: 5432}, {name: sql-udp, port: 5432, protocol: UDP}]"]),
            "port-protocol-differs",
            "write protocol: UDP at the container's port, if it serves both",
        ),
    ];
    for (text, code, help) in table {
        let found = findings(&text);
        let helps: Vec<_> =
            found.iter().filter(|f| f.code == Some(code)).map(|f| f.help.as_deref().unwrap()).collect();
        assert_eq!(helps, [help], "{text}");
    }
}
