//! Sockets as every system has them: one datagram a call, and replies from the address that the system chooses. On Linux this is
//! compiled with `--cfg clusterlocal_portable`, so that CI runs it. Must not depend on what datagrams contain.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::{REQUEST_SIZE, SEND_TIMEOUT};

/// How long a thread waits for a datagram before it looks whether it has to end.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(100);

/// A bound UDP socket; receiving on it blocks, and so does sending.
pub(in super::super) struct Socket(UdpSocket);

/// Where a datagram came from, and so where its reply goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) peer: SocketAddr,
}

impl Socket {
    /// Takes over a bound socket.
    ///
    /// # Errors
    /// When it cannot be made to block.
    pub(in super::super) fn new(socket: UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(false)?;
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok(Socket(socket))
    }

    /// Sends `reply` to where `origin`'s datagram came from.
    ///
    /// # Errors
    /// Those of the system; `WouldBlock` or `TimedOut` when the send buffer stays full.
    pub(super) fn send(&self, reply: &[u8], origin: &Origin) -> io::Result<()> {
        self.0.send_to(reply, origin.peer).map(drop)
    }

    /// Has nothing to do: no thread waits for longer than [`RECEIVE_TIMEOUT`].
    pub(super) fn end_waiting(&self) {}
}

/// The datagram of one turn, as it came.
pub(super) struct Inbox {
    buffer: [u8; REQUEST_SIZE],
    received: Option<(usize, Origin)>,
}

impl Inbox {
    pub(super) fn new(_: &Socket) -> Self {
        Inbox { buffer: [0; REQUEST_SIZE], received: None }
    }

    /// Replaces the datagram by the next one; waits a little for it if there is none and `wait` is set.
    ///
    /// # Errors
    /// `WouldBlock` or `TimedOut` when there is none; all others of the system.
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

    /// The datagram `at`, and where it came from.
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
    /// The system's.
    pub(super) fn send(&mut self, socket: &Socket, replies: &[(Vec<u8>, Origin)]) -> io::Result<usize> {
        let Some((reply, to)) = replies.first() else { return Ok(0) };
        socket.send(reply, to)?;
        Ok(1)
    }
}
