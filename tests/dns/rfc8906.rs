//! RFC 8906: every well-formed request gets an answer, and the right one, whatever type, flag, option, version or operation
//! it has. The checks and their names are those of the DNS-Compliance-Testing suite (`genreport`), against a running
//! server.

use std::net::SocketAddr;
use std::time::Duration;

use clusterlocal::serve::{Listeners, Options};
use clusterlocal_core::Settings;
use clusterlocal_core::zone::Published;
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::common;

/// Time-out of anything that is expected to happen.
const TIMEOUT: Duration = Duration::from_secs(20);

const ID: [u8; 2] = [0xab, 0xcd];

/// Header flags.
const AA: u16 = 0x0400;
const TC: u16 = 0x0200;
const RD: u16 = 0x0100;
const RA: u16 = 0x0080;
const Z: u16 = 0x0040;
const AD: u16 = 0x0020;
const CD: u16 = 0x0010;
const OPCODE_15: u16 = 0x7800;

/// Response codes.
const NOERROR: u16 = 0;
const NXDOMAIN: u16 = 3;
const BADVERS: u16 = 16;

const SOA: u16 = 6;
const DNSKEY: u16 = 48;

/// EDNS flags.
const DO: u16 = 0x8000;
const UNKNOWN: u16 = 0x0080;

/// EDNS options.
const NSID: &[u8] = &[0, 3, 0, 0];
const SUBNET: &[u8] = &[0, 8, 0, 4, 0, 1, 0, 0];
const EXPIRE: &[u8] = &[0, 9, 0, 0];
const COOKIE: &[u8] = &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
const OPTION_100: &[u8] = &[0, 100, 0, 0];

