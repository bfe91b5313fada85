//! Takes the place of kube-apiserver's printers: objects as a `Table`, with the columns of `kubectl get`. Reads rendered
//! objects; must not depend on the store or requests.

mod age;
mod cluster;
mod faults;
mod inert;
mod pods;
mod services;
mod volumes;
mod workloads;

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use crate::schema::field;
use clusterlocal_core::store::{Kind, Time};

pub(crate) use age::since;

/// The object in each row: the query parameter `includeObject`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Include {
    /// The object's metadata.
    #[default]
    Metadata,
    /// The object.
    Object,
    /// Nothing.
    None,
}

impl Include {
    /// Parses `includeObject`; the default is metadata.
    ///
    /// # Errors
    ///
    /// The valid values, for a 400 Bad Request.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" | "Metadata" => Ok(Include::Metadata),
            "Object" => Ok(Include::Object),
            "None" => Ok(Include::None),
            other => Err(format!(
                "unrecognized includeObject value: {other:?}, expected \"None\", \"Metadata\" or \"Object\""
            )),
        }
    }
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The heading: `External-IP`.
    pub name: &'static str,
    /// The description.
    pub description: &'static str,
    /// `string`, `integer` or `boolean`.
    pub cells: &'static str,
    /// Whether it is only shown with `-o wide`.
    pub wide: bool,
}

impl Column {
    /// A column of text.
    pub const fn text(name: &'static str, description: &'static str) -> Self {
        Column { name, description, cells: "string", wide: false }
    }

    /// A column of integers.
    pub const fn number(name: &'static str, description: &'static str) -> Self {
        Column { cells: "integer", ..Column::text(name, description) }
    }

    /// The column, only shown with `-o wide`.
    #[must_use]
    pub const fn wide(self) -> Self {
        Column { wide: true, ..self }
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.cells,
            "format": if self.name == "Name" { "name" } else { "" },
            "description": self.description,
            "priority": i32::from(self.wide),
        })
    }
}

/// The `Table` of `objects`, all of `kind`, at `now`. `metadata` is that of the list, or of the one object.
pub fn table<'a>(
    kind: Kind,
    objects: impl IntoIterator<Item = &'a Value>,
    metadata: Value,
    now: Time,
    include: Include,
) -> Value {
    let rows = objects.into_iter().map(|object| row(kind, object, now, include)).collect();
    of_rows(columns(kind), rows, metadata)
}

/// A `Table` of existing rows.
pub fn of_rows(columns: &[Column], rows: Vec<Value>, metadata: Value) -> Value {
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": columns.iter().map(Column::json).collect::<Vec<_>>(),
        "rows": rows,
    })
}

/// The row of `object`, of `kind`, at `now`.
pub fn row(kind: Kind, object: &Value, now: Time, include: Include) -> Value {
    let mut row = row_of(cells(kind, object, now), object, include);
    let finished = match (kind, field::text(object, "/status/phase")) {
        (Kind::Pod, "Succeeded") => Some(("Succeeded", "The pod has completed successfully.")),
        (Kind::Pod, "Failed") => Some(("Failed", "The pod failed.")),
        _ => None,
    };
    if let Some((reason, message)) = finished {
        row["conditions"] =
            json!([{ "type": "Completed", "status": "True", "reason": reason, "message": message }]);
    }
    row
}

/// A row of existing cells about `object`.
pub fn row_of(cells: Vec<Value>, object: &Value, include: Include) -> Value {
    let object = match include {
        Include::None => return json!({ "cells": cells }),
        Include::Object => object.clone(),
        Include::Metadata => json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": object.get("metadata"),
        }),
    };
    json!({ "cells": cells, "object": object })
}

/// The columns of `kind`, including those of `-o wide`.
pub fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Namespace => cluster::NAMESPACE,
        Kind::Node => cluster::NODE,
        Kind::Event => cluster::EVENT,
        Kind::Service => services::SERVICE,
        Kind::EndpointSlice => services::ENDPOINT_SLICE,
        Kind::Endpoints => services::ENDPOINTS,
        Kind::StatefulSet => workloads::STATEFUL_SET,
        Kind::Deployment => workloads::DEPLOYMENT,
        Kind::ReplicaSet | Kind::ReplicationController => workloads::REPLICA_SET,
        Kind::DaemonSet => workloads::DAEMON_SET,
        Kind::Job => workloads::JOB,
        Kind::CronJob => workloads::CRON_JOB,
        Kind::ControllerRevision => workloads::CONTROLLER_REVISION,
        Kind::Pod => pods::POD,
        Kind::PersistentVolumeClaim => volumes::CLAIM,
        Kind::PersistentVolume => volumes::VOLUME,
        Kind::Fault => faults::FAULT,
        inert => inert::columns(inert),
    }
}

fn cells(kind: Kind, object: &Value, now: Time) -> Vec<Value> {
    match kind {
        Kind::Namespace => cluster::namespace(object, now),
        Kind::Node => cluster::node(object, now),
        Kind::Event => cluster::event(object, now),
        Kind::Service => services::service(object, now),
        Kind::EndpointSlice => services::endpoint_slice(object, now),
        Kind::Endpoints => services::endpoints(object, now),
        Kind::StatefulSet => workloads::stateful_set(object, now),
        Kind::Deployment => workloads::deployment(object, now),
        Kind::ReplicaSet | Kind::ReplicationController => workloads::replica_set(object, now),
        Kind::DaemonSet => workloads::daemon_set(object, now),
        Kind::Job => workloads::job(object, now),
        Kind::CronJob => workloads::cron_job(object, now),
        Kind::ControllerRevision => workloads::controller_revision(object, now),
        Kind::Pod => pods::pod(object, now),
        Kind::PersistentVolumeClaim => volumes::claim(object, now),
        Kind::PersistentVolume => volumes::volume(object, now),
        Kind::Fault => faults::fault(object, now),
        inert => inert::cells(inert, object, now),
    }
}

const NAME: Column = Column::text("Name", "The object's name, unique within its namespace.");
const AGE: Column = Column::text("Age", "The time since the object was created.");
const CONTAINERS: Column = Column::text("Containers", "The names of the template's containers.").wide();
const IMAGES: Column = Column::text("Images", "The images of the template's containers.").wide();
const SELECTOR: Column = Column::text("Selector", "The selector of the pods.").wide();

/// `text`, or `other` if it is empty.
fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}

/// The names, or another field, of `items`, separated by commas.
fn joined(items: &[Value], pointer: &str) -> String {
    items.iter().map(|item| field::text(item, pointer)).collect::<Vec<_>>().join(",")
}

/// The name of `object`.
fn name(object: &Value) -> Value {
    field::text(object, "/metadata/name").into()
}
