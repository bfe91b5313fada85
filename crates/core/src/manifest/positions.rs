//! Positions of all fields of a document, found in one pass: a pass for each of many fields would take quadratic time.
//! Must not depend on the meaning of fields.

use std::borrow::Cow;

use rustc_hash::FxHashMap;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::locate::Step;

/// The nodes of one document.
pub(super) struct Positions {
    nodes: Vec<Node>,
    /// By parent: the fields of maps, in the order of the text; keys may be repeated.
    fields: FxHashMap<(usize, Box<str>), Vec<Edge>>,
    /// By parent: the items of lists.
    items: FxHashMap<(usize, usize), Edge>,
    /// Number of events of the parser: the cost of the pass.
    #[cfg(test)]
    events: usize,
}

struct Node {
    /// Offset of its start.
    at: usize,
    /// A map, a list or an empty value: its key is reported instead.
    is_collection: bool,
}

/// The edge to a node.
#[derive(Clone, Copy)]
struct Edge {
    /// Offset of the key; for an item, of the item.
    key: usize,
    node: usize,
}

/// A map or list that is being parsed.
struct Open {
    node: usize,
    /// The key whose value comes next, in a map.
    key: Option<(Box<str>, usize)>,
    is_map: bool,
    /// Number of items so far, in a list.
    count: usize,
}

impl Positions {
    /// Parses the first document of `text`; `None` if it is malformed.
    pub(super) fn of(text: &str) -> Option<Self> {
        let bytes = Bytes::of(text);
        let mut positions = Positions {
            nodes: Vec::new(),
            fields: FxHashMap::default(),
            items: FxHashMap::default(),
            #[cfg(test)]
            events: 0,
        };
        let mut open: Vec<Open> = Vec::new();
        let mut anchors: FxHashMap<usize, usize> = FxHashMap::default();
        for event in Parser::new_from_str(text) {
            let (event, span): (Event<'_>, Span) = event.ok()?;
            #[cfg(test)]
            {
                positions.events += 1;
            }
            let at = bytes.at(span.start.index());
            // A key is not a node: in manifests it has to be a scalar.
            if let Some(Open { is_map: true, key: key @ None, .. }) = open.last_mut()
                && let Event::Scalar(text, ..) = &event
            {
                *key = Some((text.clone().into(), at));
                continue;
            }
            let (anchor, kind) = match &event {
                Event::Scalar(text, style, anchor, _) => {
                    let plain = *style == ScalarStyle::Plain;
                    let is_nothing = plain && matches!(&**text, "" | "~" | "null" | "Null" | "NULL");
                    (*anchor, Some((is_nothing, None)))
                }
                Event::SequenceStart(anchor, _) => (*anchor, Some((true, Some(false)))),
                Event::MappingStart(anchor, _) => (*anchor, Some((true, Some(true)))),
                Event::Alias(anchor) => {
                    let node = *anchors.get(anchor)?;
                    positions.enter(&mut open, node, at)?;
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    open.pop();
                    continue;
                }
                Event::DocumentEnd => break,
                _ => (0, None),
            };
            let Some((is_collection, begins)) = kind else { continue };
            // A block scalar starts with its indicator, not with its content.
            let at = match &event {
                Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, ..) => {
                    text.get(..at).and_then(|before| before.rfind(['|', '>'])).unwrap_or(at)
                }
                _ => at,
            };
            let node = positions.nodes.len();
            positions.nodes.push(Node { at, is_collection });
            if anchor != 0 {
                anchors.insert(anchor, node);
            }
            if node > 0 {
                positions.enter(&mut open, node, at)?;
            }
            if let Some(is_map) = begins {
                open.push(Open { node, key: None, is_map, count: 0 });
            }
        }
        Some(positions)
    }

