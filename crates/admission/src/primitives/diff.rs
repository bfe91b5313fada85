//! Takes the place of `k8s.io/apimachinery/pkg/util/diff`: what a change that is refused would have changed, as a unified diff
//! of indented JSON. Lines are matched as `github.com/pmezard/go-difflib` matches them, so that the hunks are the same.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use serde_json::Value;

/// Lines around a change.
const CONTEXT: usize = 3;

/// `diff.Diff` of two values of the type called `type_name`, with the names of its fields in Go.
pub(crate) fn diff_go_json(type_name: &str, old: &Value, new: &Value) -> String {
    let json = |value| indent(&crate::schema::go_json(type_name, value).into_text());
    diff(&json(old), &json(new))
}

/// `json.MarshalIndent` with one blank, of JSON without blanks.
fn indent(json: &str) -> String {
    let mut text = String::new();
    let mut depth = 0;
    let (mut in_string, mut escaped) = (false, false);
    let mut chars = json.chars().peekable();
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n(' ', depth));
    };
    while let Some(c) = chars.next() {
        if in_string {
            text.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '{' | '[' => {
                text.push(c);
                if let Some(end) = chars.next_if(|c| matches!(c, '}' | ']')) {
                    text.push(end);
                } else {
                    depth += 1;
                    line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                line(&mut text, depth);
                text.push(c);
            }
            ',' => {
                text.push(c);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            c => {
                in_string = c == '"';
                text.push(c);
            }
        }
    }
    text
}

/// A run of lines that is the same (`is_same`) or not in both texts.
#[derive(Clone, Debug)]
struct Run {
    is_same: bool,
    old: Range<usize>,
    new: Range<usize>,
}

/// A unified diff without the names of files.
pub(crate) fn diff(old: &str, new: &str) -> String {
    let old: Vec<&str> = old.split('\n').collect();
    let new: Vec<&str> = new.split('\n').collect();
    let mut text = String::new();
    for hunk in hunks(runs(&old, &new)) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { continue };
        let range = |start: usize, end: usize| match end - start {
            1 => format!("{}", start + 1),
            0 => format!("{start},0"),
            length => format!("{},{length}", start + 1),
        };
        let (before, after) = (range(first.old.start, last.old.end), range(first.new.start, last.new.end));
        _ = writeln!(text, "@@ -{before} +{after} @@");
        for run in &hunk {
            let mark = if run.is_same { ' ' } else { '-' };
            for line in &old[run.old.clone()] {
                _ = writeln!(text, "{mark}{line}");
            }
            for line in new[run.new.clone()].iter().filter(|_| !run.is_same) {
                _ = writeln!(text, "+{line}");
            }
        }
    }
    text
}

/// `GetOpCodes`
fn runs(old: &[&str], new: &[&str]) -> Vec<Run> {
    let mut lines = HashMap::<&str, Vec<usize>>::new();
    for (index, line) in new.iter().enumerate() {
        lines.entry(line).or_default().push(index);
    }
    if new.len() >= 200 {
        lines.retain(|_, indices| indices.len() <= new.len() / 100 + 1);
    }
    let mut matched = Vec::new();
    match_blocks(&Texts { old, new, lines }, 0..old.len(), 0..new.len(), &mut matched);
    matched.push((old.len(), new.len(), 0));
    let mut runs: Vec<Run> = Vec::new();
    let (mut i, mut j) = (0, 0);
    for (a, b, size) in matched {
        if i < a || j < b {
            runs.push(Run { is_same: false, old: i..a, new: j..b });
        }
        (i, j) = (a + size, b + size);
        match runs.last_mut() {
            Some(last) if last.is_same => (last.old.end, last.new.end) = (i, j),
            _ if size > 0 => runs.push(Run { is_same: true, old: a..i, new: b..j }),
            _ => {}
        }
    }
    runs
}

