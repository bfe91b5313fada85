//! Records in presentation form (RFC 1035, 5.1), for zone files, tables and dig's layout.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Presentation, RecordBuf, RecordType, RecordView, character_strings, end_of_plain_name};

impl RecordView<'_> {
    /// The data alone, in presentation form.
    pub fn data(&self) -> impl fmt::Display + '_ {
        Data { record_type: self.record_type, rdata: self.rdata }
    }
}

impl RecordBuf {
    /// The data alone, in presentation form.
    pub fn data(&self) -> impl fmt::Display + '_ {
        Data { record_type: self.record_type, rdata: &self.rdata }
    }
}

/// The data of a record of this type, uncompressed.
struct Data<'m> {
    record_type: RecordType,
    rdata: &'m [u8],
}

impl fmt::Display for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Data { record_type, rdata } = *self;
        match record_type {
            RecordType::A => match <[u8; 4]>::try_from(rdata) {
                Ok(octets) => Ipv4Addr::from(octets).fmt(f),
                Err(_) => unknown(rdata, f),
            },
            RecordType::AAAA => match <[u8; 16]>::try_from(rdata) {
                Ok(octets) => Ipv6Addr::from(octets).fmt(f),
                Err(_) => unknown(rdata, f),
            },
            RecordType::NS | RecordType::CNAME | RecordType::PTR => Presentation(rdata).fmt(f),
            RecordType::SRV if rdata.len() > 6 => {
                for number in rdata[..6].chunks(2) {
                    write!(f, "{} ", u16::from_be_bytes([number[0], number[1]]))?;
                }
                Presentation(&rdata[6..]).fmt(f)
            }
            RecordType::MX if rdata.len() > 2 => {
                write!(f, "{} {}", u16::from_be_bytes([rdata[0], rdata[1]]), Presentation(&rdata[2..]))
            }
            RecordType::TXT => text(rdata, f),
            RecordType::SOA => soa(rdata, f),
            _ => unknown(rdata, f),
        }
    }
}

fn text(rdata: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, string) in character_strings(rdata).enumerate() {
        f.write_str(if at == 0 { "\"" } else { " \"" })?;
        for &byte in string {
            match byte {
                b'"' | b'\\' => write!(f, "\\{}", byte as char)?,
                0x20..=0x7e => write!(f, "{}", byte as char)?,
                _ => write!(f, "\\{byte:03}")?,
            }
        }
        f.write_str("\"")?;
    }
    Ok(())
}

fn soa(rdata: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let names = end_of_plain_name(rdata, 0).and_then(|mname| Some((mname, end_of_plain_name(rdata, mname)?)));
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