/// EDNS of a request: version, size, flags, options.
type Edns<'a> = (u8, u16, u16, &'a [&'a [u8]]);

/// Name, type, flags, EDNS.
const OVER_UDP: [(&str, u16, u16, Option<Edns<'_>>); 29] = [
    ("dns", SOA, 0, None),
    ("aa", SOA, AA, None),
    ("ad", SOA, AD, None),
    ("cd", SOA, CD, None),
    ("ra", SOA, RA, None),
    ("rd", SOA, RD, None),
    ("tc", SOA, TC, None),
    ("zflag", SOA, Z, None),
    ("type666", 666, 0, None),
    ("edns", SOA, 0, Some((0, 4096, 0, &[]))),
    ("edns1", SOA, 0, Some((1, 4096, 0, &[]))),
    ("edns@512", DNSKEY, 0, Some((0, 512, DO, &[]))),
    ("ednsopt", SOA, 0, Some((0, 4096, 0, &[OPTION_100]))),
    ("edns1opt", SOA, 0, Some((1, 4096, 0, &[OPTION_100]))),
    ("do", SOA, 0, Some((0, 4096, DO, &[]))),
    ("docd", SOA, CD, Some((0, 4096, DO, &[]))),
    ("edns1do", SOA, 0, Some((1, 4096, DO, &[]))),
    ("ednsflags", SOA, 0, Some((0, 4096, UNKNOWN, &[]))),
    ("optlist", SOA, 0, Some((0, 4096, 0, &[NSID, SUBNET, EXPIRE, COOKIE]))),
    ("ednsnsid", SOA, 0, Some((0, 4096, 0, &[NSID]))),
    ("ednscookie", SOA, 0, Some((0, 4096, 0, &[COOKIE]))),
    ("ednsexpire", SOA, 0, Some((0, 4096, 0, &[EXPIRE]))),
    ("ednssubnet", SOA, 0, Some((0, 4096, 0, &[SUBNET]))),
    ("edns1nsid", SOA, 0, Some((1, 4096, 0, &[NSID]))),
    ("edns1cookie", SOA, 0, Some((1, 4096, 0, &[COOKIE]))),
    ("edns1expire", SOA, 0, Some((1, 4096, 0, &[EXPIRE]))),
    ("edns1subnet", SOA, 0, Some((1, 4096, 0, &[SUBNET]))),
    ("bind11", SOA, RD, Some((0, 4096, DO, &[COOKIE]))),
    ("dig11", SOA, AD | RD, Some((0, 4096, 0, &[COOKIE]))),
];

/// The same over TCP, where size does not matter.
const OVER_TCP: [(&str, u16, u16, Option<Edns<'_>>); 2] =
    [("tcp", SOA, 0, None), ("ednstcp", DNSKEY, 0, Some((0, 512, DO, &[])))];

#[tokio::test]
async fn every_request_gets_the_right_answer() {
    let server = serve().await;
    for (name, record_type, flags, edns) in OVER_UDP {
        let request = request(record_type, flags, edns);
        check(name, &request, &over_udp(server, &request).await, record_type, flags, edns);
    }
    for (name, record_type, flags, edns) in OVER_TCP {
        let request = request(record_type, flags, edns);
        check(name, &request, &over_tcp(server, &request).await, record_type, flags, edns);
    }
    for (name, flags) in [("opcode", 0), ("opcodeflg", TC | RD | RA | CD | AD | AA | Z)] {
        let request = [&ID[..], &(OPCODE_15 | flags).to_be_bytes(), &[0; 8]].concat();
        // NOTIMP, with no flag but QR, and no sections.
        let expected = [&ID[..], &[0xf8, 4], &[0; 8]].concat();
        assert_eq!(over_udp(server, &request).await, expected, "{name}");
    }
}

/// All types assigned by IANA, and some unassigned ones. Transfers are requests of another kind.
#[tokio::test]
async fn queries_for_every_type_are_answered() {
    let server = serve().await;
    for record_type in (1..=266).filter(|n| !(251..=252).contains(n)).chain([32768, 32769, 65280, 65535]) {
        let request = request(record_type, 0, None);
        let reply = Message::from_vec(&over_udp(server, &request).await).unwrap();
        let data = [2, SOA].contains(&record_type);
        // CoreDNS has TXT records for one name only, and answers NXDOMAIN for others.
        let code = if record_type == 16 { NXDOMAIN } else { NOERROR };
        assert_eq!(u16::from(reply.metadata.response_code), code, "TYPE{record_type}");
        assert!(reply.metadata.authoritative, "TYPE{record_type}");
        assert_eq!(
            (reply.answers.is_empty(), reply.authorities.is_empty()),
            (!data, data),
            "TYPE{record_type}"
        );
    }
}

/// A server without keys treats TSIG as an unknown record (RFC 8945 section 5.2 is about servers with keys).
#[tokio::test]
async fn a_tsig_record_is_ignored() {
    let server = serve().await;
    let mut request = request(SOA, 0, None);
    request[11] = 1;
    // TSIG, class ANY, with `.` as its key and its algorithm.
    request.extend([0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 17, 0]);
    request.extend([0; 16]);
    let reply = Message::from_vec(&over_udp(server, &request).await).unwrap();
    assert_eq!((u16::from(reply.metadata.response_code), reply.answers.len()), (NOERROR, 1));
}

fn check(name: &str, request: &[u8], reply: &[u8], record_type: u16, sent: u16, edns: Option<Edns<'_>>) {
    let message = Message::from_vec(reply).unwrap_or_else(|error| panic!("{name}: {error}"));
    let version = edns.map_or(0, |(version, ..)| version);
    assert_eq!(reply[..2], ID, "{name}");
    assert_eq!(reply[12..12 + 19], request[12..12 + 19], "{name}: the question");
    // CD is copied, as in CoreDNS; of the others only RD has a meaning in a reply.
    let flags = u16::from_be_bytes([reply[2], reply[3]]);
    let authoritative = if version == 0 { AA } else { 0 };
    assert_eq!(flags & !0x000f, 0x8000 | authoritative | sent & (RD | CD), "{name}");
    let records = |section: &[hickory_proto::rr::Record]| {
        section.iter().map(|record| record.record_type()).collect::<Vec<_>>()
    };
    let (answers, authorities) = (records(&message.answers), records(&message.authorities));
    match (version, record_type) {
        (0, SOA) => assert_eq!((answers, authorities), (vec![RecordType::SOA], vec![]), "{name}"),
        (0, _) => assert_eq!((answers, authorities), (vec![], vec![RecordType::SOA]), "{name}"),
        _ => assert_eq!((answers, authorities), (vec![], vec![]), "{name}"),
    }
    let code = if version == 0 { NOERROR } else { BADVERS };
    assert_eq!(u16::from(message.metadata.response_code), code, "{name}");
    assert_eq!(message.edns.is_some(), edns.is_some(), "{name}: an OPT for an OPT");
    if let (Some(back), Some((_, size, flags, _))) = (message.edns, edns) {
        assert_eq!(back.version(), 0, "{name}");
        assert_eq!(back.flags().z, 0, "{name}: unknown flags");
        assert_eq!(back.flags().dnssec_ok, version == 0 && flags & DO != 0, "{name}");
        assert_eq!(back.option(100.into()), None, "{name}: an unknown option");
        assert!(reply.len() <= usize::from(size), "{name}: {} bytes", reply.len());
    }
}

/// A request for a record of the zone's apex.
fn request(record_type: u16, flags: u16, edns: Option<Edns<'_>>) -> Vec<u8> {
    let mut request =
        [&ID[..], &flags.to_be_bytes(), &[0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())]].concat();
    request.extend(b"\x07cluster\x05local\0");
    request.extend(record_type.to_be_bytes());
    request.extend([0, 1]);
    if let Some((version, size, flags, options)) = edns {
        let options = options.concat();
        request.extend([0, 0, 41]);
        request.extend(size.to_be_bytes());
        request.extend([0, version]);
        request.extend(flags.to_be_bytes());
        request.extend((options.len() as u16).to_be_bytes());
        request.extend(options);
    }
    request
}

async fn serve() -> SocketAddr {
    let objects = common::objects("cluster.yaml", include_str!("../contract/cluster.yaml"));
    let zone = Published::new(common::zone_of(&objects, Settings::default()));
    let listeners = Listeners::bind(&Options::default()).await.unwrap();
    let address = listeners.addresses()[0];
    tokio::spawn(listeners.serve(zone, std::future::pending()));
    address
}

async fn over_udp(server: SocketAddr, request: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server).await.unwrap();
    socket.send(request).await.unwrap();
    let mut reply = vec![0; 65536];
    let length = timeout(TIMEOUT, socket.recv(&mut reply)).await.expect("a reply").unwrap();
    reply.truncate(length);
    reply
}

async fn over_tcp(server: SocketAddr, request: &[u8]) -> Vec<u8> {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.write_all(&[&(request.len() as u16).to_be_bytes(), request].concat()).await?;
        let mut reply = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut reply).await?;
        std::io::Result::Ok(reply)
    };
    timeout(TIMEOUT, exchange).await.expect("a reply").unwrap()
}
