//! A file's text and places in it: the lines and columns of objects and their fields.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::legible::plain;
use super::limits;
use super::locate::{self, Step, parse_path};
use super::positions::Positions;

/// The place of an object: a document of a file, or one item in it.
///
/// It keeps the file's text in memory, so that later problems can have a position. Drop it when it is no longer needed.
#[derive(Clone)]
pub struct Place {
    pub(super) source: Arc<Source>,
    pub(super) passage: Passage,
    /// The path of the object inside the passage: `items[3]`, or the short form's `sets.cassandra`.
    pub(super) within: Arc<[Step]>,
}

impl Place {
    /// The whole file.
    pub(super) fn whole(source: Source) -> Self {
        let passage = Passage { range: 0..source.text.len(), line: 1, dash: None, json: false };
        Place { source: Arc::new(source), passage, within: Arc::default() }
    }

    /// The file's display name.
    pub fn file(&self) -> &Arc<str> {
        &self.source.name
    }

    /// The line at which the document or item starts, from 1.
    pub fn line(&self) -> u32 {
        self.passage.line
    }

    /// The position of the field at `path`, such as `spec.ports[0].name` or `metadata.labels[app.kubernetes.io/name]`:
    /// of its key if its value is a map or a list, or of the nearest existing parent.
    pub fn locate(&self, path: &str) -> Spot {
        let steps: Vec<Step> = self.within.iter().cloned().chain(parse_path(path)).collect();
        self.find(&steps, 0)
    }

    /// The position of the second key called `key` in the map at `path`, which is invalid.
    pub fn locate_repeated(&self, path: &str, key: &str) -> Spot {
        let mut steps: Vec<Step> = parse_path(path).collect();
        steps.push(Step::Key(key.into()));
        self.find(&steps, 1)
    }

    /// The position of a byte of the passage.
    pub(super) fn at(&self, offset: usize) -> Spot {
        self.source.spot(self.passage.range.start + offset)
    }

    /// The part of the file's text that contains it.
    pub fn range(&self) -> Range<usize> {
        self.passage.range.clone()
    }

    /// The whole document or item that contains it.
    pub fn document(&self) -> Place {
        Place { within: Arc::default(), ..self.clone() }
    }

    /// The object in `document`, the value of the whole passage.
    pub fn within<'v>(&self, document: &'v serde_json::Value) -> Option<&'v serde_json::Value> {
        self.within.iter().try_fold(document, |value, step| match step {
            Step::Key(key) => value.get(&**key),
            Step::Index(at) => value.get(*at),
        })
    }

    /// The first line of the passage with content.
    pub(super) fn head(&self) -> Spot {
        let text = &self.source.text[self.passage.range.clone()];
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let content = line.trim_start();
            if !content.is_empty() && !content.starts_with('#') {
                return self.at(at + line.len() - content.len());
            }
            at += line.len();
        }
        self.at(0)
    }

    /// The passage's text as a document of its own: the dash of a List's item is blanked.
    pub fn text(&self) -> Cow<'_, str> {
        self.passage.text(&self.source.text)
    }

    /// The cached parse of the passage, if it is well-formed.
    pub(super) fn parsed(&self) -> Option<Arc<Parsed>> {
        if self.passage.range.len() > limits::LOCATED_BYTES {
            return None;
        }
        let key = (self.passage.range.start, self.passage.range.end);
        let mut cache = self.source.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(parsed) = cache.get(&key) {
            return parsed.clone();
        }
        // Objects are processed in order: those of one passage share an entry.
        if cache.len() >= PARSED_MAX {
            cache.clear();
        }
        let positions = Positions::of(&self.text());
        let parsed = positions.map(|positions| Arc::new(Parsed { positions, root: OnceLock::new() }));
        cache.insert(key, parsed.clone());
        parsed
    }

    fn find(&self, steps: &[Step], repeated: usize) -> Spot {
        let found = match self.parsed() {
            _ if self.passage.range.len() > limits::LOCATED_BYTES => None,
            Some(parsed) => parsed.positions.find(steps, repeated),
            // The other parser may accept what this one does not.
            None => locate::find(&self.text(), steps, repeated),
        };
        found.map_or_else(|| self.head(), |offset| self.at(offset))
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source.name, self.passage.line)
    }
}

