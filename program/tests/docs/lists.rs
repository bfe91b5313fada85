//! Tables of the pages that follow from the program: findings of `check`, faults, annotations.

use std::fs;
use std::path::Path;

use clusterlocal_core::fault::{ACTIONS, Notation, PRESETS, PresetInfo};
use libtest_mimic::Failed;
use regex_lite::Regex;

use crate::page::ROOT;
use crate::rules::RULES;

/// The tables of findings, actions and presets have a row for each.
pub fn are_complete() -> Result<(), Failed> {
    let cell = |text: &str| text.replace('|', "\\|");
    let action = |action: &Notation| format!("| `{}` | {} |\n", cell(action.written), cell(action.about));
    let preset = |preset: &PresetInfo| {
        format!("| `{}` | {} | {} |\n", cell(preset.written), cell(preset.about), cell(preset.imitates))
    };
    let findings: String =
        RULES.iter().map(|rule| format!("| `{}` | {} |\n", rule.code, rule.summary)).collect();
    let tables = [
        ("docs/lint.md", "findings", "| code | finds |\n|---|---|\n", findings),
        (
            "docs/faults.md",
            "actions",
            "| action | effect |\n|---|---|\n",
            ACTIONS.iter().map(action).collect(),
        ),
        (
            "docs/faults.md",
            "presets",
            "| preset | effect | imitates |\n|---|---|---|\n",
            PRESETS.iter().map(preset).collect(),
        ),
    ];
    for (path, name, title, rows) in tables {
        holds(path, name, &format!("{title}{rows}"))?;
    }
    Ok(())
}

/// The page at `path` has `expected` between the comments `NAME:begin` and `NAME:end`; it is written there on demand.
fn holds(path: &str, name: &str, expected: &str) -> Result<(), Failed> {
    let file = Path::new(ROOT).join(path);
    let text = fs::read_to_string(&file).map_err(|e| format!("{path}: {e}"))?;
    let (begin, end) = (format!("<!-- {name}:begin -->\n"), format!("<!-- {name}:end -->"));
    let missing = || format!("{path} has no comments {begin}and {end}");
    let (before, rest) = text.split_once(&begin).ok_or_else(missing)?;
    let (listed, after) = rest.split_once(&end).ok_or_else(missing)?;
    if listed.trim() == expected.trim() {
        return Ok(());
    }
    if !crate::is_writing() {
        return Err(format!("{path} should have between {begin}and {end}:\n{expected}").into());
    }
    fs::write(&file, format!("{before}{begin}{expected}{end}{after}")).map_err(|e| e.to_string().into())
}

/// The reference has each annotation that the sources of the core name.
pub fn annotations_are_listed() -> Result<(), Failed> {
    let constant = Regex::new(r#"const [A-Z_]+: &str = "((?:[a-z]+\.)?clusterlocal\.dev/[a-z-]*)";"#)
        .expect("a pattern");
    let mut found = Vec::new();
    collect(&Path::new(ROOT).join("crates/core/src"), &constant, &mut found)?;
    found.retain(|annotation| !annotation.ends_with(".dev/") || annotation.matches('.').count() == 2);
    if found.len() < 10 {
        return Err(format!("only {found:?} were found in crates/core/src").into());
    }
    let reference =
        fs::read_to_string(Path::new(ROOT).join("docs/reference.md")).map_err(|e| e.to_string())?;
    found.retain(|annotation| !reference.contains(&format!("`{annotation}")));
    if found.is_empty() { Ok(()) } else { Err(format!("docs/reference.md does not list {found:?}").into()) }
}

fn collect(folder: &Path, constant: &Regex, found: &mut Vec<String>) -> Result<(), Failed> {
    for entry in fs::read_dir(folder).map_err(|e| e.to_string())? {
        let path = entry.map_err(|e| e.to_string())?.path();
        if path.is_dir() {
            collect(&path, constant, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).map_err(|e| e.to_string())?;
            found.extend(constant.captures_iter(&text).map(|capture| capture[1].to_owned()));
        }
    }
    Ok(())
}
