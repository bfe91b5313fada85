//! Peer discovery by external programs: the expected peers, and the check.
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use tempfile::TempDir;

use crate::server::Server;

/// The name that clients look up.
pub const SERVICE: &str = "_cql._tcp.cassandra.default.svc.cluster.local";

/// Whether a program is on the PATH, or a command with arguments succeeds.
pub fn is_installed(program: &str) -> bool {
    let test = if program.contains(' ') { program.to_string() } else { format!("command -v {program}") };
    let status = Command::new("sh").args(["-c", &test]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// A StatefulSet `cassandra`.
pub fn ring(replicas: u32) -> String {
    format!(
        "apiVersion: clusterlocal.dev/v1\nkind: Topology\nsets:\n  cassandra: {{replicas: {replicas}, ports: {{cql: \
         9042, intra: 7000}}}}\n"
    )
}

/// A manifest in its own folder, which is saved by a rename.
pub struct Manifest {
    pub folder: TempDir,
}

impl Manifest {
    pub fn new(text: &str) -> Self {
        let manifest = Manifest { folder: tempfile::tempdir().expect("a folder") };
        manifest.save(text);
        manifest
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("ring.yaml")
    }

    pub fn save(&self, text: &str) {
        let unfinished = self.folder.path().join("unfinished");
        std::fs::write(&unfinished, text).expect("a file");
        std::fs::rename(unfinished, self.path()).expect("a rename");
    }
}

/// A peer as a client sees it: name, port, address.
pub type Peers = BTreeSet<(String, u16, String)>;

/// Checks that a client of this port of 127.0.0.1 finds three peers, and a fourth after the manifest is saved.
pub fn discover(client: impl Fn(u16) -> Result<Peers, String>) -> Result<(), Failed> {
    let manifest = Manifest::new(&ring(3));
    let server = Server::start(&manifest.path(), &[]);
    let three = client(server.dns.port())?;
    expect_peers(&three, 3)?;
    manifest.save(&ring(4));
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let four = client(server.dns.port())?;
        if four.len() == 4 {
            expect_peers(&four, 4)?;
            return if three.is_subset(&four) {
                Ok(())
            } else {
                Err(format!("{three:?} are not in {four:?}").into())
            };
        }
        if Instant::now() > deadline {
            return Err(format!("still {four:?}, ten seconds after the manifest was saved").into());
        }
    }
}

fn expect_peers(peers: &Peers, count: usize) -> Result<(), Failed> {
    let names: Vec<_> = peers.iter().map(|(name, port, _)| format!("{name}:{port}")).collect();
    let expected: Vec<_> =
        (0..count).map(|n| format!("cassandra-{n}.cassandra.default.svc.cluster.local:9042")).collect();
    let addresses: BTreeSet<_> = peers.iter().map(|(.., address)| address).collect();
    if names == expected && addresses.len() == count {
        return Ok(());
    }
    Err(format!("expected {expected:?}, got {peers:?}").into())
}

/// Runs a command that has to succeed. Returns its standard output.
pub fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}{}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|e| e.to_string())
}

/// Parses lines of `target port address`.
pub fn peers(lines: &str) -> Peers {
    let line = |line: &str| {
        let [name, port, address] = line.split_whitespace().collect::<Vec<_>>()[..] else { return None };
        Some((name.to_string(), port.parse().ok()?, address.to_string()))
    };
    lines.lines().filter_map(line).collect()
}
