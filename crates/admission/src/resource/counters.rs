//! Counters: what devices share, and what each consumes.

use super::device_names::validate_counter_name;
use super::lists::validate_map;
use crate::field::{At, Causes};
use crate::primitives::names;

/// Maximum number of counters in a set (`ResourceSliceMaxCountersPerCounterSet`).
const COUNTERS_MAX: usize = 32;

/// Maximum length of the name of a counter, in bytes.
const COUNTER_NAME_MAX: usize = 63;

/// `validateCounterSet`
pub(super) fn validate_counter_set(set: &At<'_>, causes: &mut Causes) {
    validate_counters(&set.at("name"), &set.at("counters"), causes);
}

/// What a set of counters has, and a device consumes of one.
pub(super) fn validate_counters(set: &At<'_>, counters: &At<'_>, causes: &mut Causes) {
    if set.is_empty() {
        causes.required(set, "");
    } else {
        names::check(set, names::dns_label, causes);
    }
    if counters.is_empty() {
        return causes.required(counters, "");
    }
    validate_map(counters, Some(COUNTERS_MAX), COUNTER_NAME_MAX, validate_counter_name, |_, _| {}, causes);
}
