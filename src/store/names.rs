//! Names as the API server accepts them: DNS labels and subdomains, and label sets.

use std::fmt;
use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use smol_str::SmolStr;

/// A name, namespace, label or port name. Cheap to clone; short ones live on the stack.
pub type Name = SmolStr;

/// The longest label that the DNS can carry (RFC 1035, 2.3.4), in bytes.
pub const LABEL_MAX: usize = 63;

/// The longest name of an object whose name is a DNS subdomain (RFC 1123), in bytes.
pub const SUBDOMAIN_MAX: usize = 253;

/// Whether `text` is an RFC 1123 label: lower-case letters, digits and inner hyphens, at most 63 bytes.
pub fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    !bytes.is_empty()
        && bytes.len() <= LABEL_MAX
        && bytes.iter().all(|&b| alphanumeric(b) || b == b'-')
        && alphanumeric(bytes[0])
        && alphanumeric(bytes[bytes.len() - 1])
}

/// Whether `text` is an RFC 1035 label: as [`is_label`], and it begins with a letter.
pub fn is_label_1035(text: &str) -> bool {
    is_label(text) && text.as_bytes()[0].is_ascii_lowercase()
}

/// Whether `text` is an RFC 1123 subdomain: labels joined by dots, at most 253 bytes.
///
/// Kubernetes does not limit each label to 63 bytes here, only the whole; so do we.
pub fn is_subdomain(text: &str) -> bool {
    text.len() <= SUBDOMAIN_MAX
        && text.split('.').all(|label| {
            let bytes = label.as_bytes();
            let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
            !bytes.is_empty()
                && bytes.iter().all(|&b| alphanumeric(b) || b == b'-')
                && alphanumeric(bytes[0])
                && alphanumeric(bytes[bytes.len() - 1])
        })
}

/// The one of `candidates` that `text` was probably meant to be: a slip of the finger or two away, but no other word.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_ascii_lowercase();
    let far = 1 + text.chars().count() / 4;
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&text, &candidate.to_ascii_lowercase()), candidate))
        .filter(|&(distance, _)| distance <= far)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// Labels, annotations or a selector: sorted, unique keys.
///
/// A sorted slice instead of a tree, and shared: sets are small, and every pod has one that is copied with it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Labels(Arc<[(Name, Name)]>);

impl Labels {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Name> {
        self.0.binary_search_by(|(k, _)| k.as_str().cmp(key)).ok().map(|at| &self.0[at].1)
    }

    /// All pairs, by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Name, &Name)> {
        self.0.iter().map(|(k, v)| (k, v))
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether `labels` has every pair of this selector. An empty selector matches everything.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.iter().all(|(k, v)| labels.get(k) == Some(v))
    }

    /// These labels and `more`, which win where a key is in both.
    pub fn with<K: Into<Name>, V: Into<Name>>(&self, more: impl IntoIterator<Item = (K, V)>) -> Labels {
        let more = more.into_iter();
        let mut all = Vec::with_capacity(self.0.len() + more.size_hint().0);
        all.extend_from_slice(&self.0);
        for (k, v) in more {
            let (k, v) = (k.into(), v.into());
            match all.binary_search_by(|(key, _)| key.cmp(&k)) {
                Ok(at) => all[at].1 = v,
                Err(at) => all.insert(at, (k, v)),
            }
        }
        Labels(all.into())
    }
}

impl<K: Into<Name>, V: Into<Name>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Labels::default().with(pairs)
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// `app=db,tier=store`, as kubectl writes selectors.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (k, v)) in self.iter().enumerate() {
            write!(f, "{}{k}={v}", if at > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Labels;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of names to strings")
            }
            fn visit_unit<E>(self) -> Result<Labels, E> {
                Ok(Labels::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut all = Vec::with_capacity(map.size_hint().unwrap_or(4).min(64));
                while let Some(pair) = map.next_entry::<Name, Option<Name>>()? {
                    all.push((pair.0, pair.1.unwrap_or_default()));
                }
                all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
                match all.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                    Some(pair) => Err(de::Error::custom(format_args!("duplicate field `{}`", pair[0].0))),
                    None => Ok(Labels(all.into())),
                }
            }
        }
        deserializer.deserialize_any(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_and_the_last_value_wins() {
        let labels: Labels = [("b", "1"), ("a", "2"), ("b", "3")].into_iter().collect();
        assert_eq!(labels.to_string(), "a=2,b=3");
        assert_eq!(labels.with([("a", "9")]).get("a").map(Name::as_str), Some("9"));
    }

    #[test]
    fn what_was_probably_meant() {
        let names = ["cassandra", "cassandra-client", "db"];
        let table = [
            ("casandra", Some("cassandra")),
            ("Cassandra", Some("cassandra")),
            ("bd", Some("db")),
            ("redis", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(nearest(text, names), expected, "{text:?}");
        }
    }

    #[test]
    fn names() {
        let table = [
            ("web-0", true, true),
            ("0-web", true, false),
            ("Web", false, false),
            ("-web", false, false),
            ("web-", false, false),
            ("", false, false),
            ("a.b", false, false),
        ];
        for (name, label, label_1035) in table {
            assert_eq!((is_label(name), is_label_1035(name)), (label, label_1035), "{name:?}");
        }
        assert!(is_label(&"a".repeat(63)) && !is_label(&"a".repeat(64)));
        assert!(is_subdomain("kube-dns-x.y") && !is_subdomain("a..b") && !is_subdomain("a_b"));
    }
}
