//! kubectl with pods that run: logs, exec, attach, cp, port-forward and the proxy, as root and as an ordinary user.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use tempfile::TempDir;

use crate::Test;
use crate::server::Server;

/// Where `.ci/run` installs kubectl, one directory per version.
const INSTALLED: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/kubectl");

/// User and group without rights of their own.
const OVERFLOW_ID: u32 = 65534;

/// A pod with two containers; one whose container ended once; and one that answers HTTP at 8080, and at 9090 of its loopback address.
const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: talk, labels: {app: talk}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: none, command: [sh, -c, "echo one; sleep 0.2; echo two >&2; sleep 0.2; echo three; exec sleep 1000"]}
  - {name: side, image: none, command: [sh, -c, "echo beside; exec sleep 1000"]}
---
apiVersion: v1
kind: Pod
metadata: {name: again}
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{name: work, emptyDir: {}}]
  containers:
  - name: c
    image: none
    command: [sh, -c, "[ -e /work/x ] && echo second && exec sleep 1000; touch /work/x; echo first; exit 3"]
    volumeMounts: [{name: work, mountPath: /work}]
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: none
    ports: [{containerPort: 8080}]
    readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
    command:
    - python3
    - -c
    - |
      import threading
      from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
      class Handler(BaseHTTPRequestHandler):
          protocol_version = 'HTTP/1.1'
          def answer(self):
              size = int(self.headers.get('Content-Length', 0))
              text = f'{self.command} {self.path} {self.rfile.read(size).decode()}\n'.encode()
              if self.path == '/moved':
                  self.send_response(302)
                  self.send_header('Location', '/new?x=1')
              else:
                  self.send_response(200)
              self.send_header('Content-Length', str(len(text)))
              self.end_headers()
              if self.command != 'HEAD':
                  self.wfile.write(text)
          do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer
          def log_message(self, *ignored): pass
      inner = ThreadingHTTPServer(('127.0.0.1', 9090), Handler)
      threading.Thread(target=inner.serve_forever, daemon=True).start()
      ThreadingHTTPServer(('0.0.0.0', 8080), Handler).serve_forever()
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: none}
spec:
  selector: {app: none}
  ports: [{port: 80}]
"#;

/// A sequence of commands.
type Habit = fn(&World) -> Result<(), Failed>;

const HABITS: [(&str, Habit); 8] = [
    ("reads logs", logs),
    ("executes programs", exec),
    ("has terminals", terminals),
    ("attaches and runs", attach),
    ("copies files", cp),
    ("forwards ports", port_forward),
    ("proxies requests", proxy),
    ("keeps web pages away", web_pages),
];

pub fn tests() -> Vec<Test> {
    let program = |version: &str| Path::new(INSTALLED).join(version).join("kubectl");
    let has_python = Command::new("python3").arg("--version").output().is_ok();
    let mut tests = Vec::new();
    for user in [None, Some(OVERFLOW_ID)] {
        // Only root can become another user.
        if user.is_some() && !nix::unistd::geteuid().is_root() {
            continue;
        }
        let new = program("1.37");
        let is_installed = new.exists() && has_python;
        let name = user.map_or("as the caller", |_| "as an ordinary user");
        let test = Test::new(format!("1.37 {name}"), move || {
            let world = World::new(new, user)?;
            let results = HABITS
                .map(|(name, habit)| habit(&world).map_err(|failed| format!("{name}: {}", message(&failed))));
            let failed: Vec<String> = results.into_iter().filter_map(Result::err).collect();
            if failed.is_empty() { Ok(()) } else { Err(failed.join("\n\n").into()) }
        });
        tests.push(test.needs(is_installed));
    }
    let old = program("1.27");
    let is_installed = old.exists() && has_python;
    let test = Test::new("1.27 is asked to speak WebSocket", move || old_kubectl(&World::new(old, None)?));
    tests.push(test.needs(is_installed));
    tests
}

fn message(failed: &Failed) -> String {
    failed.message().unwrap_or_default().to_owned()
}

