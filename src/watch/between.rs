//! What several files say together. Of an object that several say the
//! last counts, as where they are applied one after the other; of Topologies that contradict each other the newer is refused.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::holders::Holders;
use crate::manifest::{Known, Manifest, Overrides, Problem, Read};
use crate::store::{Key, Object};

/// What is kept of a file: enough to serve it, to report where things are and to read it again soon, but not its text as
/// a whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    pub(super) name: Arc<str>,
    /// In the order of the file.
    pub(super) objects: Vec<Known>,
    pub(super) overrides: Overrides,
    /// Whether it came from a file with nothing but comments.
    pub(super) blank: bool,
}

impl Kept {
    pub(super) fn new(manifest: Manifest, blank: bool) -> Self {
        let mut known: Vec<Known> = manifest.objects.into_iter().map(Known::from).collect();
        // It is collected where the larger things were that it is made of.
        known.shrink_to_fit();
        Kept {
            name: manifest.name,
            objects: known,
            // A place holds on to the file's whole text.
            overrides: Overrides { place: None, ..manifest.overrides },
            blank,
        }
    }

    /// Whether there is anything to lose.
    pub(super) fn asks_for_nothing(&self) -> bool {
        self.objects.is_empty() && same(&self.overrides, &Overrides::default())
    }

    /// The line that says the object at `key`; 0 if none does.
    fn line(&self, key: &Key) -> u32 {
        let known = self.objects.iter().find(|known| known.object.key() == *key);
        known.map_or(0, |known| known.line)
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
    pub(super) refused: BTreeMap<Arc<Path>, Vec<Problem>>,
    /// What is odd, but may be.
    pub(super) warnings: Vec<Problem>,
}

/// The files that stand: what each says, and who says what. `holders` may know more files than these.
#[derive(Clone, Copy)]
pub(super) struct Standing<'a> {
    pub(super) files: &'a BTreeMap<&'a Arc<Path>, &'a Kept>,
    pub(super) holders: &'a Holders,
    /// The place of a file among all that is named.
    pub(super) rank: &'a dyn Fn(&Path) -> usize,
}

/// Compares new contents with each other and with those that stand, of which the files of the same path are to be
/// replaced.
pub(super) fn compare(stand: Standing<'_>, new: &BTreeMap<&Arc<Path>, &Manifest>) -> Between {
    let mut refused = BTreeMap::new();
    // A refused content leaves the old one of its file standing, which others may contradict in turn.
    loop {
        match round(stand, new, &refused) {
            Ok(warnings) => return Between { refused, warnings },
            Err((path, problems)) => drop(refused.insert(path.clone(), problems)),
        }
    }
}

/// Maximum number of problems between one file and others; more are rarely read.
const PROBLEMS: usize = 50;

