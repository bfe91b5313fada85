//! Folders from practice: kustomizations, charts, subfolders, and other files beside manifests.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Time-out of anything that is expected to happen.
const DEADLINE: Duration = Duration::from_secs(20);

fn service(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{type: ExternalName, externalName: example.org}}\n"
    )
}

/// A directory to run in, whose `bin` is the whole PATH.
struct Folder(TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Folder(tempfile::tempdir().expect("a directory"));
        fs::create_dir(folder.path("bin")).expect("a directory");
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }

    /// Adds a program to the PATH.
    fn install(&self, name: &str, script: &str) {
        self.write(&format!("bin/{name}"), &format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n"));
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(&format!("bin/{name}")), mode).expect("a mode");
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clusterlocal"));
        command.args(arguments.split_whitespace()).current_dir(self.0.path()).stdin(Stdio::null());
        for (variable, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CLUSTERLOCAL_"))
        {
            command.env_remove(variable);
        }
        command.env("PATH", self.path("bin"));
        command
    }

    /// Returns exit code, standard output and standard error.
    fn run(&self, arguments: &str) -> (i32, String, String) {
        let output = self.command(arguments).output().expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code().expect("a code"), text(output.stdout), text(output.stderr))
    }

    /// Serves, with the log in a file.
    fn serve(&self, arguments: &str) -> Server {
        let log = fs::File::create(self.path("log")).expect("a file");
        let mut command = self.command(&format!("serve --listen 127.0.0.1:0 --api 127.0.0.1:0 {arguments}"));
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the program starts");
        let mut ready = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        stdout.read_line(&mut ready).expect("a line");
        assert!(ready.starts_with("ready "), "{ready}{}", self.log());
        let api =
            ready.split_whitespace().find_map(|word| word.strip_prefix("api=")).expect("an API").to_owned();
        Server { child, api }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn becomes_logged(&self, what: &str) {
        let begin = Instant::now();
        while !self.log().contains(what) {
            assert!(begin.elapsed() < DEADLINE, "{what:?} is not in the log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

struct Server {
    child: Child,
    api: String,
}

impl Server {
    /// The names of the Services in `namespace`, except the cluster's own.
    fn services(&self, namespace: &str) -> Vec<String> {
        let mut stream = std::net::TcpStream::connect(&self.api).expect("the API");
        let path = format!("/api/v1/namespaces/{namespace}/services");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.api)
            .expect("a request");
        let answer = std::io::read_to_string(stream).expect("an answer");
        let body = &answer[answer.find("\r\n\r\n").expect("a body") + 4..];
        let body = &body[body.find('{').expect("JSON")..=body.rfind('}').expect("JSON")];
        let list: serde_json::Value =
            serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
        let names = list["items"].as_array().expect("items").iter().map(|item| &item["metadata"]["name"]);
        names
            .map(|name| name.as_str().expect("a name").to_owned())
            .filter(|name| name != "kubernetes")
            .collect()
    }

    fn becomes(&self, namespace: &str, expected: &[&str]) {
        let begin = Instant::now();
        while self.services(namespace) != expected {
            assert!(begin.elapsed() < DEADLINE, "{:?} instead of {expected:?}", self.services(namespace));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

const KUSTOMIZATION: &str = "resources: [svc.yaml, ../base]\n";

/// Renders like kubectl: the resources of the kustomization, in another namespace.
const RENDERER: &str = r#"[ "$1" = kustomize ] || exit 9
[ -e "$2/fails" ] && { echo "error: accumulating resources: no such thing" >&2; exit 1; }
for file in "$2"/*.yaml "$2"/../base/*.yaml; do
  case $file in *kustomization.yaml) continue;; esac
  sed 's/{name: /{namespace: prod, name: /' "$file" || exit 1
  echo ---
done"#;

fn kustomized() -> Folder {
    let folder = Folder::with(&[
        ("k/kustomization.yaml", KUSTOMIZATION),
        ("k/svc.yaml", &service("a")),
        ("base/kustomization.yaml", "resources: [svc.yaml]\n"),
        ("base/svc.yaml", &service("b")),
    ]);
    folder.install("kubectl", RENDERER);
    folder
}

#[test]
fn every_verb_that_reads_manifests_renders_a_kustomization() {
    let folder = kustomized();
    for (arguments, part) in [
        ("records -k k", "a.prod.svc.cluster.local."),
        ("records --kustomize k", "b.prod.svc.cluster.local."),
        ("check -k k", "2 objects read"),
        ("query a.prod.svc.cluster.local CNAME -k k", "example.org."),
        ("explain a.prod.svc.cluster.local CNAME -k k", "prod/a"),
    ] {
        let (_, stdout, stderr) = folder.run(arguments);
        assert!(stdout.contains(part), "{arguments}: {stdout}{stderr}");
    }
    folder.write(
        "scenario.yaml",
        "apiVersion: clusterlocal.dev/v1\nkind: Scenario\nmetadata: {name: s}\nsees: an alias\nsteps:\n- ask: a.prod.svc.cluster.local. CNAME\n  says: 'cname:example.org.'\n",
    );
    let (code, stdout, stderr) = folder.run("play scenario.yaml -k k");
    assert!(code == 0, "{stdout}{stderr}");
}

#[test]
fn a_kustomization_that_cannot_be_rendered_is_reported() {
    let folder = kustomized();
    // Without -k its files would be read as they are.
    for verb in ["serve", "check", "records"] {
        let (code, stdout, stderr) = folder.run(&format!("{verb} k"));
        assert_eq!(code, 2, "{verb}");
        assert!((stdout + &stderr).contains("render it: -k k"), "{verb}");
    }
    let (code, stdout, _) = folder.run("check k/kustomization.yaml");
    assert!(code == 2 && stdout.contains("render it: -k k"), "{stdout}");
    folder.write("k/fails", "");
    let (code, _, stderr) = folder.run("records -k k");
    let message = "kubectl kustomize k failed (exit status: 1): accumulating resources: no such thing";
    assert!(code == 2 && stderr.contains(message), "{stderr}");
    for (arguments, part) in [
        ("records -k base/svc.yaml", "-k takes the directory"),
        ("records -k bin", "no kustomization.yaml"),
        ("records -k none", "failed"),
    ] {
        let (code, _, stderr) = folder.run(arguments);
        assert!(code == 2 && stderr.contains(part), "{arguments}: {stderr}");
    }
    fs::remove_file(folder.path("bin/kubectl")).expect("a file");
    let (code, _, stderr) = folder.run("records -k k");
    let message = "neither kubectl nor kustomize is on the PATH";
    assert!(
        code == 2 && stderr.contains(message) && stderr.contains("kubernetes.io/docs/tasks/tools"),
        "{stderr}"
    );
    folder.install("kustomize", &RENDERER.replace("= kustomize", "= build"));
    fs::remove_file(folder.path("k/fails")).expect("a file");
    let (code, stdout, _) = folder.run("records -k k");
    assert!(code == 0 && stdout.contains("a.prod.svc.cluster.local."), "{stdout}");
}

#[test]
fn the_inputs_of_a_kustomization_are_followed() {
    let folder = kustomized();
    let server = folder.serve("-k k");
    server.becomes("prod", &["a", "b"]);
    // A base, written in place; a resource, renamed; if rendering fails, the last good state stays.
    folder.write("base/svc.yaml", &service("c"));
    server.becomes("prod", &["a", "c"]);
    folder.write("new", &service("d"));
    fs::rename(folder.path("new"), folder.path("k/svc.yaml")).expect("a rename");
    server.becomes("prod", &["c", "d"]);
    folder.write("k/fails", "");
    folder.write("k/kustomization.yaml", "resources: [svc.yaml, ../base]\nnamePrefix: x-\n");
    folder.becomes_logged("accumulating resources");
    assert_eq!(server.services("prod"), ["c", "d"]);
    fs::remove_file(folder.path("k/fails")).expect("a file");
    folder.write("k/svc.yaml", &service("e"));
    server.becomes("prod", &["c", "e"]);
    // An input that stays deleted is missing; one that is created again is used.
    fs::remove_file(folder.path("base/svc.yaml")).expect("a file");
    server.becomes("prod", &["e"]);
    folder.write("base/svc.yaml", &service("f"));
    server.becomes("prod", &["e", "f"]);
}

/// Files; the objects that kubectl renders from them are expected.
#[test]
fn objects_equal_those_rendered_by_kubectl() {
    let candidates = std::env::var_os("PATH").unwrap_or_default();
    let here = [Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tmp/kubectl/1.37")];
    let kubectl = here.into_iter().chain(std::env::split_paths(&candidates)).map(|dir| dir.join("kubectl"));
    let Some(kubectl) = kubectl.into_iter().find(|path| path.is_file()) else { return };
    let deployment = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec:\n  serviceName: db\n  replicas: 1\n  selector: {matchLabels: {app: db}}\n  template:\n    metadata: {labels: {app: db}}\n    spec: {containers: [{name: c, image: i}]}\n";
    let headless = "apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {clusterIP: None, selector: {app: db}, ports: [{name: sql, port: 5432}]}\n";
    let folder = Folder::with(&[
        ("plain/kustomization.yaml", "namespace: prod\nresources: [svc.yaml]\n"),
        ("plain/svc.yaml", headless),
        ("base/kustomization.yaml", "resources: [svc.yaml, set.yaml]\n"),
        ("base/svc.yaml", headless),
        ("base/set.yaml", deployment),
        (
            "overlays/prod/kustomization.yml",
            "namespace: prod\nnamePrefix: p-\nresources: [../../base]\nreplicas: [{name: db, count: 4}]\n",
        ),
        (
            "overlays/patched/kustomization.yaml",
            "resources: [../../base]\npatches:\n- path: patch.yaml\n- target: {kind: Service}\n  patch: |-\n    - {op: add, path: /spec/publishNotReadyAddresses, value: true}\n",
        ),
        (
            "overlays/patched/patch.yaml",
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec: {replicas: 2}\n",
        ),
        (
            "components/three/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nreplicas: [{name: db, count: 3}]\n",
        ),
        ("overlays/three/Kustomization", "resources: [../../base]\ncomponents: [../../components/three]\n"),
        (
            "generated/kustomization.yaml",
            "resources: [../base]\nconfigMapGenerator:\n- name: c\n  files: [a.conf]\nsecretGenerator:\n- name: s\n  literals: [a=b]\n",
        ),
        ("generated/a.conf", "x\n"),
    ]);
    std::os::unix::fs::symlink(&kubectl, folder.path("bin/kubectl")).expect("a link");
    for directory in ["plain", "base", "overlays/prod", "overlays/patched", "overlays/three", "generated"] {
        let rendered =
            Command::new(&kubectl).args(["kustomize", directory]).current_dir(folder.0.path()).output();
        let rendered = rendered.expect("kubectl starts");
        assert!(rendered.status.success(), "{directory}: {}", String::from_utf8_lossy(&rendered.stderr));
        folder.write("rendered.yaml", std::str::from_utf8(&rendered.stdout).expect("text"));
        let (code, expected, _) = folder.run("records rendered.yaml");
        assert_eq!(code, 0, "{directory}");
        let (code, records, stderr) = folder.run(&format!("records -k {directory}"));
        assert_eq!((code, records), (0, expected), "{directory}: {stderr}");
    }
}

#[test]
fn files_that_are_no_manifests_are_skipped() {
    let foreign = [
        ("d/values.yaml", "replicas: 3\n"),
        ("d/compose.yaml", "services: {a: {image: b}}\n"),
        ("d/patch.yaml", "- {op: remove, path: /spec/replicas}\n"),
        ("d/users.json", "{\"users\": []}"),
        ("d/tsconfig.json", "{\n  // a comment\n  \"strict\": true\n}"),
        ("d/list.json", "[1, 2]"),
        ("d/broken.yml", "a: [\n"),
        ("d/words.yaml", "just words\n"),
    ];
    let folder = Folder::with(&foreign);
    folder.write("d/svc.yaml", &service("a"));
    folder.write("d/empty.yaml", "");
    let (code, stdout, _) = folder.run("check d");
    assert_eq!(code, 1, "{stdout}");
    assert!(stdout.contains(&format!("{} warnings in {0} files; 1 object read", foreign.len())), "{stdout}");
    for (name, _) in foreign {
        assert!(stdout.contains(&format!("--> {name}")), "{name} is not in\n{stdout}");
    }
    let server = folder.serve("d");
    assert_eq!(server.services("default"), ["a"]);
    // A skipped file that becomes a manifest is read; a manifest whose first lines are missing for a moment is not skipped.
    folder.write("d/values.yaml", &service("b"));
    server.becomes("default", &["a", "b"]);
    folder.write(
        "d/svc.yaml",
        "metadata: {name: a}\nspec: {type: ExternalName, externalName: example.org, ports: []}\n",
    );
    folder.becomes_logged("its previous content is still served");
    assert_eq!(server.services("default"), ["a", "b"]);
    drop(server);
    // A malformed manifest still stops the start, and so does a file that is named.
    for broken in [
        "apiVersion: v1\nkind: Service\nspec: [\n",
        "kind: Service\nmetadata: {name: a}\n",
        "{\"apiVersion\": \"v1\",",
    ] {
        folder.write("d/svc.yaml", broken);
        assert_eq!(folder.run("records d").0, 2, "{broken}");
    }
    assert_eq!(folder.run("records d/compose.yaml").0, 2);
}

#[test]
fn subfolders_are_read_and_followed_with_recursive() {
    let folder = Folder::with(&[("d/app/svc.yaml", &service("a"))]);
    let (code, stdout, _) = folder.run("check d");
    let text = "manifests in subdirectories are not read: app (1 file)";
    assert!(code == 2 && stdout.contains(text) && stdout.contains("-R"), "{stdout}");
    let server = folder.serve("d");
    folder.becomes_logged(text);
    drop(server);
    assert!(folder.run("records -R d").1.contains("a.default.svc"));
    let server = folder.serve("--recursive d");
    assert_eq!(server.services("default"), ["a"]);
    // A new subfolder, one in it, and a renamed one.
    fs::create_dir_all(folder.path("d/new/deep")).expect("a directory");
    folder.write("d/new/deep/svc.yaml", &service("b"));
    server.becomes("default", &["a", "b"]);
    folder.write("d/app/svc.yaml", &service("c"));
    server.becomes("default", &["b", "c"]);
    fs::rename(folder.path("d/new"), folder.path("d/old")).expect("a rename");
    folder.write("d/old/deep/svc.yaml", &service("e"));
    // The objects under the old name are deleted after a while.
    server.becomes("default", &["c", "e"]);
    folder.write("d/old/deep/more.yaml", &service("f"));
    server.becomes("default", &["c", "e", "f"]);
}

#[test]
fn a_chart_is_refused_with_the_command_that_renders_it() {
    let folder = Folder::with(&[
        ("chart/Chart.yaml", "apiVersion: v2\nname: c\nversion: 0.1.0\n"),
        ("chart/values.yaml", "replicas: 3\n"),
        (
            "chart/templates/svc.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: {name: {{ .Release.Name }}}\n",
        ),
    ]);
    for arguments in ["check chart", "serve chart", "check chart/Chart.yaml"] {
        let (code, stdout, stderr) = folder.run(arguments);
        let message = "helm template NAME chart | clusterlocal serve -";
        assert!(code == 2 && (stdout.clone() + &stderr).contains(message), "{arguments}: {stdout}{stderr}");
    }
    folder.write("svc.yaml", &service("a"));
    let (code, stdout, _) = folder.run("check -R .");
    assert!(
        code == 1 && stdout.contains("helm template NAME ./chart | clusterlocal serve -"),
        "{code} {stdout}"
    );
}

/// What a failed command passes to the next one in a pipe.
#[test]
fn an_empty_standard_input_is_an_error() {
    let folder = Folder::with(&[]);
    for arguments in ["check -", "records -", "serve -", "query a -f -", "explain a -f -"] {
        for input in ["", "\n", "---\n", "# Source: x\n---\n"] {
            let mut command = folder.command(arguments);
            let mut child =
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert_eq!(output.status.code(), Some(2), "{arguments} {input:?}: {text}");
            assert!(text.contains("nothing on standard input"), "{text}");
        }
    }
}
