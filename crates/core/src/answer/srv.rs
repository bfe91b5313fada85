//! SRV records of a Service, for the fast and the general path: which (address, port) pairs have one, and the weight
//! that they share (CoreDNS's `backend_lookup.go`, SRV).

use std::net::IpAddr;

use crate::zone::{Each, Matches, TargetRef, Tuple};

/// The SRV records of a name.
#[derive(Clone, Copy)]
pub(super) struct SrvSet<'z> {
    pairs: Matches<'z>,
    /// Number of pairs that share the weight.
    count: u32,
}

/// One SRV record, and the address of its target.
#[derive(Clone, Copy)]
pub(super) struct Srv<'z> {
    /// Priority, weight and port.
    pub(super) numbers: [u8; SRV_NUMBERS],
    /// The target's first label in wire form; empty for the Service itself.
    pub(super) host: &'z [u8],
    pub(super) ip: IpAddr,
}

/// Length of priority, weight and port in an SRV record (RFC 2782), in bytes.
pub(super) const SRV_NUMBERS: usize = 6;

impl<'z> SrvSet<'z> {
    /// Counts the pairs of an address over both families and all ports, before any is dropped. Passes each pair to
    /// `accept`; `None` once that returns false.
    pub(super) fn count(pairs: Matches<'z>, mut accept: impl FnMut(&Tuple<'z>) -> bool) -> Option<Self> {
        let mut count = 0;
        let all = pairs.each(Each::Pair, |pair| {
            count += matches!(pair.target, TargetRef::Address(_)) as u32;
            accept(&pair)
        });
        all.then_some(SrvSet { pairs, count })
    }

    /// Number of pairs that share the weight.
    pub(super) fn len(&self) -> usize {
        self.count as usize
    }

    /// Calls `visit` with every record, repeated ones too. A pair without a port has none.
    pub(super) fn each(&self, mut visit: impl FnMut(Srv<'z>)) {
        let weight = weight(self.count);
        self.pairs.each(Each::Pair, |pair| {
            if let (TargetRef::Address(ip), Some(port)) = (pair.target, pair.port) {
                visit(Srv { numbers: srv_numbers(weight, port), host: pair.host, ip });
            }
            true
        });
    }
}

/// The share of each of `count` records: of 100, at least 1.
pub(super) fn weight(count: u32) -> u16 {
    (100 / count.max(1)).max(1) as u16
}

/// Priority, weight and port of an SRV record. The priority is always 0.
pub(super) fn srv_numbers(weight: u16, port: u16) -> [u8; SRV_NUMBERS] {
    let ([w0, w1], [p0, p1]) = (weight.to_be_bytes(), port.to_be_bytes());
    [0, 0, w0, w1, p0, p1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_share_a_weight_of_100() {
        for (count, expected) in [(0, 100), (1, 100), (3, 33), (100, 1), (5_000, 1)] {
            assert_eq!(weight(count), expected, "{count} records");
        }
    }
}
