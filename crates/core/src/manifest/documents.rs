//! Splits a file's text into documents, by lines: the documents of a stream, their heads, and the items of a List. The
//! parser sees one of them at a time, so that an error in one does not affect the others and memory is bounded by the
//! largest.

use super::source::Passage;

/// The documents of a YAML stream, without empty ones.
///
/// `---` or `...` at the start of a line ends a document everywhere, even within a quoted or block scalar (YAML 1.2,
/// 9.1.2), so splitting by lines is correct.
pub(super) fn split(text: &str) -> Vec<Passage> {
    let mut documents = Vec::new();
    let (mut begin, mut begin_line) = (0, 1);
    let (mut at, mut line) = (0, 1);
    let mut end = |range: std::ops::Range<usize>, line| {
        if !is_empty(&text[range.clone()]) {
            documents.push(Passage { range, line, dash: None, json: false });
        }
    };
    for text_line in text.split_inclusive('\n') {
        if is_marker(text_line, "---") {
            end(begin..at, begin_line);
            // The rest of the line belongs to the document: `--- {kind: …}`.
            (begin, begin_line) = (at + 3, line);
        } else if is_marker(text_line, "...") {
            end(begin..at, begin_line);
            (begin, begin_line) = (at + text_line.len(), line + 1);
        }
        at += text_line.len();
        line += 1;
    }
    end(begin..text.len(), begin_line);
    documents
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Whether there are only comments and directives; the latter precede the `---` that starts their document.
fn is_empty(text: &str) -> bool {
    text.lines().all(|line| line.starts_with('%') || is_comment(line))
}

fn is_comment(line: &str) -> bool {
    let content = line.trim_start();
    content.is_empty() || content.starts_with('#')
}

/// The head of a document, found before it is parsed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LineHead<'a> {
    pub(super) api_version: Option<&'a str>,
    pub(super) kind: Option<&'a str>,
    /// Offset of the line after `items:`, if its items follow as a block.
    pub(super) items: Option<usize>,
    /// A repeated key, and the offset of its second occurrence.
    pub(super) repeated: Option<(&'static str, usize)>,
}

/// Finds the head by lines, in a tenth of the time that a parser needs.
///
/// The result is right for every block-style document; if nothing is found, the document has to be parsed.
pub(super) fn find_head(text: &str) -> LineHead<'_> {
    let mut head = LineHead::default();
    let mut indent = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let spaces = line.bytes().take_while(|byte| *byte == b' ').count();
        let (key_at, next) = (at + spaces, at + line.len());
        at = next;
        // Keys of the document itself have the indentation of the first one; nested ones have more.
        if indent.is_some_and(|indent| indent != spaces) {
            continue;
        }
        let content = &line[spaces..];
        if is_comment(content) {
            continue;
        }
        indent = Some(spaces);
        if !content.as_bytes().first().is_some_and(|c| b"aki\"'".contains(c)) {
            continue;
        }
        if let Some(value) = value_of(content, "apiVersion") {
            head.repeat_if(head.api_version.is_some(), "apiVersion", key_at);
            head.api_version = plain_word(value);
        } else if let Some(value) = value_of(content, "kind") {
            head.repeat_if(head.kind.is_some(), "kind", key_at);
            head.kind = plain_word(value);
        } else if value_of(content, "items").is_some_and(is_comment) {
            head.repeat_if(head.items.is_some(), "items", key_at);
            head.items = Some(next);
        }
    }
    head
}

impl LineHead<'_> {
    fn repeat_if(&mut self, repeated: bool, key: &'static str, at: usize) {
        if repeated {
            self.repeated = Some((key, at));
        }
    }
}

/// The text after `key:` on a line that starts with it, quoted or not.
fn value_of<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let quote = line.chars().next().filter(|c| matches!(c, '"' | '\''));
    let rest = match quote {
        Some(quote) => line[1..].strip_prefix(key)?.strip_prefix(quote)?,
        None => line.strip_prefix(key)?,
    };
    let rest = rest.strip_prefix(':')?;
    rest.starts_with([' ', '\t', '\r', '\n']).then_some(rest)
}

/// The word in `value`, without quotes and comment; `None` if it is anything else.
fn plain_word(value: &str) -> Option<&str> {
    let value = value.split_once(" #").map_or(value, |(value, _)| value).trim();
    let inner = ['"', '\''].iter().find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote));
    let word = inner.unwrap_or(value);
    let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b'-'));
    (plain && !word.is_empty()).then_some(word)
}

/// The items of a block-style List.
pub(super) struct Items {
    pub(super) items: Vec<Passage>,
    /// The text after the last item: other keys of the List.
    pub(super) rest: Passage,
}

/// Splits the List in `passage` into its items, which follow as a block at `items` bytes from its start.
///
/// `None` if lines do not show the items: then the whole List has to be parsed. This is also necessary if an item turns
/// out to be malformed, because lines of a quoted scalar can look like items.
pub(super) fn split_items(source: &str, passage: &Passage, items: usize) -> Option<Items> {
    let before = &source[passage.range.start..passage.range.start + items];
    let mut line = passage.line + before.bytes().filter(|&b| b == b'\n').count() as u32;
    let mut at = passage.range.start + items;
    let mut indent = None;
    let mut found: Vec<Passage> = Vec::new();
    for text_line in source[at..passage.range.end].split_inclusive('\n') {
        let content = text_line.trim_start_matches(' ');
        let spaces = text_line.len() - content.len();
        let dash = content
            .strip_prefix('-')
            .is_some_and(|rest| rest.trim_start_matches(' ').len() < rest.len() || is_comment(rest));
        match indent {
            _ if is_comment(content) => {}
            _ if content.starts_with('\t') => return None,
            None if !dash => return None,
            Some(indent) if spaces < indent || (spaces == indent && !dash) => break,
            Some(indent) if spaces > indent => {}
            _ => {
                indent = Some(spaces);
                found.push(Passage { range: at..at, line, dash: Some(spaces), json: false });
            }
        }
        at += text_line.len();
        line += 1;
        if let Some(last) = found.last_mut() {
            last.range.end = at;
        }
    }
    let rest = Passage { range: at..passage.range.end, line, dash: None, json: false };
    (!found.is_empty()).then_some(Items { items: found, rest })
}

