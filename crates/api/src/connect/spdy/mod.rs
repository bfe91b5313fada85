//! Takes the place of moby/spdystream: frames of SPDY 3.1, as far as port-forward needs them (SPDY protocol draft 3.1, section 2.6).
//! kubectl tunnels them in WebSocket. There is no flow control, as in moby/spdystream. Must not depend on what streams carry.

mod dictionary;

use std::collections::HashMap;

use hyper::body::Bytes;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush};

use dictionary::dictionary;

/// Maximum size of a frame, in bytes. kubectl sends at most 32 KiB in one.
const MAX_FRAME: usize = 256 << 10;

/// Maximum size of the headers of a stream, in bytes.
const MAX_HEADERS: usize = 16 << 10;

/// Types of control frames.
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;

/// The version in control frames, and the bit that they begin with.
const CONTROL: u16 = 0x8003;

/// The last frame of a stream in one direction.
const FIN: u8 = 1;

/// Status codes of [`RST_STREAM`] (section 2.6.3).
pub(super) const REFUSED_STREAM: u32 = 3;

/// The peer does not speak SPDY as it is used here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProtocolError;

/// A frame of the peer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A new stream.
    Open {
        stream: u32,
        headers: HashMap<String, String>,
        is_last: bool,
    },
    Data {
        stream: u32,
        bytes: Bytes,
        is_last: bool,
    },
    /// The stream has ended in both directions.
    Reset {
        stream: u32,
    },
    Ping {
        id: u32,
    },
    GoAway,
    /// A frame without an effect.
    Other,
}

/// Takes frames from the bytes of a peer.
pub(super) struct Reader {
    bytes: Vec<u8>,
    /// Where the next frame begins.
    at: usize,
    headers: Inflater,
}

impl Reader {
    pub(super) fn new() -> Self {
        Reader { bytes: Vec::new(), at: 0, headers: Inflater::new() }
    }

    /// Adds what was received.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.at));
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame, if all of it was received.
    ///
    /// # Errors
    /// If it is too long or malformed: the connection has to be closed.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, ProtocolError> {
        let Some((head, rest)) = self.bytes[self.at..].split_first_chunk::<8>() else { return Ok(None) };
        let [first @ .., flags, high, middle, low] = *head;
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        if length > MAX_FRAME {
            return Err(ProtocolError);
        }
        if rest.len() < length {
            return Ok(None);
        }
        let payload = Bytes::copy_from_slice(&rest[..length]);
        self.at += 8 + length;
        let is_last = flags & FIN != 0;
        let [a, b, c, d] = first;
        if a & 0x80 == 0 {
            let stream = u32::from_be_bytes(first);
            return Ok(Some(Frame::Data { stream, bytes: payload, is_last }));
        }
        if u16::from_be_bytes([a, b]) != CONTROL {
            return Err(ProtocolError);
        }
        self.control(u16::from_be_bytes([c, d]), &payload, is_last).map(Some)
    }

    fn control(&mut self, kind: u16, payload: &[u8], is_last: bool) -> Result<Frame, ProtocolError> {
        let number = || -> Result<u32, ProtocolError> {
            let bytes = payload.first_chunk::<4>().ok_or(ProtocolError)?;
            Ok(u32::from_be_bytes(*bytes) & 0x7fff_ffff)
        };
        Ok(match kind {
            SYN_STREAM => {
                // Behind the stream, the one it belongs to, its priority and slot.
                let headers = self.headers.block(payload.get(10..).ok_or(ProtocolError)?)?;
                Frame::Open { stream: number()?, headers: fields(&headers)?, is_last }
            }
            // The state of the decompression is that of all headers.
            SYN_REPLY | HEADERS => {
                self.headers.block(payload.get(4..).ok_or(ProtocolError)?)?;
                Frame::Other
            }
            RST_STREAM => Frame::Reset { stream: number()? },
            PING => Frame::Ping { id: number()? },
            GOAWAY => Frame::GoAway,
            _ => Frame::Other,
        })
    }
}

