//! The error of a socket that cannot be bound, with the same text for the DNS and the API. Must not depend on the use
//! of the socket.

use std::io;
use std::net::SocketAddr;

/// An address that could not be listened on; then no address is listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} over {transport}: {reason}{}", advice(reason, *address))]
pub struct BindError {
    /// The requested address.
    pub address: SocketAddr,
    /// "UDP" or "TCP".
    pub transport: &'static str,
    /// The error of the operating system.
    pub reason: io::Error,
}

/// Advice for the most common errors.
fn advice(error: &io::Error, address: SocketAddr) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "; another program listens there (on Linux, `ss -lnput 'sport = :{port}'` shows which): stop it, or choose \
             another address or port"
        ),
        io::ErrorKind::PermissionDenied if port < 1024 => "; ports below 1024 need a privilege: choose a port from \
             1024 on, or on Linux run `sysctl net.ipv4.ip_unprivileged_port_start=53` or grant CAP_NET_BIND_SERVICE"
            .into(),
        io::ErrorKind::AddrNotAvailable => {
            "; no interface of this machine has the address (`ip address` or `ifconfig` lists them)".into()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_state_the_address_and_the_remedy() {
        let table = [
            (
                io::ErrorKind::AddrInUse,
                "127.0.0.1:53",
                "cannot listen on 127.0.0.1:53 over UDP: ",
                "sport = :53",
            ),
            (io::ErrorKind::PermissionDenied, "127.0.0.1:53", "over UDP: ", "choose a port from 1024 on"),
            (io::ErrorKind::AddrNotAvailable, "[2001:db8::1]:53", "[2001:db8::1]:53", "no interface"),
        ];
        for (kind, address, what, advice) in table {
            let address = address.parse().unwrap();
            let error = BindError { address, transport: "UDP", reason: kind.into() }.to_string();
            assert!(error.contains(what) && error.contains(advice), "{error}");
        }
    }
}
