//! Replies through hickory equal those of our own transports, for every query for which CoreDNS's answer is recorded.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use clusterlocal::serve::{ClusterHandler, Options};
use clusterlocal_core::Settings;
use clusterlocal_core::answer::Order;
use clusterlocal_core::zone::Published;
use hickory_net::NetError;
use hickory_net::runtime::TokioTime;
use hickory_net::xfer::Protocol;
use hickory_proto::op::Message;
use hickory_proto::rr::Record;
use hickory_proto::serialize::binary::BinEncoder;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponse;
use serde_json::Value;

use crate::common::{self, Asked};

/// Encodes a reply as hickory's own transports do, and keeps it.
#[derive(Clone)]
struct Sent {
    protocol: Protocol,
    wire: Arc<Mutex<Vec<u8>>>,
}

#[async_trait]
impl ResponseHandler for Sent {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        let mut wire = self.wire.lock().unwrap();
        let mut encoder = BinEncoder::new(&mut wire);
        encoder.set_max_size(match self.protocol {
            Protocol::Udp => response.edns().map_or(512, |edns| edns.max_payload()),
            _ => u16::MAX,
        });
        Ok(response.destructive_emit(&mut encoder)?)
    }
}

async fn through_hickory(handler: &ClusterHandler, asked: &Asked) -> Vec<u8> {
    let protocol = if asked.client.udp { Protocol::Udp } else { Protocol::Tcp };
    let client: SocketAddr = (Ipv4Addr::LOCALHOST, 53).into();
    let request = Request::from_bytes(asked.request.clone(), client, protocol).expect("a request");
    let wire = Arc::default();
    handler.handle_request::<_, TokioTime>(&request, Sent { protocol, wire: Arc::clone(&wire) }).await;
    wire.lock().unwrap().clone()
}

async fn check(cluster: &str) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let text = std::fs::read(folder.join(cluster)).unwrap();
    let zone = common::zone_of(&common::objects(cluster, text), Settings::default());
    let mut options = Options::default();
    options.order = Order::Stable;
    let handler = ClusterHandler::new(Published::new(zone.clone()), &options);
    let (mut same, mut too_long) = (0, 0);
    for line in std::fs::read_to_string(folder.join(cluster).with_extension("jsonl")).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let question = line["q"].as_str().unwrap();
        let asked = Asked::parse(question);
        let ours = asked.ask(&zone, Order::Stable);
        let theirs = through_hickory(&handler, &asked).await;
        let [ours, mut theirs] = [ours, theirs].map(|wire| Message::from_vec(&wire).expect("a message"));
        if theirs == ours {
            same += 1;
            continue;
        }
        // Hickory's encoder needs a little more space. Without it, the client is sent to TCP.
        assert!(asked.client.udp && theirs.metadata.truncation, "{cluster}: {question}");
        theirs.metadata.truncation = ours.metadata.truncation;
        let records = [&theirs.answers, &theirs.authorities, &theirs.additionals].map(Vec::len);
        assert_eq!(records, [0, 0, 0], "{cluster}: {question}");
        assert_eq!((theirs.metadata, theirs.queries, theirs.edns), (ours.metadata, ours.queries, ours.edns));
        too_long += 1;
    }
    assert!(same > 40 * too_long, "{cluster}: {same} the same, {too_long} too long for hickory");
}

#[tokio::test]
async fn s1() {
    check("s1.yaml").await;
}

#[tokio::test]
async fn s2() {
    check("s2.json").await;
}

#[tokio::test]
async fn s3() {
    check("s3.yaml").await;
}

#[tokio::test]
async fn s4() {
    check("s4.yaml").await;
}

#[tokio::test]
async fn s5() {
    check("s5.json").await;
}

#[tokio::test]
async fn s6() {
    check("s6.yaml").await;
}
