//! Takes the place of apimachinery's scheme and codecs and of apiextensions-apiserver: which resources, versions and fields there
//! are, and how objects are read from protobuf. `resources.txt` and `schema.txt` are its tables. Must not depend on requests.

pub(crate) mod crd;
pub(crate) mod field;
pub(crate) mod protobuf;
pub(crate) mod registry;
pub(crate) mod resource;
pub(crate) mod types;
pub(crate) mod versions;
