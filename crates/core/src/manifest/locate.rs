//! Finds the position of a field path in a document. The parser does not expose positions, but adds one to every error
//! that a visitor returns: so the search descends to the field and fails there.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// One step of a path into a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(Box<str>),
    Index(usize),
}

/// Parses `spec.ports[0].name`; `[…]` that is not a number is a key with dots, as in field paths of Kubernetes.
pub(super) fn parse_path(path: &str) -> impl Iterator<Item = Step> + '_ {
    let mut rest = path;
    std::iter::from_fn(move || {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']').unwrap_or(inner.len());
            rest = inner.get(end + 1..).unwrap_or("");
            let index = inner[..end].parse().map(Step::Index);
            return Some(index.unwrap_or_else(|_| Step::Key(inner[..end].into())));
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (key, more) = rest.split_at(end);
        rest = more;
        (!key.is_empty()).then(|| Step::Key(key.into()))
    })
}

/// Offset of the value at `steps` in `text`: of its key if it is a map or a list, or of the nearest existing parent. At
/// the last step, `repeated` equal keys are skipped.
pub(super) fn find(text: &str, steps: &[Step], repeated: usize) -> Option<usize> {
    let mut depth = steps.len();
    let (reached, found) = (Cell::new(0), Cell::new(None));
    let mut search = Search { steps, repeated, aim: Aim::Value, reached: &reached, found: &found };
    // One pass for the value, one for the nearest parent if it does not exist, one for the key if it is a map.
    for _ in 0..3 {
        if depth == 0 {
            break;
        }
        search.steps = &steps[..depth];
        found.set(None);
        reached.set(0);
        let descend = Descend { search: &search, depth: 0 };
        let outcome = descend.deserialize(serde_yaml::Deserializer::from_str(text));
        match (found.get(), outcome) {
            (Some(Found::Here), Err(error)) => return error.location().map(|at| at.index()),
            (Some(Found::Collection), _) => search.aim = Aim::Key,
            _ => depth = reached.get().min(depth - 1),
        }
    }
    None
}

/// A search that fails at the position it is looking for.
struct Search<'a> {
    steps: &'a [Step],
    /// Number of keys equal to the last step that are skipped.
    repeated: usize,
    aim: Aim,
    /// Number of steps that were found.
    reached: &'a Cell<usize>,
    found: &'a Cell<Option<Found>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Aim {
    Key,
    Value,
}

#[derive(Clone, Copy)]
enum Found {
    Here,
    /// The value is a map or a list, whose position is that of its first entry.
    Collection,
}

/// Visits the value after `depth` steps.
#[derive(Clone, Copy)]
struct Descend<'a> {
    search: &'a Search<'a>,
    depth: usize,
}

impl Descend<'_> {
    fn stop<E: de::Error>(self, what: Found) -> Result<(), E> {
        if self.depth == self.search.steps.len() {
            self.search.found.set(Some(what));
            return Err(E::custom("found"));
        }
        Ok(())
    }

    /// An item of a list has no key; its own start is used.
    fn stop_at_collection<E: de::Error>(self) -> Result<(), E> {
        let item = matches!(self.search.steps.last(), Some(Step::Index(_)));
        self.stop(if item { Found::Here } else { Found::Collection })
    }

    fn deeper(self) -> Self {
        Descend { search: self.search, depth: self.depth + 1 }
    }
}

impl<'de> DeserializeSeed<'de> for Descend<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.search.reached.set(self.depth);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Descend<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.stop(Found::Here)
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.stop(Found::Here)
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        self.stop(Found::Here)
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.stop(Found::Here)
    }
    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        self.stop(Found::Here)
    }
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        // An empty value has no position of its own.
        self.stop(Found::Collection)
    }
    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        self.stop(Found::Collection)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.stop_at_collection()?;
        let Step::Index(wanted) = self.search.steps[self.depth] else {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        };
        for index in 0.. {
            let more = if index == wanted {
                seq.next_element_seed(self.deeper())?.is_some()
            } else {
                seq.next_element::<IgnoredAny>()?.is_some()
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.stop_at_collection()?;
        let wanted = match &self.search.steps[self.depth] {
            Step::Key(key) => Some(&**key),
            Step::Index(_) => None,
        };
        let mut pass_over = if self.depth + 1 == self.search.steps.len() { self.search.repeated } else { 0 };
        while let Some(matches) = map.next_key_seed(Key { of: self, wanted, pass_over })? {
            if matches && pass_over == 0 {
                map.next_value_seed(self.deeper())?;
            } else {
                pass_over -= usize::from(matches);
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// Whether a key is the wanted one; fails at it if the key is the target.
struct Key<'a> {
    of: Descend<'a>,
    wanted: Option<&'a str>,
    pass_over: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<bool, E> {
        let matches = self.wanted == Some(key);
        let search = self.of.search;
        let last = self.of.depth + 1 == search.steps.len();
        if matches && last && self.pass_over == 0 && (search.aim == Aim::Key || search.repeated > 0) {
            search.found.set(Some(Found::Here));
            return Err(E::custom("found"));
        }
        Ok(matches)
    }
}
