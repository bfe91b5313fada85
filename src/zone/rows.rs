//! The endpoints of one slice as names need them: a label and an address each, and nothing beside. It must not know what
//! a Service makes of them.
//!
//! There is one for every pod, and every answer walks over them: so they lie side by side.

use std::net::{IpAddr, Ipv4Addr};

use super::name::push_label;
use super::{DomainName, TargetRef};

/// Where a name leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// An A or AAAA record.
    Address(IpAddr),
    /// A CNAME, from a slice of address type FQDN.
    Alias(DomainName),
}

/// Endpoints, one row for each address of each, in the order of their slice.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Rows {
    /// The host labels in wire form, one after the other.
    hosts: Box<[u8]>,
    targets: Targets,
}

#[derive(Debug, PartialEq)]
enum Targets {
    /// As nearly always.
    V4(Box<[Ipv4Addr]>),
    Any(Box<[Target]>),
}

impl Default for Targets {
    fn default() -> Self {
        Targets::V4(Box::default())
    }
}

/// One address of one endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'z> {
    /// The label (in wire form, lower case) below the Service's name.
    pub(super) host: &'z [u8],
    pub(super) target: TargetRef<'z>,
}

impl Row<'_> {
    /// Its address, if it is no alias.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.target {
            TargetRef::Address(ip) => Some(ip),
            TargetRef::Alias(_) => None,
        }
    }
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        match &self.targets {
            Targets::V4(targets) => targets.len(),
            Targets::Any(targets) => targets.len(),
        }
    }

    /// All rows.
    pub(super) fn iter(&self) -> impl Iterator<Item = Row<'_>> + Clone {
        self.after(0, 0)
    }

    /// The row `number`, whose host label is at `host` of all of them; see [`Self::places`].
    pub(super) fn get(&self, number: u32, host: u32) -> Option<Row<'_>> {
        self.after(number as usize, host as usize).next()
    }

    /// The rows, each with its number and the place of its host label.
    pub(super) fn places(&self) -> impl Iterator<Item = (u32, u32, Row<'_>)> {
        let mut host = 0;
        self.iter().zip(0..).map(move |(row, number)| {
            let at = host;
            host += row.host.len() as u32;
            (number, at, row)
        })
    }

    /// The rows from `number` on, whose host label is at `host`.
    fn after(&self, number: usize, host: usize) -> impl Iterator<Item = Row<'_>> + Clone {
        let mut hosts = self.hosts.get(host..).unwrap_or_default();
        (number..self.len()).map_while(move |at| {
            let (host, rest) = hosts.split_at_checked(1 + usize::from(*hosts.first()?))?;
            hosts = rest;
            let target = match &self.targets {
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

/// Rows from labels (1 to 63 bytes each, in any case) and where they lead.
impl<L: AsRef<str>> FromIterator<(L, Target)> for Rows {
    fn from_iter<I: IntoIterator<Item = (L, Target)>>(rows: I) -> Self {
        let rows = rows.into_iter();
        let mut hosts = Vec::with_capacity(rows.size_hint().0 * 16);
        let mut targets = Vec::with_capacity(rows.size_hint().0);
        for (host, target) in rows {
            push_label(&mut hosts, host.as_ref().as_bytes());
            targets.push(target);
        }
        // A label's length is below 64, and so is no letter.
        hosts.make_ascii_lowercase();
        let v4 = |target: &Target| match target {
            Target::Address(IpAddr::V4(ip)) => Some(*ip),
            _ => None,
        };
        let all_v4: Option<Box<[Ipv4Addr]>> = targets.iter().map(v4).collect();
        Rows {
            hosts: hosts.into(),
            targets: all_v4.map_or_else(|| Targets::Any(targets.into()), Targets::V4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_as_they_were_given() {
        let v4 = |last| Target::Address(Ipv4Addr::new(127, 244, 0, last).into());
        let v6 = Target::Address("fd00::1".parse().unwrap());
        let alias = Target::Alias("db.example".parse().unwrap());
        let table = [
            vec![],
            vec![("db-0", v4(1)), ("db-1", v4(2)), ("db-10", v4(11))],
            vec![("db-0", v4(1)), ("db-0", v6), ("other", alias)],
        ];
        for given in table {
            let rows: Rows = given.iter().cloned().collect();
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
            let by_place = rows.places().map(|(number, host, _)| shown(rows.get(number, host).unwrap()));
            assert_eq!(by_place.collect::<Vec<_>>(), expected);
        }
    }
}
