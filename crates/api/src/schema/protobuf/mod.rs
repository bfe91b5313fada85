//! Takes the place of apimachinery's protobuf serializer, the reading side: client-go's typed clients, and with them
//! parts of kubectl, send the built-in kinds like this and no other way. Answers are JSON, which they all take. It must
//! not know what the objects mean.

mod wire;

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use super::types::{self, Alternative, Field, Shape, Type};
use clusterlocal_core::store::Time;
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
    let known = types::of(&api_version, &kind).ok_or_else(|| ProtobufError::Kind(kind.clone()))?;
    message(raw, known, &mut object, DEPTH)?;
    object.insert("apiVersion".into(), api_version.into());
    object.insert("kind".into(), kind.into());
    Ok(Value::Object(object))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Puts the fields of the message in `bytes` into `object`.
fn message(
    bytes: &[u8],
    known: &[Field],
    object: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), ProtobufError> {
    let depth = depth.checked_sub(1).ok_or(ProtobufError::Depth)?;
    for field in fields(bytes) {
        let (number, payload) = field?;
        let Some(field) = known.iter().find(|field| field.number == number) else { continue };
        match (field.shape, payload) {
            (Shape::Inline, Payload::Bytes(bytes)) => {
                if let Some(known) = field.kind.fields() {
                    message(bytes, known, object, depth)?;
                }
            }
            (Shape::List, Payload::Bytes(bytes)) if field.kind == Type::Integer => {
                // Packed: many in one.
                let list = list(object, field.name);
                let mut rest = bytes;
                while !rest.is_empty() {
                    list.push(signed(wire::varint(&mut rest)?).into());
                }
            }
            (Shape::List, payload) => {
                let item = value(payload, field.kind, depth)?.unwrap_or_else(|| field.kind.zero());
                list(object, field.name).push(item);
            }
            (Shape::Map, Payload::Bytes(bytes)) => {
                let (mut key, mut item) = (String::new(), None);
                for part in fields(bytes) {
                    match part? {
                        (1, Payload::Bytes(bytes)) => key = text(bytes),
                        (2, payload) => item = value(payload, field.kind, depth)?,
                        _ => {}
                    }
                }
                let map = object.entry(field.name).or_insert_with(|| json!({}));
                map[key] = item.unwrap_or_else(|| field.kind.zero());
            }
            (Shape::One { zero_counts }, payload) => match value(payload, field.kind, depth)? {
                Some(value) => drop(object.insert(field.name.into(), value)),
                None if zero_counts => drop(object.insert(field.name.into(), field.kind.zero())),
                None => {}
            },
            _ => return Err(ProtobufError::Malformed),
        }
    }
    Ok(())
}

/// The list that is, or is to be, the field `name`.
fn list<'o>(object: &'o mut Map<String, Value>, name: &str) -> &'o mut Vec<Value> {
    let list = object.entry(name).or_insert_with(|| json!([]));
    list.as_array_mut().expect("the table gives each field one shape")
}

/// A single value; nothing where it is Go's zero.
fn value(payload: Payload<'_>, kind: Type, depth: usize) -> Result<Option<Value>, ProtobufError> {
    let value = match (kind, payload) {
        (Type::String, Payload::Bytes(bytes)) => Value::from(text(bytes)),
        (Type::Bytes, Payload::Bytes(bytes)) => BASE64.encode(bytes).into(),
        (Type::Integer, Payload::Varint(number)) => signed(number).into(),
        (Type::Boolean, Payload::Varint(number)) => (number != 0).into(),
        (Type::Named(_), Payload::Bytes(bytes)) => {
            let mut object = Map::new();
            if let Some(known) = kind.fields() {
                message(bytes, known, &mut object, depth)?;
            }
            // That it is there says something: `emptyDir: {}`.
            return Ok(Some(Value::Object(object)));
        }
        (Type::Time, Payload::Bytes(bytes)) => {
            let [seconds, _] = numbers(bytes)?;
            return Ok(
                seconds.map(|s| Time::from_unix_millis(signed(s).saturating_mul(1000)).to_string().into())
            );
        }
        (Type::MicroTime, Payload::Bytes(bytes)) => {
            let [seconds, nanos] = numbers(bytes)?;
            return Ok(seconds.map(|seconds| micro_time(signed(seconds), nanos.unwrap_or(0))));
        }
        (Type::Duration, Payload::Bytes(bytes)) => {
            let [nanos, _] = numbers(bytes)?;
            let seconds = signed(nanos.unwrap_or(0)) as f64 / 1e9;
            return Ok(Some(format!("{seconds}s").into()));
        }
        (Type::Float, Payload::Fixed64(bytes)) => f64::from_le_bytes(bytes).into(),
        (Type::Object, Payload::Bytes(_)) => return Ok(Some(json!({}))),
        (Type::Strings, Payload::Bytes(bytes)) => strings(bytes, 1)?.into(),
        (Type::SchemaOr(other), Payload::Bytes(bytes)) => return schema_or(other, bytes, depth).map(Some),
        (Type::Quantity, Payload::Bytes(bytes)) => string(bytes, 1)?.into(),
        (Type::IntOrString, Payload::Bytes(bytes)) => {
            let [kind, number] = numbers(bytes)?;
            match kind {
                Some(1) => string(bytes, 3)?.into(),
                _ => signed(number.unwrap_or(0)).into(),
            }
        }
        (Type::Raw, Payload::Bytes(bytes)) => {
            let raw = string(bytes, 1)?;
            serde_json::from_str(&raw).unwrap_or_default()
        }
        _ => return Err(ProtobufError::Malformed),
    };
    Ok(Some(value).filter(|value| *value != kind.zero()))
}

