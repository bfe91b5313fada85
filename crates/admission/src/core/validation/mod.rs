//! Takes the place of `pkg/apis/core/validation`.

pub(crate) mod claims;
pub(crate) mod downward_api;
pub(crate) mod node_selector;
pub(crate) mod paths;
pub(crate) mod pod_template;
pub(crate) mod projected;
pub(crate) mod volume_sources;
pub(crate) mod volumes;
