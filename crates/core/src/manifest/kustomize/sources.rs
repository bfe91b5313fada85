//! The files on which a rendering depends: the kustomization, the paths in it, and the kustomizations at those paths.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_yaml::Value;

use super::super::folders::KUSTOMIZATIONS;
use super::super::limits;

/// Maximum number of files that are followed for one kustomization.
const SOURCES: usize = limits::FILES;

/// Finds the files of a kustomization, and caches the paths in unchanged kustomizations.
#[derive(Debug, Default)]
pub struct Sources {
    named: HashMap<PathBuf, (Seen, Vec<PathBuf>)>,
}

/// Length and modification time of a kustomization, to detect changes.
type Seen = (u64, Option<std::time::SystemTime>);

impl Sources {
    /// The existing files on which the kustomization in `directory` depends, with their metadata. Every string in a
    /// kustomization that is the path of a file or directory counts: kustomize has many fields for paths, and their
    /// number grows.
    pub fn find(&mut self, directory: &Path) -> BTreeMap<PathBuf, Metadata> {
        let mut found = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut rest = vec![directory.to_path_buf()];
        while let Some(directory) = rest.pop() {
            // Bases that refer to each other are an error for kustomize to report.
            if found.len() >= SOURCES || !directory.canonicalize().is_ok_and(|way| seen.insert(way)) {
                continue;
            }
            for name in KUSTOMIZATIONS {
                let kustomization = directory.join(name);
                let Some(meta) = fs::metadata(&kustomization).ok().filter(Metadata::is_file) else {
                    continue;
                };
                let paths = self.named_in(&kustomization, &directory, &meta);
                found.insert(kustomization, meta);
                for path in paths {
                    match fs::metadata(&path) {
                        Ok(meta) if meta.is_dir() => rest.push(path),
                        Ok(meta) if meta.is_file() => drop(found.insert(path, meta)),
                        _ => {}
                    }
                }
            }
        }
        found
    }

    /// The possible paths in `kustomization`.
    fn named_in(&mut self, kustomization: &Path, directory: &Path, meta: &Metadata) -> Vec<PathBuf> {
        let seen = (meta.len(), meta.modified().ok());
        if let Some((before, paths)) = self.named.get(kustomization)
            && *before == seen
        {
            return paths.clone();
        }
        let text = fs::read_to_string(kustomization).unwrap_or_default();
        let mut paths = Vec::new();
        for document in serde_yaml::Deserializer::from_str(&text).take(1) {
            if limits::structure(&text).is_ok()
                && !limits::has_aliases(&text)
                && let Ok(value) = Value::deserialize(document)
            {
                strings(&value, &mut |text| paths.extend(candidates(text).map(|path| directory.join(path))));
            }
        }
        self.named.insert(kustomization.to_path_buf(), (seen, paths.clone()));
        paths
    }
}

/// The possible paths in `text`: itself, or the file of a generator with an explicit key, `key=path`.
fn candidates(text: &str) -> impl Iterator<Item = &str> {
    let path = |text: &&str| {
        !text.is_empty() && text.len() < 4096 && !text.contains(['\n', '\0']) && !text.contains("://")
    };
    let value = text.split_once('=').map(|(_, path)| path);
    [Some(text), value].into_iter().flatten().filter(path)
}

fn strings(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => each(text),
        Value::Sequence(items) => items.iter().for_each(|item| strings(item, each)),
        Value::Mapping(map) => map.values().for_each(|value| strings(value, each)),
        Value::Tagged(tagged) => strings(&tagged.value, each),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_paths_in_a_kustomization_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let files = [
            (
                "overlays/prod/kustomization.yaml",
                "resources: [../../base, extra.yaml, 'https://example.org/x?ref=v1', missing.yaml]\n\
                 components: [../../components/tls]\n\
                 patches:\n- path: patch.yaml\n- patch: |-\n    - {op: remove, path: /spec}\n  target: {kind: Service}\n\
                 configMapGenerator:\n- name: c\n  files: [app.conf, other=conf/b.conf]\n  envs: [a.env]\n\
                 replacements: [{path: replacement.yaml}]\n",
            ),
            ("overlays/prod/extra.yaml", ""),
            ("overlays/prod/patch.yaml", ""),
            ("overlays/prod/app.conf", ""),
            ("overlays/prod/conf/b.conf", ""),
            ("overlays/prod/a.env", ""),
            ("overlays/prod/replacement.yaml", ""),
            ("overlays/prod/not-named.yaml", ""),
            ("base/kustomization.yml", "resources:\n- svc.yaml\n- ../overlays/prod\n"),
            ("base/svc.yaml", ""),
            ("components/tls/Kustomization", "patchesStrategicMerge: [tls.yaml]\n"),
            ("components/tls/tls.yaml", ""),
        ];
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut sources = Sources::default();
        let found = |sources: &mut Sources| -> BTreeSet<PathBuf> {
            let found = sources.find(&root.join("overlays/prod"));
            found.into_keys().map(|path| path.canonicalize().unwrap()).collect()
        };
        let expected =
            files.iter().filter(|(name, _)| !name.contains("not-named")).map(|(name, _)| root.join(name));
        let expected: BTreeSet<PathBuf> = expected.collect();
        assert_eq!(found(&mut sources), expected);
        assert_eq!(found(&mut sources), expected, "from the cache");
        fs::write(root.join("overlays/prod/missing.yaml"), "").unwrap();
        assert!(found(&mut sources).contains(&root.join("overlays/prod/missing.yaml")), "it was created");
    }
}
