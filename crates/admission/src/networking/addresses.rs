//! ServiceCIDRs and IPAddresses (`pkg/apis/networking/validation`).

use serde_json::{Value, json};

use super::GROUP;
use crate::core::validation::metadata;
use crate::field::{At, Causes, Shown};
use crate::primitives::addresses;
use crate::primitives::names;
use crate::primitives::updates::keep_status;
use crate::schema;
use crate::strategy::Strategy;

pub(super) const SERVICE_CIDR: Strategy = Strategy {
    prepare_for_create: |cidr| cidr["status"] = json!({}),
    prepare_for_update: keep_status,
    validate: validate_service_cidr,
    validate_update: validate_service_cidr_update,
    validate_status_update: |cidr, before, causes| {
        metadata::validate_object_meta_update(&cidr.at("metadata"), &before.at("metadata"), causes);
    },
    ..Strategy::of(GROUP, "ServiceCIDR", false)
};

pub(super) const IP_ADDRESS: Strategy = Strategy {
    validate: validate_ip_address,
    validate_update: validate_ip_address_update,
    ..Strategy::of(GROUP, "IPAddress", false)
};

const IMMUTABLE: &str = "field is immutable";

/// `ValidateServiceCIDR`
fn validate_service_cidr(cidr: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&cidr.at("metadata"), false, names::dns_subdomain, causes);
    validate_service_cidr_spec(&cidr.at("spec"), causes);
}

/// `validateServiceCIDRSpec`
fn validate_service_cidr_spec(spec: &At<'_>, causes: &mut Causes) {
    let cidrs = spec.at("cidrs");
    match cidrs.list().len() {
        0 => return causes.required(&cidrs, "at least one CIDR required"),
        1 | 2 => {}
        _ => {
            let shown = schema::go_json("ServiceCIDRSpec", spec.value());
            return causes.invalid(&cidrs, shown, "may only hold up to 2 values");
        }
    }
    for cidr in cidrs.items() {
        addresses::validate_canonical_cidr(&cidr, causes);
    }
    let is_v4 = |index: usize| {
        addresses::parse_cidr_sloppy(cidrs.item(index).text()).map(|(address, _)| address.is_ipv4())
    };
    if cidrs.list().len() == 2 && is_v4(0).is_some() && is_v4(0) == is_v4(1) {
        let why = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
        causes.invalid(&cidrs, cidrs.value(), why);
    }
}

/// `ValidateServiceCIDRUpdate`: a range of the other family may be added.
fn validate_service_cidr_update(cidr: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta_update(&cidr.at("metadata"), &before.at("metadata"), causes);
    let cidrs = cidr.at("spec.cidrs");
    let (new, old) = (cidrs.list(), before.at("spec.cidrs").list());
    let is_upgrade = (old.len(), new.len()) == (1, 2);
    if !is_upgrade && old.len() != new.len() {
        return causes.invalid(&cidrs, cidrs.value(), IMMUTABLE);
    }
    for index in (0..old.len()).filter(|index| old[*index] != new[*index]) {
        causes.invalid(&cidrs.item(index), cidrs.item(index).text(), IMMUTABLE);
    }
    if is_upgrade {
        validate_service_cidr_spec(&cidr.at("spec"), causes);
    }
}

/// A field of a reference, whether it has to be there, and its form.
type Rule = (&'static str, bool, fn(&str) -> names::Faults);

/// `ValidateIPAddress`, whose name is the address.
fn validate_ip_address(address: &At<'_>, causes: &mut Causes) {
    metadata::validate_object_meta(&address.at("metadata"), false, addresses::canonical_ip, causes);
    let parent = address.at("spec.parentRef");
    if !parent.is_set() {
        return causes.required(&parent, "");
    }
    let rules: [Rule; 4] = [
        ("group", false, names::dns_subdomain),
        ("resource", true, names::path_segment),
        ("name", true, names::path_segment),
        ("namespace", false, names::path_segment),
    ];
    for (name, is_required, rule) in rules {
        let field = parent.at(name);
        if !field.is_empty() {
            for fault in rule(field.text()) {
                causes.invalid(&field, field.text(), &fault);
            }
        } else if is_required {
            causes.required(&field, "");
        }
    }
}

/// What `Strategy.ValidateUpdate` does.
fn validate_ip_address_update(address: &At<'_>, before: &At<'_>, causes: &mut Causes) {
    validate_ip_address(address, causes);
    metadata::validate_object_meta_update(&address.at("metadata"), &before.at("metadata"), causes);
    let parent = address.at("spec.parentRef");
    if parent.value() != before.at("spec.parentRef").value() {
        let shown = match parent.value() {
            Value::Null => Shown::nil(),
            value => schema::go_json("ParentReference", value),
        };
        causes.invalid(&parent, shown, IMMUTABLE);
    }
}
