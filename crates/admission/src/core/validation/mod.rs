//! Takes the place of `pkg/apis/core/validation`.

pub(crate) mod annotations;
pub(crate) mod claims;
pub(crate) mod container_fields;
pub(crate) mod containers;
pub(crate) mod downward_api;
pub(crate) mod fields;
pub(crate) mod metadata;
pub(crate) mod node_selector;
pub(crate) mod paths;
pub(crate) mod persistent_volumes;
pub(crate) mod pod_spec;
pub(crate) mod probes;
pub(crate) mod product_sources;
pub(crate) mod projected;
pub(crate) mod resources;
pub(crate) mod scheduling;
pub(crate) mod security;
pub(crate) mod storage_networks;
pub(crate) mod volume_sources;
pub(crate) mod volumes;
