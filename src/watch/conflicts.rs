//! Conflicts between files. If several files define an object, the last one is used, as if they were applied one after the
//! other; of Topologies that contradict each other the newer is refused.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::holders::Holders;
use crate::manifest::{Known, Manifest, Overrides, Problem, Read};
use crate::store::{Key, Object};

/// The accepted content of a file: enough to serve it, to report positions and to read it again quickly, without its text.
#[derive(Clone, Debug, Default)]
pub(super) struct Accepted {
    pub(super) name: Arc<str>,
    /// In the order of the file.
    pub(super) objects: Vec<Known>,
    pub(super) overrides: Overrides,
    /// Whether the file has nothing but comments.
    pub(super) blank: bool,
}

impl Accepted {
    pub(super) fn new(manifest: Manifest, blank: bool) -> Self {
        let mut known: Vec<Known> = manifest.objects.into_iter().map(Known::from).collect();
        // It was collected in the buffer of the larger values that it is made from.
        known.shrink_to_fit();
        Accepted {
            name: manifest.name,
            objects: known,
            // A place keeps the file's whole text in memory.
            overrides: Overrides { place: None, ..manifest.overrides },
            blank,
        }
    }

    /// Whether it has neither objects nor settings.
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty() && same(&self.overrides, &Overrides::default())
    }

    /// Returns the first line of the object at `key`; 0 if there is none.
    fn line(&self, key: &Key) -> u32 {
        let known = self.objects.iter().find(|known| known.object.key() == *key);
        known.map_or(0, |known| known.line)
    }
}

/// Whether both have the same settings, wherever they are written.
pub(super) fn same(a: &Overrides, b: &Overrides) -> bool {
    (&a.domain, a.ttl, &a.pod_cidr, &a.service_cidr) == (&b.domain, b.ttl, &b.pod_cidr, &b.service_cidr)
}

/// The conflicts between files.
#[derive(Debug, Default)]
pub(super) struct Conflicts {
    /// The new contents that are refused, with the reasons.
    pub(super) refused: BTreeMap<Arc<Path>, Vec<Problem>>,
    /// Warnings.
    pub(super) warnings: Vec<Problem>,
}

/// The accepted contents of all files, and which files define which object. `holders` may include further files.
#[derive(Clone, Copy)]
pub(super) struct Current<'a> {
    pub(super) files: &'a BTreeMap<&'a Arc<Path>, &'a Accepted>,
    pub(super) holders: &'a Holders,
    /// The position of a file in the order of the command line.
    pub(super) rank: &'a dyn Fn(&Path) -> usize,
}

/// Compares new contents with each other and with the current ones, of which those at the same paths are replaced.
pub(super) fn compare(current: Current<'_>, new: &BTreeMap<&Arc<Path>, &Manifest>) -> Conflicts {
    let mut refused = BTreeMap::new();
    // A refused content leaves the old one of its file in use, which may conflict with others in turn.
    loop {
        match round(current, new, &refused) {
            Ok(warnings) => return Conflicts { refused, warnings },
            Err((path, problems)) => drop(refused.insert(path.clone(), problems)),
        }
    }
}

/// Maximum number of problems between one file and others; more are rarely read.
const PROBLEMS: usize = 50;

/// Returns the warnings if there are no errors besides those in `refused`, or else the next content to refuse.
fn round<'a>(
    current: Current<'_>,
    new: &BTreeMap<&'a Arc<Path>, &Manifest>,
    refused: &BTreeMap<Arc<Path>, Vec<Problem>>,
) -> Result<Vec<Problem>, (&'a Arc<Path>, Vec<Problem>)> {
    let is_new = |path: &Arc<Path>| new.contains_key(path) && !refused.contains_key(path);
    let mut overrides = Overrides::default();
    for (_, accepted) in current.files.iter().filter(|(path, _)| !is_new(path)) {
        overrides.merge(&accepted.overrides);
    }
    let several = new.keys().filter(|path| is_new(path)).count() > 1;
    let mut seen: FxHashMap<Key, Other<'_>> = FxHashMap::default();
    let mut warnings = Vec::new();
    for (path, manifest) in new.iter().filter(|(path, _)| is_new(path)) {
        let mut problems = Vec::new();
        for read in &manifest.objects {
            let key = read.object.key();
            let existing = current.holders.of(&key).iter().rev().find_map(|holder| {
                let accepted = current.files.get(&holder.path).filter(|_| !is_new(&holder.path))?;
                let line = accepted.line(&key);
                Some(Other { path: &holder.path, object: &holder.object, file: &accepted.name, line })
            });
            let earlier = seen.get(&key).copied();
            if several {
                let line = read.place.line();
                seen.insert(key, Other { path, object: &read.object, file: &manifest.name, line });
            }
            if let Some(other) = existing.or(earlier)
                && warnings.len() < PROBLEMS
            {
                let rank = |path: &Arc<Path>| ((current.rank)(path), path.clone());
                warnings.push(duplicate(read, other, rank(path) > rank(other.path)));
            }
        }
        for field in overrides.merge(&manifest.overrides) {
            if let Some(place) = &manifest.overrides.place {
                let message = format!("{field}: differs from the Topology in another file");
                problems.push(Problem::at(place, place.locate(field), message));
            }
        }
        if !problems.is_empty() {
            return Err((path, problems));
        }
    }
    Ok(warnings)
}

