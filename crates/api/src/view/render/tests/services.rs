//! Services and their endpoints.

use super::*;

#[test]
fn services_and_their_endpoints_are_rendered() {
    let mut store = store(
        "
{apiVersion: v1, kind: Service, metadata: {name: a, labels: {x: y}}, spec: {clusterIP: 10.96.0.7, selector: {app: a}, ports: [{port: 80, name: http}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: h}, spec: {clusterIP: None, selector: {app: a}, ipFamilyPolicy: PreferDualStack}}
---
{apiVersion: v1, kind: Service, metadata: {name: e}, spec: {type: ExternalName, externalName: example.org}}
---
{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c}]}}
",
    );
    check(
        &shown(&store, Kind::Service, "default", "a"),
        &[
            (
                "/spec",
                "{clusterIP: 10.96.0.7, clusterIPs: [10.96.0.7], internalTrafficPolicy: Cluster, ipFamilies: [IPv4], ipFamilyPolicy: SingleStack, ports: [{name: http, port: 80, protocol: TCP, targetPort: 80}], selector: {app: a}, sessionAffinity: None, type: ClusterIP}",
            ),
            ("/status", "{loadBalancer: {}}"),
        ],
    );
    check(
        &shown(&store, Kind::Service, "default", "h"),
        &[
            ("/spec/clusterIPs", "[None]"),
            ("/spec/ipFamilies", "[IPv4, IPv6]"),
            ("/spec/ipFamilyPolicy", "PreferDualStack"),
        ],
    );
    check(
        &shown(&store, Kind::Service, "default", "e"),
        &[("/spec", "{externalName: example.org, sessionAffinity: None, type: ExternalName}")],
    );
    let endpoint = |ip: &str, ready, terminating| Endpoint {
        addresses: vec![Name::from(ip)].into(),
        conditions: EndpointConditions {
            ready: Some(ready),
            serving: Some(ready),
            terminating: Some(terminating),
        },
        target_ref: Some(ObjectReference {
            kind: "Pod".into(),
            name: "p".into(),
            namespace: "default".into(),
        }),
        ..Endpoint::default()
    };
    let mut metadata = named("a-x", Some((Kind::Service, "a")));
    metadata.labels = [(SERVICE_NAME_LABEL, "a")].into_iter().collect();
    let slice = EndpointSlice {
        metadata,
        address_type: AddressType::IPv4,
        endpoints: vec![
            endpoint("10.0.0.1", true, false),
            endpoint("10.0.0.2", false, false),
            endpoint("10.0.0.3", false, true),
        ],
        ports: vec![EndpointPort {
            name: "http".into(),
            port: Some(80),
            protocol: Protocol::TCP,
            app_protocol: None,
        }],
    };
    put(&mut store, Object::EndpointSlice(Arc::new(slice)));
    let pod = store.stored(&Key::new(Kind::Pod, "default", "p")).expect("the pod").uid();
    let slice = shown(&store, Kind::EndpointSlice, "default", "a-x");
    assert_eq!(slice["endpoints"][0]["targetRef"]["uid"], pod.to_string());
    check(
        &slice,
        &[
            ("/addressType", "IPv4"),
            ("/metadata/ownerReferences/0/kind", "Service"),
            ("/endpoints/1/conditions", "{ready: false, serving: false, terminating: false}"),
            ("/ports", "[{name: http, port: 80, protocol: TCP}]"),
        ],
    );
    let metadata = ObjectMeta {
        labels: [("x", "y"), ("endpoints.kubernetes.io/managed-by", "endpoint-controller")]
            .into_iter()
            .collect(),
        ..named("a", None)
    };
    let derived = Derived { slices: 0, family: IpFamily::IPv4, publish_not_ready: false, portless: false };
    let endpoints = Endpoints { metadata, subsets: Vec::new(), derived: Some(derived) };
    put(&mut store, Object::Endpoints(Arc::new(endpoints)));
    check(
        &shown(&store, Kind::Endpoints, "default", "a"),
        &[
            ("/kind", "Endpoints"),
            ("/metadata/name", "a"),
            ("/metadata/labels", "{x: y, endpoints.kubernetes.io/managed-by: endpoint-controller}"),
            ("/subsets/0/addresses/0/ip", "10.0.0.1"),
            ("/subsets/0/notReadyAddresses/0/ip", "10.0.0.2"),
            ("/subsets/0/notReadyAddresses/1", "~"),
            ("/subsets/0/ports", "[{name: http, port: 80, protocol: TCP}]"),
        ],
    );
}
