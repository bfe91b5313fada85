//! Takes the place of apimachinery's `labels` and `fields`: the selectors of a list or a watch, read from a query and
//! held against objects as the API shows them. It must not know requests or the store's objects.

mod fields;
mod labels;

pub use fields::FieldSelector;
pub(crate) use fields::terms;
pub use labels::LabelSelector;
pub(crate) use labels::shown;
