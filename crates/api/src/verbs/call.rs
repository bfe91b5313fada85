//! The input of a verb's handler: the decoded request, and the state that all requests share. Must not depend on handlers.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::HeaderMap;
use tokio::sync::watch as stopping;

use super::show::Presentation;
use super::watch::Journal;
use crate::http::accept::Form;
use crate::http::body;
use crate::http::guard::Guard;
use crate::http::path::Place;
use crate::http::query::Query;
use crate::http::server::Limits;
use clusterlocal_core::Driver;
use clusterlocal_core::queries::QueryLog;
use clusterlocal_core::store::Kind;

/// The state that all requests share.
pub(crate) struct Api {
    pub(crate) driver: Driver,
    pub(crate) journal: Journal,
    /// The query log, if the server keeps one.
    pub(crate) queries: Option<QueryLog>,
    /// The servers that the DNS queries for names outside the cluster.
    pub(crate) upstream: Vec<SocketAddr>,
    pub(crate) address: SocketAddr,
    pub(crate) guard: Guard,
    pub(crate) limits: Limits,
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
