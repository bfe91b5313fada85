//! Which of the host's addresses a datagram was sent to, through `IP_PKTINFO` and `IPV6_RECVPKTINFO` (RFC 3542 section 6).
//!
//! A socket bound to the wildcard address serves all addresses of the host, but by default the kernel picks the source address of
//! replies by its routes: a client that asked 127.0.0.2 drops a reply from 127.0.0.1. Must not depend on what datagrams contain.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, RecvMsg, SockaddrStorage, setsockopt, sockopt};

/// Destination address of a datagram, and the interface that received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    address: IpAddr,
    interface: u32,
}

impl Destination {
    /// Makes the kernel report the destination of each datagram that `socket` receives.
    ///
    /// # Errors
    /// Those of `setsockopt`.
    pub(super) fn enable(socket: &UdpSocket, local: SocketAddr) -> io::Result<()> {
        match local {
            SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
        Ok(())
    }

    /// Returns the destination of `message`, if the kernel reported it.
    pub(super) fn of(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<Self> {
        message.cmsgs().ok()?.find_map(|part| match part {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                let address = Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()).into();
                Some(Destination { address, interface: 0 })
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let address = Ipv6Addr::from(info.ipi6_addr.s6_addr).into();
                Some(Destination { address, interface: info.ipi6_ifindex as _ })
            }
            _ => None,
        })
    }
}

/// The source address of a reply, as `sendmsg` takes it.
pub(super) enum Info {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

impl From<&Destination> for Info {
    fn from(destination: &Destination) -> Self {
        match destination.address {
            IpAddr::V4(local) => Info::V4(in_pktinfo {
                // Interface 0: the route is chosen as for any other packet.
                ipi_ifindex: 0,
                ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(local.octets()) },
                ipi_addr: in_addr { s_addr: 0 },
            }),
            IpAddr::V6(local) => Info::V6(in6_pktinfo {
                ipi6_addr: in6_addr { s6_addr: local.octets() },
                // The interface is part of a link-local address; other addresses are routed.
                ipi6_ifindex: if local.is_unicast_link_local() { destination.interface as _ } else { 0 },
            }),
        }
    }
}

impl Info {
    /// The control message.
    pub(super) fn message(&self) -> ControlMessage<'_> {
        match self {
            Info::V4(info) => ControlMessage::Ipv4PacketInfo(info),
            Info::V6(info) => ControlMessage::Ipv6PacketInfo(info),
        }
    }
}
