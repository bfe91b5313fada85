//! Takes the place of `pkg/apis/certificates`: CertificateSigningRequests. A request is not parsed further than to its PEM block,
//! and its signature is not verified.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::core::validation::metadata;
use crate::core::validation::projected::validate_signer_name;
use crate::field::{At, Causes};
use crate::primitives::updates::keep_status;
use crate::schema::unbase64;
use crate::strategy::Strategy;

pub(crate) const STRATEGIES: &[Strategy] = &[Strategy {
    prepare_for_create: |request| {
        if let Some(request) = request.as_object_mut() {
            request.insert("status".into(), json!({}));
        }
        set_requester(request);
    },
    // A request changes only by its subresources.
    prepare_for_update: |request, before| {
        keep_status(request, before);
        if let Some(request) = request.as_object_mut() {
            request.insert("spec".into(), before["spec"].clone());
        }
    },
    validate: |request, causes| validate_certificate_signing_request(request, Allowed::default(), causes),
    validate_update: |request, before, causes| {
        validate_certificate_signing_request(request, Allowed::by(before), causes);
        metadata::validate_object_meta_update(&request.at("metadata"), &before.at("metadata"), causes);
    },
    ..Strategy::of("certificates.k8s.io", "CertificateSigningRequest", false)
}];

/// `allValidUsages`, sorted.
const USAGES: &[&str] = &[
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

/// A signer that only `v1beta1` knows (`LegacyUnknownSignerName`).
const LEGACY_SIGNER: &str = "kubernetes.io/legacy-unknown";

/// Minimum validity of a certificate, in seconds.
const EXPIRATION_MIN: i64 = 600;

/// What a request that is there may keep (`certificateValidationOptions`).
#[derive(Default)]
struct Allowed {
    legacy_signer: bool,
    unknown_usages: bool,
    duplicate_usages: bool,
}

impl Allowed {
    fn by(before: &At<'_>) -> Self {
        let usages = before.at("spec.usages");
        let different: BTreeSet<&str> = usages.items().map(|usage| usage.text()).collect();
        Allowed {
            legacy_signer: before.at("spec.signerName").text() == LEGACY_SIGNER,
            unknown_usages: different.iter().any(|usage| !USAGES.contains(usage)),
            duplicate_usages: different.len() < usages.list().len(),
        }
    }
}

/// The user of every client: there is no authentication.
pub fn administrator() -> Value {
    json!({ "username": "kubernetes-admin", "groups": ["system:masters", "system:authenticated"] })
}

/// The server records the user of the request itself.
fn set_requester(request: &mut Value) {
    let (Some(spec), Value::Object(user)) = (request["spec"].as_object_mut(), administrator()) else {
        return;
    };
    for field in ["username", "uid", "groups", "extra"] {
        spec.remove(field);
    }
    spec.extend(user);
}

/// `validateCertificateSigningRequest`. The status is that of the object before, or empty.
fn validate_certificate_signing_request(request: &At<'_>, allowed: Allowed, causes: &mut Causes) {
    metadata::validate_object_meta(&request.at("metadata"), false, |_| Vec::new(), causes);
    let spec = request.at("spec");
    let (content, usages, signer) = (spec.at("request"), spec.at("usages"), spec.at("signerName"));
    if !is_request(content.text()) {
        causes.invalid(&content, content.value(), "PEM block type must be CERTIFICATE REQUEST");
    }
    if usages.is_empty() {
        causes.required(&usages, "");
    }
    if !allowed.unknown_usages {
        for usage in usages.items().filter(|usage| !USAGES.contains(&usage.text())) {
            causes.not_supported(&usage, usage.text(), USAGES);
        }
    }
    let mut seen = BTreeSet::new();
    for usage in usages.items() {
        if !seen.insert(usage.text()) && !allowed.duplicate_usages {
            causes.duplicate(&usage, usage.text());
        }
    }
    if signer.text() == LEGACY_SIGNER && !allowed.legacy_signer {
        let why = "the legacy signerName is not allowed via this API version";
        causes.invalid(&signer, signer.text(), why);
    } else {
        validate_signer_name(&signer, causes);
    }
    let expiration = spec.at("expirationSeconds");
    if expiration.number_if_set().is_some_and(|seconds| seconds < EXPIRATION_MIN) {
        let why = "may not specify a duration less than 600 seconds (10 minutes)";
        causes.invalid(&expiration, expiration.number(), why);
    }
}

/// Whether the first PEM block in `base64` is a request for a certificate.
fn is_request(base64: &str) -> bool {
    const BEGIN: &str = "-----BEGIN CERTIFICATE REQUEST-----\n";
    const END: &str = "\n-----END CERTIFICATE REQUEST-----";
    let bytes = unbase64(base64.as_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).replace('\r', "");
    let Some(at) = text.find("-----BEGIN ") else { return false };
    let body = text[at..].strip_prefix(BEGIN).and_then(|rest| rest.split_once(END));
    body.is_some_and(|(body, _)| unbase64(body.as_bytes()).is_ok_and(|der| !der.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::to_base64;

    #[test]
    fn only_a_block_of_a_request_is_one() {
        let table = [
            ("-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n", true),
            ("a\r\n-----BEGIN CERTIFICATE REQUEST-----\r\nMAA=\r\n-----END CERTIFICATE REQUEST-----", true),
            ("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", false),
            ("-----BEGIN CERTIFICATE REQUEST-----\n*\n-----END CERTIFICATE REQUEST-----\n", false),
            ("", false),
        ];
        for (pem, expected) in table {
            assert_eq!(is_request(&to_base64(pem.as_bytes())), expected, "{pem}");
        }
    }
}
