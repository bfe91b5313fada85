//! Addresses of objects. The representation needs no allocation for the common cases: one address, or one of each
//! family.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Deserializer};

use super::names::Name;
use super::values::parse_ip;

/// Addresses of a pod, primary first: usually one, or one of each family.
#[derive(Clone, PartialEq, Eq)]
pub struct IpList(Ips);

#[derive(Clone, PartialEq, Eq)]
enum Ips {
    One(Ipv4Addr),
    /// The addresses of a pod in a dual-stack cluster.
    Dual(Ipv4Addr, Ipv6Addr),
    /// Any other: none, one of IPv6, several.
    All(Box<[IpAddr]>),
}

impl IpList {
    /// All addresses, in order.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + Clone + '_ {
        let (v4, v6, all) = match &self.0 {
            Ips::One(v4) => (Some(*v4), None, [].as_slice()),
            Ips::Dual(v4, v6) => (Some(*v4), Some(*v6), [].as_slice()),
            Ips::All(all) => (None, None, &**all),
        };
        v4.map(IpAddr::V4).into_iter().chain(v6.map(IpAddr::V6)).chain(all.iter().copied())
    }

    /// The primary address.
    pub fn first(&self) -> Option<IpAddr> {
        self.iter().next()
    }

    /// Whether there are no addresses.
    pub fn is_empty(&self) -> bool {
        self.first().is_none()
    }
}

impl Default for IpList {
    fn default() -> Self {
        IpList(Ips::All(Box::default()))
    }
}

impl FromIterator<IpAddr> for IpList {
    fn from_iter<I: IntoIterator<Item = IpAddr>>(ips: I) -> Self {
        let mut ips = ips.into_iter();
        let first = [ips.next(), ips.next(), ips.next()];
        IpList(match first {
            [Some(IpAddr::V4(ip)), None, _] => Ips::One(ip),
            [Some(IpAddr::V4(v4)), Some(IpAddr::V6(v6)), None] => Ips::Dual(v4, v6),
            _ => Ips::All(first.into_iter().flatten().chain(ips).collect()),
        })
    }
}

impl fmt::Debug for IpList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The addresses of an endpoint in a slice. They are text, because slices of address type FQDN hold names.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EndpointAddresses(Texts);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Texts {
    /// The common case, as an address instead of text.
    One(Ipv4Addr),
    All(Box<[Name]>),
}

/// One of [`EndpointAddresses`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceAddress<'a> {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// Any other text: an IPv6 address, a name, or neither.
    Text(&'a str),
}

impl SliceAddress<'_> {
    /// Parses the address as Kubernetes does.
    ///
    /// # Errors
    /// If the text is not an address.
    pub fn ip(self) -> Result<IpAddr, String> {
        match self {
            SliceAddress::V4(ip) => Ok(ip.into()),
            SliceAddress::Text(text) => parse_ip(text),
        }
    }
}

impl fmt::Display for SliceAddress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SliceAddress::V4(ip) => ip.fmt(f),
            SliceAddress::Text(text) => f.pad(text),
        }
    }
}

impl EndpointAddresses {
    /// All addresses, in order.
    pub fn iter(&self) -> impl Iterator<Item = SliceAddress<'_>> + Clone {
        let (one, all) = match &self.0 {
            Texts::One(ip) => (Some(SliceAddress::V4(*ip)), [].as_slice()),
            Texts::All(all) => (None, &**all),
        };
        one.into_iter().chain(all.iter().map(|text| SliceAddress::Text(text)))
    }

    /// Whether there are no addresses.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl Default for EndpointAddresses {
    fn default() -> Self {
        EndpointAddresses(Texts::All(Box::default()))
    }
}

impl From<IpAddr> for EndpointAddresses {
    fn from(ip: IpAddr) -> Self {
        EndpointAddresses(match ip {
            IpAddr::V4(ip) => Texts::One(ip),
            IpAddr::V6(ip) => Texts::All([arcstr::format!("{ip}")].into()),
        })
    }
}

impl From<Vec<Name>> for EndpointAddresses {
    fn from(texts: Vec<Name>) -> Self {
        // Only the canonical text of an IPv4 address is stored as an address.
        EndpointAddresses(match texts.as_slice() {
            [text] if let Ok(ip) = text.parse() => Texts::One(ip),
            _ => Texts::All(texts.into()),
        })
    }
}

impl fmt::Debug for EndpointAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|address| address.to_string())).finish()
    }
}

impl<'de> Deserialize<'de> for EndpointAddresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Name>::deserialize(deserializer).map(EndpointAddresses::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_their_addresses() {
        let table: [&[&str]; 6] = [
            &[],
            &["10.0.0.1"],
            &["fd00::1"],
            &["10.0.0.1", "fd00::1"],
            &["fd00::1", "10.0.0.1", "10.0.0.2"],
            &["10.0.0.1", "fd00::1", "10.0.0.2", "fd00::2"],
        ];
        for texts in table {
            let ips: Vec<IpAddr> = texts.iter().map(|ip| ip.parse().expect("an address")).collect();
            let list: IpList = ips.iter().copied().collect();
            assert_eq!(list.iter().collect::<Vec<_>>(), ips);
            assert_eq!((list.first(), list.is_empty()), (ips.first().copied(), ips.is_empty()));
            let names: Vec<Name> = texts.iter().copied().map(Name::from).collect();
            let addresses = EndpointAddresses::from(names);
            assert_eq!(addresses.iter().map(|address| address.to_string()).collect::<Vec<_>>(), texts);
            assert_eq!(addresses.iter().filter_map(|address| address.ip().ok()).collect::<Vec<_>>(), ips);
        }
    }

    #[test]
    fn an_address_equals_its_canonical_text() {
        let text = |text: &str| EndpointAddresses::from(vec![Name::from(text)]);
        for ip in ["10.0.0.1", "fd00::1"] {
            assert_eq!(EndpointAddresses::from(ip.parse::<IpAddr>().expect("an address")), text(ip));
        }
        assert_ne!(text("10.0.0.01"), text("10.0.0.1"), "not an address, and kept as written");
        assert!(text("db.example").iter().all(|name| name.ip().is_err()));
    }
}
