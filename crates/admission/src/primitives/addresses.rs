//! IP addresses and CIDRs: `apimachinery/pkg/util/validation/ip.go`. What fields have always accepted is wider than what is written today: leading zeros, IPv4 addresses inside of IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use super::names::Faults;
use crate::field::{At, Causes};

/// `ParseIPSloppy`: an address as Go's `net.IP` has it, where an IPv4 address inside of IPv6 is IPv4.
pub(crate) fn parse_ip_sloppy(text: &str) -> Option<IpAddr> {
    parse_v4_sloppy(text).map(IpAddr::V4).or_else(|| Some(parse_v6_sloppy(text)?.to_canonical()))
}

fn decimal(text: &str, max: u32) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let digits = text.trim_start_matches('0');
    let number = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    (is_number && number <= max).then_some(number)
}

fn parse_v4_sloppy(text: &str) -> Option<Ipv4Addr> {
    let parts: Option<Vec<u8>> =
        text.split('.').map(|part| decimal(part, 255).and_then(|number| u8::try_from(number).ok())).collect();
    Some(Ipv4Addr::from(<[u8; 4]>::try_from(parts?).ok()?))
}

fn parse_v6_sloppy(text: &str) -> Option<Ipv6Addr> {
    let group = |group: &str| {
        if group.contains('.') {
            return parse_v4_sloppy(group).map(|address| address.to_string());
        }
        let digits = group.trim_start_matches('0');
        Some(if digits.is_empty() && !group.is_empty() { "0".into() } else { digits.into() })
    };
    let groups: Option<Vec<String>> = text.split(':').map(group).collect();
    groups?.join(":").parse().ok()
}

/// `IsIPv6String`
pub(crate) fn is_v6(text: &str) -> bool {
    parse_ip_sloppy(text).is_some_and(|ip| ip.is_ipv6())
}

/// Whether `text` is an IPv4 address inside of IPv6.
fn is_mapped(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok_and(|ip| ip.to_ipv4_mapped().is_some())
}

/// `parseIP`, with strict validation: what is wrong with an address, if anything is.
fn strict_fault(value: &str) -> Option<&'static str> {
    if parse_ip_sloppy(value).is_none() {
        Some("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
    } else if value.parse::<IpAddr>().is_err() {
        Some("must not have leading 0s")
    } else if is_mapped(value) {
        Some("must not be an IPv4-mapped IPv6 address")
    } else {
        None
    }
}

/// `IsValidIPForLegacyField`, with `StrictIPCIDRValidation`: whether it is one. An address of the list `old` stays valid.
pub(crate) fn is_valid_ip_for_legacy_field(field: &At<'_>, old: &At<'_>, causes: &mut Causes) -> bool {
    let fault = strict_fault(field.text()).filter(|_| !old.list().contains(field.value()));
    if let Some(fault) = fault {
        causes.invalid(field, field.text(), fault);
    }
    fault.is_none()
}

/// The same of an address that was not there before.
pub(crate) fn validate_ip_for_legacy_field(field: &At<'_>, causes: &mut Causes) {
    is_valid_ip_for_legacy_field(field, &At::root(&Value::Null), causes);
}

/// What is wrong with an address that has to be in its canonical form.
pub(crate) fn canonical_ip(value: &str) -> Faults {
    if let Some(fault) = strict_fault(value) {
        return vec![fault.into()];
    }
    let canonical = parse_ip_sloppy(value).map(|ip| ip.to_string()).filter(|canonical| canonical != value);
    canonical.map(|canonical| format!("must be in canonical form ({canonical:?})")).into_iter().collect()
}

/// `IsValidIP`: an address in its canonical form; whether it is one.
pub(crate) fn is_valid_ip(field: &At<'_>, causes: &mut Causes) -> bool {
    let faults = canonical_ip(field.text());
    for fault in &faults {
        causes.invalid(field, field.text(), fault);
    }
    faults.is_empty()
}

/// `GetWarningsForIP`, of an address that is valid.
pub(crate) fn warnings_for_ip(field: &At<'_>) -> Option<String> {
    let value = field.text();
    let ip = parse_ip_sloppy(value)?;
    if is_mapped(value) || value.parse::<IpAddr>().is_err() {
        return Some(format!("{field}: non-standard IP address {value:?} is invalid: use \"{ip}\""));
    }
    (ip.is_ipv6() && ip.to_string() != value)
        .then(|| format!("{field}: IPv6 address {value:?} should be in RFC 5952 canonical format (\"{ip}\")"))
}

/// A range of addresses, with the address as written. An IPv4-mapped range of IPv6 counts as IPv4, if its prefix covers the mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cidr {
    written: IpAddr,
    network: IpAddr,
    prefix: u32,
}

impl Cidr {
    /// `ParseCIDRSloppy`
    fn parse_sloppy(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        if let Some(ip) = parse_v4_sloppy(address) {
            return Some(Self::new(IpAddr::V4(ip), decimal(prefix, 32)?));
        }
        let ip = parse_v6_sloppy(address)?;
        let prefix = decimal(prefix, 128)?;
        Some(match ip.to_ipv4_mapped() {
            Some(v4) if prefix >= 96 => Self::new(IpAddr::V4(v4), prefix - 96),
            _ => Self::new(IpAddr::V6(ip), prefix),
        })
    }

    fn new(written: IpAddr, prefix: u32) -> Self {
        Cidr { written, network: masked(written, prefix), prefix }
    }

