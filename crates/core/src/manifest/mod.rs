//! Takes the place of kubectl's reading side: text to objects. Streams of YAML documents, JSON, Lists of anything
//! and our own short form ([`topology`]) become objects of the store, each with the place it was read from;
//! whatever is wrong becomes a [`Problem`] with file, line and column. It must not know the DNS, sockets or time.
//!
//! Kinds that the DNS does not depend on are counted and skipped, unknown fields are skipped, values are not: what an
//! API server would refuse is an error here. A file is hostile until it is read, so every cost is bounded first.

mod decode;
mod documents;
mod files;
mod folders;
mod inputs;
mod json;
mod kinds;
mod known;
pub mod kustomize;
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
use crate::store::{Key, Kind, Object, Objects};

pub use decode::value as decode;
pub use files::fetch;
pub use files::is_blank;
pub use inputs::{Found, Input, Inputs, find, find_any};
pub use inputs::{directories, list};
pub use json::read_value;
pub use known::Known;
pub use known::fresh;
pub use limits::{DOCUMENT_PROBLEMS, REPLICAS};
pub use problem::legible;
pub use problem::{Problem, Severity, harmless};
pub use repeated::repeated_keys;
pub use source::{Place, Spot};
pub use topology::Overrides;
pub use topology::fields::{Entries, OneOrMore};
pub use validate::NameRule;
pub use validate::{Fault, Finding};

/// What was read from one file.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// The file's name, as it is shown to people.
    pub name: Arc<str>,
    /// The objects, in the order of the file; without those that have an error.
    pub objects: Vec<Read>,
    /// Where its Scenarios stand. The library's `play` decodes them.
    pub scenarios: Vec<Place>,
    /// What is wrong with it, by line.
    pub problems: Vec<Problem>,
    /// How many objects of which kinds were skipped, because the DNS does not depend on them.
    pub skipped: BTreeMap<String, usize>,
    /// What Topologies in it say about the cluster.
    pub overrides: Overrides,
    /// Whether nothing in it claims to be an object, though there is something.
    pub foreign: bool,
    /// Where the objects of Kubernetes' other kinds stand.
    pub others: Vec<Place>,
}

impl Manifest {
    /// The same for a file that only lies among manifests: what is none itself is passed over, with a warning.
    pub fn passed_over(self) -> Self {
        if !self.foreign {
            return self;
        }
        let problem = Problem::of_file(&self.name, "passed over: there is no apiVersion and kind in it");
        let problem = problem.with_help("name the manifests one by one, or move it, and this is not said");
        Manifest { problems: vec![problem.as_warning()], ..self }
    }
}

/// An object and where it was read.
#[derive(Clone, Debug)]
pub struct Read {
    /// The object: its namespace filled in, its names valid, its fields consistent.
    pub object: Object,
    /// Where it stands.
    pub place: Place,
    /// What stands there, if that means the same wherever it stands.
    written: Option<Arc<json::Written>>,
}

/// What was read from several files.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// One for each file, in order. Their problems are in [`Loaded::problems`].
    pub manifests: Vec<Manifest>,
    /// What is wrong, by file and line: of the files, of each on its own, and between them.
    pub problems: Vec<Problem>,
    /// What all Topologies together say about the cluster.
    pub overrides: Overrides,
}

impl Loaded {
    /// Whether the API server would refuse any of it; then none of it is to be served.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// All objects.
    pub fn objects(&self) -> Objects {
        let read = self.manifests.iter().flat_map(|manifest| &manifest.objects);
        read.map(|read| (read.object.key(), read.object.clone())).collect()
    }
}

/// Reads what `inputs` mean; see [`find`]. Never fails otherwise than by [`Loaded::problems`].
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

/// Puts together what was read one by one: problems by file and line, those between files among them. Of an object that
/// several say, the last counts, and the others are left out.
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

/// What contradicts an earlier file.
#[derive(Default)]
struct Conflicts {
    /// By the number of the file.
    problems: HashMap<usize, Vec<Problem>>,
    /// The numbers of objects that later files say otherwise, by that of their file.
    outdated: HashMap<usize, HashSet<usize>>,
}

/// Compares the files with each other. Adds up what they say of the cluster.
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
                let message = format!("{field}: is not what the Topology at {earlier:?} says");
                found.problems.entry(at).or_default().push(Problem::at(place, place.locate(field), message));
            }
        }
    }
    found
}

/// Reads one file, or standard input for `-`. Whatever is wrong is in [`Manifest::problems`].
pub fn read_file(path: &Path) -> Manifest {
    let name = files::name(path);
    match fetch(path) {
        Ok(bytes) => read_bytes(&name, bytes),
        Err(problem) => Manifest { name: name.into(), problems: vec![*problem], ..Manifest::default() },
    }
}

/// Reads `bytes` as the content of a file called `name`; a name that ends in `.json` must hold JSON. Whatever is
/// wrong is in [`Manifest::problems`].
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

/// As [`read_bytes`], of a file of which something is `known`, in the order of the file: what is written as it was is
/// not read again, and is the same object.
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

/// The object of `kind` that `json` is, or what the API server would refuse in it: what a manifest may not say, nobody
/// may.
pub fn read_object(kind: Kind, json: &serde_json::Value) -> Result<Object, Vec<Finding>> {
    let object = decode_object(kind, json)?;
    match validate::check(&object) {
        findings if findings.is_empty() => Ok(object),
        findings => Err(findings),
    }
}

/// The object of `kind` that `json` is, which an API server has validated, or what of it is not supported here.
pub fn read_validated(kind: Kind, json: &serde_json::Value) -> Result<Object, Vec<Finding>> {
    let object = decode_object(kind, json)?;
    match validate::unsupported(&object) {
        findings if findings.is_empty() => Ok(object),
        findings => Err(findings),
    }
}

fn decode_object(kind: Kind, json: &serde_json::Value) -> Result<Object, Vec<Finding>> {
    decode::from_json(json, kind)
        .map_err(|(path, message)| vec![Finding { path, fault: Fault::Invalid, message, help: None }])
}

/// What the API server would refuse in `object`, if anything.
pub fn refused(object: &Object) -> Option<String> {
    let findings = validate::check(object);
    let told = findings.iter().map(|finding| format!("{}: {}", finding.path, finding.message));
    (!findings.is_empty()).then(|| told.collect::<Vec<_>>().join("; "))
}
