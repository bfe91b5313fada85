//! Problems of a manifest, with position and remedy: for a terminal, a log line or a linter.

use std::fmt;
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::legible::legible;
use super::source::{Place, Spot};
use crate::store::Key;

/// The severity of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The object is valid, but probably not as intended.
    Warning,
    /// The API server would refuse the object, and so do we.
    Error,
}

/// One problem of one file.
///
/// Text from the file is shortened and its control characters are replaced, so that a problem can be logged or printed
/// safely.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Problem {
    /// The severity.
    pub severity: Severity,
    /// The code of a finding of `check`; `None` for errors of an API server.
    pub code: Option<&'static str>,
    /// The message, which starts with the path of the field if there is one.
    pub message: String,
    /// The remedy.
    pub help: Option<String>,
    /// The object, if its key could be read.
    pub object: Option<Key>,
    /// The file's display name.
    pub file: Arc<str>,
    /// The position in the file; `None` if it concerns the whole file.
    pub spot: Option<Spot>,
}

/// Maximum length of a message or help, in characters.
const MESSAGE_CHARS: usize = 400;

/// Maximum length of an object's name in a problem, in characters.
const NAME_CHARS: usize = 80;

impl Problem {
    /// An error in `file` as a whole.
    pub fn of_file(file: &str, message: impl AsRef<str>) -> Self {
        Problem {
            severity: Severity::Error,
            code: None,
            message: legible(message.as_ref(), MESSAGE_CHARS),
            help: None,
            object: None,
            file: file.into(),
            spot: None,
        }
    }

    /// An error at `spot` of the file that `place` is in.
    pub fn at(place: &Place, spot: Spot, message: impl AsRef<str>) -> Self {
        Problem { file: place.file().clone(), spot: Some(spot), ..Self::of_file("", message) }
    }

    /// The problem with a remedy.
    pub fn with_help(self, help: impl AsRef<str>) -> Self {
        Problem { help: Some(legible(help.as_ref(), MESSAGE_CHARS)), ..self }
    }

    /// The problem with its object.
    pub fn about(self, object: Key) -> Self {
        Problem { object: Some(object), ..self }
    }

    /// The problem as a warning.
    pub fn as_warning(self) -> Self {
        Problem { severity: Severity::Warning, ..self }
    }

    /// The line in the file, from 1; 0 for the whole file.
    pub fn line(&self) -> u32 {
        self.spot.as_ref().map_or(0, |spot| spot.line)
    }

    /// The problem with its source line and a caret below the position, in rustc's format; without a final newline.
    pub fn render(&self, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = self.title();
        let mut title = level.primary_title(&title);
        if let Some(code) = self.code {
            title = title.id(code);
        }
        let file = legible(&self.file, MESSAGE_CHARS);
        let mut group = Group::with_title(title);
        if let Some(spot) = &self.spot {
            let mark = AnnotationKind::Primary.span(spot.mark.clone());
            let snippet = Snippet::source(&*spot.text).line_start(spot.line as usize).annotation(mark);
            let whole = spot.text[..spot.mark.start].chars().count() + 1 == spot.column as usize;
            group = if whole {
                group.element(snippet.path(&file))
            } else {
                // The columns of a shortened line differ from the file's.
                let origin = Origin::path(&file).line(spot.line as usize).char_column(spot.column as usize);
                group.element(origin).element(snippet)
            };
        } else {
            group = group.element(Origin::path(&file));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.decor_style(DecorStyle::Ascii).render(&[group])
    }

    fn title(&self) -> String {
        match &self.object {
            Some(key) => format!("{}: {}", legible(&key.to_string(), NAME_CHARS), self.message),
            None => self.message.clone(),
        }
    }
}

/// One line: `file:line:column: Service db/cassandra: spec.ports[0].port: …`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", legible(&self.file, MESSAGE_CHARS))?;
        if let Some(spot) = &self.spot {
            write!(f, "{}:{}:", spot.line, spot.column)?;
        }
        if self.severity == Severity::Warning {
            f.write_str(" warning:")?;
        }
        write!(f, " {}", self.title())?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}
