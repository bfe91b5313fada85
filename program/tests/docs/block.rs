//! Blocks of code, and the comments before them that decide what is done with them:
//!
//! | comment | the block |
//! |---|---|
//! | `<!-- not run: REASON -->` | is not run |
//! | `<!-- file: NAME -->` | is written to this file before what follows; the text before it names the file |
//! | `<!-- same as: PATH -->` | is the file at this path of the project |
//! | `<!-- terminal: NAME -->` | is run in a terminal of its own, and goes on running; without a command it is what that terminal prints later |
//! | `<!-- exit: CODE -->` | has a last command that ends with this code |
//! | `<!-- drawn -->` | is in the drawn terminal |

use libtest_mimic::Failed;

use crate::page::{self, Page, ROOT};

/// A block of code.
#[derive(Clone, Debug)]
pub struct Block {
    pub language: String,
    pub content: String,
    pub markers: Vec<Marker>,
    /// Line of the page at which it begins.
    pub line: usize,
}

/// A comment before a block.
#[derive(Clone, Debug, PartialEq)]
pub enum Marker {
    NotRun(String),
    File(String),
    SameAs(String),
    Terminal(String),
    Exit(i32),
    Drawn,
    Unknown(String),
}

impl Marker {
    fn parse(comment: &str) -> Marker {
        let (word, value) = comment.split_once(':').unwrap_or((comment, ""));
        let value = value.trim();
        match (word.trim(), value) {
            ("drawn", "") => Marker::Drawn,
            (_, "") => Marker::Unknown(comment.into()),
            ("not run", _) => Marker::NotRun(value.into()),
            ("file", _) => Marker::File(value.into()),
            ("same as", _) => Marker::SameAs(value.into()),
            ("terminal", _) => Marker::Terminal(value.into()),
            ("exit", code) => code.parse().map_or_else(|_| Marker::Unknown(comment.into()), Marker::Exit),
            _ => Marker::Unknown(comment.into()),
        }
    }
}

impl Block {
    /// A block without content, after these HTML comments.
    pub fn new(language: &str, line: usize, comments: &str) -> Block {
        let comments = comments.split("<!--").filter_map(|comment| Some(comment.split_once("-->")?.0.trim()));
        let markers = comments.map(Marker::parse).collect();
        Block { language: language.into(), content: String::new(), markers, line }
    }

    fn marker<'a, T>(&'a self, of: impl Fn(&'a Marker) -> Option<T>) -> Option<T> {
        self.markers.iter().find_map(of)
    }

    /// The file that it is written to.
    pub fn file(&self) -> Option<&str> {
        self.marker(|marker| if let Marker::File(name) = marker { Some(name.as_str()) } else { None })
    }

    /// The file of the project that it repeats.
    pub fn same_as(&self) -> Option<&str> {
        self.marker(|marker| if let Marker::SameAs(path) = marker { Some(path.as_str()) } else { None })
    }

    /// The terminal in which it goes on running.
    pub fn terminal(&self) -> Option<&str> {
        self.marker(|marker| if let Marker::Terminal(name) = marker { Some(name.as_str()) } else { None })
    }

    /// The exit code of its last command.
    pub fn exit(&self) -> i32 {
        self.marker(|marker| if let Marker::Exit(code) = marker { Some(*code) } else { None }).unwrap_or(0)
    }

    /// Whether its commands are run.
    pub fn runs(&self) -> bool {
        let is_run = matches!(self.language.as_str(), "console" | "sh");
        is_run && !self.markers.iter().any(|marker| matches!(marker, Marker::NotRun(_)))
    }

    /// `content` in a fence of this block's language.
    pub fn fenced(&self, content: &str) -> String {
        format!("```{}\n{content}```", self.language)
    }

    /// What is wrong with its comments, in a section with this text.
    fn problem(&self, path: &str, prose: &str) -> Option<String> {
        if let Some(Marker::Unknown(comment)) = self.marker(|m| matches!(m, Marker::Unknown(_)).then_some(m))
        {
            return Some(format!(
                "the comment {comment:?} before the block has no meaning: block.rs lists those that have one"
            ));
        }
        if let Some(name) = self.file() {
            let is_named = prose.contains(name);
            return (!is_named).then(|| format!("the text before the block does not name the file {name}"));
        }
        if let Some(same) = self.same_as() {
            return match std::fs::read_to_string(format!("{ROOT}/{same}")) {
                Ok(content) if content == self.content => None,
                Ok(content) if crate::is_writing() => {
                    page::replace(path, "", &self.fenced(&self.content), &self.fenced(&content));
                    None
                }
                Ok(_) => Some(format!("the block is not the content of {same}; copy it")),
                Err(error) => Some(format!("{same}: {error}")),
            };
        }
        let has_reason = self.markers.iter().any(|marker| matches!(marker, Marker::NotRun(_)));
        // Text is no command, and rustdoc runs the Rust code of the pages that src/lib.rs includes.
        let is_free = self.language == "text" || self.runs() || has_reason;
        let by_rustdoc = self.language == "rust" && is_included(path);
        (!is_free && !by_rustdoc).then(|| {
            format!(
                "a block of {:?} is not run: make it one of console or sh, or write a comment before it, such as \
                 <!-- file: NAME --> or <!-- not run: REASON -->",
                self.language
            )
        })
    }
}

/// Whether rustdoc reads the page.
fn is_included(path: &str) -> bool {
    let library = std::fs::read_to_string(format!("{ROOT}/src/lib.rs")).expect("the library's root");
    library.contains(&format!("include_str!(\"../{path}\")"))
}

/// Each block of the page is run, is a file of a walk, repeats a file, or has a reason why it is not run.
pub fn are_run_or_say_why(page: &Page) -> Result<(), Failed> {
    let mut problems = Vec::new();
    for section in &page.sections {
        for block in &section.blocks {
            if let Some(problem) = block.problem(&page.path, &section.prose) {
                problems.push(format!("{}:{}: {problem}", page.path, block.line));
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
}
