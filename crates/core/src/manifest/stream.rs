//! Reads one file, document by document: the objects and problems.

mod json;
mod lists;
mod objects;

use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::decode;
use super::documents;
use super::json::ObjectText;
use super::known::{Known, Memory, Recall};
use super::legible::legible;
use super::locate::Step;
use super::meaning::{self, Head, Meaning};
use super::parse_error;
use super::problem::{Problem, Severity};
use super::source::{Passage, Place, Source};
use super::{Manifest, Overrides, folders, kinds, limits, topology};
use crate::parallel;
use crate::store::{Key, LABEL_MAX, Name, nearest};
pub(super) use objects::duplicate;

/// Reads every document of `source`, except those that are `known`.
pub(super) fn read(source: Source, known: &[Known]) -> Manifest {
    let source = Arc::new(source);
    let known = Memory::of(known);
    let passages = documents::split(&source.text);
    let share = if passages.len() < parallel::ITEMS_MIN {
        passages.len()
    } else {
        passages.len().div_ceil(parallel::threads())
    };
    let parts: Vec<&[Passage]> = passages.chunks(share.max(1)).collect();
    let streams = parallel::map(&parts, 2, |passages| {
        let mut stream = Stream::new(source.clone(), &known, passages.first().map_or(1, |first| first.line));
        for passage in passages.iter() {
            if !stream.is_within_limits(passage) {
                break;
            }
            stream.document(passage.clone());
        }
        stream
    });
    let mut streams = streams.into_iter();
    let mut whole = streams.next().unwrap_or_else(|| Stream::new(source, &known, 1));
    streams.for_each(|later| whole.append(later));
    whole.end()
}

/// A file that is being read.
struct Stream<'a> {
    source: Arc<Source>,
    manifest: Manifest,
    /// The known objects, which need not be parsed.
    recall: Recall<'a>,
    /// Index of the manifest's object by key.
    seen: FxHashMap<Key, usize>,
    /// Number of structural marks of the YAML so far.
    marks: usize,
    /// Whether a limit was reached and reported.
    full: bool,
    /// Whether any document looks like an object.
    claims: bool,
    /// Number of warnings beyond the maximum.
    more_warnings: usize,
}

impl<'a> Stream<'a> {
    /// Starts at `line`.
    fn new(source: Arc<Source>, known: &'a Memory<'a>, line: u32) -> Self {
        let manifest = Manifest { name: source.name.clone(), ..Manifest::default() };
        let recall = known.from(line);
        let seen = FxHashMap::default();
        Stream { source, manifest, recall, seen, marks: 0, full: false, claims: false, more_warnings: 0 }
    }

    /// The manifest that was read.
    fn end(mut self) -> Manifest {
        self.manifest.problems.sort_by_key(Problem::line);
        if self.more_warnings > 0 {
            let message = format!("{} more warnings in this file are omitted", self.more_warnings);
            let file = Problem::of_file(&self.manifest.name, message);
            self.manifest.problems.push(file.as_warning());
        }
        self.manifest.foreign = !self.claims && !self.manifest.problems.is_empty();
        self.manifest
    }

    /// Adds a problem; warnings up to a maximum.
    fn report(&mut self, problem: Problem) {
        if problem.severity == Severity::Error || !self.is_over_warning_limit() {
            self.manifest.problems.push(problem);
        }
    }

    /// Whether a further warning is only counted: finding its position costs a pass over the file.
    fn is_over_warning_limit(&mut self) -> bool {
        let warnings = self.manifest.problems.iter().filter(|other| other.severity == Severity::Warning);
        let enough = warnings.count() >= limits::FILE_PROBLEMS;
        self.more_warnings += usize::from(enough);
        enough
    }

    /// Appends the result of a later part of the file.
    fn append(&mut self, later: Stream<'_>) {
        self.marks += later.marks;
        self.full |= later.full;
        self.claims |= later.claims;
        self.more_warnings += later.more_warnings;
        let Manifest { objects, problems, skipped, overrides, scenarios, .. } = later.manifest;
        self.manifest.scenarios.extend(scenarios);
        self.manifest.others.extend(later.manifest.others);
        problems.into_iter().for_each(|problem| self.report(problem));
        for (kind, count) in skipped {
            *self.manifest.skipped.entry(kind).or_default() += count;
        }
        if let Some(place) = overrides.place.clone() {
            self.override_with(&place, &overrides);
        }
        for read in objects {
            if !self.is_within_limits(&read.place.passage.clone()) {
                return;
            }
            self.add(read, true);
        }
    }

