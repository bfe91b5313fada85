//! Peer discovery with external DNS clients: each finds the three peers of a StatefulSet, and the fourth after the manifest
//! is saved. And external DNS servers: each loads our zone file and answers the same.
//!
//! A client that is not installed is listed as ignored, unless `CLUSTERLOCAL_TEST_CLIENTS=all` requires all of them.

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Test;
use crate::peers::{Manifest, Peers, SERVICE, discover, is_installed, output, ring};
use crate::server::Server;
use libtest_mimic::Failed;

pub fn tests() -> Vec<Test> {
    let trial = |name: &str, programs: &[&str], test: fn() -> Result<(), Failed>| {
        Test::new(name, test).needs(programs.iter().all(|program| is_installed(program)))
    };
    vec![
        trial("dig", &["dig"], || discover(dig)),
        trial("kdig", &["kdig"], || discover(kdig)),
        trial("drill", &["drill"], || discover(drill)),
        trial("kubernetes", &["python3", "python3 -c \"import kubernetes\""], kubernetes),
        trial("getent", &["getent", "ip", "unshare -U -r -n -m true"], getent),
        trial("missing-python", &["python3", "ip", NAMESPACES], || missing(&["python3", "missing.py"])),
        trial("missing-musl", &["python3 -c \"import dns\"", "ip", NAMESPACES], || {
            missing(&["python3", "missing_musl.py"])
        }),
        trial("missing-node", &["node", "ip", NAMESPACES], || missing(&["node", "missing.mjs"])),
        trial("missing-go", &["go", "ip", NAMESPACES], || missing(&["go", "run", "missing.go"])),
        trial("missing-java", &["java", "ip", NAMESPACES], || missing(&["java", "Missing.java"])),
        trial("knot", &["knotd", "kzonecheck", "kdig"], || other_server(knot)),
        trial("nsd", &["nsd", "nsd-checkzone", "kdig"], || other_server(nsd)),
    ]
}

/// Parses the SRV lines of tools that print records (`… SRV priority weight port target`), each with the A record of its
/// target in the additional section.
fn from_records(text: &str) -> Peers {
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let mut found = Peers::new();
    for row in &rows {
        let Some(at) = row.iter().position(|word| *word == "SRV").filter(|at| row.len() == at + 5) else {
            continue;
        };
        let (port, target) = (row[at + 3], row[at + 4]);
        let address = rows.iter().find(|row| row.first() == Some(&target) && row.get(3) == Some(&"A"));
        if let (Ok(port), Some(address)) = (port.parse(), address) {
            found.insert((target.trim_end_matches('.').to_string(), port, address[4].to_string()));
        }
    }
    found
}

fn dig(port: u16) -> Result<Peers, String> {
    let text = output(Command::new("dig").args(["@127.0.0.1", "-p", &port.to_string(), SERVICE, "SRV"]))?;
    // dig reports irregularities of a message on a line of their own.
    if text.contains("WARNING") && !text.contains("recursion requested but not available")
        || text.contains("malformed")
    {
        return Err(text);
    }
    Ok(from_records(&text))
}

fn kdig(port: u16) -> Result<Peers, String> {
    let text = output(Command::new("kdig").args(["@127.0.0.1", "-p", &port.to_string(), SERVICE, "SRV"]))?;
    if text.contains("WARNING") { Err(text) } else { Ok(from_records(&text)) }
}

fn drill(port: u16) -> Result<Peers, String> {
    output(Command::new("drill").args(["-p", &port.to_string(), "@127.0.0.1", SERVICE, "SRV"]))
        .map(|t| from_records(&t))
}

/// The official Python client of Kubernetes: lists, watches and changes objects.
fn kubernetes() -> Result<(), Failed> {
    let manifest = Manifest::new(&ring(3));
    let server = Server::start(&manifest.path(), &[]);
    let api = server.api.expect("an address").to_string();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/lifecycle.py");
    let printed = output(Command::new("python3").arg(script).args([api.as_str(), "cassandra"]))?;
    let four = "cassandra-0 cassandra-1 cassandra-2 cassandra-3";
    let expected = format!(
        "listed cassandra-0 cassandra-1 cassandra-2\nscaled {four}\nreplaced {four}\nendpoints True\nold 410\nmissing \
         404 pods \"missing\" not found\n"
    );
    if printed == expected { Ok(()) } else { Err(format!("expected {expected:?}, got {printed:?}").into()) }
}

