//! The cluster's zone as a `RequestHandler`, for any hickory server, and so for DNS over TLS, HTTPS and QUIC. Its answers
//! must not differ from those of this room's own transports.

use std::sync::Arc;

use async_trait::async_trait;
use hickory_net::runtime::Time;
use hickory_net::xfer::Protocol;
use hickory_proto::op::{Header, HeaderCounts, Message, Metadata, ResponseCode};
use hickory_proto::rr::Record;
use hickory_proto::serialize::binary::{BinDecoder, BinEncoder};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::{MessageResponse, MessageResponseBuilder, Queries};

use super::options::max_udp;
use super::query_log::Received;
use super::responder::Responder;
use super::{Options, Stats, View};
use crate::answer::Client;
use crate::descriptors::Shares;
use crate::wire::{self, HEADER};

/// Answers the requests of a hickory server as [`Listeners`](super::Listeners) do.
///
/// ```
/// use clusterlocal::Cluster;
/// use clusterlocal::serve::{ClusterHandler, Options};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), clusterlocal::Error> {
/// let cluster = Cluster::builder().topology("sets: {db: {replicas: 3}}").start().await?;
/// let handler = ClusterHandler::new(&cluster, &Options::default());
/// // hickory_server::Server::new(handler) serves it over any of its transports.
/// # Ok(())
/// # }
/// ```
pub struct ClusterHandler {
    responder: Arc<Responder>,
    stats: Arc<Stats>,
    max_udp_size: Option<u16>,
}

impl ClusterHandler {
    /// Returns a handler that answers from `view`, for instance a [`Cluster`](crate::Cluster). It uses the order, the seed,
    /// the upstream and the UDP size of the options; listeners and their limits are the hickory server's. Faults that delay
    /// or drop answers apply; faults of connections do not. Hickory does not compress SRV targets.
    pub fn new(view: impl Into<View>, options: &Options) -> Self {
        let stats = Arc::new(Stats::default());
        let responder = Arc::new(options.responder(view.into(), Shares::now().upstream, stats.clone()));
        ClusterHandler { responder, stats, max_udp_size: options.max_udp_size }
    }

    /// The counters. Replies are counted by the hickory server only.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Returns the reply to `request`, if one is sent.
    async fn reply(&self, request: &Request) -> Option<Vec<u8>> {
        let peer = request.src();
        let client = Client {
            udp: request.protocol() == Protocol::Udp,
            ipv6: peer.is_ipv6(),
            // The listener's address is not known here; a client with a loopback address has reached a loopback listener.
            max_udp: max_udp(self.max_udp_size, peer.ip()),
        };
        let protocol = request.protocol();
        let received = Received { request: request.as_slice(), peer, client, protocol: &protocol };
        let mut reply = Vec::new();
        let is_sent = self.responder.answer(received, &mut reply).await;
        is_sent.then_some(reply)
    }
}

#[async_trait]
impl RequestHandler for ClusterHandler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response_handle: R,
    ) -> ResponseInfo {
        let Some(mut wire) = self.reply(request).await else { return nothing_sent(request) };
        if request.protocol() == Protocol::Udp && !Parsed::read(&wire).is_some_and(|parsed| parsed.fits()) {
            wire::truncate(&mut wire);
        }
        let Some(parsed) = Parsed::read(&wire) else {
            tracing::error!("cannot pass a reply to the hickory server: hickory failed to parse it");
            return nothing_sent(request);
        };
        response_handle.send_response(parsed.response()).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "cannot send a reply");
            nothing_sent(request)
        })
    }
}

/// A reply in hickory's types.
struct Parsed {
    message: Message,
    /// The questions of the reply, not of the request: some replies have none.
    queries: Queries,
}

impl Parsed {
    fn read(wire: &[u8]) -> Option<Self> {
        let message = Message::from_vec(wire).ok()?;
        let mut questions = BinDecoder::new(wire);
        questions.read_slice(HEADER).ok()?;
        let queries = Queries::read(&mut questions, message.queries.len()).ok()?;
        Some(Parsed { message, queries })
    }

    fn response(
        &self,
    ) -> MessageResponse<
        '_,
        '_,
        impl Iterator<Item = &Record> + Send,
        impl Iterator<Item = &Record> + Send,
        impl Iterator<Item = &Record> + Send,
        impl Iterator<Item = &Record> + Send,
    > {
        let Message { metadata, answers, authorities, additionals, edns, .. } = &self.message;
        // The SOA of a negative answer is among the authorities already.
        let soa: &[Record] = &[];
        MessageResponseBuilder::new(&self.queries, edns.as_ref()).build(
            *metadata,
            answers,
            authorities,
            soa,
            additionals,
        )
    }

