//! Takes the place of kubectl's reading side: text to objects. Streams of YAML documents, JSON, Lists and our own short
//! form ([`topology`]) become objects of the store, each with its position; every error becomes a [`Problem`] with
//! file, line and column. Must not depend on the DNS, sockets or time.
//!
//! Kinds on which the DNS does not depend are counted and skipped, unknown fields are skipped, invalid values are not:
//! objects that an API server would refuse are errors. Files are not trusted, so every cost is limited first.

mod decode;
mod documents;
mod files;
mod folders;
mod inputs;
mod json;
mod kinds;
mod known;
pub mod kustomize;
mod legible;
mod limits;
mod locate;
mod meaning;
mod parse_error;
mod positions;
mod problem;
mod repeated;
mod scalars;
mod source;
mod stream;
pub mod topology;
pub mod tree;
mod validate;
mod wording;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::parallel;
use crate::store::{Key, Kind, Object, Objects, PARTITION, PartitionSpec};

pub use decode::value as decode;
pub use files::fetch;
pub use files::is_blank;
pub use inputs::{Found, Input, Inputs, find, find_any};
pub use inputs::{directories, list};
pub use json::read_value;
pub use known::Known;
pub use known::fresh;
pub use legible::{harmless, legible};
pub use limits::{DOCUMENT_PROBLEMS, REPLICAS};
pub use problem::{Problem, Severity};
pub use repeated::repeated_keys;
pub use source::{Place, Spot};
pub use topology::Overrides;
pub use topology::fields::{Entries, OneOrMore};
pub use validate::NameRule;
pub use validate::{Fault, Finding};

/// The content of one file.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// The file's display name.
    pub name: Arc<str>,
    /// The valid objects, in the order of the file.
    pub objects: Vec<Read>,
    /// The places of its Scenarios. The library's `play` decodes them.
    pub scenarios: Vec<Place>,
    /// The problems, by line.
    pub problems: Vec<Problem>,
    /// Number of skipped objects by kind, on which the DNS does not depend.
    pub skipped: BTreeMap<String, usize>,
    /// The settings of the cluster in its Topologies.
    pub overrides: Overrides,
    /// Whether the file is not empty, but nothing in it looks like an object.
    pub foreign: bool,
    /// The places of objects of Kubernetes' other kinds.
    pub others: Vec<Place>,
}

impl Manifest {
    /// For a file that was found in a directory: skips it with a warning if it is not a manifest.
    pub fn skipped_unless_objects(self) -> Self {
        if !self.foreign {
            return self;
        }
        let problem = Problem::of_file(&self.name, "skipped: it has no apiVersion and kind");
        let problem =
            problem.with_help("name the manifests one by one, or move the file, to avoid this warning");
        Manifest { problems: vec![problem.as_warning()], ..self }
    }
}

/// An object with its place.
#[derive(Clone, Debug)]
pub struct Read {
    /// The object, with its namespace filled in, valid names and consistent fields.
    pub object: Object,
    /// Its place.
    pub place: Place,
    /// Its source, if that does not depend on its context.
    written: Option<Arc<json::ObjectText>>,
}

/// The content of several files.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// One for each file, in order. Their problems are moved to [`Loaded::problems`].
    pub manifests: Vec<Manifest>,
    /// The problems, by file and line: within files and between them.
    pub problems: Vec<Problem>,
    /// The settings of the cluster in all Topologies.
    pub overrides: Overrides,
}

impl Loaded {
    /// Whether the API server would refuse an object; then none must be served.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// All objects.
    pub fn objects(&self) -> Objects {
        let read = self.manifests.iter().flat_map(|manifest| &manifest.objects);
        read.map(|read| (read.object.key(), read.object.clone())).collect()
    }
}

/// Reads `inputs`; see [`find`]. All errors are in [`Loaded::problems`].
pub fn load(inputs: impl Into<Inputs>) -> Loaded {
    match find(inputs) {
        Ok(Found { inputs, warnings }) => {
            let mut loaded = combine(parallel::map(&inputs, 2, Input::read));
            loaded.problems.splice(0..0, warnings);
            loaded
        }
        Err(problems) => Loaded { problems, ..Loaded::default() },
    }
}

/// Combines files that were read separately: problems by file and line, with conflicts between files among them. Of an
/// object in several files the last counts, and the others are removed.
pub fn combine(manifests: Vec<Manifest>) -> Loaded {
    let mut loaded = Loaded { manifests, ..Loaded::default() };
    let Conflicts { mut problems, outdated } = conflicts(&loaded.manifests, &mut loaded.overrides);
    for (at, objects) in outdated {
        let mut next = 0..;
        loaded.manifests[at].objects.retain(|_| next.next().is_none_or(|n| !objects.contains(&n)));
    }
    for (at, manifest) in loaded.manifests.iter_mut().enumerate() {
        let mut own = std::mem::take(&mut manifest.problems);
        own.extend(problems.remove(&at).unwrap_or_default());
        own.sort_by_key(Problem::line);
        loaded.problems.extend(own);
    }
    loaded
}

