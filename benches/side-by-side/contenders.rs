//! The compared servers, and how each is started on 127.0.0.1 with one worker and without rate limits: a default limit
//! would be all that is measured. Must not depend on the queries.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::Result;

/// A compared server.
pub struct Contender {
    /// Its displayed name.
    pub name: &'static str,
    /// Its own version string.
    pub version: String,
    /// Whether it answers over TCP, and with records.
    pub is_dns: bool,
    command: fn(&Place<'_>) -> io::Result<Command>,
}

/// The input of a contender.
pub struct Place<'a> {
    /// The port to listen on.
    pub port: u16,
    /// A directory for its files.
    pub directory: &'a Path,
    /// The manifests of the cluster.
    pub manifests: &'a Path,
    /// The zone file of the cluster.
    pub zone: &'a Path,
}

/// The name of the echo server, the lower bound of any server's cost.
pub const ECHO: &str = "echo";

/// The name of the program that this bench belongs to.
pub const OURS: &str = "clusterlocal";

impl Contender {
    /// Returns the command that starts it at `place`.
    pub fn command(&self, place: &Place<'_>) -> io::Result<Command> {
        (self.command)(place)
    }
}

/// Returns the installed contenders, and prints which are missing.
pub fn installed() -> Vec<Contender> {
    let mut all = vec![
        Contender { name: ECHO, version: "recvmmsg, sendmmsg".into(), is_dns: false, command: echo },
        Contender { name: OURS, version: own_version(), is_dns: true, command: clusterlocal },
    ];
    type Start = fn(&Place<'_>) -> io::Result<Command>;
    let others: [(&str, &[&str], Start); 4] = [
        ("Knot", &["knotd", "-V"], knot),
        ("NSD", &["nsd", "-v"], nsd),
        ("BIND", &["named", "-V"], bind),
        ("PowerDNS", &["pdns_server", "--version"], power_dns),
    ];
    for (name, asked, command) in others {
        match version(asked) {
            Some(version) => all.push(Contender { name, version, is_dns: true, command }),
            None => println!("{name} is left out: there is no {} here", asked[0]),
        }
    }
    all
}

/// Returns the number in the first line of a program's version output.
fn version(command: &[&str]) -> Option<String> {
    let output = Command::new(command[0]).args(&command[1..]).output().ok()?;
    let output = [output.stdout, output.stderr].concat();
    let output = String::from_utf8_lossy(&output);
    let is_number =
        |word: &&str| word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit());
    let number = output.split_whitespace().find(is_number)?;
    Some(number.split('-').next().unwrap_or(number).into())
}

/// Our version includes the git revision, if there is one.
fn own_version() -> String {
    let number = env!("CARGO_PKG_VERSION");
    let git = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty", "--exclude", "*"])
        .output();
    match git {
        Ok(output) if output.status.success() => {
            format!("{number} ({})", String::from_utf8_lossy(&output.stdout).trim())
        }
        _ => number.into(),
    }
}

fn echo(place: &Place<'_>) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--echo", &place.port.to_string()]);
    Ok(command)
}

/// An echo whose replies have the sizes in a file.
pub fn sized_echo(place: &Place<'_>, sizes: &Path) -> io::Result<Command> {
    let mut command = echo(place)?;
    command.arg("--echo-sizes").arg(sizes);
    Ok(command)
}

/// Builds the program of this tree, in the profile of this bench and next to it.
///
/// # Errors
/// If the build fails.
pub fn build_clusterlocal() -> Result<()> {
    let bench = std::env::current_exe()?;
    let directory = bench.parent().ok_or("the bench is in no directory")?;
    let profile = match directory.file_name().and_then(OsStr::to_str) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["build", "--locked", "--package", "clusterlocal-program", "--profile", profile]);
    cargo.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml")]);
    if let Some(target) = directory.parent() {
        cargo.arg("--target-dir").arg(target);
    }
    let status = cargo.status()?;
    if status.success() { Ok(()) } else { Err("clusterlocal cannot be built".into()) }
}

/// With its defaults: it serves the API and records queries.
pub fn clusterlocal(place: &Place<'_>) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?.with_file_name("clusterlocal"));
    command.args(["serve", "--exit-with-parent", "--listen", &format!("127.0.0.1:{}", place.port)]);
    command.arg(place.manifests);
    Ok(command)
}

fn knot(place: &Place<'_>) -> io::Result<Command> {
    let Place { port, directory, zone, .. } = place;
    let (directory, zone) = (directory.display(), zone.display());
    let configuration = format!(
        "server:
  rundir: {directory}
  listen: 127.0.0.1@{port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: {directory}
zone:
  - domain: cluster.local
    file: {zone}
    zonefile-sync: -1
    journal-content: none
    semantic-checks: off
"
    );
    configured(place, "knot.conf", &configuration, &["knotd", "-c"])
}

fn nsd(place: &Place<'_>) -> io::Result<Command> {
    let Place { port, directory, zone, .. } = place;
    let (directory, zone) = (directory.display(), zone.display());
    let configuration = format!(
        "server:
  ip-address: 127.0.0.1@{port}
  server-count: 1
  username: \"\"
  chroot: \"\"
  pidfile: \"{directory}/nsd.pid\"
  zonelistfile: \"{directory}/zone.list\"
  xfrdfile: \"{directory}/xfrd.state\"
  zonesdir: \"{directory}\"
  xfrdir: \"{directory}\"
  database: \"\"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: cluster.local
  zonefile: {zone}
"
    );
    configured(place, "nsd.conf", &configuration, &["nsd", "-d", "-c"])
}

fn bind(place: &Place<'_>) -> io::Result<Command> {
    let Place { port, directory, zone, .. } = place;
    let (directory, zone) = (directory.display(), zone.display());
    let configuration = format!(
        "options {{
  directory \"{directory}\"; pid-file \"{directory}/named.pid\"; session-keyfile \"{directory}/session.key\";
  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no;
}};
controls {{ }};
zone \"cluster.local\" {{ type primary; file \"{zone}\"; }};
"
    );
    configured(place, "named.conf", &configuration, &["named", "-f", "-n", "1", "-c"])
}

fn power_dns(place: &Place<'_>) -> io::Result<Command> {
    let Place { port, directory, zone, .. } = place;
    let (directory, zone) = (directory.display(), zone.display());
    let zones = format!("zone \"cluster.local\" {{ type native; file \"{zone}\"; }};\n");
    fs::write(place.directory.join("zones.conf"), zones)?;
    let configuration = format!(
        "launch=bind
bind-config={directory}/zones.conf
local-address=127.0.0.1
local-port={port}
socket-dir={directory}
receiver-threads=1
distributor-threads=1
setuid=
setgid=
"
    );
    fs::write(place.directory.join("pdns.conf"), configuration)?;
    let mut command = Command::new("pdns_server");
    command.arg(format!("--config-dir={directory}"));
    command.args(["--daemon=no", "--guardian=no", "--disable-syslog"]);
    Ok(command)
}

/// The command `begin`, followed by the path of `configuration`.
fn configured(place: &Place<'_>, name: &str, configuration: &str, begin: &[&str]) -> io::Result<Command> {
    let path = place.directory.join(name);
    fs::write(&path, configuration)?;
    let mut command = Command::new(begin[0]);
    command.args(&begin[1..]).arg(path);
    Ok(command)
}
