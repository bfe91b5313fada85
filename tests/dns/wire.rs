//! Packets, byte by byte: headers, EDNS, malformed packets, and packets without a reply. Well-formed requests are expected
//! to be answered as by CoreDNS, others as RFC 8906, 6891 and 9619 require.

use clusterlocal_core::Settings;
use clusterlocal_core::answer::{Answerer, Client, Order, Outside, Query, Verdict};
use clusterlocal_core::zone::Zone;
use hickory_proto::op::Message;
use proptest::prelude::*;

use crate::common::{self, TCP, UDP};

fn zone() -> Zone {
    common::zone_of(
        &common::objects("cluster.yaml", include_str!("../contract/cluster.yaml")),
        Settings::default(),
    )
}

fn ask(zone: &Zone, request: &[u8], client: Client) -> Option<Vec<u8>> {
    let mut reply = vec![0xff; 40];
    match Answerer::new(Order::Stable, 1, Outside::NxDomain).answer(
        zone,
        &Query::new(request, client),
        &mut reply,
    ) {
        Verdict::Silent => None,
        _ => Some(reply),
    }
}

/// Id 0x1234, the flags, and the counts of question, answer, authority and additional.
fn header(flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34];
    packet.extend(flags.to_be_bytes());
    packet.extend(counts.into_iter().flat_map(u16::to_be_bytes));
    packet
}

const RD: u16 = 0x0100;
const NAME: &str = "kubernetes.default.svc.cluster.local";

fn question(name: &str, record_type: u16, class: u16) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        wire.push(label.len() as u8);
        wire.extend(label.as_bytes());
    }
    wire.push(0);
    wire.extend(record_type.to_be_bytes());
    wire.extend(class.to_be_bytes());
    wire
}

/// An A query for the API's Service with these flags.
fn plain(flags: u16) -> Vec<u8> {
    [header(flags, [1, 0, 0, 0]), question(NAME, 1, 1)].concat()
}

/// An OPT record: size, TTL field, options.
fn opt(size: u16, ttl: u32, options: &[u8]) -> Vec<u8> {
    let mut wire = vec![0, 0, 41];
    wire.extend(size.to_be_bytes());
    wire.extend(ttl.to_be_bytes());
    wire.extend((options.len() as u16).to_be_bytes());
    wire.extend(options);
    wire
}

fn with_opts(opts: &[Vec<u8>]) -> Vec<u8> {
    [header(RD, [1, 0, 0, opts.len() as u16]), question(NAME, 1, 1), opts.concat()].concat()
}

fn flags(reply: &[u8]) -> u16 {
    u16::from_be_bytes([reply[2], reply[3]])
}

fn counts(reply: &[u8]) -> [u16; 4] {
    [4, 6, 8, 10].map(|at| u16::from_be_bytes([reply[at], reply[at + 1]]))
}

#[test]
fn flags_of_a_request_are_copied_as_by_coredns() {
    let zone = zone();
    let table = [
        ("a resolver's query", RD, 0x8500),
        ("RD is copied: not set", 0x0000, 0x8400),
        ("CD is copied, AD and Z are not", 0x0170, 0x8510),
        ("AA, TC and RA of a request are ignored", 0x0780, 0x8500),
    ];
    for (what, sent, expected) in table {
        let reply = ask(&zone, &plain(sent), UDP).unwrap();
        assert_eq!((flags(&reply), counts(&reply)), (expected, [1, 1, 0, 0]), "{what}");
        assert_eq!(reply[..2], [0x12, 0x34], "{what}");
        assert_eq!(reply.len(), 106, "{what}: sent uncompressed");
        assert!(!reply[12..].contains(&0xc0), "{what}");
    }
}

#[test]
fn responses_and_short_packets_get_no_reply() {
    let zone = zone();
    let table = [
        ("a response", plain(0x8100)),
        ("a malformed response", header(0x8100, [1, 0, 0, 0])),
        ("a response of another opcode", header(0xa800, [0, 0, 0, 0])),
        ("nothing", vec![]),
        ("one byte", vec![0]),
        ("eleven bytes", header(RD, [1, 0, 0, 0])[..11].to_vec()),
    ];
    for (what, packet) in table {
        for client in [UDP, TCP] {
            assert_eq!(ask(&zone, &packet, client), None, "{what}");
        }
    }
}

