//! Takes the place of `k8s.io/api`: the types of the API, field by field, with what protobuf, patches and OpenAPI need to know of
//! them. `kubernetes.txt` is generated from Kubernetes' own types, `own.txt` has the kinds of clusterlocal. A type is parsed when
//! it is first needed. Must not depend on objects.

mod field;
mod go;
mod table;

use std::sync::OnceLock;

pub use self::field::{Field, ListType, PatchMerge};
pub use self::go::Go;
use self::table::{Line, Member};
pub use self::table::{named, of_kind};

/// A type that has a name.
#[derive(Debug)]
pub struct Type {
    /// `PodSpec`.
    pub name: &'static str,
    /// The name of its package in the table: `core`, `internal/core`.
    pub alias: &'static str,
    /// The name of its package in Go: `v1`.
    pub package: &'static str,
    /// Its definition in the table.
    line: &'static str,
    shape: OnceLock<Shape>,
}

/// What a type is made of.
#[derive(Debug)]
pub enum Shape {
    /// Its fields, in order, with those of the structs in it that have no name in JSON.
    Struct(Vec<Field>),
    /// Another type with a name of its own.
    Other(Go),
    /// A type with a JSON form of its own.
    Own(Own),
}

/// The types with a JSON form of their own.
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
    /// Any JSON, unchanged.
    Raw,
    /// A JSONSchemaProps, or a boolean.
    SchemaOrBool,
    /// A JSONSchemaProps, or a list of them.
    SchemaOrArray,
    /// A JSONSchemaProps, or a list of strings.
    SchemaOrStrings,
}

/// The field of a message in protobuf.
#[derive(Clone, Copy, Debug)]
pub enum Numbered {
    /// A field.
    Field(&'static Field),
    /// A struct whose fields stand beside the others in JSON.
    Embedded(&'static Type),
}

impl Type {
    /// Its shape.
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

    /// Its field with this name in JSON.
    pub fn field(&'static self, json: &str) -> Option<&'static Field> {
        self.fields().iter().find(|field| field.json == json)
    }

    /// Its field with this number in protobuf.
    pub fn numbered(&'static self, number: u32) -> Option<Numbered> {
        let is_it = |field: &&Field| field.number == number && field.within.is_empty();
        if number == 0 {
            return None;
        }
        self.fields().iter().find(is_it).map(Numbered::Field).or_else(|| {
            let mut members = self.definition().members();
            let embedded = members.find(|member| member.is_embedded() && member.number == number)?;
            Go::parse(embedded.go, self.alias).structure().map(Numbered::Embedded)
        })
    }

    /// Whether an apply replaces it whole (`x-kubernetes-map-type: atomic`).
    pub fn is_atomic(&self) -> bool {
        self.definition().atomic
    }

    /// Its name in the published OpenAPI documents: `io.k8s.api.core.v1.PodSpec`.
    pub fn published_name(&self) -> String {
        let package = match self.alias {
            "meta" => "io.k8s.apimachinery.pkg.apis.meta.v1".into(),
            "apiextensions" => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1".into(),
            "apiregistration" => "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1".into(),
            "clusterlocal" => "dev.clusterlocal.v1".into(),
            alias => {
                let group = alias.split('/').next().unwrap_or(alias);
                format!("io.k8s.api.{group}.{}", self.package)
            }
        };
        format!("{package}.{}", self.name)
    }

    fn definition(&self) -> Line {
        Line::parse(self.line)
    }

    fn parse(&self) -> Shape {
        let line = self.definition();
        if let Some(other) = line.other {
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
        }
        let mut fields: Vec<Field> = Vec::new();
        let mut promoted: Vec<(usize, Field)> = Vec::new();
        for member in line.members() {
            match (member.is_embedded(), Go::parse(member.go, self.alias)) {
                (true, Go::Named(of)) => {
                    for field in of.fields() {
                        let mut field = field.clone();
                        field.within.insert(0, of.name);
                        promoted.push((fields.len() + promoted.len(), field));
                    }
                }
                (false, go) if member.name != "-" => fields.push(Field::new(&member, go)),
                _ => {}
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
