//! The SOA record of a zone, as CoreDNS's `plugin.SOA` makes it: for the apex, and for every denial.

use crate::wire::{RecordBuf, RecordType};
use crate::zone::Zone;

/// The labels left of the zone of the server that a SOA record names.
pub(super) const MNAME: &[u8] = b"\x02ns\x03dns";

/// The labels left of the zone of the responsible person's mailbox.
const RNAME: &[u8] = b"\x0ahostmaster";

/// Maximum TTL of a SOA record, in seconds.
const TTL_MAX: u32 = 300;

/// A SOA record.
pub(super) struct Soa<'a> {
    /// The zone's name, in the question's spelling.
    pub(super) owner: &'a [u8],
    /// Seconds.
    pub(super) ttl: u32,
    /// Serial, refresh, retry, expire and minimum.
    numbers: [[u8; 4]; 5],
}

impl<'a> Soa<'a> {
    /// The record of `zone`, owned by `owner` in the question's spelling.
    pub(super) fn new(zone: &Zone, owner: &'a [u8]) -> Self {
        let ttl = zone.settings().ttl;
        let numbers = [zone.serial(), 7200, 1800, 86400, ttl].map(u32::to_be_bytes);
        Soa { owner, ttl: ttl.min(TTL_MAX), numbers }
    }

    /// The record's data, in parts.
    pub(super) fn rdata(&self) -> [&[u8]; 5] {
        [MNAME, self.owner, RNAME, self.owner, self.numbers.as_flattened()]
    }
}

impl From<Soa<'_>> for RecordBuf {
    fn from(soa: Soa<'_>) -> Self {
        let (owner, rdata) = (soa.owner.to_vec(), soa.rdata().concat());
        RecordBuf { owner, record_type: RecordType::SOA, ttl: soa.ttl, rdata }
    }
}
