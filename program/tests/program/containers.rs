//! `health`, and the container recipes that rely on it.

use std::net::UdpSocket;
use std::process::Stdio;

use super::{Directory, RING, Server, program, run, serve_ring};

/// (flags, exit code, output or error)
#[test]
fn exit_code_is_the_health_of_the_server() {
    let directory = Directory::with(&[]);
    let server = serve_ring(&directory, "--listen 127.0.0.2:0");
    let [first, second] = [0, 1].map(|at| server.addresses[at].to_string());
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let silent_at = silent.local_addr().expect("an address");
    // The address of a server that listens at all addresses.
    let any = format!("0.0.0.0:{}", server.addresses[0].port());
    let table = [
        (
            format!("--listen {first}"),
            0,
            format!("{first} answers NOERROR for kubernetes.default.svc.cluster.local. A\n"),
        ),
        (
            format!("--listen {any}"),
            0,
            format!("{first} answers NOERROR for kubernetes.default.svc.cluster.local. A\n"),
        ),
        (format!("--listen {first} --listen {second}"), 0, format!("{second} answers NOERROR")),
        (format!("--listen {first} --domain other.test"), 0, format!("{first} answers NXDOMAIN")),
        (format!("--listen {silent_at} --within 100ms"), 3, format!("{silent_at} does not answer: no reply")),
        ("--listen 127.0.0.1".into(), 2, "the port is missing".into()),
    ];
    for (flags, code, expected) in table {
        let ended = run(&mut program(&format!("health {flags}")));
        assert_eq!(ended.code, Some(code), "{flags}: {ended:?}");
        assert!(format!("{}{}", ended.stdout, ended.stderr).contains(&expected), "{flags}: {ended:?}");
    }
    // In the environment of the server, no flag is needed.
    let ended = run(program("health").env("CLUSTERLOCAL_LISTEN", format!("{any},{second}")));
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 2), "{ended:?}");
}

#[test]
fn servers_that_await_manifests_are_unhealthy() {
    let directory = Directory::with(&[]);
    let command = "serve a.yaml --listen 127.0.0.1:0 --wait-for-manifests";
    let server = Server::start(directory.program(command).stderr(Stdio::null()));
    let health = || run(&mut program(&format!("health --listen {}", server.address())));
    let ended = health();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("answers SERVFAIL"), "{ended:?}");
    directory.save("a.yaml", RING);
    assert!(super::soon(|| health().code == Some(0)));
}

/// The containers of the Compose example have the addresses of their pods, and the server is at none of them.
#[test]
fn compose_example_has_the_addresses_of_the_pods() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/compose");
    let compose = std::fs::read_to_string(format!("{example}/compose.yaml")).expect("the example");
    let records =
        run(&mut program(&format!("records -o hosts {example}/zones --pod-cidr 10.244.0.0/16"))).stdout;
    let pods: Vec<_> = records
        .lines()
        .filter(|line| line.ends_with(".store.default.svc.cluster.local"))
        .filter_map(|line| line.split_whitespace().next().zip(line.split_whitespace().nth(1)))
        .collect();
    assert_eq!(pods.len(), 3, "{records}");
    for (address, name) in pods {
        let service = name.split('.').next().expect("a label");
        let container = format!(
            "  {service}:\n    <<: *pod\n    networks:\n      cluster: {{ ipv4_address: {address} }}\n"
        );
        assert!(compose.contains(&container), "no {container:?} in\n{compose}");
    }
    assert!(!records.contains("10.244.255.53 "), "{records}");
}
