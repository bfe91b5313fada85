//! Lists of indexes of a Job: `0,2-4`.

/// The number of indexes in `indexes`, all of them below `completions` (`validateIndexesFormat`).
pub(super) fn validate_indexes_format(indexes: &str, completions: i64) -> Result<i64, String> {
    let (mut last, mut total) = (None, 0);
    for interval in indexes.split(',').filter(|_| !indexes.is_empty()) {
        let (first, end) = parse_index_interval(interval, completions)?;
        if let Some(last) = last.filter(|last| *last >= first) {
            return Err(format!("non-increasing order, previous: {last}, current: {first}"));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

/// The ends of `2-4`, or of `2` (`parseIndexInterval`).
fn parse_index_interval(text: &str, completions: i64) -> Result<(i64, i64), String> {
    let index = |text: &str| match text.parse::<i64>() {
        Err(_) => Err(format!("cannot convert string to integer for index: {text:?}")),
        Ok(index) if index >= completions => Err(format!("too large index: {text:?}")),
        Ok(index) => Ok(index),
    };
    match text.split('-').collect::<Vec<_>>()[..] {
        [one] => index(one).map(|index| (index, index)),
        [first, last] => match (index(first)?, index(last)?) {
            (first, last) if first >= last => {
                Err(format!("non-increasing order, previous: {first}, current: {last}"))
            }
            ends => Ok(ends),
        },
        _ => Err(format!(
            "the fragment {text:?} violates the requirement that an index interval can have at most two parts separated by '-'"
        )),
    }
}

/// The first index that is in both lists (`validateFailedIndexesNotOverlapCompleted`).
pub(super) fn overlap(completed: &str, failed: &str, completions: i64) -> Option<i64> {
    let intervals = |text: &str| -> Vec<(i64, i64)> {
        text.split(',').filter_map(|text| parse_index_interval(text, completions).ok()).collect()
    };
    let failed = intervals(failed);
    intervals(completed).into_iter().find_map(|(first, last)| {
        let meets = |(from, to): &&(i64, i64)| first <= *to && *from <= last;
        failed.iter().find(meets).map(|(from, _)| first.max(*from))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_indexes() {
        let table = [
            ("", Ok(0)),
            ("0,2-4", Ok(4)),
            ("0,2-5", Err("too large index: \"5\"")),
            ("2,1", Err("non-increasing order, previous: 2, current: 1")),
            ("3-3", Err("non-increasing order, previous: 3, current: 3")),
            ("x", Err("cannot convert string to integer for index: \"x\"")),
            ("-1", Err("cannot convert string to integer for index: \"\"")),
            (
                "0-1-2",
                Err(
                    "the fragment \"0-1-2\" violates the requirement that an index interval can have at most two parts separated by '-'",
                ),
            ),
        ];
        for (indexes, expected) in table {
            let total = validate_indexes_format(indexes, 5);
            assert_eq!(total, expected.map_err(str::to_owned), "{indexes}");
        }
        assert_eq!(overlap("0,2-4", "3", 5), Some(3));
        assert_eq!(overlap("0", "3", 5), None);
    }
}