/// The warnings if nothing is wrong besides what is `refused` already, or the next to be refused.
fn round<'a>(
    stand: Standing<'_>,
    new: &BTreeMap<&'a Arc<Path>, &Manifest>,
    refused: &BTreeMap<Arc<Path>, Vec<Problem>>,
) -> Result<Vec<Problem>, (&'a Arc<Path>, Vec<Problem>)> {
    let is_new = |path: &Arc<Path>| new.contains_key(path) && !refused.contains_key(path);
    let mut overrides = Overrides::default();
    for (_, kept) in stand.files.iter().filter(|(path, _)| !is_new(path)) {
        overrides.merge(&kept.overrides);
    }
    let several = new.keys().filter(|path| is_new(path)).count() > 1;
    let mut seen: FxHashMap<Key, Other<'_>> = FxHashMap::default();
    let mut warnings = Vec::new();
    for (path, manifest) in new.iter().filter(|(path, _)| is_new(path)) {
        let mut problems = Vec::new();
        for read in &manifest.objects {
            let key = read.object.key();
            let standing = stand.holders.of(&key).iter().rev().find_map(|holder| {
                let kept = stand.files.get(&holder.path).filter(|_| !is_new(&holder.path))?;
                let line = kept.line(&key);
                Some(Other { path: &holder.path, object: &holder.object, file: &kept.name, line })
            });
            let earlier = seen.get(&key).copied();
            if several {
                let line = read.place.line();
                seen.insert(key, Other { path, object: &read.object, file: &manifest.name, line });
            }
            if let Some(other) = standing.or(earlier)
                && warnings.len() < PROBLEMS
            {
                let rank = |path: &Arc<Path>| ((stand.rank)(path), path.clone());
                warnings.push(duplicate(read, other, rank(path) > rank(other.path)));
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

/// What another file says of an object.
#[derive(Clone, Copy)]
struct Other<'a> {
    path: &'a Arc<Path>,
    object: &'a Object,
    file: &'a str,
    line: u32,
}

/// That another file says the object as well. `counts` says that this one comes later.
fn duplicate(read: &Read, other: Other<'_>, counts: bool) -> Problem {
    let Other { object, file, line, .. } = other;
    let which = match (object == &read.object, counts) {
        (true, _) => "",
        (false, true) => ", with other contents: this one counts",
        (false, false) => ", with other contents: that one counts, because it comes later",
    };
    let message = format!("is at {file}:{line} already{which}");
    let problem = Problem::at(&read.place, read.place.locate("metadata.name"), message);
    problem.about(read.object.key()).as_warning()
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

    /// What comes of files where others stand, each called after its path.
    fn compared(stand: &[Manifest], new: &[Manifest]) -> Between {
        let path = |manifest: &Manifest| -> Arc<Path> { Path::new(&*manifest.name).into() };
        let mut holders = Holders::default();
        let kept: Vec<_> = stand.iter().map(|m| (path(m), Kept::new(m.clone(), false))).collect();
        kept.iter().for_each(|(path, kept)| holders.add(path, &kept.objects));
        let files = kept.iter().map(|(path, kept)| (path, kept)).collect();
        let new: Vec<_> = new.iter().map(|manifest| (path(manifest), manifest)).collect();
        let new = new.iter().map(|(path, manifest)| (path, *manifest)).collect();
        compare(Standing { files: &files, holders: &holders, rank: &|_| 0 }, &new)
    }

    #[test]
    fn of_two_files_that_say_an_object_the_last_counts() {
        // What stands, what is new, which of the new are refused, and what is said.
        type Files<'a> = &'a [(&'a str, &'a str)];
        let table: &[(Files<'_>, Files<'_>, &[&str], &[&str])] = &[
            (&[("a", "x=1")], &[("b", "y=1")], &[], &[]),
            (
                &[("b", "x=1")],
                &[("a", "x=2")],
                &[],
                &["a:4: x: is at b:1 already, with other contents: that one counts"],
            ),
            (
                &[("a", "x=1")],
                &[("b", "x=2")],
                &[],
                &["b:4: x: is at a:1 already, with other contents: this one counts"],
            ),
            (&[("a", "x=1")], &[("b", "x=1")], &[], &["b:4: x: is at a:1 already"]),
            (&[("a", "x=1")], &[("a", "x=2")], &[], &[]),
            (
                &[],
                &[("a", "x=1"), ("b", "x=2")],
                &[],
                &["b:4: x: is at a:1 already, with other contents: this one"],
            ),
            // An object moves from one file to the other.
            (&[("a", "x=1 y=1"), ("b", "z=1")], &[("a", "y=1"), ("b", "x=2 z=1")], &[], &[]),
            (&[("a", "z=1"), ("b", "x=1 y=1")], &[("a", "x=2 z=1"), ("b", "y=1")], &[], &[]),
            (&[("a", "ttl=5 x=1")], &[("b", "ttl=6 y=1")], &["b"], &[]),
            (&[("a", "ttl=5 x=1")], &[("b", "ttl=5 y=1"), ("a", "ttl=5 x=2")], &[], &[]),
            (&[("a", "ttl=5 x=1")], &[("a", "ttl=6 x=1")], &[], &[]),
            // What is refused leaves the old content standing.
            (
                &[("a", "ttl=5"), ("b", "x=1")],
                &[("b", "ttl=6"), ("c", "x=2")],
                &["b"],
                &["c:4: x: is at b:1 already, with"],
            ),
        ];
        for (stand, new, refused, said) in table {
            let between = compared(
                &stand.iter().map(|&(file, says)| manifest(file, says)).collect::<Vec<_>>(),
                &new.iter().map(|&(file, says)| manifest(file, says)).collect::<Vec<_>>(),
            );
            let names: Vec<_> = between.refused.keys().map(|path| path.to_str().unwrap()).collect();
            assert_eq!(names, *refused, "{stand:?} {new:?}");
            let lines = between.warnings.iter().map(|warning| {
                let name = &warning.object.as_ref().expect("an object").name;
                format!("{}:{}: {name}: {}", warning.file, warning.line(), warning.message)
            });
            let lines: Vec<_> = lines.collect();
            assert_eq!(lines.len(), said.len(), "{stand:?} {new:?}: {lines:?}");
            assert!(
                lines.iter().zip(*said).all(|(line, part)| line.starts_with(part)),
                "{lines:?} are not {said:?}"
            );
        }
    }
}