    fn is_v4(&self) -> bool {
        self.network.is_ipv4()
    }

    /// `IPNet.String`
    fn canonical(&self) -> String {
        format!("{}/{}", self.network, self.prefix)
    }
}

/// `ParseCIDRSloppy`: the address and the length of the prefix, in bits of its family.
pub(crate) fn parse_cidr_sloppy(text: &str) -> Option<(IpAddr, u32)> {
    Cidr::parse_sloppy(text).map(|cidr| (cidr.written, cidr.prefix))
}

/// The first address of `address`/`bits`.
pub(crate) fn masked(address: IpAddr, bits: u32) -> IpAddr {
    match address {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0);
            IpAddr::V4((u32::from(ip) & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0);
            IpAddr::V6((u128::from(ip) & mask).into())
        }
    }
}

/// Whether `netip.ParsePrefix` reads `text`: no leading zeros.
fn is_strict_prefix(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, prefix)| {
        address.parse::<IpAddr>().is_ok() && (prefix == "0" || !prefix.starts_with('0'))
    })
}

fn is_mapped_prefix(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, _)| is_mapped(address))
}

fn parse_cidr(field: &At<'_>, value: &str, causes: &mut Causes) -> Option<Cidr> {
    let Some(cidr) = Cidr::parse_sloppy(value) else {
        causes.invalid(field, value, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
        return None;
    };
    let why = if !is_strict_prefix(value) {
        "must not have leading 0s in IP or prefix length"
    } else if is_mapped_prefix(value) {
        "must not have an IPv4-mapped IPv6 address"
    } else if cidr.written != cidr.network {
        "must not have bits set beyond the prefix length"
    } else {
        return Some(cidr);
    };
    causes.invalid(field, value, why);
    None
}

/// `IsValidCIDRForLegacyField`, with `StrictIPCIDRValidation`, of a range that was not there before.
pub(crate) fn validate_cidr_for_legacy_field(field: &At<'_>, causes: &mut Causes) {
    validate_cidr(field, field.text(), causes);
}

/// The same for `text`, the parsed value of `field`.
pub(crate) fn validate_cidr(field: &At<'_>, text: &str, causes: &mut Causes) {
    parse_cidr(field, text, causes);
}

/// `IsValidCIDR`: a range in its canonical form.
pub(crate) fn validate_canonical_cidr(field: &At<'_>, causes: &mut Causes) {
    let value = field.text();
    let Some(cidr) = parse_cidr(field, value, causes) else { return };
    let canonical = cidr.canonical();
    if value != canonical {
        causes.invalid(field, value, &format!("must be in canonical form ({canonical:?})"));
    }
}

/// `GetWarningsForCIDR`, of a range that is valid.
pub(crate) fn warnings_for_cidr(field: &At<'_>) -> Vec<String> {
    let value = field.text();
    let Some(cidr) = Cidr::parse_sloppy(value) else { return Vec::new() };
    let canonical = cidr.canonical();
    let mut warnings = Vec::new();
    if cidr.written != cidr.network {
        // The size of the mask as it was written: of an IPv4 range inside of IPv6 it is that of IPv6.
        let bits = if cidr.is_v4() && !value.contains(':') { 32 } else { 128 };
        warnings.push(format!(
            "{field}: CIDR value {value:?} is ambiguous in this context (should be {canonical:?} or \"{}/{bits}\"?)",
            cidr.written
        ));
    }
    if !is_strict_prefix(value) || is_mapped_prefix(value) {
        warnings.push(format!("{field}: non-standard CIDR value {value:?} is invalid: use {canonical:?}"));
    }
    if warnings.is_empty() && !cidr.is_v4() && canonical != value {
        let why = format!("IPv6 CIDR value {value:?} should be in RFC 5952 canonical format ({canonical:?})");
        warnings.push(format!("{field}: {why}"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let table = [
            ("10.0.0.1", ""),
            ("2001:db8::1", ""),
            ("010.0.0.1", "must not have leading 0s"),
            ("::ffff:10.0.0.1", "must not be an IPv4-mapped IPv6 address"),
            ("2001:DB8::1", "must be in canonical form (\"2001:db8::1\")"),
            ("fe80::1%eth0", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
            ("10.0.0.256", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
        ];
        for (text, why) in table {
            let mut causes = Causes::default();
            is_valid_ip(&At::root(&text.into()), &mut causes);
            let found = causes.into_vec().pop().map(|cause| cause.message).unwrap_or_default();
            assert!(found.ends_with(why) && found.is_empty() == why.is_empty(), "{text}: {found}");
        }
    }

    #[test]
    fn ranges() {
        let table = [
            ("10.0.0.0/8", ""),
            ("0.0.0.0/0", ""),
            ("2001:db8::/64", ""),
            ("10.0.0.1/8", "must not have bits set beyond the prefix length"),
            ("10.0.0.0/08", "must not have leading 0s in IP or prefix length"),
            ("::ffff:10.0.0.0/104", "must not have an IPv4-mapped IPv6 address"),
            ("10.0.0.0/33", "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
            ("2001:0db8::/64", "must be in canonical form (\"2001:db8::/64\")"),
        ];
        for (text, why) in table {
            let mut causes = Causes::default();
            validate_canonical_cidr(&At::root(&text.into()), &mut causes);
            let found = causes.into_vec().pop().map(|cause| cause.message).unwrap_or_default();
            assert!(found.ends_with(why) && found.is_empty() == why.is_empty(), "{text}: {found}");
        }
    }
}
