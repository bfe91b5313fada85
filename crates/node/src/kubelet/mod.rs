//! Takes the place of the kubelet: pods of the API become processes, and what becomes of those is the pods' status. Must not depend
//! on DNS or controllers.

mod command;
mod container;
mod environment;
mod files;
mod logs;
mod volumes;

use serde_json::Value;

/// What a kubelet reads of other objects while it starts a pod.
pub trait Objects {
    /// The object of that kind, as the API shows it: `ConfigMap`, `Secret`, `PersistentVolumeClaim` of a namespace, or
    /// `PersistentVolume` of none.
    fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value>;

    /// The Services of a namespace, as the API shows them.
    fn services(&self, namespace: &str) -> Vec<Value>;
}

/// A container cannot be started as its pod says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// The reason in the container's status: `CreateContainerConfigError`, `ErrImageNeverPull` …
    pub reason: &'static str,
    /// The message in the kubelet's words.
    pub message: String,
}

impl ConfigError {
    fn config(message: impl Into<String>) -> Self {
        ConfigError { reason: "CreateContainerConfigError", message: message.into() }
    }
}

/// The text at `pointer`, or an empty one.
fn text<'a>(json: &'a Value, pointer: &str) -> &'a str {
    json.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The list at `pointer`, or an empty one.
fn list<'a>(json: &'a Value, pointer: &str) -> &'a [Value] {
    json.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
