//! Repeats a query until the answer is the expected one, to measure how long a change takes to be visible. Must not depend
//! on the change.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use super::Result;

/// Time-out of anything that is expected to happen.
const DEADLINE: Duration = Duration::from_secs(60);

/// Time after which an unanswered query is repeated: the server may not have been listening.
const RETRY: Duration = Duration::from_millis(1);

/// Interval between checks: the server needs the processor as well.
const POLL: Duration = Duration::from_micros(50);

/// Sends `question` to `server` until `is_it` accepts the reply; fails if `is_over` returns that no reply can come.
pub fn until(
    server: SocketAddr,
    question: &[u8],
    is_it: impl Fn(&[u8]) -> bool,
    mut is_over: impl FnMut() -> bool,
) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(server)?;
    socket.set_nonblocking(true)?;
    let (begin, mut asked, mut reply) = (Instant::now(), None::<Instant>, [0; 4096]);
    while begin.elapsed() < DEADLINE && !is_over() {
        if asked.is_none_or(|asked| asked.elapsed() > RETRY) {
            _ = socket.send(question);
            asked = Some(Instant::now());
        }
        match socket.recv(&mut reply) {
            Ok(length) if length > 12 && is_it(&reply[..length]) => return Ok(()),
            // Another answer than the expected one: repeat at once.
            Ok(_) => asked = None,
            Err(error) => nap(&error),
        }
    }
    Err(format!("{server} did not give the awaited answer within {DEADLINE:?}, or ended").into())
}

/// Nothing listens yet, or nothing has been received yet.
fn nap(error: &io::Error) {
    let pause = match error.kind() {
        ErrorKind::ConnectionRefused => 4 * POLL,
        _ => POLL,
    };
    thread::sleep(pause);
}

/// Whether a reply has records.
pub fn has_answers(reply: &[u8]) -> bool {
    reply[6..8] != [0, 0]
}
