//! The expressions of webhooks and policies, as far as they can be judged without compiling them
//! (`pkg/apis/admissionregistration/validation`).

use std::collections::BTreeSet;

use crate::field::{At, Causes};
use crate::primitives::names;

/// Maximum number of match conditions.
const CONDITIONS_MAX: usize = 64;

/// Words that are no identifiers in CEL (`celReserved`).
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// `validateMatchConditions`
pub(super) fn validate_match_conditions(conditions: &At<'_>, causes: &mut Causes) {
    let count = conditions.list().len();
    if count > CONDITIONS_MAX {
        causes.too_many(conditions, count, CONDITIONS_MAX);
    }
    let mut seen = BTreeSet::new();
    for condition in conditions.items() {
        require_expression(&condition.at("expression"), "", causes);
        let name = condition.at("name");
        if name.is_empty() {
            causes.required(&name, "");
            continue;
        }
        names::check(&name, names::label_key, causes);
        if !seen.insert(name.text()) {
            causes.duplicate(&name, name.text());
        }
    }
}

/// Reports an expression that is blank.
pub(super) fn require_expression(expression: &At<'_>, why: &str, causes: &mut Causes) {
    if expression.text().trim().is_empty() {
        causes.required(expression, why);
    }
}

/// `validateVariable`
pub(super) fn validate_variable(variable: &At<'_>, causes: &mut Causes) {
    let name = variable.at("name");
    if name.text().trim().is_empty() {
        causes.required(&name, "name is not specified");
    } else if !is_cel_identifier(name.text()) {
        causes.invalid(&name, name.text(), "must be a valid CEL identifier");
    }
    require_expression(&variable.at("expression"), "expression is not specified", causes);
}

/// `isCELIdentifier`
fn is_cel_identifier(name: &str) -> bool {
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_word
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && !RESERVED.contains(&name)
}
