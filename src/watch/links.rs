//! Resolves symbolic links of a path one by one, so that the replacement of one of them is noticed: a mounted ConfigMap
//! changes by the rename of a link that is no file's own name. Must not depend on what the files contain.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// Maximum number of links in one path, as in Linux.
const LINKS: usize = 40;

/// Returns every link on the path, and at last the file itself, each as a path whose parent has no links.
///
/// A missing name counts as no link.
pub(super) fn hops(path: &Path) -> Vec<PathBuf> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut hops = Vec::new();
    let mut at = PathBuf::new();
    let mut rest: VecDeque<OsString> = components(&path).collect();
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        match std::fs::read_link(&next) {
            Ok(target) if hops.len() < LINKS => {
                hops.push(next);
                // An absolute target begins with the root, which replaces everything before it.
                for name in components(&target).rev() {
                    rest.push_front(name);
                }
            }
            _ => at = next,
        }
    }
    hops.push(at);
    hops
}

fn components(path: &Path) -> impl DoubleEndedIterator<Item = OsString> + '_ {
    path.components().filter(|part| *part != Component::CurDir).map(|part| part.as_os_str().to_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_path_of_a_mounted_config_map_has_two_links() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("mount/..2026")).unwrap();
        fs::write(root.join("mount/..2026/db.yaml"), "").unwrap();
        symlink("..2026", root.join("mount/..data")).unwrap();
        symlink("..data/db.yaml", root.join("mount/db.yaml")).unwrap();
        symlink(root.join("mount"), root.join("link")).unwrap();
        symlink("round", root.join("round")).unwrap();

        let table: &[(&str, &[&str])] = &[
            ("plain.yaml", &["plain.yaml"]),
            ("mount/./db.yaml", &["mount/db.yaml", "mount/..data", "mount/..2026/db.yaml"]),
            (
                "link/../link/db.yaml",
                &["link", "link", "mount/db.yaml", "mount/..data", "mount/..2026/db.yaml"],
            ),
            ("missing/db.yaml", &["missing/db.yaml"]),
        ];
        for (path, expected) in table {
            let expected: Vec<PathBuf> = expected.iter().map(|hop| root.join(hop)).collect();
            assert_eq!(hops(&root.join(path)), expected, "{path}");
        }
        assert_eq!(hops(&root.join("round")).len(), LINKS + 1);
    }
}
