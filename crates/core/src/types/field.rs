//! Fields of structs.

use std::borrow::Cow;

use super::{Go, Member};

/// A field of a struct.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its number in protobuf; 0 if it has none.
    pub number: u32,
    /// Its name in JSON.
    pub json: &'static str,
    go_name: Option<&'static str>,
    /// Its type.
    pub go: Go,
    /// Whether JSON leaves it out if it is empty.
    pub omit_empty: bool,
    /// Whether JSON leaves it out if it is the zero value.
    pub omit_zero: bool,
    /// The structs between this one and the one that has the field.
    pub within: Vec<&'static str>,
    marks: &'static str,
}

/// How a strategic merge patch merges a list (`patchStrategy: merge`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchMerge {
    /// Items are matched by this field (`patchMergeKey`).
    ByKey(&'static str),
    /// Items are values, each of which is in the list once.
    Set,
}

/// How an apply merges a list (`x-kubernetes-list-type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListType {
    /// Items are matched by these fields, separated by slashes (`x-kubernetes-list-map-keys`).
    Map(&'static str),
    /// Items are values, each of which is in the list once.
    Set,
    /// The list is replaced whole.
    Atomic,
}

impl Field {
    pub(super) fn new(member: &Member, go: Go) -> Field {
        let (json, go_name) = match member.name.split_once('=') {
            Some((json, go)) => (json, Some(go)),
            None => (member.name, None),
        };
        Field {
            number: member.number,
            json,
            go_name,
            go,
            omit_empty: member.marks().any(|mark| mark == "?"),
            omit_zero: member.marks().any(|mark| mark == "0"),
            within: Vec::new(),
            marks: member.marks,
        }
    }

    /// Its name in Go: `TTY`.
    pub fn go_name(&self) -> Cow<'static, str> {
        self.go_name.map_or_else(
            || {
                let mut name = self.json.to_owned();
                name[..1].make_ascii_uppercase();
                name.into()
            },
            Cow::from,
        )
    }

    /// Whether an object has to have it.
    pub fn is_required(&self) -> bool {
        self.mark("!").is_some()
    }

    /// Its default in the published documents, in JSON.
    pub fn default(&self) -> Option<&'static str> {
        self.mark("=")
    }

    /// `patchStrategy`: `merge,retainKeys`.
    pub fn patch_strategy(&self) -> Option<&'static str> {
        self.mark("~").map(|mark| mark.split_once(':').map_or(mark, |(strategy, _)| strategy))
    }

    /// How a strategic merge patch merges the list that it is; `None` if the list is replaced.
    pub fn patch_merge(&self) -> Option<PatchMerge> {
        let mark = self.mark("~")?;
        let (strategy, key) =
            mark.split_once(':').map_or((mark, None), |(strategy, key)| (strategy, Some(key)));
        let merges = strategy.split(',').any(|strategy| strategy == "merge");
        merges.then(|| key.map_or(PatchMerge::Set, PatchMerge::ByKey))
    }

    /// How an apply merges the list that it is.
    pub fn list_type(&self) -> ListType {
        match self.mark("+") {
            Some("set") => ListType::Set,
            Some(mark) => mark.strip_prefix("map:").map_or(ListType::Atomic, ListType::Map),
            None => ListType::Atomic,
        }
    }

    /// `x-kubernetes-map-type` of the map or struct that it is, where that differs from the one of its type.
    pub fn map_type(&self) -> Option<&'static str> {
        self.mark("+").filter(|mark| matches!(*mark, "atomic" | "granular"))
    }

    /// Whether an apply replaces the map or struct that it is.
    pub fn is_atomic(&self) -> bool {
        let of_type = || self.go.structure().is_some_and(|of| of.is_atomic());
        self.map_type().map_or_else(of_type, |map_type| map_type == "atomic")
    }

    fn mark(&self, sign: &str) -> Option<&'static str> {
        self.marks.split(' ').find_map(|mark| mark.strip_prefix(sign))
    }
}
