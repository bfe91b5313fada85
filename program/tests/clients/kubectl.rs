//! Common uses of kubectl, with an old version and a new one: the commands work, and their output is that of a cluster.
//!
//! A version that is not installed (by `.ci/run`) is listed as ignored, unless `CLUSTERLOCAL_TEST_CLIENTS=all` requires all
//! of them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use tempfile::TempDir;

use crate::Test;
use crate::ring::ring;
use crate::server::Server;

/// Where `.ci/run` installs kubectl, one directory per version.
const INSTALLED: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/kubectl");

/// The oldest and the newest supported version.
const VERSIONS: [&str; 2] = ["1.27", "1.37"];

const RING: &str = ring!(
    "cql",
    9042,
    "terminationGracePeriodSeconds: 1, containers: [{name: c, image: 'cassandra:5', ports: [{name: cql, containerPort: 9042}]}]"
);

/// A sequence of commands.
type Habit = fn(&Kubectl) -> Result<(), Failed>;

const HABITS: [(&str, Habit); 10] = [
    ("looks around", look_around),
    ("applies files", apply),
    ("makes things without files", make),
    ("changes what is there", change),
    ("rolls out and back", roll),
    ("deletes", delete),
    ("drains a node", drain),
    ("watches", watch),
    ("moves the clock", clock),
    ("lets the DNS fail", fault),
];

pub fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for version in VERSIONS {
        let program = Path::new(INSTALLED).join(version).join("kubectl");
        for (name, habit) in HABITS {
            let (is_installed, program) = (program.exists(), program.clone());
            let test = Test::new(format!("{version} {name}"), move || habit(&Kubectl::new(program)));
            tests.push(test.needs(is_installed));
        }
    }
    tests
}

/// A kubectl with its own server, and its own home directory for its discovery cache.
struct Kubectl {
    program: PathBuf,
    home: TempDir,
    _server: Server,
}

impl Kubectl {
    fn new(program: PathBuf) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::write(home.path().join("ring.yaml"), RING).expect("a file");
        let config = home.path().join("config");
        let config = config.to_str().expect("a path in UTF-8");
        let server =
            Server::start(&home.path().join("ring.yaml"), &["--watch", "off", "--kubeconfig", config]);
        Kubectl { program, home, _server: server }
    }

    /// kubectl with these arguments, split at spaces; `'` quotes words.
    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(&self.program);
        for (at, part) in arguments.split('\'').enumerate() {
            match at % 2 {
                0 => command.args(part.split_whitespace()),
                _ => command.arg(part),
            };
        }
        command.current_dir(self.home.path()).env("HOME", self.home.path()).env("NO_COLOR", "1");
        command.env("KUBECONFIG", self.home.path().join("config")).stdin(Stdio::null());
        command
    }

    /// Runs a command that has to succeed and print each of `expected`. Returns its standard output.
    fn run(&self, arguments: &str, expected: &[&str]) -> Result<String, Failed> {
        check(&mut self.command(arguments), Some(0), expected)
    }

    /// Runs a command that has to end with `code`; standard error is included in the output.
    fn fail(&self, code: i32, arguments: &str, expected: &[&str]) -> Result<String, Failed> {
        check(&mut self.command(arguments), Some(code), expected)
    }

    /// Repeats a command until it prints `expected`.
    fn until(&self, arguments: &str, expected: &str) -> Result<(), Failed> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match self.run(arguments, &[expected]) {
                Ok(_) => return Ok(()),
                Err(failed) if Instant::now() > deadline => return Err(failed),
                Err(_) => {}
            }
        }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.home.path().join(name), text).expect("a file");
    }
}

fn check(command: &mut Command, code: Option<i32>, expected: &[&str]) -> Result<String, Failed> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let printed = if code == Some(0) { out.clone() } else { format!("{out}{err}") };
    let words = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    let missing = expected.iter().find(|expected| !words.contains(*expected));
    if output.status.code() != code || missing.is_some() || err.contains("panic") {
        let status = output.status;
        return Err(format!("{command:?}: {status}, {missing:?} is missing in:\n{out}\n{err}").into());
    }
    Ok(out)
}

