//! Takes the place of the API server's "already exists": what several files may not say together. Of two files that
//! contradict each other the newer one is refused; what was read before has been served already.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::holders::Holders;
use crate::manifest::{Known, Manifest, Overrides, Problem, Read};
use crate::store::{Key, Object};

/// What is kept of a file: enough to serve it, to tell where things are and to read it again soon, but not its text as
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

/// More problems between one file and others are not told: nobody reads them.
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
    let mut seen: FxHashMap<Key, (&Object, &str, u32)> = FxHashMap::default();
    let mut warnings = Vec::new();
    for (path, manifest) in new.iter().filter(|(path, _)| is_new(path)) {
        let mut problems = Vec::new();
        for read in &manifest.objects {
            let key = read.object.key();
            let other = stand.holders.of(&key).iter().rev().find_map(|holder| {
                let kept = stand.files.get(&holder.path).filter(|_| !is_new(&holder.path))?;
                Some((&holder.object, &*kept.name, kept))
            });
            let (first, file, line) = match (other, seen.get(&key)) {
                (Some((object, file, kept)), _) => (object, file, kept.line(&key)),
                (None, Some(&earlier)) => earlier,
                (None, None) if several => {
                    seen.insert(key, (&read.object, &manifest.name, read.place.line()));
                    continue;
                }
                (None, None) => continue,
            };
            match first == &read.object {
                true if warnings.len() < PROBLEMS => {
                    warnings.push(duplicate(read, file, line).as_warning());
                }
                false if problems.len() < PROBLEMS => problems.push(
                    duplicate(read, file, line)
                        .with_help("leave one of them out, or give it another name or namespace"),
                ),
                _ => {}
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

    /// What comes of files where others stand, each called after its path.
    fn compared(stand: &[Manifest], new: &[Manifest]) -> Between {
        let path = |manifest: &Manifest| -> Arc<Path> { Path::new(&*manifest.name).into() };
        let mut holders = Holders::default();
        let kept: Vec<_> = stand.iter().map(|m| (path(m), Kept::new(m.clone(), false))).collect();
        kept.iter().for_each(|(path, kept)| holders.add(path, &kept.objects));
        let files = kept.iter().map(|(path, kept)| (path, kept)).collect();
        let new: Vec<_> = new.iter().map(|manifest| (path(manifest), manifest)).collect();
        let new = new.iter().map(|(path, manifest)| (path, *manifest)).collect();
        compare(Standing { files: &files, holders: &holders }, &new)
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
            let between = compared(
                &stand.iter().map(|&(file, says)| manifest(file, says)).collect::<Vec<_>>(),
                &new.iter().map(|&(file, says)| manifest(file, says)).collect::<Vec<_>>(),
            );
            let names: Vec<_> = between.refused.keys().map(|path| path.to_str().unwrap()).collect();
            assert_eq!((names, between.warnings.len()), (refused.to_vec(), *warnings), "{stand:?} {new:?}");
        }
    }

    #[test]
    fn a_contradiction_tells_where_the_other_is() {
        let between = compared(&[manifest("a.yaml", "x=1")], &[manifest("b.yaml", "y=1 x=2")]);
        let problem = &between.refused[Path::new("b.yaml")][0];
        assert!(problem.to_string().starts_with("b.yaml:5:"), "{problem}");
        assert!(problem.to_string().contains("Service default/x: is at a.yaml:1 already"), "{problem}");
    }
}
