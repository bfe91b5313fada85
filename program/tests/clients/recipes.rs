//! The output of `env`, followed literally: a program in each language uses it, finds the peers of a StatefulSet, the
//! fourth after the manifest is saved, and connects to one of them by its name.
//!
//! A language that is not installed is listed as ignored, unless `CLUSTERLOCAL_TEST_CLIENTS=all` requires all of them. The
//! C library, with `resolv-conf`, is tested in `dns.rs`.

// A unit test of `env` compares its output with this file.
#[path = "../../src/cli/recipes/rust.rs"]
mod recipe;

use std::io::{Read, Write};
use std::net::{TcpListener, ToSocketAddrs};
use std::path::Path;
use std::process::Command;

use crate::Test;
use crate::peers::{Manifest, Peers, SERVICE, discover, is_installed, output, peers, ring};
use crate::server::Server;
use hickory_proto::rr::RData;
use libtest_mimic::Failed;

/// A program that queries the server.
#[derive(Clone, Copy)]
struct Program {
    /// Its name in `env --for`.
    name: &'static str,
    /// The commands that it needs.
    needs: &'static [&'static str],
    /// The file name of the recipe, which the recipe names.
    saved_as: &'static str,
    /// The words of the recipe about starting a program.
    documented: &'static [&'static str],
    /// The program in `tests/clients`, and its command line.
    source: &'static str,
    command: &'static str,
    /// The name of a peer in the form that the recipe supports.
    peer: &'static str,
    /// Whether names outside the cluster are resolved by the system.
    falls_back: bool,
}

const WHOLE: &str = "cassandra-0.cassandra.default.svc.cluster.local";
const SHORT: &str = "cassandra-0.cassandra";

const PROGRAMS: [Program; 5] = [
    Program {
        name: "node",
        needs: &["node"],
        saved_as: "clusterlocal.mjs",
        documented: &["node --import ./clusterlocal.mjs"],
        source: "peers.mjs",
        command: "node --import ./clusterlocal.mjs peers.mjs",
        peer: SHORT,
        falls_back: true,
    },
    Program {
        name: "go",
        needs: &["go"],
        saved_as: "clusterlocal.go",
        documented: &[],
        source: "peers.go",
        command: "GO111MODULE=off GOFLAGS= go run .",
        peer: WHOLE,
        falls_back: false,
    },
    Program {
        name: "java",
        needs: &["java", "javac"],
        saved_as: "Clusterlocal.java",
        documented: &[
            "clusterlocal records -o hosts cassandra.yaml > cluster.hosts",
            "java -Djdk.net.hosts.file=cluster.hosts -Dsun.net.inetaddr.ttl=0 -Dsun.net.inetaddr.negative.ttl=0",
        ],
        source: "Peers.java",
        command: "clusterlocal records -o hosts cassandra.yaml > cluster.hosts && javac Clusterlocal.java Peers.java && \
                  java -Djdk.net.hosts.file=cluster.hosts -Dsun.net.inetaddr.ttl=0 \
                  -Dsun.net.inetaddr.negative.ttl=0 Peers",
        peer: WHOLE,
        falls_back: false,
    },
    Program {
        name: "python",
        needs: &["python3", "python3 -c \"import dns.resolver\""],
        saved_as: "clusterlocal.py",
        documented: &[],
        source: "peers.py",
        command: "python3 peers.py",
        peer: SHORT,
        falls_back: true,
    },
    Program {
        name: "elixir",
        needs: &["escript"],
        saved_as: "erl_inetrc",
        documented: &["ERL_INETRC=./erl_inetrc"],
        source: "peers.erl",
        command: "ERL_INETRC=./erl_inetrc escript peers.erl",
        peer: SHORT,
        falls_back: true,
    },
];

pub fn tests() -> Vec<Test> {
    let has = |needs: &[&str]| needs.iter().all(|program| is_installed(program));
    let mut tests: Vec<_> = PROGRAMS
        .map(|program| Test::new(program.name, move || follow(program)).needs(has(program.needs)))
        .into();
    let grpc_is_there = has(&["python3", "python3 -c \"import grpc\""]);
    tests.push(Test::new("grpc", grpc).needs(grpc_is_there));
    tests.push(Test::new("rust", || discover(rust)));
    tests.push(Test::new("all_others_are_untested", all_others_are_untested));
    tests
}

/// The output of `env --for` for a server at this port.
fn recipe(name: &str, port: u16) -> Result<String, String> {
    let server = format!("127.0.0.1:{port}");
    output(Command::new(env!("CARGO_BIN_EXE_clusterlocal")).args(["env", "--for", name, "--dns", &server]))
}

impl Program {
    /// Runs the program as the recipe describes, in its own folder. Returns its output.
    fn run(&self, port: u16, arguments: &[&str]) -> Result<String, String> {
        let recipe = recipe(self.name, port)?;
        for words in self.documented.iter().chain([&self.saved_as]) {
            if !recipe.contains(words) {
                return Err(format!("{words:?} is not in {recipe}"));
            }
        }
        assert!(self.documented.iter().all(|words| self.command.contains(words)), "{}", self.name);
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        let save = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
        save(self.saved_as, &recipe)
            .and_then(|()| save("cassandra.yaml", &ring(3)))
            .and_then(|()| std::fs::copy(sources.join(self.source), folder.path().join(self.source)))
            .map_err(|e| e.to_string())?;
        let ours = Path::new(env!("CARGO_BIN_EXE_clusterlocal")).parent().expect("a folder");
        let path = std::env::var("PATH").map_err(|e| e.to_string())?;
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{} \"$@\"", self.command), self.name]).args(arguments);
        shell.current_dir(folder.path()).env("PATH", format!("{}:{path}", ours.display()));
        output(shell.env("GOCACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/go-cache")))
    }
}

