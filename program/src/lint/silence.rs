//! `clusterlocal.dev/allow: CODE,CODE`: leaves out findings about an object. Must not depend on a rule.

use rustc_hash::FxHashMap;

use super::RULES;
use clusterlocal_core::manifest::{Manifest, Problem};
use clusterlocal_core::store::{ALLOW_ANNOTATION, Key, nearest};

/// Removes from `findings[from..]`, which are about objects of `manifest`, those that annotations allow, and adds a finding for
/// each unknown code.
pub(super) fn apply(manifest: &Manifest, findings: &mut Vec<Problem>, from: usize) {
    let mut allowed: FxHashMap<Key, Vec<&str>> = FxHashMap::default();
    let mut unknown = Vec::new();
    for read in &manifest.objects {
        let Some(value) = read.object.metadata().annotations.get(ALLOW_ANNOTATION) else { continue };
        let codes: Vec<&str> = value.split([',', ' ']).filter(|code| !code.is_empty()).collect();
        for code in codes.iter().filter(|code| RULES.iter().all(|rule| rule.code != **code)) {
            let near = nearest(code, RULES.iter().map(|rule| rule.code));
            let help = near.map_or("`clusterlocal check --help` lists the codes".into(), |near| {
                format!("did you mean {near}?")
            });
            let place = read.place.locate(&format!("metadata.annotations[{ALLOW_ANNOTATION}]"));
            let message = format!("{code:?} is not the code of a finding: it has no effect");
            let problem = Problem::at(&read.place, place, message).with_help(help).about(read.object.key());
            let mut problem = problem.as_warning();
            problem.code = Some("unknown-code");
            unknown.push(problem);
        }
        allowed.entry(read.object.key()).or_default().extend(codes);
    }
    if !allowed.is_empty() {
        let is_allowed = |problem: &Problem| {
            let of_object = problem.object.as_ref().and_then(|key| allowed.get(key));
            of_object.zip(problem.code).is_some_and(|(codes, code)| codes.contains(&code))
        };
        let mut at = 0;
        findings.retain(|problem| {
            at += 1;
            at <= from || !is_allowed(problem)
        });
    }
    findings.extend(unknown);
}
