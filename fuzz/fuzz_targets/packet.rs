//! Any packet, over either transport, with an upstream or without: no reply exactly to packets that are no queries,
//! otherwise a reply that fits and that hickory's parser accepts.
//!
//! `cargo +nightly fuzz run packet fuzz/corpus/packet fuzz/seeds/packet`. `tests/dns/wire.rs` has a short version.

#![no_main]

use std::sync::LazyLock;

use clusterlocal_core::answer::{Answerer, Client, Order, Outside, Query, UpstreamAnswer, Verdict};
use clusterlocal_core::wire::{RecordBuf, RecordType};
use clusterlocal_core::zone::Published;
use clusterlocal_core::{ControlPlane, Settings, manifest};
use hickory_proto::op::Message;
use libfuzzer_sys::fuzz_target;

static ZONE: LazyLock<Published> = LazyLock::new(|| {
    let manifest =
        manifest::read_bytes("cluster.yaml", include_bytes!("../../tests/contract/cluster.yaml").to_vec());
    let objects = manifest.objects.into_iter().map(|read| (read.object.key(), read.object)).collect();
    let mut cluster = ControlPlane::new(Settings::default());
    cluster.apply(&objects);
    cluster.published()
});

const TCP: Client = Client { udp: false, ipv6: false, max_udp: u16::MAX };
const UDP: Client = Client { udp: true, ..TCP };
const UDP_FROM_AFAR: Client = Client { ipv6: true, max_udp: 1232, ..UDP };

fuzz_target!(|packet: &[u8]| {
    let zone = ZONE.load();
    let asks = packet.len() >= 12 && packet[2] & 0x80 == 0;
    for client in [TCP, UDP, UDP_FROM_AFAR] {
        for outside in [Outside::NxDomain, Outside::Refused, Outside::Forwarded] {
            let mut answerer = Answerer::new(Order::Shuffle, 1, outside);
            let mut reply = Vec::new();
            let query = Query::new(packet, client);
            let verdict = answerer.answer(&zone, &query, &mut reply);
            assert_eq!(verdict != Verdict::Silent, asks);
            match verdict {
                Verdict::Silent => continue,
                Verdict::Reply => {}
                Verdict::Forward | Verdict::Chase => assert_eq!(outside, Outside::Forwarded),
            }
            check(packet, &reply, client);
            if verdict == Verdict::Chase {
                let (owner, record_type) = answerer.target();
                let record =
                    RecordBuf { owner: owner.to_vec(), record_type, ttl: 5, rdata: vec![192, 0, 2, 7] };
                // Records of other types may have any data, about which parsers differ.
                let records = if record_type == RecordType::A { vec![record; 100] } else { Vec::new() };
                for truncated in [false, true] {
                    let answer = UpstreamAnswer { records: records.clone(), truncated };
                    let query = Query { upstream: Some(&answer), ..query };
                    assert_eq!(answerer.answer(&zone, &query, &mut reply), Verdict::Reply);
                    check(packet, &reply, client);
                }
            }
        }
    }
});

fn check(packet: &[u8], reply: &[u8], client: Client) {
    assert_eq!(reply[..2], packet[..2], "the id");
    assert!(reply[2] & 0x80 != 0, "a response");
    let message = Message::from_vec(reply).unwrap_or_else(|error| panic!("{error}: {reply:02x?}"));
    if client.udp {
        // RFC 6891 section 6.2.3: less than 512 means 512.
        let limit = message.edns.as_ref().map_or(512, |edns| edns.max_payload().max(512));
        assert!(reply.len() <= usize::from(limit.min(client.max_udp)), "{} of {limit} bytes", reply.len());
    }
}
