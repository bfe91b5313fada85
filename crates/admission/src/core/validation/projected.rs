//! Volumes of several sources, and the names that their certificates are issued under.

use std::collections::BTreeSet;

use super::downward_api::validate_downward_api_volume_file;
use super::fields::validate_mode;
use super::paths::validate_local_non_reserved_path;
use super::volume_sources::validate_key_to_path;
use crate::field::{At, Causes};
use crate::primitives::names::{self, Faults};
use crate::primitives::{metadata, selectors};
use crate::schema;

/// `validateProjectedVolumeSource`
pub(crate) fn validate_projected_volume_source(source: &At<'_>, causes: &mut Causes) {
    validate_mode(&source.at("defaultMode"), causes);
    let mut projection = Projection { volume: source, paths: BTreeSet::new() };
    for source in source.at("sources").items() {
        projection.validate(&source, causes);
    }
}

/// `validateProjectionSources`
struct Projection<'v, 'o> {
    volume: &'v At<'o>,
    /// The files of all sources.
    paths: BTreeSet<&'o str>,
}

impl<'o> Projection<'_, 'o> {
    fn validate(&mut self, source: &At<'o>, causes: &mut Causes) {
        let mut count = 0;
        for (field, validate) in [
            ("secret", Self::validate_keys as fn(&mut Self, &At<'o>, &mut Causes)),
            ("configMap", Self::validate_keys),
            ("downwardAPI", Self::validate_downward_api),
            ("serviceAccountToken", Self::validate_token),
            ("clusterTrustBundle", Self::validate_bundle),
            ("podCertificate", Self::validate_certificate),
        ] {
            let source = source.at(field);
            if source.is_set() {
                count += 1;
                validate(self, &source, causes);
            }
        }
        if count > 1 {
            causes.forbidden(source, "may not specify more than 1 volume type per source");
        }
    }

    /// Each path may occur once in the whole volume; `shown` is the value in the message about a second one.
    fn add(&mut self, path: &At<'o>, shown: &str, causes: &mut Causes) {
        if !self.paths.insert(path.text()) {
            causes.invalid(self.volume, shown, "conflicting duplicate paths");
        }
    }

    fn validate_keys(&mut self, source: &At<'o>, causes: &mut Causes) {
        let name = source.at("name");
        if name.is_empty() {
            causes.required(&name, "");
        }
        for item in source.at("items").items() {
            validate_key_to_path(&item, causes);
            if !item.at("path").is_empty() {
                self.add(&item.at("path"), name.text(), causes);
            }
        }
    }

    fn validate_downward_api(&mut self, source: &At<'o>, causes: &mut Causes) {
        for file in source.at("items").items() {
            validate_downward_api_volume_file(&source.with(file.value()), causes);
            let path = file.at("path");
            if !path.is_empty() {
                self.add(&path, path.text(), causes);
            }
        }
    }

    fn validate_token(&mut self, source: &At<'o>, causes: &mut Causes) {
        let expiration = source.at("expirationSeconds");
        if expiration.number() < 600 {
            let why = "may not specify a duration less than 10 minutes";
            causes.invalid(&expiration, expiration.number(), why);
        }
        if expiration.number() > 1 << 32 {
            let why = "may not specify a duration larger than 2^32 seconds";
            causes.invalid(&expiration, expiration.number(), why);
        }
        let path = self.volume.at("path").with(source.at("path").value());
        if path.is_empty() {
            causes.required(&path, "");
        } else {
            validate_local_non_reserved_path(&path, causes);
        }
    }

    fn validate_bundle(&mut self, source: &At<'o>, causes: &mut Causes) {
        let (name, signer) = (source.at("name"), source.at("signerName"));
        let selector = source.at("labelSelector");
        match (name.is_set(), signer.is_set()) {
            (true, true) => {
                let shown = schema::go_json("ClusterTrustBundleProjection", source.value());
                causes.invalid(source, shown, "only one of name and signerName may be used");
            }
            (true, false) => {
                if name.is_empty() {
                    causes.required(&name, "must be a valid object name");
                }
                let signer = name.text().rsplit_once(':').map(|(signer, _)| signer.replace(':', "/"));
                for fault in cluster_trust_bundle_name(&signer.unwrap_or_default(), name.text()) {
                    let why = format!("not a valid clustertrustbundlename: {fault}");
                    causes.invalid(&name, name.text(), &why);
                }
                if selector.is_set() {
                    let shown = schema::go_json("LabelSelector", selector.value());
                    causes.invalid(&selector, shown, "labelSelector must be unset if name is specified");
                }
            }
            (false, true) => {
                if signer.is_empty() {
                    causes.required(&signer, "must be a valid signer name");
                }
                validate_signer_name(&signer, causes);
                selectors::validate_label_selector(&selector, causes);
            }
            (false, false) => causes.required(source, "either name or signerName must be specified"),
        }
        let path = source.at("path");
        if path.is_empty() {
            causes.required(&path, "");
        }
        validate_local_non_reserved_path(&path, causes);
        self.add(&path, path.text(), causes);
    }

    fn validate_certificate(&mut self, source: &At<'o>, causes: &mut Causes) {
        const KEYS: &[&str] = &["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];
        const DAY: i64 = 24 * 60 * 60;
        let signer = source.at("signerName");
        validate_signer_name(&signer, causes);
        validate_user_annotations(&source.at("userAnnotations"), causes);
        let key = source.at("keyType");
        if !KEYS.contains(&key.text()) {
            causes.not_supported(&key, key.text(), KEYS);
        }
        let expiration = source.at("maxExpirationSeconds");
        if let Some(seconds) = expiration.number_if_set() {
            if seconds < 3600 {
                let why = "if provided, maxExpirationSeconds must be >= 3600";
                causes.invalid(&expiration, seconds, why);
            }
            let max = if is_kubernetes_signer_name(signer.text()) { DAY } else { 91 * DAY };
            if seconds > max {
                let why = format!("if provided, maxExpirationSeconds must be <= {max}");
                causes.invalid(&expiration, seconds, &why);
            }
        }
        let mut is_written = false;
        for field in ["credentialBundlePath", "keyPath", "certificateChainPath"] {
            let path = source.at(field);
            if !path.is_empty() {
                is_written = true;
                validate_local_non_reserved_path(&path, causes);
                self.add(&path, path.text(), causes);
            }
        }
        if !is_written {
            let why = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath";
            causes.required(source, why);
        }
    }
}

/// `ValidateClusterTrustBundleName`: the name begins with that of the signer, if there is one.
fn cluster_trust_bundle_name(signer: &str, name: &str) -> Faults {
    if signer.is_empty() {
        if name.contains(':') {
            return vec!["ClusterTrustBundle without signer name must not have \":\" in its name".into()];
        }
        return names::dns_subdomain(name);
    }
    let prefix = format!("{}:", signer.replace('/', ":"));
    match name.strip_prefix(&prefix) {
        Some(rest) => names::dns_subdomain(rest),
        None => {
            vec![format!("ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}")]
        }
    }
}

/// `IsKubernetesSignerName`
fn is_kubernetes_signer_name(signer: &str) -> bool {
    let host = signer.split('/').next().unwrap_or_default();
    host == "kubernetes.io" || host.ends_with(".kubernetes.io")
}

/// `ValidateSignerName`: `example.com/name`.
pub(crate) fn validate_signer_name(signer: &At<'_>, causes: &mut Causes) {
    if signer.is_empty() {
        causes.required(signer, "");
        return;
    }
    let segments: Vec<&str> = signer.text().split('/').collect();
    let [domain, path] = segments[..] else {
        let why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        causes.invalid(signer, signer.text(), why);
        return;
    };
    if domain.len() > 253 {
        causes.too_long(signer, 253);
    }
    validate_labels(signer, domain, names::dns_label, causes);
    if !domain.contains('.') {
        let why = "should be a domain with at least two segments separated by dots";
        causes.invalid(signer, domain, why);
    }
    validate_labels(signer, path, names::dns_subdomain, causes);
    if signer.text().len() > 571 {
        causes.too_long(signer, 571);
    }
}

/// Only the first invalid label is reported.
fn validate_labels(signer: &At<'_>, segment: &str, rule: fn(&str) -> Faults, causes: &mut Causes) {
    let mut all = segment.split('.').map(|label| (label, rule(label)));
    if let Some((label, faults)) = all.find(|(_, faults)| !faults.is_empty()) {
        for fault in faults {
            causes.invalid(signer, segment, &format!("validating label {label:?}: {fault}"));
        }
    }
}

/// `ValidateUserAnnotations`: their keys have a domain.
fn validate_user_annotations(annotations: &At<'_>, causes: &mut Causes) {
    for (key, _) in annotations.entries() {
        let key = key.to_lowercase();
        if key.is_empty() {
            causes.required(annotations, "");
            continue;
        }
        let faults = names::label_key(&key);
        for fault in &faults {
            causes.invalid(annotations, key.as_str(), fault);
        }
        if faults.is_empty() && !key.contains('/') {
            let why = "must be a domain-prefixed key (such as \"acme.io/foo\")";
            causes.invalid(annotations, key.as_str(), why);
        }
    }
    metadata::validate_annotations_size(annotations, causes);
}