/// The C library only uses port 53, and short names: tested in network and mount namespaces of its own.
fn getent() -> Result<(), Failed> {
    let manifest = Manifest::new(&ring(3));
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let child = Command::new("unshare")
        .args(["-U", "-r", "-n", "-m", "--kill-child"])
        .arg(clients.join("namespace.sh"))
        .arg(env!("CARGO_BIN_EXE_clusterlocal"))
        .arg(manifest.path())
        .arg(manifest.folder.path())
        .arg(clients.join("getent.sh"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let mut namespace = Running(child);
    let mut input = namespace.0.stdin.take().expect("a pipe");
    let mut lines = BufReader::new(namespace.0.stdout.take().expect("a pipe")).lines();
    let mut ask = |names: &str| -> Result<Vec<String>, Failed> {
        writeln!(input, "{names}").map_err(|e| e.to_string())?;
        let mut found = Vec::new();
        loop {
            match lines.next() {
                Some(Ok(line)) if line == "done" => return Ok(found),
                Some(Ok(line)) => found.push(line),
                _ => return Err("the namespace's script ended".into()),
            }
        }
    };
    let all = "cassandra cassandra.default cassandra-0.cassandra cassandra-1.cassandra cassandra-2.cassandra.default";
    let found = ask(all)?;
    let of = |name: &str| found.iter().filter(|line| line.split(' ').next() == Some(name)).count();
    let counts = [
        of("cassandra"),
        of("cassandra.default"),
        of("cassandra-0.cassandra"),
        of("cassandra-2.cassandra.default"),
    ];
    if counts != [3, 3, 1, 1] {
        return Err(format!("{found:?}").into());
    }
    manifest.save(&ring(4));
    let deadline = Instant::now() + Duration::from_secs(10);
    while ask("cassandra-3.cassandra")?.len() != 1 {
        if Instant::now() > deadline {
            return Err("cassandra-3 is not found ten seconds after the manifest was saved".into());
        }
    }
    Ok(())
}

/// A command that succeeds if namespaces can be created without root.
const NAMESPACES: &str = "unshare -U -r -n -m true";

/// A pod that does not exist is "not found" by its short name: no client reports a temporary or a server failure.
fn missing(client: &[&str]) -> Result<(), Failed> {
    let manifest = Manifest::new(&ring(3));
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let mut command = Command::new("unshare");
    command
        .args(["-U", "-r", "-n", "-m", "--kill-child"])
        .arg(clients.join("namespace.sh"))
        .arg(env!("CARGO_BIN_EXE_clusterlocal"))
        .arg(manifest.path())
        .arg(manifest.folder.path())
        .args(&client[..client.len() - 1])
        .arg(clients.join(client[client.len() - 1]))
        .args(["cassandra-0.cassandra", "cassandra-9.cassandra", "missing", "www.example.com"])
        .env("GO111MODULE", "off")
        .env("GOFLAGS", "")
        .env("GOCACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/go-cache"));
    let printed = output(&mut command)?;
    // c-ares does not complete names, so it finds no short name.
    let expected = "cassandra-0.cassandra found\ncassandra-9.cassandra not found\nmissing not found\nwww.example.com not \
                    found\n";
    if printed == expected { Ok(()) } else { Err(format!("{client:?}: {printed:?}").into()) }
}

/// A process that is stopped when the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Writes the configuration of another DNS server for a zone file. Returns the command that checks it, and the one that
/// runs it.
type OtherServer = fn(folder: &Path, port: u16) -> (Command, Command);

fn other_server(configure: OtherServer) -> Result<(), Failed> {
    let zones = Path::new(env!("CARGO_MANIFEST_DIR")).join("../zones");
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let program = env!("CARGO_BIN_EXE_clusterlocal");
    let zone = output(Command::new(program).args(["records", "-o", "zone"]).arg(&zones))?;
    std::fs::write(folder.path().join("cluster.zone"), &zone).map_err(|e| e.to_string())?;
    let port = free_port();
    let (mut check, mut run) = configure(folder.path(), port);
    let checked = check.output().map_err(|e| e.to_string())?;
    let text = [checked.stdout, checked.stderr].concat();
    let text = String::from_utf8_lossy(&text).to_lowercase();
    if !checked.status.success() || text.contains("warning") || text.contains("error") {
        return Err(format!("{check:?}: {text}").into());
    }
    let log = std::fs::File::create(folder.path().join("log")).map_err(|e| e.to_string())?;
    run.stdout(log.try_clone().map_err(|e| e.to_string())?).stderr(log);
    let _running = Running(run.spawn().map_err(|e| e.to_string())?);
    let ours = Server::start(&zones, &["--order", "stable"]);
    wait_for(port)?;
    let mut asked = 0;
    for line in zone.lines().filter(|line| !line.starts_with('$')) {
        let [name, _, _, record_type, ..] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
        if !matches!(record_type, "A" | "AAAA" | "SRV" | "CNAME" | "TXT") {
            continue;
        }
        let (theirs, ours) =
            (answers(port, name, record_type)?, answers(ours.dns.port(), name, record_type)?);
        if theirs != ours || ours.is_empty() {
            return Err(format!("{name} {record_type}: {theirs:?} there, {ours:?} here").into());
        }
        asked += 1;
    }
    if asked > 50 { Ok(()) } else { Err(format!("only {asked} questions in {zone}").into()) }
}

/// The answer section, sorted, over TCP: other servers truncate UDP replies at other sizes.
fn answers(port: u16, name: &str, record_type: &str) -> Result<Vec<String>, String> {
    let port = port.to_string();
    let options = ["+tcp", "+noall", "+answer", "@127.0.0.1", "-p", &port, name, record_type];
    let text = output(Command::new("kdig").args(options))?;
    let mut lines: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with(';') && !line.is_empty())
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        // The target of an alias has records of its own.
        .filter(|line| line.split(' ').nth(3) == Some(record_type))
        .collect();
    lines.sort();
    Ok(lines)
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

fn wait_for(port: u16) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while answers(port, "cluster.local.", "SOA").map_or(true, |found| found.is_empty()) {
        if Instant::now() > deadline {
            return Err("the other server does not answer".into());
        }
    }
    Ok(())
}

