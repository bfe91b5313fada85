//! Parsers of values of flags: addresses, counts, names of objects and switches. Their errors name what is expected, with an
//! example. Must not depend on a verb.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use clusterlocal_core::fault::{Client, NotationError};
use clusterlocal_core::store::{duration, is_label, is_subdomain, nearest};
use clusterlocal_core::wire::DomainName;

/// Default address of the DNS.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10053);

/// Default address of the API.
pub const DEFAULT_API: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10054);

/// Parses a duration, such as 500ms.
///
/// # Errors
/// If `text` is not a duration.
pub fn time(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| {
        let hint = match text.parse::<f64>() {
            Ok(number) if number >= 0.0 => format!("; the unit is missing: write {text}s for seconds"),
            Ok(_) => "; it cannot be negative".into(),
            Err(_) => String::new(),
        };
        format!("expected a duration with its unit, such as 500ms, 5s or 1m30s{hint}")
    })
}

/// Parses an address with a port, such as 127.0.0.1:10053.
///
/// # Errors
/// If `text` is not an address, with the missing or wrong part and a corrected address.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    address_or(text, None)
}

/// Like [`address`]; an address without a port has port `default`.
pub fn address_or(text: &str, default: Option<u16>) -> Result<SocketAddr, String> {
    const EXAMPLE: &str = "expected ADDR:PORT, such as 127.0.0.1:10053 or [::1]:10053";
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return match default {
            Some(port) => Ok(SocketAddr::new(ip, port)),
            None => Err(format!("{EXAMPLE}; the port is missing: write {}", SocketAddr::new(ip, 10053))),
        };
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(match text.parse::<u16>() {
            Ok(port) => format!("{EXAMPLE}; the address is missing: write 127.0.0.1:{port}"),
            Err(_) if text.bytes().any(|b| b.is_ascii_alphabetic()) => {
                format!("{EXAMPLE}; names such as {text:?} are not resolved: write an IP address")
            }
            Err(_) => EXAMPLE.into(),
        });
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = match port.parse::<u16>() {
        Ok(port) => port,
        Err(_) if port.is_empty() => return Err(format!("{EXAMPLE}; the port is missing")),
        Err(_) => {
            return Err(format!("{EXAMPLE}; {port:?} is not a port: ports are numbers from 0 to 65535"));
        }
    };
    Err(match host {
        "" | "*" => {
            format!("{EXAMPLE}; the address is missing: write 127.0.0.1:{port}, or 0.0.0.0:{port} for all")
        }
        "localhost" => format!("{EXAMPLE}; names are not resolved: write 127.0.0.1:{port}"),
        _ if host.parse::<Ipv6Addr>().is_ok() => {
            format!("{EXAMPLE}; an IPv6 address is in brackets: write [{host}]:{port}")
        }
        _ if host.bytes().all(|b| b.is_ascii_digit() || b == b'.') => {
            format!("{EXAMPLE}; {host:?} is not an IPv4 address: it has four numbers from 0 to 255")
        }
        _ => format!("{EXAMPLE}; names such as {host:?} are not resolved: write an IP address"),
    })
}

/// Returns a parser of whole numbers in `range`, which count `what`, such as seconds; for clap.
pub fn whole<T: TryFrom<u64>>(
    what: &'static str,
    range: RangeInclusive<u64>,
    example: u64,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| {
            let bounds = match *range.end() {
                u64::MAX => format!("from {} on", range.start()),
                end => format!("from {} to {end}", range.start()),
            };
            format!("expected {what}, a whole number {bounds}, such as {example}")
        })
    }
}

/// Parses a switch, for clap: a flag has no value, its variable is true or false.
///
/// # Errors
/// If `text` is neither.
pub fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "y" | "on" | "1" | "t" => Ok(true),
        "false" | "no" | "n" | "off" | "0" | "f" | "" => Ok(false),
        _ => Err("expected true or false (or yes, no, on, off, 1, 0)".into()),
    }
}

/// Parses a domain, for clap.
///
/// # Errors
/// If `text` is not a domain name.
pub fn domain(text: &str) -> Result<DomainName, String> {
    text.parse().map_err(|error| format!("{error}: expected a domain name, such as cluster.local"))
}

/// Parses the name of a namespace, for clap.
///
/// # Errors
/// If a namespace cannot have this name.
pub fn namespace(text: &str) -> Result<String, String> {
    if is_label(text) {
        return Ok(text.into());
    }
    Err("expected the name of a namespace: lower-case letters, digits and inner hyphens, such as default"
        .into())
}