struct Texts<'t> {
    old: &'t [&'t str],
    new: &'t [&'t str],
    /// Where in the new text a line is. Lines that occur very often are left out, as in Python's `difflib`.
    lines: HashMap<&'t str, Vec<usize>>,
}

fn match_blocks(
    texts: &Texts<'_>,
    old: Range<usize>,
    new: Range<usize>,
    found: &mut Vec<(usize, usize, usize)>,
) {
    let (i, j, size) = longest_match(texts, &old, &new);
    if size == 0 {
        return;
    }
    if old.start < i && new.start < j {
        match_blocks(texts, old.start..i, new.start..j, found);
    }
    found.push((i, j, size));
    if i + size < old.end && j + size < new.end {
        match_blocks(texts, i + size..old.end, j + size..new.end, found);
    }
}

/// `findLongestMatch`: of several the first.
fn longest_match(texts: &Texts<'_>, old: &Range<usize>, new: &Range<usize>) -> (usize, usize, usize) {
    let (mut i, mut j, mut size) = (old.start, new.start, 0);
    let mut lengths = HashMap::<usize, usize>::new();
    for at in old.clone() {
        let mut next = HashMap::new();
        let here = texts.lines.get(texts.old[at]).into_iter().flatten().copied();
        for other in here.filter(|other| new.contains(other)) {
            let length = other.checked_sub(1).and_then(|one| lengths.get(&one)).copied().unwrap_or(0) + 1;
            next.insert(other, length);
            if length > size {
                (i, j, size) = (at + 1 - length, other + 1 - length, length);
            }
        }
        lengths = next;
    }
    while i > old.start && j > new.start && texts.old[i - 1] == texts.new[j - 1] {
        (i, j, size) = (i - 1, j - 1, size + 1);
    }
    while i + size < old.end && j + size < new.end && texts.old[i + size] == texts.new[j + size] {
        size += 1;
    }
    (i, j, size)
}

/// `GetGroupedOpCodes`: the changes with the lines around them.
fn hunks(mut runs: Vec<Run>) -> Vec<Vec<Run>> {
    if let Some(first) = runs.first_mut().filter(|run| run.is_same) {
        let keep = first.old.len().min(CONTEXT);
        (first.old.start, first.new.start) = (first.old.end - keep, first.new.end - keep);
    }
    if let Some(last) = runs.last_mut().filter(|run| run.is_same) {
        let keep = last.old.len().min(CONTEXT);
        (last.old.end, last.new.end) = (last.old.start + keep, last.new.start + keep);
    }
    let mut hunks = Vec::new();
    let mut hunk: Vec<Run> = Vec::new();
    for run in runs {
        if run.is_same && run.old.len() > 2 * CONTEXT {
            let (old, new) = (run.old.clone(), run.new.clone());
            hunk.push(Run {
                is_same: true,
                old: old.start..old.start + CONTEXT,
                new: new.start..new.start + CONTEXT,
            });
            hunks.push(std::mem::take(&mut hunk));
            hunk.push(Run {
                is_same: true,
                old: old.end - CONTEXT..old.end,
                new: new.end - CONTEXT..new.end,
            });
        } else {
            hunk.push(run);
        }
    }
    hunks.push(hunk);
    hunks.retain(|hunk| hunk.iter().any(|run| !run.is_same));
    hunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diffs_of_indented_json() {
        let old =
            indent(r#"{"AccessModes":["a"],"Selector":{"b":"c,:"},"Limits":null,"A":{},"B":1,"C":2,"D":[]}"#);
        let new =
            indent(r#"{"AccessModes":null,"Selector":{"b":"c,:"},"Limits":null,"A":{},"B":1,"C":2,"D":[]}"#);
        let expected = "@@ -1,7 +1,5 @@\n {\n- \"AccessModes\": [\n-  \"a\"\n- ],\n+ \"AccessModes\": null,\n  \"Selector\": {\n   \"b\": \"c,:\"\n  },\n";
        assert_eq!(diff(&old, &new), expected);
    }
}
