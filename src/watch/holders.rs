//! Index of the files that define each object, so that a change of one file is compared with the others without reading all
//! of them. Must not depend on the contents of objects, nor on why a file yields.

use std::path::Path;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::manifest::Known;
use crate::store::{Change, Key, Object};

/// The definition of an object in one file.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) path: Arc<Path>,
    pub(super) object: Object,
}

/// The definitions in all files, by object; most objects have one.
#[derive(Debug, Default)]
pub(super) struct Holders(FxHashMap<Key, SmallVec<[Holder; 1]>>);

impl Holders {
    /// Adds the definitions of the file at `path`.
    pub(super) fn add(&mut self, path: &Arc<Path>, known: &[Known]) {
        self.0.reserve(known.len());
        for known in known {
            self.set(path, &known.object);
        }
    }

    /// Applies `changes` of the file at `path`.
    pub(super) fn change(&mut self, path: &Arc<Path>, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Put(object) => self.set(path, object),
                Change::Delete(key) => self.remove(path, key),
            }
        }
    }

    fn set(&mut self, path: &Arc<Path>, object: &Object) {
        let holders = self.0.entry(object.key()).or_default();
        match holders.iter_mut().find(|holder| holder.path == *path) {
            Some(holder) => holder.object = object.clone(),
            None => {
                let at = holders.partition_point(|holder| holder.path < *path);
                holders.insert(at, Holder { path: path.clone(), object: object.clone() });
            }
        }
    }

    fn remove(&mut self, path: &Path, key: &Key) {
        if let Some(holders) = self.0.get_mut(key) {
            holders.retain(|holder| *holder.path != *path);
            if holders.is_empty() {
                self.0.remove(key);
            }
        }
    }

    /// Returns the definitions of `key`, ordered by path.
    pub(super) fn of(&self, key: &Key) -> &[Holder] {
        self.0.get(key).map_or(&[], |holders| holders)
    }
}

/// Returns the changes from `old` to `new`. Equal objects at the beginning and end, which are usually most of them, are
/// skipped without a lookup.
pub(super) fn difference(old: &[Known], new: &[Known]) -> Vec<Change> {
    let same = |(a, b): &(&Known, &Known)| a.object == b.object;
    let begin = old.iter().zip(new).take_while(same).count();
    let (old, new) = (&old[begin..], &new[begin..]);
    let end = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    let (old, new) = (&old[..old.len() - end], &new[..new.len() - end]);

    let mut gone: FxHashMap<Key, &Object> =
        old.iter().map(|known| (known.object.key(), &known.object)).collect();
    let puts = new.iter().filter(|known| gone.remove(&known.object.key()) != Some(&known.object));
    let mut changes: Vec<Change> = puts.map(|known| Change::Put(known.object.clone())).collect();
    changes.extend(gone.into_keys().map(Change::Delete));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::read_bytes;

    /// ExternalName Services: `a=1 b=2`.
    fn known(services: &str) -> Vec<Known> {
        let mut text = String::from("apiVersion: clusterlocal.dev/v1\nkind: Topology\nexternal:\n");
        for (name, value) in services.split_whitespace().filter_map(|service| service.split_once('=')) {
            text += &format!("  {name}: v{value}.example.org\n");
        }
        let manifest = read_bytes("a.yaml", text.into());
        assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
        manifest.objects.into_iter().map(Known::from).collect()
    }

    /// Renders changes of them: `a=1 -b`.
    fn rendered(changes: &[Change]) -> String {
        let mut rendered: Vec<String> = changes
            .iter()
            .map(|change| match change {
                Change::Put(Object::Service(service)) => {
                    let value = service.spec.external_name.as_ref().unwrap();
                    let value = value.trim_start_matches('v').split('.').next().unwrap();
                    format!("{}={value}", service.metadata.name)
                }
                Change::Put(other) => panic!("{other:?}"),
                Change::Delete(key) => format!("-{}", key.name),
            })
            .collect();
        rendered.sort();
        rendered.join(" ")
    }

    #[test]
    fn a_difference_lists_exactly_the_changed_objects() {
        let table = [
            ("", "", ""),
            ("", "a=1", "a=1"),
            ("a=1", "", "-a"),
            ("a=1 b=1", "a=1 b=1", ""),
            ("a=1 b=1", "b=1 a=1", ""),
            ("a=1 b=1 c=1", "a=1 b=2 c=1", "b=2"),
            ("a=1 b=1 c=1", "a=1 c=1", "-b"),
            ("a=1 c=1", "a=1 b=1 c=1", "b=1"),
            ("a=1 b=1 c=1 d=1", "c=1 b=2 e=1 d=1", "-a b=2 e=1"),
        ];
        for (old, new, expected) in table {
            assert_eq!(rendered(&difference(&known(old), &known(new))), expected, "{old} to {new}");
        }
    }

    #[test]
    fn several_files_may_define_an_object() {
        let (a, b): (Arc<Path>, Arc<Path>) = (Path::new("a").into(), Path::new("b").into());
        let mut holders = Holders::default();
        holders.add(&b, &known("x=1 y=1"));
        holders.add(&a, &known("x=1"));
        let key = |name: &str| Key::new(crate::store::Kind::Service, "default", name.to_owned());
        let of = |holders: &Holders, name: &str| -> Vec<_> {
            holders.of(&key(name)).iter().map(|holder| holder.path.clone()).collect()
        };
        assert_eq!(of(&holders, "x"), [a.clone(), b.clone()]);
        holders.change(&b, &difference(&known("x=1 y=1"), &known("y=2 z=1")));
        assert_eq!(of(&holders, "x"), [a]);
        assert_eq!((of(&holders, "y"), of(&holders, "z")), (vec![b.clone()], vec![b]));
    }
}
