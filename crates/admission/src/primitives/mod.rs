//! Takes the place of apimachinery's `util/validation`, `api/validation` and `apis/meta/v1/validation`: the rules that every
//! group shares. It must not know the kinds.

pub(crate) mod addresses;
pub(crate) mod conditions;
pub(crate) mod counts;
pub(crate) mod defaults;
pub(crate) mod diff;
pub(crate) mod domains;
pub(crate) mod equality;
pub(crate) mod int_or_string;
pub(crate) mod metadata;
pub(crate) mod names;
pub(crate) mod selectors;
pub(crate) mod updates;
pub(crate) mod urls;
