//! The endpoints of one slice in the form that lookups need: a label and an address each. Must not depend on the
//! Service.
//!
//! There is one row for every pod, and every answer iterates over them, so they are contiguous in memory.

use std::net::IpAddr;

use crate::wire::{DomainName, push_label};

/// The target of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// An A or AAAA record.
    Address(IpAddr),
    /// A CNAME, from a slice of address type FQDN.
    Alias(DomainName),
}

/// The target of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetRef<'z> {
    /// An A or AAAA record.
    Address(IpAddr),
    /// A CNAME to this name, in wire form.
    Alias(&'z [u8]),
}

/// Endpoints, with one row for each address, in the order of their slice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rows<'z> {
    /// The host labels in wire form, concatenated.
    hosts: &'z [u8],
    targets: Targets<'z>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Targets<'z> {
    /// IPv4 addresses, the most common case.
    V4(&'z [[u8; 4]]),
    Any(&'z [Target]),
}

/// The position of a slice's rows in the bytes of their Service.
#[derive(Debug, PartialEq)]
pub(super) struct Extent {
    /// Offset of its host labels; its IPv4 addresses follow.
    hosts: u32,
    addresses: u32,
    end: u32,
    /// Targets, if not all are IPv4 addresses.
    targets: Option<Box<[Target]>>,
}

impl Extent {
    /// Appends rows to the `bytes` of their Service: labels (1 to 63 bytes each, in any case), and targets.
    pub(super) fn write<L: AsRef<str>>(
        rows: impl IntoIterator<Item = (L, Target)>,
        bytes: &mut Vec<u8>,
    ) -> Extent {
        let hosts = bytes.len();
        let mut targets = Vec::new();
        for (host, target) in rows {
            push_label(bytes, host.as_ref().as_bytes());
            targets.push(target);
        }
        // The length of a label is below 64, and so not a letter.
        bytes[hosts..].make_ascii_lowercase();
        let addresses = bytes.len();
        let v4 = |target: &Target| match target {
            Target::Address(IpAddr::V4(ip)) => Some(ip.octets()),
            _ => None,
        };
        let all_v4: Option<Vec<[u8; 4]>> = targets.iter().map(v4).collect();
        bytes.extend_from_slice(all_v4.as_deref().unwrap_or_default().as_flattened());
        let [hosts, addresses, end] = [hosts, addresses, bytes.len()].map(|at| at as u32);
        Extent { hosts, addresses, end, targets: all_v4.is_none().then(|| targets.into()) }
    }

    /// The rows in the bytes to which they were written.
    pub(super) fn rows<'z>(&'z self, bytes: &'z [u8]) -> Rows<'z> {
        let Extent { hosts, addresses, end, targets } = self;
        let (hosts, rest) = bytes[*hosts as usize..*end as usize].split_at((addresses - hosts) as usize);
        let targets = match targets {
            Some(targets) => Targets::Any(targets),
            None => Targets::V4(rest.as_chunks().0),
        };
        Rows { hosts, targets }
    }
}

/// An address of an endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'z> {
    /// The label (in wire form, lower case) below the Service's name.
    pub(super) host: &'z [u8],
    pub(super) target: TargetRef<'z>,
}

impl Row<'_> {
    /// Its address, unless it is an alias.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.target {
            TargetRef::Address(ip) => Some(ip),
            TargetRef::Alias(_) => None,
        }
    }
}

impl<'z> Rows<'z> {
    pub(super) fn len(&self) -> usize {
        match self.targets {
            Targets::V4(targets) => targets.len(),
            Targets::Any(targets) => targets.len(),
        }
    }

    /// All rows.
    pub(super) fn iter(self) -> impl Iterator<Item = Row<'z>> + Clone {
        self.after(0, 0)
    }

    /// Row `number`, whose host label is at offset `host`; see [`Self::positions`].
    pub(super) fn get(self, number: u32, host: u32) -> Option<Row<'z>> {
        self.after(number as usize, host as usize).next()
    }

    /// The rows, each with its number and the offset of its host label.
    pub(super) fn positions(self) -> impl Iterator<Item = (u32, u32, Row<'z>)> {
        let mut host = 0;
        self.iter().zip(0..).map(move |(row, number)| {
            let at = host;
            host += row.host.len() as u32;
            (number, at, row)
        })
    }

    /// The rows from `number` on, whose host labels start at offset `host`.
    fn after(self, number: usize, host: usize) -> impl Iterator<Item = Row<'z>> + Clone {
        let mut hosts = self.hosts.get(host..).unwrap_or_default();
        (number..self.len()).map_while(move |at| {
            let (host, rest) = hosts.split_at_checked(1 + usize::from(*hosts.first()?))?;
            hosts = rest;
            let target = match self.targets {
                Targets::V4(targets) => TargetRef::Address(targets[at].into()),
                Targets::Any(targets) => match &targets[at] {
                    Target::Address(ip) => TargetRef::Address(*ip),
                    Target::Alias(name) => TargetRef::Alias(name.as_wire()),
                },
            };
            Some(Row { host, target })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn rows_are_read_as_written() {
        let v4 = |last| Target::Address(Ipv4Addr::new(127, 244, 0, last).into());
        let v6 = Target::Address("fd00::1".parse().unwrap());
        let alias = Target::Alias("db.example".parse().unwrap());
        let table = [
            vec![],
            vec![("db-0", v4(1)), ("db-1", v4(2)), ("db-10", v4(11))],
            vec![("db-0", v4(1)), ("db-0", v6), ("other", alias)],
        ];
        for given in table {
            let mut bytes = b"before".to_vec();
            let extent = Extent::write(given.iter().cloned(), &mut bytes);
            let rows = extent.rows(&bytes);
            assert_eq!(rows.len(), given.len());
            let expected: Vec<_> =
                given.iter().map(|(host, target)| (host.to_string(), target.clone())).collect();
            let shown = |row: Row<'_>| {
                let target = match row.target {
                    TargetRef::Address(ip) => Target::Address(ip),
                    TargetRef::Alias(_) => Target::Alias("db.example".parse().unwrap()),
                };
                assert_eq!(usize::from(row.host[0]), row.host.len() - 1);
                (String::from_utf8(row.host[1..].to_vec()).unwrap(), target)
            };
            assert_eq!(rows.iter().map(shown).collect::<Vec<_>>(), expected);
            let by_place = rows.positions().map(|(number, host, _)| shown(rows.get(number, host).unwrap()));
            assert_eq!(by_place.collect::<Vec<_>>(), expected);
        }
    }
}
