//! Renders a parser's message for the author of the file: the expected value with an example, and the actual one. Must
//! not depend on the kind of the object.

/// `message` without the parser's terms: `sets.db.replicas: invalid type: string "x", expected u32` becomes a message
/// with the allowed numbers.
pub(super) fn plain(message: &str) -> String {
    let (path, rest) = split(message);
    let plain = of_value(rest).or_else(|| of_parse(rest));
    plain.map_or_else(|| message.to_owned(), |plain| format!("{path}{plain}"))
}

/// The path of the field with its colon, and the rest.
fn split(message: &str) -> (&str, &str) {
    match message.split_once(": ") {
        Some((path, rest)) if !path.contains([' ', '`', '"']) => (&message[..path.len() + 2], rest),
        _ => ("", message),
    }
}

/// Errors of serde: `invalid type: FOUND, expected EXPECTED`, and other errors of values.
fn of_value(message: &str) -> Option<String> {
    if message.starts_with("data did not match any variant of untagged enum") {
        return Some("has none of the supported forms; see the documentation of the kind".into());
    }
    let rest = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix))?;
    // The actual value may contain these words; the expected one never does.
    let (found, wanted) = rest.rsplit_once(", expected ")?;
    let length = message.starts_with("invalid length ").then(|| format!("a list of {found}"));
    Some(format!("expected {}, not {}", self::wanted(wanted), length.unwrap_or_else(|| self::found(found))))
}

fn found(found: &str) -> String {
    let quoted = |prefix: &str| found.strip_prefix(prefix)?.strip_suffix('`');
    match found {
        "unit value" | "null" | "Option value" => "nothing".into(),
        "sequence" => "a list".into(),
        "map" => "a mapping".into(),
        _ => {
            match (found.strip_prefix("string "), quoted("integer `").or_else(|| quoted("floating point `")))
            {
                (Some(text), _) => format!("the text {text}"),
                (_, Some(number)) => number.into(),
                _ => quoted("boolean `").map_or_else(|| found.into(), str::to_owned),
            }
        }
    }
}

fn wanted(wanted: &str) -> String {
    let whole = |max: u64| format!("a whole number from 0 to {max}, such as 3");
    let signed = |max: i64| format!("a whole number from {} to {max}, such as 3", -max - 1);
    match wanted {
        "u8" => whole(u8::MAX.into()),
        "u16" => whole(u16::MAX.into()),
        "u32" => whole(u32::MAX.into()),
        "u64" | "usize" => whole(u64::MAX),
        "i8" => signed(i8::MAX.into()),
        "i16" => signed(i16::MAX.into()),
        "i32" => signed(i32::MAX.into()),
        "i64" => signed(i64::MAX),
        "f32" | "f64" => "a number, such as 0.5".into(),
        "a boolean" => "true or false".into(),
        "a string" | "a borrowed string" => "a text, such as \"db\"".into(),
        "a sequence" => "a list, such as [a, b]".into(),
        "a map" => "a mapping, such as {name: value}".into(),
        "a map of names" => "a mapping of names, such as {db: …}".into(),
        "unit" | "unit struct" => "nothing".into(),
        _ if wanted.starts_with("struct ") || wanted.starts_with("tuple ") || wanted.starts_with("enum ") => {
            "a mapping, such as {name: value}".into()
        }
        _ => wanted.into(),
    }
}

/// Errors of Rust's own `FromStr`, for values that are text.
fn of_parse(message: &str) -> Option<String> {
    Some(match message {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "expected a whole number, such as 3".into()
        }
        "number too large to fit in target type" => "the number is too large".into(),
        "number too small to fit in target type" => "the number is too small".into(),
        "invalid float literal" | "cannot parse float from empty string" => {
            "expected a number, such as 0.5".into()
        }
        "provided string was not `true` or `false`" => "expected true or false".into(),
        "invalid IP address syntax" | "invalid IPv4 address syntax" | "invalid IPv6 address syntax" => {
            "expected an IP address, such as 127.0.0.1 or fd00::1".into()
        }
        "invalid socket address syntax" => {
            "expected ADDRESS:PORT, such as 127.0.0.1:10053 or [::1]:10053".into()
        }
        _ => return None,
    })
}

/// The tab in the whitespace at byte `at` of `text`, where the scanner stopped.
pub(super) fn tab(text: &str, at: usize) -> Option<usize> {
    let begin = text.get(..at)?.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[begin..].lines().next()?;
    let indent = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
    let of_indent = indent.find('\t').map(|tab| begin + tab);
    of_indent.or_else(|| text[at..].starts_with('\t').then_some(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_state_the_expected_value_with_an_example() {
        let table = [
            (
                "sets.db.replicas: invalid type: string \"x\", expected u32",
                "sets.db.replicas: expected a whole number from 0 to 4294967295, such as 3, not the text \"x\"",
            ),
            (
                "ttl: invalid value: integer `-1`, expected u64",
                "ttl: expected a whole number from 0 to 18446744073709551615, such as 3, not -1",
            ),
            ("steps[0]: invalid type: unit value, expected a step", "steps[0]: expected a step, not nothing"),
            (
                "a: invalid length 3, expected struct Json with 3 elements",
                "a: expected a mapping, such as {name: value}, not a list of 3",
            ),
            ("invalid type: sequence, expected a string", "expected a text, such as \"db\", not a list"),
            (
                "a.b: invalid type: boolean `true`, expected a sequence",
                "a.b: expected a list, such as [a, b], not true",
            ),
            (
                "a: invalid type: floating point `1.5`, expected i32",
                "a: expected a whole number from -2147483648 to 2147483647, such as 3, not 1.5",
            ),
            (
                "a: invalid type: string \"x, expected y\", expected a boolean",
                "a: expected true or false, not the text \"x, expected y\"",
            ),
            (
                "steps[0].bind.db: invalid socket address syntax",
                "steps[0].bind.db: expected ADDRESS:PORT, such as 127.0.0.1:10053 or [::1]:10053",
            ),
            ("a: invalid digit found in string", "a: expected a whole number, such as 3"),
            ("missing field `name`", "missing field `name`"),
            ("unknown field `a`, expected one of `b`, `c`", "unknown field `a`, expected one of `b`, `c`"),
        ];
        for (message, expected) in table {
            assert_eq!(plain(message), expected);
        }
        let untagged = plain("steps[0]: data did not match any variant of untagged enum X");
        assert!(untagged.starts_with("steps[0]: has none of the supported forms"), "{untagged}");
    }
}