/// Packets that cannot be parsed are answered with twelve bytes: flags, with the code, and no sections.
#[test]
fn unparsable_requests_get_a_bare_header() {
    let zone = zone();
    let one = [1, 0, 0, 0];
    let with = |counts, rest: &[u8]| [header(RD, counts), rest.to_vec()].concat();
    let good = question(NAME, 1, 1);
    let long = question(&[["a"; 63].concat().as_str(); 4].join("."), 1, 1);
    let table = [
        ("inverse query", header(0x0900, [0, 0, 0, 0]), 0x8804),
        ("status, with a question", [header(0x1100, one), good.clone()].concat(), 0x9004),
        ("notify", [header(0x2100, one), good.clone()].concat(), 0xa004),
        ("update", [header(0x2900, one), good.clone()].concat(), 0xa804),
        ("stateful operations", header(0x3000, [0, 0, 0, 0]), 0xb004),
        ("opcode 15 with every flag", header(0x7ff0 & !0x8000, [0, 0, 0, 0]), 0xf804),
        ("no question", header(RD, [0, 0, 0, 0]), 0x8101),
        ("two questions", with([2, 0, 0, 0], &[good.clone(), good.clone()].concat()), 0x8101),
        ("two answers", with([1, 2, 0, 0], &good), 0x8101),
        ("two authorities", with([1, 0, 2, 0], &good), 0x8101),
        ("three additional records", with([1, 0, 0, 3], &good), 0x8101),
        ("a question that is not there", header(RD, one), 0x8102),
        ("a name that is cut", with(one, &good[..20]), 0x8101),
        ("a question without its class", with(one, &good[..good.len() - 2]), 0x8101),
        ("a name that points to itself", with(one, &[0xc0, 0x0c, 0, 1, 0, 1]), 0x8101),
        ("a name that points forward", with(one, &[0xc0, 0x20, 0, 1, 0, 1]), 0x8101),
        ("a name that points into the header", with(one, &[0xc0, 0x00, 0, 1, 0, 1]), 0x8101),
        ("label type 0x40", with(one, &[0x41, b'a', 0, 0, 1, 0, 1]), 0x8101),
        ("label type 0x80", with(one, &[0x81, b'a', 0, 0, 1, 0, 1]), 0x8101),
        ("a name of 257 bytes", with(one, &long), 0x8101),
    ];
    for (what, packet, expected) in table {
        for client in [UDP, TCP] {
            let reply = ask(&zone, &packet, client).unwrap_or_else(|| panic!("{what}: silence"));
            assert_eq!((reply.len(), flags(&reply), counts(&reply)), (12, expected, [0; 4]), "{what}");
        }
    }
}

/// FORMERR with the question, if the question is valid and the rest is not. No OPT.
#[test]
fn requests_malformed_after_the_question_get_formerr() {
    let zone = zone();
    let padding = [vec![0, 12, 2, 0x58], vec![0; 600]].concat();
    let table = [
        ("two OPTs", with_opts(&[opt(1232, 0, &[]), opt(4096, 0, &[])]), TCP),
        ("an OPT that has an owner", with_opts(&[[vec![1, b'x'], opt(1232, 0, &[])].concat()]), UDP),
        (
            "an OPT that points somewhere",
            with_opts(&[[vec![0xc0, 12], opt(1232, 0, &[])[1..].to_vec()].concat()]),
            UDP,
        ),
        ("an option that is longer than its record", with_opts(&[opt(1232, 0, &[0, 3, 0, 9])]), UDP),
        ("half an option", with_opts(&[opt(1232, 0, &[0, 3])]), UDP),
        ("a record that is cut", with_opts(&[opt(1232, 0, &[])[..5].to_vec()]), UDP),
        ("a record whose data is cut", with_opts(&[opt(1232, 0, &[0; 8])[..15].to_vec()]), UDP),
        (
            "an OPT in the answer section",
            [header(RD, [1, 1, 0, 0]), question(NAME, 1, 1), opt(512, 0, &[])].concat(),
            UDP,
        ),
        ("an owner that points forward", with_opts(&[[vec![0xc1, 0], vec![0; 12]].concat()]), UDP),
        ("more than 512 bytes over UDP", with_opts(&[opt(1232, 0, &padding)]), UDP),
    ];
    for (what, packet, client) in table {
        let reply = ask(&zone, &packet, client).unwrap_or_else(|| panic!("{what}: silence"));
        assert_eq!((flags(&reply), counts(&reply), reply.len()), (0x8101, [1, 0, 0, 0], 54), "{what}");
    }
}

