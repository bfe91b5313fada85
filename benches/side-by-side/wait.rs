//! Asks one question until the answer is the one that is waited for: how long something takes to be visible. It must not know
//! what is waited for.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use super::Result;

/// Everything comes much sooner, or never.
const DEADLINE: Duration = Duration::from_secs(60);

/// After so long without an answer a question is asked again: the first may have found nobody.
const AGAIN: Duration = Duration::from_millis(1);

/// How long nothing is looked at, in between: the server needs the processor too.
const NAP: Duration = Duration::from_micros(50);

/// Asks `question` of `server` until `is_it` likes the reply; fails when `is_over` tells that none can come any more.
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
        if asked.is_none_or(|asked| asked.elapsed() > AGAIN) {
            _ = socket.send(question);
            asked = Some(Instant::now());
        }
        match socket.recv(&mut reply) {
            Ok(length) if length > 12 && is_it(&reply[..length]) => return Ok(()),
            // Another answer than the wanted one: ask again at once.
            Ok(_) => asked = None,
            Err(error) => nap(&error),
        }
    }
    Err(format!("{server} did not give the awaited answer within {DEADLINE:?}, or ended").into())
}

/// Nobody is there yet, or nothing has come yet.
fn nap(error: &io::Error) {
    let pause = match error.kind() {
        ErrorKind::ConnectionRefused => 4 * NAP,
        _ => NAP,
    };
    thread::sleep(pause);
}

/// Whether a reply has records.
pub fn has_answers(reply: &[u8]) -> bool {
    reply[6..8] != [0, 0]
}
