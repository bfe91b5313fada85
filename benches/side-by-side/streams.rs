//! Load over TCP (RFC 1035 section 4.2.2, RFC 7766): on persistent connections with several queries in flight, and with one
//! connection per query.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::Result;
use super::load::Tally;
use super::questions::{QUESTIONS, Questions};

/// Number of persistent connections.
const CONNECTIONS: usize = 8;

/// Number of queries in flight on each.
const PIPELINED: u16 = 16;

/// Maximum number of connections of one query: their ports stay in use for some time after the end (TIME-WAIT).
const MAX_CONNECTIONS: u64 = 20_000;

/// Time-out of an answer.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends `questions` to `server` for `time` on persistent connections. While the replies of one are read, the server has
/// the queries of the others.
pub fn persistent(server: SocketAddr, questions: &Questions, time: Duration) -> Result<Tally> {
    let mut streams: Vec<_> = (0..CONNECTIONS).map(|_| Stream::new(server)).collect::<Result<_>>()?;
    let (mut tally, mut next, begin) = (Tally::new(), 0, Instant::now());
    for stream in &mut streams {
        stream.ask(questions, PIPELINED, &mut next)?;
    }
    while begin.elapsed() < time {
        for stream in &mut streams {
            let taken = stream.take(|reply| count(&mut tally, questions, reply))?;
            stream.ask(questions, taken, &mut next)?;
        }
    }
    for stream in &mut streams {
        while stream.under_way > 0 {
            stream.take(|reply| count(&mut tally, questions, reply))?;
        }
    }
    tally.took = begin.elapsed();
    Ok(tally)
}

/// A persistent connection.
struct Stream {
    connection: TcpStream,
    under_way: u16,
    frames: Vec<u8>,
    /// Bytes of replies that are not complete yet.
    begun: Vec<u8>,
}

impl Stream {
    fn new(server: SocketAddr) -> Result<Self> {
        Ok(Stream { connection: connect(server)?, under_way: 0, frames: Vec::new(), begun: Vec::new() })
    }

    /// Sends `count` questions in one write; `next` is the next one's id.
    fn ask(&mut self, questions: &Questions, count: u16, next: &mut u16) -> Result<()> {
        self.frames.clear();
        for _ in 0..count {
            frame(questions.packet(*next), &mut self.frames);
            *next = (*next + 1) % QUESTIONS;
        }
        self.under_way += count;
        Ok(self.connection.write_all(&self.frames)?)
    }

    /// Waits for replies, reads as many as one read returns, and returns their number. Waiting for more before sending
    /// again would measure how the two kernels wait for each other (delayed acknowledgements, RFC 1122 section 4.2.3.2, and
    /// Nagle's algorithm).
    fn take(&mut self, mut count: impl FnMut(&[u8])) -> Result<u16> {
        let mut buffer = [0; 16 << 10];
        let mut taken = 0;
        while taken == 0 {
            let length = self.connection.read(&mut buffer).map_err(unanswered)?;
            if length == 0 {
                return Err("the server has closed a connection with queries under way".into());
            }
            self.begun.extend(&buffer[..length]);
            let mut at = 0;
            while let Some(reply) = whole(&self.begun[at..]) {
                count(reply);
                (taken, at) = (taken + 1, at + 2 + reply.len());
            }
            self.begun.drain(..at);
        }
        self.under_way = self.under_way.saturating_sub(taken);
        Ok(taken)
    }
}

/// The message at the beginning of a TCP stream, once it is complete.
fn whole(stream: &[u8]) -> Option<&[u8]> {
    let (length, rest) = stream.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}

/// Sends `questions` to `server` for `time`, each on a new connection, one after the other.
pub fn single(server: SocketAddr, questions: &Questions, time: Duration) -> Result<Tally> {
    let (mut tally, mut framed, mut reply) = (Tally::new(), Vec::new(), Vec::new());
    let begin = Instant::now();
    for id in (0..QUESTIONS).cycle() {
        if begin.elapsed() > time || tally.answered >= MAX_CONNECTIONS {
            break;
        }
        framed.clear();
        frame(questions.packet(id), &mut framed);
        let sent = Instant::now();
        let mut connection = connect(server)?;
        connection.write_all(&framed)?;
        receive(&mut connection, &mut reply)?;
        tally.latencies.push(sent.elapsed());
        count(&mut tally, questions, &reply);
    }
    tally.took = begin.elapsed();
    Ok(tally)
}

fn connect(server: SocketAddr) -> Result<TcpStream> {
    let connection = TcpStream::connect(server)
        .map_err(|error| format!("cannot connect to {server} over TCP: {error}"))?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(REPLY_TIMEOUT))?;
    Ok(connection)
}

/// Adds a message with its length.
fn frame(packet: &[u8], frames: &mut Vec<u8>) {
    frames.extend((packet.len() as u16).to_be_bytes());
    frames.extend(packet);
}

fn receive(connection: &mut TcpStream, reply: &mut Vec<u8>) -> Result<()> {
    let mut length = [0; 2];
    let mut read = || -> std::io::Result<()> {
        connection.read_exact(&mut length)?;
        reply.resize(usize::from(u16::from_be_bytes(length)), 0);
        connection.read_exact(reply)
    };
    read().map_err(unanswered)
}

fn unanswered(error: std::io::Error) -> Box<dyn std::error::Error> {
    format!("no reply over TCP: {error}").into()
}

fn count(tally: &mut Tally, questions: &Questions, reply: &[u8]) {
    match Questions::id(reply) {
        Some(id) => tally.count(questions, true, id, reply),
        None => tally.wrong += 1,
    }
}
