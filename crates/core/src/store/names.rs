//! Label sets.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use triomphe::ThinArc;

pub use crate::text::{LABEL_MAX, Name, SUBDOMAIN_MAX, is_label, is_subdomain, nearest};

/// The label by which a pod of a StatefulSet is selected by name.
pub const POD_NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";
/// The label that says the ordinal of a pod of a StatefulSet.
pub const POD_INDEX_LABEL: &str = "apps.kubernetes.io/pod-index";

/// Labels, annotations or a selector: sorted, unique keys.
///
/// The pairs, behind eight bytes, are shared by all pods of a template. What differs from one pod of a StatefulSet to the next follows from
/// its name, and is not written down.
#[derive(Clone, Default)]
pub struct Labels {
    pairs: Option<Pairs>,
    /// The pod whose name and ordinal are labels too: [`POD_NAME_LABEL`] and [`POD_INDEX_LABEL`], which `pairs` lack.
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

    /// The value of `key`, if it does not follow from a pod's name.
    pub fn written(&self, key: &str) -> Option<&Name> {
        let pairs = self.pairs();
        pairs.binary_search_by(|(k, _)| k.as_str().cmp(key)).ok().map(|at| &pairs[at].1)
    }

    /// All pairs, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let pod = self.pod.as_deref();
        let (before, others) = self.pairs().split_at(self.place(POD_INDEX_LABEL));
        let (between, after) = others.split_at(self.place(POD_NAME_LABEL) - before.len());
        texts(before)
            .chain(pod.map(|pod| (POD_INDEX_LABEL, ordinal(pod))))
            .chain(texts(between))
            .chain(pod.map(|pod| (POD_NAME_LABEL, pod)))
            .chain(texts(after))
    }

    /// A value of more than `most` bytes, if there is one. Asked of each pod that is made, so it does not sort.
    pub(crate) fn longer_value(&self, most: usize) -> Option<&Name> {
        // The ordinal is a part of the pod's name.
        let values = self.pairs().iter().map(|(_, value)| value).chain(&self.pod);
        values.into_iter().find(|value| value.len() > most)
    }

    /// The pairs that follow from a pod's name.
    pub(super) fn of_name(&self) -> impl Iterator<Item = (&str, &str)> {
        let pod = self.pod.as_deref().into_iter();
        pod.flat_map(|pod| [(POD_INDEX_LABEL, ordinal(pod)), (POD_NAME_LABEL, pod)])
    }

    /// The pairs that do not follow from a pod's name. They are shared by the pods of a template.
    pub(super) fn of_template(&self) -> Labels {
        Labels { pairs: self.pairs.clone(), pod: None }
    }

    /// Whether both are of one template, and differ at most in a pod's name. They may be, although this does not see it.
    pub(super) fn are_of_one_template(&self, other: &Labels) -> bool {
        std::ptr::eq(self.pairs(), other.pairs())
    }

    /// Whether both are one value, shared. They may be equal, although this does not see it.
    pub fn are_the_same(&self, other: &Labels) -> bool {
        std::ptr::eq(self.pairs(), other.pairs()) && self.pod == other.pod
    }

    /// Where `key` is among the pairs, or would be.
    fn place(&self, key: &str) -> usize {
        self.pairs().partition_point(|(k, _)| k.as_str() < key)
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.pairs().len() + if self.pod.is_some() { 2 } else { 0 }
    }

    /// Whether `labels` has every pair of this selector. An empty selector matches everything.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.iter().all(|(k, v)| labels.get(k) == Some(v))
    }

    /// These labels and `more`, which win where a key is in both.
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

    /// These labels and those that the StatefulSet controller gives to `pod`, called `SET-ORDINAL`: its name and its
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

/// What the name of a StatefulSet's pod ends in.
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