/// Irregular requests that are answered.
#[test]
fn harmless_irregularities_are_tolerated() {
    let zone = zone();
    let junk = [plain(RD), vec![0xff; 6]].concat();
    let counted = |counts| [header(RD, counts), question(NAME, 1, 1)].concat();
    let table = [
        ("bytes after the message", junk),
        ("an answer that is counted and missing", counted([1, 1, 0, 0])),
        ("an additional record that is counted and missing", counted([1, 0, 0, 1])),
    ];
    for (what, packet) in table {
        let reply = ask(&zone, &packet, UDP).unwrap();
        assert_eq!((flags(&reply), counts(&reply), reply.len()), (0x8500, [1, 1, 0, 0], 106), "{what}");
    }
    // Over TCP the whole message is accepted, including the padding.
    let padded = with_opts(&[opt(1232, 0, &[vec![0, 12, 2, 0x58], vec![0; 600]].concat())]);
    assert_eq!(ask(&zone, &padded, TCP).unwrap().len(), 106 + 11 + 604);
}

/// Case; size, TTL field and options that are sent; those that are returned.
#[test]
fn edns_fields_and_options_are_returned_as_by_coredns() {
    let zone = zone();
    let cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    let (nsid, keepalive, expire, padding) = ([0, 3, 0, 0], [0, 11, 0, 0], [0, 9, 0, 0], [0, 12, 0, 2, 0, 0]);
    let subnet = [0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2];
    type Fields<'a> = (u16, u32, &'a [u8]);
    let table: [(&str, Fields<'_>, Fields<'_>); 13] = [
        ("size", (1232, 0, &[]), (1232, 0, &[])),
        ("a size below 512 is returned unchanged", (100, 0, &[]), (100, 0, &[])),
        ("DO", (1232, 0x8000, &[]), (1232, 0x8000, &[])),
        ("the lower eight flag bits are cleared", (1232, 0xffff, &[]), (1232, 0xff00, &[])),
        ("the extended response code is cleared", (1232, 0x0500_0000, &[]), (1232, 0, &[])),
        ("cookie", (1232, 0, &cookie), (1232, 0, &cookie)),
        ("name server id", (1232, 0, &nsid), (1232, 0, &nsid)),
        ("keepalive", (1232, 0, &keepalive), (1232, 0, &keepalive)),
        ("expire", (1232, 0, &expire), (1232, 0, &expire)),
        ("padding", (1232, 0, &padding), (1232, 0, &padding)),
        ("client subnet is dropped", (1232, 0, &subnet), (1232, 0, &[])),
        ("an unknown option is dropped", (1232, 0, &[0xfd, 0xe9, 0, 0]), (1232, 0, &[])),
        (
            "an unsupported option among others is dropped",
            (1232, 0, &[subnet.as_slice(), &nsid].concat()),
            (1232, 0, &nsid),
        ),
    ];
    for (what, sent, back) in &table {
        let reply = ask(&zone, &with_opts(&[opt(sent.0, sent.1, sent.2)]), UDP).unwrap();
        let expected = opt(back.0, back.1, back.2);
        assert_eq!(reply[106..], expected, "{what}");
        assert_eq!((flags(&reply), counts(&reply)), (0x8500, [1, 1, 0, 1]), "{what}");
    }
}

#[test]
fn edns_version_1_is_refused_before_the_name_is_looked_up() {
    let zone = zone();
    for name in [NAME, "nope.cluster.local", "www.example.com"] {
        let request = [header(RD, [1, 0, 0, 1]), question(name, 1, 1), opt(1232, 0x0001_8000, &[])].concat();
        let reply = ask(&zone, &request, UDP).unwrap();
        let expected = [question(name, 1, 1), vec![0, 0, 41, 0, 0, 1, 0, 0, 0, 0, 0]].concat();
        assert_eq!((flags(&reply), &reply[12..]), (0x8100, &expected[..]), "{name}");
    }
}