    /// Whether hickory's encoder can write the reply within its size limit over UDP. It needs a little more space than
    /// ours, and when it leaves records out of a message without OPT, hickory 0.26.3 leaves bytes of them behind the end.
    /// Such a reply is truncated first.
    fn fits(&self) -> bool {
        let Message { answers, authorities, additionals, edns, .. } = &self.message;
        let mut wire = Vec::new();
        let mut encoder = BinEncoder::new(&mut wire);
        encoder.set_max_size(edns.as_ref().map_or(512, |edns| edns.max_payload()));
        let Ok(written) = self.response().destructive_emit(&mut encoder) else { return false };
        let counts = written.counts();
        usize::from(counts.answers) == answers.len()
            && usize::from(counts.authorities) == authorities.len()
            && usize::from(counts.additionals) == additionals.len() + usize::from(edns.is_some())
    }
}

/// The result for hickory if no reply was sent; hickory only logs it.
fn nothing_sent(request: &Request) -> ResponseInfo {
    let mut metadata = Metadata::response_from_request(&request.metadata);
    metadata.response_code = ResponseCode::ServFail;
    Header { metadata, counts: HeaderCounts::default() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &[u8] = b"\x03web\x02ns\0\0\x01\0\x01";

    fn encoded(wire: &[u8]) -> Vec<u8> {
        let mut encoded = Vec::new();
        let parsed = Parsed::read(wire).expect("a message");
        parsed.response().destructive_emit(&mut BinEncoder::new(&mut encoded)).expect("room");
        encoded
    }

    #[test]
    fn replies_pass_through_hickory_unchanged() {
        let table: [(&str, Vec<u8>); 4] = [
            ("only a header", b"\x12\x34\x81\x01\0\0\0\0\0\0\0\0".to_vec()),
            (
                "an answer, names as the client wrote them",
                [
                    b"\x12\x34\x85\0\0\x01\0\x01\0\0\0\0\x03wEb\x02nS\0\0\x01\0\x01".as_slice(),
                    b"\x03wEb\x02nS\0\0\x01\0\x01\0\0\0\x1e\0\x04\x7f\x60\0\x01",
                ]
                .concat(),
            ),
            (
                "BADVERS and an unknown option",
                [
                    b"\x12\x34\x81\0\0\x01\0\0\0\0\0\x01",
                    QUESTION,
                    b"\0\0\x29\x10\0\x01\0\x80\0\0\x05\xff\xfe\0\x01x",
                ]
                .concat(),
            ),
            (
                "an authority and a flag of each kind",
                [
                    b"\x12\x34\x87\xb3\0\x01\0\0\0\x01\0\0",
                    QUESTION,
                    b"\x02ns\0\xff\xf0\0\x01\0\0\0\x05\0\x02\xab\xcd",
                ]
                .concat(),
            ),
        ];
        for (what, wire) in table {
            let (ours, theirs) =
                (Message::from_vec(&wire).unwrap(), Message::from_vec(&encoded(&wire)).unwrap());
            assert_eq!(theirs, ours, "{what}");
            assert_eq!(encoded(&wire)[..HEADER], wire[..HEADER], "{what}");
        }
    }

    #[test]
    fn a_reply_too_large_for_hickorys_encoder_is_detected_before_encoding() {
        // As compact as possible: each owner is a pointer, 16 bytes per record.
        let reply = |count: u8, opt: &[u8]| {
            let mut wire =
                [b"\x12\x34\x85\0\0\x01\0", [count].as_slice(), b"\0\0\0", &[!opt.is_empty() as u8]].concat();
            wire.extend_from_slice(b"\x14a-rather-long-pod-45\x02ns\0\0\x01\0\x01");
            wire.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x1e\0\x04\x7f\x60\0\x01".repeat(count.into()));
            wire.extend_from_slice(opt);
            wire
        };
        let fits = |wire: &[u8]| Parsed::read(wire).expect("a message").fits();
        assert!(fits(&reply(27, b"")));
        assert!(reply(29, b"").len() <= 512);
        assert!(!fits(&reply(29, b"")), "hickory does not compress the first owner");
        let size = |size: u16| [b"\0\0\x29".as_slice(), &size.to_be_bytes(), b"\0\0\0\0\0\0"].concat();
        assert!(fits(&reply(60, &size(1232))));
        assert!(!fits(&reply(80, &size(1232))));
        assert!(fits(&reply(20, &size(0))), "less than 512 counts as 512");
    }
}
