//! Memory of objects, in bytes: the unit of the limits of the store and of its history. Must not depend on how objects
//! are stored.

use serde_json::Value;

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

/// Approximate memory of `value`, in bytes.
pub(super) fn json_bytes(value: &Value) -> usize {
    // Memory of a map's entry besides its key and value: its share of a half-empty node.
    const ENTRY: usize = 40;
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(json_bytes).sum(),
            Value::Object(map) => map.iter().map(|(key, value)| ENTRY + key.len() + json_bytes(value)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
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
