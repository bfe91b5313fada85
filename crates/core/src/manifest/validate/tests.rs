//! Accepted and refused objects, by kind.

use crate::manifest::read_bytes;

/// The findings in an object of `kind`, without its head.
fn findings(kind: &str, rest: &str) -> Vec<String> {
    let version = match kind {
        "StatefulSet" | "Deployment" => "apps/v1",
        "EndpointSlice" => "discovery.k8s.io/v1",
        _ => "v1",
    };
    let name = if rest.starts_with("metadata:") { "" } else { "metadata: {name: a}\n" };
    let text = format!("apiVersion: {version}\nkind: {kind}\n{name}{rest}");
    let manifest = read_bytes("a.yaml", text.into_bytes());
    manifest.problems.into_iter().map(|problem| problem.message).collect()
}

#[test]
fn valid_objects_are_accepted() {
    let table = [
        ("Service", "metadata: {name: a-1}\nspec: {ports: [{port: 80, targetPort: http}]}"),
        ("Service", "spec: {clusterIP: None}"),
        // Accepted by the API server; `check` reports it.
        ("Service", "spec: {selector: {a: b}}"),
        ("Service", "spec: {ports: [{name: a, port: 53}, {name: b, port: 53, protocol: UDP}]}"),
        (
            "Service",
            "spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, 'fd00::1'], ipFamilies: [IPv4, IPv6], ports: [{port: 1}]}",
        ),
        ("Service", "spec: {type: ExternalName, externalName: db.example.org.}"),
        ("Namespace", "metadata: {name: 0-a}"),
        ("Pod", "metadata: {name: a.b-c.0}\nspec: {hostname: 0, subdomain: a}"),
        (
            "StatefulSet",
            "spec: {replicas: 250000, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b, c: d}}}}",
        ),
        ("StatefulSet", "metadata: {name: a, annotations: {ip.clusterlocal.dev/a-0: '10.0.0.1,fd00::1'}}"),
        (
            "Pod",
            "metadata: {name: a, annotations: {clusterlocal.dev/ready: 'false', clusterlocal.dev/stop-delay: 1m30s, x.y/z: ''}}",
        ),
        (
            "Node",
            "metadata: {name: a, annotations: {clusterlocal.dev/machine: 'off', clusterlocal.dev/boots: '2'}}",
        ),
        ("EndpointSlice", "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}]\nports: [{port: 1}]"),
        ("EndpointSlice", "addressType: FQDN\nendpoints: [{addresses: [a.example.org]}]"),
    ];
    for (kind, rest) in table {
        assert_eq!(findings(kind, rest), [""; 0], "{kind}: {rest}");
    }
}

