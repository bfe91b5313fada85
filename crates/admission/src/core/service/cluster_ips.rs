//! The addresses of Services and their families: `ValidateServiceClusterIPsRelatedFields` and what an update may change of them,
//! of `pkg/apis/core/validation`.

use serde_json::Value;

use super::{is_headless, type_of};
use crate::field::{At, Causes, Shown};
use crate::primitives::addresses;

/// The policy as `field.Error` writes the pointer to it.
pub(super) fn shown_policy(service: &At<'_>) -> Shown {
    Shown::from(service.at("spec.ipFamilyPolicy").value())
}

/// `ValidateServiceClusterIPsRelatedFields`
pub(super) fn validate_cluster_ips(service: &At<'_>, old: Option<&At<'_>>, causes: &mut Causes) {
    if type_of(service) == "ExternalName" {
        return;
    }
    let ip = service.at("spec.clusterIP");
    let ips = service.at("spec.clusterIPs");
    match (ip.is_empty(), ips.is_empty()) {
        (false, true) => causes.required(&ips, ""),
        (false, false) if ips.item(0).text() != ip.text() => {
            causes.invalid(&ips, ips.value(), "first value must match `clusterIP`");
        }
        (true, false) => causes.invalid(&ips, ips.value(), "must be empty when `clusterIP` is not specified"),
        _ => {}
    }
    let families = service.at("spec.ipFamilies");
    for (index, family) in families.items().enumerate() {
        if !matches!(family.text(), "IPv4" | "IPv6") {
            causes.not_supported(&family, family.text(), &["IPv4", "IPv6"]);
        }
        if families.list()[..index].contains(family.value()) {
            causes.duplicate(&family, family.text());
        }
    }
    let policy = service.at("spec.ipFamilyPolicy");
    if policy.is_set() && !matches!(policy.text(), "SingleStack" | "PreferDualStack" | "RequireDualStack") {
        causes.not_supported(&policy, policy.text(), &["PreferDualStack", "RequireDualStack", "SingleStack"]);
    }
    let existing = ips.with(old.map_or(&Value::Null, |old| old.at("spec.clusterIPs").value()));
    let mut all_valid = true;
    for (index, ip) in ips.items().enumerate() {
        if index == 0 && ip.text() == "None" {
            if ips.list().len() > 1 {
                all_valid = false;
                causes.invalid(&ips, ips.value(), "'None' must be the first and only value");
            }
            continue;
        }
        all_valid &= addresses::is_valid_ip_for_legacy_field(&ip, &existing, causes);
    }
    if ips.list().len() > 2 {
        causes.invalid(&ips, ips.value(), "may only hold up to 2 values");
    }
    if !all_valid {
        return;
    }
    if ips.list().len() > 1 {
        let (v6, v4): (Vec<_>, Vec<_>) = ips.items().partition(|ip| addresses::is_v6(ip.text()));
        if v6.is_empty() || v4.is_empty() {
            causes.invalid(&ips, ips.value(), "may specify no more than one IP for each IP family");
        }
    }
    if !is_headless(service) {
        for (index, (ip, family)) in ips.items().zip(families.items()).enumerate() {
            let is_v6 = addresses::is_v6(ip.text());
            if family.text() == "IPv4" && is_v6 || family.text() == "IPv6" && !is_v6 {
                let why =
                    format!("expected an {} value as indicated by `ipFamilies[{index}]`", family.text());
                causes.invalid(&ip, ip.text(), &why);
            }
        }
    }
}

/// `validateUpgradeDowngradeClusterIPs`
pub(super) fn validate_upgrade_downgrade_cluster_ips(old: &At<'_>, service: &At<'_>, causes: &mut Causes) {
    if type_of(service) == "ExternalName" || type_of(old) == "ExternalName" {
        return;
    }
    if is_headless(old) && is_headless(service) {
        return;
    }
    let ips = service.at("spec.clusterIPs");
    let (new, was) = (ips.list(), old.at("spec.clusterIPs").list());
    let mut changed = |index: usize, why: &str| causes.invalid(&ips.item(index), ips.value(), why);
    if was.len() == new.len() {
        for index in (0..was.len()).filter(|index| was[*index] != new[*index]) {
            changed(index, "may not change once set");
        }
        return;
    }
    if was.len() > new.len() && new.is_empty() {
        changed(0, "primary clusterIP can not be unset");
    }
    if !was.is_empty() && !new.is_empty() && was[0] != new[0] {
        changed(0, "may not change once set");
    }
    if was.len() > new.len() && new.len() == 1 && service.at("spec.ipFamilyPolicy").text() != "SingleStack" {
        let why = "must be set to 'SingleStack' when releasing the secondary clusterIP";
        causes.invalid(&service.at("spec.ipFamilyPolicy"), shown_policy(service), why);
    }
}

/// `validateUpgradeDowngradeIPFamilies`
pub(super) fn validate_upgrade_downgrade_ip_families(old: &At<'_>, service: &At<'_>, causes: &mut Causes) {
    if type_of(service) == "ExternalName" || type_of(old) == "ExternalName" {
        return;
    }
    if is_headless(service) || is_headless(old) {
        return;
    }
    let families = service.at("spec.ipFamilies");
    let ips = service.at("spec.clusterIPs");
    let (new, was) = (families.list(), old.at("spec.ipFamilies").list());
    let first = families.item(0);
    if was.len() == new.len() {
        for _ in (0..was.len()).filter(|index| was[*index] != new[*index]) {
            causes.invalid(&first, families.value(), "may not change once set");
        }
        return;
    }
    // An API server asks for the addresses here, not for the families.
    if was.len() > new.len() && ips.is_empty() {
        causes.invalid(&first, families.value(), "primary ipFamily can not be unset");
    }
    if !was.is_empty() && !new.is_empty() && was[0] != new[0] {
        causes.invalid(&first, ips.value(), "may not change once set");
    }
    if was.len() > new.len() && new.len() == 1 && service.at("spec.ipFamilyPolicy").text() != "SingleStack" {
        let why = "must be set to 'SingleStack' when releasing the secondary ipFamily";
        causes.invalid(&service.at("spec.ipFamilyPolicy"), shown_policy(service), why);
    }
}