/// The definition of an object in another file.
#[derive(Clone, Copy)]
struct Other<'a> {
    path: &'a Arc<Path>,
    object: &'a Object,
    file: &'a str,
    line: u32,
}

/// The warning that another file defines the object as well. `counts` states whether this file comes later.
fn duplicate(read: &Read, other: Other<'_>, counts: bool) -> Problem {
    let Other { object, file, line, .. } = other;
    let which = match (object == &read.object, counts) {
        (true, _) => "",
        (false, true) => ", with other contents: this one is used",
        (false, false) => ", with other contents: that one is used, because it comes later",
    };
    let message = format!("is also at {file}:{line}{which}");
    let problem = Problem::at(&read.place, read.place.locate("metadata.name"), message);
    problem.about(read.object.key()).as_warning()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::read_bytes;

    /// ExternalName Services, and other fields of a Topology: `a=1 b=2 ttl=5`.
    fn manifest(file: &str, fields: &str) -> Manifest {
        let mut text = String::from("apiVersion: clusterlocal.dev/v1\nkind: Topology\n");
        let (over, services): (Vec<_>, Vec<_>) = fields
            .split_whitespace()
            .map(|field| field.split_once('=').unwrap())
            .partition(|(key, _)| *key == "ttl");
        for (key, value) in over {
            text += &format!("{key}: {value}\n");
        }
        text += "external:\n";
        for (name, value) in services {
            text += &format!("  {name}: v{value}.example.org\n");
        }
        let manifest = read_bytes(file, text.into_bytes());
        assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
        manifest
    }

    /// Compares `new` files with the current ones, each named after its path.
    fn compared(current: &[Manifest], new: &[Manifest]) -> Conflicts {
        let path = |manifest: &Manifest| -> Arc<Path> { Path::new(&*manifest.name).into() };
        let mut holders = Holders::default();
        let accepted: Vec<_> = current.iter().map(|m| (path(m), Accepted::new(m.clone(), false))).collect();
        accepted.iter().for_each(|(path, accepted)| holders.add(path, &accepted.objects));
        let files = accepted.iter().map(|(path, accepted)| (path, accepted)).collect();
        let new: Vec<_> = new.iter().map(|manifest| (path(manifest), manifest)).collect();
        let new = new.iter().map(|(path, manifest)| (path, *manifest)).collect();
        compare(Current { files: &files, holders: &holders, rank: &|_| 0 }, &new)
    }

    #[test]
    fn of_two_definitions_of_an_object_the_last_is_used() {
        // Current files, new files, those that are refused, and the warnings.
        type Files<'a> = &'a [(&'a str, &'a str)];
        let table: &[(Files<'_>, Files<'_>, &[&str], &[&str])] = &[
            (&[("a", "x=1")], &[("b", "y=1")], &[], &[]),
            (
                &[("b", "x=1")],
                &[("a", "x=2")],
                &[],
                &["a:4: x: is also at b:1, with other contents: that one is used"],
            ),
            (
                &[("a", "x=1")],
                &[("b", "x=2")],
                &[],
                &["b:4: x: is also at a:1, with other contents: this one is used"],
            ),
            (&[("a", "x=1")], &[("b", "x=1")], &[], &["b:4: x: is also at a:1"]),
            (&[("a", "x=1")], &[("a", "x=2")], &[], &[]),
            (
                &[],
                &[("a", "x=1"), ("b", "x=2")],
                &[],
                &["b:4: x: is also at a:1, with other contents: this one"],
            ),
            // An object moves from one file to the other.
            (&[("a", "x=1 y=1"), ("b", "z=1")], &[("a", "y=1"), ("b", "x=2 z=1")], &[], &[]),
            (&[("a", "z=1"), ("b", "x=1 y=1")], &[("a", "x=2 z=1"), ("b", "y=1")], &[], &[]),
            (&[("a", "ttl=5 x=1")], &[("b", "ttl=6 y=1")], &["b"], &[]),
            (&[("a", "ttl=5 x=1")], &[("b", "ttl=5 y=1"), ("a", "ttl=5 x=2")], &[], &[]),
            (&[("a", "ttl=5 x=1")], &[("a", "ttl=6 x=1")], &[], &[]),
            // A refused content leaves the old one in use.
            (
                &[("a", "ttl=5"), ("b", "x=1")],
                &[("b", "ttl=6"), ("c", "x=2")],
                &["b"],
                &["c:4: x: is also at b:1, with"],
            ),
        ];
        for (current, new, refused, expected) in table {
            let conflicts = compared(
                &current.iter().map(|&(file, fields)| manifest(file, fields)).collect::<Vec<_>>(),
                &new.iter().map(|&(file, fields)| manifest(file, fields)).collect::<Vec<_>>(),
            );
            let names: Vec<_> = conflicts.refused.keys().map(|path| path.to_str().unwrap()).collect();
            assert_eq!(names, *refused, "{current:?} {new:?}");
            let lines = conflicts.warnings.iter().map(|warning| {
                let name = &warning.object.as_ref().expect("an object").name;
                format!("{}:{}: {name}: {}", warning.file, warning.line(), warning.message)
            });
            let lines: Vec<_> = lines.collect();
            assert_eq!(lines.len(), expected.len(), "{current:?} {new:?}: {lines:?}");
            assert!(
                lines.iter().zip(*expected).all(|(line, part)| line.starts_with(part)),
                "{lines:?} are not {expected:?}"
            );
        }
    }
}