fn look_around(kubectl: &Kubectl) -> Result<(), Failed> {
    kubectl.run("version", &["Server Version"])?;
    kubectl.run("cluster-info", &["is running at"])?;
    kubectl.run(
        "api-resources",
        &["statefulsets sts apps/v1 true StatefulSet", "changes clusterlocal.dev/v1 false"],
    )?;
    kubectl
        .run("get po -o wide", &["NAME READY STATUS RESTARTS AGE IP NODE", "db-2 1/1 Running 0", "node-"])?;
    kubectl.run("get all -A", &["pod/db-0", "service/kubernetes", "statefulset.apps/db 3/3"])?;
    kubectl.run(
        "get sts,svc,endpointslices -o yaml",
        &["kind: List", "kind: EndpointSlice", "readyReplicas: 3"],
    )?;
    kubectl.run("get pod db-0 -o jsonpath={.status.podIP}", &["127.244."])?;
    kubectl.run("get po -l app=db --field-selector metadata.name=db-1 -o name", &["pod/db-1"])?;
    kubectl.run("get ns,no,pvc,pv,controllerrevisions", &["namespace/kube-system Active", "Ready"])?;
    kubectl.run("describe po db-0", &["Node: node-", "Controlled By: StatefulSet/db", "Ready True"])?;
    kubectl.run(
        "describe svc db",
        &["Type: ClusterIP", "IP: None", "Port: cql 9042/TCP", "Endpoints: 127.244."],
    )?;
    kubectl.run("describe sts db", &["Replicas: 3 desired | 3 total", "Pods Status: 3 Running"])?;
    kubectl.run("describe no", &["Ready", "Non-terminated Pods", "default db-0"])?;
    kubectl.fail(1, "logs db-0", &["simulates pods"])?;
    kubectl.fail(1, "exec db-0 -- ls", &["simulates pods"])?;
    kubectl.run(
        "explain sts.spec",
        &["KIND: StatefulSet", "VERSION: v1", "podManagementPolicy <string>", "template <PodTemplateSpec>"],
    )?;
    kubectl.fail(1, "explain sts.spec.replica", &["field \"replica\" does not exist"])?;
    kubectl.fail(1, "get pod db-9", &["Error from server (NotFound): pods \"db-9\" not found"])?;
    kubectl.fail(1, "get nonsense", &["the server doesn't have a resource type \"nonsense\""])?;
    Ok(())
}

fn apply(kubectl: &Kubectl) -> Result<(), Failed> {
    let ring = RING.replace("name: db}", "name: ring}").replace("serviceName: db", "serviceName: ring");
    let ring = ring.replace("app: db", "app: ring");
    kubectl.write("new.yaml", &ring);
    kubectl.run("apply -f new.yaml", &["service/ring created", "statefulset.apps/ring created"])?;
    kubectl.run("apply -f new.yaml", &["service/ring unchanged", "statefulset.apps/ring unchanged"])?;
    kubectl.run("diff -f new.yaml", &[])?;
    kubectl.write("new.yaml", &ring.replace("replicas: 3", "replicas: 2"));
    kubectl.fail(1, "diff -f new.yaml", &["- replicas: 3", "+ replicas: 2"])?;
    kubectl.run("apply -f new.yaml", &["service/ring unchanged", "statefulset.apps/ring configured"])?;
    kubectl.until("get sts ring", "ring 2/2")?;
    kubectl.run("apply --server-side -f new.yaml", &["service/ring serverside-applied"])?;
    kubectl.run("apply --dry-run=server -f new.yaml", &["(server dry run)"])?;
    kubectl.write("new.yaml", &ring.replace("replicas: 3", "replicas: 4"));
    kubectl.run("replace -f new.yaml", &["statefulset.apps/ring replaced"])?;
    kubectl.until("get sts ring", "ring 4/4")?;
    kubectl.write("drawn.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {generateName: job-}\nspec: {containers: [{name: c, image: i}]}\n");
    kubectl.run("create -f drawn.yaml", &["pod/job-", "created"])?;
    kubectl.write("bad.yaml", &ring.replace("matchLabels: {app: ring}", "matchLabels: {app: other}"));
    kubectl.write("typo.yaml", &ring.replace("replicas: 3", "replica: 3"));
    let refused = "strict decoding error: unknown field \"spec.replica\"";
    kubectl.fail(1, "apply -f typo.yaml", &[refused])?;
    kubectl.run("delete sts ring", &["deleted"])?;
    kubectl.fail(
        1,
        "apply -f bad.yaml",
        &["The StatefulSet \"ring\" is invalid: spec.template.metadata.labels: Invalid value"],
    )?;
    kubectl.run("delete -f new.yaml --ignore-not-found", &["service \"ring\" deleted"])?;
    Ok(())
}

