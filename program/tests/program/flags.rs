//! The effects of flags, which override the fields of a Topology.

use std::net::{SocketAddr, UdpSocket};
use std::process::Stdio;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::{RData, Record};

use super::{Directory, RING, Server, answers, ask, in_order, run, serve_ring};

/// Flags, and the answer for db-0 of a Topology that sets everything else differently.
#[test]
fn a_flag_overrides_a_topology() {
    let topology = format!(
        "{RING}domain: k8s.test\nttl: 7\npodCIDR: [10.9.0.0/16, 'fd09::/64']\nserviceCIDR: 10.8.0.0/16\n"
    );
    let directory = Directory::with(&[("a.yaml", &topology)]);
    let (pod, service) = ("db-0.db.default.svc", "db-client.default.svc");
    let table = [
        ("", pod, "k8s.test", 7, "10.9."),
        ("", service, "k8s.test", 7, "10.8."),
        ("--domain cluster.local", pod, "cluster.local", 7, "10.9."),
        ("--domain Other.Test.", pod, "other.test", 7, "10.9."),
        ("--ttl 0", pod, "k8s.test", 0, "10.9."),
        ("--pod-cidr 10.7.0.0/16", pod, "k8s.test", 7, "10.7."),
        ("--pod-cidr 10.7.0.0/16", service, "k8s.test", 7, "10.8."),
        ("--service-cidr 10.6.0.0/24,fd06::/112", service, "k8s.test", 7, "10.6.0."),
    ];
    for (flags, name, domain, ttl, address) in table {
        let ended = run(&mut directory.program(&format!("query -f a.yaml {name}.{domain} {flags}")));
        let answer = format!("\n{name}.{domain}.\t{ttl}\tIN\tA\t{address}");
        assert!(ended.stdout.contains(&answer), "{flags}: no {answer:?} in {ended:?}");
    }
}

/// Twelve answers in order of arrival.
fn orders(server: &Server) -> Vec<Vec<String>> {
    (0..12).map(|_| in_order(server.address(), "db.default.svc.cluster.local A")).collect()
}

#[test]
fn a_seed_repeats_the_order_of_addresses() {
    let directory = Directory::with(&[]);
    let of = |flags| orders(&serve_ring(&directory, flags));
    let stable = of("--order stable");
    assert!(stable.iter().all(|order| *order == stable[0]));
    assert_eq!(stable, of("--order stable --seed 3"));
    let seeded = of("--seed 7");
    assert!(seeded.iter().any(|order| *order != seeded[0]), "{seeded:?}");
    assert_eq!(seeded, of("--seed 7"));
    // Three addresses have six orders: twelve answers are equal by chance in one of two billion runs.
    assert_ne!(seeded, of("--seed 8"));
    assert_ne!(of(""), of(""));
}

/// A server that answers one address for every name.
pub(crate) fn upstream(address: &'static str) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 4096];
        while let Ok((length, client)) = socket.recv_from(&mut query) {
            let mut reply = Message::from_vec(&query[..length]).unwrap();
            reply.metadata.message_type = MessageType::Response;
            let name = reply.queries[0].name().clone();
            reply.add_answer(Record::from_rdata(name, 60, RData::A(address.parse().unwrap())));
            socket.send_to(&reply.to_vec().unwrap(), client).unwrap();
        }
    });
    at
}

#[test]
fn queries_outside_the_cluster_domain_are_forwarded() {
    let directory = Directory::with(&[]);
    let (foreign, alias) = ("www.example.com A", "away.default.svc.cluster.local A");
    let cname = "away.default.svc.cluster.local. 30 CNAME www.example.com.";
    let alone = serve_ring(&directory, "");
    assert_eq!(ask(alone.address(), foreign).metadata.response_code, ResponseCode::NXDomain);
    let refusing = serve_ring(&directory, "--outside refused");
    assert_eq!(ask(refusing.address(), foreign).metadata.response_code, ResponseCode::Refused);
    assert_eq!(answers(alone.address(), alias), [cname]);
    let helped = serve_ring(&directory, &format!("--upstream {}", upstream("192.0.2.7")));
    assert_eq!(answers(helped.address(), foreign), ["www.example.com. 60 A 192.0.2.7"]);
    assert_eq!(answers(helped.address(), alias), [cname, "www.example.com. 60 A 192.0.2.7"]);
    let ours = ask(helped.address(), "nope.default.svc.cluster.local A");
    assert_eq!(
        ours.metadata.response_code,
        ResponseCode::NXDomain,
        "the cluster is authoritative for its domain"
    );
}

/// Flag, the client's EDNS size, whether forty addresses fit, the announced size.
#[test]
fn udp_replies_are_limited() {
    let directory = Directory::with(&[("many.yaml", &RING.replace("replicas: 3", "replicas: 40"))]);
    let table = [
        ("", "noedns", false, None),
        ("", "edns=4096", true, Some(4096)),
        ("--max-udp-size 512", "edns=4096", false, Some(512)),
        ("--max-udp-size 4096", "edns=512", false, Some(512)),
    ];
    for (flag, client, fits, advertised) in table {
        let command = format!("serve many.yaml --listen 127.0.0.1:0 {flag}");
        let server = Server::start(directory.program(&command).stderr(Stdio::null()));
        let reply = ask(server.address(), &format!("db.default.svc.cluster.local A {client}"));
        assert_eq!(reply.metadata.truncation, !fits, "{flag} {client}");
        assert_eq!(super::common::opt_size(&reply), advertised, "{flag} {client}");
    }
}

/// The `pods` option of CoreDNS's `kubernetes` plugin: flag, whether a pod's address has a name, whether any address has
/// one.
#[test]
fn the_flag_pods_selects_which_addresses_have_names() {
    let directory = Directory::with(&[("ring.yaml", RING)]);
    let of_pod = run(&mut directory.program("query -f ring.yaml db-0.db.default.svc.cluster.local")).stdout;
    let address = of_pod.trim_end().rsplit('\t').next().unwrap().replace('.', "-");
    let table = [
        ("", true, true),
        ("--pods insecure", true, true),
        ("--pods verified", true, false),
        ("--pods disabled", false, false),
    ];
    for (flag, existing, any) in table {
        for (address, expected) in [(address.as_str(), existing), ("192-0-2-9", any)] {
            let name = format!("{address}.default.pod.cluster.local");
            let ended = run(&mut directory.program(&format!("query -f ring.yaml {name} {flag}")));
            assert_eq!(ended.stdout.contains("status: NOERROR"), expected, "{flag} {name}: {}", ended.stdout);
        }
    }
}

/// Pods of a Deployment have no hostname: their endpoints are named after the address, or after the pod.
#[test]
fn endpoints_are_named_after_addresses_or_pods() {
    let deployment = "apiVersion: clusterlocal.dev/v1\nkind: Topology\ndeployments: {web: {replicas: 1, headless: \
                      true, ports: {http: 80}}}\n";
    let directory = Directory::with(&[("a.yaml", deployment)]);
    for (flag, by_pod) in [("", false), ("--endpoint-pod-names", true)] {
        let ended =
            run(&mut directory.program(&format!("query -f a.yaml web.default.svc.cluster.local SRV {flag}")));
        let target =
            ended.stdout.lines().find(|line| line.contains("\tSRV\t")).unwrap().rsplit(' ').next().unwrap();
        assert_eq!(target.starts_with("web-"), by_pod, "{target}");
    }
}
