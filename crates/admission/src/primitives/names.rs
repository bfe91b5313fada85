//! The forms of names, labels and numbers. Each function returns what is wrong, in the words of
//! `k8s.io/apimachinery/pkg/util/validation` and `api/validate/content`; nothing, if nothing is.

use clusterlocal_core::manifest::NameRule;

use crate::field::{At, Causes};

/// The errors of a value, in the order of an API server.
pub type Faults = Vec<String>;

/// Reports each fault of the text of `field` as an invalid value.
pub(crate) fn check(field: &At<'_>, rule: fn(&str) -> Faults, causes: &mut Causes) {
    for fault in rule(field.text()) {
        causes.invalid(field, field.text(), &fault);
    }
}

/// The faults of a name that has to follow `rule`; none if it does.
pub fn name_faults(rule: NameRule, name: &str) -> Faults {
    match rule {
        NameRule::Label => dns_label(name),
        NameRule::Subdomain => dns_subdomain(name),
        NameRule::PathSegment => path_segment(name),
        NameRule::ServiceName => port_name(name),
    }
}

/// A form of names.
pub(crate) struct Form {
    /// The longest such name, in bytes; and what the API server calls a byte here.
    max: Option<(usize, &'static str)>,
    is: fn(&str) -> bool,
    /// What such a name is, the expression that it has to match, and names of that form.
    words: &'static str,
    expression: &'static str,
    examples: &'static [&'static str],
}

impl Form {
    fn check(&self, value: &str) -> Faults {
        let mut faults = Faults::new();
        if let Some((max, unit)) = self.max.filter(|(max, _)| value.len() > *max) {
            faults.push(format!("must be no more than {max} {unit}"));
        }
        if !(self.is)(value) {
            faults.push(regex_error(self.words, self.expression, self.examples));
        }
        faults
    }
}

/// `RegexError`
pub(crate) fn regex_error(words: &str, expression: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    let eg = if examples.is_empty() { "(".into() } else { format!("(e.g. {}", examples.join(" or ")) };
    format!("{words} {eg}regex used for validation is '{expression}')")
}

/// Whether `value` is not empty, has only `inner` characters, and begins and ends with `outer` ones.
pub(crate) fn is_word(value: &str, outer: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = value.as_bytes();
    let ends = bytes.first().is_some_and(|&b| outer(b)) && bytes.last().is_some_and(|&b| outer(b));
    ends && bytes.iter().all(|&b| outer(b) || inner(b))
}

fn is_lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_letter_or_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn is_label(value: &str) -> bool {
    is_word(value, is_lower, |b| b == b'-')
}

fn is_subdomain(value: &str) -> bool {
    value.split('.').all(is_label)
}

fn is_label_word(value: &str) -> bool {
    is_word(value, is_letter_or_digit, |b| matches!(b, b'-' | b'_' | b'.'))
}

const LABEL: Form = Form {
    max: Some((63, "bytes")),
    is: is_label,
    words: "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
    expression: "[a-z0-9]([-a-z0-9]*[a-z0-9])?",
    examples: &["my-name", "123-abc"],
};

const SUBDOMAIN: Form = Form {
    max: Some((253, "bytes")),
    is: is_subdomain,
    words: "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
    expression: "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
    examples: &["example.com"],
};

/// `validation.IsDNS1123Label`, whose messages have lengths in characters.
pub(crate) fn dns_label(value: &str) -> Faults {
    if is_subdomain(value) && value.contains('.') {
        let mut faults = Form { is: |_| true, max: Some((63, "characters")), ..LABEL }.check(value);
        faults.push("must not contain dots".into());
        return faults;
    }
    Form { max: Some((63, "characters")), ..LABEL }.check(value)
}

/// `validation.IsDNS1035Label`
pub(crate) fn dns_1035_label(value: &str) -> Faults {
    let form = Form {
        max: Some((63, "characters")),
        is: |value| is_label(value) && value.starts_with(|c: char| c.is_ascii_lowercase()),
        words: "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
        expression: "[a-z]([-a-z0-9]*[a-z0-9])?",
        examples: &["my-name", "abc-123"],
    };
    form.check(value)
}

/// `validation.IsDNS1123Subdomain`
pub(crate) fn dns_subdomain(value: &str) -> Faults {
    Form { max: Some((253, "characters")), ..SUBDOMAIN }.check(value)
}

/// `content.IsDNS1123Subdomain`, where declarative validation has taken the place of hand-written rules.
pub(crate) fn long_name(value: &str) -> Faults {
    SUBDOMAIN.check(value)
}

/// `validation.IsWildcardDNS1123Subdomain`
pub(crate) fn wildcard_subdomain(value: &str) -> Faults {
    let form = Form {
        max: Some((253, "characters")),
        is: |value| value.strip_prefix("*.").is_some_and(is_subdomain),
        words: "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
        expression: "\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
        examples: &["*.example.com"],
    };
    form.check(value)
}

/// `validation.IsDNS1123SubdomainWithUnderscore`
pub(crate) fn subdomain_with_underscore(value: &str) -> Faults {
    let form = Form {
        max: Some((253, "characters")),
        is: |value| {
            value.split('.').all(|label| {
                let rest = label.strip_prefix('_').unwrap_or(label);
                is_word(rest, is_lower, |b| matches!(b, b'-' | b'_'))
            })
        },
        words: "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character",
        expression: "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*",
        examples: &["example.com"],
    };
    form.check(value)
}

