//! Takes the place of `pkg/apis/core/validation`.

pub(crate) mod node_selector;
