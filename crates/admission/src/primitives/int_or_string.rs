//! Numbers of pods, or shares of them: `ValidatePositiveIntOrPercent` and what belongs to it in `pkg/apis/apps/validation`.

use serde_json::Value;

use super::{metadata, names};
use crate::field::{At, Causes, Shown};

/// `ValidatePositiveIntOrPercent`
pub(crate) fn validate_positive_int_or_percent(field: &At<'_>, causes: &mut Causes) {
    match field.text_if_set() {
        Some(text) => {
            for fault in names::percent(text) {
                causes.invalid(field, text, &fault);
            }
        }
        None => metadata::validate_non_negative(field, causes),
    }
}

/// `IsNotMoreThan100Percent`
pub(crate) fn validate_not_more_than_100_percent(field: &At<'_>, causes: &mut Causes) {
    if percent_value(field).is_some_and(|percent| percent > 100) {
        causes.invalid(field, shown(field), "must not be greater than 100%");
    }
}

/// `getPercentValue`: the 25 of `25%`.
pub(crate) fn percent_value(field: &At<'_>) -> Option<i64> {
    let text = field.text_if_set().filter(|text| names::percent(text).is_empty())?;
    Some(text.trim_end_matches('%').parse().unwrap_or(i64::MAX))
}

/// `getIntOrPercentValue`: the number, or the number of the percentage.
pub(crate) fn int_or_percent_value(field: &At<'_>) -> i64 {
    match field.text_if_set() {
        Some(text) => percent_value(field).unwrap_or_else(|| text.parse().unwrap_or_default()),
        None => field.number(),
    }
}

/// As an error shows it: what is absent is the number zero.
pub(crate) fn shown(field: &At<'_>) -> Shown {
    match field.value() {
        Value::Null => Shown::from(0),
        value => Shown::from(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_percentages() {
        const FORM: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
        let table = [
            (json!(3), 3, vec![]),
            (json!("25%"), 25, vec![]),
            (
                json!("101%"),
                101,
                vec!["<nil>: Invalid value: \"101%\": must not be greater than 100%".into()],
            ),
            (json!(-1), -1, vec!["<nil>: Invalid value: -1: must be greater than or equal to 0".into()]),
            (json!("7"), 7, vec![format!("<nil>: Invalid value: \"7\": {FORM}")]),
        ];
        for (value, number, expected) in table {
            let (field, mut causes) = (At::root(&value), Causes::default());
            validate_positive_int_or_percent(&field, &mut causes);
            validate_not_more_than_100_percent(&field, &mut causes);
            let causes: Vec<String> = causes.into_vec().iter().map(ToString::to_string).collect();
            assert_eq!((int_or_percent_value(&field), causes), (number, expected), "{value}");
        }
    }
}
