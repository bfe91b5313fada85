//! How long things take that pods do.

use std::time::Duration;

use jiff::SignedDuration;

use crate::store::{
    Name, Pod, READY_DELAY_ANNOTATION, START_DELAY_ANNOTATION, STOP_DELAY_ANNOTATION, has_own_annotations,
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
    pub(super) fn of(self, pod: &Pod) -> Self {
        let annotations = &pod.metadata.annotations;
        if annotations.is_empty() || !has_own_annotations(annotations) {
            return self;
        }
        let of = |annotation, default| {
            annotations.get(annotation).map(Name::as_str).and_then(duration).unwrap_or(default)
        };
        Delays {
            start: of(START_DELAY_ANNOTATION, self.start),
            ready: of(READY_DELAY_ANNOTATION, self.ready),
            stop: of(STOP_DELAY_ANNOTATION, self.stop),
        }
    }
}

/// A span of time as people write it: `5s`, `1m30s`, `500ms`, `0`.
pub fn duration(text: &str) -> Option<Duration> {
    if text.trim() == "0" {
        return Some(Duration::ZERO);
    }
    text.parse::<SignedDuration>().ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time() {
        let table = [
            ("5s", Some(5_000)),
            ("1m30s", Some(90_000)),
            ("1m 30s", Some(90_000)),
            ("500ms", Some(500)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("355s", Some(355_000)),
            ("5", None),
            ("-5s", None),
            ("soon", None),
        ];
        for (text, millis) in table {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text:?}");
        }
    }
}