/// Offset of the first line that looks like a directive of a Helm template: `{{` at the start of a node, which no
/// rendered manifest has.
pub(super) fn template_directive(text: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_start();
        let directive = |value: &str| value.trim_start_matches([' ', '-']).starts_with("{{");
        let key_ends = content.find(": ").filter(|_| !content.starts_with('#'));
        if directive(content) || key_ends.is_some_and(|colon| directive(&content[colon + 1..])) {
            return line.find("{{").map(|column| at + column);
        }
        at += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_split_into_documents() {
        let table: &[(&str, &[(&str, u32)])] = &[
            ("", &[]),
            ("# only a comment\n\n", &[]),
            ("---\n---\n# nothing\n---\n", &[]),
            ("a: 1", &[("a: 1", 1)]),
            ("---\na: 1\n---\nb: 2\n", &[("\na: 1\n", 1), ("\nb: 2\n", 3)]),
            ("a: 1\r\n---\r\nb: 2\r\n", &[("a: 1\r\n", 1), ("\r\nb: 2\r\n", 2)]),
            ("%YAML 1.2\n---\na: 1\n...\n%YAML 1.2\n---\nb: 2\n", &[("\na: 1\n", 2), ("\nb: 2\n", 6)]),
            ("--- {a: 1}\n--- # b\nb: 2\n", &[(" {a: 1}\n", 1), (" # b\nb: 2\n", 2)]),
            ("a: |\n  ---\n  ----\n", &[("a: |\n  ---\n  ----\n", 1)]),
            ("---a: 1\n", &[("---a: 1\n", 1)]),
        ];
        for (text, expected) in table {
            let found: Vec<_> = split(text).into_iter().map(|p| (&text[p.range], p.line)).collect();
            assert_eq!(&found, expected, "{text:?}");
        }
    }

    #[test]
    fn heads_are_found_by_lines() {
        let table = [
            ("  # an item\n  apiVersion: v1\n  kind: Pod\n  spec:\n    kind: x\n", Some("v1"), Some("Pod")),
            ("apiVersion: v1\nkind: Service\n", Some("v1"), Some("Service")),
            ("\"kind\": \"Service\"\n'apiVersion': 'v1' # old\n", Some("v1"), Some("Service")),
            ("kind: Service # apiVersion: v1\nspec:\n  kind: Pod\n", None, Some("Service")),
            ("kind: {{ .Values.kind }}\napiVersion:\n  v1\n", None, None),
            ("kindred: Service\nkind:Service\n", None, None),
            ("kind: Service\r\napiVersion: apps/v1\r\n", Some("apps/v1"), Some("Service")),
        ];
        for (text, api_version, kind) in table {
            let head = find_head(text);
            assert_eq!((head.api_version, head.kind), (api_version, kind), "{text:?}");
        }
        assert_eq!(find_head("kind: A\nx: 1\nkind: B\n").repeated, Some(("kind", 13)));
        assert_eq!(find_head("items: # two\n- a\n").items, Some(13));
        assert_eq!(find_head("items: []\n").items, None);
    }

    #[test]
    fn lists_are_split_without_changing_positions() {
        type Expected<'a> = Option<&'a [(&'a str, u32)]>;
        let table: &[(&str, Expected<'_>, &str)] = &[
            (
                "kind: List\nitems:\n- a: 1\n  b: 2\n# c\n-  a: 3\nmetadata: {}\n",
                Some(&[("  a: 1\n  b: 2\n# c\n", 3), ("   a: 3\n", 6)]),
                "metadata: {}\n",
            ),
            (
                "items:\n\n  - a: |\n    - b\n  -\n    a: 1\n",
                Some(&[("    a: |\n    - b\n", 3), ("   \n    a: 1\n", 5)]),
                "",
            ),
            ("items:\n- - a\n- -1\n", Some(&[("  - a\n", 2), ("  -1\n", 3)]), ""),
            ("items:\n\t- a\n", None, ""),
            ("items:\na: 1\n", None, ""),
            ("items:\n", None, ""),
        ];
        for (text, expected, rest) in table {
            let passage = Passage { range: 0..text.len(), line: 1, dash: None, json: false };
            let found = split_items(text, &passage, find_head(text).items.unwrap());
            let items =
                found.as_ref().map(|f| f.items.iter().map(|p| (p.text(text), p.line)).collect::<Vec<_>>());
            let expected = expected.map(|e| e.iter().map(|&(t, l)| (t.into(), l)).collect::<Vec<_>>());
            assert_eq!(items, expected, "{text:?}");
            assert_eq!(found.map_or("", |f| &text[f.rest.range]), *rest);
        }
    }

    #[test]
    fn template_directives_are_distinguished_from_text() {
        let table = [
            ("{{- if .Values.x }}\na: 1\n", Some(0)),
            ("a: 1\nname: {{ .Release.Name }}\n", Some(11)),
            ("- {{ . }}\n", Some(2)),
            ("image: foo:{{ .Tag }}\n", None),
            ("a: \"{{ .Name }}\"\n", None),
            ("# a: {{ .Name }}\n", None),
        ];
        for (text, expected) in table {
            assert_eq!(template_directive(text), expected, "{text:?}");
        }
    }
}
