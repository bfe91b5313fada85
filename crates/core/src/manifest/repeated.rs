//! Repeated keys in the maps of a YAML document, as Go's YAML parser reports them in its strict mode. Must not depend
//! on the meaning of keys.

use std::collections::HashSet;

use saphyr_parser::{Event, Parser};

/// A map or list that is being parsed.
enum Open {
    List,
    /// The keys so far, and the one whose value comes next.
    Map(HashSet<String>, Option<String>),
}

/// The errors of the strict mode in `text`, `line 9: key "foo" already set in map`, each with the line on which the
/// value of the repeated key starts. Empty if the text is malformed.
pub fn repeated_keys(text: &str) -> Vec<String> {
    let (mut errors, mut open): (Vec<String>, Vec<Open>) = (Vec::new(), Vec::new());
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else { return Vec::new() };
        if matches!(event, Event::SequenceEnd | Event::MappingEnd) {
            open.pop();
            continue;
        }
        let is_node = matches!(
            event,
            Event::Scalar(..) | Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..)
        );
        if !is_node {
            continue;
        }
        if let Some(Open::Map(keys, key)) = open.last_mut() {
            match (key.take(), &event) {
                (Some(name), _) => {
                    if keys.contains(&name) {
                        errors.push(format!("line {}: key {name:?} already set in map", span.start.line()));
                    }
                    keys.insert(name);
                }
                (None, Event::Scalar(name, ..)) => {
                    *key = Some(name.to_string());
                    continue;
                }
                // JSON has no such keys.
                (None, _) => return errors,
            }
        }
        match event {
            Event::SequenceStart(..) => open.push(Open::List),
            Event::MappingStart(..) => open.push(Open::Map(HashSet::new(), None)),
            _ => {}
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_keys_are_reported_with_the_line_of_their_value() {
        let table: [(&str, &[&str]); 7] = [
            ("a: 1\nb: 2\n", &[]),
            ("a: 1\nb: 2\na: 3\n", &["line 3: key \"a\" already set in map"]),
            ("a: {b: 1, b: 2}\n", &["line 1: key \"b\" already set in map"]),
            ("- a: 1\n- a: 1\n", &[]),
            (
                "a: 1\na:\n  b: 1\n  b: 2\n",
                &["line 3: key \"a\" already set in map", "line 4: key \"b\" already set in map"],
            ),
            (
                "a: 1\na: 2\na: 3\n",
                &["line 2: key \"a\" already set in map", "line 3: key \"a\" already set in map"],
            ),
            ("a: [\n", &[]),
        ];
        for (text, expected) in table {
            assert_eq!(repeated_keys(text), expected, "{text:?}");
        }
    }
}
