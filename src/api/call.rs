//! What the handler of a verb is given: the decoded request, and what all requests share. Must not depend on handlers.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::HeaderMap;
use tokio::sync::watch as stopping;

use super::accept::Form;
use super::body;
use super::guard::Guard;
use super::http::Limits;
use super::path::Place;
use super::query::Query;
use super::show::Presentation;
use super::watch::Journal;
use crate::Driver;
use crate::queries::QueryLog;
use crate::store::Kind;

/// What all requests share.
pub(super) struct Api {
    pub(super) driver: Driver,
    pub(super) journal: Journal,
    /// What was asked, if it is written down.
    pub(super) queries: Option<QueryLog>,
    /// The servers that the DNS asks for names outside the cluster.
    pub(super) upstream: Vec<SocketAddr>,
    pub(super) address: SocketAddr,
    pub(super) guard: Guard,
    pub(super) limits: Limits,
    /// Watches end when the server does.
    pub(super) stop: stopping::Receiver<bool>,
}

/// A request for objects, with everything that came with it.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) place: Place,
    pub(super) query: Query,
    pub(super) form: Form,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// What the client is warned of.
    pub(super) warnings: Mutex<Vec<String>>,
}

impl Call {
    /// Warns the client of `told`.
    pub(super) fn warn(&self, told: Vec<String>) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).extend(told);
    }

    /// Whether it is a server-side apply.
    pub(super) fn is_apply(&self) -> bool {
        self.method == Method::PATCH
            && matches!(body::PatchType::of(&self.headers), Ok(body::PatchType::Apply))
    }

    /// How objects of `kind`, that of the place, are shown.
    pub(super) fn presentation(&self, kind: Kind) -> Presentation {
        Presentation {
            kind,
            resource: self.place.resource,
            form: self.form,
            include: self.query.include_object,
        }
    }
}
