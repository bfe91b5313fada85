//! Label sets.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use triomphe::ThinArc;

pub use crate::text::{LABEL_MAX, Name, SUBDOMAIN_MAX, is_label, is_subdomain, nearest};

/// The label with the name of a StatefulSet's pod.
pub const POD_NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";
/// The label with the ordinal of a StatefulSet's pod.
pub const POD_INDEX_LABEL: &str = "apps.kubernetes.io/pod-index";

/// Labels, annotations or a selector: sorted, unique keys.
///
/// The pairs, behind a pointer of eight bytes, are shared by all pods of a template. The labels that differ between the
/// pods of a StatefulSet are derived from their names, and not stored.
#[derive(Clone, Default)]
pub struct Labels {
    pairs: Option<Pairs>,
    /// The pod with the labels [`POD_NAME_LABEL`] and [`POD_INDEX_LABEL`], which are not in `pairs`.
    pod: Option<Name>,
}

/// Sorted by key, and not empty.
type Pairs = ThinArc<(), (Name, Name)>;

impl Labels {
    fn of(pairs: Vec<(Name, Name)>) -> Self {
        let pairs = (!pairs.is_empty()).then(|| Pairs::from_header_and_iter((), pairs.into_iter()));
        Labels { pairs, pod: None }
    }

    fn pairs(&self) -> &[(Name, Name)] {
        self.pairs.as_ref().map_or(&[], |pairs| &pairs.slice)
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        match &self.pod {
            Some(pod) if key == POD_NAME_LABEL => Some(pod),
            Some(pod) if key == POD_INDEX_LABEL => Some(ordinal(pod)),
            _ => self.written(key).map(Name::as_str),
        }
    }

    /// The value of `key`, unless it is derived from a pod's name.
    pub fn written(&self, key: &str) -> Option<&Name> {
        let pairs = self.pairs();
        pairs.binary_search_by(|(k, _)| k.as_str().cmp(key)).ok().map(|at| &pairs[at].1)
    }

    /// All pairs, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let pod = self.pod.as_deref();
        let (before, others) = self.pairs().split_at(self.position(POD_INDEX_LABEL));
        let (between, after) = others.split_at(self.position(POD_NAME_LABEL) - before.len());
        texts(before)
            .chain(pod.map(|pod| (POD_INDEX_LABEL, ordinal(pod))))
            .chain(texts(between))
            .chain(pod.map(|pod| (POD_NAME_LABEL, pod)))
            .chain(texts(after))
    }

    /// A value of more than `limit` bytes, if there is one. Called for each new pod, so it does not sort.
    pub(crate) fn longer_value(&self, limit: usize) -> Option<&Name> {
        // The ordinal is shorter than the pod's name.
        let values = self.pairs().iter().map(|(_, value)| value).chain(&self.pod);
        values.into_iter().find(|value| value.len() > limit)
    }

    /// The pairs that are derived from a pod's name.
    pub(super) fn of_name(&self) -> impl Iterator<Item = (&str, &str)> {
        let pod = self.pod.as_deref().into_iter();
        pod.flat_map(|pod| [(POD_INDEX_LABEL, ordinal(pod)), (POD_NAME_LABEL, pod)])
    }

    /// The pairs that are not derived from a pod's name, which the pods of a template share.
    pub(super) fn of_template(&self) -> Labels {
        Labels { pairs: self.pairs.clone(), pod: None }
    }

    /// Whether both share their stored pairs, and so differ at most in a pod's name. False negatives are possible.
    pub(super) fn share_template(&self, other: &Labels) -> bool {
        std::ptr::eq(self.pairs(), other.pairs())
    }

    /// Whether both are the same value in memory. False negatives are possible.
    pub fn is_same_value(&self, other: &Labels) -> bool {
        std::ptr::eq(self.pairs(), other.pairs()) && self.pod == other.pod
    }

    /// The index of `key` in the pairs, or where it would be inserted.
    fn position(&self, key: &str) -> usize {
        self.pairs().partition_point(|(k, _)| k.as_str() < key)
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.pairs().len() + if self.pod.is_some() { 2 } else { 0 }
    }

    /// Whether `labels` has every pair of this selector. An empty selector matches everything.
    pub fn matches(&self, labels: &Labels) -> bool {
        // Unordered: merging the derived labels in order costs more than the comparison.
        let mut pairs = texts(self.pairs()).chain(self.of_name());
        pairs.all(|(key, value)| labels.get(key) == Some(value))
    }

    /// These labels with `more`, which override equal keys.
    pub fn with<K: Into<Name>, V: Into<Name>>(&self, more: impl IntoIterator<Item = (K, V)>) -> Labels {
        let more = more.into_iter();
        let mut all = Vec::with_capacity(self.len() + more.size_hint().0);
        match self.pod {
            Some(_) => all.extend(self.iter().map(|(k, v)| (Name::from(k), Name::from(v)))),
            None => all.extend_from_slice(self.pairs()),
        }
        for (k, v) in more {
            let (k, v) = (k.into(), v.into());
            match all.binary_search_by(|(key, _)| key.cmp(&k)) {
                Ok(at) => all[at].1 = v,
                Err(at) => all.insert(at, (k, v)),
            }
        }
        Labels::of(all)
    }

    /// These labels with those that the StatefulSet controller sets on `pod`, called `SET-ORDINAL`: its name and its
    /// ordinal.
    pub fn of_pod(&self, pod: &Name) -> Labels {
        match self.get(POD_NAME_LABEL).or(self.get(POD_INDEX_LABEL)) {
            None => Labels { pairs: self.pairs.clone(), pod: Some(pod.clone()) },
            Some(_) => self.with([(POD_INDEX_LABEL, ordinal(pod)), (POD_NAME_LABEL, pod)]),
        }
    }
}

fn texts(pairs: &[(Name, Name)]) -> impl Iterator<Item = (&str, &str)> + Clone {
    pairs.iter().map(|(k, v)| (k.as_str(), v.as_str()))
}

/// The ordinal in the name of a StatefulSet's pod.
fn ordinal(pod: &str) -> &str {
    pod.rsplit('-').next().unwrap_or_default()
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        (std::ptr::eq(self.pairs(), other.pairs()) && self.pod == other.pod) || self.iter().eq(other.iter())
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.iter().for_each(|pair| pair.hash(state));
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

/// `app=db,tier=store`, as kubectl displays selectors.
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
                    None => Ok(Labels::of(all)),
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
        assert_eq!(labels.with([("a", "9")]).get("a"), Some("9"));
    }

    #[test]
    fn labels_of_a_pod_follow_from_its_name() {
        let template: Labels = [("app", "db"), ("statefulset", "x"), ("z", "1")].into_iter().collect();
        let written = template.with([(POD_INDEX_LABEL, "12"), (POD_NAME_LABEL, "my-db-12")]);
        let derived = template.of_pod(&"my-db-12".into());
        assert_eq!(derived, written);
        assert_eq!(derived.to_string(), written.to_string());
        assert_eq!((derived.len(), derived.is_empty()), (5, false));
        assert_eq!(
            (derived.get(POD_INDEX_LABEL), derived.get(POD_NAME_LABEL)),
            (Some("12"), Some("my-db-12"))
        );
        assert!(written.matches(&derived) && derived.matches(&written));
        assert_eq!(derived.with([("app", "web")]), written.with([("app", "web")]));
        assert_ne!(derived, template.of_pod(&"my-db-1".into()));
        assert_eq!(
            written.of_pod(&"my-db-1".into()),
            template.of_pod(&"my-db-1".into()),
            "the pod's own win"
        );
    }
}