    /// Adds `node` at offset `at` to the innermost map or list; `None` if a map has no key for it.
    fn enter(&mut self, open: &mut [Open], node: usize, at: usize) -> Option<()> {
        let Some(parent) = open.last_mut() else { return Some(()) };
        if parent.is_map {
            let (name, key) = parent.key.take()?;
            self.fields.entry((parent.node, name)).or_default().push(Edge { key, node });
        } else {
            self.items.insert((parent.node, parent.count), Edge { key: at, node });
            parent.count += 1;
        }
        Some(())
    }

    /// Offset of the value at `steps`: of its key if it is a map or a list, or of the nearest existing parent. With
    /// `repeated`, that number of equal keys is skipped at the last step, and the offset is the key's.
    pub(super) fn find(&self, steps: &[Step], repeated: usize) -> Option<usize> {
        let mut found = None;
        let mut node = 0;
        for (depth, step) in steps.iter().enumerate() {
            let is_last = depth + 1 == steps.len();
            let edge = match step {
                Step::Key(key) => {
                    let fields = self.fields.get(&(node, key.clone()));
                    fields.and_then(|fields| fields.get(if is_last { repeated } else { 0 })).copied()
                }
                Step::Index(at) => self.items.get(&(node, *at)).copied(),
            };
            let Some(edge) = edge else { break };
            let Node { at, is_collection } = self.nodes[edge.node];
            let by_key = matches!(step, Step::Key(_)) && (is_collection || (is_last && repeated > 0));
            found = Some(if by_key { edge.key } else { at });
            node = edge.node;
        }
        found
    }

    /// Number of events of the parser.
    #[cfg(test)]
    pub(super) fn events(&self) -> usize {
        self.events
    }
}

/// Converts characters, which the parser counts, to bytes.
struct Bytes<'t>(Cow<'t, [usize]>);

impl Bytes<'_> {
    fn of(text: &str) -> Self {
        let plain = text.is_ascii();
        let at = || text.char_indices().map(|(at, _)| at).chain([text.len()]);
        Bytes(if plain { Cow::Borrowed(&[]) } else { at().collect() })
    }

    fn at(&self, character: usize) -> usize {
        // In ASCII they are equal.
        self.0.get(character).copied().unwrap_or(if self.0.is_empty() {
            character
        } else {
            self.0[self.0.len() - 1]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::locate::{find, parse_path};
    use super::*;

    /// Both searches find the same position: this one, and the one by the parser that reads the objects.
    #[test]
    fn positions_equal_those_of_the_other_parser() {
        let texts = [
            "a: 1\nb:\n  c: [x, {d: y}]\n  e:\n  - f: 1\n    g: \"z\"\n  -\n    - h\n  i:\nj: {}\nk: ~\n",
            "{a: 1, b: {c: [x, {d: y}], e: [{f: 1, g: z}, [h]]}, j: {}}",
            "# comment\nb:\n  c:\n    - x\n    - d: 'ä'\n  e: |\n    text\na: ü\nj: []\n",
            "b: &x {c: [x, {d: y}]}\na: *x\nj: \"\"\n",
        ];
        let paths = "a a.c b b.c b.c[0] b.c[1] b.c[1].d b.c[2] b.e b.e[0] b.e[0].f b.e[0].g b.e[1] b.e[1][0] b.i b.i.x j j.x k z";
        for text in texts {
            let positions = Positions::of(text).expect("a document");
            for path in paths.split(' ') {
                let steps: Vec<Step> = parse_path(path).collect();
                assert_eq!(positions.find(&steps, 0), find(text, &steps, 0), "{path} in {text}");
            }
        }
        let steps: Vec<Step> = parse_path("a.b").collect();
        let text = "a:\n  b: 1\n  c: 2\n  b: 3\n";
        assert_eq!(Positions::of(text).expect("a document").find(&steps, 1), Some(19));
    }

    /// One pass, regardless of the number of searches.
    #[test]
    fn work_is_linear_in_the_document() {
        let events = |steps: usize| {
            let text = format!("steps:\n{}", "- {at: 1s, ready: db-0}\n".repeat(steps));
            Positions::of(&text).expect("a document").events()
        };
        assert_eq!(events(2000) - events(1000), events(3000) - events(2000));
    }
}
