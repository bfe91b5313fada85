//! The tutorial's data store in Node, which is asked for the data of all peers, and its answers in words.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::pods::Pods;
use super::verdicts::Verdict;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/traps/store.mjs");
const STORE_TIMEOUT: Duration = Duration::from_secs(30);

/// The store, which is stopped when this is dropped.
pub struct Store {
    process: Child,
    port: u16,
    /// Its standard output, line by line.
    output: Receiver<String>,
}

impl Store {
    /// Starts it with this DNS. It sends queries from `asker`, if that is set.
    pub fn start(dns: SocketAddr, verdict: &Verdict, asker: Option<IpAddr>) -> Result<Self, String> {
        let mut command = Command::new("node");
        command
            .arg(SCRIPT)
            .env("CLUSTERLOCAL_DNS", dns.to_string())
            .env("CLUSTERLOCAL_SERVICE", format!("{}.default.svc.cluster.local", verdict.service))
            .env("CLUSTERLOCAL_PORT", verdict.port.to_string())
            .env("CLUSTERLOCAL_FROM", asker.map(|ip| ip.to_string()).unwrap_or_default());
        let mut process = command.stdout(Stdio::piped()).spawn().map_err(|e| format!("node: {e}"))?;
        let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let (sender, output) = mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut store = Store { process, port: 0, output };
        let line =
            store.output.recv_timeout(STORE_TIMEOUT).map_err(|_| "no output of the store".to_string())?;
        let port = line.strip_prefix("listening ").and_then(|port| port.parse().ok());
        store.port = port.ok_or_else(|| format!("unexpected output of the store: {line:?}"))?;
        Ok(store)
    }

    /// Asks it for the data of all peers. Returns the answer peer by peer, ordered by name.
    pub fn ask(&mut self, pods: &Pods) -> Result<String, String> {
        let answer = self.answer(pods).map_err(|e| format!("asking the store: {e}"))?;
        let mut words = Vec::new();
        for line in answer.lines() {
            words.push(match line.strip_prefix("Could not look up DNS SRV records: ") {
                Some(error) => format!("could not look up: {}", code(error)),
                None => peer(line).ok_or_else(|| format!("unexpected answer of the store: {line:?}"))?,
            });
        }
        words.extend(pods.hanging().into_iter().map(|pod| format!("{pod} (hangs)")));
        words.sort();
        Ok(words.join(" "))
    }

    /// The body of its answer; incomplete if a peer hangs, after the answers of all others.
    fn answer(&mut self, pods: &Pods) -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(Duration::from_millis(20)))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let (began, mut answer, mut peers) = (Instant::now(), Vec::new(), None);
        let mut part = [0; 4096];
        loop {
            match stream.read(&mut part) {
                Ok(0) => break,
                Ok(length) => answer.extend_from_slice(&part[..length]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    peers =
                        peers.or_else(|| self.output.try_recv().ok()?.strip_prefix("peers ")?.parse().ok());
                    let answered = answer.windows(3).filter(|three| three == b"\n- ").count();
                    let hanging = pods.hanging().len();
                    if hanging > 0 && Some(answered + hanging) == peers {
                        break;
                    }
                    if began.elapsed() > STORE_TIMEOUT {
                        let answer = String::from_utf8_lossy(&answer);
                        return Err(std::io::Error::other(format!("no end after {answer:?}")));
                    }
                }
                Err(e) => return Err(e),
            }
        }
        // Output about this answer must not count for the next one.
        while self.output.try_recv().is_ok() {}
        let answer = String::from_utf8_lossy(&answer);
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        Ok(body.into())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// `db-0` for a peer with its own data, `db-0 = cache-1` for one with another pod's, or the error.
fn peer(line: &str) -> Option<String> {
    let (name, data) = line.strip_prefix("- ")?.split_once(": ")?;
    let host = name.split('.').next()?;
    // A name derived from an address: its range differs between runs.
    let made = host.strip_prefix("127-").and_then(|rest| rest.split_once('-'));
    let host = made.map_or_else(|| host.to_string(), |(_, rest)| format!("127-x-{rest}"));
    Some(match data.strip_prefix("the data of ") {
        Some(pod) if pod == host => host,
        Some(pod) => format!("{host} = {pod}"),
        None => format!("{host} ({})", code(data)),
    })
}

/// `ENOTFOUND` of `Error: queryA ENOTFOUND db-0.…`.
fn code(error: &str) -> &str {
    error.split_whitespace().find(|word| word.starts_with('E') && !word.starts_with("Error")).unwrap_or(error)
}
