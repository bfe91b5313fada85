//! Pods of the fixture that run as processes. They are started from this program, which has a main function of its own.

#![cfg(target_os = "linux")]

use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clusterlocal::{Clock, Cluster, Error, Run, node_process};
use libtest_mimic::{Arguments, Trial};

/// Time-out of anything that is expected to happen.
const DEADLINE: Duration = Duration::from_secs(30);

/// User and group without rights of their own.
const OVERFLOW_ID: u32 = 65534;

/// The test that runs the others as an ordinary user.
const ORDINARY_USER: &str = "all_of_it_works_without_root";

fn main() -> ExitCode {
    if let Some(code) = node_process() {
        return code;
    }
    let trial = |name, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let trials = vec![
        trial("lines_and_exit_codes_of_pods", lines_and_exit_codes_of_pods),
        trial("pods_find_each_other_by_name", pods_find_each_other_by_name),
        trial("a_replaced_pod_keeps_its_claim", a_replaced_pod_keeps_its_claim),
        trial("pods_on_the_network_of_the_machine", pods_on_the_network_of_the_machine),
        trial("nothing_is_left_of_a_dropped_cluster", nothing_is_left_of_a_dropped_cluster),
        trial("what_cannot_run_says_why", what_cannot_run_says_why),
        trial(ORDINARY_USER, all_of_it_works_without_root),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn all_of_it_works_without_root() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    // Where this program is, others may not read.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("pods");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for path in [folder.path(), &program] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(path, Some(OVERFLOW_ID), Some(OVERFLOW_ID)).unwrap();
    }
    let mut others = Command::new(&program);
    others.args(["--skip", ORDINARY_USER]).env("TMPDIR", folder.path()).current_dir("/");
    let ended = others.uid(OVERFLOW_ID).gid(OVERFLOW_ID).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
}

/// A pod that runs a script once.
fn pod(name: &str, script: &str) -> String {
    let script = serde_json::to_string(script).unwrap();
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{restartPolicy: Never, \
         terminationGracePeriodSeconds: 1, containers: [{{name: main, image: none, command: [bash, -c, {script}]}}]}}\n"
    )
}

fn cluster(manifests: impl Into<String>, run: Run) -> Cluster {
    Cluster::builder().manifests(manifests).run(run).start().wait().unwrap()
}

/// Script, its last line, and its exit code.
fn lines_and_exit_codes_of_pods() {
    let table = [
        ("echo one; echo two >&2; exit 0", "two", 0),
        ("echo \"$0 $HOSTNAME\"; exit 7", "bash pod-1", 7),
        ("printf unended; exit 3", "unended", 3),
        ("echo $(($(wc -l < /etc/resolv.conf) > 2)); grep -c 10.96.0.10 /etc/resolv.conf; exit 1", "1", 1),
    ];
    let pods = table.iter().enumerate().map(|(number, (script, ..))| pod(&format!("pod-{number}"), script));
    let cluster = cluster(pods.collect::<String>(), Run::new());
    for (number, (script, line, code)) in table.into_iter().enumerate() {
        let pod = cluster.pod(&format!("pod-{number}"));
        assert_eq!(pod.wait_for_exit(DEADLINE).wait().unwrap(), code, "{script}");
        assert_eq!(pod.exit_code(), Some(code));
        pod.wait_for_line(line, DEADLINE).wait().unwrap();
        assert_eq!(pod.logs().last().map(String::as_str), Some(line), "{script}");
    }
    assert!(matches!(cluster.pod("pod-9").wait_for_exit(DEADLINE).wait(), Err(Error::Missing { .. })));
}

/// A set of two members with a claim, and its Service.
const SET: &str = "
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: peer, port: 7000}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: db
        image: store
        args: ['echo up >> /data/starts; echo $(wc -l < /data/starts) starts; until peer=$(getent hosts db-0.db); do sleep 0.1; done; echo peer $peer; exec sleep infinity']
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
";

fn store() -> Run {
    Run::new().image("store", "bash -c")
}

fn pods_find_each_other_by_name() {
    let cluster = cluster(SET, store());
    cluster.rollout("db").wait().unwrap();
    let peer = format!("peer {}", cluster.pod("db-0").address().unwrap());
    cluster.pod("db-1").wait_for_line(&peer, DEADLINE).wait().unwrap();
    assert!(peer.starts_with("peer 10.244."), "{peer}");
    let output = cluster.pod("db-1").exec(&["sh", "-c", "hostname; echo none >&2; exit 4"]).wait().unwrap();
    assert_eq!((output.exit_code, output.stdout.as_str(), output.stderr.as_str()), (4, "db-1\n", "none\n"));
    let error = cluster.pod("db-1").exec(&["no-such-program"]).wait().unwrap_err();
    assert!(error.to_string().contains("no-such-program"), "{error}");
    // The library's own DNS has the same answer, at its address outside of the network of the pods.
    assert!(cluster.dns_addr().ip().is_loopback());
}

