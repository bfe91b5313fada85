//! Takes the place of `kubectl apply --dry-run=server`: what an API server would refuse in manifests from which it is clear all
//! the same what the cluster would be. Fields that a kind does not have, values of another type, duplicate keys, and
//! what validation refuses: all of it by the same schema and rules as the API here, and in its words. It must not know the DNS,
//! nor what a cluster makes of objects.

mod near;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use serde_json::Value;

use crate::admit::{self, Cause};
use clusterlocal_core::manifest::tree::Tree;
use clusterlocal_core::manifest::{Known, Manifest, Place, Problem, fresh};
use clusterlocal_core::store::{Key, Kind};
use clusterlocal_core::types;

/// Maximum number of warnings of one document: more are rarely read, and finding the place of each costs a pass over it.
const DOCUMENT_WARNINGS: usize = 10;

/// Maximum number of warnings of one file.
const FILE_WARNINGS: usize = 50;

/// The versions whose defaulting makes a selector of the template's labels.
const SELECTOR_DEFAULTED: [&str; 3] = ["apps/v1alpha1", "apps/v1beta1", "extensions/v1beta1"];

/// What an API server would refuse in `manifests`, in their order; all of it warnings.
pub fn review(manifests: &[Manifest]) -> Vec<Problem> {
    manifests.iter().flat_map(|manifest| changed(manifest, &[])).collect()
}

/// As [`review`], of those objects of `manifest` that are not `known` from before.
pub fn changed(manifest: &Manifest, known: &[Known]) -> Vec<Problem> {
    let mut review = Review::default();
    let reads = fresh(manifest, known).filter(|read| read.object.metadata().given.is_some());
    for read in reads {
        review.document(&read.place, Some(read.object.key()));
    }
    for place in &manifest.others {
        review.document(place, None);
    }
    review.problems.sort_by_key(Problem::line);
    let more = review.problems.len().saturating_sub(FILE_WARNINGS);
    review.problems.truncate(FILE_WARNINGS);
    if more > 0 {
        let message = format!("{more} more that an API server would refuse in this file are left out");
        review.problems.push(Problem::of_file(&manifest.name, message).as_warning());
    }
    review.problems
}

/// `value` as a string, if `message` is that a string is required, and quotes would make it one.
fn quoted(value: &Value, message: &str) -> Option<String> {
    let is_plain = matches!(value, Value::Number(_) | Value::Bool(_));
    (is_plain && message.ends_with(" of type string")).then(|| value.to_string())
}

/// Goes through a file.
#[derive(Default)]
struct Review {
    /// The document that was parsed last: items of a List whose places are not distinguished share one.
    parsed: Option<(Range<usize>, Tree)>,
    problems: Vec<Problem>,
    /// How many of them are of that document.
    of_document: usize,
}

impl Review {
    /// Looks at the object at `place`.
    fn document(&mut self, place: &Place, key: Option<Key>) {
        let range = place.range();
        if self.parsed.as_ref().is_none_or(|(parsed, _)| *parsed != range) {
            self.of_document = 0;
            let Some(mut tree) = Tree::of(&place.text()) else { return self.parsed = None };
            for (path, value) in std::mem::take(&mut tree.unquoted) {
                let spot = place.document().locate(&path);
                if !spot.text[spot.mark.start..].starts_with(['"', '\'', '|', '>']) {
                    tree.set(&path, value);
                }
            }
            for (path, key) in &tree.repeated {
                let name = clusterlocal_core::manifest::tree::below(path, key);
                let message = format!("duplicate field {name:?}: the last one counts");
                let spot = place.document().locate_repeated(path, key);
                self.add(Problem::at(place, spot, message).with_help("leave one of them out"), None);
            }
            self.parsed = Some((range, tree));
        }
        let Some((_, tree)) = self.parsed.take() else { return };
        if let Some(object) = place.within(&tree.value) {
            self.object(place, object, key);
        }
        self.parsed = Some((place.range(), tree));
    }

    fn object(&mut self, place: &Place, object: &Value, key: Option<Key>) {
        let text = |field: &str| object.get(field).and_then(Value::as_str);
        let version = text("apiVersion").unwrap_or("v1");
        // An item of a ServiceList need not have a kind, and a version of before is validated as the one of today.
        let key_version = key.as_ref().map(|key| key.kind.api_version());
        let key_kind = key.as_ref().map(|key| key.kind.as_str());
        let kind = text("kind").or(key_kind).unwrap_or_default();
        let (of, version, kind) = match (types::of_kind(version, kind), &key_version, key_kind) {
            (None, Some(version), Some(kind)) => (types::of_kind(version, kind), &**version, kind),
            (of, ..) => (of, version, kind),
        };
        let problems = clusterlocal_admission::problems(version, kind, object);
        let (unknown, wrong): (Vec<_>, Vec<_>) = problems.into_iter().partition(|problem| problem.unknown);
        for unknown in unknown {
            let problem = Problem::at(place, place.locate(&unknown.path), unknown.message);
            let problem = match of.and_then(|of| near::known_field(of, &unknown.pointer)) {
                Some(known) => problem.with_help(format!("did you mean {known}?")),
                None => problem.with_help(format!("a {kind} has no such field: it has no effect")),
            };
            self.add(problem, key.as_ref());
        }
        // What could be read after all is validated as it would be.
        let mut readable = Cow::Borrowed(object);
        // Reading a fault has found its values right.
        let is_fault = key.as_ref().is_some_and(|key| key.kind == Kind::Fault);
        for wrong in wrong.into_iter().filter(|_| !is_fault) {
            let place_of = place.locate(&wrong.path);
            let problem = Problem::at(place, place_of, {
                let message = wrong.message.strip_prefix("json: ").unwrap_or(&wrong.message);
                format!("{}: {message}", wrong.path)
            });
            let value = readable.to_mut().pointer_mut(&wrong.pointer);
            let quoted = value.as_ref().and_then(|value| quoted(value, &wrong.message));
            let problem = match &quoted {
                // To kubectl, which reads YAML 1.1, `yes` and `on` are such values too.
                Some(text) if matches!(&**text, "true" | "false") => problem.with_help("write it in quotes"),
                Some(text) => problem.with_help(format!("write it in quotes: {text:?}")),
                None => problem,
            };
            if let Some(value) = value {
                *value = quoted.map_or(Value::Null, Value::String);
            }
            self.add(problem, key.as_ref());
        }
        if let Some(key) = &key
            && !is_fault
        {
            let of_old = text("apiVersion").is_some_and(|version| SELECTOR_DEFAULTED.contains(&version));
            // A template is validated once for itself, and once more with what selects its pods.
            let mut reported = HashSet::new();
            for cause in admit::refusals(key.kind, &key.namespace, &readable) {
                let Cause { field, message, .. } = &cause;
                let is_defaulted =
                    of_old && matches!(&**field, "spec.selector" | "spec.template.metadata.labels");
                if is_defaulted || !reported.insert(cause.to_string()) {
                    continue;
                }
                // An API server leaves `metadata` out of these paths.
                let path = ["labels", "annotations"].iter().fold(field.clone(), |path, name| {
                    path.replace(&format!("template.{name}"), &format!("template.metadata.{name}"))
                });
                self.add(Problem::at(place, place.locate(&path), format!("{field}: {message}")), Some(key));
            }
        }
    }

    fn add(&mut self, problem: Problem, key: Option<&Key>) {
        self.of_document += 1;
        if self.of_document > DOCUMENT_WARNINGS {
            return;
        }
        let problem = problem.as_warning();
        self.problems.push(match key {
            Some(key) => problem.about(key.clone()),
            None => problem,
        });
    }
}