fn logs(world: &World) -> Result<(), Failed> {
    world.table(&[
        ("logs talk -c main", 0, "one\ntwo\nthree\n"),
        ("logs talk -c main --tail 1", 0, "three\n"),
        ("logs talk -c main --limit-bytes 5", 0, "one\nt"),
        ("logs talk -c main --since 1h --tail 1", 0, "three\n"),
        ("logs talk -c main --since-time 2999-01-01T00:00:00Z", 0, ""),
        ("logs talk --all-containers -l app=talk --prefix --tail 1", 0, "[pod/talk/main] three\n[pod/talk/side] beside\n"),
        ("logs talk", 0, "one\ntwo\nthree\n"),
        ("logs again", 0, "second\n"),
        ("logs again -p", 0, "first\n"),
        ("logs talk -p -c main", 1, "Error from server (BadRequest): previous terminated container \"main\" in pod \"talk\" not found\n"),
        ("logs talk -c none", 1, "error: container none is not valid for pod talk out of: main, side\n"),
        ("get --raw /api/v1/namespaces/default/pods/talk/log?container=none", 1, "Error from server (BadRequest): container none is not valid for pod talk\n"),
        ("logs none", 1, "error: error from server (NotFound): pods \"none\" not found in namespace \"default\"\n"),
        ("get --raw /api/v1/namespaces/default/pods/talk/log", 1, "Error from server (BadRequest): a container name must be specified for pod talk, choose one of: [main side]\n"),
        ("get --raw /api/v1/namespaces/default/pods/talk/log?tailLines=-1", 1, "Error from server (Invalid): PodLogOptions \"talk\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0\n"),
    ])?;
    let stamped = world.kubectl("logs talk -c main --timestamps --tail 1", "").1;
    let (time, text) = stamped.split_once(' ').ok_or("a time is missing")?;
    if !(time.len() == "2026-01-01T00:00:00.000000000Z".len() && time.ends_with('Z') && text == "three\n") {
        return Err(format!("{stamped:?}").into());
    }
    // Lines are there once they are written, and the command ends with the container.
    world
        .kubectl("run counter --image none --restart Never --command -- sh -c 'echo a; sleep 1; echo b'", "");
    world.expect(
        "wait pod counter --for jsonpath={.status.containerStatuses[0].state} --timeout 20s",
        0,
        None,
    )?;
    world.expect("logs -f counter", 0, Some("a\nb\n"))
}

fn exec(world: &World) -> Result<(), Failed> {
    world.table(&[
        ("exec talk -c main -- echo hello", 0, "hello\n"),
        (
            "exec talk -c main -- sh -c 'echo out; echo err >&2; exit 7'",
            7,
            "out\nerr\ncommand terminated with exit code 7\n",
        ),
        ("exec talk -c main -- hostname", 0, "talk\n"),
        ("exec talk -c main -- sh -c 'kill -9 $$'", 137, "command terminated with exit code 137\n"),
        ("exec talk -c none -- true", 1, "error: container none is not valid for pod talk out of: main, side\n"),
        ("exec none -- true", 1, "Error from server (NotFound): pods \"none\" not found\n"),
    ])?;
    let (code, out) = world.kubectl("exec talk -c main -- no-such-program", "");
    let expected = "error: Internal error occurred: error executing command in container: failed to exec in container: exec: \
                    \"no-such-program\": executable file not found in $PATH\n";
    same("exec of no program", (code, &out), (1, expected))?;
    // Much more than buffers hold, both ways.
    let long = "0123456789abcde\n".repeat(1 << 16);
    let (code, out) = world.kubectl("exec -i talk -c main -- cat", &long);
    if (code, out.len()) != (0, long.len()) || out != long {
        return Err(format!("cat: {code}, {} of {} bytes", out.len(), long.len()).into());
    }
    // Standard input is closed after what was sent.
    same("wc", world.kubectl("exec -i talk -c main -- wc -c", "12345"), (0, "5\n"))?;
    // A client that goes away takes its process with it.
    let mut client = world.command("exec talk -c main -- sleep 4321").spawn()?;
    let running = || world.kubectl("exec talk -c main -- sh -c 'pgrep -c -x -f \"sleep 4321\"'", "").1;
    until("the process runs", || running().starts_with('1'))?;
    client.kill()?;
    client.wait()?;
    until("the process has ended", || running().starts_with('0'))
}

