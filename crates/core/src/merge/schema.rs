//! The merge strategies of fields, from the types of the API: a strategic merge patch uses `patchStrategy` and
//! `patchMergeKey`, an apply uses `x-kubernetes-list-type` and its like. Without them objects are merged field by field, and
//! lists are replaced. Of an unknown kind only the metadata has strategies.

use crate::types::{self, Field, ListType, PatchMerge, Type};

/// The type of an object; `None` if its fields are not known.
#[derive(Clone, Copy)]
pub(super) struct Fields(Option<&'static Type>);

/// How the items of a list are matched.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Items {
    /// By the values of their keys.
    ByKeys(Vec<Key>),
    /// By themselves: each is in the list once.
    Set,
}

/// A field by which items are matched, and its JSON where it is absent.
pub(super) type Key = (&'static str, Option<&'static str>);

/// The fields of an object of `kind`.
pub(super) fn of(api_version: &str, kind: &str) -> Fields {
    Fields(types::of_kind(api_version, kind).or_else(|| types::named("clusterlocal", "CustomResource")))
}

impl Fields {
    /// The fields of the object in the field `name`.
    pub(super) fn inside(self, name: &str) -> Fields {
        Fields(self.field(name).and_then(|field| field.go.structure()))
    }

    /// The fields of each item of the list in the field `name`.
    pub(super) fn item(self, name: &str) -> Fields {
        Fields(self.field(name).and_then(|field| field.go.inner_structure()))
    }

    /// How a strategic merge patch merges the list in the field `name`; `None` if it replaces it.
    pub(super) fn patched(self, name: &str) -> Option<Items> {
        match self.field(name)?.patch_merge()? {
            PatchMerge::ByKey(key) => Some(Items::ByKeys(vec![(key, None)])),
            PatchMerge::Set => Some(Items::Set),
        }
    }

    /// How an apply merges the list in the field `name`; `None` if it replaces it.
    pub(super) fn applied(self, name: &str) -> Option<Items> {
        match self.field(name)?.list_type() {
            ListType::Map(keys) => {
                let item = self.item(name);
                let default = |key| item.field(key).and_then(Field::default);
                Some(Items::ByKeys(keys.split('/').map(|key| (key, default(key))).collect()))
            }
            ListType::Set => Some(Items::Set),
            ListType::Atomic => None,
        }
    }

    /// Whether an apply replaces the object in the field `name`.
    pub(super) fn is_atomic(self, name: &str) -> bool {
        self.field(name).is_some_and(Field::is_atomic)
    }

    /// Whether an apply replaces an object with these fields.
    pub(super) fn are_atomic(self) -> bool {
        self.0.is_some_and(Type::is_atomic)
    }

    fn field(self, name: &str) -> Option<&'static Field> {
        self.0?.field(name)
    }
}

impl Items {
    /// The keys of the items; none if they are values.
    pub(super) fn keys(&self) -> &[Key] {
        match self {
            Items::ByKeys(keys) => keys,
            Items::Set => &[],
        }
    }
}