/// Parses the name of an object, `NAME` or as in kubectl `KIND/NAME`: `pod/db-1`.
///
/// # Errors
/// If an object cannot have this name, or the kind is another.
pub fn object_name(text: &str, kinds: &[&str], example: &str) -> Result<String, String> {
    let name = match text.split_once('/') {
        Some((kind, name)) if kinds.iter().any(|known| known.eq_ignore_ascii_case(kind)) => name,
        Some((kind, name)) => {
            let namespace = if is_label(kind) && kinds[0] == "pod" {
                format!("; for a pod of namespace {kind} write {name} -n {kind}")
            } else {
                String::new()
            };
            return Err(format!(
                "expected the name of a {0}, such as {example} or {0}/{example}{namespace}",
                kinds[0]
            ));
        }
        None => text,
    };
    if is_subdomain(name) {
        return Ok(name.into());
    }
    let lower = name.to_ascii_lowercase();
    let hint = if is_subdomain(&lower) { format!("; did you mean {lower}?") } else { String::new() };
    Err(format!(
        "expected the name of a {}: lower-case letters, digits, inner hyphens and dots, such as {example}{hint}",
        kinds[0]
    ))
}

/// Parses the name of a pod, `db-1` or `pod/db-1`, for clap.
pub fn pod_name(text: &str) -> Result<String, String> {
    object_name(text, &["pod", "pods", "po"], "db-1")
}

/// Parses the name of a node, `node-1` or `node/node-1`, for clap.
pub fn node_name(text: &str) -> Result<String, String> {
    object_name(text, &["node", "nodes", "no"], "node-1")
}

/// Parses the name of a fault, `late` or `fault/late`, for clap.
pub fn fault_name(text: &str) -> Result<String, String> {
    object_name(text, &["fault", "faults", "fault.clusterlocal.dev", "faults.clusterlocal.dev"], "late")
}

/// Parses the name of a Partition, `split` or `partition/split`, for clap.
pub fn partition_name(text: &str) -> Result<String, String> {
    object_name(text, &["partition", "partitions"], "split")
}

/// Parses a client, for clap: a pod (`db-1`, `pod/db-1`, `store/db-1`), an address or a network.
///
/// # Errors
/// If `text` is none of these.
pub fn client(text: &str) -> Result<Client, String> {
    bare_client(text).parse().map_err(|error: NotationError| error.to_string())
}

/// Parses a client; a pod without a namespace is in `namespace`.
///
/// # Errors
/// As [`client`].
pub fn client_in(text: &str, namespace: &str) -> Result<Client, String> {
    match client(text)? {
        Client::Pod { name, .. } if !bare_client(text).contains('/') => {
            Ok(Client::Pod { namespace: namespace.into(), name })
        }
        client => Ok(client),
    }
}

fn bare_client(text: &str) -> &str {
    ["pod/", "pods/", "po/"].iter().find_map(|kind| text.strip_prefix(kind)).unwrap_or(text)
}

/// `; did you mean NEAR?`, if one of `known` is similar to `text`.
pub fn did_you_mean<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(text, known).map_or_else(String::new, |near| format!("; did you mean {near}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let table = [
            ("127.0.0.1:53", "127.0.0.1:53"),
            ("[::1]:53", "[::1]:53"),
            ("127.0.0.1", "write 127.0.0.1:10053"),
            ("::1", "write [::1]:10053"),
            ("::1:99999", "ports are numbers from 0 to 65535"),
            ("10053", "write 127.0.0.1:10053"),
            (":10053", "write 127.0.0.1:10053, or 0.0.0.0:10053 for all"),
            ("localhost:53", "write 127.0.0.1:53"),
            ("fe80::g:53", "are not resolved"),
            ("127.0.0.256:53", "four numbers from 0 to 255"),
            ("dns.example.com:53", "are not resolved"),
            ("127.0.0.1:", "the port is missing"),
            ("", "such as 127.0.0.1:10053"),
        ];
        for (text, expected) in table {
            let parsed = address(text).map_or_else(|error| error, |address| address.to_string());
            assert!(parsed.contains(expected), "{text}: {parsed}");
        }
        assert_eq!(address_or("192.0.2.1", Some(53)), address("192.0.2.1:53"));
        assert_eq!(address_or("::1", Some(53)), address("[::1]:53"));
    }

    #[test]
    fn whole_numbers() {
        let seconds = whole::<u32>("seconds", 0..=3600, 30);
        assert_eq!(seconds("3600"), Ok(3600));
        for text in ["3601", "-1", "1.5", "30s", "", "99999999999999999999"] {
            let expected = "expected seconds, a whole number from 0 to 3600, such as 30";
            assert_eq!(seconds(text), Err(expected.into()), "{text}");
        }
    }

    #[test]
    fn names_of_objects() {
        let table = [
            ("db-1", Ok("db-1")),
            ("pod/db-1", Ok("db-1")),
            ("pods/db-1", Ok("db-1")),
            ("Pod/db-1", Ok("db-1")),
            ("store/db-1", Err("write db-1 -n store")),
            ("DB-1", Err("did you mean db-1?")),
            ("db 1", Err("such as db-1")),
            ("", Err("such as db-1")),
        ];
        for (text, expected) in table {
            match (pod_name(text), expected) {
                (Ok(name), Ok(expected)) => assert_eq!(name, expected, "{text}"),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{text}: {error}"),
                (parsed, _) => panic!("{text}: {parsed:?}"),
            }
        }
    }
}