fn terminals(world: &World) -> Result<(), Failed> {
    // script(1) gives kubectl a terminal.
    let table = [
        ("exec -it talk -c main -- tty", "/dev/pts/"),
        (
            "exec -it talk -c main -- sh -c 'stty size; test -t 0 && test -t 1 && test -t 2 && echo three'",
            "three",
        ),
        ("exec -it talk -c main -- sh -c 'stty size'", "33 99"),
    ];
    for (arguments, expected) in table {
        let command = world.shell(arguments);
        let mut script = world.bare("script");
        script.args(["-qefc", &format!("stty rows 33 cols 99; {command}"), "/dev/null"]);
        let output = script.stdin(Stdio::null()).output()?;
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() || !out.contains(expected) {
            return Err(
                format!("{arguments}: {:?} is expected in {out:?} ({})", expected, output.status).into()
            );
        }
    }
    Ok(())
}

fn attach(world: &World) -> Result<(), Failed> {
    let run = "run --image none --rm -i --restart Never -q";
    same("run", world.kubectl(&format!("{run} one --command -- cat"), "typed\n"), (0, "typed\n"))?;
    same(
        "early output",
        world.kubectl(&format!("{run} two --command -- sh -c 'echo early; cat'"), "late\n"),
        (0, "early\nlate\n"),
    )?;
    let (code, out) = world.kubectl(&format!("{run} three --command -- sh -c 'cat; exit 5'"), "");
    if code != 5 {
        return Err(format!("exit code: {code} {out}").into());
    }
    let (_, out) = world.kubectl(&format!("{run} four --command -- echo quick"), "");
    if !out.contains("quick") {
        return Err(format!("a short run: {out:?}").into());
    }
    let left = world.kubectl("get pods one two three four --ignore-not-found -o name", "").1;
    same("--rm", (0, &left), (0, ""))
}

fn cp(world: &World) -> Result<(), Failed> {
    std::fs::write(world.home.path().join("file"), "content\n")?;
    world.table(&[
        ("cp file talk:/tmp/clusterlocal-copied -c main", 0, ""),
        ("exec talk -c main -- cat /tmp/clusterlocal-copied", 0, "content\n"),
    ])?;
    world.expect("cp talk:/tmp/clusterlocal-copied back -c main", 0, None)?;
    world.expect("exec talk -c main -- rm /tmp/clusterlocal-copied", 0, None)?;
    same("the copy", (0, &std::fs::read_to_string(world.home.path().join("back"))?), (0, "content\n"))
}