    /// Reads one YAML document, or item of a List.
    fn yaml(&mut self, passage: Passage, defaults: &Head, depth: usize) {
        let place = self.place(passage);
        let text = place.text();
        if self.recalls(&place, &text) {
            return;
        }
        if depth == 0 {
            self.marks += limits::marks_towards_file(&self.source.text, &text);
            if !self.is_within_limits(&place.passage) {
                return;
            }
        }
        let found = documents::find_head(&text);
        let mut head =
            Head { api_version: found.api_version.map(Name::from), kind: found.kind.map(Name::from) };
        let parsed = head.api_version.is_none() || head.kind.is_none();
        if parsed {
            head = match decode::head(&place) {
                Ok(head) => head,
                Err(problem) => {
                    self.claims |= text.contains("apiVersion") && !decode::is_not_a_map(&place);
                    return self.report(*problem);
                }
            };
        }
        let has_head = head.is_whole();
        let of = match self.meaning(&place, head, defaults) {
            None => return,
            Some((Meaning::List(of), _)) => of,
            Some((meaning, kind)) => return self.single(place.clone(), meaning, kind, parsed, has_head),
        };
        if !self.is_nesting_allowed(&place, depth) {
            return;
        }
        let block = found.items.filter(|_| !limits::has_aliases(&text));
        match block.and_then(|at| documents::split_items(&self.source.text, &place.passage, at)) {
            Some(items) => self.block_list(&place, items, &of, depth),
            None => self.whole_list(&place, &of),
        }
    }

    /// Reads a document that is not a List. `parsed` states that it is known to be well-formed, `has_head` that its
    /// head is in its own text.
    fn single(&mut self, place: Place, meaning: Meaning, kind: String, parsed: bool, has_head: bool) {
        let outcome = match meaning {
            Meaning::Object(kind) => decode::object(&place, kind).map(|object| {
                let written = ObjectText::at(&place, ObjectText::beginning(&place.text()).into());
                self.given(object, place, written, has_head);
            }),
            Meaning::Topology => topology::read(&place).map(|lowered| self.topology(&place, lowered)),
            Meaning::Scenario => {
                self.manifest.scenarios.push(place);
                return;
            }
            _ => {
                // A skipped document may exceed the parser's limits.
                let checked = parsed || limits::structure(&place.text()).is_err();
                let outcome = if checked { Ok(()) } else { decode::well_formed(&place) };
                outcome.map(|()| *self.manifest.skipped.entry(kind).or_default() += 1)
            }
        };
        if let Err(problem) = outcome {
            self.report(*problem);
        }
    }

    fn topology(&mut self, place: &Place, lowered: topology::Lowered) {
        self.manifest.problems.extend(lowered.problems);
        self.override_with(place, &lowered.overrides);
        let mut invalid: Option<Arc<[Step]>> = None;
        for (object, within) in lowered.objects {
            if !self.is_within_limits(&place.passage) {
                return;
            }
            // Errors in one object of an entry, usually in its name, are repeated in the others.
            if invalid.as_ref() != Some(&within)
                && !self.keep(object, Place { within: within.clone(), ..place.clone() }, None)
            {
                invalid = Some(within);
            }
        }
    }