fn make(kubectl: &Kubectl) -> Result<(), Failed> {
    kubectl.run("create namespace team", &["namespace/team created"])?;
    kubectl.fail(1, "create namespace team", &["(AlreadyExists): namespaces \"team\" already exists"])?;
    kubectl.run(
        "-n team create deployment web --image nginx --replicas 2 --port 80",
        &["deployment.apps/web created"],
    )?;
    kubectl.run("-n team rollout status deployment/web --timeout 20s", &["successfully rolled out"])?;
    kubectl.run("-n team expose deployment web --port 80", &["service/web exposed"])?;
    kubectl.until("-n team get endpointslices", "80 127.244.")?;
    kubectl.run("-n team create service clusterip other --tcp 5432:5432", &["service/other created"])?;
    kubectl.run("-n team create job once --image busybox", &["job.batch/once created"])?;
    kubectl.run("-n team create configmap settings --from-literal a=b", &["configmap/settings created"])?;
    kubectl.run("-n team create secret generic keys --from-literal user=me", &["secret/keys created"])?;
    kubectl.run("-n team get secret keys -o jsonpath={.data.user}", &["bWU="])?;
    kubectl.run("-n team create serviceaccount robot", &["serviceaccount/robot created"])?;
    kubectl.run(
        "-n team create role reader --verb get --resource pods",
        &["role.rbac.authorization.k8s.io/reader created"],
    )?;
    kubectl.run(
        "-n team create ingress way --rule 'a.example/=web:80'",
        &["ingress.networking.k8s.io/way created"],
    )?;
    kubectl.run("-n team run solo --image busybox --labels app=solo", &["pod/solo created"])?;
    kubectl.run(
        "-n team describe deploy web",
        &["2 desired | 2 updated | 2 total | 2 available", "NewReplicaSet: web-"],
    )?;
    kubectl.run("delete namespace team --timeout 30s", &["namespace \"team\" deleted"])?;
    kubectl.fail(1, "get namespace team", &["not found"])?;
    Ok(())
}

fn change(kubectl: &Kubectl) -> Result<(), Failed> {
    kubectl.run("scale sts db --replicas 5", &["statefulset.apps/db scaled"])?;
    kubectl.until("get sts db", "db 5/5")?;
    kubectl.run("get events", &["SuccessfulCreate", "statefulset/db", "Scheduled", "pod/db-4"])?;
    kubectl.run("describe sts db", &["SuccessfulCreate", "Create Pod db-4 in StatefulSet db successful"])?;
    kubectl.run("scale sts db --current-replicas 5 --replicas 3", &["scaled"])?;
    kubectl.until("get po -o name", "pod/db-0 pod/db-1 pod/db-2")?;
    kubectl.run("patch sts db -p '{\"spec\":{\"replicas\":4}}'", &["patched"])?;
    kubectl.run("patch sts db --type merge -p '{\"spec\":{\"replicas\":2}}'", &["patched"])?;
    kubectl.run(
        "patch sts db --type json -p '[{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":3}]'",
        &["patched"],
    )?;
    kubectl.until("get sts db", "db 3/3")?;
    kubectl.run("label po db-0 tier=gold", &["pod/db-0 labeled"])?;
    kubectl.run("get po -l tier=gold --show-labels", &["db-0", "tier=gold"])?;
    kubectl.run("annotate po db-1 clusterlocal.dev/ready=false", &["pod/db-1 annotate"])?;
    kubectl.run("wait --for=condition=Ready=false pod/db-1 --timeout 20s", &["condition met"])?;
    kubectl.run("get po db-1", &["db-1 0/1 Running"])?;
    kubectl.run("annotate po db-1 clusterlocal.dev/ready-", &["pod/db-1 annotate"])?;
    kubectl.run("wait --for=condition=Ready pod/db-1 --timeout 20s", &["condition met"])?;
    let edited = kubectl.home.path().join("edit.sh");
    kubectl.write("edit.sh", "#!/bin/sh\nsed -i '/^spec:/,/selector:/s/replicas: 3/replicas: 1/' \"$1\"\n");
    let mut edit = kubectl.command("edit sts db");
    edit.env("EDITOR", format!("sh {}", edited.display()));
    check(&mut edit, Some(0), &["statefulset.apps/db edited"])?;
    kubectl.until("get sts db", "db 1/1")?;
    kubectl.fail(
        1,
        "patch sts db -p '{\"spec\":{\"serviceName\":\"x\"}}'",
        &["is invalid: spec: Forbidden"],
    )?;
    Ok(())
}

