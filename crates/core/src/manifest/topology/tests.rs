//! Objects that the short form is lowered to, and errors in it.

use crate::manifest::{Manifest, read_bytes};
use crate::store::{ClusterIp, IntOrName, IpFamily, IpFamilyPolicy, Object, PodManagementPolicy, Protocol};

fn topology(text: &str) -> Manifest {
    let text = format!("apiVersion: clusterlocal.dev/v1\nkind: Topology\n{text}");
    read_bytes("t.yaml", text.into_bytes())
}

fn keys(manifest: &Manifest) -> Vec<String> {
    manifest.objects.iter().map(|read| read.object.key().to_string()).collect()
}

fn problems(manifest: &Manifest) -> Vec<String> {
    manifest.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_set_is_lowered_to_a_stateful_set_and_its_headless_service() {
    let manifest =
        topology("sets:\n  cass: {replicas: 3, ports: {cql: 9042, intra: {port: 7000, targetPort: 7001}}}\n");
    assert_eq!(problems(&manifest), [""; 0]);
    let [set, service] = &manifest.objects[..] else { panic!("{:?}", keys(&manifest)) };
    let (Object::StatefulSet(set), Object::Service(service)) = (&set.object, &service.object) else {
        panic!("{:?}", keys(&manifest))
    };
    assert_eq!((set.metadata.namespace.as_str(), set.metadata.name.as_str()), ("default", "cass"));
    assert_eq!((set.spec.replicas, set.spec.service_name.as_str()), (Some(3), "cass"));
    assert!(service.is_headless() && service.spec.selector.matches(&set.spec.template.metadata.labels));
    let ports: Vec<_> =
        service.spec.ports.iter().map(|p| (p.name.as_str(), p.port, p.target_port.clone())).collect();
    assert_eq!(ports, [("cql", 9042, None), ("intra", 7000, Some(IntOrName::Int(7001)))]);
    let listening: Vec<_> =
        set.spec.template.spec.shared.containers[0].ports.iter().map(|p| p.container_port).collect();
    assert_eq!(listening, [9042, 7001]);
}

#[test]
fn all_fields_are_lowered() {
    let manifest = topology(concat!(
        "namespace: db\n",
        "domain: Example.Local.\n",
        "ttl: 5\n",
        "podCIDR: [10.1.2.3/16, 'fd00::/64']\n",
        "serviceCIDR: 10.96.0.0/12\n",
        "sets:\n",
        "  zk:\n",
        "    service: zk-nodes\n",
        "    client: zk-client\n",
        "    start: 5\n",
        "    parallel: true\n",
        "    publishNotReady: true\n",
        "    ipFamilies: [IPv6, IPv4]\n",
        "    ports: {client: {port: 2181, protocol: UDP}}\n",
        "    labels: {tier: store}\n",
        "    addresses: {zk-5: 10.0.0.5, zk-6: [10.0.0.6, 'fd00::6']}\n",
        "deployments:\n",
        "  web: {replicas: 2, ports: {http: 80}, headless: true}\n",
        "  idle:\n",
        "services:\n",
        "  all: {selector: {tier: store}, ports: {client: 2181}}\n",
        "external:\n",
        "  mail: smtp.example.org.\n",
    ));
    assert_eq!(problems(&manifest), [""; 0]);
    let expected = [
        "StatefulSet db/zk",
        "Service db/zk-client",
        "Service db/zk-nodes",
        "Deployment db/web",
        "Service db/web",
        "Deployment db/idle",
        "Service db/all",
        "Service db/mail",
    ];
    assert_eq!(keys(&manifest), expected);
    let overrides = &manifest.overrides;
    assert_eq!((overrides.domain.as_deref(), overrides.ttl), (Some("example.local"), Some(5)));
    let ranges = |ranges: &[ipnet::IpNet]| ranges.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(ranges(&overrides.pod_cidr), ["10.1.0.0/16", "fd00::/64"]);
    assert_eq!(ranges(&overrides.service_cidr), ["10.96.0.0/12"]);

    let Object::StatefulSet(set) = &manifest.objects[0].object else { unreachable!() };
    assert_eq!(set.spec.ordinals.start, 5);
    assert_eq!(set.spec.pod_management_policy, PodManagementPolicy::Parallel);
    assert_eq!(set.spec.template.metadata.labels.to_string(), "app=zk,tier=store");
    let pins = "ip.clusterlocal.dev/zk-5=10.0.0.5,ip.clusterlocal.dev/zk-6=10.0.0.6,fd00::6";
    assert_eq!(set.metadata.annotations.to_string(), pins);
    let Object::Service(client) = &manifest.objects[1].object else { unreachable!() };
    assert_eq!(client.spec.cluster_ip, ClusterIp::Unassigned);
    assert_eq!(client.spec.ports[0].protocol, Protocol::UDP);
    assert_eq!(client.spec.ip_families, [IpFamily::IPv6, IpFamily::IPv4]);
    assert_eq!(client.spec.ip_family_policy, Some(IpFamilyPolicy::RequireDualStack));
    assert!(client.spec.publish_not_ready_addresses);
}

#[test]
fn errors_have_positions() {
    let table: &[(&str, &[&str])] = &[
        ("set: {}\n", &["t.yaml:3:1: unknown field `set`, expected one of"]),
        ("sets:\n  a: {replica: 3}\n", &["t.yaml:4:7: sets.a: unknown field `replica`, expected one of"]),
        ("sets:\n  a: {}\n  b: {}\n  a: {}\n", &["t.yaml:6:3: sets: duplicate key `a`"]),
        ("sets: [a]\n", &["t.yaml:3:7: sets: expected a mapping of names, such as {db: …}, not a list"]),
        (
            "sets:\n  a: {ports: {x: 0}}\n",
            &["t.yaml:4:18: sets.a.ports.x: expected a port number from 1 to 65535, not 0"],
        ),
        (
            "sets:\n  a: {ports: {x: {port: 1, targetPort: 70000}}}\n",
            &["t.yaml:4:40: sets.a.ports.x.targetPort: expected a port number from 1 to 65535, not 70000"],
        ),
        (
            "sets:\n  Web: {service: web}\n",
            &["t.yaml:4:3: StatefulSet default/Web: metadata.name: \"Web\" is not a valid name"],
        ),
        (
            "sets:\n  a: {addresses: {b-0: 10.0.0.1}}\n",
            &["t.yaml:4:24: sets[a].addresses[b-0]: \"b-0\" is not a pod"],
        ),
        (
            "sets:\n  a: {addresses: {a-0: 10.0.0}}\n",
            &["t.yaml:4:24: sets.a.addresses.a-0: \"10.0.0\" is not an IP address"],
        ),
        ("podCIDR: 10.0.0.0\n", &["t.yaml:3:10: podCIDR: \"10.0.0.0\" is not a range of addresses"]),
        ("podCIDR: [10.0.0.0/8, 11.0.0.0/8]\n", &["t.yaml:3:1: podCIDR: more than one range of a family"]),
        (
            "ttl: 3601\ndomain: a_b\n",
            &["t.yaml:3:6: ttl: 3601 seconds", "t.yaml:4:9: domain: \"a_b\" is not"],
        ),
        ("namespace: a\nmetadata: {namespace: b}\n", &["t.yaml:3:12: namespace: differs from metadata"]),
    ];
    for (text, expected) in table {
        let found = problems(&topology(text));
        assert_eq!(found.len(), expected.len(), "{text}: {found:?}");
        for (found, expected) in found.iter().zip(*expected) {
            assert!(found.starts_with(expected), "{text}:\n{found}\n{expected}");
        }
    }
}

#[test]
fn topologies_of_one_file_must_agree() {
    let manifest =
        topology("ttl: 5\n---\napiVersion: clusterlocal.dev/v1\nkind: Topology\nttl: 6\ndomain: a.b\n");
    assert_eq!(problems(&manifest), ["t.yaml:7:6: ttl: contradicts an earlier Topology of this file"]);
    assert_eq!((manifest.overrides.ttl, manifest.overrides.domain.as_deref()), (Some(5), Some("a.b")));
}
