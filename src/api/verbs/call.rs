//! What the handler of a verb is given: the decoded request, and what all requests share. Must not depend on handlers.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::HeaderMap;
use tokio::sync::watch as stopping;

use super::show::Presentation;
use super::watch::Journal;
use crate::Driver;
use crate::api::http::accept::Form;
use crate::api::http::body;
use crate::api::http::guard::Guard;
use crate::api::http::path::Place;
use crate::api::http::query::Query;
use crate::api::http::server::Limits;
use crate::queries::QueryLog;
use crate::store::Kind;

/// What all requests share.
pub(in crate::api) struct Api {
    pub(in crate::api) driver: Driver,
    pub(in crate::api) journal: Journal,
    /// What was asked, if it is written down.
    pub(in crate::api) queries: Option<QueryLog>,
    /// The servers that the DNS asks for names outside the cluster.
    pub(in crate::api) upstream: Vec<SocketAddr>,
    pub(in crate::api) address: SocketAddr,
    pub(in crate::api) guard: Guard,
    pub(in crate::api) limits: Limits,
    /// Watches end when the server does.
    pub(in crate::api) stop: stopping::Receiver<bool>,
}

/// A request for objects, with everything that came with it.
pub(in crate::api) struct Call {
    pub(in crate::api) method: Method,
    pub(in crate::api) place: Place,
    pub(in crate::api) query: Query,
    pub(in crate::api) form: Form,
    pub(in crate::api) headers: HeaderMap,
    pub(in crate::api) body: Bytes,
    /// What the client is warned of.
    pub(in crate::api) warnings: Mutex<Vec<String>>,
}

impl Call {
    /// Warns the client of `told`.
    pub(in crate::api) fn warn(&self, told: Vec<String>) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).extend(told);
    }

    /// Whether it is a server-side apply.
    pub(in crate::api) fn is_apply(&self) -> bool {
        self.method == Method::PATCH
            && matches!(body::PatchType::of(&self.headers), Ok(body::PatchType::Apply))
    }

    /// How objects of `kind`, that of the place, are shown.
    pub(in crate::api) fn presentation(&self, kind: Kind) -> Presentation {
        Presentation {
            kind,
            resource: self.place.resource,
            form: self.form,
            include: self.query.include_object,
        }
    }
}
