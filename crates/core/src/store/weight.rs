//! Memory that objects take, in bytes: what bounds of the store and of its history are counted in. Must not depend on
//! how objects are kept.

use serde_json::Value;

use super::given::Part;
use super::object::Object;

/// What an object takes beside what was written of it, in bytes: its struct, its entry and those of the indexes. Of a
/// simulated pod this is all.
pub const OBJECT_BYTES: usize = 512;

/// What one endpoint of a slice takes, in bytes.
const ENDPOINT_BYTES: usize = 64;

impl Object {
    /// About how many bytes of memory this object takes. It depends on the object's content only, so that what is added
    /// for an object is what is subtracted for it.
    pub fn weight(&self) -> usize {
        let written = match (&self.metadata().given, self) {
            // Its fields are nowhere else.
            (Some(given), Object::Inert(..)) => given.bytes(),
            // The struct has once more what the document has.
            (Some(given), _) => 2 * given.bytes(),
            (None, Object::EndpointSlice(slice)) => slice.endpoints.len() * ENDPOINT_BYTES,
            // What a controller makes shares the template with what it was made of, and may outlive that.
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

/// About how many bytes of memory `value` takes.
pub(super) fn json_bytes(value: &Value) -> usize {
    // What a map takes for an entry beside its key and value: its share of a half-empty node.
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

    /// A document, and about how many bytes it takes.
    #[test]
    fn nodes_count_and_not_only_characters() {
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
