//! Takes the place of the API server's "already exists": what several files may not say together. Of two files that
//! contradict each other the newer one is refused; what was read before has been served already.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use crate::manifest::{Manifest, Overrides, Problem, Read};
use crate::store::{Key, Object};

/// What is kept of a file: enough to serve it and to tell where things are, but not its text.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    pub(super) name: Arc<str>,
    pub(super) objects: Vec<Placed>,
    pub(super) overrides: Overrides,
    /// Whether it came from a file with nothing but comments.
    pub(super) blank: bool,
}

/// An object, and the line of its document.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    pub(super) object: Object,
    line: u32,
}

impl Kept {
    pub(super) fn new(manifest: Manifest, blank: bool) -> Self {
        let placed = |read: Read| Placed { line: read.place.line(), object: read.object };
        Kept {
            name: manifest.name,
            objects: manifest.objects.into_iter().map(placed).collect(),
            // A place holds on to the file's whole text.
            overrides: Overrides { place: None, ..manifest.overrides },
            blank,
        }
    }

    /// Whether there is anything to lose.
    pub(super) fn asks_for_nothing(&self) -> bool {
        self.objects.is_empty() && same(&self.overrides, &Overrides::default())
    }

    /// Whether both ask for the same, wherever it is written.
    pub(super) fn asks_for_the_same(&self, other: &Kept) -> bool {
        self.objects.len() == other.objects.len()
            && self.objects.iter().zip(&other.objects).all(|(a, b)| a.object == b.object)
            && same(&self.overrides, &other.overrides)
    }
}

/// Whether both say the same about the cluster, wherever it is written.
pub(super) fn same(a: &Overrides, b: &Overrides) -> bool {
    (&a.domain, a.ttl, &a.pod_cidr, &a.service_cidr) == (&b.domain, b.ttl, &b.pod_cidr, &b.service_cidr)
}

/// What is wrong between files.
#[derive(Debug, Default)]
pub(super) struct Between {
    /// Which of the new contents are refused, and why.
    pub(super) refused: BTreeMap<PathBuf, Vec<Problem>>,
    /// What is odd, but may be.
    pub(super) warnings: Vec<Problem>,
}

/// Compares new contents with each other and with those that `stand`, of which the files of the same path are to be
/// replaced.
pub(super) fn compare(stand: &BTreeMap<&PathBuf, &Kept>, new: &BTreeMap<&PathBuf, &Manifest>) -> Between {
    if new.len() == 1 && stand.keys().all(|path| new.contains_key(*path)) {
        return Between::default();
    }
    let mut refused = BTreeMap::new();
    // A refused content leaves the old one of its file standing, which others may contradict in turn.
    loop {
        match round(stand, new, &refused) {
            Ok(warnings) => return Between { refused, warnings },
            Err((path, problems)) => refused.insert(path.clone(), problems),
        };
    }
}

/// The warnings if nothing is wrong besides what is `refused` already, or the next to be refused.
fn round<'a>(
    stand: &BTreeMap<&PathBuf, &Kept>,
    new: &BTreeMap<&'a PathBuf, &Manifest>,
    refused: &BTreeMap<PathBuf, Vec<Problem>>,
) -> Result<Vec<Problem>, (&'a PathBuf, Vec<Problem>)> {
    let is_new = |path: &PathBuf| new.contains_key(path) && !refused.contains_key(path);
    let standing = || stand.iter().filter(|(path, _)| !is_new(path)).map(|(_, kept)| kept);
    let mut seen: HashMap<Key, (&Object, &str, u32)> = HashMap::new();
    let mut overrides = Overrides::default();
    for kept in standing() {
        overrides.merge(&kept.overrides);
        seen.extend(kept.objects.iter().map(|p| (p.object.key(), (&p.object, &*kept.name, p.line))));
    }
    let mut warnings = Vec::new();
    for (path, manifest) in new.iter().filter(|(path, _)| is_new(path)) {
        let mut problems = Vec::new();
        for read in &manifest.objects {
            let here = (&read.object, &*manifest.name, read.place.line());
            let &mut (first, file, line) = seen.entry(read.object.key()).or_insert(here);
            if file != &*manifest.name {
                match first == &read.object {
                    true => warnings.push(duplicate(read, file, line).as_warning()),
                    false => problems.push(
                        duplicate(read, file, line)
                            .with_help("leave one of them out, or give it another name or namespace"),
                    ),
                }
            }
        }
        for field in overrides.merge(&manifest.overrides) {
            if let Some(place) = &manifest.overrides.place {
                let message = format!("{field}: is not what the Topology of another file says");
                problems.push(Problem::at(place, place.locate(field), message));
            }
        }
        if !problems.is_empty() {
            return Err((path, problems));
        }
    }
    Ok(warnings)
}