fn roll(kubectl: &Kubectl) -> Result<(), Failed> {
    kubectl.run("set image sts/db c=cassandra:5.1", &["statefulset.apps/db image updated"])?;
    kubectl.run("rollout status sts/db --timeout 30s", &["3 new pods have been updated"])?;
    kubectl.run("get po db-0 -o jsonpath={.spec.containers[0].image}", &["cassandra:5.1"])?;
    kubectl.run("rollout history sts/db", &["REVISION", "1", "2"])?;
    kubectl.run("rollout undo sts/db", &["statefulset.apps/db rolled back"])?;
    kubectl.run("rollout status sts/db --timeout 30s", &["3 new pods have been updated"])?;
    kubectl.run("get po db-0 -o jsonpath={.spec.containers[0].image}", &["cassandra:5"])?;
    kubectl.run("rollout restart sts/db", &["statefulset.apps/db restarted"])?;
    kubectl.run("rollout status sts/db --timeout 30s", &["3 new pods have been updated"])?;
    kubectl.run("create deployment web --image nginx:1 --replicas 3", &["created"])?;
    kubectl.run("wait --for=condition=Available deployment/web --timeout 20s", &["condition met"])?;
    kubectl.run("set image deploy/web nginx=nginx:2", &["deployment.apps/web image updated"])?;
    kubectl.run("rollout status deploy/web --timeout 30s", &["successfully rolled out"])?;
    kubectl.run("rollout history deploy/web", &["1", "2"])?;
    kubectl.run("rollout undo deploy/web", &["deployment.apps/web rolled back"])?;
    kubectl.run("rollout status deploy/web --timeout 30s", &["successfully rolled out"])?;
    kubectl.run("get deploy web -o jsonpath={.spec.template.spec.containers[0].image}", &["nginx:1"])?;
    Ok(())
}

fn delete(kubectl: &Kubectl) -> Result<(), Failed> {
    let uid = |pod: &str| kubectl.run(&format!("get po {pod} -o jsonpath={{.metadata.uid}}"), &[]);
    let before = uid("db-1")?;
    kubectl.run("delete po db-1 --timeout 20s", &["pod \"db-1\" deleted"])?;
    kubectl.until("get po db-1", "db-1 1/1 Running")?;
    if uid("db-1")? == before {
        return Err("the deleted pod is still there".into());
    }
    kubectl.run("delete po db-2 --force --grace-period 0", &["pod \"db-2\" force deleted"])?;
    kubectl.until("get sts db", "db 3/3")?;
    kubectl.run("delete sts db --cascade=orphan", &["deleted"])?;
    kubectl.run("get po -o name", &["pod/db-0 pod/db-1 pod/db-2"])?;
    kubectl.run("delete po -l app=db --timeout 20s", &["pod \"db-0\" deleted", "pod \"db-2\" deleted"])?;
    kubectl.fail(1, "delete po db-0", &["(NotFound)"])?;
    kubectl.fail(1, "delete ns default", &["(Forbidden)"])?;
    Ok(())
}

fn drain(kubectl: &Kubectl) -> Result<(), Failed> {
    let node = kubectl.run("get po db-0 -o jsonpath={.spec.nodeName}", &["node-"])?;
    kubectl.run(&format!("cordon {node}"), &["cordoned"])?;
    kubectl.run(&format!("get no {node}"), &["Ready,SchedulingDisabled"])?;
    kubectl.run(
        &format!("drain {node} --ignore-daemonsets --delete-emptydir-data --timeout 30s"),
        &["evicted", "drained"],
    )?;
    kubectl.until("get sts db", "db 3/3")?;
    let moved = kubectl.run("get po db-0 -o jsonpath={.spec.nodeName}", &["node-"])?;
    if moved == node {
        return Err(format!("db-0 is on {node} again").into());
    }
    kubectl.run(&format!("uncordon {node}"), &["uncordoned"])?;
    kubectl.run(&format!("taint no {node} dedicated=db:NoSchedule"), &["tainted"])?;
    kubectl.run(&format!("describe no {node}"), &["Taints: dedicated=db:NoSchedule"])?;
    kubectl.run(&format!("taint no {node} dedicated-"), &["untainted"])?;
    Ok(())
}