fn knot(folder: &Path, port: u16) -> (Command, Command) {
    let folder = folder.display();
    let config = format!(
        "server:\n  rundir: {folder}\n  listen: 127.0.0.1@{port}\ndatabase:\n  storage: {folder}\nzone:\n  - domain: \
         cluster.local\n    file: {folder}/cluster.zone\n    zonefile-sync: -1\n    semantic-checks: on\n"
    );
    let path = format!("{folder}/knot.conf");
    std::fs::write(&path, config).expect("a file");
    let mut check = Command::new("kzonecheck");
    check.args(["-o", "cluster.local"]).arg(format!("{folder}/cluster.zone"));
    let mut run = Command::new("knotd");
    run.args(["-c", &path]);
    (check, run)
}

fn nsd(folder: &Path, port: u16) -> (Command, Command) {
    let folder = folder.display();
    let config = format!(
        "server:\n  ip-address: 127.0.0.1@{port}\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  pidfile: \
         \"{folder}/pid\"\n  zonelistfile: \"{folder}/list\"\n  xfrdfile: \"{folder}/xfrd\"\n  zonesdir: \"{folder}\"\n  \
         xfrdir: \"{folder}\"\n  database: \"\"\n  rrl-ratelimit: 0\nremote-control:\n  control-enable: no\nzone:\n  \
         name: cluster.local\n  zonefile: {folder}/cluster.zone\n"
    );
    let path = format!("{folder}/nsd.conf");
    std::fs::write(&path, config).expect("a file");
    let mut check = Command::new("nsd-checkzone");
    check.arg("cluster.local").arg(format!("{folder}/cluster.zone"));
    let mut run = Command::new("nsd");
    run.args(["-d", "-c", &path]);
    (check, run)
}
