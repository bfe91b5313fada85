//! The input of a verb's handler: the decoded request, and the state that all requests share. Must not depend on handlers.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::HeaderMap;
use serde_json::Value;
use tokio::sync::watch as stopping;

use super::journal::Journal;
use super::show::Presentation;
use crate::http::accept::Form;
use crate::http::body;
use crate::http::guard::Guard;
use crate::http::path::Place;
use crate::http::query::Query;
use crate::http::server::Limits;
use clusterlocal_core::Driver;
use clusterlocal_core::queries::QueryLog;
use clusterlocal_core::store::Kind;

/// The verbs of a test fixture, by their paths below `/fixture/`: `pod/restart`. A verb takes a JSON object and returns one.
pub type Fixture = Arc<dyn Fn(String, Value) -> FixtureReply + Send + Sync>;

/// The reply of a fixture's verb, when it is done.
pub type FixtureReply = Pin<Box<dyn Future<Output = Result<Value, FixtureError>> + Send>>;

/// Why a verb of a fixture failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FixtureError {
    /// There is no such verb.
    Unknown,
    /// The object does not exist.
    Missing(String),
    /// The arguments, or the objects, are invalid.
    Refused(String),
    /// The state was not reached in time.
    Timeout(String),
}

/// The state that all requests share.
pub(crate) struct Api {
    pub(crate) driver: Driver,
    /// The verbs below `/fixture/`, if the server has them.
    pub(crate) fixture: Option<Fixture>,
    pub(crate) journal: Journal,
    /// The query log, if the server keeps one.
    pub(crate) queries: Option<QueryLog>,
    /// The servers that the DNS queries for names outside the cluster.
    pub(crate) upstream: Vec<SocketAddr>,
    pub(crate) address: SocketAddr,
    pub(crate) guard: Guard,
    pub(crate) limits: Limits,
    /// The kubelets, if pods run.
    #[cfg(feature = "connect")]
    pub(crate) kubelet: Option<std::sync::Arc<dyn crate::kubelet::Kubelet>>,
    /// Watches end when the server does.
    pub(crate) stop: stopping::Receiver<bool>,
}

/// A request for objects, with its headers and body.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) place: Place,
    pub(crate) query: Query,
    pub(crate) form: Form,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Warnings for the client.
    pub(crate) warnings: Mutex<Vec<String>>,
}

impl Call {
    /// Adds warnings to the answer.
    pub(crate) fn warn(&self, warnings: Vec<String>) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).extend(warnings);
    }

    /// Whether it is a server-side apply.
    pub(crate) fn is_apply(&self) -> bool {
        self.method == Method::PATCH
            && matches!(body::PatchType::of(&self.headers), Ok(body::PatchType::Apply))
    }

    /// The form of objects of `kind`, the kind of the place.
    pub(crate) fn presentation(&self, kind: Kind) -> Presentation {
        Presentation {
            kind,
            resource: self.place.resource,
            form: self.form,
            include: self.query.include_object,
        }
    }
}
