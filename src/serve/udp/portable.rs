//! Sockets on all systems: one datagram per call, and replies from the address that the system chooses. On Linux CI
//! compiles this with `--cfg clusterlocal_portable`. Must not depend on what datagrams contain.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::{REQUEST_SIZE, SEND_TIMEOUT};

/// Maximum time that a thread waits for a datagram before it checks whether it has to end.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(100);

/// A bound UDP socket; receiving and sending block.
pub(in super::super) struct Socket(UdpSocket);

/// Sender of a datagram, to which its reply is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) peer: SocketAddr,
}

impl Socket {
    /// Takes over a bound socket.
    ///
    /// # Errors
    /// If it cannot be set to blocking mode.
    pub(in super::super) fn new(socket: UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(false)?;
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok(Socket(socket))
    }

    /// Sends `reply` to the sender of `origin`'s datagram.
    ///
    /// # Errors
    /// Those of the system; `WouldBlock` or `TimedOut` if the send buffer stays full.
    pub(super) fn send(&self, reply: &[u8], origin: &Origin) -> io::Result<()> {
        self.0.send_to(reply, origin.peer).map(drop)
    }

    /// Does nothing: no thread waits for longer than [`RECEIVE_TIMEOUT`].
    pub(super) fn end_waiting(&self) {}
}

/// The datagram of one turn.
pub(super) struct Inbox {
    buffer: [u8; REQUEST_SIZE],
    received: Option<(usize, Origin)>,
}

impl Inbox {
    pub(super) fn new(_: &Socket) -> Self {
        Inbox { buffer: [0; REQUEST_SIZE], received: None }
    }

    /// Replaces the datagram by the next one; waits up to [`RECEIVE_TIMEOUT`] for it if `wait` is set.
    ///
    /// # Errors
    /// `WouldBlock` or `TimedOut` if there is none; other errors of the system.
    pub(super) fn receive(&mut self, socket: &Socket, wait: bool) -> io::Result<()> {
        self.received = None;
        socket.0.set_read_timeout(Some(if wait { RECEIVE_TIMEOUT } else { Duration::from_millis(1) }))?;
        let (length, peer) = socket.0.recv_from(&mut self.buffer)?;
        self.received = Some((length, Origin { peer }));
        Ok(())
    }

    /// The number of datagrams of this turn.
    pub(super) fn len(&self) -> usize {
        usize::from(self.received.is_some())
    }

    /// The datagram `at`, and its origin.
    pub(super) fn datagram(&self, at: usize) -> (&[u8], &Origin) {
        let (length, origin) = self.received.iter().nth(at).expect("less than `len`");
        (&self.buffer[..*length], origin)
    }
}

/// Sends the replies of one turn.
pub(super) struct Outbox;

impl Outbox {
    pub(super) fn new(_: &Socket) -> Self {
        Outbox
    }

    /// Sends the first of `replies` and returns their number.
    ///
    /// # Errors
    /// Errors of the system.
    pub(super) fn send(&mut self, socket: &Socket, replies: &[(Vec<u8>, Origin)]) -> io::Result<usize> {
        let Some((reply, to)) = replies.first() else { return Ok(0) };
        socket.send(reply, to)?;
        Ok(1)
    }
}
