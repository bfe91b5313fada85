//! The objects that every cluster has before the first manifest is applied: its namespaces, nodes, the API's Service
//! and the DNS's.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use serde_json::json;

use super::mirroring::SKIP_MIRROR_LABEL;
use crate::addresses::Range;
use crate::store::{
    AddressType, ClusterIp, Container, ContainerPort, Endpoint, EndpointAddress, EndpointPort, EndpointSlice,
    EndpointSubset, Endpoints, Extra, Given, Inert, IntOrName, Key, Kind, LabelSelector, Labels,
    NAMESPACE_NAME_LABEL, Name, Namespace, Node, NodeStatus, Object, ObjectMeta, Objects, PodAffinityTerm,
    PodSpec, PodTemplate, Protocol, SERVICE_NAME_LABEL, Service, ServicePort, ServiceSpec, Workload,
    WorkloadSpec,
};

/// Default number of nodes of a cluster whose manifests contain none.
pub const DEFAULT_NODES: u8 = 3;

/// Maximum number of default nodes: the range of the last byte of their addresses.
pub const MAX_NODES: u8 = 250;

/// The namespaces that the API server creates at its first start.
const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Completes `input` with the default objects that it lacks. Creates the namespace of each object, since `kubectl apply
/// -n` needs no manifest for it either, and `nodes` nodes if the input has none.
pub fn with_defaults(input: &Objects, service_range: &Range, nodes: u8) -> Objects {
    let mut all = input.clone();
    let add = |all: &mut Objects, object: Object| {
        all.entry(object.key()).or_insert(object);
    };
    let used = input.keys().filter(|key| key.kind.is_namespaced()).map(|key| key.namespace.as_str());
    for namespace in used.chain(NAMESPACES) {
        let metadata = ObjectMeta { labels: namespace_labels(namespace), ..named("", namespace) };
        add(&mut all, Object::Namespace(Arc::new(Namespace { metadata })));
    }
    if !input.keys().any(|key| key.kind == Kind::Node) {
        for number in 1..=nodes.min(MAX_NODES) {
            let name = format!("node-{number}");
            let metadata = ObjectMeta { labels: node_labels(&name), ..named("", &name) };
            let status = NodeStatus { addresses: vec![node_address(number)], ..NodeStatus::default() };
            add(&mut all, Object::Node(Arc::new(Node { metadata, status, ..Node::default() })));
        }
    }
    if !input.contains_key(&Key::new(Kind::Service, "default", "kubernetes")) {
        add(&mut all, kubernetes(service_range));
        add(&mut all, kubernetes_slice());
        add(&mut all, kubernetes_endpoints());
    }
    if !input.contains_key(&Key::new(Kind::Service, "kube-system", "kube-dns")) {
        add(&mut all, kube_dns(service_range));
        add(&mut all, coredns());
    }
    add(&mut all, service_cidr(service_range));
    all
}

/// Number of nodes that the pods of a workload need if required anti-affinity places each on a node of its own.
pub(crate) fn nodes_needed(object: &Object) -> u32 {
    let (replicas, template) = match object {
        Object::StatefulSet(set) => (set.spec.replicas, &set.spec.template),
        Object::Deployment(set) | Object::ReplicaSet(set) => (set.spec.replicas, &set.spec.template),
        _ => return 0,
    };
    let labels = &template.metadata.labels;
    let alone = |term: &PodAffinityTerm| {
        let own = &object.metadata().namespace;
        term.topology_key == "kubernetes.io/hostname"
            && term.selects(labels, labels)
            && (term.namespaces.is_empty() || term.namespaces.contains(own))
    };
    let terms = template.spec.shared.constraints.as_ref().map_or(&[][..], |all| &all.anti_affinity);
    if terms.iter().any(alone) { replicas.unwrap_or(1) } else { 0 }
}

/// The labels that the API server sets on every namespace.
fn namespace_labels(name: &str) -> Labels {
    [(NAMESPACE_NAME_LABEL, name)].into_iter().collect()
}

/// The labels that a kubelet sets on its node.
fn node_labels(name: &str) -> Labels {
    [("kubernetes.io/arch", "amd64"), ("kubernetes.io/hostname", name), ("kubernetes.io/os", "linux")]
        .into_iter()
        .collect()
}

/// Addresses from 127.18.0.2 on: kind's 172.18.0.x, moved into loopback, where a local process can bind them.
fn node_address(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 18, 0, 1 + number))
}

fn named(namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta { name: name.into(), namespace: namespace.into(), synthesized: true, ..ObjectMeta::default() }
}

fn port(name: &'static str, port: u16, protocol: Protocol) -> ServicePort {
    ServicePort {
        name: Name::from(name),
        port,
        protocol,
        target_port: None,
        app_protocol: None,
        node_port: None,
    }
}