fn port_forward(world: &World) -> Result<(), Failed> {
    for (target, port, path) in
        [("pod/web", 8080, "/a"), ("pod/web", 9090, "/loopback"), ("service/web", 80, "/b")]
    {
        let forward = Background::start(world.command(&format!("port-forward {target} :{port}")))?;
        // Several connections, some at once.
        let mut clients: Vec<TcpStream> =
            (0..4).map(|_| TcpStream::connect(forward.address)).collect::<Result<_, _>>()?;
        for client in &mut clients {
            write!(client, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        }
        for mut client in clients {
            let mut answer = String::new();
            client.read_to_string(&mut answer)?;
            if !answer.ends_with(&format!("\r\n\r\nGET {path} \n")) {
                return Err(format!("{target} {port}: {answer:?}").into());
            }
        }
    }
    let mut command = world.command("port-forward pod/web :7");
    let mut forward = Background::start(command.stderr(Stdio::piped()))?;
    let mut client = TcpStream::connect(forward.address)?;
    _ = client.read_to_string(&mut String::new());
    let mut error = String::new();
    let mut lines = BufReader::new(forward.child.stderr.take().ok_or("no pipe")?);
    lines.read_line(&mut error)?;
    if !(error.contains("an error occurred forwarding")
        && error.contains("error forwarding port 7 to pod web, uid"))
    {
        return Err(format!("a closed port: {error:?}").into());
    }
    Ok(())
}

fn proxy(world: &World) -> Result<(), Failed> {
    let raw = "/api/v1/namespaces/default";
    world.table(&[
        (&format!("get --raw {raw}/pods/web/proxy/a?b=c"), 0, "GET /a?b=c \n"),
        (&format!("get --raw {raw}/pods/web:8080/proxy/a%2Fb/"), 0, "GET /a%2Fb/ \n"),
        (&format!("get --raw {raw}/services/web/proxy/"), 0, "GET / \n"),
        (&format!("get --raw {raw}/services/web:80/proxy/x"), 0, "GET /x \n"),
        (
            &format!("get --raw {raw}/services/web:81/proxy/"),
            1,
            "Error from server (ServiceUnavailable): no service port 81 found for service \"web\"\n",
        ),
        (
            &format!("get --raw {raw}/services/none/proxy/"),
            1,
            "Error from server (ServiceUnavailable): no endpoints available for service \"none\"\n",
        ),
        (
            &format!("get --raw {raw}/services/x/proxy/"),
            1,
            "Error from server (NotFound): services \"x\" not found\n",
        ),
        (
            &format!("get --raw {raw}/pods/ftp:web:80/proxy/"),
            1,
            "Error from server (BadRequest): invalid pod request \"ftp:web:80\"\n",
        ),
    ])?;
    let (code, out) = world.kubectl(&format!("get --raw {raw}/pods/web:7/proxy/"), "");
    if code != 1
        || !out.contains("(ServiceUnavailable): error trying to reach service: dial tcp 10.244.")
        || !out.contains(":7: connect: connection refused")
    {
        return Err(format!("a closed port: {code} {out}").into());
    }
    // As the tutorial has it: kubectl proxy and curl's lines, whose bodies are forms.
    let walk = Background::start(world.command("proxy --port 0"))?;
    let prefix = format!("{raw}/pods/web/proxy");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let table = [
        ("GET", "/", "", "", "200", "GET / \n"),
        ("POST", "/set", form, "hey=you", "200", "POST /set hey=you\n"),
        ("PUT", "/x", "", "1", "200", "PUT /x 1\n"),
        ("PATCH", "/x", "", "2", "200", "PATCH /x 2\n"),
        ("DELETE", "/x", "", "", "200", "DELETE /x \n"),
        ("OPTIONS", "/x", "", "", "200", "OPTIONS /x \n"),
        ("GET", "/moved", "", "", "302", "/proxy/new?x=1"),
        ("GET", "", "", "", "301", "/pods/web/proxy/\r\n"),
    ];
    for (method, path, header, body, code, expected) in table {
        for through in [walk.address, world.api] {
            let length = body.len();
            let answer = send(
                through,
                &format!(
                    "{method} {prefix}{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{header}Content-Length: {length}\r\n\r\n{body}"
                ),
            )?;
            if !(answer.starts_with(&format!("HTTP/1.1 {code} ")) && answer.contains(expected)) {
                return Err(format!("{method} {path} through {through}: {answer}").into());
            }
        }
    }
    Ok(())
}

fn web_pages(world: &World) -> Result<(), Failed> {
    let path = "/api/v1/namespaces/default/pods/talk/exec?container=main&command=id";
    let handshake = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n";
    let table = [
        ("Host: localhost", "101"),
        ("Host: localhost\r\nOrigin: http://evil.example", "403"),
        ("Host: localhost\r\nOrigin: null", "403"),
        ("Host: localhost\r\nSec-Fetch-Site: cross-site", "403"),
        ("Host: evil.example", "403"),
    ];
    for (headers, code) in table {
        let answer = send(world.api, &format!("GET {path} HTTP/1.1\r\n{headers}\r\n{handshake}\r\n"))?;
        if !answer.starts_with(&format!("HTTP/1.1 {code} ")) {
            return Err(format!("{headers}: {answer}").into());
        }
    }
    Ok(())
}

fn old_kubectl(world: &World) -> Result<(), Failed> {
    world.table(&[
        ("logs talk -c main", 0, "one\ntwo\nthree\n"),
        ("exec talk -c none -- true", 1, "error: container none is not valid for pod talk out of: main, side\n"),
    ])?;
    for arguments in ["exec talk -c main -- true", "attach talk -c main", "port-forward pod/talk :80"] {
        let (code, out) = world.kubectl(arguments, "");
        if code != 1 || !out.contains("kubectl 1.31 or later") {
            return Err(format!("{arguments}: {code} {out}").into());
        }
    }
    Ok(())
}

/// kubectl and a server whose pods run.
struct World {
    program: PathBuf,
    home: TempDir,
    api: SocketAddr,
    _server: Server,
}

impl World {
    fn new(program: PathBuf, user: Option<u32>) -> Result<Self, Failed> {
        let home = tempfile::tempdir()?;
        std::fs::write(home.path().join("pods.yaml"), PODS)?;
        // Where this program is, others may not read.
        let server = home.path().join("clusterlocal");
        std::fs::copy(env!("CARGO_BIN_EXE_clusterlocal"), &server)?;
        std::fs::set_permissions(&server, std::fs::Permissions::from_mode(0o755))?;
        if let Some(user) = user {
            for path in [home.path(), &server, &home.path().join("pods.yaml")] {
                std::os::unix::fs::chown(path, Some(user), Some(user))?;
            }
        }
        let mut command = Command::new(&server);
        command.args([
            "run",
            "pods.yaml",
            "--quiet",
            "--listen",
            "127.0.0.1:0",
            "--api",
            "127.0.0.1:0",
            "--watch",
            "off",
        ]);
        command.current_dir(home.path()).env("HOME", home.path()).env("TMPDIR", home.path());
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        let server = Server::spawn(&mut command);
        let api = server.api.ok_or("no API")?;
        let world = World { program, home, api, _server: server };
        world.expect("wait pod talk web --for condition=Ready --timeout 30s", 0, None)?;
        until("all is written", || world.kubectl("logs talk -c main --tail 1", "").1 == "three\n")?;
        until("the container has been started again", || world.kubectl("logs again", "").1 == "second\n")?;
        Ok(world)
    }

    /// kubectl with these arguments, split at spaces; `'` quotes words.
    fn command(&self, arguments: &str) -> Command {
        let mut command = self.bare(&self.program);
        command.arg(format!("--server=http://{}", self.api));
        for (at, part) in arguments.split('\'').enumerate() {
            match at % 2 {
                0 => command.args(part.split_whitespace()),
                _ => command.arg(part),
            };
        }
        command
    }

    /// The same, as a shell has it.
    fn shell(&self, arguments: &str) -> String {
        format!("{} --server=http://{} {arguments}", self.program.display(), self.api)
    }

    fn bare(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.home.path()).env("HOME", self.home.path()).env("NO_COLOR", "1");
        command.env_remove("KUBECONFIG").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Exit code, and standard output followed by standard error.
    fn kubectl(&self, arguments: &str, input: &str) -> (i32, String) {
        let mut command = self.command(arguments);
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.expect("kubectl starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = input.to_owned();
        let writer = std::thread::spawn(move || _ = stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().expect("kubectl ends");
        writer.join().expect("it is written");
        let [out, err] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let err = err
            .lines()
            .filter(|line| !line.starts_with("Defaulted container"))
            .map(|line| format!("{line}\n"));
        (output.status.code().unwrap_or(-1), out + &err.collect::<String>())
    }

    /// Runs commands, each with its exit code and output.
    fn table(&self, table: &[(&str, i32, &str)]) -> Result<(), Failed> {
        table.iter().try_for_each(|(arguments, code, expected)| self.expect(arguments, *code, Some(expected)))
    }

    fn expect(&self, arguments: &str, code: i32, expected: Option<&str>) -> Result<(), Failed> {
        let (ended, out) = self.kubectl(arguments, "");
        same(arguments, (ended, &out), (code, expected.unwrap_or(&out)))
    }
}

fn same(what: &str, (code, out): (i32, impl AsRef<str>), expected: (i32, &str)) -> Result<(), Failed> {
    let found = (code, out.as_ref());
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?} instead of {expected:?}").into()) }
}

fn until(what: &str, is: impl Fn() -> bool) -> Result<(), Failed> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is() {
        if Instant::now() > deadline {
            return Err(format!("{what}: not within 30 s").into());
        }
    }
    Ok(())
}

/// Sends a request, and returns what comes back until the end, or for an upgrade the head.
fn send(to: SocketAddr, request: &str) -> Result<String, Failed> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !(answer.starts_with(b"HTTP/1.1 101") || request.contains("Upgrade:") && !answer.is_empty()) {
        match stream.read(&mut buffer)? {
            0 => break,
            read => answer.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A kubectl that listens until this is dropped.
struct Background {
    child: Child,
    address: SocketAddr,
}

impl Background {
    fn start(mut command: impl std::borrow::BorrowMut<Command>) -> Result<Self, Failed> {
        let mut child = command.borrow_mut().stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let mut lines = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        lines.read_line(&mut line)?;
        // `Forwarding from 127.0.0.1:40001 -> 80`, `Starting to serve on 127.0.0.1:40001`.
        let address = line.split_whitespace().find_map(|word| word.parse().ok());
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Ok(Background { child, address: address.ok_or_else(|| format!("no address in {line:?}"))? })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
