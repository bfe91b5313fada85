//! Datagrams one at a time, where the system has no calls for many. It must not know what the datagrams say.

use std::io;
use std::time::Duration;

use super::datagram::{Datagrams, Origin, REQUEST};

/// How long somebody waits for a datagram before looking whether it is still worth it.
const PATIENCE: Duration = Duration::from_millis(100);

/// The datagram of one turn, as it came.
pub(super) struct Inbox {
    buffer: [u8; REQUEST],
    received: Option<(usize, Origin)>,
}

impl Inbox {
    pub(super) fn new(_: &Datagrams) -> Self {
        Inbox { buffer: [0; REQUEST], received: None }
    }

    /// Receives what has come, into the place of what came before; waits for it a little if there is nothing and `wait`
    /// is set.
    ///
    /// # Errors
    /// `WouldBlock` or `TimedOut` when there is none; whatever else the system says.
    pub(super) fn receive(&mut self, socket: &Datagrams, wait: bool) -> io::Result<()> {
        self.received = None;
        let patience = if wait { PATIENCE } else { Duration::from_millis(1) };
        self.received = Some(socket.receive(&mut self.buffer, patience)?);
        Ok(())
    }

    /// How many datagrams this turn has.
    pub(super) fn len(&self) -> usize {
        usize::from(self.received.is_some())
    }

    /// The datagram `at`, and where it came from.
    pub(super) fn datagram(&self, at: usize) -> (&[u8], &Origin) {
        let received = if at == 0 { self.received.as_ref() } else { None };
        let (length, origin) = received.expect("as many as there are");
        (&self.buffer[..*length], origin)
    }
}

/// Nobody waits longer than a moment here.
pub(super) fn end_waiting(_: &Datagrams) {}

/// The replies of one turn.
pub(super) struct Outbox;

impl Outbox {
    pub(super) fn new(_: &Datagrams) -> Self {
        Outbox
    }

    /// Sends the first of `replies`, and tells how many that were.
    ///
    /// # Errors
    /// What the system says against it.
    pub(super) fn send(&mut self, socket: &Datagrams, replies: &[(Vec<u8>, Origin)]) -> io::Result<usize> {
        let Some((reply, to)) = replies.first() else { return Ok(0) };
        socket.try_send(reply, to)?;
        Ok(1)
    }
}