    /// The meaning of the document at `place`, and the name of its kind, or `None` and a problem.
    fn meaning(&mut self, place: &Place, head: Head, defaults: &Head) -> Option<(Meaning, String)> {
        let api_version = head.api_version.or_else(|| defaults.api_version.clone());
        let kind = head.kind.or_else(|| defaults.kind.clone());
        self.claims |= api_version.is_some() || kind.is_some();
        let (api_version, kind) = match (api_version, kind) {
            (Some(api_version), Some(kind)) => (api_version, kind),
            (api_version, kind) => {
                if let Some(at) = documents::template_directive(&place.text()) {
                    self.manifest.problems.push(parse_error::unrendered(place, at));
                    return None;
                }
                let missing = match (api_version, kind) {
                    (None, None) => "apiVersion and kind are missing",
                    (None, _) => "apiVersion is missing",
                    _ => "kind is missing",
                };
                let problem = Problem::at(place, place.locate(""), missing);
                let help = folders::how_to_render(&self.source.name);
                let help = help.unwrap_or_else(|| "every Kubernetes object has both".into());
                self.report(problem.with_help(help));
                return None;
            }
        };
        match meaning::meaning(&api_version, &kind) {
            Meaning::Misplaced(right) => {
                let problem = format!("apiVersion: {kind} is not in {api_version:?}");
                let problem = Problem::at(place, place.locate("apiVersion"), problem);
                self.manifest.problems.push(problem.with_help(format!("write apiVersion: {right}")));
                None
            }
            Meaning::Unknown => {
                let problem = format!("kind: there is no {} in {api_version}", legible(&kind, LABEL_MAX));
                let problem = Problem::at(place, place.locate("kind"), problem);
                let help = nearest(&kind, ["Topology", "Fault", "Partition", "Scenario"])
                    .map(|near| format!("did you mean `{near}`?"));
                let help =
                    help.unwrap_or_else(|| "the kinds are Topology, Fault, Partition and Scenario".into());
                self.manifest.problems.push(problem.with_help(help));
                None
            }
            Meaning::Kustomization => {
                let problem = format!(
                    "kind: a {kind} is input for kustomize, not an object",
                    kind = legible(&kind, LABEL_MAX)
                );
                let help = folders::how_to_render(&self.source.name);
                let help = help.unwrap_or_else(|| "render it: use -k with its directory".into());
                self.report(Problem::at(place, place.locate("kind"), problem).with_help(help));
                None
            }
            Meaning::Other => {
                let shown = legible(&kind, LABEL_MAX);
                let Some(unknown) = kinds::unknown(&legible(&api_version, LABEL_MAX), &shown) else {
                    if meaning::is_built_in(&api_version) {
                        self.manifest.others.push(place.clone());
                    }
                    return Some((Meaning::Other, shown));
                };
                if !unknown.matters && self.is_over_warning_limit() {
                    return unknown.removed.then_some((Meaning::Other, shown));
                }
                let problem = format!("{}: {}", unknown.field, unknown.message);
                let problem = Problem::at(place, place.locate(unknown.field), problem);
                let problem = match unknown.help {
                    Some(help) => problem.with_help(help),
                    None => problem.with_help("an API server would refuse it; it is skipped"),
                };
                let code = unknown.removed.then_some("api-version-removed");
                let problem = Problem { code, ..problem };
                self.report(if unknown.matters { problem } else { problem.as_warning() });
                unknown.removed.then_some((Meaning::Other, shown))
            }
            meaning => Some((meaning, legible(&kind, LABEL_MAX))),
        }
    }

    fn override_with(&mut self, place: &Place, overrides: &Overrides) {
        for field in self.manifest.overrides.merge(overrides) {
            self.report_at(place, field, "contradicts an earlier Topology of this file");
        }
    }

    /// Whether the limits allow more of the file, up to `next`.
    fn is_within_limits(&mut self, next: &Passage) -> bool {
        let message = if self.manifest.objects.len() >= limits::OBJECTS {
            format!("more than {} objects in one file: the rest is not read", limits::OBJECTS)
        } else if self.marks > limits::FILE_MARKS {
            format!("more than {} fields and items in one file: the rest is not read", limits::FILE_MARKS)
        } else if self.errors() >= limits::FILE_PROBLEMS {
            "too many problems in this file: the rest is not read".into()
        } else {
            return true;
        };
        let place = self.place(next.clone());
        if !self.full {
            self.full = true;
            self.manifest.problems.push(Problem::at(&place, place.head(), message));
        }
        false
    }

    /// Number of errors. There are few problems of any severity.
    fn errors(&self) -> usize {
        self.manifest.problems.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    /// Whether the nesting of Lists is within the limit.
    fn is_nesting_allowed(&mut self, place: &Place, depth: usize) -> bool {
        if depth >= limits::LIST_DEPTH {
            self.report_at(place, "kind", format!("Lists nested deeper than {}", limits::LIST_DEPTH));
        }
        depth < limits::LIST_DEPTH
    }

    fn report_at(&mut self, place: &Place, path: &str, message: impl fmt::Display) {
        let problem = Problem::at(place, place.locate(path), format!("{path}: {message}"));
        self.report(problem);
    }

    fn place(&self, passage: Passage) -> Place {
        Place { source: self.source.clone(), passage, within: Arc::default() }
    }
}
