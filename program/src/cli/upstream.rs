//! `--upstream` and `--outside`: queries for names outside the cluster. Must not depend on how they are forwarded.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use clusterlocal_core::answer::Outside;

use super::failure::Failure;
use super::values;

/// The treatment of names outside the cluster.
#[derive(Clone, Debug, Args)]
pub struct OutsideArgs {
    /// DNS server for other names; system: those of /etc/resolv.conf
    #[arg(long, value_name = "ADDR|system", env = "CLUSTERLOCAL_UPSTREAM")]
    upstream: Option<Upstream>,
    /// Answer for other names without --upstream
    #[arg(long, value_name = "nxdomain|refused", value_enum, default_value_t = OutsideArg::Nxdomain, env = "CLUSTERLOCAL_OUTSIDE")]
    outside: OutsideArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OutsideArg {
    /// NXDOMAIN: "not found" in every client
    Nxdomain,
    /// REFUSED, as of an authoritative server: a temporary failure for most clients
    Refused,
}

#[derive(Clone, Debug)]
enum Upstream {
    At(SocketAddr),
    System,
}

/// Port of DNS servers (RFC 1035, 4.2).
const DNS_PORT: u16 = 53;

/// Maximum number of name servers of resolv.conf that are used, as by resolvers (resolv.h, MAXNS).
const NAME_SERVERS_MAX: usize = 3;

/// The file with the resolvers of the host.
const RESOLV_CONF: &str = "/etc/resolv.conf";

impl FromStr for Upstream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "system" => Ok(Upstream::System),
            _ => values::address_or(text, Some(DNS_PORT)).map(Upstream::At).map_err(|error| {
                format!(
                    "{error}; or system, for the servers of {RESOLV_CONF}{}",
                    values::did_you_mean(text, ["system"])
                )
            }),
        }
    }
}

impl OutsideArgs {
    /// The answer without an upstream.
    pub fn outside(&self) -> Outside {
        match self.outside {
            OutsideArg::Nxdomain => Outside::NxDomain,
            OutsideArg::Refused => Outside::Refused,
        }
    }

    /// The upstream servers of a server that listens at `listen`, which is never one of them.
    ///
    /// # Errors
    /// If resolv.conf cannot be read or names no server but this one.
    pub fn upstream(&self, listen: &[SocketAddr]) -> Result<Vec<SocketAddr>, Failure> {
        match &self.upstream {
            None => Ok(Vec::new()),
            Some(Upstream::At(address)) => Ok(vec![*address]),
            Some(Upstream::System) => {
                let file = Path::new(RESOLV_CONF);
                let text = std::fs::read_to_string(file).map_err(|error| {
                    Failure::Input(format!(
                        "--upstream system: cannot read {}: {error}; write --upstream ADDR instead",
                        file.display()
                    ))
                })?;
                system(&text, listen, is_local).map_err(Failure::Input)
            }
        }
    }
}

/// The name servers of `resolv_conf` without those that are this server, which listens at `listen`. `is_local` returns whether
/// an address belongs to this machine.
fn system(
    resolv_conf: &str,
    listen: &[SocketAddr],
    is_local: impl Fn(IpAddr) -> bool,
) -> Result<Vec<SocketAddr>, String> {
    let lines = resolv_conf.lines().map(|line| line.split(['#', ';']).next().unwrap_or_default());
    let servers: Vec<IpAddr> = lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("nameserver")).then(|| words.next())?
        })
        .filter_map(|address| address.parse().ok())
        .take(NAME_SERVERS_MAX)
        .collect();
    // A file without servers means the local one (resolv.conf(5)).
    let servers = if servers.is_empty() { vec![IpAddr::V4(Ipv4Addr::LOCALHOST)] } else { servers };
    let is_this = |ip: IpAddr| {
        listen.iter().any(|own| {
            own.port() == DNS_PORT && (own.ip() == ip || (own.ip().is_unspecified() && is_local(ip)))
        })
    };
    let all = servers.len();
    let others: Vec<_> =
        servers.into_iter().filter(|ip| !is_this(*ip)).map(|ip| SocketAddr::new(ip, DNS_PORT)).collect();
    if others.is_empty() {
        return Err(format!(
            "--upstream system: {RESOLV_CONF} names {} this server itself; write the address of another one: \
             --upstream 192.0.2.1",
            if all == 1 { "only" } else { "nothing but" }
        ));
    }
    Ok(others)
}

/// Whether the address belongs to this machine: a socket can be bound to it.
fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (resolv.conf, listen address, upstream servers)
    #[test]
    fn system_servers_exclude_this_server() {
        let table = [
            ("nameserver 192.0.2.1\n", "127.0.0.1:53", "192.0.2.1:53"),
            ("search a\nnameserver 127.0.0.1 # us\nnameserver 192.0.2.1\n", "127.0.0.1:53", "192.0.2.1:53"),
            ("nameserver 127.0.0.53\nnameserver ::1\n", "127.0.0.1:53", "127.0.0.53:53 [::1]:53"),
            ("nameserver 127.0.0.1\n", "127.0.0.1:10053", "127.0.0.1:53"),
            ("nameserver 192.0.2.9\nnameserver 192.0.2.1\n", "0.0.0.0:53", "192.0.2.1:53"),
            ("#nameserver 192.0.2.1\n", "127.0.0.1:10053", "127.0.0.1:53"),
            (
                "nameserver 192.0.2.1\n".repeat(5).leak(),
                "127.0.0.1:1",
                "192.0.2.1:53 192.0.2.1:53 192.0.2.1:53",
            ),
        ];
        for (text, listen, expected) in table {
            let listen = [listen.parse().expect("an address")];
            let found = system(text, &listen, |ip| ip.is_loopback() || ip.to_string() == "192.0.2.9");
            let found: Vec<_> = found.expect("servers").iter().map(ToString::to_string).collect();
            assert_eq!(found.join(" "), expected, "{text}");
        }
        for text in ["", "nameserver 127.0.0.1\n"] {
            let error = system(text, &["0.0.0.0:53".parse().unwrap()], |ip| ip.is_loopback()).unwrap_err();
            assert!(error.contains("this server itself"), "{error}");
        }
    }

    #[test]
    fn upstream_is_an_address_or_system() {
        assert!(matches!("system".parse(), Ok(Upstream::System)));
        assert!(matches!("192.0.2.1".parse(), Ok(Upstream::At(at)) if at.port() == 53));
        let error = "sytem".parse::<Upstream>().unwrap_err();
        assert!(error.contains("did you mean system?"), "{error}");
    }
}
