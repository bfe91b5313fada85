//! Ways from an object to a value in it, and their forms.

use std::fmt::Write as _;

/// A step from a value to one in it.
#[derive(Clone, Copy)]
pub(super) enum Step<'o> {
    /// To a map's value.
    Key(&'o str),
    Field(&'o str),
    Item(usize),
}

/// `spec.containers[1].image`
pub(super) fn text(path: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in path {
        _ = match step {
            Step::Field(name) if text.is_empty() => write!(text, "{name}"),
            Step::Field(name) => write!(text, ".{name}"),
            Step::Key(name) => write!(text, ".{name}"),
            Step::Item(at) => write!(text, "[{at}]"),
        };
    }
    text
}

/// The same as manifests are searched for it: a key with dots is in brackets.
pub(super) fn place(path: &[Step<'_>]) -> String {
    path.iter().fold(String::new(), |text, step| match step {
        Step::Field(name) | Step::Key(name) => clusterlocal_core::manifest::tree::below(&text, name),
        Step::Item(at) => format!("{text}[{at}]"),
    })
}
