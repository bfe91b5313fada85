//! Takes the place of apimachinery's `labels` and `fields`: the selectors of a list or watch, parsed from a query and
//! applied to rendered objects. Must not depend on requests or the store's objects.

mod fields;
mod labels;

pub use fields::FieldSelector;
pub(crate) use fields::terms;
pub use labels::LabelSelector;
pub(crate) use labels::shown;
