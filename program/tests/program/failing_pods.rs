//! Failures of pods that run: partitions, nodes that are cut off, powered off and rebooted, crashes; as root and as an ordinary user.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{DEADLINE, Directory, Server, field, run, soon};

/// Three members, each on a node of its own.
const MANIFEST: &str = "
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, publishNotReadyAddresses: true, selector: {app: db}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 3
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - {labelSelector: {matchLabels: {app: db}}, topologyKey: kubernetes.io/hostname}
      containers:
      - name: db
        image: db
        command: [python3, OUT/peers.py]
        livenessProbe: {tcpSocket: {port: 80}, periodSeconds: 1, failureThreshold: 1, initialDelaySeconds: 1}
        volumeMounts: [{name: out, mountPath: /out}]
      volumes:
      - {name: out, hostPath: {path: OUT}}
";

/// User and group without rights of their own.
const OVERFLOW_ID: u32 = 65534;

struct Members {
    directory: Directory,
    server: Server,
}

impl Members {
    /// Runs the manifest, in which `OUT` is the directory of the test.
    fn start(user: Option<u32>, manifest: &str) -> Members {
        let programs = [("peers.py", include_str!("peers.py")), ("etcd.sh", include_str!("etcd.sh"))];
        let directory = Directory::with(&programs);
        let out = directory.path("").display().to_string();
        directory.save("db.yaml", &manifest.replace("OUT", out.trim_end_matches('/')));
        // Where the program is, others may not read.
        let program = directory.path("clusterlocal");
        fs::copy(env!("CARGO_BIN_EXE_clusterlocal"), &program).expect("a copy");
        let mut command = Command::new(&program);
        if let Some(id) = user {
            for path in [directory.path(""), program] {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
                chown(&path, Some(id), Some(id)).expect("an owner");
            }
            command.uid(id).gid(id);
        }
        command.args(["run", "db.yaml", "--quiet", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"]);
        command.current_dir(directory.path("")).stdin(Stdio::null()).stderr(Stdio::null());
        let server = Server::start(&mut command);
        Members { directory, server }
    }

    fn verb(&self, arguments: &str) {
        let mut command = super::program(arguments);
        let ended = run(command.env("CLUSTERLOCAL_API", field(&self.server.ready, "api")));
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments}: {ended:?}");
    }

    /// Waits until the files that the members of `set` write have what is expected of each; [`ANY`] is whatever a member wrote last.
    fn reach(&self, set: &str, after: &str, expected: [&str; 3]) {
        let reached = || {
            let path = |at| self.directory.path(&format!("{set}-{at}"));
            [0, 1, 2].map(|at| fs::read_to_string(path(at)).unwrap_or_default().trim_end().to_owned())
        };
        // Elections, retransmissions and restarts take some seconds, and the machine may have other work.
        let is_expected = |reached: [String; 3]| {
            reached.iter().zip(expected).all(|(reached, expected)| expected == ANY || reached == expected)
        };
        let reaches = (0..3).any(|_| soon(|| is_expected(reached())));
        assert!(reaches, "{after}: {:?}", reached());
    }

    fn pod(&self, name: &str) -> Value {
        self.request("GET", name)
    }

    fn request(&self, method: &str, pod: &str) -> Value {
        let mut stream = TcpStream::connect(field(&self.server.ready, "api")).expect("the API");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let path = format!("/api/v1/namespaces/default/pods/{pod}");
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .expect("a request");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("a reply");
        let body = reply.split_once("\r\n\r\n").expect("a body").1;
        serde_json::from_str(&body[body.find('{').expect("JSON")..=body.rfind('}').expect("JSON")])
            .expect("JSON")
    }

    /// Waits until the first container of the pod has been restarted so often and runs.
    fn restarted(&self, name: &str, times: u64) -> Value {
        let mut pod = Value::Null;
        let there = soon(|| {
            pod = self.pod(name);
            let container = &pod["status"]["containerStatuses"][0];
            container["restartCount"] == times && container["state"]["running"].is_object()
        });
        assert!(there, "{}", pod["status"]);
        pod
    }

    fn starts(&self, name: &str) -> usize {
        fs::read_to_string(self.directory.path(&format!("{name}.starts"))).unwrap_or_default().lines().count()
    }
}

/// What a member that was killed wrote last.
const ANY: &str = "*";

const ALL: [&str; 3] = ["db-1 db-2 dns", "db-0 db-2 dns", "db-0 db-1 dns"];

fn failures(user: Option<u32>) {
    let members = Members::start(user, MANIFEST);
    members.reach("db", "start", ALL);
    let placed = members.pod("db-0");
    let node = placed["spec"]["nodeName"].as_str().expect("a node");
    let other = members.pod("db-1");
    let other = other["spec"]["nodeName"].as_str().expect("a node");
    // The verb, what each member reaches then, and the verb that ends it.
    let table = [
        ("partition db-0,db-1 db-2".to_owned(), ["db-1 dns", "db-0 dns", "dns"], "heal"),
        ("partition db-0|db-1|db-2 --name split".into(), ["dns", "dns", "dns"], "heal partition/split"),
        (format!("partition node/{node}"), ["dns", "db-2 dns", "db-1 dns"], "heal"),
        (format!("node down {node}"), ["", "db-2 dns", "db-1 dns"], "node up"),
    ];
    for (verb, reached, end) in table {
        members.verb(&verb);
        members.reach("db", &verb, reached);
        members.verb(&if end == "node up" { format!("node up {node}") } else { end.to_owned() });
        members.reach("db", end, ALL);
    }
    assert_eq!([0, 1, 2].map(|at| members.starts(&format!("db-{at}"))), [1, 1, 1], "nothing was restarted");

    // The same pod at the same address.
    members.verb("crash db-1");
    let crashed = members.restarted("db-1", 1);
    let ended = &crashed["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!(ended["exitCode"], 137, "{ended}");
    members.reach("db", "crash", ALL);

    // The same pod at another address.
    let before = members.pod("db-0");
    members.verb(&format!("node down {node} --off"));
    members.reach("db", "off", [ANY, "db-2 dns", "db-1 dns"]);
    members.verb(&format!("node up {node}"));
    let booted = members.restarted("db-0", 1);
    members.reach("db", "on", ALL);
    assert_eq!(booted["metadata"]["uid"], before["metadata"]["uid"]);
    assert_ne!(booted["status"]["podIP"], before["status"]["podIP"]);
    members.verb(&format!("node reboot {other}"));
    members.restarted("db-1", 2);
    members.reach("db", "reboot", ALL);
    assert_eq!([0, 1, 2].map(|at| members.starts(&format!("db-{at}"))), [2, 3, 1]);
}

/// Three members of etcd, each with a container that writes to it and reads from it alone.
fn etcd() -> String {
    let example = include_str!("../../../examples/pods/etcd.yaml");
    let mount = "        volumeMounts: [{name: data, mountPath: /var/run/etcd}]\n";
    assert!(example.contains(mount));
    let client = format!(
        "{mount}      - name: client
        image: client
        command: [sh, OUT/etcd.sh]
        volumeMounts: [{{name: out, mountPath: /out}}]
      volumes: [{{name: out, hostPath: {{path: OUT}}}}]
"
    );
    example.replace(mount, &client)
}

fn quorum(user: Option<u32>) {
    let members = Members::start(user, &etcd());
    let all = ["writes kept"; 3];
    members.reach("etcd", "start", all);

    let before = members.pod("etcd-1");
    members.request("DELETE", "etcd-1");
    let is_new = || {
        let pod = members.pod("etcd-1");
        pod["metadata"]["uid"].is_string() && pod["metadata"]["uid"] != before["metadata"]["uid"]
    };
    assert!(soon(is_new), "etcd-1 is not replaced");
    fs::remove_file(members.directory.path("etcd-1")).expect("a file of the deleted member");
    members.reach("etcd", "deletion", all);

    let placed = members.pod("etcd-2");
    let node = placed["spec"]["nodeName"].as_str().expect("a node");
    members.verb(&format!("node down {node}"));
    members.reach("etcd", "node down", ["writes kept", "writes kept", "kept"]);
    members.verb(&format!("node up {node}"));
    members.reach("etcd", "node up", all);
    members.verb("partition etcd-0 etcd-1,etcd-2");
    members.reach("etcd", "partition", ["kept", "writes kept", "writes kept"]);
    members.verb("heal");
    members.reach("etcd", "heal", all);
}

/// Whether the programs are installed, which `CLUSTERLOCAL_TEST_CLIENTS=all` requires.
fn are_installed(programs: &[&str]) -> bool {
    let is_missing = |program: &&&str| Command::new(program).arg("--version").output().is_err();
    let missing: Vec<_> = programs.iter().filter(is_missing).collect();
    let are_required = std::env::var("CLUSTERLOCAL_TEST_CLIENTS").is_ok_and(|value| value == "all");
    assert!(missing.is_empty() || !are_required, "{missing:?} not installed");
    missing.is_empty()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").expect("this process").uid() == 0
}

#[test]
fn failures_are_real() {
    if are_installed(&["python3"]) {
        failures(None);
    }
}

#[test]
fn failures_are_real_without_root() {
    if is_root() && are_installed(&["python3"]) {
        failures(Some(OVERFLOW_ID));
    }
}

#[test]
fn etcd_keeps_its_quorum() {
    if are_installed(&["etcd", "etcdctl"]) {
        quorum(None);
    }
}

#[test]
fn etcd_keeps_its_quorum_without_root() {
    if is_root() && are_installed(&["etcd", "etcdctl"]) {
        quorum(Some(OVERFLOW_ID));
    }
}