fn a_replaced_pod_keeps_its_claim() {
    let folder = tempfile::tempdir().unwrap();
    let run = store().data(folder.path());
    {
        let cluster = cluster(SET, run.clone());
        cluster.rollout("db").wait().unwrap();
        let (pod, before) = (cluster.pod("db-1"), cluster.pod("db-1").address());
        pod.wait_for_line("1 starts", DEADLINE).wait().unwrap();
        pod.restart().wait().unwrap();
        pod.wait_for_line("2 starts", DEADLINE).wait().unwrap();
        assert_ne!(pod.address(), before);
    }
    let cluster = cluster(SET, run);
    cluster.pod("db-1").wait_for_line("3 starts", DEADLINE).wait().unwrap();
}

fn pods_on_the_network_of_the_machine() {
    let manifests = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: none
    command: [bash, -c, 'echo $POD_IP $CLUSTERLOCAL_DNS $LOCALDOMAIN; echo hello > $VOLUME_DATA/file; exec python3 -u -c \"$SERVER\"']
    env: [{name: SERVER, value: 'import os, socket; s = socket.create_server((os.environ[\"POD_IP\"], 8080)); c = s.accept()[0]; c.sendall(open(os.environ[\"VOLUME_DATA\"] + \"/file\", \"rb\").read()); c.close(); s.accept()'}]
    readinessProbe: {exec: {command: [test, -e, /proc/self]}, periodSeconds: 1}
    volumeMounts: [{name: data, mountPath: /var/data}]
  volumes: [{name: data, emptyDir: {}}]
";
    let cluster = cluster(manifests, Run::new().on_host());
    let pod = cluster.pod("web");
    let line = pod.wait_for_line("cluster.local", DEADLINE).wait().unwrap();
    let address = pod.address().unwrap();
    let expected =
        format!("{address} {} default.svc.cluster.local svc.cluster.local cluster.local", cluster.dns_addr());
    assert_eq!(line, expected);
    assert!(line.starts_with("127.244."), "{line}");
    // Through the address of the Service.
    let service = clusterlocal_address(&cluster);
    let mut read = String::new();
    let deadline = Instant::now() + DEADLINE;
    while read.is_empty() && Instant::now() < deadline {
        if let Ok(mut stream) = TcpStream::connect((service.as_str(), 8080)) {
            _ = stream.read_to_string(&mut read);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(read, "hello\n");
}

/// The address of the Service `web`, by the environment that pods get.
fn clusterlocal_address(cluster: &Cluster) -> String {
    cluster.apply(pod("asking", "echo address=$WEB_SERVICE_HOST")).unwrap();
    let line = cluster.pod("asking").wait_for_line("address=", DEADLINE).wait().unwrap();
    line.trim_start_matches("address=").to_owned()
}

/// Processes of the machine whose arguments have `mark`.
fn processes_with(mark: &str) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let arguments = all.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    arguments.filter(|bytes| String::from_utf8_lossy(bytes).contains(mark)).count()
}

fn nothing_is_left_of_a_dropped_cluster() {
    for on_host in [false, true] {
        let mark = format!("mark-{}-{on_host}", std::process::id());
        let script = format!(
            "(exec -a {mark} sleep 1000) & (setsid bash -c 'exec -a {mark} sleep 1000' &); echo up; wait"
        );
        let run = if on_host { Run::new().on_host() } else { Run::new() };
        let cluster = cluster(pod("busy", &script), run);
        cluster.pod("busy").wait_for_line("up", DEADLINE).wait().unwrap();
        let deadline = Instant::now() + DEADLINE;
        while processes_with(&mark) < 2 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(processes_with(&mark) >= 2);
        drop(cluster);
        while processes_with(&mark) > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(processes_with(&mark), 0, "on_host: {on_host}");
    }
}

/// How a cluster is started, and what its error names.
fn what_cannot_run_says_why() {
    let builder = || Cluster::builder().manifests(pod("one", "exit 0"));
    let folder = tempfile::tempdir().unwrap();
    let other_version = folder.path().join("other");
    let own = std::env::current_exe().unwrap();
    // Its arguments are verb, process and version.
    let script = format!(
        "#!/bin/sh\nverb=$1; process=$2; shift 3; exec {} $verb $process 0.0.1 \"$@\"\n",
        own.display()
    );
    std::fs::write(&other_version, script).unwrap();
    std::fs::set_permissions(&other_version, std::fs::Permissions::from_mode(0o755)).unwrap();
    let table = [
        (builder().run(Run::new().program("/no/such/program")), "/no/such/program"),
        (builder().run(Run::new().program("/bin/true")), "is not a program that runs pods"),
        (builder().run(Run::new().program(other_version)), "0.0.1 is expected"),
        (builder().clock(Clock::manual()).run(Run::new()), "real clock"),
        (builder().run(Run::new().image("store", "'")), "a quote is not closed"),
    ];
    for (builder, named) in table {
        let error = builder.start().wait().unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}