/// Conflicts with earlier files.
#[derive(Default)]
struct Conflicts {
    /// By the index of the file.
    problems: HashMap<usize, Vec<Problem>>,
    /// The indexes of objects that later files replace, by the index of their file.
    outdated: HashMap<usize, HashSet<usize>>,
}

/// Finds conflicts between files, and merges their settings of the cluster.
fn conflicts(manifests: &[Manifest], overrides: &mut Overrides) -> Conflicts {
    let mut seen: HashMap<Key, (usize, usize)> = HashMap::new();
    let mut found = Conflicts::default();
    for (at, manifest) in manifests.iter().enumerate() {
        if manifests.len() > 1 {
            for (number, read) in manifest.objects.iter().enumerate() {
                let Some((first, earlier)) = seen.insert(read.object.key(), (at, number)) else { continue };
                let other = &manifests[first].objects[earlier];
                if other.object != read.object {
                    found.outdated.entry(first).or_default().insert(earlier);
                }
                let problems = found.problems.entry(at).or_default();
                if problems.len() < limits::FILE_PROBLEMS {
                    problems.push(stream::duplicate(other, read));
                }
            }
        }
        let earlier = overrides.place.clone();
        for field in overrides.merge(&manifest.overrides) {
            if let (Some(place), Some(earlier)) = (&manifest.overrides.place, &earlier) {
                let message = format!("{field}: contradicts the Topology at {earlier:?}");
                found.problems.entry(at).or_default().push(Problem::at(place, place.locate(field), message));
            }
        }
    }
    found
}

/// Reads one file, or standard input for `-`. All errors are in [`Manifest::problems`].
pub fn read_file(path: &Path) -> Manifest {
    let name = files::name(path);
    match fetch(path) {
        Ok(bytes) => read_bytes(&name, bytes),
        Err(problem) => Manifest { name: name.into(), problems: vec![*problem], ..Manifest::default() },
    }
}

/// Reads `bytes` as the content of a file called `name`; a name that ends in `.json` requires JSON. All errors are in
/// [`Manifest::problems`].
///
/// ```
/// let manifest = clusterlocal_core::manifest::read_bytes("cassandra.yaml", b"
/// apiVersion: clusterlocal.dev/v1
/// kind: Topology
/// sets:
///   cassandra: {replicas: 3, ports: {cql: 9042}}
/// ".to_vec());
/// let keys: Vec<String> = manifest.objects.iter().map(|read| read.object.key().to_string()).collect();
/// assert_eq!(keys, ["StatefulSet default/cassandra", "Service default/cassandra"]);
/// ```
pub fn read_bytes(name: &str, bytes: Vec<u8>) -> Manifest {
    read_again(name, bytes, &[])
}

/// Like [`read_bytes`], for a file of which objects are `known`, in the order of the file: unchanged text is not parsed
/// again, and yields the same object.
pub fn read_again(name: &str, bytes: Vec<u8>, known: &[Known]) -> Manifest {
    match files::text(bytes) {
        Ok(text) => stream::read(source::Source::new(name.into(), text), known),
        Err(no_text) => {
            let at = no_text.before.len();
            let place = Place::whole(source::Source::new(name.into(), no_text.before));
            let problem = Problem::at(&place, place.at(at), no_text.reason);
            Manifest { name: name.into(), problems: vec![problem], ..Manifest::default() }
        }
    }
}

/// Decodes and validates `json` as an object of `kind`; the error is what the API server would refuse. A manifest and a
/// request have the same rules.
pub fn read_object(kind: Kind, json: &serde_json::Value) -> Result<Object, Vec<Finding>> {
    let object = decode_object(kind, json)?;
    match validate::check(&object) {
        findings if findings.is_empty() => Ok(object),
        findings => Err(findings),
    }
}

/// Parses an object of `kind` that an API server has validated, or returns what of it is not supported here.
pub fn read_validated(kind: Kind, json: &serde_json::Value) -> Result<Object, Vec<Finding>> {
    let object = decode_object(kind, json)?;
    match validate::unsupported(&object) {
        findings if findings.is_empty() => Ok(object),
        findings => Err(findings),
    }
}

fn decode_object(kind: Kind, json: &serde_json::Value) -> Result<Object, Vec<Finding>> {
    let invalid = |(path, message)| vec![Finding { path, fault: Fault::Invalid, message, help: None }];
    if kind == PARTITION {
        // It has no Rust type that would be strict.
        PartitionSpec::parse(&json["spec"]).map_err(invalid)?;
    }
    decode::from_json(json, kind).map_err(invalid)
}

/// The errors of `object` that the API server would report, if any.
pub fn refused(object: &Object) -> Option<String> {
    let findings = validate::check(object);
    let shown = findings.iter().map(|finding| format!("{}: {}", finding.path, finding.message));
    (!findings.is_empty()).then(|| shown.collect::<Vec<_>>().join("; "))
}
