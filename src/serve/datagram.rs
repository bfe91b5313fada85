//! UDP sockets that reply from the address that was asked.
//!
//! A socket bound to the wildcard address serves all addresses of the machine, but left alone the kernel picks the
//! address replies come from, by its routes: a client that asked 127.0.0.2 and gets its answer from 127.0.0.1 drops it.
//! So such sockets ask the kernel for each datagram's destination, and hand it back with the reply. This must not
//! know what the datagrams say.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use socket2::SockRef;
use tokio::time::sleep;

/// How long a reply may wait for room in the send buffer, before it is dropped.
const ROOM: Duration = Duration::from_millis(100);

/// So many bytes of a datagram are read: more than a query may have, so that what is too long is seen to be.
pub(super) const REQUEST: usize = 1024;

/// A bound UDP socket; receiving on it blocks.
pub(super) struct Datagrams {
    socket: UdpSocket,
    #[cfg(target_os = "linux")]
    ipv4: bool,
    /// Whether it is bound to the wildcard address, and the kernel tells which address was asked.
    pub(super) wildcard: bool,
}

/// Where a datagram came from, and so where its reply goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) peer: SocketAddr,
    /// Known on wildcard sockets only.
    pub(super) asked: Option<Asked>,
}

/// Which of our addresses a datagram was sent to, and through which interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) address: IpAddr,
    pub(super) interface: u32,
}

impl Datagrams {
    /// Takes over a bound socket.
    ///
    /// # Errors
    /// When the kernel will not tell where datagrams were sent to.
    pub(super) fn new(socket: UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(false)?;
        socket.set_write_timeout(Some(ROOM))?;
        let local = socket.local_addr()?;
        let wildcard = destination::KNOWN && local.ip().is_unspecified();
        if wildcard {
            destination::ask_for(&socket, local)?;
        }
        Ok(Datagrams {
            socket,
            #[cfg(target_os = "linux")]
            ipv4: local.is_ipv4(),
            wildcard,
        })
    }

    /// Whether its addresses are IPv4.
    #[cfg(target_os = "linux")]
    pub(super) fn is_ipv4(&self) -> bool {
        self.ipv4
    }

    /// The next datagram, into `buffer`, waited for no longer than `patience`: its length and where it came from.
    ///
    /// # Errors
    /// `WouldBlock` or `TimedOut` when none came.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn receive(&self, buffer: &mut [u8], patience: Duration) -> io::Result<(usize, Origin)> {
        self.socket.set_read_timeout(Some(patience))?;
        if self.wildcard {
            return destination::receive(&self.socket, buffer);
        }
        let (length, peer) = self.socket.recv_from(buffer)?;
        Ok((length, Origin { peer, asked: None }))
    }

    /// Sends `reply` to where `origin`'s datagram came from.
    ///
    /// # Errors
    /// Whatever the kernel says against it; `WouldBlock` when the send buffer stays full.
    pub(super) async fn send(&self, reply: &[u8], origin: &Origin) -> io::Result<()> {
        const TRIES: u32 = 10;
        for _ in 0..TRIES {
            match self.try_send(reply, origin) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(ROOM / TRIES).await,
                done => return done,
            }
        }
        self.try_send(reply, origin)
    }

    /// As [`Self::send`], without waiting for room.
    pub(super) fn try_send(&self, reply: &[u8], origin: &Origin) -> io::Result<()> {
        match &origin.asked {
            Some(asked) => destination::send(&self.socket, reply, origin.peer, asked),
            None => {
                let socket = SockRef::from(&self.socket);
                socket.send_to_with_flags(reply, &origin.peer.into(), DONT_WAIT).map(drop)
            }
        }
    }
}

#[cfg(target_os = "linux")]
impl std::os::fd::AsRawFd for Datagrams {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.socket.as_raw_fd()
    }
}

/// Whatever mode the socket is in.
#[cfg(unix)]
const DONT_WAIT: i32 = nix::libc::MSG_DONTWAIT;
/// Elsewhere the socket's write timeout has to do.
#[cfg(not(unix))]
const DONT_WAIT: i32 = 0;