/// A line and a column of a file, with the line's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// Length of the word that starts there, in characters; at least 1.
    pub length: u32,
    /// The line, or the part of it around the column that fits a terminal; control characters are replaced.
    pub text: Box<str>,
    /// The range of the word in `text`, in bytes.
    pub mark: Range<usize>,
}

/// Maximum number of characters of a line that are shown, and of those before the column.
const SHOWN: usize = 160;
const SHOWN_BEFORE: usize = 80;

/// A file's text and display name.
pub(super) struct Source {
    pub(super) name: Arc<str>,
    pub(super) text: String,
    /// By the first and last byte of the passage.
    parsed: Mutex<Cached>,
    /// Offsets of the starts of its lines, computed on first use.
    lines: OnceLock<Vec<usize>>,
    /// Number of characters before every [`CHARACTERS_INTERVAL`]th byte, computed on first use.
    characters: OnceLock<Vec<usize>>,
}

/// Interval at which the number of characters is stored, in bytes.
const CHARACTERS_INTERVAL: usize = 1024;

/// Cached passages; `None` for malformed ones.
type Cached = HashMap<(usize, usize), Option<Arc<Parsed>>>;

/// Maximum number of cached passages of a file. Each takes up to ten times its size.
const PARSED_MAX: usize = 16;

/// The cached parse of a passage, which its objects and fields share.
pub(super) struct Parsed {
    positions: Positions,
    /// Its value; `None` if it has none.
    root: OnceLock<Option<serde_yaml::Value>>,
}

impl Parsed {
    /// The value of the passage, for which `read` is called the first time.
    pub(super) fn root(
        &self,
        read: impl FnOnce() -> Option<serde_yaml::Value>,
    ) -> Option<&serde_yaml::Value> {
        self.root.get_or_init(read).as_ref()
    }
}

impl Source {
    /// A file called `name` with this `text`.
    pub(super) fn new(name: Arc<str>, text: String) -> Self {
        Source { name, text, parsed: Mutex::default(), lines: OnceLock::new(), characters: OnceLock::new() }
    }

    /// Number of characters before byte `offset`: counted from the last byte with a stored number, because a line may
    /// be as long as the file.
    fn characters_before(&self, offset: usize) -> usize {
        let known = self.characters.get_or_init(|| {
            let blocks = self.text.as_bytes().chunks(CHARACTERS_INTERVAL);
            let mut sum = 0;
            let known = blocks.map(|block| {
                sum += characters(block);
                sum - characters(block)
            });
            known.collect()
        });
        let block = offset / CHARACTERS_INTERVAL;
        match known.get(block) {
            Some(known) => known + characters(&self.text.as_bytes()[block * CHARACTERS_INTERVAL..offset]),
            None => characters(self.text.as_bytes()),
        }
    }

    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let newlines = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            [0].into_iter().chain(newlines.map(|(at, _)| at + 1)).collect()
        })
    }

    /// The position of byte `offset`; the end of the text or of the character if it is not a boundary.
    fn spot(&self, offset: usize) -> Spot {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let begin = self.text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
        let end = self.text[offset..].find('\n').map_or(self.text.len(), |newline| offset + newline);
        let line = self.lines().partition_point(|&line| line <= begin);
        let (before, after) = (&self.text[begin..offset], self.text[offset..end].trim_end_matches('\r'));
        let column = self.characters_before(offset) - self.characters_before(begin);
        let length = word(after);
        let skip = column.saturating_sub(SHOWN_BEFORE);
        let plain = |c: char| if c == '\t' { ' ' } else { plain(c) };
        // Backwards from the end, because the line may be very long.
        let shown = before.char_indices().rev().take(column - skip).last().map_or(before.len(), |(at, _)| at);
        let mut text: String = before[shown..].chars().map(plain).collect();
        let mark = text.len();
        text.extend(after.chars().take(length.min(SHOWN)).map(plain));
        let mark = mark..text.len();
        text.extend(
            after
                .chars()
                .skip(length.min(SHOWN))
                .take(SHOWN.saturating_sub(column - skip + length))
                .map(plain),
        );
        Spot {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column + 1).unwrap_or(u32::MAX),
            length: u32::try_from(length.max(1)).unwrap_or(u32::MAX),
            text: text.into(),
            mark,
        }
    }
}

