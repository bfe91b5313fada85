//! Deserializes single values of manifests: strictly, but with `null` wherever kubectl and Helm write it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::conditions::ConditionStatus;
use super::names::Name;

/// Reads `null` as the default of the type.
pub(super) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    d: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(d).map(Option::unwrap_or_default)
}

/// Reads a list, and `null` as an empty one. Releases unused capacity: there is one list for each object.
pub(super) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Vec<T>, D::Error> {
    let mut list: Vec<T> = nullable(d)?;
    list.shrink_to_fit();
    Ok(list)
}

/// A transport protocol of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
pub enum Protocol {
    #[default]
    TCP,
    UDP,
    SCTP,
}

impl Protocol {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::TCP => "TCP",
            Protocol::UDP => "UDP",
            Protocol::SCTP => "SCTP",
        }
    }

    /// The label in SRV names, without the underscore.
    pub fn label(self) -> &'static str {
        match self {
            Protocol::TCP => "tcp",
            Protocol::UDP => "udp",
            Protocol::SCTP => "sctp",
        }
    }
}

/// A `targetPort`: a number, or the name of a container's port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntOrName {
    Int(u16),
    Name(Name),
}

/// A Service's `targetPort`: 0 and the empty string count as absent.
pub(super) fn target_port<'de, D: Deserializer<'de>>(d: D) -> Result<Option<IntOrName>, D::Error> {
    #[derive(Default)]
    struct Target(Option<IntOrName>);
    impl<'de> Deserialize<'de> for Target {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Either;
            impl Visitor<'_> for Either {
                type Value = Target;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a port number from 1 to 65535 or the name of a container's port")
                }
                fn visit_u64<E: de::Error>(self, n: u64) -> Result<Target, E> {
                    match u16::try_from(n) {
                        Ok(0) => Ok(Target(None)),
                        Ok(n) => Ok(Target(Some(IntOrName::Int(n)))),
                        _ => Err(E::invalid_value(de::Unexpected::Unsigned(n), &self)),
                    }
                }
                fn visit_i64<E: de::Error>(self, n: i64) -> Result<Target, E> {
                    match u64::try_from(n) {
                        Ok(n) => self.visit_u64(n),
                        Err(_) => Err(E::invalid_value(de::Unexpected::Signed(n), &self)),
                    }
                }
                fn visit_str<E: de::Error>(self, text: &str) -> Result<Target, E> {
                    // Helm quotes numbers.
                    match text.parse::<u64>() {
                        Ok(n) => self.visit_u64(n),
                        Err(_) => Ok(Target((!text.is_empty()).then(|| IntOrName::Name(text.into())))),
                    }
                }
            }
            deserializer.deserialize_any(Either)
        }
    }
    nullable::<D, Target>(d).map(|target| target.0)
}

impl<'de> Deserialize<'de> for IntOrName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = IntOrName;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port number from 1 to 65535 or the name of a container's port")
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<IntOrName, E> {
                match u16::try_from(n) {
                    Ok(n) if n > 0 => Ok(IntOrName::Int(n)),
                    _ => Err(E::invalid_value(de::Unexpected::Unsigned(n), &self)),
                }
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<IntOrName, E> {
                match u64::try_from(n) {
                    Ok(n) => self.visit_u64(n),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Signed(n), &self)),
                }
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<IntOrName, E> {
                // Helm quotes numbers; the API server reads them as numbers when a name cannot be one.
                match text.parse::<u64>() {
                    Ok(n) => self.visit_u64(n),
                    Err(_) => Ok(IntOrName::Name(text.into())),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A number of pods, or a percentage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntOrPercent {
    Int(u32),
    Percent(u32),
}

impl IntOrPercent {
    /// The number for a total of `all`; a percentage is rounded down.
    pub fn of(self, all: u32) -> u32 {
        match self {
            IntOrPercent::Int(number) => number,
            IntOrPercent::Percent(percent) => (u64::from(all) * u64::from(percent) / 100) as u32,
        }
    }

    /// The number for a total of `all`; a percentage is rounded up.
    pub fn of_up(self, all: u32) -> u32 {
        match self {
            IntOrPercent::Int(number) => number,
            IntOrPercent::Percent(percent) => (u64::from(all) * u64::from(percent)).div_ceil(100) as u32,
        }
    }
}

impl<'de> Deserialize<'de> for IntOrPercent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = IntOrPercent;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of pods or a percentage like 25%")
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<IntOrPercent, E> {
                let number =
                    u32::try_from(n).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(n), &self))?;
                Ok(IntOrPercent::Int(number))
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<IntOrPercent, E> {
                let number =
                    u64::try_from(n).map_err(|_| E::invalid_value(de::Unexpected::Signed(n), &self))?;
                self.visit_u64(number)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<IntOrPercent, E> {
                let percent = text.strip_suffix('%').and_then(|number| number.parse().ok());
                let percent = percent.ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))?;
                Ok(IntOrPercent::Percent(percent))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A port number, 1 to 65535, validated when it is read so that the error has its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortNumber(pub u16);

impl<'de> Deserialize<'de> for PortNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = PortNumber;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port number from 1 to 65535")
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<PortNumber, E> {
                match u16::try_from(n) {
                    Ok(n) if n > 0 => Ok(PortNumber(n)),
                    _ => Err(E::invalid_value(de::Unexpected::Unsigned(n), &self)),
                }
            }
        }
        deserializer.deserialize_u16(Number)
    }
}

