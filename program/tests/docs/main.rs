//! README.md, the other pages at the root and docs/: their commands run and print what the pages show, their links lead to pages
//! and headings that exist, and their tables list what the program has.
//!
//! Each part of a page below a heading is a walk: it runs in a directory that holds what a clone holds, in a network of its own. A
//! walk whose programs are not installed is listed as ignored; `CLUSTERLOCAL_TEST_CLIENTS=all` requires them.
//!
//! `CLUSTERLOCAL_DOCS=write cargo test -p clusterlocal-program --test docs` writes what is printed into the pages; a second run
//! draws the terminal anew from them.

mod block;
mod compare;
mod drawing;
mod installed;
mod links;
mod lists;
mod page;
/// The rules of `check`: a program has no library to take them from.
#[path = "../../src/lint/rules.rs"]
mod rules;
mod shell;
mod walk;

use libtest_mimic::{Arguments, Failed, Trial};

use page::Page;

/// Maximum of lines of the README: what fits on few screens.
const README_LINES: usize = 150;

/// Maximum of lines that a reader types in a walk of the README.
const WALK_LINES: usize = 6;

/// Whether pages are to be written instead of compared.
fn is_writing() -> bool {
    std::env::var("CLUSTERLOCAL_DOCS").is_ok_and(|value| value == "write")
}

fn main() {
    let required = std::env::var("CLUSTERLOCAL_TEST_CLIENTS").is_ok_and(|value| value == "all");
    let pages = page::all();
    let mut trials = vec![
        Trial::test("README is short", readme_is_short),
        Trial::test("SUMMARY lists each page", links::summary_lists_each_page),
        Trial::test("tables list what the program has", lists::are_complete),
        Trial::test("annotations are listed", lists::annotations_are_listed),
        Trial::test("mdbook makes the site", links::site_is_made)
            .with_ignored_flag(!installed::is_installed("mdbook")),
        Trial::test("the drawn terminal shows the quick start", drawing::is_current),
    ];
    for page in pages {
        trials.push(Trial::test(format!("links of {}", page.path), {
            let page = page.clone();
            move || links::lead_somewhere(&page)
        }));
        trials.push(Trial::test(format!("blocks of {}", page.path), {
            let page = page.clone();
            move || block::are_run_or_say_why(&page)
        }));
        for section in page.sections.iter().filter(|section| section.runs()) {
            let (path, section) = (page.path.clone(), section.clone());
            let missing = installed::missing(&section);
            let is_ignored = missing.iter().any(|program| !required || installed::is_optional(program));
            let name = format!("{path} {}", section.title);
            trials.push(Trial::test(name, move || walk::run(&path, &section)).with_ignored_flag(is_ignored));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn readme_is_short() -> Result<(), Failed> {
    let readme = Page::read("README.md");
    let lines = readme.text.lines().count();
    if lines > README_LINES {
        return Err(format!("README.md has {lines} lines, at most {README_LINES} are allowed").into());
    }
    for block in readme.sections.iter().flat_map(|section| &section.blocks) {
        let typed = |line: &&str| block.language != "console" || line.starts_with("$ ");
        let lines = block.content.lines().filter(typed).count();
        if lines > WALK_LINES {
            return Err(format!(
                "README.md:{}: {lines} lines to type, at most {WALK_LINES} are allowed",
                block.line
            )
            .into());
        }
    }
    Ok(())
}
