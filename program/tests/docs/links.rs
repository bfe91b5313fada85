//! Links between pages: without a network, and with the anchors that repository pages and mdBook make of headings.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use libtest_mimic::Failed;

use crate::installed::PATH;
use crate::page::{Page, ROOT};

/// Each link of the page leads to a file of the project, and to a heading of it; a link within docs/ stays there, because the site
/// that mdBook makes has nothing else.
pub fn lead_somewhere(page: &Page) -> Result<(), Failed> {
    let problems: Vec<_> = page
        .links
        .iter()
        .filter_map(|(link, line)| Some(format!("{}:{line}: {link} {}", page.path, problem(page, link)?)))
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
}

fn problem(page: &Page, link: &str) -> Option<String> {
    if link.starts_with("https://") {
        return None;
    }
    if link.contains("://") {
        return Some("should begin with https://".into());
    }
    let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
    let path = if target.is_empty() { PathBuf::from(&page.path) } else { joined(&page.path, target)? };
    let file = Path::new(ROOT).join(&path);
    if !file.exists() {
        return Some(format!("leads to {}, which does not exist", path.display()));
    }
    if page.path.starts_with("docs/") && !path.starts_with("docs") {
        return Some("leaves docs/, which the site does not have: name the file instead".into());
    }
    if anchor.is_empty() {
        return None;
    }
    let there = Page::read(path.to_str()?);
    let anchors: Vec<_> = there.sections.iter().flat_map(|section| &section.anchors).collect();
    (!anchors.iter().any(|known| *known == anchor))
        .then(|| format!("leads to no heading; there are {anchors:?}"))
}

/// The path from the root of what `target` is for the page at `page`.
fn joined(page: &str, target: &str) -> Option<PathBuf> {
    let mut path = PathBuf::from(page);
    path.pop();
    for component in Path::new(target).components() {
        match component {
            Component::ParentDir => _ = path.pop(),
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    Some(path)
}

/// The table of contents of the site has each page of docs/.
pub fn summary_lists_each_page() -> Result<(), Failed> {
    let summary = Page::read("docs/SUMMARY.md");
    let listed: BTreeSet<_> = summary.links.iter().map(|(link, _)| link.clone()).collect();
    let names = fs::read_dir(Path::new(ROOT).join("docs")).map_err(|e| e.to_string())?;
    let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let pages: BTreeSet<_> = names.filter(|name| name.ends_with(".md") && name != "SUMMARY.md").collect();
    if listed == pages {
        return Ok(());
    }
    Err(format!("docs/SUMMARY.md lists {listed:?}, docs/ has {pages:?}").into())
}

/// mdBook makes a page of each page, without warnings.
pub fn site_is_made() -> Result<(), Failed> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let mut command = Command::new("mdbook");
    command.args(["build", "-d"]).arg(folder.path()).arg(ROOT).env("PATH", &*PATH);
    let made = command.output().map_err(|e| e.to_string())?;
    let log = String::from_utf8_lossy(&made.stderr);
    if !made.status.success() || log.contains("WARN") || log.contains("ERROR") {
        return Err(format!("mdbook build: {}\n{log}", made.status).into());
    }
    if !folder.path().join("quick-start.html").exists() {
        return Err("mdbook build makes no quick-start.html".into());
    }
    Ok(())
}
