//! Snapshots: recorded Pods, EndpointSlices and Endpoints, and hand-made ones.

use super::*;

/// Metadata and status of a pod; whether its Service lists it, and one that publishes not-ready pods.
#[test]
fn the_status_of_recorded_pods_is_used() {
    let ready = "conditions: [{type: Ready, status: 'True'}]";
    let unready = "conditions: [{type: Ready, status: 'False'}]";
    let ip = "podIP: 10.1.0.1";
    let table = [
        ("running and ready", "", format!("phase: Running, {ip}, {ready}"), true, true),
        ("running, not ready", "", format!("phase: Running, {ip}, {unready}"), false, true),
        ("pending with an address", "", format!("phase: Pending, {ip}, {unready}"), false, true),
        ("pending without an address", "", "phase: Pending".to_string(), false, false),
        (
            "terminating, still ready",
            "deletionTimestamp: '2026-01-01T00:00:00Z', ",
            format!("phase: Running, {ip}, {ready}"),
            false,
            true,
        ),
        ("failed", "", format!("phase: Failed, {ip}, {ready}"), false, false),
        ("succeeded", "", format!("phase: Succeeded, {ip}, {unready}"), false, false),
    ];
    for (what, metadata, status, normal, publishing) in table {
        let manifests = format!(
            "{SET}---
apiVersion: v1
kind: Service
metadata: {{name: early}}
spec: {{clusterIP: None, publishNotReadyAddresses: true, selector: {{app: db}}, ports: [{{name: peer, port: 7000}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: db-0, {metadata}labels: {{app: db}}}}
spec: {{hostname: db-0, subdomain: db}}
status: {{{status}}}
"
        );
        let lines = names(&manifests);
        let has = |owner: &str| lines.iter().any(|line| line.starts_with(&format!("{owner} A 10.1.0.1")));
        assert_eq!((has("db-0.db"), has("early")), (normal, publishing), "{what}: {lines:#?}");
        assert!(
            !lines.iter().any(|line| line.starts_with("db-1.db")),
            "{what}: the snapshot has one pod only"
        );
    }
}

#[test]
fn recorded_slices_and_endpoints_are_used() {
    let slice = "---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
addressType: IPv4
metadata: {name: anything, labels: {kubernetes.io/service-name: db}}
endpoints: [{addresses: [192.0.2.1], hostname: db-7}]
ports: [{name: peer, port: 7}]
";
    let endpoints = "---
apiVersion: v1
kind: Endpoints
metadata: {name: db, labels: {endpoints.kubernetes.io/managed-by: endpoint-controller}}
subsets: [{addresses: [{ip: 192.0.2.1, hostname: db-7}], notReadyAddresses: [{ip: 192.0.2.2}], ports: [{name: peer, port: 7}]}]
";
    for recorded in [slice, endpoints] {
        let lines = names(&format!("{SET}{recorded}"));
        let expected = [
            "_peer._tcp.db A 192.0.2.1",
            "_peer._tcp.db SRV 0 100 7 db-7.db",
            "db A 192.0.2.1",
            "db SRV 0 100 7 db-7.db",
            "db-7.db A 192.0.2.1",
            "db-7.db SRV 0 100 7 db-7.db",
        ];
        assert_eq!(lines, expected);
    }
}

#[test]
fn hand_made_endpoints_are_used_for_a_service_without_a_selector() {
    const PLAIN: &str = "
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, ports: [{name: peer, port: 7}]}
";
    let endpoints = |labels: &str, address: &str| {
        format!(
            "---
apiVersion: v1
kind: Endpoints
metadata: {{name: db, labels: {{{labels}}}}}
subsets: [{{addresses: [{{ip: 192.0.2.1{address}}}], ports: [{{name: peer, port: 7}}]}}]
"
        )
    };
    let target = ", targetRef: {kind: Pod, name: db-0}";
    let managed = "endpoints.kubernetes.io/managed-by: endpoint-controller";
    // Service, labels of the Endpoints, other fields of their address, and whether the address is served.
    let table = [
        (PLAIN, "", "", true),
        (PLAIN, "endpointslice.kubernetes.io/skip-mirror: 'true'", "", false),
        (SET, "", "", false),
        (SET, managed, "", true),
        (SET, "", target, true),
    ];
    for (service, labels, address, expected) in table {
        let lines = names(&format!("{service}{}", endpoints(labels, address)));
        let served = lines.iter().any(|line| line == "db A 192.0.2.1");
        assert_eq!(served, expected, "{labels} {address}: {lines:#?}");
    }
}