/// Name, type, class, with EDNS; flags with the code, counts, bytes.
#[test]
fn unsupported_queries_are_refused_or_empty() {
    let zone = zone();
    let table = [
        ("zone transfer, within a zone", "cluster.local", 252, 1, true, 0x8105, [1, 0, 0, 1], 42),
        ("incremental transfer", "cluster.local", 251, 1, false, 0x8105, [1, 0, 0, 0], 31),
        ("class CH", NAME, 1, 3, false, 0x8105, [1, 0, 0, 0], 54),
        ("class HS", NAME, 1, 4, false, 0x8105, [1, 0, 0, 0], 54),
        ("class NONE", NAME, 1, 254, false, 0x8105, [1, 0, 0, 0], 54),
        ("class ANY", NAME, 1, 255, false, 0x8105, [1, 0, 0, 0], 54),
        ("class 0", NAME, 1, 0, false, 0x8105, [1, 0, 0, 0], 54),
        ("a name outside the zones", "example.com", 1, 1, false, 0x8183, [1, 0, 0, 0], 29),
        ("… with an extended error (RFC 8914)", "example.com", 1, 1, true, 0x8183, [1, 0, 0, 1], 29 + 11 + 6),
        ("the root, above the zones", "", 2, 1, false, 0x8180, [1, 0, 0, 0], 17),
        ("a name with the domain as a mere suffix", "xcluster.local", 1, 1, false, 0x8183, [1, 0, 0, 0], 32),
        ("transfer of another zone", "example.com", 252, 1, false, 0x8105, [1, 0, 0, 0], 29),
        ("type 0", NAME, 0, 1, false, 0x8500, [1, 0, 1, 0], 54 + 93),
        ("type OPT", NAME, 41, 1, false, 0x8500, [1, 0, 1, 0], 54 + 93),
        ("type ANY", NAME, 255, 1, false, 0x8500, [1, 0, 1, 0], 54 + 93),
        ("type MAILB", NAME, 253, 1, false, 0x8500, [1, 0, 1, 0], 54 + 93),
        ("type 666", NAME, 666, 1, false, 0x8500, [1, 0, 1, 0], 54 + 93),
        ("type 65280", NAME, 65280, 1, false, 0x8500, [1, 0, 1, 0], 54 + 93),
    ];
    for (what, name, record_type, class, edns, expected, sections, size) in table {
        let extra = if edns { opt(1232, 0, &[]) } else { vec![] };
        let request =
            [header(RD, [1, 0, 0, edns as u16]), question(name, record_type, class), extra].concat();
        for client in [UDP, TCP] {
            let reply = ask(&zone, &request, client).unwrap();
            assert_eq!((flags(&reply), counts(&reply), reply.len()), (expected, sections, size), "{what}");
            assert_eq!(
                reply[12..12 + question(name, record_type, class).len()],
                question(name, record_type, class)
            );
        }
    }
}

/// Only A to Z equal a to z (RFC 4343); all other bytes of a label are compared exactly.
#[test]
fn labels_may_have_any_bytes() {
    let zone = zone();
    for label in [&b"\xc4"[..], b"\0", b"a.b", b"\x1b]0;", &[0x80; 63], b"*", b" "] {
        let mut name = vec![label.len() as u8];
        name.extend(label);
        name.extend(&question("default.svc.cluster.local", 1, 1));
        let request = [header(RD, [1, 0, 0, 0]), name].concat();
        let reply = ask(&zone, &request, UDP).unwrap();
        assert_eq!((flags(&reply), counts(&reply)), (0x8503, [1, 0, 1, 0]), "{label:?}");
    }
}

/// A listener that is not on loopback announces its own limit.
#[test]
fn a_listeners_limit_bounds_and_announces_the_size() {
    let zone = zone();
    let client = Client { max_udp: 1232, ..UDP };
    let request = common::request("cass.db.svc.cluster.local", "SRV", Some(65535));
    let reply = ask(&zone, &request, client).unwrap();
    assert_eq!(common::opt_size(&Message::from_vec(&reply).unwrap()), Some(1232));
    assert!(reply.len() <= 1232);
}

