//! kubectl with pods that run: logs, exec, attach, cp, port-forward and the proxy, as root and as an ordinary user.

mod world;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::Failed;

use crate::Test;
use world::{Background, World, run, same, send, until, with_words};

/// Where `.ci/run` installs kubectl, one directory per version.
const INSTALLED: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/kubectl");

/// User and group without rights of their own.
const OVERFLOW_ID: u32 = 65534;

/// A sequence of commands.
type Habit = fn(&World) -> Result<(), Failed>;

const HABITS: [(&str, Habit); 9] = [
    ("reads logs", logs),
    ("executes programs", exec),
    ("has terminals", terminals),
    ("attaches and runs", attach),
    ("copies files", cp),
    ("forwards ports", port_forward),
    ("proxies requests", proxy),
    ("keeps web pages away", web_pages),
    ("has verbs of its own", verbs),
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
        ("logs talk", 0, "one\ntwo\nthree\n"),
        ("logs again", 0, "second\n"),
        ("logs again -p", 0, "first\n"),
        ("logs talk -p -c main", 1, "Error from server (BadRequest): previous terminated container \"main\" in pod \"talk\" not found\n"),
        ("logs talk -c none", 1, "error: container none is not valid for pod talk out of: main, side\n"),
        ("get --raw /api/v1/namespaces/default/pods/talk/log?container=none", 1, "Error from server (BadRequest): container none is not valid for pod talk\n"),
        ("logs none", 1, "error: error from server (NotFound): pods \"none\" not found in namespace \"default\"\n"),
        ("get --raw /api/v1/namespaces/default/pods/talk/log", 1, "Error from server (BadRequest): a container name must be specified for pod talk, choose one of: [main side]\n"),
        ("get --raw /api/v1/namespaces/default/pods/talk/log?tailLines=-1", 1, "The PodLogOptions \"talk\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0\n"),
    ])?;
    // In any order.
    let (code, out) = world.kubectl("logs --all-containers -l app=talk --prefix --tail 1", "");
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    same("several logs", (code, lines.join(", ")), (0, "[pod/talk/main] three, [pod/talk/side] beside"))?;
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
        (
            "exec talk -c none -- true",
            1,
            "error: container none is not valid for pod talk out of: main, side\n",
        ),
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
        // kubectl sends the size once the process runs.
        (
            "exec -it talk -c main -- sh -c 'until test \"$(stty size)\" = \"33 99\"; do sleep 0.01; done; echo sized'",
            "sized",
        ),
    ];
    for (arguments, expected) in table {
        let command = world.shell(arguments);
        let mut script = world.bare("script");
        script.args(["-qefc", &format!("stty rows 33 cols 99; {command}"), "/dev/null"]);
        let output = script.stdin(Stdio::null()).stdout(Stdio::piped()).output()?;
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
        "two lines",
        world
            .kubectl(&format!("{run} two --command -- sh -c 'read line; echo got $line; cat'"), "one\ntwo\n"),
        (0, "got one\ntwo\n"),
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
        ("cp file talk:/work/copied -c main", 0, ""),
        ("exec talk -c main -- cat /work/copied", 0, "content\n"),
    ])?;
    world.expect("cp talk:/work/copied back -c main", 0, None)?;
    world.expect("exec talk -c main -- rm /work/copied", 0, None)?;
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
    if !(error.contains("rror occurred forwarding")
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
        (&format!("get --raw {raw}/pods/web:8080/proxy/a/b/"), 0, "GET /a/b/ \n"),
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
        ("GET", "/a%2Fb//c/", "", "", "200", "GET /a%2Fb//c/ \n"),
        ("GET", "/moved", "", "", "302", "/proxy/new?x=1"),
        ("GET", "", "", "", "301", "/pods/web/proxy/\r\n"),
    ];
    for (method, path, header, body, code, expected) in table {
        // kubectl proxy cleans paths.
        let both = if path.contains("//") { vec![world.api] } else { vec![walk.address, world.api] };
        for through in both {
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

/// The verbs of the program: arguments, exit code and output.
fn verbs(world: &World) -> Result<(), Failed> {
    let note = "note: using container main of main, side; for another use -c\n";
    let table = [
        ("logs talk -c main --tail 1", 0, "three\n".into()),
        ("logs talk --tail 1", 0, format!("three\n{note}")),
        ("logs again --previous", 0, "first\n".into()),
        ("logs talk -c none", 2, "error: container none is not valid for pod talk\n".into()),
        ("logs tal", 2, "error: there is no pod tal in namespace default; did you mean talk?\n".into()),
        ("exec talk -c side -- sh -c 'echo out; echo err >&2; exit 7'", 7, "out\nerr\n".into()),
        ("exec talk -- echo -n -5", 0, format!("-5{note}")),
        ("exec web -- cat", 0, "typed\n".into()),
        ("shell", 0, "typed\n".into()),
        ("shell talk -c main", 0, "typed\n".into()),
    ];
    for (arguments, code, expected) in table {
        let input = if arguments.starts_with("shell") { "echo typed\n" } else { "typed\n" };
        let mut command = world.bare(world.home.path().join("clusterlocal"));
        command.env("CLUSTERLOCAL_API", world.api.to_string()).env("SHELL", "/bin/sh");
        same(arguments, run(with_words(&mut command, arguments), input), (code, &expected))?;
    }
    let left = world.kubectl("get pods -o name", "").1;
    if left.contains("shell-") { Err(format!("the shell's pod is left: {left}").into()) } else { Ok(()) }
}

fn old_kubectl(world: &World) -> Result<(), Failed> {
    world.table(&[
        ("logs talk -c main", 0, "one\ntwo\nthree\n"),
        (
            "exec talk -c none -- true",
            1,
            "Error from server (BadRequest): container none is not valid for pod talk\n",
        ),
    ])?;
    for arguments in ["exec talk -c main -- true", "attach talk -c main", "port-forward pod/talk :80"] {
        let (code, out) = world.kubectl(arguments, "");
        if code != 1 || !out.contains("kubectl 1.31 or later") {
            return Err(format!("{arguments}: {code} {out}").into());
        }
    }
    Ok(())
}
