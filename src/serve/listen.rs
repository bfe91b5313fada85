//! Binding of sockets, before anything is served: UDP and TCP on every address, all of them or none. Must not depend on
//! what is served.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroUsize;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::BindError;
use super::udp;

/// Requested size of the receive buffer, in bytes, for bursts of queries. The kernel may grant less.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Requested size of the send buffer, in bytes.
const SEND_BUFFER: usize = 1 << 20;

/// Maximum number of connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Maximum number of ports to try if the kernel's choice for UDP is taken for TCP.
const PORT_TRIES: u32 = 32;

/// The sockets of one address.
pub(super) struct Pair {
    pub(super) address: SocketAddr,
    /// UDP sockets that share the address; the kernel assigns each client to one of them.
    pub(super) datagrams: Vec<udp::Socket>,
    pub(super) listener: TcpListener,
}

/// Binds TCP and up to `sockets` UDP sockets at `address`. Port 0 becomes one port for all.
pub(super) fn bind(address: SocketAddr, sockets: NonZeroUsize) -> Result<Pair, BindError> {
    let failed = |transport| move |reason| BindError { address, transport, reason };
    let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        let udp = bind_udp(address).map_err(failed("UDP"))?;
        let bound = udp.local_addr().map_err(failed("UDP"))?;
        tries -= 1;
        match bind_tcp(bound) {
            Ok(listener) => {
                let sockets = shared(udp, bound, sockets.get());
                let datagrams = sockets.into_iter().map(udp::Socket::new).collect::<io::Result<_>>();
                return Ok(Pair { address: bound, datagrams: datagrams.map_err(failed("UDP"))?, listener });
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            Err(error) => return Err(failed("TCP")(error)),
        }
    }
}

/// Sockets that are bound to the same address already.
pub(super) fn adopt(datagrams: UdpSocket, listener: std::net::TcpListener) -> io::Result<Pair> {
    let address = datagrams.local_addr()?;
    datagrams.set_nonblocking(true)?;
    listener.set_nonblocking(true)?;
    Ok(Pair {
        address,
        datagrams: vec![udp::Socket::new(datagrams)?],
        listener: TcpListener::from_std(listener)?,
    })
}

/// Refuses an upstream that is one of the addresses `listening`: queries would go in circles.
///
/// # Errors
/// The listening address that equals the upstream.
pub(super) fn check_upstream(upstream: SocketAddr, listening: &[SocketAddr]) -> Result<(), BindError> {
    let leads_to = |address: &&SocketAddr| {
        let (to, here) = (upstream.ip().to_canonical(), address.ip().to_canonical());
        // Packets to the unspecified address reach the host itself.
        let is_local = || to.is_loopback() || to.is_unspecified() || UdpSocket::bind((to, 0)).is_ok();
        upstream.port() == address.port()
            && (to == here
                || (to.is_unspecified() && here.is_loopback())
                || (here.is_unspecified() && here.is_ipv4() == to.is_ipv4() && is_local()))
    };
    match listening.iter().find(leads_to) {
        None => Ok(()),
        Some(&address) => {
            let reason = io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "the upstream {upstream} is this server, and queries would be forwarded in a loop: choose another \
                     upstream, for instance 1.1.1.1:53"
                ),
            );
            Err(BindError { address, transport: "UDP", reason })
        }
    }
}

fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = udp_socket(address)?;
    // No SO_REUSEADDR, nor SO_REUSEPORT yet: with them a second server could take over the port of the first.
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn udp_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
    // Best effort; see the kernel's net.core.rmem_max and wmem_max.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    let _ = socket.set_send_buffer_size(SEND_BUFFER);
    Ok(socket)
}

/// Returns `first`, bound to `address`, and further sockets of the same address, `count` in all, or fewer if the system
/// does not share it. Linux lets a bound socket share its address afterwards: until then no other process can take it.
#[cfg(all(target_os = "linux", not(clusterlocal_portable)))]
fn shared(first: UdpSocket, address: SocketAddr, count: usize) -> Vec<UdpSocket> {
    let another = || {
        let socket = udp_socket(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        io::Result::Ok(socket.into())
    };
    let mut sockets = vec![first];
    if count > 1 && socket2::SockRef::from(&sockets[0]).set_reuse_port(true).is_ok() {
        sockets.extend(std::iter::repeat_with(another).take(count - 1).map_while(Result::ok));
    }
    sockets
}

/// On other systems SO_REUSEPORT is for restarts: the latest socket receives everything.
#[cfg(any(not(target_os = "linux"), clusterlocal_portable))]
fn shared(first: UdpSocket, _: SocketAddr, _: usize) -> Vec<UdpSocket> {
    vec![first]
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, Type::STREAM, Protocol::TCP)?;
    // A restart must not wait for old connections in TIME_WAIT. On systems other than Unix the option has another meaning.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // `::` and `0.0.0.0` can be bound side by side, whatever the system's default is.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An upstream, a listening address, and whether the upstream is refused.
    #[test]
    fn an_upstream_that_is_the_server_itself_is_refused() {
        let table = [
            ("127.0.0.1:53", "127.0.0.1:53", true),
            ("127.0.0.1:54", "127.0.0.1:53", false),
            ("127.0.0.2:53", "127.0.0.1:53", false),
            ("127.0.0.2:53", "0.0.0.0:53", true),
            ("0.0.0.0:53", "127.0.0.1:53", true),
            ("[::ffff:127.0.0.1]:53", "127.0.0.1:53", true),
            ("[::1]:53", "0.0.0.0:53", false),
            ("192.0.2.1:53", "0.0.0.0:53", false),
        ];
        for (upstream, listening, expected) in table {
            let checked = check_upstream(upstream.parse().unwrap(), &[listening.parse().unwrap()]);
            assert_eq!(checked.is_err(), expected, "{upstream} at {listening}");
        }
    }
}
