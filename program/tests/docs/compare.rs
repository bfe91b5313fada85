//! Whether what is printed is what a page shows. Times, serials, ids and random suffixes differ from run to run, the order of
//! addresses from answer to answer; a line `...` stands for any number of lines.

use std::sync::LazyLock;

use regex_lite::Regex;

/// What differs from run to run, and what stands for it.
static VARYING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\bid: \d+", "id"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "TIME"),
        (r"(?i)\bserial[ =]\d+", "serial"),
        (r"\b1[6-9]\d{8}\b", "serial"),
        // Ages and times taken; what is configured in seconds is compared where all else is the same.
        (r"\b\d+(\.\d+)?\s?(s|ms|µs|msec)\b", "TIME"),
        (r"\b(\d+[hm])+(\d+s)?\b", "TIME"),
        (r"\b127\.0\.0\.1(:|#)[3-6]\d{4}\b", "CLIENT"),
        (r#"- \d+ ""#, "ID \""),
        (r"-[0-9a-z]{8,10}-[0-9a-z]{5}\b", "-POD"),
        (r"; <<>> DiG .* <<>>", "; DiG"),
        (r"COOKIE: \w+", "COOKIE"),
        (r"WHEN: .*", "WHEN"),
        (r"\s+", " "),
    ]
    .map(|(pattern, stands_for)| (Regex::new(pattern).expect("a pattern"), stands_for))
    .into()
});

/// Whether `actual` is what the page shows. The order of lines counts, unless `in_any_order`.
pub fn is_same(expected: &str, actual: &str, in_any_order: bool) -> bool {
    if expected == actual {
        return true;
    }
    let mut expected: Vec<_> = expected.trim_end().lines().map(masked).collect();
    let mut actual: Vec<_> = actual.trim_end().lines().map(masked).collect();
    if in_any_order {
        expected.sort();
        actual.sort();
    }
    matches(&expected, &actual)
}

/// Whether `actual` begins with what the page shows; more may follow.
pub fn begins_with(expected: &str, actual: &str) -> bool {
    let count = expected.trim_end().lines().count();
    let begun: Vec<_> = actual.lines().take(count).map(|line| format!("{line}\n")).collect();
    is_same(expected, &begun.concat(), false)
}

fn masked(line: &str) -> String {
    let replace =
        |line: String, (pattern, with): &(Regex, &str)| pattern.replace_all(&line, *with).into_owned();
    VARYING.iter().fold(line.trim_end().to_owned(), replace)
}

fn matches(expected: &[String], actual: &[String]) -> bool {
    match expected {
        [] => actual.is_empty(),
        [dots, rest @ ..] if dots == "..." => (0..=actual.len()).any(|from| matches(rest, &actual[from..])),
        [line, rest @ ..] => actual.first() == Some(line) && matches(rest, &actual[1..]),
    }
}
