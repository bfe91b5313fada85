//! A server whose pods run, with kubectl. Must not depend on what is asserted.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use tempfile::TempDir;

use crate::server::Server;

/// A pod with two containers; one whose container ended once; and one that answers HTTP at 8080, and at 9090 of its loopback address.
const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: talk, labels: {app: talk}}
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{name: work, emptyDir: {}}]
  containers:
  - name: main
    image: none
    command: [sh, -c, "echo one; sleep 0.2; echo two >&2; sleep 0.2; echo three; exec sleep 1000"]
    volumeMounts: [{name: work, mountPath: /work}]
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

/// kubectl and a server whose pods run.
pub struct World {
    program: PathBuf,
    pub home: TempDir,
    pub api: SocketAddr,
    _server: Server,
}

impl World {
    pub fn new(program: PathBuf, user: Option<u32>) -> Result<Self, Failed> {
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
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = self.bare(&self.program);
        command.arg(format!("--server=http://{}", self.api));
        with_words(&mut command, arguments);
        command
    }

    /// The same, as a shell has it.
    pub fn shell(&self, arguments: &str) -> String {
        format!("{} --server=http://{} {arguments}", self.program.display(), self.api)
    }

    pub fn bare(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        // Variables of servers that were started by hand.
        for (variable, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CLUSTERLOCAL_"))
        {
            command.env_remove(variable);
        }
        command.current_dir(self.home.path()).env("HOME", self.home.path()).env("NO_COLOR", "1");
        command.env_remove("KUBECONFIG").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Exit code, and standard output followed by standard error.
    pub fn kubectl(&self, arguments: &str, input: &str) -> (i32, String) {
        run(&mut self.command(arguments), input)
    }

    /// Runs commands, each with its exit code and output.
    pub fn table(&self, table: &[(&str, i32, &str)]) -> Result<(), Failed> {
        table.iter().try_for_each(|(arguments, code, expected)| self.expect(arguments, *code, Some(expected)))
    }

    pub fn expect(&self, arguments: &str, code: i32, expected: Option<&str>) -> Result<(), Failed> {
        let (ended, out) = self.kubectl(arguments, "");
        same(arguments, (ended, &out), (code, expected.unwrap_or(&out)))
    }
}

/// Adds arguments, split at spaces; `'` quotes words.
pub fn with_words<'c>(command: &'c mut Command, arguments: &str) -> &'c mut Command {
    for (at, part) in arguments.split('\'').enumerate() {
        match at % 2 {
            0 => command.args(part.split_whitespace()),
            _ => command.arg(part),
        };
    }
    command
}

/// Exit code, and standard output followed by standard error, without kubectl's note about the container.
pub fn run(command: &mut Command, input: &str) -> (i32, String) {
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || _ = stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("the program ends");
    writer.join().expect("it is written");
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let err =
        err.lines().filter(|line| !line.starts_with("Defaulted container")).map(|line| format!("{line}\n"));
    (output.status.code().unwrap_or(-1), out + &err.collect::<String>())
}

pub fn same(what: &str, (code, out): (i32, impl AsRef<str>), expected: (i32, &str)) -> Result<(), Failed> {
    let found = (code, out.as_ref());
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?} instead of {expected:?}").into()) }
}

pub fn until(what: &str, is: impl Fn() -> bool) -> Result<(), Failed> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is() {
        if Instant::now() > deadline {
            return Err(format!("{what}: not within 30 s").into());
        }
    }
    Ok(())
}

/// Sends a request, and returns what comes back until the end, or for an upgrade the head.
pub fn send(to: SocketAddr, request: &str) -> Result<String, Failed> {
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
pub struct Background {
    pub child: Child,
    pub address: SocketAddr,
}

impl Background {
    pub fn start(mut command: impl std::borrow::BorrowMut<Command>) -> Result<Self, Failed> {
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