fn duplicate(read: &Read, file: &str, line: u32) -> Problem {
    let message = format!("is at {file}:{line} already");
    Problem::at(&read.place, read.place.locate("metadata.name"), message).about(read.object.key())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::read_bytes;

    /// ExternalName Services, and what else a Topology says: `a=1 b=2 ttl=5`.
    fn manifest(file: &str, says: &str) -> Manifest {
        let mut text = String::from("apiVersion: clusterlocal.dev/v1\nkind: Topology\n");
        let (over, services): (Vec<_>, Vec<_>) = says
            .split_whitespace()
            .map(|say| say.split_once('=').unwrap())
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

    #[test]
    fn of_two_files_that_contradict_each_other_the_newer_is_refused() {
        // What stands, what is new, which of the new are refused, how many warnings there are.
        type Files<'a> = &'a [(&'a str, &'a str)];
        let table: &[(Files<'_>, Files<'_>, &[&str], usize)] = &[
            (&[("a", "x=1")], &[("b", "y=1")], &[], 0),
            (&[("b", "x=1")], &[("a", "x=2")], &["a"], 0),
            (&[("a", "x=1")], &[("b", "x=1")], &[], 1),
            (&[("a", "x=1")], &[("a", "x=2")], &[], 0),
            // Both are new: the second.
            (&[], &[("a", "x=1"), ("b", "x=2")], &["b"], 0),
            // An object moves from one file to the other.
            (&[("a", "x=1 y=1"), ("b", "z=1")], &[("a", "y=1"), ("b", "x=2 z=1")], &[], 0),
            (&[("a", "z=1"), ("b", "x=1 y=1")], &[("a", "x=2 z=1"), ("b", "y=1")], &[], 0),
            // `b` is refused for `y`, so it keeps `x`, and `a` is refused for that.
            (&[("a", "z=1"), ("b", "x=1"), ("c", "y=1")], &[("a", "x=2"), ("b", "y=2")], &["a", "b"], 0),
            (&[("a", "ttl=5 x=1")], &[("b", "ttl=6 y=1")], &["b"], 0),
            (&[("a", "ttl=5 x=1")], &[("b", "ttl=5 y=1"), ("a", "ttl=5 x=2")], &[], 0),
            (&[("a", "ttl=5 x=1")], &[("a", "ttl=6 x=1")], &[], 0),
        ];
        for (stand, new, refused, warnings) in table {
            let stand: BTreeMap<PathBuf, Kept> = stand
                .iter()
                .map(|(file, says)| ((*file).into(), Kept::new(manifest(file, says), false)))
                .collect();
            let new_contents: BTreeMap<PathBuf, Manifest> =
                new.iter().map(|(file, says)| ((*file).into(), manifest(file, says))).collect();
            let between = compare(&stand.iter().collect(), &new_contents.iter().collect());
            let names: Vec<_> = between.refused.keys().map(|path| path.to_str().unwrap()).collect();
            assert_eq!((names, between.warnings.len()), (refused.to_vec(), *warnings), "{stand:?} {new:?}");
        }
    }

    #[test]
    fn a_contradiction_tells_where_the_other_is() {
        let stand = Kept::new(manifest("a.yaml", "x=1"), false);
        let new = manifest("b.yaml", "y=1 x=2");
        let (a, b) = (PathBuf::from("a.yaml"), PathBuf::from("b.yaml"));
        let between = compare(&[(&a, &stand)].into(), &[(&b, &new)].into());
        let problem = &between.refused[&b][0];
        assert!(problem.to_string().starts_with("b.yaml:5:"), "{problem}");
        assert!(problem.to_string().contains("Service default/x: is at a.yaml:1 already"), "{problem}");
    }
}
