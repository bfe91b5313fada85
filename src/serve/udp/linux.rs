//! Sockets on Linux: one system call receives all waiting datagrams, and one sends all their replies (`recvmmsg`,
//! `sendmmsg`), each from the address that the query was sent to. Must not depend on what datagrams contain.

use std::array;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    MsgFlags, MultiHeaders, Shutdown, SockaddrStorage, recvmmsg, sendmmsg, sendmsg, shutdown,
};
use smallvec::SmallVec;

use super::destination::{Destination, Info};
use super::{REQUEST_SIZE, SEND_TIMEOUT};

/// Maximum number of datagrams in one system call.
const BATCH_SIZE: usize = 64;

/// A bound UDP socket; receiving blocks.
pub(in super::super) struct Socket {
    socket: UdpSocket,
    ipv4: bool,
    /// Whether it is bound to the wildcard address, so that the kernel reports the destination of datagrams.
    wildcard: bool,
}

/// Sender of a datagram, to which its reply is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) peer: SocketAddr,
    /// Known on wildcard sockets only.
    destination: Option<Destination>,
}

impl Socket {
    /// Takes over a bound socket.
    ///
    /// # Errors
    /// If the kernel refuses to report the destination of datagrams.
    pub(in super::super) fn new(socket: UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(false)?;
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        let local = socket.local_addr()?;
        let wildcard = local.ip().is_unspecified();
        if wildcard {
            Destination::enable(&socket, local)?;
        }
        Ok(Socket { socket, ipv4: local.is_ipv4(), wildcard })
    }

    /// Sends `reply` to the sender of `origin`'s datagram, if there is room in the send buffer.
    ///
    /// # Errors
    /// Those of the kernel; `WouldBlock` without room.
    pub(super) fn send(&self, reply: &[u8], origin: &Origin) -> io::Result<()> {
        let info = origin.destination.as_ref().map(Info::from);
        let control = info.as_ref().map(Info::message);
        let (peer, parts) = (SockaddrStorage::from(origin.peer), [IoSlice::new(reply)]);
        let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        sendmsg(fd, &parts, control.as_slice(), flags, Some(&peer))?;
        Ok(())
    }

    /// Wakes the thread that waits in [`Inbox::receive`], and makes later calls return at once.
    pub(super) fn end_waiting(&self) {
        // On Linux this also wakes a thread that waits on a socket without a peer, although it returns ENOTCONN (af_inet.c,
        // inet_shutdown).
        _ = shutdown(self.socket.as_raw_fd(), Shutdown::Read);
    }
}

/// The datagrams of one turn, in order of arrival.
pub(super) struct Inbox {
    headers: MultiHeaders<SockaddrStorage>,
    buffers: Box<[[u8; REQUEST_SIZE]]>,
    /// Buffer, length and origin of each datagram.
    received: Vec<(usize, usize, Origin)>,
}

impl Inbox {
    pub(super) fn new(socket: &Socket) -> Self {
        let control = socket.wildcard.then(|| cmsg_space!(in6_pktinfo));
        Inbox {
            headers: MultiHeaders::preallocate(BATCH_SIZE, control),
            buffers: vec![[0; REQUEST_SIZE]; BATCH_SIZE].into(),
            received: Vec::with_capacity(BATCH_SIZE),
        }
    }

    /// Replaces the datagrams by the waiting ones. If none waits and `wait` is set, waits for the first. May return none
    /// after [`Socket::end_waiting`].
    ///
    /// # Errors
    /// `WouldBlock` if none waits; other errors of the kernel.
    pub(super) fn receive(&mut self, socket: &Socket, wait: bool) -> io::Result<()> {
        self.received.clear();
        let flags = if wait { MsgFlags::MSG_WAITFORONE } else { MsgFlags::MSG_DONTWAIT };
        let mut buffers = self.buffers.iter_mut();
        let mut parts: [[IoSliceMut<'_>; 1]; BATCH_SIZE] =
            array::from_fn(|_| [IoSliceMut::new(buffers.next().map_or(&mut [], |buffer| buffer))]);
        let messages = recvmmsg(socket.socket.as_raw_fd(), &mut self.headers, &mut parts, flags, None)?;
        for (at, message) in messages.enumerate() {
            // The end of waiting looks like an empty datagram without a peer. A real empty datagram gets no reply either.
            let peer = message.address.as_ref().filter(|_| message.bytes > 0).and_then(socket_address);
            if let Some(peer) = peer {
                let destination = if socket.wildcard { Destination::of(&message) } else { None };
                self.received.push((at, message.bytes.min(REQUEST_SIZE), Origin { peer, destination }));
            }
        }
        Ok(())
    }

    /// The number of datagrams of this turn.
    pub(super) fn len(&self) -> usize {
        self.received.len()
    }

    /// The datagram `at`, and its origin.
    pub(super) fn datagram(&self, at: usize) -> (&[u8], &Origin) {
        let (buffer, length, origin) = &self.received[at];
        (&self.buffers[*buffer][..*length], origin)
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(ipv4) = address.as_sockaddr_in() {
        return Some(SocketAddrV4::new(ipv4.ip(), ipv4.port()).into());
    }
    let ipv6 = address.as_sockaddr_in6()?;
    Some(SocketAddrV6::new(ipv6.ip(), ipv6.port(), ipv6.flowinfo(), ipv6.scope_id()).into())
}

/// Sends the replies of one turn.
pub(super) struct Outbox {
    headers: MultiHeaders<SockaddrStorage>,
    addresses: Vec<Option<SockaddrStorage>>,
}

impl Outbox {
    pub(super) fn new(socket: &Socket) -> Self {
        // Exactly the size of one address: the kernel reads all of the buffer.
        let control = socket
            .wildcard
            .then(|| if socket.ipv4 { cmsg_space!(in_pktinfo) } else { cmsg_space!(in6_pktinfo) });
        Outbox {
            headers: MultiHeaders::preallocate(BATCH_SIZE, control),
            addresses: Vec::with_capacity(BATCH_SIZE),
        }
    }

    /// Sends the first of `replies`, as many as fit in one call and at least one, and returns their number.
    ///
    /// # Errors
    /// The error of the first reply.
    pub(super) fn send(&mut self, socket: &Socket, replies: &[(Vec<u8>, Origin)]) -> io::Result<usize> {
        let Some((_, Origin { destination, .. })) = replies.first() else { return Ok(0) };
        // One call has one source address.
        let alike = replies.iter().take(BATCH_SIZE).take_while(|(_, to)| to.destination == *destination);
        let parts: SmallVec<[[IoSlice<'_>; 1]; BATCH_SIZE]> =
            alike.clone().map(|(reply, _)| [IoSlice::new(reply)]).collect();
        self.addresses.clear();
        self.addresses.extend(alike.map(|(_, to)| Some(to.peer.into())));
        let info = destination.as_ref().map(Info::from);
        let control = info.as_ref().map(Info::message);
        let sent = sendmmsg(
            socket.socket.as_raw_fd(),
            &mut self.headers,
            parts.iter(),
            &self.addresses,
            control.as_slice(),
            MsgFlags::empty(),
        )?;
        Ok(sent.count())
    }
}
