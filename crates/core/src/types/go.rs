//! Types as Go writes them: `*[]Container`, `map[string]string`.

use super::{Shape, Type, named};

/// A type, as Go writes it.
#[derive(Clone, Debug)]
pub enum Go {
    /// A value, or none.
    Pointer(Box<Go>),
    /// A list.
    List(Box<Go>),
    /// A map: its keys, which are strings, and its values.
    Map(Box<Go>, Box<Go>),
    /// A type with a name.
    Named(&'static Type),
    /// A string.
    Text,
    /// A boolean.
    Boolean,
    /// A whole number: its name, the least and the greatest.
    Integer(&'static str, i64, i64),
    /// A number.
    Float,
    /// Any JSON.
    Any,
}

static INTEGERS: [(&str, i64, i64); 6] = [
    ("int32", i32::MIN as i64, i32::MAX as i64),
    ("int64", i64::MIN, i64::MAX),
    ("int", i64::MIN, i64::MAX),
    ("uint8", 0, u8::MAX as i64),
    ("int16", i16::MIN as i64, i16::MAX as i64),
    ("uint32", 0, u32::MAX as i64),
];

impl Go {
    /// Parses a type of a line of the package `alias`.
    pub(super) fn parse(text: &'static str, alias: &'static str) -> Go {
        let parse = |text| Box::new(Go::parse(text, alias));
        if let Some(rest) = text.strip_prefix('*') {
            return Go::Pointer(parse(rest));
        }
        if let Some(rest) = text.strip_prefix("[]") {
            return Go::List(parse(rest));
        }
        if let Some((key, rest)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            let key = if key.is_empty() { Box::new(Go::Text) } else { parse(key) };
            return Go::Map(key, parse(rest));
        }
        if let Some((name, least, greatest)) = INTEGERS.iter().find(|(name, ..)| *name == text) {
            return Go::Integer(name, *least, *greatest);
        }
        match text {
            "string" => Go::Text,
            "bool" => Go::Boolean,
            "float64" => Go::Float,
            "any" | "struct" => Go::Any,
            _ => {
                let (alias, name) = text.rsplit_once('.').unwrap_or((alias, text));
                named(alias, name).map_or(Go::Any, Go::Named)
            }
        }
    }

    /// Its name in Go's errors: `[]v1.Container`.
    pub fn name(&self) -> String {
        match self {
            Go::Pointer(to) => format!("*{}", to.name()),
            Go::List(of) => format!("[]{}", of.name()),
            Go::Map(key, of) => format!("map[{}]{}", key.name(), of.name()),
            Go::Named(of) => format!("{}.{}", of.package, of.name),
            Go::Text => "string".into(),
            Go::Boolean => "bool".into(),
            Go::Integer(name, ..) => (*name).into(),
            Go::Float => "float64".into(),
            Go::Any => "interface {}".into(),
        }
    }

    /// Whether it is a struct, or a type with a JSON form of its own: Go's `omitempty` does not omit those.
    pub fn is_struct(&self) -> bool {
        match self {
            Go::Named(of) => match of.shape() {
                Shape::Struct(_) | Shape::Own(_) => true,
                Shape::Other(other) => other.is_struct(),
            },
            _ => false,
        }
    }

    /// Whether it is a list of bytes: base64 in JSON.
    pub fn is_bytes(&self) -> bool {
        matches!(self, Go::List(of) if matches!(**of, Go::Integer("uint8", ..)))
    }

    /// The type behind pointers and behind the names of types that are no structs.
    pub fn resolved(&self) -> &Go {
        match self {
            Go::Pointer(to) => to.resolved(),
            Go::Named(of) => match of.shape() {
                Shape::Other(other) => other.resolved(),
                _ => self,
            },
            _ => self,
        }
    }

    /// The struct that it is, or points to.
    pub fn structure(&self) -> Option<&'static Type> {
        match self.resolved() {
            Go::Named(of) if matches!(of.shape(), Shape::Struct(_)) => Some(of),
            _ => None,
        }
    }

    /// The struct of its items or entries, or that it is itself.
    pub fn inner_structure(&self) -> Option<&'static Type> {
        match self.resolved() {
            Go::List(of) | Go::Map(_, of) => of.inner_structure(),
            _ => self.structure(),
        }
    }
}
