//! Names of attributes, pools and requests (`pkg/apis/resource/validation`).

use std::collections::{BTreeMap, BTreeSet};

use crate::core::validation::volume_sources::validate_csi_driver_name;
use crate::field::{At, Causes};
use crate::primitives::names;

/// Maximum length of the name of an attribute, in bytes (`DeviceMaxIDLength`).
const ID_MAX: usize = 32;

/// Maximum length of such a name with its domain (`attributeAndCapacityMaxKeyLength`).
pub(super) const QUALIFIED_MAX: usize = 63 + 1 + ID_MAX;

/// Maximum length of the name of a pool, in bytes (`PoolNameMaxLength`).
const POOL_MAX: usize = 253;

/// `validateQualifiedName`, of a name whose causes have the path of `field`. Names with several slashes are taken.
pub(super) fn validate_qualified_name(field: &At<'_>, name: &str, causes: &mut Causes) {
    let parts: Vec<&str> = name.split('/').collect();
    match parts[..] {
        [id] => validate_c_identifier(field, id, causes),
        [domain, id] => {
            if domain.is_empty() {
                causes.invalid(field, "", "the domain must not be empty");
            } else {
                let domain = domain.into();
                validate_csi_driver_name(&field.with(&domain), causes);
            }
            if id.is_empty() {
                causes.invalid(field, "", "the name must not be empty");
            } else {
                validate_c_identifier(field, id, causes);
            }
        }
        _ => {}
    }
}

/// `validateFullyQualifiedName`
pub(super) fn validate_fully_qualified_name(name: &At<'_>, causes: &mut Causes) {
    validate_qualified_name(name, name.text(), causes);
    if !name.text().contains('/') {
        let why = "a fully qualified name must be a domain and a name separated by a slash";
        causes.invalid(name, name.text(), why);
    }
}

/// `validateCIdentifier`
fn validate_c_identifier(field: &At<'_>, id: &str, causes: &mut Causes) {
    if id.len() > ID_MAX {
        causes.too_long(field, ID_MAX);
    }
    for fault in names::c_identifier(id) {
        causes.invalid(field, id, &fault);
    }
}

/// `validateCounterName`, of a key.
pub(super) fn validate_counter_name(field: &At<'_>, name: &str, causes: &mut Causes) {
    for fault in names::dns_label(name) {
        causes.invalid(field, name, &fault);
    }
}

/// `validatePoolName`
pub(super) fn validate_pool_name(name: &At<'_>, causes: &mut Causes) {
    if name.is_empty() {
        return causes.required(name, "");
    }
    if name.text().len() > POOL_MAX {
        causes.too_long(name, POOL_MAX);
    }
    for part in name.text().split('/') {
        for fault in names::dns_subdomain(part) {
            causes.invalid(name, part, &fault);
        }
    }
}

/// The names of requests, with those of their subrequests (`gatherRequestNames`).
pub(super) struct RequestNames<'o>(BTreeMap<&'o str, BTreeSet<&'o str>>);

impl<'o> RequestNames<'o> {
    pub(super) fn of(requests: &At<'o>) -> Self {
        let names = requests.items().map(|request| {
            let below = request.at("firstAvailable").items().map(|one| one.at("name").text()).collect();
            (request.at("name").text(), below)
        });
        RequestNames(names.collect())
    }

    fn has(&self, name: &str) -> bool {
        match name.split_once('/') {
            None => self.0.contains_key(name),
            Some((request, below)) => self.0.get(request).is_some_and(|names| names.contains(below)),
        }
    }

    /// `validateRequestNameRef`
    pub(super) fn validate_reference(&self, reference: &At<'_>, causes: &mut Causes) {
        const FORM: &str = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
        let text = reference.text();
        let segments: Vec<&str> = text.split('/').collect();
        if segments.len() > 2 {
            return causes.invalid(reference, text, FORM);
        }
        for segment in segments {
            for fault in names::dns_label(segment) {
                causes.invalid(reference, segment, &fault);
            }
        }
        if !self.has(text) {
            causes.invalid(reference, text, FORM);
        }
    }
}
