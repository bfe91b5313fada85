//! The types of Kubernetes' API, field by field, from `schema.txt`: what there is to read from protobuf, and what is no
//! field. It must not know objects.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

/// A field of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) number: u32,
    /// In JSON.
    pub(crate) name: &'static str,
    pub(crate) kind: Type,
    pub(crate) shape: Shape,
}

/// How many values a field has, and where they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    One {
        /// Whether zero means something.
        zero_counts: bool,
    },
    List,
    /// By strings.
    Map,
    /// One value of another type, whose fields stand beside the others.
    Inline,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    String,
    Integer,
    Float,
    Boolean,
    /// In JSON, base64.
    Bytes,
    /// Another type of the table.
    Named(&'static str),
    Time,
    /// With microseconds.
    MicroTime,
    /// In JSON, as Go writes it: `1m30s`.
    Duration,
    Quantity,
    IntOrString,
    /// JSON as bytes.
    Raw,
    /// A list of strings in a message.
    Strings,
    /// An object without fields, whose presence says something.
    Object,
    /// A JSONSchemaProps or something else.
    SchemaOr(Alternative),
}

/// What stands where a schema could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alternative {
    /// `additionalProperties: false`.
    Boolean,
    /// `items: [{…}, {…}]`.
    Schemas,
    /// `dependencies: {a: [b]}`.
    Strings,
}

impl Type {
    /// The fields of the type that it is.
    pub(crate) fn fields(self) -> Option<&'static [Field]> {
        match self {
            Type::Named(name) => fields(name),
            _ => None,
        }
    }

    /// What Go has where nothing is said.
    pub(crate) fn zero(self) -> Value {
        match self {
            Type::String | Type::Bytes | Type::Quantity => json!(""),
            Type::Integer | Type::IntOrString => json!(0),
            Type::Float => json!(0.0),
            Type::Boolean => json!(false),
            Type::Named(_) | Type::Object | Type::SchemaOr(_) => json!({}),
            Type::Strings => json!([]),
            Type::Time | Type::MicroTime | Type::Duration | Type::Raw => Value::Null,
        }
    }

    fn parse(text: &'static str) -> Type {
        match text {
            "s" => Type::String,
            "i" => Type::Integer,
            "b" => Type::Boolean,
            "y" => Type::Bytes,
            "f" => Type::Float,
            "@microtime" => Type::MicroTime,
            "@duration" => Type::Duration,
            "@strings" => Type::Strings,
            "@object" => Type::Object,
            "@schemaorbool" => Type::SchemaOr(Alternative::Boolean),
            "@schemaorarray" => Type::SchemaOr(Alternative::Schemas),
            "@schemaorstrings" => Type::SchemaOr(Alternative::Strings),
            "@time" => Type::Time,
            "@quantity" => Type::Quantity,
            "@intorstring" => Type::IntOrString,
            "@raw" => Type::Raw,
            named => Type::Named(named),
        }
    }
}

static TYPES: LazyLock<HashMap<&'static str, Vec<Field>>> = LazyLock::new(|| {
    let lines = include_str!("schema.txt").lines().filter(|line| !line.starts_with('#'));
    let mut types = HashMap::new();
    let mut current: &mut Vec<Field> = &mut Vec::new();
    for line in lines {
        let told = match line.split_once(": ") {
            Some((name, told)) => {
                current = types.entry(name).or_default();
                told
            }
            None => line,
        };
        current.extend(told.split(',').filter_map(field));
    }
    types
});

/// `NUMBER NAME TYPE`
fn field(text: &'static str) -> Option<Field> {
    let mut words = text.split_whitespace();
    let (number, name, kind) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
    let (shape, kind) = match (name, kind.split_at_checked(2), kind.strip_suffix('?')) {
        ("*", ..) => (Shape::Inline, kind),
        (_, Some(("[]", kind)), _) => (Shape::List, kind),
        (_, Some(("{}", kind)), _) => (Shape::Map, kind),
        (.., Some(kind)) => (Shape::One { zero_counts: true }, kind),
        _ => (Shape::One { zero_counts: false }, kind),
    };
    Some(Field { number, name, kind: Type::parse(kind), shape })
}

/// The fields of the type called `name`.
pub(crate) fn fields(name: &str) -> Option<&'static [Field]> {
    TYPES.get(name).map(Vec::as_slice)
}

/// The fields of the kind `kind` of `api_version`, if it is one of Kubernetes' or ours. Where two groups have a type of one
/// name, the table has the second under its group's: `events.Event`.
pub(crate) fn of(api_version: &str, kind: &str) -> Option<&'static [Field]> {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let group = group.split('.').next().unwrap_or_default();
    let of_group = || fields(&format!("{group}.{kind}")).filter(|_| version == "v1" && !group.is_empty());
    of_group().or_else(|| fields(kind))
}

/// The one of `fields` that is called `name` in JSON.
pub(crate) fn named(fields: &'static [Field], name: &str) -> Option<&'static Field> {
    let inside = || {
        let inline = fields.iter().filter(|field| field.shape == Shape::Inline);
        inline.filter_map(|field| field.kind.fields()).find_map(|fields| named(fields, name))
    };
    fields.iter().find(|field| field.name == name && field.shape != Shape::Inline).or_else(inside)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::schema::registry::Registry;
    use crate::schema::resource::Held;
    use clusterlocal_core::store::Kind;

    #[test]
    fn the_table_is_whole() {
        for (name, fields) in TYPES.iter() {
            let numbered = fields.iter().filter(|field| field.number > 0);
            let numbers: HashSet<u32> = numbered.clone().map(|field| field.number).collect();
            assert!(numbers.len() == numbered.count() && !fields.is_empty(), "{name}");
            let names: HashSet<&str> = fields.iter().map(|field| field.name).collect();
            assert_eq!(names.len(), fields.len(), "{name}");
            for field in fields {
                assert!(
                    !matches!(field.kind, Type::Named(_)) || field.kind.fields().is_some(),
                    "{name} {field:?}"
                );
            }
        }
        let commas = include_str!("schema.txt").lines().filter(|line| !line.starts_with('#'));
        let entries: usize =
            commas.map(|line| line.split(',').filter(|part| !part.trim().is_empty()).count()).sum();
        assert_eq!(
            TYPES.values().map(Vec::len).sum::<usize>(),
            entries,
            "a field of the table cannot be read"
        );
        for resource in Registry::built_in().all() {
            if matches!(resource.held, Held::Store(_) | Held::Answered) {
                assert!(of(&resource.api_version(), resource.kind).is_some(), "{resource:?}");
            }
        }
        for kind in Kind::ALL.into_iter().map(Kind::as_str).chain(["DeleteOptions", "Eviction", "Scale"]) {
            assert!(fields(kind).is_some(), "{kind}");
        }
    }
}
