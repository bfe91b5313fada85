//! Rules of single fields that several parts of a spec share, and the lists of containers. Must not depend on those parts.

use crate::field::{At, Causes};

/// Reports each of `fields` that is empty.
pub(crate) fn require(source: &At<'_>, fields: &[&'static str], causes: &mut Causes) {
    for field in fields {
        if source.at(field).is_empty() {
            causes.required(&source.at(field), "");
        }
    }
}

/// The mode of a file.
pub(crate) fn validate_mode(mode: &At<'_>, causes: &mut Causes) {
    if !(0..=0o777).contains(&mode.number()) {
        let why = "must be a number between 0 and 0777 (octal), both inclusive";
        causes.invalid(mode, mode.number(), why);
    }
}

/// A value that has to be there, and be one of `supported`.
pub(crate) fn validate_one_of(field: &At<'_>, supported: &[&str], causes: &mut Causes) {
    if field.is_empty() {
        causes.required(field, "");
    } else if !supported.contains(&field.text()) {
        causes.not_supported(field, field.text(), supported);
    }
}

/// `VisitContainersWithPath`: all containers, in its order.
pub(crate) fn all_containers<'o>(spec: &At<'o>) -> impl Iterator<Item = At<'o>> + use<'o> {
    let lists = ["initContainers", "containers", "ephemeralContainers"].map(|list| spec.at(list));
    lists.into_iter().flat_map(|list| list.items())
}