/// Destination addresses through `IP_PKTINFO` and `IPV6_RECVPKTINFO` (RFC 3542 section 6).
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(super) mod destination {
    use std::io::{self, IoSlice};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
    use std::os::fd::AsRawFd;

    use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
    use nix::sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, RecvMsg, SockaddrStorage, sendmsg, setsockopt, sockopt,
    };

    use super::{Asked, Origin};

    pub(in super::super) const KNOWN: bool = true;

    /// What the kernel is told with a reply.
    pub(in super::super) enum Info {
        V4(in_pktinfo),
        V6(in6_pktinfo),
    }

    impl From<&Asked> for Info {
        fn from(asked: &Asked) -> Self {
            match asked.address {
                IpAddr::V4(local) => Info::V4(in_pktinfo {
                    // Interface 0: the routes decide, as for any other packet.
                    ipi_ifindex: 0,
                    ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(local.octets()) },
                    ipi_addr: in_addr { s_addr: 0 },
                }),
                IpAddr::V6(local) => Info::V6(in6_pktinfo {
                    ipi6_addr: in6_addr { s6_addr: local.octets() },
                    // The interface is part of a link-local address; for others the routes decide.
                    ipi6_ifindex: if local.is_unicast_link_local() { asked.interface as _ } else { 0 },
                }),
            }
        }
    }

    impl Info {
        pub(in super::super) fn message(&self) -> ControlMessage<'_> {
            match self {
                Info::V4(info) => ControlMessage::Ipv4PacketInfo(info),
                Info::V6(info) => ControlMessage::Ipv6PacketInfo(info),
            }
        }
    }

    pub(super) fn ask_for(socket: &UdpSocket, local: SocketAddr) -> io::Result<()> {
        match local {
            SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
        Ok(())
    }

    /// Where `message` came from, and what it was sent to if the socket is a `wildcard`'s.
    pub(in super::super) fn origin(
        message: &RecvMsg<'_, '_, SockaddrStorage>,
        wildcard: bool,
    ) -> Option<Origin> {
        let peer = socket_address(message.address.as_ref()?)?;
        let asked = if wildcard { asked(message) } else { None };
        Some(Origin { peer, asked })
    }

    fn asked(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<Asked> {
        message.cmsgs().ok()?.find_map(|part| match part {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                let address = Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()).into();
                Some(Asked { address, interface: 0 })
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let address = Ipv6Addr::from(info.ipi6_addr.s6_addr).into();
                Some(Asked { address, interface: info.ipi6_ifindex as _ })
            }
            _ => None,
        })
    }

    fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
        if let Some(ipv4) = address.as_sockaddr_in() {
            return Some(SocketAddrV4::new(ipv4.ip(), ipv4.port()).into());
        }
        let ipv6 = address.as_sockaddr_in6()?;
        Some(SocketAddrV6::new(ipv6.ip(), ipv6.port(), ipv6.flowinfo(), ipv6.scope_id()).into())
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, Origin)> {
        let mut control = nix::cmsg_space!(in6_pktinfo);
        let mut parts = [std::io::IoSliceMut::new(buffer)];
        let fd = socket.as_raw_fd();
        let message = nix::sys::socket::recvmsg(fd, &mut parts, Some(&mut control), MsgFlags::empty())?;
        let origin = origin(&message, true).ok_or(io::ErrorKind::InvalidData)?;
        Ok((message.bytes, origin))
    }

    pub(super) fn send(socket: &UdpSocket, reply: &[u8], peer: SocketAddr, asked: &Asked) -> io::Result<()> {
        let (peer, info, parts) = (SockaddrStorage::from(peer), Info::from(asked), [IoSlice::new(reply)]);
        sendmsg(socket.as_raw_fd(), &parts, &[info.message()], MsgFlags::MSG_DONTWAIT, Some(&peer))?;
        Ok(())
    }
}

/// Elsewhere the kernel's choice has to do.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod destination {
    use std::io;
    use std::net::{SocketAddr, UdpSocket};

    use super::Asked;

    pub(super) const KNOWN: bool = false;

    pub(super) fn ask_for(_: &UdpSocket, _: SocketAddr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn receive(_: &UdpSocket, _: &mut [u8]) -> io::Result<(usize, super::Origin)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn send(_: &UdpSocket, _: &[u8], _: SocketAddr, _: &Asked) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