#[test]
fn invalid_objects_are_refused() {
    let long = format!("metadata: {{name: {}}}\nspec: {{clusterIP: None}}", "a".repeat(64));
    let longer = format!("metadata: {{name: {}}}", "a".repeat(254));
    let table: &[(&str, &str, &[&str])] = &[
        ("Service", &long, &["metadata.name: \"aaaaaaaaaaaaaaaaaaaa\"… has 64 bytes, the maximum is 63"]),
        ("Pod", &longer, &["metadata.name: \"aaaaaaaaaaaaaaaaaaaa\"… has 254 bytes, the maximum is 253"]),
        ("Service", "metadata: {name: 0A}\nspec: {clusterIP: None}", &["metadata.name: \"0A\" is not"]),
        ("Service", "metadata: {name: 0a}\nspec: {clusterIP: None}", &[]),
        (
            "Service",
            "metadata: {name: a}\nspec: {clusterIP: None, type: LoadBalancer, ports: [{port: 1, targetPort: 0}]}",
            &["spec.clusterIPs[0]: may not be set to 'None' for LoadBalancer services"],
        ),
        ("Pod", "metadata: {labels: {a: b}}", &["metadata.name: is missing"]),
        ("Pod", "metadata: {name: a, namespace: A_b}", &["metadata.namespace: \"A_b\" is not"]),
        ("Pod", "spec: {hostname: a.b, subdomain: C}", &["spec.hostname: \"a.b\"", "spec.subdomain: \"C\""]),
        (
            "Pod",
            "metadata: {name: a, annotations: {clusterlocal.dev/ready: 'no', clusterlocal.dev/start-dela: 1s}}",
            &[
                "metadata.annotations[clusterlocal.dev/ready]: \"no\" is not \"true\" or \"false\"",
                "metadata.annotations[clusterlocal.dev/start-dela]: has no effect here",
            ],
        ),
        (
            "StatefulSet",
            "spec: {template: {metadata: {annotations: {clusterlocal.dev/ready-delay: '5'}}}}",
            &[
                "spec.template.metadata.annotations[clusterlocal.dev/ready-delay]: \"5\" is not a duration such as",
            ],
        ),
        (
            "Node",
            "metadata: {name: a, annotations: {clusterlocal.dev/machine: down, clusterlocal.dev/ready: 'true'}}",
            &[
                "metadata.annotations[clusterlocal.dev/machine]: \"down\" is not unreachable, off or up",
                "metadata.annotations[clusterlocal.dev/ready]: has no effect here",
            ],
        ),
        (
            "Service",
            "spec: {ports: [{port: 1}, {port: 1, name: A}]}",
            &[
                "spec.ports[0].name: is missing",
                "spec.ports[1].name: \"A\" is not",
                "spec.ports[1].port: 1/TCP is the port",
            ],
        ),
        (
            "Service",
            "spec: {ports: [{port: 1, name: a}, {port: 2, name: a, targetPort: a--b}]}",
            &[
                "spec.ports[1].name: \"a\" is the name of an earlier port",
                "spec.ports[1].targetPort: \"a--b\" is not",
            ],
        ),
        (
            "Service",
            "spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.2], ports: [{port: 1}]}",
            &["spec.clusterIPs: first value must match `clusterIP`"],
        ),
        (
            "Service",
            "spec: {clusterIPs: [None, 10.0.0.2]}",
            &["spec.clusterIPs: 'None' must be the first and only value"],
        ),
        (
            "Service",
            "spec: {clusterIPs: [10.0.0.1, 10.0.0.2], ports: [{port: 1}]}",
            &["spec.clusterIPs: may specify no more than one IP for each IP family"],
        ),
        (
            "Service",
            "spec: {clusterIP: 'fd00::1', ipFamilies: [IPv4], ports: [{port: 1}]}",
            &["spec.clusterIPs[0]: expected an IPv4 value as indicated by `ipFamilies[0]`"],
        ),
        (
            "Service",
            "spec: {clusterIPs: [10.0.0.1, 'fd00::1', 10.0.0.2], ports: [{port: 1}]}",
            &[
                "spec.clusterIPs: may only hold up to 2 values",
                "spec.clusterIPs: may specify no more than one IP for each IP family",
            ],
        ),
        (
            "Service",
            "spec: {ipFamilies: [IPv6, IPv4, IPv6], ports: [{port: 1}]}",
            &["spec.ipFamilies[2]: is a duplicate"],
        ),
        ("Service", "spec: {type: ExternalName}", &["spec.externalName: is missing"]),
        (
            "Service",
            "spec: {type: ExternalName, externalName: a_b, clusterIP: None}",
            &["spec.externalName: \"a_b\" is not", "spec.clusterIP: a Service of type ExternalName"],
        ),
        (
            "StatefulSet",
            "spec: {serviceName: A, replicas: 250001}",
            &["spec.serviceName: \"A\"", "spec.replicas: 250001 pods"],
        ),
        (
            "StatefulSet",
            "spec: {ordinals: {start: 2147483647}}",
            &["spec.ordinals.start: 2147483647 is too large"],
        ),
        (
            "StatefulSet",
            "metadata: {name: a, annotations: {ip.clusterlocal.dev/a-0: 10.0.0}}",
            &["metadata.annotations[ip.clusterlocal.dev/a-0]: \"10.0.0\" is not an IP address"],
        ),
        (
            "Pod",
            "metadata: {name: a, annotations: {port.clusterlocal.dev/cql: '70000', ip.clusterlocal.dev/a: here}}",
            &[
                "metadata.annotations[ip.clusterlocal.dev/a]: \"here\" is not an IP address",
                "metadata.annotations[port.clusterlocal.dev/cql]: \"70000\" is not a port from 1 to 65535",
            ],
        ),
        (
            "Deployment",
            "spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: c}}}}",
            &["spec.selector.matchLabels: a=b does not match the labels of the template (a=c)"],
        ),
        (
            "Deployment",
            "spec: {template: {spec: {containers: [{ports: [{name: a-very-long-name, containerPort: 1}]}]}}}",
            &[
                "spec.template.spec.containers[0].ports[0].name: \"a-very-long-name\"… has 16 bytes, the maximum is 15",
            ],
        ),
        (
            "EndpointSlice",
            "addressType: IPv6\nendpoints: [{}, {addresses: [10.0.0.1, x], hostname: A}]\nports: [{}, {}]",
            &[
                "endpoints[0].addresses: is empty",
                "endpoints[1].addresses[0]: 10.0.0.1 is not of the slice's addressType IPv6",
                "endpoints[1].addresses[1]: \"x\" is not an IP address",
                "endpoints[1].hostname: \"A\" is not",
                "ports[1].name: \"\" is the name of an earlier port",
            ],
        ),
        (
            "Endpoints",
            "subsets: [{addresses: [{ip: 10.0.0.1, hostname: A}]}]",
            &["subsets[0].addresses[0].hostname: \"A\""],
        ),
    ];
    for (kind, rest, expected) in table {
        let found = findings(kind, rest);
        let matches = found.iter().zip(*expected).all(|(found, expected)| found.starts_with(expected));
        assert!(found.len() == expected.len() && matches, "{kind}: {rest}\n{found:#?}");
    }
}
