//! Takes the place of apimachinery's protobuf serializer, the reading side: client-go's typed clients, and with them
//! parts of kubectl, send the built-in kinds like this and no other way. Answers are JSON, which they all take. It must
//! not know what the objects mean.

#[cfg(test)]
mod tests;
mod wire;

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use super::resource::OWN_GROUP;
use clusterlocal_core::store::Time;
use clusterlocal_core::types::{self, Field, Go, Numbered, Own, Shape, Type};
use wire::{Payload, fields};

pub(crate) use wire::put;

/// How clients call it.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// The deepest nesting of messages. Those of Kubernetes need about 15; only our own table can nest them at all.
const DEPTH: usize = 32;

/// Why a body is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtobufError {
    #[error("the body does not begin as one of Kubernetes does")]
    Magic,
    #[error("the body ends within a field, or is no protobuf")]
    Malformed,
    #[error("kind {0:?} is not known in protobuf; send JSON or YAML")]
    Kind(String),
    #[error("the messages are nested too deeply")]
    Depth,
}

/// The object in `body`, as its JSON.
pub(crate) fn object(body: &[u8]) -> Result<Value, ProtobufError> {
    // runtime.Unknown: the type's name, and the object's bytes.
    let envelope = body.strip_prefix(MAGIC).ok_or(ProtobufError::Magic)?;
    let (mut type_meta, mut raw) = (&[][..], &[][..]);
    for field in fields(envelope) {
        match field? {
            (1, Payload::Bytes(bytes)) => type_meta = bytes,
            (2, Payload::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let (mut api_version, mut kind) = (String::new(), String::new());
    for field in fields(type_meta) {
        match field? {
            (1, Payload::Bytes(bytes)) => api_version = text(bytes),
            (2, Payload::Bytes(bytes)) => kind = text(bytes),
            _ => {}
        }
    }
    let mut object = Map::new();
    let of = type_of(&api_version, &kind).ok_or_else(|| ProtobufError::Kind(kind.clone()))?;
    message(raw, of, &mut object, DEPTH)?;
    object.insert("apiVersion".into(), api_version.into());
    object.insert("kind".into(), kind.into());
    Ok(Value::Object(object))
}

/// The type of a kind that has a form in protobuf.
fn type_of(api_version: &str, kind: &str) -> Option<&'static Type> {
    let is_own = api_version.split('/').next() == Some(OWN_GROUP);
    match kind {
        // It is in every version of every group (`metav1.AddToGroupVersion`).
        "DeleteOptions" => types::named("meta", kind),
        _ => types::of_kind(api_version, kind).filter(|_| !is_own),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Puts the fields of the message in `bytes`, which is of the type `of`, into `object`.
fn message(
    bytes: &[u8],
    of: &'static Type,
    object: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), ProtobufError> {
    let depth = depth.checked_sub(1).ok_or(ProtobufError::Depth)?;
    for field in fields(bytes) {
        let (number, payload) = field?;
        match (of.numbered(number), payload) {
            (None, _) => {}
            (Some(Numbered::Embedded(of)), Payload::Bytes(bytes)) => message(bytes, of, object, depth)?,
            (Some(Numbered::Embedded(_)), _) => return Err(ProtobufError::Malformed),
            (Some(Numbered::Field(field)), payload) => put_field(object, field, payload, depth)?,
        }
    }
    Ok(())
}

/// Puts the value of `field`, or one more of its items or entries, into `object`.
fn put_field(
    object: &mut Map<String, Value>,
    field: &'static Field,
    payload: Payload<'_>,
    depth: usize,
) -> Result<(), ProtobufError> {
    let go = field.go.resolved();
    match (go, payload) {
        (Go::List(of), payload) if !go.is_bytes() => {
            let list = object.entry(field.json).or_insert_with(|| json!([]));
            let list = list.as_array_mut().ok_or(ProtobufError::Malformed)?;
            match (of.resolved(), payload) {
                // Packed: many in one.
                (Go::Integer(..), Payload::Bytes(mut rest)) => {
                    while !rest.is_empty() {
                        list.push(signed(wire::varint(&mut rest)?).into());
                    }
                }
                (of, payload) => list.push(value(payload, of, depth)?.unwrap_or_else(|| zero(of))),
            }
        }
        (Go::Map(_, of), Payload::Bytes(bytes)) => {
            let (mut key, mut entry) = (String::new(), None);
            for part in fields(bytes) {
                match part? {
                    (1, Payload::Bytes(bytes)) => key = text(bytes),
                    (2, payload) => entry = value(payload, of, depth)?,
                    _ => {}
                }
            }
            let map = object.entry(field.json).or_insert_with(|| json!({}));
            map[key] = entry.unwrap_or_else(|| zero(of));
        }
        (go, payload) => {
            let is_pointer = matches!(field.go, Go::Pointer(_));
            let value = value(payload, go, depth)?.or_else(|| is_pointer.then(|| zero(go)));
            if let Some(value) = value.filter(|value| !value.is_null()) {
                object.insert(field.json.into(), value);
            }
        }
    }
    Ok(())
}

/// A single value; `None` where it is Go's zero value.
fn value(payload: Payload<'_>, go: &'static Go, depth: usize) -> Result<Option<Value>, ProtobufError> {
    let go = go.resolved();
    let value = match (go, payload) {
        (go, Payload::Bytes(bytes)) if go.is_bytes() => BASE64.encode(bytes).into(),
        (Go::Named(of), Payload::Bytes(bytes)) => return named(of, bytes, depth),
        (Go::Text, Payload::Bytes(bytes)) => Value::from(text(bytes)),
        (Go::Integer(..), Payload::Varint(number)) => signed(number).into(),
        (Go::Boolean, Payload::Varint(number)) => (number != 0).into(),
        (Go::Float, Payload::Fixed64(bytes)) => f64::from_le_bytes(bytes).into(),
        // A list in a map is a message with the items in its first field.
        (Go::List(of), Payload::Bytes(bytes)) => {
            let mut items = Vec::new();
            for field in fields(bytes) {
                if let (1, payload) = field? {
                    items.push(value(payload, of, depth)?.unwrap_or_else(|| zero(of)));
                }
            }
            items.into()
        }
        _ => return Err(ProtobufError::Malformed),
    };
    Ok(Some(value).filter(|value| *value != zero(go)))
}

/// The message in `bytes`, which is of a type with a name.
fn named(of: &'static Type, bytes: &[u8], depth: usize) -> Result<Option<Value>, ProtobufError> {
    let Shape::Own(own) = *of.shape() else {
        let mut object = Map::new();
        message(bytes, of, &mut object, depth)?;
        // An empty message differs from none: `emptyDir: {}`.
        return Ok(Some(Value::Object(object)));
    };
    Ok(match own {
        Own::Time => {
            let [seconds, _] = numbers(bytes)?;
            seconds.map(|s| Time::from_unix_millis(signed(s).saturating_mul(1000)).to_string().into())
        }
        Own::MicroTime => {
            let [seconds, nanos] = numbers(bytes)?;
            seconds.map(|seconds| micro_time(signed(seconds), nanos.unwrap_or(0)))
        }
        Own::Quantity => Some(string(bytes, 1)?).filter(|text| !text.is_empty()).map(Value::from),
        Own::IntOrString => {
            let [kind, number] = numbers(bytes)?;
            Some(match kind {
                Some(1) => string(bytes, 3)?.into(),
                _ => signed(number.unwrap_or(0)).into(),
            })
            .filter(|value: &Value| *value != 0)
        }
        Own::Raw => serde_json::from_str(&string(bytes, 1)?).ok(),
        Own::SchemaOrBool | Own::SchemaOrArray | Own::SchemaOrStrings => Some(schema_or(own, bytes, depth)?),
    })
}

/// Go's zero value.
fn zero(go: &'static Go) -> Value {
    let go = go.resolved();
    match go {
        go if go.is_bytes() => json!(""),
        Go::Text => json!(""),
        Go::Integer(..) => json!(0),
        Go::Float => json!(0.0),
        Go::Boolean => json!(false),
        Go::List(_) => json!([]),
        Go::Named(of) => match of.shape() {
            Shape::Own(Own::Quantity) => json!(""),
            Shape::Own(Own::IntOrString) => json!(0),
            Shape::Own(Own::Time | Own::MicroTime | Own::Raw) => Value::Null,
            _ => json!({}),
        },
        Go::Map(..) | Go::Pointer(_) | Go::Any => Value::Null,
    }
}

/// A time of `seconds` since 1970 as metav1.MicroTime writes it.
fn micro_time(seconds: i64, nanos: u64) -> Value {
    let whole = Time::from_unix_millis(seconds.saturating_mul(1000)).to_string();
    format!("{}.{:06}Z", whole.trim_end_matches('Z'), nanos / 1000 % 1_000_000).into()
}

/// A JSONSchemaProps, or what may stand in its place: a boolean in field 1 before it, or others in field 2 after it.
fn schema_or(own: Own, bytes: &[u8], depth: usize) -> Result<Value, ProtobufError> {
    let schema = |bytes| match types::named("apiextensions", "JSONSchemaProps") {
        Some(of) => named(of, bytes, depth),
        None => Ok(None),
    };
    let at = if own == Own::SchemaOrBool { 2 } else { 1 };
    let (mut schemas, mut allows) = (Vec::new(), false);
    for field in fields(bytes) {
        match field? {
            (number, Payload::Bytes(bytes)) if number == at => return Ok(schema(bytes)?.unwrap_or_default()),
            (2, Payload::Bytes(bytes)) if own == Own::SchemaOrArray => schemas.extend(schema(bytes)?),
            (1, Payload::Varint(number)) => allows = number != 0,
            _ => {}
        }
    }
    Ok(match own {
        Own::SchemaOrBool => allows.into(),
        Own::SchemaOrArray => schemas.into(),
        _ => strings(bytes, 2)?.into(),
    })
}

/// The strings that are field `number` of a message.
fn strings(bytes: &[u8], number: u32) -> Result<Vec<Value>, ProtobufError> {
    let mut found = Vec::new();
    for field in fields(bytes) {
        if let (at, Payload::Bytes(bytes)) = field?
            && at == number
        {
            found.push(text(bytes).into());
        }
    }
    Ok(found)
}

/// The two numbers at the beginning of a message.
fn numbers(bytes: &[u8]) -> Result<[Option<u64>; 2], ProtobufError> {
    let mut found = [None; 2];
    for field in fields(bytes) {
        if let (at @ 1..=2, Payload::Varint(number)) = field? {
            found[at as usize - 1] = Some(number);
        }
    }
    Ok(found)
}

/// The string that is field `number` of a message.
fn string(bytes: &[u8], number: u32) -> Result<String, ProtobufError> {
    let mut found = String::new();
    for field in fields(bytes) {
        if let (at, Payload::Bytes(bytes)) = field?
            && at == number
        {
            found = text(bytes);
        }
    }
    Ok(found)
}

/// Protobuf writes negative integers as their two's complement.
fn signed(number: u64) -> i64 {
    number as i64
}
