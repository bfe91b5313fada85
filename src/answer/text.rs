//! Records in presentation form (RFC 1035, 5.1), for zone files, tables and dig's layout.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::wire::rtype;
use crate::zone::Presentation;

/// A record of a reply that was written uncompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordView<'m> {
    /// In wire form.
    pub owner: &'m [u8],
    /// As RFC 1035 numbers it.
    pub record_type: u16,
    /// Seconds.
    pub ttl: u32,
    /// In wire form.
    pub rdata: &'m [u8],
}

/// The three sections of a message, its OPT left out.
pub type Sections<'m> = [Vec<RecordView<'m>>; 3];

/// Reads back a message that [`super::Answerer`] wrote for a client over TCP; `None` if it is compressed.
pub fn sections(message: &[u8]) -> Option<Sections<'_>> {
    let count = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let mut at = 12;
    for _ in 0..count(4)? {
        at = end_of_name(message, at)? + 4;
    }
    let mut sections = [Vec::new(), Vec::new(), Vec::new()];
    for (section, records) in sections.iter_mut().enumerate() {
        for _ in 0..count(6 + 2 * section)? {
            let fixed = end_of_name(message, at)?;
            let owner = message.get(at..fixed)?;
            let head = message.get(fixed..fixed + 10)?;
            let rdata =
                message.get(fixed + 10..fixed + 10 + usize::from(u16::from_be_bytes([head[8], head[9]])))?;
            at = fixed + 10 + rdata.len();
            let record_type = u16::from_be_bytes([head[0], head[1]]);
            if record_type != rtype::OPT {
                let ttl = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
                records.push(RecordView { owner, record_type, ttl, rdata });
            }
        }
    }
    Some(sections)
}

fn end_of_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

impl RecordView<'_> {
    /// The data alone, in presentation form.
    pub fn data(&self) -> impl fmt::Display + '_ {
        Data(*self)
    }
}

struct Data<'m>(RecordView<'m>);

impl fmt::Display for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rdata = self.0.rdata;
        match self.0.record_type {
            rtype::A => match <[u8; 4]>::try_from(rdata) {
                Ok(octets) => Ipv4Addr::from(octets).fmt(f),
                Err(_) => unknown(rdata, f),
            },
            rtype::AAAA => match <[u8; 16]>::try_from(rdata) {
                Ok(octets) => Ipv6Addr::from(octets).fmt(f),
                Err(_) => unknown(rdata, f),
            },
            rtype::NS | rtype::CNAME | rtype::PTR => Presentation(rdata).fmt(f),
            rtype::SRV if rdata.len() > 6 => {
                for number in rdata[..6].chunks(2) {
                    write!(f, "{} ", u16::from_be_bytes([number[0], number[1]]))?;
                }
                Presentation(&rdata[6..]).fmt(f)
            }
            rtype::TXT => text(rdata, f),
            rtype::SOA => soa(rdata, f),
            _ => unknown(rdata, f),
        }
    }
}

fn text(mut rdata: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut separator = "";
    while let Some((&length, rest)) = rdata.split_first() {
        let (string, rest) = rest.split_at(usize::from(length).min(rest.len()));
        write!(f, "{separator}\"")?;
        for &byte in string {
            match byte {
                b'"' | b'\\' => write!(f, "\\{}", byte as char)?,
                0x20..=0x7e => write!(f, "{}", byte as char)?,
                _ => write!(f, "\\{byte:03}")?,
            }
        }
        f.write_str("\"")?;
        (rdata, separator) = (rest, " ");
    }
    Ok(())
}

fn soa(rdata: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let names = end_of_name(rdata, 0).and_then(|mname| Some((mname, end_of_name(rdata, mname)?)));
    let Some((mname, rname)) = names else { return unknown(rdata, f) };
    write!(f, "{} {}", Presentation(&rdata[..mname]), Presentation(&rdata[mname..rname]))?;
    for number in rdata[rname..].as_chunks::<4>().0 {
        write!(f, " {}", u32::from_be_bytes(*number))?;
    }
    Ok(())
}

/// RFC 3597, 5.
fn unknown(rdata: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "\\# {}", rdata.len())?;
    if !rdata.is_empty() {
        f.write_str(" ")?;
    }
    rdata.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// A response code's name.
pub fn rcode_name(rcode: u16) -> String {
    let known = match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        16 => "BADVERS",
        _ => return format!("RCODE{rcode}"),
    };
    known.to_string()
}
