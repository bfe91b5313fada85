//! The columns of faults.

use serde_json::Value;

use super::age::age;
use super::{AGE, Column, NAME, field, name, or};
use clusterlocal_core::store::Time;

pub(super) const FAULT: &[Column] = &[
    NAME,
    Column::text("Match", "The queries, or connections, that it hits."),
    Column::text("Actions", "The effects of the fault."),
    Column::number("Hits", "The number of hits."),
    Column::text("State", "Whether it is in force."),
    AGE,
    Column::text("Ends", "The time at which it ends, on the cluster's clock.").wide(),
];

pub(super) fn fault(fault: &Value, now: Time) -> Vec<Value> {
    let status = |name: &str| field::text(fault, &format!("/status/{name}"));
    vec![
        name(fault),
        or(status("match"), "<everything>").into(),
        status("actions").into(),
        field::number(fault, "/status/hits").into(),
        status("phase").into(),
        age(fault, now).into(),
        or(status("ends"), "<never>").into(),
    ]
}
