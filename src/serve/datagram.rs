//! UDP sockets that reply from the address that was asked.
//!
//! A socket bound to the wildcard address serves all addresses of the machine, but left alone the kernel picks the
//! address replies come from, by its routes: a client that asked 127.0.0.2 and gets its answer from 127.0.0.1 drops it.
//! So such sockets ask the kernel for each datagram's destination, and hand it back with the reply. This must not
//! know what the datagrams say.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// How long a reply may wait for room in the send buffer, before it is dropped.
const ROOM: Duration = Duration::from_millis(100);

/// A bound UDP socket.
pub(super) struct Datagrams {
    socket: UdpSocket,
    wildcard: bool,
}

/// Where a datagram came from, and so where its reply goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) peer: SocketAddr,
    /// Which of our addresses it was sent to, and through which interface; known on wildcard sockets only.
    asked: Option<(IpAddr, u32)>,
}

impl Datagrams {
    /// Takes over a bound socket.
    ///
    /// # Errors
    /// When the kernel will not tell where datagrams were sent to.
    pub(super) fn new(socket: UdpSocket) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let wildcard = destination::KNOWN && local.ip().is_unspecified();
        if wildcard {
            destination::ask_for(&socket, local)?;
        }
        Ok(Datagrams { socket, wildcard })
    }

    /// Waits until there may be a datagram.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// The next datagram, into `buffer`; its length is given.
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    pub(super) fn try_receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Origin)> {
        if self.wildcard {
            return self.socket.try_io(Interest::READABLE, || destination::receive(&self.socket, buffer));
        }
        let (length, peer) = self.socket.try_recv_from(buffer)?;
        Ok((length, Origin { peer, asked: None }))
    }

    /// Sends `reply` to where `origin`'s datagram came from.
    ///
    /// # Errors
    /// Whatever the kernel says against it; `TimedOut` when the send buffer stays full.
    pub(super) async fn send(&self, reply: &[u8], origin: &Origin) -> io::Result<()> {
        // At once, whatever the runtime knows of the socket's readiness; there is nearly always room.
        match self.try_send(reply, origin) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let sent = self.socket.async_io(Interest::WRITABLE, || self.try_send(reply, origin));
                timeout(ROOM, sent).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            }
            done => done,
        }
    }

    fn try_send(&self, reply: &[u8], origin: &Origin) -> io::Result<()> {
        match origin.asked {
            Some(asked) => destination::send(&self.socket, reply, origin.peer, asked),
            None => SockRef::from(&self.socket).send_to(reply, &origin.peer.into()).map(drop),
        }
    }
}

/// Destination addresses through `IP_PKTINFO` and `IPV6_RECVPKTINFO` (RFC 3542 section 6).
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod destination {
    use std::io::{self, IoSlice, IoSliceMut};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
    use std::os::fd::AsRawFd;

    use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
    use nix::sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
    };
    use tokio::net::UdpSocket;

    use super::Origin;

    pub(super) const KNOWN: bool = true;

    /// Room for one control message, as aligned as the kernel's structures want it.
    #[repr(align(8))]
    struct Control([u8; 64]);

    pub(super) fn ask_for(socket: &UdpSocket, local: SocketAddr) -> io::Result<()> {
        match local {
            SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
        Ok(())
    }

    pub(super) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, Origin)> {
        let mut control = Control([0; 64]);
        let mut parts = [IoSliceMut::new(buffer)];
        let message = recvmsg::<SockaddrStorage>(
            socket.as_raw_fd(),
            &mut parts,
            Some(&mut control.0),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let peer = message.address.as_ref().and_then(socket_address).ok_or(io::ErrorKind::InvalidData)?;
        let asked = message.cmsgs()?.find_map(|part| match part {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                let address = Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes());
                Some((IpAddr::from(address), 0))
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                Some((IpAddr::from(info.ipi6_addr.s6_addr), info.ipi6_ifindex))
            }
            _ => None,
        });
        Ok((message.bytes, Origin { peer, asked }))
    }

    pub(super) fn send(
        socket: &UdpSocket,
        reply: &[u8],
        peer: SocketAddr,
        (local, interface): (IpAddr, u32),
    ) -> io::Result<()> {
        let (ipv4, ipv6);
        let control = match local {
            IpAddr::V4(local) => {
                let local = in_addr { s_addr: u32::from_ne_bytes(local.octets()) };
                // Interface 0: the routes decide, as for any other packet.
                ipv4 = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: local, ipi_addr: in_addr { s_addr: 0 } };
                ControlMessage::Ipv4PacketInfo(&ipv4)
            }
            IpAddr::V6(local) => {
                // The interface is part of a link-local address; for others the routes decide.
                let interface = if local.is_unicast_link_local() { interface } else { 0 };
                ipv6 = in6_pktinfo {
                    ipi6_addr: in6_addr { s6_addr: local.octets() },
                    ipi6_ifindex: interface as _,
                };
                ControlMessage::Ipv6PacketInfo(&ipv6)
            }
        };
        let peer = SockaddrStorage::from(peer);
        let parts = [IoSlice::new(reply)];
        sendmsg(socket.as_raw_fd(), &parts, &[control], MsgFlags::MSG_DONTWAIT, Some(&peer))?;
        Ok(())
    }

    fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
        let ipv4 = address.as_sockaddr_in().map(|ipv4| SocketAddrV4::new(ipv4.ip(), ipv4.port()).into());
        ipv4.or_else(|| {
            let ipv6 = address.as_sockaddr_in6()?;
            let ip: Ipv6Addr = ipv6.ip();
            Some(SocketAddrV6::new(ip, ipv6.port(), ipv6.flowinfo(), ipv6.scope_id()).into())
        })
    }
}

/// Elsewhere the kernel's choice has to do.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod destination {
    use std::io;
    use std::net::{IpAddr, SocketAddr};

    use tokio::net::UdpSocket;

    use super::Origin;

    pub(super) const KNOWN: bool = false;

    pub(super) fn ask_for(_: &UdpSocket, _: SocketAddr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn receive(_: &UdpSocket, _: &mut [u8]) -> io::Result<(usize, Origin)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn send(_: &UdpSocket, _: &[u8], _: SocketAddr, _: (IpAddr, u32)) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
