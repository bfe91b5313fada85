//! The types of the API, field by field, from `types.txt`. A type is read when an object first needs it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

static TABLE: &str = include_str!("types.txt");

/// A type that has a name.
pub struct Type {
    /// `PodSpec`.
    pub name: &'static str,
    /// That of its package in the table: `core`, `internal/core`.
    pub alias: &'static str,
    /// That of its package in Go: `v1`.
    pub package: &'static str,
    /// Its entry in the table.
    line: &'static str,
    shape: OnceLock<Shape>,
}

/// What a type is.
pub enum Shape {
    /// Its fields, with those of the structs in it that have no name in JSON, in order.
    Struct(Vec<Field>),
    /// Another type with a name of its own.
    Other(Go),
    /// Something with a JSON of its own.
    Own(Own),
}

/// What has a JSON of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// A time, to the second.
    Time,
    /// A time, to the microsecond.
    MicroTime,
    /// An amount of a resource.
    Quantity,
    /// A number of 32 bits, or a string.
    IntOrString,
    /// Any JSON, as it is.
    Raw,
    /// A JSONSchemaProps, or a boolean.
    SchemaOrBool,
    /// A JSONSchemaProps, or a list of them.
    SchemaOrArray,
    /// A JSONSchemaProps, or a list of strings.
    SchemaOrStrings,
}

/// A field of a struct.
#[derive(Clone)]
pub struct Field {
    /// In protobuf; 0 if it has none.
    pub number: u32,
    /// In JSON.
    pub json: &'static str,
    go_name: Option<&'static str>,
    /// Its type.
    pub go: Go,
    /// Whether JSON leaves it out if it is empty.
    pub omit_empty: bool,
    /// Whether JSON leaves it out if it is the zero value.
    pub omit_zero: bool,
    /// `STRATEGY[:KEY]` of a strategic merge patch; empty if it has none.
    pub patch: &'static str,
    /// The structs between this one and the one that has the field.
    pub within: Vec<&'static str>,
}

impl Field {
    /// Its name in Go: `TTY`.
    pub fn go_name(&self) -> Cow<'static, str> {
        self.go_name.map_or_else(
            || {
                let mut name = self.json.to_owned();
                name[..1].make_ascii_uppercase();
                name.into()
            },
            Cow::from,
        )
    }
}

/// A type, as Go writes it.
#[derive(Clone)]
pub enum Go {
    /// Something, or nothing.
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
    /// Reads a type of a line of the package `alias`.
    fn parse(text: &'static str, alias: &'static str) -> Go {
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

    /// Whether it is a struct, or something with a JSON of its own: Go's `omitempty` does not omit those.
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
}

impl Type {
    /// What it is.
    pub fn shape(&'static self) -> &'static Shape {
        self.shape.get_or_init(|| self.parse())
    }

    /// Its fields; none if it is no struct.
    pub fn fields(&'static self) -> &'static [Field] {
        match self.shape() {
            Shape::Struct(fields) => fields,
            _ => &[],
        }
    }

    fn parse(&self) -> Shape {
        let Some(line) = self.line.strip_prefix(':') else {
            let other = self.line.trim_start_matches(" = ");
            return match other {
                "@time" => Shape::Own(Own::Time),
                "@microtime" => Shape::Own(Own::MicroTime),
                "@quantity" => Shape::Own(Own::Quantity),
                "@intorstring" => Shape::Own(Own::IntOrString),
                "@jsonschemapropsorbool" => Shape::Own(Own::SchemaOrBool),
                "@jsonschemapropsorarray" => Shape::Own(Own::SchemaOrArray),
                "@jsonschemapropsorstringarray" => Shape::Own(Own::SchemaOrStrings),
                own if own.starts_with('@') => Shape::Own(Own::Raw),
                other => Shape::Other(Go::parse(other, self.alias)),
            };
        };
        let mut fields: Vec<Field> = Vec::new();
        let mut promoted: Vec<(usize, Field)> = Vec::new();
        for text in line.split(", ").map(str::trim).filter(|text| !text.is_empty()) {
            let mut words = text.split(' ').peekable();
            let number = words.peek().and_then(|word| word.parse().ok());
            if number.is_some() {
                words.next();
            }
            let (Some(name), Some(go)) = (words.next(), words.next()) else { continue };
            let go = Go::parse(go, self.alias);
            let options: Vec<&'static str> = words.collect();
            let (json, go_name) = name.split_once('=').map_or((name, None), |(json, go)| (json, Some(go)));
            match (json, &go) {
                ("^", Go::Named(of)) => {
                    for field in of.fields() {
                        let mut field = field.clone();
                        field.within.insert(0, of.name);
                        promoted.push((fields.len() + promoted.len(), field));
                    }
                }
                ("-" | "^", _) => {}
                _ => fields.push(Field {
                    number: number.unwrap_or(0),
                    json,
                    go_name,
                    go,
                    omit_empty: options.contains(&"?"),
                    omit_zero: options.contains(&"0"),
                    patch: options.iter().find_map(|option| option.strip_prefix('~')).unwrap_or(""),
                    within: Vec::new(),
                }),
            }
        }
        // A field hides those of the same name that lie deeper.
        let own: Vec<&str> = fields.iter().map(|field| field.json).collect();
        promoted.retain(|(_, field)| !own.contains(&field.json));
        for (at, field) in promoted {
            fields.insert(at.min(fields.len()), field);
        }
        Shape::Struct(fields)
    }
}

type ByTwo<T> = HashMap<&'static str, HashMap<&'static str, T>>;

/// The types by package and name, and those of the kinds by apiVersion and kind: the one that clients send and the one of the
/// API server.
struct Table {
    types: ByTwo<Type>,
    kinds: ByTwo<[Option<&'static str>; 2]>,
}

static TYPES: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table { types: HashMap::new(), kinds: HashMap::new() };
    let (mut alias, mut package) = ("", "");
    for line in TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(rest) = line.strip_prefix("kind ") {
            let words: Vec<&'static str> = rest.split(' ').collect();
            if let [version, kind, types @ ..] = &words[..] {
                table
                    .kinds
                    .entry(version)
                    .or_default()
                    .insert(kind, [types.first().copied(), types.get(1).copied()]);
            }
        } else if let Some(rest) = line.strip_prefix("package ") {
            (alias, package) = rest.split_once(' ').unwrap_or((rest, rest));
        } else {
            let end = line.find([':', ' ']).unwrap_or(line.len());
            let (name, line) = line.split_at(end);
            table
                .types
                .entry(alias)
                .or_default()
                .insert(name, Type { name, alias, package, line, shape: OnceLock::new() });
        }
    }
    table
});

/// The type `name` of the package `alias`.
pub fn named(alias: &str, name: &str) -> Option<&'static Type> {
    TYPES.types.get(alias)?.get(name)
}

/// The type of a kind.
pub fn of_kind(api_version: &str, kind: &str) -> Option<&'static Type> {
    let [sent, _] = TYPES.kinds.get(api_version)?.get(kind)?;
    let (alias, name) = (*sent)?.rsplit_once('.')?;
    named(alias, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_table_is_read() {
        for of in TYPES.types.values().flat_map(HashMap::values) {
            for field in of.fields() {
                let known =
                    !matches!(field.go, Go::Any) || of.line.contains(" any") || of.line.contains(" struct");
                assert!(known, "{}.{}: {}", of.alias, of.name, field.json);
            }
        }
        assert!(of_kind("v1", "Pod").is_some_and(|pod| pod.fields().len() == 5));
    }
}
