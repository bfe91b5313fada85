//! Why the API would refuse a pod that a controller makes.

use std::time::Duration;

use super::Context;
use crate::store::{LABEL_MAX, Name, Pod, is_label};

/// Interval at which a controller tries again to make a pod that was refused.
pub(super) const RETRY: Duration = Duration::from_secs(10);

/// The API's reason for refusing `pod`, as the error has it.
pub(super) fn of_pod(_context: Context<'_>, pod: &Pod) -> Option<String> {
    let name = &pod.metadata.name;
    if let Some(long) = pod.metadata.labels.longer_value(LABEL_MAX).map(Name::as_str) {
        return Some(format!(
            "Pod {name:?} is invalid: metadata.labels: Invalid value: {long:?}: must be no more than {LABEL_MAX} bytes"
        ));
    }
    let hostname = &pod.spec.hostname;
    if !hostname.is_empty() && hostname.len() > LABEL_MAX {
        return Some(format!(
            "Pod {name:?} is invalid: spec.hostname: Invalid value: {hostname:?}: must be no more than {LABEL_MAX} bytes"
        ));
    }
    if !hostname.is_empty() && !is_label(hostname) {
        return Some(format!(
            "Pod {name:?} is invalid: spec.hostname: Invalid value: {hostname:?}: a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        ));
    }
    None
}