/// Names and values of a block (section 2.6.10).
fn fields(mut block: &[u8]) -> Result<HashMap<String, String>, ProtocolError> {
    let mut fields = HashMap::new();
    for _ in 0..length(&mut block)? {
        let name = field(&mut block)?;
        fields.insert(name, field(&mut block)?);
    }
    Ok(fields)
}

/// Takes a text with its length off a block.
fn field(block: &mut &[u8]) -> Result<String, ProtocolError> {
    let length = length(block)?;
    let (text, rest) = block.split_at_checked(length).ok_or(ProtocolError)?;
    *block = rest;
    Ok(String::from_utf8_lossy(text).into_owned())
}

fn length(block: &mut &[u8]) -> Result<usize, ProtocolError> {
    let (length, rest) = block.split_first_chunk::<4>().ok_or(ProtocolError)?;
    *block = rest;
    Ok(u32::from_be_bytes(*length) as usize)
}

/// Decompresses the headers of a connection, which are one zlib stream with a dictionary.
struct Inflater {
    state: Box<InflateState>,
    has_begun: bool,
}

impl Inflater {
    /// The library takes no dictionary: as the content of a block that is not compressed it comes to the same.
    fn new() -> Self {
        let mut inflater = Inflater { state: InflateState::new_boxed(DataFormat::Raw), has_begun: true };
        let dictionary = dictionary();
        let length = u16::try_from(dictionary.len()).unwrap_or_default();
        let block = [&[0], &length.to_le_bytes()[..], &(!length).to_le_bytes(), &dictionary].concat();
        // It is a valid block.
        _ = inflater.block(&block);
        inflater.has_begun = false;
        inflater
    }

    /// The headers of one frame.
    fn block(&mut self, mut compressed: &[u8]) -> Result<Vec<u8>, ProtocolError> {
        if !std::mem::replace(&mut self.has_begun, true) {
            // RFC 1950 section 2.2: two bytes, and with the flag FDICT the checksum of the dictionary.
            let flags = *compressed.get(1).ok_or(ProtocolError)?;
            let head = if flags & 0x20 == 0 { 2 } else { 6 };
            compressed = compressed.get(head..).ok_or(ProtocolError)?;
        }
        let mut block = vec![0; MAX_HEADERS];
        let mut written = 0;
        loop {
            let result = inflate(&mut self.state, compressed, &mut block[written..], MZFlush::None);
            compressed = &compressed[result.bytes_consumed..];
            written += result.bytes_written;
            match result.status {
                // All of it is read.
                Err(MZError::Buf) if compressed.is_empty() && written < block.len() => break,
                Ok(_) if written < block.len() => {}
                _ => return Err(ProtocolError),
            }
        }
        block.truncate(written);
        Ok(block)
    }
}

/// Makes frames for a peer.
#[derive(Default)]
pub(super) struct Writer {
    has_begun: bool,
}

impl Writer {
    /// Accepts a stream, with no headers.
    pub(super) fn reply(&mut self, stream: u32) -> Bytes {
        // A zlib stream without dictionary, in blocks that are not compressed: none of the four bytes of the number zero. The empty
        // one makes the reader take the block before it.
        let head: &[u8] = if std::mem::replace(&mut self.has_begun, true) { &[] } else { &[0x78, 0x01] };
        let block = [0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
        control(SYN_REPLY, &[&stream.to_be_bytes()[..], head, &block].concat())
    }
}

/// Ends a stream in both directions.
pub(super) fn reset(stream: u32, code: u32) -> Bytes {
    control(RST_STREAM, &[stream.to_be_bytes(), code.to_be_bytes()].concat())
}

/// The answer to a ping is the same ping.
pub(super) fn ping(id: u32) -> Bytes {
    control(PING, &id.to_be_bytes())
}

/// A part of a stream, of less than 16 MiB.
pub(super) fn data(stream: u32, bytes: &[u8], is_last: bool) -> Bytes {
    frame(stream.to_be_bytes(), if is_last { FIN } else { 0 }, bytes)
}

fn control(kind: u16, payload: &[u8]) -> Bytes {
    let [a, b] = CONTROL.to_be_bytes();
    let [c, d] = kind.to_be_bytes();
    frame([a, b, c, d], 0, payload)
}

fn frame(first: [u8; 4], flags: u8, payload: &[u8]) -> Bytes {
    let [_, high, middle, low] = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    [&first[..], &[flags, high, middle, low], payload].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        data_encoding::HEXLOWER.decode(&digits).unwrap()
    }

