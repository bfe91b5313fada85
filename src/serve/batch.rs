//! Datagrams many at a time: one system call for all that wait, and one for all their replies (`recvmmsg`, `sendmmsg`).
//! It must not know what the datagrams say.

use std::array;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{MsgFlags, MultiHeaders, Shutdown, SockaddrStorage, recvmmsg, sendmmsg, shutdown};
use smallvec::SmallVec;

use super::datagram::destination::{Info, origin};
use super::datagram::{Datagrams, Origin, REQUEST};

/// So many datagrams at most are answered together.
const BATCH: usize = 64;

/// The datagrams of one turn, as they came.
pub(super) struct Inbox {
    headers: MultiHeaders<SockaddrStorage>,
    buffers: Box<[[u8; REQUEST]]>,
    /// Which buffer, how long, and from where.
    received: Vec<(usize, usize, Origin)>,
}

impl Inbox {
    pub(super) fn new(socket: &Datagrams) -> Self {
        let control = socket.wildcard.then(|| cmsg_space!(in6_pktinfo));
        Inbox {
            headers: MultiHeaders::preallocate(BATCH, control),
            buffers: vec![[0; REQUEST]; BATCH].into(),
            received: Vec::with_capacity(BATCH),
        }
    }

    /// Receives what has come, into the place of what came before; waits for the first if there is none and `wait` is
    /// set. Nothing at all may come of that after [`end_waiting`].
    ///
    /// # Errors
    /// `WouldBlock` when there is none; whatever else the kernel says.
    pub(super) fn receive(&mut self, socket: &Datagrams, wait: bool) -> io::Result<()> {
        self.received.clear();
        let flags = if wait { MsgFlags::MSG_WAITFORONE } else { MsgFlags::MSG_DONTWAIT };
        let mut buffers = self.buffers.iter_mut();
        let mut parts: [[IoSliceMut<'_>; 1]; BATCH] =
            array::from_fn(|_| [IoSliceMut::new(buffers.next().map_or(&mut [], |buffer| buffer))]);
        let messages = recvmmsg(socket.as_raw_fd(), &mut self.headers, &mut parts, flags, None)?;
        for (at, message) in messages.enumerate() {
            // The end of waiting looks like an empty datagram from nowhere; a real one would get no answer either.
            let from = if message.bytes == 0 { None } else { origin(&message, socket.wildcard) };
            if let Some(from) = from {
                self.received.push((at, message.bytes.min(REQUEST), from));
            }
        }
        Ok(())
    }

    /// How many datagrams this turn has.
    pub(super) fn len(&self) -> usize {
        self.received.len()
    }

    /// The datagram `at`, and where it came from.
    pub(super) fn datagram(&self, at: usize) -> (&[u8], &Origin) {
        let (buffer, length, origin) = &self.received[at];
        (&self.buffers[*buffer][..*length], origin)
    }
}

/// Lets a thread that waits for datagrams wait no more, now and later.
pub(super) fn end_waiting(socket: &Datagrams) {
    // Linux wakes who waits on a socket that is not connected, too, although it says ENOTCONN (af_inet.c, inet_shutdown).
    _ = shutdown(socket.as_raw_fd(), Shutdown::Read);
}

/// The replies of one turn.
pub(super) struct Outbox {
    headers: MultiHeaders<SockaddrStorage>,
    addresses: Vec<Option<SockaddrStorage>>,
}

impl Outbox {
    pub(super) fn new(socket: &Datagrams) -> Self {
        // Exactly as much as one address takes: the kernel reads all of it.
        let control = socket
            .wildcard
            .then(|| if socket.is_ipv4() { cmsg_space!(in_pktinfo) } else { cmsg_space!(in6_pktinfo) });
        Outbox { headers: MultiHeaders::preallocate(BATCH, control), addresses: Vec::with_capacity(BATCH) }
    }

    /// Sends as many of the first of `replies` as go in one call, at least one, and tells how many that were.
    ///
    /// # Errors
    /// What the kernel says against the first.
    pub(super) fn send(&mut self, socket: &Datagrams, replies: &[(Vec<u8>, Origin)]) -> io::Result<usize> {
        let Some((_, Origin { asked, .. })) = replies.first() else { return Ok(0) };
        // The address that was asked is said once for all.
        let alike = replies.iter().take(BATCH).take_while(|(_, to)| to.asked == *asked);
        let parts: SmallVec<[[IoSlice<'_>; 1]; BATCH]> =
            alike.clone().map(|(reply, _)| [IoSlice::new(reply)]).collect();
        self.addresses.clear();
        self.addresses.extend(alike.map(|(_, to)| Some(to.peer.into())));
        let info = asked.as_ref().map(Info::from);
        let control = info.as_ref().map(Info::message);
        let sent = sendmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            parts.iter(),
            &self.addresses,
            control.as_slice(),
            MsgFlags::empty(),
        )?;
        Ok(sent.count())
    }
}
