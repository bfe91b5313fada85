//! Where every field of a document stands, found in one pass over it: looking for the place of each of many fields by a pass
//! of its own would take time with the square of the document. Must not know what the fields mean.

use std::borrow::Cow;

use rustc_hash::FxHashMap;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::locate::Step;

/// The nodes of one document.
pub(super) struct Positions {
    nodes: Vec<Node>,
    /// By parent: the fields of maps, in the order of the text, of which two may have the same key.
    fields: FxHashMap<(usize, Box<str>), Vec<Edge>>,
    /// By parent: the items of lists.
    items: FxHashMap<(usize, usize), Edge>,
    /// How many events the parser gave: the work of this.
    #[cfg(test)]
    events: usize,
}

struct Node {
    /// Byte that it begins at.
    at: usize,
    /// A map, a list or nothing: its key stands for it.
    is_collection: bool,
}

/// What leads to a node.
#[derive(Clone, Copy)]
struct Edge {
    /// Byte that the key begins at; for an item, the item.
    key: usize,
    node: usize,
}

/// A map or list that is being read.
struct Open {
    node: usize,
    /// The key whose value comes next, in a map.
    key: Option<(Box<str>, usize)>,
    is_map: bool,
    /// How many items there were, in a list.
    count: usize,
}

impl Positions {
    /// Reads the first document of `text`; `None` if it cannot be read.
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
            // A key is no node: it may be a scalar only, as everywhere in a manifest.
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
            // A block scalar begins with its indicator, not with what it says.
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

    /// Puts `node`, which stands at `at`, into the innermost map or list; `None` where a map has no key for it.
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

    /// The byte at which the value at `steps` begins: its key where it is a map or a list, the nearest field around it where it
    /// is not there. `repeated` equal keys are passed over at the last step, and then it is the key's.
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

    /// How many events the parser gave.
    #[cfg(test)]
    pub(super) fn events(&self) -> usize {
        self.events
    }
}

/// From characters, which the parser counts, to bytes.
struct Bytes<'t>(Cow<'t, [usize]>);

impl Bytes<'_> {
    fn of(text: &str) -> Self {
        let plain = text.is_ascii();
        let at = || text.char_indices().map(|(at, _)| at).chain([text.len()]);
        Bytes(if plain { Cow::Borrowed(&[]) } else { at().collect() })
    }

    fn at(&self, character: usize) -> usize {
        // In ASCII they are the same.
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

    /// Both ways lead to the same place: that of the parser which reads the objects, and this one.
    #[test]
    fn places_are_those_of_the_other_way() {
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

    /// One pass, however many places are looked for.
    #[test]
    fn work_is_linear_in_the_document() {
        let events = |steps: usize| {
            let text = format!("steps:\n{}", "- {at: 1s, ready: db-0}\n".repeat(steps));
            Positions::of(&text).expect("a document").events()
        };
        assert_eq!(events(2000) - events(1000), events(3000) - events(2000));
    }
}