    /// What zlib makes of the headers of two streams, `streamtype`, `port` and `requestid`, with the dictionary.
    const FIRST: &str = "78f9e3c6a7c202253a703a2b294a4dcc851625aca9a0808614cb45a024cc64610024398b209198094adc8c0600000000ffff";
    const SECOND: &str = "c2aa15540a2512d209000000ffff";

    #[test]
    fn headers_are_those_of_the_peer() {
        let mut reader = Reader::new();
        let opened = |stream: u32, compressed: &str| {
            let payload = [&stream.to_be_bytes()[..], &[0; 6], &hex(compressed)].concat();
            control(SYN_STREAM, &payload)
        };
        for (stream, compressed, kind) in [(1, FIRST, "error"), (3, SECOND, "data")] {
            reader.add(&opened(stream, compressed));
            let Ok(Some(Frame::Open { stream: opened, headers, is_last: false })) = reader.next() else {
                panic!("{kind}")
            };
            assert_eq!(opened, stream);
            let expected = [("streamtype", kind), ("port", "80"), ("requestid", "0")];
            assert_eq!(headers, expected.map(|(name, value)| (name.into(), value.into())).into());
        }
        assert_eq!(reader.next(), Ok(None));
    }

    #[test]
    fn frames_come_in_any_pieces() {
        let sent = [data(5, b"abc", false), ping(7), data(5, b"", true), reset(5, REFUSED_STREAM)].concat();
        let mut reader = Reader::new();
        let mut frames = Vec::new();
        for byte in sent {
            reader.add(&[byte]);
            frames.extend(reader.next().unwrap());
        }
        let expected = [
            Frame::Data { stream: 5, bytes: Bytes::from_static(b"abc"), is_last: false },
            Frame::Ping { id: 7 },
            Frame::Data { stream: 5, bytes: Bytes::new(), is_last: true },
            Frame::Reset { stream: 5 },
        ];
        assert_eq!(frames, expected);
    }

    #[test]
    fn what_is_malformed_or_too_long_ends_the_connection() {
        let bomb = [0, 0xff, 0x7f, 0, 0x80];
        let table = [
            ("a frame of 16 MiB", vec![0, 0, 0, 1, 0, 0xff, 0xff, 0xff]),
            ("another version", vec![0x80, 2, 0, 1, 0, 0, 0, 0]),
            ("no stream", control(PING, &[1]).to_vec()),
            ("no headers", control(SYN_STREAM, &[0; 10]).to_vec()),
            (
                "headers of another format",
                control(SYN_STREAM, &[&[0; 10][..], &[0x78, 1, 0xff]].concat()).to_vec(),
            ),
            (
                "headers of 32 KiB",
                control(SYN_STREAM, &[&[0; 10][..], &[0x78, 1], &bomb, &[0; 0x7fff]].concat()).to_vec(),
            ),
        ];
        for (what, bytes) in table {
            let mut reader = Reader::new();
            reader.add(&bytes);
            assert_eq!(reader.next(), Err(ProtocolError), "{what}");
        }
    }

    #[test]
    fn replies_are_zlib_streams() {
        let mut writer = Writer::default();
        let mut inflater = Inflater::new();
        for stream in [1, 3] {
            let reply = writer.reply(stream);
            assert_eq!(inflater.block(&reply[12..]), Ok(vec![0; 4]));
        }
    }
}
