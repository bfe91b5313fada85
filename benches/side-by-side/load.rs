//! The maximum load of a server over UDP: a fixed number of queries in flight, from several sockets, and new ones as soon
//! as replies arrive. Datagrams are sent and received in batches, to keep the loader's share small.

use std::array;
use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};

use super::Result;
use super::figures::Times;
use super::questions::{QUESTIONS, Questions};

/// The result of a load.
pub struct Tally {
    /// Number of replies with an answer.
    pub answered: u64,
    /// Number of queries without a reply.
    pub lost: u64,
    /// Number of other replies.
    pub wrong: u64,
    /// Time since the first query.
    pub took: Duration,
    /// Times from query to reply.
    pub latencies: Times,
    /// Size of the last reply to each question, in bytes; 0 for none.
    pub sizes: Vec<u16>,
}

impl Tally {
    /// An empty result.
    pub fn new() -> Self {
        let sizes = vec![0; usize::from(QUESTIONS)];
        Tally { answered: 0, lost: 0, wrong: 0, took: Duration::ZERO, latencies: Times::default(), sizes }
    }

    /// Answers per second.
    pub fn per_second(&self) -> f64 {
        self.answered as f64 / self.took.as_secs_f64()
    }

    /// `time` divided by the number of answers, in microseconds.
    pub fn each(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / self.answered as f64
    }

    /// Counts `reply` to question `id`.
    pub fn count(&mut self, questions: &Questions, is_dns: bool, id: u16, reply: &[u8]) {
        self.sizes[usize::from(id)] = u16::try_from(reply.len()).unwrap_or(u16::MAX);
        if !is_dns || questions.is_answered(id, reply) { self.answered += 1 } else { self.wrong += 1 }
    }
}

/// As dnsperf's -c 4 -q 200. That is slightly more than the default receive buffer holds: without a larger one, a server
/// that is not scheduled for a moment loses some.
const SOCKETS: usize = 4;
const WINDOW: usize = 50;

/// The largest reply, in bytes.
const LARGEST: usize = 4096;

/// Time after which a query without a reply is lost.
const REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// Sends `questions` to `server` for `time`. If it `is_dns`, every reply is checked.
pub fn flood(server: SocketAddr, questions: &Questions, is_dns: bool, time: Duration) -> Result<Tally> {
    let mut lanes: Vec<Lane> = (0..SOCKETS).map(|_| Lane::new(server)).collect::<Result<_>>()?;
    let mut buffers = vec![[0; LARGEST]; WINDOW];
    let mut sent_at = vec![None; usize::from(QUESTIONS)];
    let (mut tally, mut next, begin) = (Tally::new(), 0, Instant::now());
    loop {
        let now = begin.elapsed();
        if now < time {
            for lane in &mut lanes {
                lane.fill(questions, &mut next, &mut sent_at, now)?;
            }
            tally.took = now;
        } else {
            let left: usize = lanes.iter().map(|lane| lane.in_flight).sum();
            if left == 0 || now > time + 2 * REPLY_TIMEOUT {
                tally.lost += left as u64;
                return Ok(tally);
            }
        }
        let mut waiting: Vec<_> =
            lanes.iter().map(|lane| PollFd::new(lane.socket.as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut waiting, 100u8)?;
        let ready: Vec<bool> = waiting.iter().map(|one| one.any().unwrap_or(false)).collect();
        let now = begin.elapsed();
        for (lane, _) in lanes.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            lane.take(&mut buffers, |reply| {
                let Some(id) = Questions::id(reply) else { return false };
                let Some(sent) = sent_at[usize::from(id)].take() else { return false };
                tally.latencies.push(now.saturating_sub(sent));
                tally.count(questions, is_dns, id, reply);
                true
            })?;
        }
        for lane in &mut lanes {
            tally.lost += lane.give_up(&mut sent_at, now);
        }
    }
}

/// A socket with its queries.
struct Lane {
    socket: UdpSocket,
    outgoing: MultiHeaders<SockaddrIn>,
    incoming: MultiHeaders<SockaddrIn>,
    in_flight: usize,
    /// Ids in the order of sending, including those that have been answered meanwhile.
    sent: VecDeque<(u16, Duration)>,
}

impl Lane {
    fn new(server: SocketAddr) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(server)?;
        let headers = || MultiHeaders::preallocate(WINDOW, None);
        Ok(Lane { socket, outgoing: headers(), incoming: headers(), in_flight: 0, sent: VecDeque::new() })
    }

    /// Sends until the window is full; `next` is the next question's id.
    fn fill(
        &mut self,
        questions: &Questions,
        next: &mut u16,
        sent_at: &mut [Option<Duration>],
        now: Duration,
    ) -> Result<()> {
        let room = WINDOW.saturating_sub(self.in_flight);
        if room == 0 {
            return Ok(());
        }
        let id = |nth: usize| ((usize::from(*next) + nth) % usize::from(QUESTIONS)) as u16;
        let parts: [[IoSlice<'_>; 1]; WINDOW] =
            array::from_fn(|nth| [IoSlice::new(questions.packet(id(nth)))]);
        let (descriptor, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let no_addresses = [None; WINDOW];
        let result = sendmmsg(descriptor, &mut self.outgoing, &parts[..room], no_addresses, [], flags);
        let count = match result {
            Ok(sent) => sent.count(),
            Err(Errno::EAGAIN) => 0,
            Err(error) => return Err(format!("cannot send queries: {error}").into()),
        };
        for nth in 0..count {
            let id = id(nth);
            // If the id is still in flight after all others, this is another query, and one reply counts.
            sent_at[usize::from(id)] = Some(now);
            self.sent.push_back((id, now));
        }
        self.in_flight += count;
        *next = id(count);
        Ok(())
    }

    /// Reads the received replies; `count` returns of each whether it was expected.
    fn take(&mut self, buffers: &mut [[u8; LARGEST]], mut count: impl FnMut(&[u8]) -> bool) -> Result<()> {
        let mut rest = buffers.iter_mut();
        let mut parts: [[IoSliceMut<'_>; 1]; WINDOW] =
            array::from_fn(|_| [IoSliceMut::new(rest.next().map_or(&mut [], |buffer| buffer))]);
        let (descriptor, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let lengths: Vec<usize> =
            match recvmmsg(descriptor, &mut self.incoming, parts.iter_mut(), flags, None) {
                Ok(messages) => messages.map(|message| message.bytes).collect(),
                Err(Errno::EAGAIN) => return Ok(()),
                Err(error) => return Err(format!("cannot receive replies: {error}").into()),
            };
        for (buffer, length) in buffers.iter().zip(lengths) {
            self.in_flight -= usize::from(count(&buffer[..length]));
        }
        Ok(())
    }

    /// Gives up queries without a reply, and returns their number.
    fn give_up(&mut self, sent_at: &mut [Option<Duration>], now: Duration) -> u64 {
        let mut lost = 0;
        while let Some(&(id, sent)) = self.sent.front() {
            let is_waiting = sent_at[usize::from(id)] == Some(sent);
            if is_waiting && now.saturating_sub(sent) < REPLY_TIMEOUT {
                break;
            }
            if is_waiting {
                sent_at[usize::from(id)] = None;
                self.in_flight -= 1;
                lost += 1;
            }
            self.sent.pop_front();
        }
        lost
    }
}
