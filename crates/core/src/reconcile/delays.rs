//! How long things take that pods do.

use std::time::Duration;

use crate::store::{
    Pod, READY_DELAY_ANNOTATION, START_DELAY_ANNOTATION, STOP_DELAY_ANNOTATION, duration, has_own_annotations,
};

/// How long a pod takes for each stage of its life. By default it takes no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delays {
    /// From having a node to having an address and running.
    pub start: Duration,
    /// From running to being ready.
    pub ready: Duration,
    /// From being deleted to being gone; the pod's grace period ends it before that.
    pub stop: Duration,
}

impl Delays {
    /// What the annotations of a pod make of these.
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
