//! Takes the place of apimachinery's scheme and codecs and of apiextensions-apiserver: which resources, versions and fields there
//! are, and how objects are read from protobuf. `resources.txt` and `schema.txt` are its tables. Must not depend on requests.

pub(in crate::api) mod cause;
pub(in crate::api) mod crd;
pub(in crate::api) mod field;
pub(in crate::api) mod protobuf;
pub(in crate::api) mod registry;
pub(in crate::api) mod resource;
pub(in crate::api) mod types;
pub(in crate::api) mod versions;
