//! Durations of the stages of a pod.

use std::time::Duration;

use crate::store::{
    Pod, READY_DELAY_ANNOTATION, START_DELAY_ANNOTATION, STOP_DELAY_ANNOTATION, duration, has_own_annotations,
};

/// How long each stage of a pod's life takes. The default is no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delays {
    /// From assignment to a node to running with an address.
    pub start: Duration,
    /// From running to being ready.
    pub ready: Duration,
    /// From deletion to removal; the pod's grace period is the maximum.
    pub stop: Duration,
}

impl Delays {
    /// These delays, overridden by the annotations of a pod.
    pub(crate) fn of(self, pod: &Pod) -> Self {
        let annotations = &pod.metadata.annotations;
        if annotations.is_empty() || !has_own_annotations(annotations) {
            return self;
        }
        let of = |annotation, default| annotations.get(annotation).and_then(duration).unwrap_or(default);
        Delays {
            start: of(START_DELAY_ANNOTATION, self.start),
            ready: of(READY_DELAY_ANNOTATION, self.ready),
            stop: of(STOP_DELAY_ANNOTATION, self.stop),
        }
    }
}