/// Over UDP a large reply is compressed even if it fits: from 1220 bytes on for IPv6, from 1480 on for IPv4.
#[test]
fn large_replies_are_compressed() {
    let cluster = common::objects("cluster.yaml", include_str!("../contract/cluster.yaml"));
    let (v4, v6) = (UDP, Client { ipv6: true, ..UDP });
    let (plain, packed) = (|n: usize| 12 + 30 + n * (26 + 14) + 11, |n: usize| 12 + 30 + n * 16 + 11);
    let table = [
        (29, [plain(29), plain(29), plain(29)]),
        (31, [plain(31), packed(31), plain(31)]),
        (40, [packed(40), packed(40), plain(40)]),
    ];
    for (endpoints, sizes) in table {
        let listed: Vec<_> = (1..=endpoints).map(|n| format!("{{addresses: [10.244.9.{n}]}}")).collect();
        let slice = format!(
            "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {{name: big-1, \
             namespace: db, labels: {{kubernetes.io/service-name: big}}}}, endpoints: [{}], ports: []}}",
            listed.join(", ")
        );
        let mut objects = cluster.clone();
        objects.extend(common::objects("big.yaml", slice));
        let zone = common::zone_of(&objects, Settings::default());
        let request = common::request("big.db.svc.cluster.local", "A", Some(4096));
        let got = [v4, v6, TCP].map(|client| ask(&zone, &request, client).unwrap().len());
        assert_eq!(got, sizes, "{endpoints} endpoints");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Any packet: no reply exactly for responses and short packets; otherwise a reply with the same id that two parsers
    /// accept.
    #[test]
    fn any_packet_is_answered_or_dropped_correctly(packet in prop::collection::vec(any::<u8>(), 0..80), udp in any::<bool>()) {
        let zone = ZONE.with(Zone::clone);
        let client = if udp { UDP } else { TCP };
        prop_check(&zone, &packet, client)?;
    }

    /// The same for requests with some bytes changed.
    #[test]
    fn any_mutated_request_is_answered_or_dropped_correctly(changes in prop::collection::vec((2usize..140, any::<u8>()), 0..6), cut in 0usize..160, srv in any::<bool>()) {
        let zone = ZONE.with(Zone::clone);
        let name = if srv { "_cql._tcp.cass.db.svc.cluster.local" } else { "ds-0.ds-hl.db.svc.cluster.local" };
        let mut packet = common::request(name, if srv { "SRV" } else { "AAAA" }, Some(512));
        for (at, byte) in changes {
            if let Some(slot) = packet.get_mut(at) {
                *slot = byte;
            }
        }
        packet.truncate(cut.max(12));
        prop_check(&zone, &packet, UDP)?;
    }
}

thread_local! {
    static ZONE: Zone = zone();
}

fn prop_check(zone: &Zone, packet: &[u8], client: Client) -> Result<(), TestCaseError> {
    let is_request = packet.len() >= 12 && packet[2] & 0x80 == 0;
    for (max_udp, outside) in
        [(u16::MAX, Outside::NxDomain), (u16::MAX, Outside::Forwarded), (1232, Outside::Refused)]
    {
        let client = Client { max_udp, ..client };
        let mut reply = Vec::new();
        let verdict =
            Answerer::new(Order::Shuffle, 1, outside).answer(zone, &Query::new(packet, client), &mut reply);
        prop_assert_eq!(verdict != Verdict::Silent, is_request);
        if verdict == Verdict::Silent {
            continue;
        }
        prop_assert!(outside == Outside::Forwarded || verdict == Verdict::Reply);
        prop_assert_eq!(&reply[..2], &packet[..2]);
        prop_assert!(reply[2] & 0x80 != 0);
        let message = match Message::from_vec(&reply) {
            Ok(message) => message,
            Err(error) => return Err(TestCaseError::fail(format!("{error}: {reply:02x?}"))),
        };
        // RFC 6891 section 6.2.3: less than 512 means 512.
        let limit = common::opt_size(&message).unwrap_or_default().max(512).min(max_udp);
        prop_assert!(!client.udp || reply.len() <= usize::from(limit));
    }
    Ok(())
}
