//! A DNS client that sends one query from a given address, over UDP or TCP, without retries. Must not depend on the
//! expected answer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::answer::Reply;
use crate::fault::Transport;
use crate::wire::{DomainName, Question as Asked, RecordType};

/// A query, and how to send it.
pub(super) struct Ask<'a> {
    pub(super) name: &'a DomainName,
    pub(super) qtype: RecordType,
    pub(super) server: SocketAddr,
    /// The client's address.
    pub(super) from: IpAddr,
    pub(super) transport: Transport,
    /// UDP size that the client announces, in bytes; 0 is without EDNS.
    pub(super) edns: u16,
    pub(super) patience: Duration,
    pub(super) id: u16,
}

/// The result of a query.
pub(super) enum Received {
    Reply(Reply),
    /// Something other than an answer to the query, in the words of [`play`](super).
    Odd(&'static str),
}

impl Ask<'_> {
    /// Sends the query. Also returns the client's address and port, so that the query can be distinguished from those of other
    /// clients.
    pub(super) fn ask(&self) -> io::Result<(Received, SocketAddr)> {
        let request = self.request();
        let (reply, client) = if self.transport == Transport::Tcp {
            self.over_tcp(&request)?
        } else {
            self.over_udp(&request)?
        };
        let received = match reply {
            Ok(reply) => self.classify(&request, &reply),
            Err(error) => Received::Odd(match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => "silence",
                ErrorKind::ConnectionRefused => "refused",
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "reset",
                ErrorKind::UnexpectedEof => "closed",
                _ => return Err(error),
            }),
        };
        Ok((received, client))
    }

    fn request(&self) -> Vec<u8> {
        let mut request = self.id.to_be_bytes().to_vec();
        request.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(self.edns > 0)]);
        request.extend_from_slice(self.name.as_wire());
        request.extend_from_slice(&self.qtype.0.to_be_bytes());
        request.extend_from_slice(&[0, 1]);
        if self.edns > 0 {
            // RFC 6891, 6.1.2: the root, OPT, the size, and no flags or options.
            request.extend_from_slice(&[0, 0, 41]);
            request.extend_from_slice(&self.edns.to_be_bytes());
            request.extend_from_slice(&[0; 6]);
        }
        request
    }

    fn over_udp(&self, request: &[u8]) -> io::Result<(io::Result<Vec<u8>>, SocketAddr)> {
        let socket = UdpSocket::bind((self.from, 0))?;
        let client = socket.local_addr()?;
        socket.connect(self.server)?;
        socket.set_read_timeout(Some(self.patience))?;
        socket.send(request)?;
        let mut reply = vec![0; usize::from(u16::MAX)];
        Ok((socket.recv(&mut reply).map(|length| reply[..length].to_vec()), client))
    }

    fn over_tcp(&self, request: &[u8]) -> io::Result<(io::Result<Vec<u8>>, SocketAddr)> {
        let began = Instant::now();
        let socket = Socket::new(Domain::for_address(self.server), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(self.from, 0).into())?;
        let client = socket.local_addr()?.as_socket().ok_or(ErrorKind::Unsupported)?;
        let exchange = || {
            socket.connect_timeout(&self.server.into(), self.patience)?;
            let mut stream = TcpStream::from(socket);
            let left = self.patience.saturating_sub(began.elapsed()).max(Duration::from_millis(1));
            stream.set_read_timeout(Some(left))?;
            let length = u16::try_from(request.len()).unwrap_or(u16::MAX);
            stream.write_all(&[&length.to_be_bytes(), request].concat())?;
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut reply)?;
            Ok(reply)
        };
        Ok((exchange(), client))
    }

    fn classify(&self, request: &[u8], reply: &[u8]) -> Received {
        if reply.get(..2) != request.get(..2) {
            return Received::Odd("wrong-id");
        }
        let question = |message| Asked::read(message).map(|asked| asked.bytes.to_ascii_lowercase());
        // A server that cannot parse the question need not repeat it.
        let repeats = reply.get(5).is_some_and(|count| *count > 0);
        if repeats && question(reply) != question(request) {
            return Received::Odd("wrong-question");
        }
        Reply::read(reply).map_or(Received::Odd("malformed"), Received::Reply)
    }
}
