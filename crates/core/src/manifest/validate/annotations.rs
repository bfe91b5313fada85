//! Validates annotations under `clusterlocal.dev/`, which control simulated pods and nodes. A misspelt one would
//! silently have no effect.

use super::{Check, Fault};
use crate::store::{
    ALLOW_ANNOTATION, BOOTS_ANNOTATION, BOUND_PORT_PREFIX, COMPLETES_ANNOTATION, CRASHES_ANNOTATION,
    FAILS_ANNOTATION, Labels, MACHINE_ANNOTATION, PINNED_IP_PREFIX, READY_ANNOTATION, READY_DELAY_ANNOTATION,
    START_DELAY_ANNOTATION, STOP_DELAY_ANNOTATION, duration, nearest,
};

/// Annotations of pods and templates.
const OF_PODS: &[&str] = &[
    READY_ANNOTATION,
    START_DELAY_ANNOTATION,
    READY_DELAY_ANNOTATION,
    STOP_DELAY_ANNOTATION,
    CRASHES_ANNOTATION,
    COMPLETES_ANNOTATION,
    FAILS_ANNOTATION,
    ALLOW_ANNOTATION,
];
/// Annotations of nodes.
const OF_NODES: &[&str] = &[MACHINE_ANNOTATION, BOOTS_ANNOTATION, ALLOW_ANNOTATION];

const PREFIX: &str = "clusterlocal.dev/";

impl Check {
    /// Validates the annotations of a pod, or of the template at `path`.
    pub(super) fn pod_annotations(&mut self, path: &str, annotations: &Labels) {
        self.own_annotations(path, annotations, OF_PODS);
        for (key, value) in annotations.iter() {
            let path = || format!("{path}[{key}]");
            if let Some(pod) = key.strip_prefix(PINNED_IP_PREFIX) {
                self.pinned(&path(), pod, value);
            } else if key.starts_with(BOUND_PORT_PREFIX) && !value.parse::<u16>().is_ok_and(|port| port > 0) {
                self.push(path(), Fault::Invalid, format!("{value:?} is not a port from 1 to 65535"), None);
            }
        }
    }

    /// Validates the annotations of a node.
    pub(super) fn node_annotations(&mut self, annotations: &Labels) {
        self.own_annotations("metadata.annotations", annotations, OF_NODES);
    }

    fn own_annotations(&mut self, path: &str, annotations: &Labels, known: &[&str]) {
        for (key, value) in annotations.iter().filter(|(key, _)| key.starts_with(PREFIX)) {
            let path = format!("{path}[{key}]");
            if !known.contains(&key) {
                let help = nearest(key, known.iter().copied()).map(|near| format!("write {near}"));
                let help = help.unwrap_or_else(|| format!("the annotations are {}", known.join(", ")));
                self.push(path, Fault::Invalid, "has no effect here".into(), Some(help));
            } else if let Some(wanted) = refused(key, value) {
                self.push(path, Fault::Invalid, format!("{value:?} is not {wanted}"), None);
            }
        }
    }
}

/// The expected value of an annotation, if `value` is invalid.
fn refused(key: &str, value: &str) -> Option<&'static str> {
    let (good, wanted) = match key {
        READY_ANNOTATION => (matches!(value, "true" | "false"), "\"true\" or \"false\""),
        MACHINE_ANNOTATION => (matches!(value, "unreachable" | "off" | "up"), "unreachable, off or up"),
        CRASHES_ANNOTATION | BOOTS_ANNOTATION => (value.parse::<u32>().is_ok(), "a number"),
        // `check` validates the codes.
        ALLOW_ANNOTATION => (true, ""),
        _ => (duration(value).is_some(), "a duration such as 500ms, 5s or 1m30s"),
    };
    (!good).then_some(wanted)
}
