//! IP addresses and CIDRs (`k8s.io/apimachinery/pkg/util/validation/ip.go`), in the forms of fields that are older than the
//! strict ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::field::{At, Causes};

/// `netutils.ParseIPSloppy`: zeros before a number of IPv4 do not matter. An IPv4 address that is written as IPv6 is one of
/// IPv4, as in Go's `net.IP`.
pub(crate) fn parse_ip_sloppy(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        let (begin, end) = text.split_at(text.rfind(':')? + 1);
        let address: Ipv6Addr = if end.contains('.') {
            format!("{begin}{}", parse_ipv4_sloppy(end)?).parse().ok()?
        } else {
            text.parse().ok()?
        };
        return Some(address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4));
    }
    parse_ipv4_sloppy(text).map(IpAddr::V4)
}

fn parse_ipv4_sloppy(text: &str) -> Option<Ipv4Addr> {
    let mut bytes = [0; 4];
    let mut parts = text.split('.');
    for byte in &mut bytes {
        let part = parts.next()?;
        let is_number = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        *byte = Some(part).filter(|_| is_number)?.parse().ok()?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(bytes))
}

/// `netip.ParseAddr`, without zones.
fn parse_ip_strict(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}

/// `IsIPv6String`
pub(crate) fn is_v6(text: &str) -> bool {
    parse_ip_sloppy(text).is_some_and(|address| address.is_ipv6())
}

/// The same as [`validate_ip_for_legacy_field`], but an address of the list `old` may stay as it is. Whether it is valid.
pub(crate) fn is_valid_ip_for_legacy_field(field: &At<'_>, old: &At<'_>, causes: &mut Causes) -> bool {
    let known = causes.len();
    if !old.list().contains(field.value()) {
        validate_ip_for_legacy_field(field, causes);
    }
    causes.len() == known
}

/// `IsValidIPForLegacyField`, which is strict since 1.36.
pub(crate) fn validate_ip_for_legacy_field(field: &At<'_>, causes: &mut Causes) {
    let text = field.text();
    if parse_ip_sloppy(text).is_none() {
        causes.invalid(field, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
        return;
    }
    match parse_ip_strict(text) {
        None => causes.invalid(field, text, "must not have leading 0s"),
        Some(address) if is_mapped(address) => {
            causes.invalid(field, text, "must not be an IPv4-mapped IPv6 address");
        }
        Some(_) => {}
    }
}

/// `netutils.ParseCIDRSloppy`: the address and the length of the prefix, in bits of its family.
pub(crate) fn parse_cidr_sloppy(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = text.split_once('/')?;
    let is_long = address.contains(':');
    let address = parse_ip_sloppy(address)?;
    let bits = Some(bits).filter(|bits| !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit()))?;
    let bits: u32 = bits.parse().ok()?;
    (bits <= if is_long { 128 } else { 32 }).then_some((address, bits))
}

/// The first address of `address`/`bits`.
pub(crate) fn masked(address: IpAddr, bits: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0);
            IpAddr::V6((u128::from(address) & mask).into())
        }
    }
}

/// `IsValidCIDRForLegacyField`, which is strict since 1.36.
pub(crate) fn validate_cidr_for_legacy_field(field: &At<'_>, causes: &mut Causes) {
    validate_cidr(field, field.text(), causes);
}

/// The same of `text`, which is what is meant by the value of `field`.
pub(crate) fn validate_cidr(field: &At<'_>, text: &str, causes: &mut Causes) {
    if parse_cidr_sloppy(text).is_none() {
        let why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
        causes.invalid(field, text, why);
        return;
    }
    let strict = text.split_once('/').and_then(|(address, bits)| {
        let is_plain = bits == "0" || !bits.starts_with('0');
        Some((parse_ip_strict(address).filter(|_| is_plain)?, bits.parse::<u32>().ok()?))
    });
    match strict {
        None => causes.invalid(field, text, "must not have leading 0s in IP or prefix length"),
        Some((address, _)) if is_mapped(address) => {
            causes.invalid(field, text, "must not have an IPv4-mapped IPv6 address");
        }
        Some((address, bits)) if masked(address, bits) != address => {
            causes.invalid(field, text, "must not have bits set beyond the prefix length");
        }
        Some(_) => {}
    }
}

/// `GetWarningsForIP`, of an address that is valid.
pub(crate) fn warnings_for_ip(field: &At<'_>) -> Option<String> {
    let text = field.text();
    let address = parse_ip_sloppy(text)?;
    match parse_ip_strict(text).filter(|address| !is_mapped(*address)) {
        None => Some(format!("{field}: non-standard IP address {text:?} is invalid: use \"{address}\"")),
        Some(IpAddr::V6(address)) if address.to_string() != text => Some(format!(
            "{field}: IPv6 address {text:?} should be in RFC 5952 canonical format (\"{address}\")"
        )),
        Some(_) => None,
    }
}

/// `GetWarningsForCIDR`, of a CIDR that is valid.
pub(crate) fn warnings_for_cidr(field: &At<'_>) -> Vec<String> {
    let text = field.text();
    let Some((address, bits)) = parse_cidr_sloppy(text) else { return Vec::new() };
    let first = masked(address, bits);
    let mut warnings = Vec::new();
    if first != address {
        warnings.push(format!(
            "{field}: CIDR value {text:?} is ambiguous in this context (should be \"{first}/{bits}\" or \"{address}/{bits}\"?)"
        ));
    }
    let strict = text.split('/').next().and_then(parse_ip_strict).filter(|address| !is_mapped(*address));
    match strict {
        None => warnings
            .push(format!("{field}: non-standard CIDR value {text:?} is invalid: use \"{first}/{bits}\"")),
        Some(IpAddr::V6(address)) if warnings.is_empty() && format!("{address}/{bits}") != text => {
            warnings.push(format!(
                "{field}: IPv6 CIDR value {text:?} should be in RFC 5952 canonical format (\"{address}/{bits}\")"
            ));
        }
        Some(_) => {}
    }
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses() {
        let table = [
            ("10.0.0.1", None),
            ("fd00::1", None),
            ("010.0.0.1", Some("must not have leading 0s")),
            ("::ffff:10.0.0.1", Some("must not be an IPv4-mapped IPv6 address")),
            ("10.0.0", Some("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")),
        ];
        for (text, why) in table {
            let (value, mut causes) = (json!(text), Causes::default());
            validate_ip_for_legacy_field(&At::root(&value), &mut causes);
            let said: Vec<String> = causes.into_vec().into_iter().map(|cause| cause.message).collect();
            let expected: Vec<String> =
                why.iter().map(|why| format!("Invalid value: {text:?}: {why}")).collect();
            assert_eq!(said, expected);
        }
    }
}