fn follow(program: Program) -> Result<(), Failed> {
    discover(|port| Ok(peers(&program.run(port, &[SERVICE])?)))?;
    let (_manifest, server, found) = three(|port| Ok(peers(&program.run(port, &[SERVICE])?)))?;
    let (.., address) = found.first().expect("three");
    // Only a client that resolves the name reaches this listener.
    let listener = TcpListener::bind(format!("{address}:0")).map_err(|e| format!("{address}: {e}"))?;
    let url =
        format!("http://{}:{}/", program.peer, listener.local_addr().map_err(|e| e.to_string())?.port());
    std::thread::spawn(move || greet(&listener));
    let printed = program.run(server.dns.port(), &[SERVICE, &url])?;
    let greeting = printed.lines().any(|line| line == GREETING);
    if !greeting {
        return Err(format!("no greeting from {url}: {printed}").into());
    }
    if program.falls_back { outside(&program, server.dns.port()) } else { Ok(()) }
}

/// The machine's own name, which only the system resolves, is still resolved.
fn outside(program: &Program, port: u16) -> Result<(), Failed> {
    let host = output(&mut Command::new("hostname"))?;
    let host = host.trim();
    let Some(address) = (host, 0).to_socket_addrs().ok().and_then(|mut found| found.find(|at| at.is_ipv4()))
    else {
        // The machine does not resolve its own name.
        return Ok(());
    };
    let listener = TcpListener::bind((address.ip(), 0)).map_err(|e| format!("{address}: {e}"))?;
    let url = format!("http://{host}:{}/", listener.local_addr().map_err(|e| e.to_string())?.port());
    std::thread::spawn(move || greet(&listener));
    let printed = program.run(port, &[SERVICE, &url])?;
    if printed.lines().any(|line| line == GREETING) {
        Ok(())
    } else {
        Err(format!("no greeting from {url}: {printed}").into())
    }
}

/// A server, and the peers that a client finds.
fn three(client: impl Fn(u16) -> Result<Peers, String>) -> Result<(Manifest, Server, Peers), String> {
    let manifest = Manifest::new(&ring(3));
    let server = Server::start(&manifest.path(), &[]);
    let found = client(server.dns.port())?;
    Ok((manifest, server, found))
}

const GREETING: &str = "a peer greets";

/// A minimal HTTP server.
fn greet(listener: &TcpListener) {
    while let Ok((mut stream, _)) = listener.accept() {
        _ = stream.read(&mut [0; 4096]);
        let length = GREETING.len() + 1;
        _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{GREETING}\n"
        );
    }
}

/// The recipe is a target, in its last line.
fn grpc() -> Result<(), Failed> {
    let (_manifest, server, found) = three(rust)?;
    let recipe = recipe("grpc", server.dns.port())?;
    let target = recipe.lines().last().unwrap_or_default();
    let addresses: Vec<_> = found.into_iter().map(|(.., address)| address).collect();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/grpc_peers.py");
    let found = output(Command::new("python3").arg(program).arg(target).args(&addresses))?;
    let found: Vec<_> = found.split_whitespace().collect();
    if found == addresses { Ok(()) } else { Err(format!("{addresses:?}, found {found:?}").into()) }
}

fn rust(port: u16) -> Result<Peers, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| e.to_string())?.block_on(async {
        let resolver = recipe::resolver(([127, 0, 0, 1], port).into()).map_err(|e| e.to_string())?;
        // Completed by the search domains.
        let service = SERVICE.trim_end_matches(".default.svc.cluster.local");
        let answer = resolver.srv_lookup(service).await.map_err(|e| e.to_string())?;
        let mut found = Peers::new();
        for record in answer.answers() {
            let RData::SRV(srv) = &record.data else { continue };
            let target = srv.target.to_utf8();
            for address in resolver.lookup_ip(&target).await.map_err(|e| e.to_string())?.iter() {
                found.insert((target.trim_end_matches('.').into(), srv.port, address.to_string()));
            }
        }
        Ok(found)
    })
}

/// Recipes without a test here begin with "untested", and no others do.
fn all_others_are_untested() -> Result<(), Failed> {
    let listed = output(Command::new(env!("CARGO_BIN_EXE_clusterlocal")).arg("env"))?;
    let mut untested = 0;
    for line in listed.lines() {
        let (name, about) = line.split_once(' ').ok_or(line)?;
        let followed =
            ["grpc", "rust"].contains(&name) || PROGRAMS.iter().any(|program| program.name == name);
        let is_untested = about.trim_start().starts_with("untested: ");
        let recipe = self::recipe(name, 10053)?;
        if is_untested == followed
            || !recipe.lines().next().is_some_and(|first| first.ends_with(about.trim_start()))
        {
            return Err(format!("{line:?} and\n{recipe}").into());
        }
        untested += usize::from(is_untested);
    }
    if untested == 6 { Ok(()) } else { Err(format!("{untested} are untested in\n{listed}").into()) }
}
