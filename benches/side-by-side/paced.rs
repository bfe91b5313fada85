//! Queries at a steady rate, answered or not (an open loop), as a client that does not wait for others. The time of a reply
//! counts from when its query was due, so that a stall counts for all queries that it delayed.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::Result;
use super::load::Tally;
use super::questions::{QUESTIONS, Questions};

/// Time after the last query after which replies are lost.
const REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// Sends `questions` to `server`, one per `step`, for `time`. Does not sleep in between, because sleeping is less exact
/// than the step; calls `meanwhile` with the elapsed time, repeatedly.
pub fn paced(
    server: SocketAddr,
    questions: &Questions,
    step: Duration,
    time: Duration,
    mut meanwhile: impl FnMut(Duration) -> Result<()>,
) -> Result<Tally> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(server)?;
    socket.set_nonblocking(true)?;
    let (mut due, mut next) = (Duration::ZERO, 0);
    let mut due_at = vec![None; usize::from(QUESTIONS)];
    let (mut tally, mut waiting, mut buffer) = (Tally::new(), 0u64, [0; 4096]);
    let begin = Instant::now();
    loop {
        let now = begin.elapsed();
        if due < time && due <= now {
            let late = due_at[usize::from(next)].replace(due);
            tally.lost += u64::from(late.is_some());
            waiting += u64::from(late.is_none());
            // A full buffer loses it, as the network would.
            _ = socket.send(questions.packet(next));
            (due, next) = (due + step, (next + 1) % QUESTIONS);
        }
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let reply = &buffer[..length];
                let id = Questions::id(reply);
                if let Some((id, due)) = id.and_then(|id| Some((id, due_at[usize::from(id)].take()?))) {
                    tally.latencies.push(begin.elapsed().saturating_sub(due));
                    tally.count(questions, true, id, reply);
                    waiting -= 1;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(format!("cannot ask {server}: {error}").into()),
        }
        meanwhile(now)?;
        if now >= time && (waiting == 0 || now > time + REPLY_TIMEOUT) {
            tally.lost += waiting;
            tally.took = time;
            return Ok(tally);
        }
    }
}
