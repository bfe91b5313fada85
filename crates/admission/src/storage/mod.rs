//! Takes the place of `pkg/apis/storage`.

mod attachments;
mod capacities;
mod classes;
mod drivers;
mod nodes;

use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[
    classes::STORAGE_CLASS,
    classes::VOLUME_ATTRIBUTES_CLASS,
    drivers::CSI_DRIVER,
    nodes::CSI_NODE,
    capacities::CSI_STORAGE_CAPACITY,
    attachments::VOLUME_ATTACHMENT,
];

/// The API group.
const GROUP: &str = "storage.k8s.io";
