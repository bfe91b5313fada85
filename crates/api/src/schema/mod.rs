//! Takes the place of apimachinery's scheme and codecs and of apiextensions-apiserver: which resources and versions there are, and
//! how objects are read from protobuf. `resources.txt` is its table; the types are those of the core. Must not depend on requests.

pub(crate) mod crd;
pub(crate) mod field;
pub(crate) mod protobuf;
pub(crate) mod registry;
pub(crate) mod resource;
pub(crate) mod versions;
