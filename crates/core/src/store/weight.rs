//! Memory of objects, in bytes: the unit of the limits of the store and of its history. Must not depend on how objects
//! are stored.

use super::given::Part;
use super::object::Object;

/// Memory of an object besides its source, in bytes: its struct, its entry and those of the indexes. This is all the
/// memory of a simulated pod.
pub const OBJECT_BYTES: usize = 512;

/// Memory of one endpoint of a slice, in bytes.
const ENDPOINT_BYTES: usize = 64;

impl Object {
    /// Approximate memory of this object, in bytes. It depends on the object's content only, so that additions and
    /// subtractions for an object are equal.
    pub fn weight(&self) -> usize {
        let written = match (&self.metadata().given, self) {
            // No fields are stored elsewhere.
            (Some(given), Object::Inert(..)) => given.bytes(),
            // The struct repeats the content of the document.
            (Some(given), _) => 2 * given.bytes(),
            (None, Object::EndpointSlice(slice)) => slice.endpoints.len() * ENDPOINT_BYTES,
            // An object of a controller shares the template with its source, and may outlive that.
            (None, Object::ControllerRevision(revision)) => template(revision.template.given.as_ref()),
            (None, Object::ReplicaSet(workload) | Object::Job(workload)) => {
                template(workload.spec.template.given.as_ref())
            }
            (None, _) => 0,
        };
        OBJECT_BYTES + written
    }
}

fn template(given: Option<&Part>) -> usize {
    given.map_or(0, |part| part.whole().bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::given::Given;

    /// A document, and its approximate size.
    #[test]
    fn memory_of_nodes_is_counted() {
        let table = [
            (json!("x".repeat(1000)), 1000..1100),
            // Two bytes of JSON each; 32 in memory.
            (json!(vec![1; 1000]), 32_000..33_000),
            (json!({ "a": {}, "b": [] }), 170..200),
        ];
        for (value, expected) in table {
            let bytes = Given::from(value.clone()).bytes();
            assert!(expected.contains(&bytes), "{bytes} for {}", value.to_string().len());
        }
    }
}
