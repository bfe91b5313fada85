//! Reads the JSON values of a document, and the items of a List in JSON.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Stream;
use crate::manifest::meaning::{Head, Meaning};
use crate::manifest::source::Passage;
use crate::manifest::{decode, parse_error};
use crate::store::Name;

impl Stream<'_> {
    /// Reads a document of the file: YAML, or one JSON value after another.
    pub(super) fn document(&mut self, passage: Passage) {
        let text = &self.source.clone().text[passage.range.clone()];
        let json_file = self.source.name.ends_with(".json");
        if !json_file && !text.trim_start().starts_with('{') {
            return self.yaml(passage, &Head::default(), 0);
        }
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
        let mut passages = Values::new(text, &passage);
        let mut begun = false;
        while let Some(value) = values.next() {
            let value = match value {
                Ok(value) => value.get(),
                // A flow mapping looks like JSON at first.
                Err(_) if !begun && !json_file => return self.yaml(passage.clone(), &Head::default(), 0),
                Err(error) => {
                    self.claims |= text.contains("apiVersion");
                    let problem = parse_error::json_error(&self.place(passage.clone()), text, &error);
                    return self.report(*problem);
                }
            };
            let end = values.byte_offset();
            let value = passages.passage(end - value.len()..end);
            if !self.is_within_limits(&value) {
                return;
            }
            self.json(value, &Head::default(), 0);
            begun = true;
        }
    }

    /// Reads one JSON value, known to be well-formed. `defaults` are used for a missing head.
    fn json(&mut self, passage: Passage, defaults: &Head, depth: usize) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Json<'a> {
            api_version: Option<Name>,
            kind: Option<Name>,
            #[serde(borrow)]
            items: Option<&'a RawValue>,
        }
        let source = self.source.clone();
        let text = &source.text[passage.range.clone()];
        let place = self.place(passage.clone());
        if self.recalls(&place, text) {
            return;
        }
        let json: Json<'_> = match serde_json::from_str(text) {
            Ok(json) => json,
            // Repeated keys are allowed, except in a List.
            Err(_) if decode::head(&place).is_ok_and(|head| is_single_object(&head)) => {
                let head = decode::head(&place).unwrap_or_default();
                Json { api_version: head.api_version, kind: head.kind, items: None }
            }
            Err(error) => {
                self.claims |= text.starts_with('{') && text.contains("apiVersion");
                let problem = decode::head(&place).err();
                let problem = problem.unwrap_or_else(|| parse_error::json_error(&place, text, &error));
                return self.report(*problem);
            }
        };
        let head = Head { api_version: json.api_version, kind: json.kind };
        let has_head = head.is_whole();
        let of = match self.meaning(&place, head, defaults) {
            None => return,
            Some((Meaning::List(of), _)) => of,
            Some((meaning, kind)) => return self.single(place, meaning, kind, true, has_head),
        };
        if !self.is_nesting_allowed(&place, depth) {
            return;
        }
        // The parser returns items as slices of the text; the text before one gives its offset.
        let items = json.items.map_or("null", RawValue::get);
        let items: Vec<&RawValue> = match serde_json::from_str::<Option<Vec<&RawValue>>>(items) {
            Ok(items) => items.unwrap_or_default(),
            Err(_) => return self.report_at(&place, "items", "is not a list of objects"),
        };
        let mut passages = Values::new(text, &passage);
        for item in items {
            let begin = item.get().as_ptr() as usize - text.as_ptr() as usize;
            let item = passages.passage(begin..begin + item.get().len());
            if !self.is_within_limits(&item) {
                return;
            }
            self.json(item, &of, depth + 1);
        }
    }
}

/// Whether a document with this head is a single object.
fn is_single_object(head: &Head) -> bool {
    head.kind.as_ref().is_some_and(|kind| !kind.ends_with("List"))
}

/// Values of a JSON text in order, so that lines are counted once.
struct Values<'a> {
    text: &'a str,
    within: &'a Passage,
    at: usize,
    line: u32,
}

impl<'a> Values<'a> {
    fn new(text: &'a str, within: &'a Passage) -> Self {
        Values { text, within, at: 0, line: within.line }
    }

    /// The passage of the value at `range` of the text, which follows the previous ones.
    fn passage(&mut self, range: Range<usize>) -> Passage {
        self.line += self.text[self.at..range.start].bytes().filter(|&b| b == b'\n').count() as u32;
        self.at = range.start;
        let begin = self.within.range.start;
        Passage { range: begin + range.start..begin + range.end, line: self.line, dash: None, json: true }
    }
}
