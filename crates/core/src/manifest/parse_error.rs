//! Converts the errors of the YAML and JSON parsers to problems, in plain words and with their positions.

use super::documents;
use super::problem::Problem;
use super::source::Place;
use super::wording;

/// The YAML parser's error as a problem with its position.
pub(super) fn yaml_error(place: &Place, text: &str, error: &serde_yaml::Error) -> Box<Problem> {
    if let Some(at) = documents::template_directive(text) {
        return Box::new(unrendered(place, at));
    }
    let location = error.location();
    let position = location.as_ref().map(|at| (at.line(), at.column()));
    let message = without_position(&error.to_string(), position, place.passage.line);
    let message = match &*message {
        "recursion limit exceeded" => "nested deeper than 128 levels".into(),
        "repetition limit exceeded" => "aliases expand this document too far".into(),
        _ => message,
    };
    if let Some((before, key)) = message.split_once("duplicate field `") {
        let key = key.trim_end_matches('`');
        let spot = place.locate_repeated(before.trim_end_matches(": "), key);
        return Box::new(Problem::at(place, spot, format!("{before}duplicate key `{key}`")));
    }
    let at = location.as_ref().map(serde_yaml::Location::index);
    // The scanner reports characters and tokens if there is a tab.
    let scanner = message.contains("token") || message.contains("indentation") || message.contains("block");
    if let Some(tab) = at.filter(|_| scanner).and_then(|at| wording::tab(text, at)) {
        let problem = Problem::at(place, place.at(tab), "a tab: YAML is indented with spaces");
        return Box::new(problem.with_help("write two spaces for each level instead of the tab"));
    }
    let spot = at.map_or_else(|| place.head(), |at| place.at(at));
    let message = wording::plain(&message);
    let problem = Problem::at(place, spot, &message);
    Box::new(match similar(&message) {
        Some(word) => problem.with_help(format!("did you mean `{word}`?")),
        None => problem,
    })
}

/// The YAML parser's error in one line, with the path of the field and without the position.
pub(super) fn plain_message(error: &serde_yaml::Error) -> String {
    let position = error.location().map(|at| (at.line(), at.column()));
    without_position(&error.to_string(), position, 1)
}

/// The problem of a template directive at byte `at` of the document.
pub(super) fn unrendered(place: &Place, at: usize) -> Problem {
    let help = "render it first: helm template RELEASE CHART > rendered.yaml";
    Problem::at(place, place.at(at), "looks like an unrendered Helm template").with_help(help)
}

/// The JSON parser's error as a problem with its position.
pub(super) fn json_error(place: &Place, text: &str, error: &serde_json::Error) -> Box<Problem> {
    let (line, column) = (error.line(), error.column());
    let begin = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
    Box::new(Problem::at(place, place.at(begin + column.saturating_sub(1)), json_message(error)))
}

/// The JSON parser's error as a problem of a document that was converted to JSON, whose positions are others.
pub(super) fn converted_error(place: &Place, error: &serde_json::Error) -> Box<Problem> {
    Box::new(Problem::at(place, place.at(0), json_message(error)))
}

/// The JSON parser's error without the position.
fn json_message(error: &serde_json::Error) -> String {
    wording::plain(&without_position(&error.to_string(), Some((error.line(), error.column())), 1))
}

/// A parser's message without its own position, which the problem has; other positions in it (such as the start of an
/// unterminated scalar) are counted from `first_line`.
fn without_position(message: &str, position: Option<(usize, usize)>, first_line: u32) -> String {
    const AT: &str = " at line ";
    const COLUMN: &str = " column ";
    let mut parts = message.split(AT);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let parsed = (|| {
            let (line, rest) = part.split_at(digits(part));
            let rest = rest.strip_prefix(COLUMN)?;
            let (column, rest) = rest.split_at(digits(rest));
            Some((line.parse::<usize>().ok()?, column.parse::<usize>().ok()?, rest))
        })();
        match parsed {
            Some((line, column, rest)) if position == Some((line, column)) => shown.push_str(rest),
            Some((line, column, rest)) => {
                let line = line + first_line as usize - 1;
                shown.push_str(&format!("{AT}{line}{COLUMN}{column}{rest}"));
            }
            None => shown.push_str(&format!("{AT}{part}")),
        }
    }
    shown
}

/// The suggestion for an error of serde such as "unknown field `a`, expected one of `b`, `c`".
fn similar(message: &str) -> Option<&str> {
    if !message.contains("unknown field `") && !message.contains("unknown variant `") {
        return None;
    }
    let mut words = message.split('`').skip(1).step_by(2);
    let unknown = words.next()?.to_lowercase();
    // Within a typo or two.
    let far = 1 + unknown.chars().count() / 4;
    words
        .map(|word| (strsim::damerau_levenshtein(&unknown, &word.to_lowercase()), word))
        .filter(|&(distance, _)| distance <= far)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parsers_own_position_is_removed_and_others_are_relative_to_the_file() {
        let table = [
            ("a: bad at line 3 column 5", "a: bad"),
            (
                "found end at line 3 column 5, while scanning at line 1 column 2",
                "found end, while scanning at line 11 column 2",
            ),
            ("look at line up", "look at line up"),
        ];
        for (message, expected) in table {
            assert_eq!(without_position(message, Some((3, 5)), 11), expected);
        }
    }

    #[test]
    fn misspelt_words_get_suggestions() {
        let table = [
            ("unknown field `replica`, expected one of `replicas`, `ports`", Some("replicas")),
            ("unknown variant `tcp`, expected one of `TCP`, `UDP`, `SCTP`", Some("TCP")),
            ("unknown field `image`, expected one of `replicas`, `ports`", None),
            ("invalid type: string \"`a`\"", None),
        ];
        for (message, expected) in table {
            assert_eq!(similar(message), expected, "{message}");
        }
    }
}
