//! A file's text and places in it: which line and column an object, or one field of it, was read from.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::limits;
use super::locate::{self, Step, parse_path};
use super::positions::Positions;
use super::problem::plain;

/// Where an object was read: a document of a file, or one item in it.
///
/// It keeps the file's text, so that a problem found later can still point into it. Drop it when none will be looked
/// for any more.
#[derive(Clone)]
pub struct Place {
    pub(super) source: Arc<Source>,
    pub(super) passage: Passage,
    /// Where the object begins inside the passage: `items[3]`, or the short form's `sets.cassandra`.
    pub(super) within: Arc<[Step]>,
}

impl Place {
    /// All of a file.
    pub(super) fn whole(source: Source) -> Self {
        let passage = Passage { range: 0..source.text.len(), line: 1, dash: None, json: false };
        Place { source: Arc::new(source), passage, within: Arc::default() }
    }

    /// The file's name, as it is shown to people.
    pub fn file(&self) -> &Arc<str> {
        &self.source.name
    }

    /// The line that the document or item begins at, from 1.
    pub fn line(&self) -> u32 {
        self.passage.line
    }

    /// The place of the field at `path`, as `spec.ports[0].name` or `metadata.labels[app.kubernetes.io/name]`; of its
    /// key where its value is a map or a list, and of the nearest field around it where it is not there.
    pub fn locate(&self, path: &str) -> Spot {
        let steps: Vec<Step> = self.within.iter().cloned().chain(parse_path(path)).collect();
        self.find(&steps, 0)
    }

    /// The place of the second key called `key` in the map at `path`, which a map must not have.
    pub fn locate_repeated(&self, path: &str, key: &str) -> Spot {
        let mut steps: Vec<Step> = parse_path(path).collect();
        steps.push(Step::Key(key.into()));
        self.find(&steps, 1)
    }

    /// The place of a byte of the passage.
    pub(super) fn at(&self, offset: usize) -> Spot {
        self.source.spot(self.passage.range.start + offset)
    }

    /// Which part of the file's text it is a part of.
    pub fn range(&self) -> Range<usize> {
        self.passage.range.clone()
    }

    /// The whole document or item that it is in.
    pub fn document(&self) -> Place {
        Place { within: Arc::default(), ..self.clone() }
    }