pub(super) fn port<'de, D: Deserializer<'de>>(d: D) -> Result<u16, D::Error> {
    PortNumber::deserialize(d).map(|port| port.0)
}

/// A `nodePort`; 0 counts as absent.
pub(super) fn node_port<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u16>, D::Error> {
    nullable::<D, u16>(d).map(|port| Some(port).filter(|port| *port > 0))
}

/// Parses an address as Kubernetes does: IPv4 or IPv6, without a zone, and no IPv4-mapped IPv6.
pub fn parse_ip(text: &str) -> Result<IpAddr, String> {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) if is_mapped(v6) => {
            Err(format!("IP address {text:?} is an IPv4 address written as IPv6; write the IPv4 address"))
        }
        Ok(ip) => Ok(ip),
        Err(_) => Err(format!("{text:?} is not an IP address")),
    }
}

fn is_mapped(ip: Ipv6Addr) -> bool {
    ip.to_ipv4_mapped().is_some()
}

/// An address that is parsed when it is read, so that the error has its position.
pub(super) struct Ip(pub(super) IpAddr);

impl<'de> Deserialize<'de> for Ip {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Ip;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an IP address")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Ip, E> {
                parse_ip(text).map(Ip).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

pub(super) fn ip<'de, D: Deserializer<'de>>(d: D) -> Result<IpAddr, D::Error> {
    Ip::deserialize(d).map(|ip| ip.0)
}

/// An address that may be absent, null or empty.
pub(super) fn optional_ip<'de, D: Deserializer<'de>>(d: D) -> Result<Option<IpAddr>, D::Error> {
    #[derive(Default)]
    struct MaybeIp(Option<IpAddr>);
    impl<'de> Deserialize<'de> for MaybeIp {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Text;
            impl Visitor<'_> for Text {
                type Value = MaybeIp;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an IP address")
                }
                fn visit_str<E: de::Error>(self, text: &str) -> Result<MaybeIp, E> {
                    match text {
                        "" => Ok(MaybeIp(None)),
                        text => parse_ip(text).map(|ip| MaybeIp(Some(ip))).map_err(E::custom),
                    }
                }
            }
            deserializer.deserialize_str(Text)
        }
    }
    nullable::<D, MaybeIp>(d).map(|ip| ip.0)
}

#[derive(serde::Deserialize)]
struct HostIp {
    ip: Ip,
}

/// `podIPs: [{ip: …}]`.
pub(super) fn ip_list<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<IpAddr>, D::Error> {
    Ok(Option::<Vec<HostIp>>::deserialize(d)?.unwrap_or_default().into_iter().map(|host| host.ip.0).collect())
}

#[derive(serde::Deserialize)]
struct NodeAddress {
    #[serde(rename = "type")]
    address_type: Name,
    address: Name,
}

/// A node's addresses of type InternalIP.
pub(super) fn internal_ips<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<IpAddr>, D::Error> {
    let all = Option::<Vec<NodeAddress>>::deserialize(d)?.unwrap_or_default();
    let internal = all.into_iter().filter(|a| a.address_type == "InternalIP");
    internal.map(|a| parse_ip(&a.address).map_err(de::Error::custom)).collect()
}

#[derive(serde::Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    condition: Name,
    #[serde(default, deserialize_with = "nullable")]
    status: Name,
}

/// The pod conditions that are true.
#[derive(Default)]
pub(super) struct PodConditions {
    pub(super) ready: bool,
    pub(super) containers_ready: bool,
}

/// The conditions `Ready` and `ContainersReady` of a list of conditions.
pub(super) fn pod_conditions<'de, D: Deserializer<'de>>(d: D) -> Result<PodConditions, D::Error> {
    let all = Option::<Vec<Condition>>::deserialize(d)?.unwrap_or_default();
    let holds = |kind: &str| all.iter().any(|c| c.condition == kind && c.status == "True");
    Ok(PodConditions { ready: holds("Ready"), containers_ready: holds("ContainersReady") })
}

/// The condition `Ready` of a node; true if absent.
pub(super) fn node_ready<'de, D: Deserializer<'de>>(d: D) -> Result<ConditionStatus, D::Error> {
    let all = Option::<Vec<Condition>>::deserialize(d)?.unwrap_or_default();
    let ready = all.iter().find(|c| c.condition == "Ready").map(|c| c.status.as_str());
    Ok(match ready {
        Some("False") => ConditionStatus::False,
        Some("Unknown") => ConditionStatus::Unknown,
        _ => ConditionStatus::True,
    })
}
