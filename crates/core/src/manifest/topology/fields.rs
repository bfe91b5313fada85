//! Notation of the values of a Topology: entries by name, ports in a short or long form, one value or a list.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::{self, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use crate::store::{Name, PortNumber, Protocol, parse_ip};

/// Named entries in their written order.
pub struct Entries<T>(pub Vec<(Name, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Entries(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Map<T> {
            type Value = Entries<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of names")
            }
            fn visit_unit<E>(self) -> Result<Entries<T>, E> {
                Ok(Entries::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
                let (mut entries, mut names) = (Vec::new(), HashSet::new());
                while let Some(name) = map.next_key::<Name>()? {
                    if !names.insert(name.clone()) {
                        return Err(de::Error::custom(format_args!("duplicate field `{name}`")));
                    }
                    entries.push((name, map.next_value()?));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_any(Map(std::marker::PhantomData))
    }
}

/// `9042`, or a long form with target port and protocol.
pub(super) struct Port {
    pub(super) port: u16,
    pub(super) target_port: Option<u16>,
    pub(super) protocol: Protocol,
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Long {
            port: PortNumber,
            target_port: Option<PortNumber>,
            #[serde(default)]
            protocol: Protocol,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Port;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port number, or {port: …, targetPort: …, protocol: …}")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Port, E> {
                Ok(Port {
                    port: PortNumber::deserialize(number.into_deserializer())?.0,
                    target_port: None,
                    protocol: Protocol::TCP,
                })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Port, A::Error> {
                let long = Long::deserialize(de::value::MapAccessDeserializer::new(map))?;
                let target_port = long.target_port.map(|number| number.0);
                Ok(Port { port: long.port.0, target_port, protocol: long.protocol })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// One value, or a list of them.
pub struct OneOrMore<T>(pub &'static str, pub fn(&str) -> Result<T, String>);

impl<'de, T> Visitor<'de> for OneOrMore<T> {
    type Value = Vec<T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} or a list of them", self.0)
    }
    fn visit_unit<E>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<T>, E> {
        (self.1)(text).map(|one| vec![one]).map_err(E::custom)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(text) = seq.next_element::<Name>()? {
            all.push((self.1)(&text).map_err(de::Error::custom)?);
        }
        Ok(all)
    }
}

/// Ranges of addresses.
#[derive(Default)]
pub(super) struct Ranges(pub(super) Vec<IpNet>);

impl<'de> Deserialize<'de> for Ranges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parse = |text: &str| match text.parse::<IpNet>() {
            Ok(range) => Ok(range.trunc()),
            Err(_) => Err(format!("{text:?} is not a range of addresses such as 10.244.0.0/16")),
        };
        deserializer.deserialize_any(OneOrMore("a range of addresses", parse)).map(Ranges)
    }
}

/// The addresses that a pod is pinned to.
pub(super) struct Addresses(Vec<IpAddr>);

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMore("an IP address", parse_ip)).map(Addresses)
    }
}

/// In the format of the annotation.
impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, ip) in self.0.iter().enumerate() {
            write!(f, "{}{ip}", if at > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}