/// A time of `seconds` since 1970 as metav1.MicroTime writes it.
fn micro_time(seconds: i64, nanos: u64) -> Value {
    let whole = Time::from_unix_millis(seconds.saturating_mul(1000)).to_string();
    format!("{}.{:06}Z", whole.trim_end_matches('Z'), nanos / 1000 % 1_000_000).into()
}

/// A JSONSchemaProps, or what may stand in its place: a boolean in field 1 before it, or others in field 2 after it.
fn schema_or(other: Alternative, bytes: &[u8], depth: usize) -> Result<Value, ProtobufError> {
    let at = if other == Alternative::Boolean { 2 } else { 1 };
    let (mut schemas, mut allows) = (Vec::new(), false);
    for field in fields(bytes) {
        match field? {
            (number, payload @ Payload::Bytes(_)) if number == at => {
                return Ok(value(payload, Type::Named("JSONSchemaProps"), depth)?.unwrap_or_default());
            }
            (2, payload @ Payload::Bytes(_)) if other == Alternative::Schemas => {
                schemas.extend(value(payload, Type::Named("JSONSchemaProps"), depth)?);
            }
            (1, Payload::Varint(number)) => allows = number != 0,
            _ => {}
        }
    }
    Ok(match other {
        Alternative::Boolean => allows.into(),
        Alternative::Schemas => schemas.into(),
        Alternative::Strings => strings(bytes, 2)?.into(),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message of these fields.
    fn of(fields: &[(u32, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        fields.iter().for_each(|(number, bytes)| put(&mut out, *number, bytes));
        out
    }

    /// A body as clients send it.
    fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let type_meta = of(&[(1, api_version.as_bytes()), (2, kind.as_bytes())]);
        [MAGIC, &of(&[(1, &type_meta), (2, raw)])].concat()
    }

    #[test]
    fn go_zeros_are_left_out_unless_they_mean_something() {
        let labels = of(&[(1, b"app"), (2, b"db")]);
        let empty_value = of(&[(1, b"x")]);
        let metadata = of(&[(1, b"web"), (5, b""), (8, b""), (11, &labels), (11, &empty_value)]);
        // {type: Int, intVal: 0, strVal: ""}, and {type: String, intVal: 0, strVal: "25%"}.
        let zero = b"\x08\x00\x10\x00\x1a\x00";
        let percent = b"\x08\x01\x10\x00\x1a\x0325%";
        let rolling = of(&[(1, zero), (2, percent)]);
        let volume = of(&[(1, b"scratch"), (2, &of(&[(2, b"")]))]);
        let limits = of(&[(1, b"cpu"), (2, &of(&[(1, b"500m")]))]);
        let port = b"\x0a\x00\x10\x00\x18\x50\x22\x03TCP\x2a\x00";
        let container = of(&[(1, b"c"), (3, b"sleep"), (3, b""), (6, port), (8, &of(&[(1, &limits)]))]);
        let pod = of(&[(1, &volume), (2, &container)]);
        let template = of(&[(1, b""), (2, &pod)]);
        // replicas: 0, minReadySeconds: 0.
        let spec = [&b"\x08\x00\x28\x00"[..], &of(&[(3, &template), (4, &of(&[(2, &rolling)]))])].concat();
        let raw = of(&[(1, &metadata), (2, &spec), (3, b"")]);
        let expected = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": "web", "labels": { "app": "db", "x": "" } },
            "spec": {
                "replicas": 0,
                "strategy": { "rollingUpdate": { "maxUnavailable": 0, "maxSurge": "25%" } },
                "template": {
                    "metadata": {},
                    "spec": {
                        "volumes": [{ "name": "scratch", "emptyDir": {} }],
                        "containers": [{
                            "name": "c",
                            "command": ["sleep", ""],
                            "ports": [{ "containerPort": 80, "protocol": "TCP" }],
                            "resources": { "limits": { "cpu": "500m" } },
                        }],
                    },
                },
            },
            "status": {},
        });
        assert_eq!(object(&body("apps/v1", "Deployment", &raw)), Ok(expected));
    }

    #[test]
    fn bytes_are_base64() {
        let data = of(&[(1, b"password"), (2, b"\xff\x00\xfe")]);
        let secret = object(&body("v1", "Secret", &of(&[(2, &data)])));
        assert_eq!(secret.unwrap()["data"], json!({ "password": "/wD+" }));
    }

    #[test]
    fn schemas_of_custom_resources() {
        let leaf = of(&[(5, b"integer")]);
        let root = [
            // additionalProperties: a schema, items: two, default, maximum 2.5, enum, a nested property.
            of(&[(5, b"object"), (30, &of(&[(2, &leaf)])), (24, &of(&[(2, &leaf), (2, &leaf)]))]),
            of(&[(8, &of(&[(1, b"{\"a\":1}")])), (20, &of(&[(1, b"3")]))]),
            [&[9 << 3 | 1][..], &2.5f64.to_le_bytes()].concat(),
            of(&[(29, &of(&[(1, b"spec"), (2, &leaf)])), (33, b"\x08\x01")]),
        ]
        .concat();
        let version = of(&[(1, b"v1"), (4, &of(&[(1, &root)])), (5, &of(&[(1, b"")]))]);
        let raw = of(&[(2, &of(&[(7, &version)]))]);
        let read = object(&body("apiextensions.k8s.io/v1", "CustomResourceDefinition", &raw)).unwrap();
        let leaf = json!({ "type": "integer" });
        let schema = json!({
            "type": "object",
            "additionalProperties": leaf,
            "items": [leaf, leaf],
            "default": { "a": 1 },
            "enum": [3],
            "maximum": 2.5,
            "properties": { "spec": leaf },
            "additionalItems": true,
        });
        let version = &read["spec"]["versions"][0];
        assert_eq!(version["schema"]["openAPIV3Schema"], schema);
        assert_eq!(version["subresources"]["status"], json!({}));
        let micro = of(&[(2, b"\x08\x80\xe2\xcf\xaa\x06\x10\xb9\x60")]);
        let event = object(&body("events.k8s.io/v1", "Event", &micro));
        assert_eq!(event.unwrap()["eventTime"], "2023-11-14T22:13:20.000012Z");
    }

    #[test]
    fn times_and_fields_of_tomorrow() {
        let metadata = of(&[(9, b"\x08\x80\xe2\xcf\xaa\x06\x10\x00"), (10_000, b"whatever")]);
        let read = object(&body("v1", "Pod", &of(&[(1, &metadata)])));
        assert_eq!(read.unwrap()["metadata"], json!({ "deletionTimestamp": "2023-11-14T22:13:20Z" }));
    }

    #[test]
    fn what_is_none_is_refused() {
        assert_eq!(object(b"{}"), Err(ProtobufError::Magic));
        assert_eq!(object(&body("v1", "Ring", b"")), Err(ProtobufError::Kind("Ring".into())));
        assert_eq!(object(&body("v1", "Pod", b"\x0a\x05")), Err(ProtobufError::Malformed));
        // A number where a message should be.
        assert_eq!(object(&body("v1", "Pod", b"\x08\x01")), Err(ProtobufError::Malformed));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
            for kind in ["Pod", "Deployment", "Service", "EndpointSlice", "Event", "ControllerRevision"] {
                _ = object(&body("v1", kind, &raw));
            }
            _ = object(&[MAGIC, &raw].concat());
        }
    }
}