/// Number of characters in `text`. Counts bytes that do not continue a character, which is fast for long text.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

/// Length of the scalar or key at the start of `rest` on this line, in characters.
fn word(rest: &str) -> usize {
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    for (count, (at, c)) in rest.char_indices().enumerate() {
        let ends = match quote {
            Some(quote) if count > 0 && c == quote => return count + 1,
            Some(_) => false,
            None if c == ':' => rest[at + 1..].chars().next().is_none_or(char::is_whitespace),
            None if matches!(c, ',' | ']' | '}') => count > 0,
            None => c == '#' && rest[..at].ends_with(' '),
        };
        if ends {
            return rest[..at].trim_end().chars().count();
        }
    }
    rest.trim_end().chars().count()
}

/// A part of a file's text that is parsed on its own: a document of a stream, or an item of a List.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passage {
    /// Its bytes in the file's text.
    pub(super) range: Range<usize>,
    /// The line at which it starts, from 1.
    pub(super) line: u32,
    /// Offset of the dash that makes it an item of a block list, from the start of the passage.
    pub(super) dash: Option<usize>,
    /// Whether it is known to be one JSON value.
    pub(super) json: bool,
}

impl Passage {
    /// Its part of `source`. A dash becomes a space, so that the item is a document and positions are unchanged.
    pub(super) fn text<'a>(&self, source: &'a str) -> Cow<'a, str> {
        let text = &source[self.range.clone()];
        match self.dash {
            None => Cow::Borrowed(text),
            Some(dash) => {
                let mut blanked = String::with_capacity(text.len());
                blanked.push_str(&text[..dash]);
                blanked.push(' ');
                blanked.push_str(&text[dash + 1..]);
                Cow::Owned(blanked)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        Place::whole(Source::new("a.yaml".into(), text.into()))
    }

    #[test]
    fn fields_have_the_positions_of_their_text() {
        let place = place(concat!(
            "# a comment\n",
            "metadata:\n",
            "  name: 'db'   # quoted\n",
            "  labels: {app: web, example.org/tier: \"a b\"}\n",
            "spec:\n",
            "  ports:\n",
            "  - name: http\n",
            "    port: 80\n",
            "  - port: 81\n",
            "  selector:\n",
        ));
        let table = [
            ("metadata.name", 3, 9, "'db'"),
            ("metadata.labels.app", 4, 17, "web"),
            ("metadata.labels[example.org/tier]", 4, 40, "\"a b\""),
            ("metadata.labels", 4, 3, "labels"),
            ("spec.ports[0].name", 7, 11, "http"),
            ("spec.ports[1]", 9, 5, "port"),
            ("spec.ports[1].name", 9, 5, "port"),
            ("spec.ports[2].name", 6, 3, "ports"),
            ("spec.ports", 6, 3, "ports"),
            ("spec.selector", 10, 3, "selector"),
            ("spec.type", 5, 1, "spec"),
            ("status.phase", 2, 1, "metadata"),
        ];
        for (path, line, column, word) in table {
            let spot = place.locate(path);
            assert_eq!(
                (spot.line, spot.column, &spot.text[spot.mark.clone()]),
                (line, column, word),
                "{path}"
            );
        }
    }

    #[test]
    fn the_second_of_two_equal_keys_is_found() {
        let spot = place("a:\n  b: 1\n  c: 2\n  b: 3\n").locate_repeated("a", "b");
        assert_eq!((spot.line, spot.column), (4, 3));
    }

    #[test]
    fn a_long_line_is_shortened_around_the_word_and_control_characters_are_replaced() {
        let place =
            place(&format!("x: [\"{}\u{1b}\u{202e}\", wrong, {}]\n", "a".repeat(500), "b".repeat(500)));
        let spot = place.at(512);
        assert_eq!((spot.column, spot.length), (511, 5));
        assert_eq!(&spot.text[spot.mark.clone()], "wrong");
        assert!(spot.text.chars().count() <= SHOWN, "{}", spot.text.len());
        assert!(!spot.text.contains(['\u{1b}', '\u{202e}']));
    }
}