/// A process that is stopped when the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn watch(kubectl: &Kubectl) -> Result<(), Failed> {
    let mut command = kubectl.command("get po -w -o wide");
    let mut watching = Running(command.stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())?);
    let mut lines = BufReader::new(watching.0.stdout.take().expect("a pipe")).lines();
    let mut until = |expected: &str| loop {
        match lines.next() {
            Some(Ok(line)) if line.split_whitespace().collect::<Vec<_>>().join(" ").contains(expected) => {
                break Ok(());
            }
            Some(Ok(_)) => {}
            _ => break Err(Failed::from(format!("the watch ended before {expected:?}"))),
        }
    };
    until("db-2 1/1 Running")?;
    kubectl.run("scale sts db --replicas 4", &["scaled"])?;
    until("db-3 1/1 Running")?;
    kubectl.run("delete po db-0 --wait=false", &["deleted"])?;
    until("db-0 1/1 Terminating")?;
    until("db-0 1/1 Running")
}

fn clock(kubectl: &Kubectl) -> Result<(), Failed> {
    kubectl.run("get clocks", &["NAME NOW RUNNING SPEED cluster"])?;
    kubectl.write("advance.json", "{\"by\": \"1h\"}");
    let clock = "/apis/clusterlocal.dev/v1/clocks/cluster";
    kubectl.run(&format!("create --raw {clock}/pause -f advance.json"), &["\"running\":false"])?;
    kubectl.run(&format!("create --raw {clock}/advance -f advance.json"), &["\"now\":"])?;
    kubectl.run("get po db-0", &["60m"])?;
    kubectl.run("scale sts db --replicas 4", &["scaled"])?;
    kubectl.run("get changes", &["NAME AT SERIAL NAMES CAUSE", "+db-3.db"])?;
    Ok(())
}

const FAULT: &str = "
apiVersion: clusterlocal.dev/v1
kind: Fault
metadata: {name: srv-fails}
spec: {match: {types: [SRV], every: 3}, actions: [delay 3s, servfail], times: 3}
";

fn fault(kubectl: &Kubectl) -> Result<(), Failed> {
    kubectl.write("fault.yaml", FAULT);
    kubectl.run("apply -f fault.yaml", &["fault.clusterlocal.dev/srv-fails created"])?;
    kubectl.run("apply -f fault.yaml", &["unchanged"])?;
    kubectl.write("fault.yaml", &FAULT.replace("times: 3", "times: 4"));
    kubectl.run("diff -f fault.yaml", &[]).err().ok_or("the exit code of a difference")?;
    kubectl.run("apply -f fault.yaml", &["configured"])?;
    let shown = "NAME MATCH ACTIONS HITS STATE AGE srv-fails types=SRV every=3 delay 3s, servfail 0 Active";
    kubectl.run("get faults", &[shown])?;
    kubectl.run("get fault srv-fails -o jsonpath={.spec.times}", &["4"])?;
    kubectl.run("describe fault srv-fails", &["Name: srv-fails", "Phase: Active", "servfail"])?;
    kubectl.run("explain faults.spec", &["KIND: Fault", "sequence", "preset"])?;
    let mut edit = kubectl.command("edit fault srv-fails");
    check(edit.env("KUBE_EDITOR", "sed -i s/servfail/refused/"), Some(0), &["edited"])?;
    kubectl.run("get faults", &["delay 3s, refused"])?;
    for (from, to, expected) in [
        ("servfail", "servfial", "spec.actions[1]: Invalid value: \"servfial\""),
        ("times: 3", "timse: 3", "unknown field \"spec.timse\""),
        ("times: 3", "times: 0", "spec.times: Invalid value: 0"),
    ] {
        kubectl.write("wrong.yaml", &FAULT.replace(from, to));
        kubectl.fail(1, "apply -f wrong.yaml", &[expected])?;
    }
    kubectl.run("get queries", &[])?;
    kubectl.run("get queries --field-selector fault=srv-fails,rcode!=NOERROR", &[])?;
    kubectl.run("delete -f fault.yaml", &["\"srv-fails\" deleted"])?;
    kubectl.fail(1, "get fault srv-fails", &["(NotFound)"])?;
    Ok(())
}