/// `content.IsLabelKey`: `app`, or `apps.kubernetes.io/pod-index`.
pub(crate) fn label_key(value: &str) -> Faults {
    const WORDS: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
    const EXPRESSION: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
    const EXAMPLES: &[&str] = &["MyName", "my.name", "123-abc"];
    let mut faults = Faults::new();
    let name = match value.split_once('/') {
        None => value,
        Some((_, name)) if name.contains('/') => {
            let error = regex_error(WORDS, EXPRESSION, EXAMPLES);
            return vec![format!(
                "a valid label key {error} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
        Some(("", name)) => {
            faults.push("prefix part must be non-empty".into());
            name
        }
        Some((prefix, name)) => {
            faults.extend(SUBDOMAIN.check(prefix).iter().map(|fault| format!("prefix part {fault}")));
            name
        }
    };
    if name.is_empty() {
        faults.push("name part must be non-empty".into());
    } else if name.len() > 63 {
        faults.push("name part must be no more than 63 bytes".into());
    }
    if !is_label_word(name) {
        faults.push(format!("name part {}", regex_error(WORDS, EXPRESSION, EXAMPLES)));
    }
    faults
}

/// `content.IsLabelValue`
pub(crate) fn label_value(value: &str) -> Faults {
    let form = Form {
        max: Some((63, "bytes")),
        is: |value| value.is_empty() || is_label_word(value),
        words: "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        expression: "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?",
        examples: &["MyValue", "my_value", "12345"],
    };
    form.check(value)
}

/// `content.IsCIdentifier`
pub(crate) fn c_identifier(value: &str) -> Faults {
    let form = Form {
        max: None,
        is: |value| {
            value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        },
        words: "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'",
        expression: "[A-Za-z_][A-Za-z0-9_]*",
        examples: &["my_name", "MY_NAME", "MyName"],
    };
    form.check(value)
}

/// `content.IsPathSegmentName`
pub(crate) fn path_segment(value: &str) -> Faults {
    if matches!(value, "." | "..") {
        return vec![format!("may not be '{value}'")];
    }
    ["/", "%"]
        .into_iter()
        .filter(|bad| value.contains(bad))
        .map(|bad| format!("may not contain '{bad}'"))
        .collect()
}

/// `validation.IsValidPortName`
pub(crate) fn port_name(value: &str) -> Faults {
    let mut faults = Faults::new();
    let mut check = |is_wrong: bool, words: &str| {
        if is_wrong {
            faults.push(words.into());
        }
    };
    check(value.len() > 15, "must be no more than 15 characters");
    let charset = !value.is_empty() && value.bytes().all(|b| is_lower(b) || b == b'-');
    check(!charset, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    check(!value.bytes().any(|b| b.is_ascii_lowercase()), "must contain at least one letter (a-z)");
    check(value.contains("--"), "must not contain consecutive hyphens");
    check(value.starts_with('-') || value.ends_with('-'), "must not begin or end with a hyphen");
    faults
}

/// `validation.IsValidPortNum`
pub(crate) fn port_number(value: i64) -> Faults {
    in_range(value, 1, 65535)
}

/// `validation.IsInRange`
pub(crate) fn in_range(value: i64, min: i64, max: i64) -> Faults {
    if (min..=max).contains(&value) {
        Faults::new()
    } else {
        vec![format!("must be between {min} and {max}, inclusive")]
    }
}

/// `validation.IsValidUserID` and `IsValidGroupID`.
pub(crate) fn user_id(value: i64) -> Faults {
    in_range(value, 0, i64::from(i32::MAX))
}

/// `validation.IsValidPercent`
pub(crate) fn percent(value: &str) -> Faults {
    let form = Form {
        max: None,
        is: |value| {
            let digits = value.strip_suffix('%');
            digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
        },
        words: "a valid percent string must be a numeric string followed by an ending '%'",
        expression: "[0-9]+%",
        examples: &["1%", "93%"],
    };
    form.check(value)
}

/// `validation.IsHTTPHeaderName`
pub(crate) fn http_header_name(value: &str) -> Faults {
    let form = Form {
        max: None,
        is: |value| !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
        words: "a valid HTTP header must consist of alphanumeric characters or '-'",
        expression: "[-A-Za-z0-9]+",
        examples: &["X-Header-Name"],
    };
    form.check(value)
}

/// `validation.IsRelaxedEnvVarName`
pub(crate) fn env_var_name(value: &str) -> Faults {
    let mut faults = Faults::new();
    if value.is_empty() {
        faults.push("environment variable name must be non-empty".into());
    }
    if !value.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=') {
        let words = "a valid environment variable name must consist only of printable ASCII characters other than '='";
        faults.push(words.into());
    }
    faults
}

/// `validation.IsConfigMapKey`
pub(crate) fn config_map_key(value: &str) -> Faults {
    let form = Form {
        max: Some((253, "characters")),
        is: |value| {
            !value.is_empty()
                && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        },
        words: "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
        expression: "[-._a-zA-Z0-9]+",
        examples: &["key.name", "KEY_NAME", "key-name"],
    };
    let mut faults = form.check(value);
    faults.extend(match value {
        "." | ".." => Some(format!("must not be '{value}'")),
        _ if value.starts_with("..") => Some("must not start with '..'".into()),
        _ => None,
    });
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_keys() {
        let name = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
        let long = "a".repeat(64);
        let table: [(&str, &[&str]); 7] = [
            ("app", &[]),
            ("apps.kubernetes.io/pod-index", &[]),
            ("A_b.c", &[]),
            ("", &["name part must be non-empty", name]),
            ("-x-", &[name]),
            ("/a", &["prefix part must be non-empty"]),
            (&long, &["name part must be no more than 63 bytes"]),
        ];
        for (key, faults) in table {
            assert_eq!(label_key(key), faults, "{key}");
        }
    }
}
