//! Has no counterpart in Kubernetes: the group `clusterlocal.dev/v1` and the paths below `/dns` and `/fixture`. `changes` has
//! the visible changes of the DNS with their causes, `queries` the queries that were received; `clocks` has the one clock,
//! `cluster`. Faults are ordinary objects of the store. Must not depend on the effects of time.

mod changes;
mod clocks;
pub(crate) mod dns;
mod expectation;
pub(crate) mod faults;
pub(crate) mod fixture;
mod follow;
pub(crate) mod partitions;
mod queries;
mod selection;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::http::accept::Form;
use crate::http::path::Part;
use crate::http::reply::Reply;
use crate::verbs::call::Call;
use crate::verbs::show;
use crate::view::table::{self, Column};

pub(crate) use changes::changes;
pub(crate) use clocks::clock;
pub(crate) use expectation::expected;
pub(crate) use queries::queries;

/// The columns of a kind in a table.
struct Columns {
    columns: &'static [Column],
    cells: fn(&Value) -> Vec<Value>,
}

impl Columns {
    /// The table of `objects`, in the form that `call` requests.
    fn table(&self, objects: &[Value], metadata: Value, call: &Call) -> Value {
        let row = |object: &Value| table::row_of((self.cells)(object), object, call.query.include_object);
        table::of_rows(self.columns, objects.iter().map(row).collect(), metadata)
    }
}

fn is_get(call: &Call) -> bool {
    matches!(call.method, Method::GET | Method::HEAD) && call.place.part == Part::Whole
}

/// The metadata of a list as of `revision`.
fn revision(revision: u64) -> Value {
    json!({ "resourceVersion": revision.to_string() })
}

/// `objects` in a list with this metadata, or the named one, in the requested form.
fn reply(call: &Call, objects: Vec<Value>, metadata: Value, columns: &Columns) -> Reply {
    let resource = call.place.resource;
    let shown = match call.form {
        Form::Table => columns.table(&objects, metadata, call),
        form => {
            let mut objects: Vec<Value> = objects.into_iter().map(|object| of_form(object, form)).collect();
            if call.place.name.is_empty() {
                json!({
                    "apiVersion": resource.api_version(),
                    "kind": format!("{}List", resource.kind),
                    "metadata": metadata,
                    "items": objects,
                })
            } else {
                objects.pop().unwrap_or_default()
            }
        }
    };
    Reply::json(StatusCode::OK, &shown)
}

/// An object in a form other than a table.
fn of_form(object: Value, form: Form) -> Value {
    match form {
        Form::Metadata => show::metadata_only(&object),
        _ => object,
    }
}
