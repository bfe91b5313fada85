use proptest::prelude::*;

use super::*;

fn quantity(text: &str) -> Quantity {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn quantities_are_written_as_apimachinery_does() {
    let table = [
        ("0", "0"),
        ("1", "1"),
        ("1000", "1k"),
        ("1000m", "1"),
        ("500m", "500m"),
        ("0.5", "500m"),
        ("1.50", "1500m"),
        ("1.5Gi", "1536Mi"),
        ("1Gi", "1Gi"),
        ("1Ki", "1Ki"),
        ("1024Mi", "1Gi"),
        ("1500Mi", "1500Mi"),
        ("0.5Gi", "512Mi"),
        ("2e3", "2e3"),
        ("12e2", "1200"),
        ("-3", "-3"),
        ("+5", "+5"),
        ("05", "05"),
        ("-0", "0"),
        ("0.1n", "1n"),
        ("-0.1n", "-1n"),
        ("0.1Ki", "102400m"),
        ("Mi", "0"),
        ("9Ei", "9223372036854775807"),
        ("1e100", "10e99"),
        ("123456789012345678901234567890123456789k", "123456789012345678901234567890123456789k"),
        (" 1 ", "1"),
    ];
    for (text, expected) in table {
        assert_eq!(Quantity::canonical(text), Ok(expected.into()), "{text}");
    }
    let bad = [
        ("", QuantityError::Format),
        ("x", QuantityError::Format),
        ("1Xi", QuantityError::Format),
        ("1.2.3", QuantityError::Format),
        ("1iM", QuantityError::Suffix),
        ("1e", QuantityError::Suffix),
    ];
    for (text, error) in bad {
        assert_eq!(Quantity::canonical(text), Err(error), "{text}");
        assert_eq!(text.parse::<Quantity>(), Err(error), "{text}");
    }
}

#[test]
fn amounts_are_equal_however_they_are_written() {
    let table = [
        ("1500m", "1.5"),
        ("1Ki", "1024"),
        ("1e3", "1k"),
        ("-1", "-1000m"),
        ("+5", "05"),
        ("0.1Ki", "102.4"),
        ("0.1n", "1n"),
        ("0.00000000000000000000000000000000000000000000000001", "1n"),
        ("1e100", "1e200"),
    ];
    for (one, other) in table {
        assert_eq!(quantity(one), quantity(other), "{one} {other}");
    }
    assert!(quantity("100m") < quantity("1") && quantity("-1") < quantity("-1m"));
    assert_eq!(Quantity::of(""), Quantity::ZERO);
    let json = [serde_json::json!(2), serde_json::json!("2"), serde_json::json!(null)];
    assert_eq!(json.each_ref().map(Quantity::read), [Some(quantity("2")), Some(quantity("2")), None]);
}

#[test]
fn sums_have_the_format_of_the_first() {
    let sum = |a: &str, b: &str| (quantity(a) + quantity(b)).to_string();
    assert_eq!([sum("252Mi", "4Mi"), sum("0", "1Gi"), sum("500m", "1")], ["256Mi", "1Gi", "1500m"]);
    assert_eq!([sum("1e3", "1"), sum("1Gi", "1m"), sum("1Ki", "-1Ki")], ["1001", "1073741824001m", "0"]);
}

#[test]
fn parts_are_rounded_away_from_zero() {
    let rounded = |text| (quantity(text).milli(), quantity(text).value());
    assert_eq!([rounded("1n"), rounded("1500m"), rounded("-1.5")], [(1, 1), (1500, 2), (-1500, -2)]);
    assert_eq!(quantity("999999999n").rounded_to_milli().to_string(), "1");
    assert_eq!(
        (quantity("10E").low_value(), Quantity::default().low_value()),
        (-8_446_744_073_709_551_616, 0)
    );
    assert!(quantity("2k").is_whole() && !quantity("1.5").is_whole());
    assert_eq!(["-1m", "0", "3"].map(|text| quantity(text).sign()), [-1, 0, 1]);
}

proptest! {
    #[test]
    fn what_is_written_is_parsed(number in "[+-]?[0-9]{1,12}(\\.[0-9]{0,12})?", suffix in "(n|u|m|k|M|G|T|Ki|Mi|Gi|Ti|e[0-9])?") {
        let parsed = quantity(&format!("{number}{suffix}"));
        prop_assert_eq!(quantity(&parsed.to_string()), parsed);
        let canonical = Quantity::canonical(&format!("{number}{suffix}")).expect("a quantity");
        prop_assert_eq!(quantity(&canonical), parsed);
    }

    #[test]
    fn no_text_is_too_odd(text in "[-+0-9.eEinumkKMGTP ]{0,60}") {
        prop_assert_eq!(text.parse::<Quantity>().is_ok(), Quantity::canonical(&text).is_ok());
    }
}