/// The API's Service: always the first address of the range.
fn kubernetes(range: &Range) -> Object {
    let https = ServicePort { target_port: Some(IntOrName::Int(6443)), ..port("https", 443, Protocol::TCP) };
    service("default", "kubernetes", range.primary(1), vec![https], Labels::default())
}

/// The range of ClusterIPs, as the API server publishes it (`defaultservicecidr`).
fn service_cidr(range: &Range) -> Object {
    let range = range.to_string();
    let cidrs: Vec<&str> = range.split(',').collect();
    let mut metadata = named("", "kubernetes");
    metadata.links.set_finalizers([arcstr::literal!(SERVICE_CIDR_FINALIZER)]);
    metadata.given = Some(Given::from(json!({ "spec": { "cidrs": cidrs } })));
    Object::Inert(Kind::Extra(Extra::SERVICE_CIDR), Arc::new(Inert { metadata }))
}

/// The finalizer that protects a ServiceCIDR while Services have addresses from it (`servicecidrs_controller.go`).
const SERVICE_CIDR_FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";

fn kubernetes_slice() -> Object {
    // The API server writes this slice itself: no controller may delete it.
    let mut metadata = ObjectMeta { synthesized: false, ..named("default", "kubernetes") };
    metadata.labels = [(SERVICE_NAME_LABEL, "kubernetes")].into_iter().collect();
    let endpoint = Endpoint { addresses: node_address(1).into(), ..Endpoint::default() };
    let slice = EndpointSlice {
        metadata,
        address_type: AddressType::IPv4,
        endpoints: vec![endpoint],
        ports: vec![api_port()],
    };
    Object::EndpointSlice(Arc::new(slice))
}

/// Endpoints with the same content; not mirrored, since the slice exists (pkg/controlplane/reconcilers).
fn kubernetes_endpoints() -> Object {
    let mut metadata = ObjectMeta { synthesized: false, ..named("default", "kubernetes") };
    metadata.labels = [(SKIP_MIRROR_LABEL, "true")].into_iter().collect();
    let address = EndpointAddress {
        ip: node_address(1),
        hostname: Name::default(),
        target_ref: None,
        node_name: Name::default(),
    };
    let subset = EndpointSubset { addresses: vec![address], ports: vec![api_port()], ..Default::default() };
    Object::Endpoints(Arc::new(Endpoints { metadata, subsets: vec![subset], derived: None }))
}

fn api_port() -> EndpointPort {
    EndpointPort {
        name: arcstr::literal!("https"),
        port: Some(6443),
        protocol: Protocol::TCP,
        app_protocol: None,
    }
}

/// kubeadm's Service for the DNS: always the tenth address of the range.
fn kube_dns(range: &Range) -> Object {
    let ports = vec![
        port("dns", 53, Protocol::UDP),
        port("dns-tcp", 53, Protocol::TCP),
        port("metrics", 9153, Protocol::TCP),
    ];
    let selector = [("k8s-app", "kube-dns")].into_iter().collect();
    service("kube-system", "kube-dns", range.primary(10), ports, selector)
}

/// The pods of that Service: kubeadm's two replicas.
fn coredns() -> Object {
    let labels: Labels = [("k8s-app", "kube-dns")].into_iter().collect();
    let container_port = |name, container_port, protocol| ContainerPort {
        name: Name::from(name),
        container_port,
        protocol,
        ..ContainerPort::default()
    };
    let container = Container {
        name: arcstr::literal!("coredns"),
        ports: vec![
            container_port("dns", 53, Protocol::UDP),
            container_port("dns-tcp", 53, Protocol::TCP),
            container_port("metrics", 9153, Protocol::TCP),
        ],
        restart_policy: None,
    };
    let template = PodTemplate {
        metadata: ObjectMeta { labels: labels.clone(), ..ObjectMeta::default() },
        spec: PodSpec::of_containers([container]),
        given: None,
    };
    let spec = WorkloadSpec {
        replicas: Some(2),
        selector: Some(LabelSelector::of(labels)),
        template: Arc::new(template),
        ..WorkloadSpec::default()
    };
    Object::Deployment(Arc::new(Workload {
        metadata: named("kube-system", "coredns"),
        spec,
        ..Workload::default()
    }))
}

fn service(
    namespace: &str,
    name: &str,
    address: Option<IpAddr>,
    ports: Vec<ServicePort>,
    selector: Labels,
) -> Object {
    let cluster_ip = address.map_or(ClusterIp::Unassigned, ClusterIp::Address);
    let spec = ServiceSpec { cluster_ip, ports, selector, ..ServiceSpec::default() };
    Object::Service(Arc::new(Service { metadata: named(namespace, name), spec }))
}
