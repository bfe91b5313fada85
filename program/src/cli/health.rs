//! `health`: whether the DNS of a server answers. For health checks of containers, in which no other program may be.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use clusterlocal_core::wire::{DomainName, Header, RecordType, ResponseCode};

use super::failure::Failure;
use super::output::print;
use super::values;

#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Address of the server; repeatable
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_values_t = [values::DEFAULT_LISTEN],
        env = "CLUSTERLOCAL_LISTEN",
        value_delimiter = ',',
        value_parser = values::address
    )]
    listen: Vec<SocketAddr>,
    /// Cluster domain
    #[arg(long, default_value = "cluster.local", value_name = "NAME", env = "CLUSTERLOCAL_DOMAIN", value_parser = values::domain)]
    domain: DomainName,
    /// Maximum time until the answer
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = values::time)]
    within: Duration,
}

/// Interval at which a query without a reply is sent again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// Maximum number of datagrams that are read for one query.
const DATAGRAMS_MAX: usize = 16;

/// Exits with 0 if every address answers, with 1 if one answers SERVFAIL (as long as manifests are awaited), with 3 if one
/// does not answer.
pub fn run(args: &HealthArgs) -> Result<ExitCode, Failure> {
    let deadline = Instant::now() + args.within;
    let mut lines = String::new();
    // Every cluster has it, and a server that awaits its manifests answers SERVFAIL for it.
    let name: DomainName = format!("kubernetes.default.svc.{}", args.domain)
        .parse()
        .map_err(|error| Failure::Input(format!("--domain {}: {error}", args.domain)))?;
    for listen in &args.listen {
        let server = reachable(*listen);
        let code = query(server, &name, deadline)?;
        if code == ResponseCode::SERVFAIL {
            return Err(Failure::Expectation(format!("{server} answers SERVFAIL for {name} A")));
        }
        // Another code is an answer as well: a Topology may set another domain.
        lines.push_str(&format!("{server} answers {code} for {name} A\n"));
    }
    Ok(print(&lines))
}

/// The address at which a server that listens at `listen` can be reached from the same machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The response code of `server` for the A records of `name`.
fn query(server: SocketAddr, name: &DomainName, deadline: Instant) -> Result<ResponseCode, Failure> {
    let failed = |error: std::io::Error| Failure::Network(format!("cannot query {server}: {error}"));
    let local: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).map_err(failed)?;
    socket.connect(server).map_err(failed)?;
    let request = request(fastrand::u16(..), name);
    let mut why = "no reply".to_owned();
    while let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        let wait = left.min(RETRY_INTERVAL);
        socket.set_read_timeout(Some(wait)).map_err(failed)?;
        let sent = Instant::now();
        match socket.send(&request).and_then(|_| receive(&socket, &request)) {
            Ok(code) => return Ok(code),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            // ICMP: nothing listens there yet.
            Err(error) => {
                why = error.to_string();
                std::thread::sleep(wait.saturating_sub(sent.elapsed()));
            }
        }
    }
    Err(Failure::Network(format!(
        "{server} does not answer: {why}; is the server running, and does it listen there?"
    )))
}

/// The response code of the first datagram that is a reply to `request`.
fn receive(socket: &UdpSocket, request: &[u8]) -> std::io::Result<ResponseCode> {
    let mut reply = [0; 512];
    for _ in 0..DATAGRAMS_MAX {
        let length = socket.recv(&mut reply)?;
        let reply = &reply[..length];
        if let Some(header) = Header::read(reply).filter(|_| reply[..2] == request[..2]) {
            return Ok(header.response_code());
        }
    }
    Err(ErrorKind::TimedOut.into())
}

/// A query without EDNS (RFC 1035, 4.1).
fn request(id: u16, name: &DomainName) -> Vec<u8> {
    const ONE_QUESTION: [u8; 10] = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    const CLASS_IN: [u8; 2] = [0, 1];
    let [id, record_type] = [id, RecordType::A.0].map(u16::to_be_bytes);
    [&id[..], &ONE_QUESTION, name.as_wire(), &record_type, &CLASS_IN].concat()
}
