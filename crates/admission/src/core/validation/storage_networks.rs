//! Volumes of storage networks: iSCSI and Fibre Channel.

use super::fields::require;
use crate::field::{At, Causes};

pub(crate) const ISCSI_TOO_LONG: &str = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";
const LUN: &str = "must be between 0 and 255, inclusive";

/// `validateISCSIVolumeSource`
pub(crate) fn validate_iscsi_volume_source(source: &At<'_>, causes: &mut Causes) {
    require(source, &["targetPortal"], causes);
    validate_iscsi(source, "must be valid format starting with iqn, eui, or naa", |_, _| {}, causes);
}

/// `validateISCSIPersistentVolumeSource`
pub(crate) fn validate_iscsi_persistent_volume_source(
    source: &At<'_>,
    volume_name: &str,
    causes: &mut Causes,
) {
    require(source, &["targetPortal"], causes);
    let portal = source.at("targetPortal").text();
    if source.at("initiatorName").is_set() && volume_name.len() + 1 + portal.len() > 64 {
        causes.invalid(&source.at("targetportal"), portal, ISCSI_TOO_LONG);
    }
    let secret = |source: &At<'_>, causes: &mut Causes| {
        if source.at("secretRef").is_set() {
            require(&source.at("secretRef"), &["name"], causes);
        }
    };
    validate_iscsi(source, "must be valid format", secret, causes);
}

fn validate_iscsi(
    source: &At<'_>,
    unknown_form: &str,
    secret: impl Fn(&At<'_>, &mut Causes),
    causes: &mut Causes,
) {
    require(source, &["iqn"], causes);
    let iqn = source.at("iqn");
    validate_iscsi_name(&iqn, &iqn, unknown_form, causes);
    let lun = source.at("lun");
    if !(0..=255).contains(&lun.number()) {
        causes.invalid(&lun, lun.number(), LUN);
    }
    let is_authenticated = source.at("chapAuthDiscovery").is_true() || source.at("chapAuthSession").is_true();
    if is_authenticated && !source.at("secretRef").is_set() {
        causes.required(&source.at("secretRef"), "");
    }
    secret(source, causes);
    let initiator = source.at("initiatorName");
    if initiator.is_set() {
        if initiator.is_empty() {
            causes.invalid(&source.at("initiatorname"), "", unknown_form);
        }
        validate_iscsi_name(&initiator, &source.at("initiatorname"), unknown_form, causes);
    }
}

/// The name of an iSCSI node, if it is not empty: `iqn.2001-04.com.example:a`.
fn validate_iscsi_name(name: &At<'_>, shown_at: &At<'_>, unknown_form: &str, causes: &mut Causes) {
    let text = name.text();
    let is_hex = |begin: &str, length: usize| {
        let mut rest = text.strip_prefix(begin).unwrap_or_default().chars();
        let separator = rest.next().is_some_and(|c| c != '\n');
        separator && rest.as_str().len() == length && rest.all(|c| c.is_ascii_alphanumeric())
    };
    let is_valid = match text.get(..3).unwrap_or(text) {
        "" => return,
        "iqn" => is_iqn(text),
        "eui" => is_hex("eui", 16),
        "naa" => is_hex("naa", 32),
        _ => return causes.invalid(shown_at, text, unknown_form),
    };
    if !is_valid {
        causes.invalid(shown_at, text, "must be valid format");
    }
}

/// `iscsiInitiatorIqnRegex`, which is not bound to the beginning.
fn is_iqn(text: &str) -> bool {
    text.match_indices("iqn.").any(|(at, begin)| {
        let rest = &text[at + begin.len()..];
        let Some((date, rest)) = rest.split_at_checked(8) else { return false };
        let is_date = date.bytes().enumerate().all(|(index, byte)| match index {
            4 => byte == b'-',
            7 => byte == b'.',
            _ => byte.is_ascii_digit(),
        });
        let Some((authority, name)) = rest.split_once(':') else { return false };
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        let is_bad = |c: char| c.is_ascii_whitespace() || ",;*&$|".contains(c);
        is_date
            && !authority.is_empty()
            && authority.chars().all(is_word)
            && !name.is_empty()
            && !name.contains(is_bad)
    })
}

/// `validateFCVolumeSource`
pub(crate) fn validate_fc_volume_source(source: &At<'_>, causes: &mut Causes) {
    let (names, ids, lun) = (source.at("targetWWNs"), source.at("wwids"), source.at("lun"));
    if names.is_empty() && ids.is_empty() {
        causes.required(&names, "must specify either targetWWNs or wwids, but not both");
    }
    if names.is_empty() {
        return;
    }
    if !ids.is_empty() {
        let why = "targetWWNs and wwids can not be specified simultaneously";
        causes.invalid(&names, names.value(), why);
    }
    match lun.number_if_set() {
        None => causes.required(&lun, "lun is required if targetWWNs is specified"),
        Some(number) if !(0..=255).contains(&number) => causes.invalid(&lun, number, LUN),
        Some(_) => {}
    }
}