    /// The object in `document`, which is all of the passage.
    pub fn within<'v>(&self, document: &'v serde_json::Value) -> Option<&'v serde_json::Value> {
        self.within.iter().try_fold(document, |value, step| match step {
            Step::Key(key) => value.get(&**key),
            Step::Index(at) => value.get(*at),
        })
    }

    /// The first line of the passage that says something.
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

    /// The passage's text, with the dash of a List's item blanked: what a parser reads as a document of its own.
    pub fn text(&self) -> Cow<'_, str> {
        self.passage.text(&self.source.text)
    }

    /// What is kept of the passage for those who look into it, if it can be read.
    pub(super) fn looked_at(&self) -> Option<Arc<LookedAt>> {
        if self.passage.range.len() > limits::LOCATED_BYTES {
            return None;
        }
        let key = (self.passage.range.start, self.passage.range.end);
        let mut kept = self.source.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(looked_at) = kept.get(&key) {
            return looked_at.clone();
        }
        // Objects are looked into one after the other: those of one passage find what is kept.
        if kept.len() >= LOOKED_AT {
            kept.clear();
        }
        let positions = Positions::of(&self.text());
        let looked_at = positions.map(|positions| Arc::new(LookedAt { positions, root: OnceLock::new() }));
        kept.insert(key, looked_at.clone());
        looked_at
    }

    fn find(&self, steps: &[Step], repeated: usize) -> Spot {
        let found = match self.looked_at() {
            _ if self.passage.range.len() > limits::LOCATED_BYTES => None,
            Some(looked_at) => looked_at.positions.find(steps, repeated),
            // What this parser does not read, the other one may.
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

/// A line and a column of a file, and the line itself for showing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// Of the word that begins there, in characters; at least 1.
    pub length: u32,
    /// The line, or as much of it around the column as fits a terminal; control characters are replaced.
    pub text: Box<str>,
    /// The word's bytes in `text`.
    pub mark: Range<usize>,
}

/// How many characters of a line are shown, and how many of them before the column.
const SHOWN: usize = 160;
const SHOWN_BEFORE: usize = 80;

/// A file's text and the name to call it by.
pub(super) struct Source {
    pub(super) name: Arc<str>,
    pub(super) text: String,
    /// By the first and last byte of the passage.
    looked_at: Mutex<Kept>,
    /// The bytes that its lines begin at, once they are asked for.
    lines: OnceLock<Vec<usize>>,
    /// How many characters there are before every [`CHARACTERS_KNOWN`]th byte, once that is asked for.
    characters: OnceLock<Vec<usize>>,
}

/// From one byte up to which the characters are counted to the next, in bytes.
const CHARACTERS_KNOWN: usize = 1024;

/// What is kept of passages; nothing of those that cannot be read.
type Kept = HashMap<(usize, usize), Option<Arc<LookedAt>>>;

/// Maximum number of passages of a file of which positions are kept at a time. Each takes up to ten times its bytes.
const LOOKED_AT: usize = 16;

/// What is kept of a passage, so that looking into it for each of its objects and fields does not read it each time.
pub(super) struct LookedAt {
    positions: Positions,
    /// Its value; nothing if it has none.
    root: OnceLock<Option<serde_yaml::Value>>,
}

impl LookedAt {
    /// The value of the passage, which `read` reads the first time.
    pub(super) fn root(
        &self,
        read: impl FnOnce() -> Option<serde_yaml::Value>,
    ) -> Option<&serde_yaml::Value> {
        self.root.get_or_init(read).as_ref()
    }
}

impl Source {
    /// A file called `name` that has this `text`.
    pub(super) fn new(name: Arc<str>, text: String) -> Self {
        Source {
            name,
            text,
            looked_at: Mutex::default(),
            lines: OnceLock::new(),
            characters: OnceLock::new(),
        }
    }

    /// How many characters there are before byte `offset`: counted from the last byte up to which that is known, because a
    /// line may be as long as the file.
    fn characters_before(&self, offset: usize) -> usize {
        let known = self.characters.get_or_init(|| {
            let blocks = self.text.as_bytes().chunks(CHARACTERS_KNOWN);
            let mut sum = 0;
            let known = blocks.map(|block| {
                sum += characters(block);
                sum - characters(block)
            });
            known.collect()
        });
        let block = offset / CHARACTERS_KNOWN;
        match known.get(block) {
            Some(known) => known + characters(&self.text.as_bytes()[block * CHARACTERS_KNOWN..offset]),
            None => characters(self.text.as_bytes()),
        }
    }

    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let newlines = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            [0].into_iter().chain(newlines.map(|(at, _)| at + 1)).collect()
        })
    }

    /// The place of byte `offset`; the end of the text, or of the character, if there is none such.
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
        // From the end, because the line may be very long.
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

/// How many characters `text` has. Bytes that continue one do not count, which is quick for a long text.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

/// How many characters the scalar or key at the start of `rest` has, on this line.
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
    /// Bytes of the file's text.
    pub(super) range: Range<usize>,
    /// The line that it begins at, from 1.
    pub(super) line: u32,
    /// Where the dash is that makes it an item of a block list, from the start of the passage.
    pub(super) dash: Option<usize>,
    /// Whether it is known to be one JSON value.
    pub(super) json: bool,
}

impl Passage {
    /// Its part of `source`. A dash becomes a space, so that the item reads as a document and no position moves.
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
    fn fields_are_found_where_they_are_written() {
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
    fn a_long_line_is_cut_around_the_word_and_control_characters_are_replaced() {
        let place =
            place(&format!("x: [\"{}\u{1b}\u{202e}\", wrong, {}]\n", "a".repeat(500), "b".repeat(500)));
        let spot = place.at(512);
        assert_eq!((spot.column, spot.length), (511, 5));
        assert_eq!(&spot.text[spot.mark.clone()], "wrong");
        assert!(spot.text.chars().count() <= SHOWN, "{}", spot.text.len());
        assert!(!spot.text.contains(['\u{1b}', '\u{202e}']));
    }
}
