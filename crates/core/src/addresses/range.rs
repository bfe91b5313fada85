//! The networks from which addresses are allocated: numbered from their first address, alike in both families.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

use crate::store::IpFamily;

/// A range of addresses: one network, or one of each family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    v4: Option<ipnet::Ipv4Net>,
    v6: Option<ipnet::Ipv6Net>,
}

/// Why a text is not a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// Not `ADDRESS/LENGTH`.
    #[error("{0:?} is not a network: write ADDRESS/LENGTH, for instance 10.244.0.0/16")]
    NotANetwork(String),
    /// Two networks of one family.
    #[error("a range has at most one IPv4 and one IPv6 network")]
    SameFamily,
    /// Too small to allocate from.
    #[error("network {0} is too small: it must hold at least 16 addresses")]
    TooSmall(IpNet),
}

/// Minimum size of a network, in addresses: every cluster needs a few.
const SMALLEST: u32 = 16;

/// Maximum number of addresses that are allocated of a network.
const LARGEST: u32 = 1 << 24;

impl FromStr for Range {
    type Err = RangeError;

    /// Parses `10.244.0.0/16`, `fd00:10:244::/64` or both separated by a comma.
    fn from_str(text: &str) -> Result<Self, RangeError> {
        let nets = text.split(',').map(str::trim);
        let nets = nets.map(|net| net.parse().map_err(|_| RangeError::NotANetwork(net.into())));
        Range::new(&nets.collect::<Result<Vec<IpNet>, _>>()?)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nets = self.v4.iter().map(ToString::to_string).chain(self.v6.iter().map(ToString::to_string));
        f.write_str(&nets.collect::<Vec<_>>().join(","))
    }
}

impl Range {
    /// Creates the range of these networks; host bits are ignored.
    ///
    /// # Errors
    /// When there are two of one family, or one is too small.
    pub fn new(nets: &[IpNet]) -> Result<Self, RangeError> {
        let mut range = Range { v4: None, v6: None };
        for net in nets {
            let taken = match net.trunc() {
                IpNet::V4(net) => range.v4.replace(net).is_some(),
                IpNet::V6(net) => range.v6.replace(net).is_some(),
            };
            if taken {
                return Err(RangeError::SameFamily);
            }
            if u32::from(net.max_prefix_len() - net.prefix_len()) < SMALLEST.ilog2() {
                return Err(RangeError::TooSmall(*net));
            }
        }
        Ok(range)
    }

    /// kubeadm's usual 10.244.0.0/16, moved into loopback, where a local process can bind it without setup. Four times
    /// as large, so that 100,000 pods fit.
    pub fn default_pods() -> Self {
        "127.244.0.0/14,fd00:10:244::/64".parse().expect("a valid range")
    }

    /// The usual range of pods, as flannel has it: for pods with a network of their own.
    pub fn usual_pods() -> Self {
        "10.244.0.0/16".parse().expect("a valid range")
    }

    /// The usual range of Services, a part of kubeadm's 10.96.0.0/12: for pods with a network of their own.
    pub fn usual_services() -> Self {
        "10.96.0.0/16".parse().expect("a valid range")
    }

    /// The networks of the range, IPv4 first.
    pub fn networks(&self) -> Vec<IpNet> {
        self.v4.map(IpNet::V4).into_iter().chain(self.v6.map(IpNet::V6)).collect()
    }

    /// kubeadm's 10.96.0.0/12, moved into loopback and reduced to the size that most clusters use.
    pub fn default_services() -> Self {
        "127.96.0.0/16,fd00:10:96::/112".parse().expect("a valid range")
    }

    /// The first number without an address of its own (the last one of IPv4 is the broadcast address).
    pub(super) fn end(&self) -> u32 {
        let v4 =
            self.v4.map_or(LARGEST, |net| ((1u64 << (32 - net.prefix_len())) - 1).min(LARGEST.into()) as u32);
        let v6 = self.v6.map_or(LARGEST, |net| {
            let bits = u32::from(128 - net.prefix_len()).min(LARGEST.ilog2());
            1u32 << bits
        });
        v4.min(v6)
    }

    pub(super) fn address(&self, family: IpFamily, number: u32) -> Option<IpAddr> {
        match family {
            IpFamily::IPv4 => {
                let net = self.v4?;
                Some(IpAddr::V4(Ipv4Addr::from(u32::from(net.network()) + number)))
            }
            IpFamily::IPv6 => {
                let net = self.v6?;
                Some(IpAddr::V6(Ipv6Addr::from(u128::from(net.network()) + u128::from(number))))
            }
        }
    }

    /// Whether `ip` is in the range.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => self.v4.is_some_and(|net| net.contains(&ip)),
            IpAddr::V6(ip) => self.v6.is_some_and(|net| net.contains(&ip)),
        }
    }

    /// The network of the family of `ip`, `10.96.0.0/12`.
    pub fn network(&self, ip: IpAddr) -> Option<String> {
        match ip {
            IpAddr::V4(_) => self.v4.map(|net| net.to_string()),
            IpAddr::V6(_) => self.v6.map(|net| net.to_string()),
        }
    }

    /// The address of that number in the primary family.
    pub(crate) fn primary(&self, number: u32) -> Option<IpAddr> {
        self.address(IpFamily::IPv4, number).or_else(|| self.address(IpFamily::IPv6, number))
    }

    pub(super) fn number(&self, ip: IpAddr) -> Option<u32> {
        let number = match (ip, self.v4, self.v6) {
            (IpAddr::V4(ip), Some(net), _) if net.contains(&ip) => u32::from(ip) - u32::from(net.network()),
            (IpAddr::V6(ip), _, Some(net)) if net.contains(&ip) => {
                u32::try_from(u128::from(ip) - u128::from(net.network())).ok()?
            }
            _ => return None,
        };
        (number < self.end()).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_parsed() {
        let ok = ["10.244.0.0/16", "10.0.0.7/8,fd00::/64", "127.244.0.0/28"];
        for text in ok {
            assert!(text.parse::<Range>().is_ok(), "{text}");
        }
        let table = [
            ("10.244.0.0", "is not a network"),
            ("10.0.0.0/8,10.0.0.0/9", "at most one IPv4"),
            ("10.0.0.0/29", "too small"),
            ("", "is not a network"),
        ];
        for (text, error) in table {
            let message = text.parse::<Range>().unwrap_err().to_string();
            assert!(message.contains(error), "{text}: {message}");
        }
    }
}
