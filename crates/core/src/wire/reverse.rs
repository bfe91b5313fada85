//! Names of addresses below `in-addr.arpa` (RFC 1035, 3.5) and `ip6.arpa` (RFC 3596, 2.5).

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{DomainName, labels};

/// `4.3.2.1.in-addr.arpa`, or the nibbles below `ip6.arpa` (RFC 1035, 3.5; RFC 3596, 2.5).
pub fn reverse_name(ip: IpAddr) -> DomainName {
    let mut text = String::with_capacity(74);
    match ip {
        IpAddr::V4(ip) => {
            ip.octets().iter().rev().for_each(|octet| _ = write!(text, "{octet}."));
            text.push_str("in-addr.arpa");
        }
        IpAddr::V6(ip) => {
            ip.octets().iter().rev().for_each(|octet| _ = write!(text, "{:x}.{:x}.", octet & 15, octet >> 4));
            text.push_str("ip6.arpa");
        }
    }
    text.parse().expect("digits and dots make a name")
}

/// The address of a name (lower case, wire form) below `in-addr.arpa` or `ip6.arpa` (`dnsutil/reverse.go`).
pub(crate) fn reverse_address(name: &[u8]) -> Option<IpAddr> {
    if let Some(octets) = name.strip_suffix(b"\x07in-addr\x04arpa\0") {
        let mut labels = labels(octets);
        let [d, c, b, a] = [labels.next()?, labels.next()?, labels.next()?, labels.next()?];
        let text = [a, b, c, d].join(&b'.');
        let ip = std::str::from_utf8(&text).ok()?.parse::<Ipv4Addr>().ok()?;
        return labels.next().is_none().then_some(IpAddr::V4(ip));
    }
    // Four nibbles make a group, from right to left; up to three additional labels on the left are ignored.
    let nibbles = name.strip_suffix(b"\x03ip6\x04arpa\0")?;
    let count = labels(nibbles).count();
    if !(32..36).contains(&count) {
        return None;
    }
    let mut bits = 0u128;
    for (at, label) in labels(nibbles).skip(count - 32).enumerate() {
        let [digit] = label else { return None };
        bits |= u128::from((*digit as char).to_digit(16)?) << (4 * at);
    }
    let ip = Ipv6Addr::from(bits);
    Some(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_reverse_names_are_inverse() {
        for ip in ["127.244.0.9", "fd00::1:9"] {
            let ip: IpAddr = ip.parse().unwrap();
            assert_eq!(reverse_address(reverse_name(ip).as_wire()), Some(ip));
        }
        for name in ["1.2.3.in-addr.arpa", "a.1.2.3.4.in-addr.arpa", "9.0.ip6.arpa", "1.2.3.4.arpa"] {
            assert_eq!(reverse_address(name.parse::<DomainName>().unwrap().as_wire()), None, "{name}");
        }
    }
}
