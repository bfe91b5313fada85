//! What is wrong with a field: apimachinery's `field.Error`, as in the causes of a `Status`.

use std::fmt::{self, Write as _};

use serde_json::Value;

use super::At;

/// One thing that is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The path of the field: `spec.template.spec.containers[0].name`.
    pub field: String,
    /// The kind of error: `FieldValueRequired`, `FieldValueInvalid`, ….
    pub reason: &'static str,
    /// What is wrong, without the field.
    pub message: String,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// A value as `field.Error` writes it: strings in quotes, numbers plain, others as JSON.
#[derive(Clone, Debug)]
pub(crate) struct Shown(String);

impl Shown {
    /// A pointer that is nil.
    pub(crate) fn nil() -> Self {
        Shown("null".into())
    }

    /// JSON, or what stands in its place.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Shown(text.into())
    }

    /// The text, for messages other than those of `field.Error`.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

impl From<&str> for Shown {
    /// Go's `%q`.
    fn from(text: &str) -> Self {
        let mut quoted = String::from("\"");
        for c in text.chars() {
            match c {
                '"' => quoted.push_str("\\\""),
                '\\' => quoted.push_str("\\\\"),
                '\u{7}' => quoted.push_str("\\a"),
                '\u{8}' => quoted.push_str("\\b"),
                '\u{c}' => quoted.push_str("\\f"),
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '\t' => quoted.push_str("\\t"),
                '\u{b}' => quoted.push_str("\\v"),
                c if (c as u32) < 0x20 || c as u32 == 0x7f => _ = write!(quoted, "\\x{:02x}", c as u32),
                c if !is_printable(c) && (c as u32) < 0x1_0000 => _ = write!(quoted, "\\u{:04x}", c as u32),
                c if !is_printable(c) => _ = write!(quoted, "\\U{:08x}", c as u32),
                c => quoted.push(c),
            }
        }
        quoted.push('"');
        Shown(quoted)
    }
}

/// Go's `strconv.IsPrint`, as far as `char` knows it: controls, formats and spaces other than U+0020 are not.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && (c == ' ' || !c.is_whitespace())
        && !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        && !matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{fff9}'..='\u{fffb}' | '\u{f0000}'..)
}

impl From<i64> for Shown {
    fn from(number: i64) -> Self {
        Shown(number.to_string())
    }
}

impl From<bool> for Shown {
    fn from(flag: bool) -> Self {
        Shown(flag.to_string())
    }
}

impl From<&Value> for Shown {
    /// JSON as the object has it. A struct stands with the names of its fields in Go: [`crate::schema::go_json`].
    fn from(value: &Value) -> Self {
        match value {
            Value::String(text) => text.as_str().into(),
            other => Shown(other.to_string()),
        }
    }
}

/// What is wrong with an object, in the order in which it was found.
#[derive(Debug, Default)]
pub(crate) struct Causes(Vec<Cause>);

impl Causes {
    fn add(&mut self, field: &At<'_>, reason: &'static str, message: String) {
        self.0.push(Cause { field: field.to_string(), reason, message });
    }

    fn add_with_value(
        &mut self,
        field: &At<'_>,
        reason: &'static str,
        begin: &str,
        value: impl Into<Shown>,
        why: &str,
    ) {
        let Shown(value) = value.into();
        let end = if why.is_empty() { String::new() } else { format!(": {why}") };
        self.add(field, reason, format!("{begin}: {value}{end}"));
    }

    fn add_plain(&mut self, field: &At<'_>, reason: &'static str, begin: &str, why: &str) {
        let message = if why.is_empty() { begin.into() } else { format!("{begin}: {why}") };
        self.add(field, reason, message);
    }

    /// `field.Required`: `why` may be empty, as in all of these.
    pub(crate) fn required(&mut self, field: &At<'_>, why: &str) {
        self.add_plain(field, "FieldValueRequired", "Required value", why);
    }

    /// `field.Forbidden`
    pub(crate) fn forbidden(&mut self, field: &At<'_>, why: &str) {
        self.add_plain(field, "FieldValueForbidden", "Forbidden", why);
    }

    /// `field.Invalid`
    pub(crate) fn invalid(&mut self, field: &At<'_>, value: impl Into<Shown>, why: &str) {
        self.add_with_value(field, "FieldValueInvalid", "Invalid value", value, why);
    }

    /// `field.InternalError`
    pub(crate) fn internal_error(&mut self, field: &At<'_>, why: &str) {
        self.add_plain(field, "InternalError", "Internal error", why);
    }

    /// `field.Invalid` with `OmitValueType`: the value is not shown.
    pub(crate) fn invalid_without_value(&mut self, field: &At<'_>, why: &str) {
        self.add_plain(field, "FieldValueInvalid", "Invalid value", why);
    }

    /// `field.NotSupported`, with the supported values in the order of the message.
    pub(crate) fn not_supported(&mut self, field: &At<'_>, value: impl Into<Shown>, supported: &[&str]) {
        let all: Vec<String> = supported.iter().map(|one| Shown::from(*one).0).collect();
        let why =
            if all.is_empty() { String::new() } else { format!("supported values: {}", all.join(", ")) };
        self.add_with_value(field, "FieldValueNotSupported", "Unsupported value", value, &why);
    }

    /// `field.Duplicate`
    pub(crate) fn duplicate(&mut self, field: &At<'_>, value: impl Into<Shown>) {
        self.add_with_value(field, "FieldValueDuplicate", "Duplicate value", value, "");
    }

    /// `field.Duplicate` with the reason why there can be only one.
    pub(crate) fn duplicate_because(&mut self, field: &At<'_>, value: impl Into<Shown>, why: &str) {
        self.add_with_value(field, "FieldValueDuplicate", "Duplicate value", value, why);
    }

    /// `field.NotFound`
    pub(crate) fn not_found(&mut self, field: &At<'_>, value: impl Into<Shown>) {
        self.add_with_value(field, "FieldValueNotFound", "Not found", value, "");
    }

    /// `field.NotFound` with a detail.
    pub(crate) fn not_found_because(&mut self, field: &At<'_>, value: impl Into<Shown>, why: &str) {
        self.add_with_value(field, "FieldValueNotFound", "Not found", value, why);
    }

    /// `field.TooLong`: `max` in bytes.
    pub(crate) fn too_long(&mut self, field: &At<'_>, max: usize) {
        self.add_plain(field, "FieldValueTooLong", "Too long", &format!("may not be more than {max} bytes"));
    }

    /// `field.TooMany`: items of a list.
    pub(crate) fn too_many(&mut self, field: &At<'_>, count: usize, max: usize) {
        let items = if max == 1 { "item" } else { "items" };
        let why = format!("must have at most {max} {items}");
        self.add_with_value(field, "FieldValueTooMany", "Too many", count as i64, &why);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn append(&mut self, mut other: Causes) {
        self.0.append(&mut other.0);
    }

    /// Those of `other`, all at the path that is written as `field`.
    pub(crate) fn append_at(&mut self, other: Causes, field: &str) {
        self.0.extend(other.0.into_iter().map(|cause| Cause { field: field.into(), ..cause }));
    }

    pub(crate) fn into_vec(self) -> Vec<Cause> {
        self.0
    }
}
