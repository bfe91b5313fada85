//! Takes the place of kube-apiserver's handler chain: passes a request, by guard, path and verb, to its handler. Must not
//! depend on how objects are changed or rendered.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::body::{Body as _, Incoming};
use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use hyper::{Method, Request, Response};

#[cfg(feature = "connect")]
use crate::connect;
use crate::http::accept::{self, Form};
use crate::http::body;
use crate::http::path::{Part, Target};
use crate::http::places::Place as OpenPlace;
use crate::http::query::Query;
use crate::http::reply::{self, Body, Reply};
use crate::http::status::Status;
use crate::own::{dns, faults, partitions};
use crate::schema::registry::Registry;
use crate::schema::resource::Held;
use crate::verbs::call::{Api, Call};
use crate::verbs::{delete, list, patch, pods, reviews, scale, watch, write};
use crate::{discovery, own};
use clusterlocal_core::store::{Kind, PARTITION};

/// Whether a request lacks the content type that it needs: a web page can send such a body to any site without a preflight
/// request, but none with a token. Clients in pods have one. Clients built on client-go may leave it out, as `kubectl create --raw` does; their user agent is `NAME/VERSION
/// (OS/ARCH) kubernetes/COMMIT` (`rest.DefaultKubernetesUserAgent`), which a page cannot send without a preflight request.
fn is_untyped(method: &Method, headers: &HeaderMap) -> bool {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let by_client_go = agent.starts_with("kubectl") || agent.contains(" kubernetes/");
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
        && !headers.contains_key(CONTENT_TYPE)
        && !headers.contains_key(AUTHORIZATION)
        && !by_client_go
}

/// The SOA serial from which on the DNS shows everything before the answer.
const SERIAL: HeaderName = HeaderName::from_static("clusterlocal-serial");

impl Api {
    /// Answers `request`.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let mut unread = !request.body().is_end_stream();
        let mut response = match self.respond(request, &mut unread).await {
            Ok(response) => response,
            Err(status) => reply::failure(&status),
        };
        if unread {
            // The rest of the body would follow on the connection, so it is closed, and the client is informed (RFC 9112
            // section 9.6).
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// `unread` states whether the request's body is not read completely.
    async fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
        unread: &mut bool,
    ) -> Result<Response<Body>, Status> {
        let (mut parts, incoming) = request.into_parts();
        let open = parts.extensions.remove::<OpenPlace>();
        self.guard.check(&parts.method, &parts.uri, &parts.headers)?;
        let registry = self.clone().registry(parts.uri.path()).await?;
        let place = match Target::of(parts.uri.path(), &registry).ok_or_else(Status::no_such_path)? {
            Target::Place(place) => place,
            Target::Fixture(verb) => {
                if parts.method != Method::POST {
                    return Err(Status::method_not_supported());
                }
                if is_untyped(&parts.method, &parts.headers) {
                    return Err(Status::unsupported_media_type(&body::OBJECT_TYPES));
                }
                let body = body::read(incoming, self.limits).await?;
                *unread = false;
                let busy = open.map(|open| Arc::new(open.busy()));
                let mut response =
                    own::fixture::call(&self, verb, &parts.headers, &body).await?.into_response();
                response.headers_mut().insert(SERIAL, self.driver.read(|cluster| cluster.serial()).into());
                if let Some(busy) = busy {
                    response.extensions_mut().insert(busy);
                }
                return Ok(response);
            }
            _ if !matches!(parts.method, Method::GET | Method::HEAD) => {
                return Err(Status::method_not_supported());
            }
            Target::Dns(dns) => {
                let query = parts.uri.query().unwrap_or_default().to_owned();
                let answer = move || dns::answer(&self.driver, &self.upstream, dns, &query);
                let asked = tokio::task::spawn_blocking(answer).await;
                let reply = asked.map_err(|_| Status::internal("the request handler failed; see the log"))?;
                return Ok(reply?.into_response());
            }
            target => {
                let reply =
                    discovery::document(&self.driver, self.address, &target, &registry, &parts.headers);
                return Ok(reply.into_response());
            }
        };
        #[cfg(feature = "connect")]
        if let Some(kubelet) = self.kubelet.clone()
            && connect::is_connect(&place, &parts.method)
        {
            // The request's body is passed on, or there is none.
            *unread = false;
            let busy = open.map(|open| Arc::new(open.busy()));
            let request = Request::from_parts(parts, incoming);
            return connect::Connect::new(self, kubelet, place, busy).answer(request).await;
        }
        if place.part != Part::Proxy && is_untyped(&parts.method, &parts.headers) {
            return Err(Status::unsupported_media_type(&body::OBJECT_TYPES));
        }
        let query = Query::parse(parts.uri.query().unwrap_or_default())?;
        let form = Form::requested(&parts.headers)?;
        let body = body::read(incoming, self.limits).await?;
        *unread = false;
        // From here on the connection is not evicted.
        let busy = open.map(|open| Arc::new(open.busy()));
        let call = Call {
            method: parts.method,
            place,
            query,
            form,
            headers: parts.headers,
            body,
            warnings: Mutex::default(),
        };
        own::expected(&self, &call).await?;
        // DNS queries are answered on the threads of the runtime, and a list of all pods takes some time.
        let deprecated = call.place.resource.deprecation();
        let (api, call) = (self.clone(), Arc::new(call));
        let asked = call.clone();
        let answered = tokio::task::spawn_blocking(move || api.carry_out(&asked)).await;
        let reply = answered.map_err(|_| Status::internal("the request handler failed; see the log"))??;
        let reply = if accept::is_yaml(&call.headers) { reply.into_yaml() } else { reply };
        let mut response = reply.into_response();
        reply::attach_warnings(response.headers_mut(), deprecated);
        let warnings = call.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        reply::attach_warnings(response.headers_mut(), warnings.iter());
        drop(warnings);
        response.headers_mut().insert(SERIAL, self.driver.read(|cluster| cluster.serial()).into());
        if let Some(busy) = busy {
            response.extensions_mut().insert(busy);
        }
        Ok(response)
    }

    /// Returns the resources for `path`: those that clients defined are added only if it is in none of Kubernetes' groups.
    async fn registry(self: Arc<Self>, path: &str) -> Result<Cow<'static, Registry>, Status> {
        let built_in = Registry::built_in();
        let mut segments = path.trim_matches('/').split('/');
        let about_built_in = match (segments.next(), segments.next()) {
            (Some("apis"), Some(group)) => built_in.all().any(|resource| resource.group == group),
            (Some("apis" | "openapi" | ""), _) => false,
            _ => true,
        };
        if about_built_in {
            return Ok(Cow::Borrowed(built_in));
        }
        let read =
            tokio::task::spawn_blocking(move || self.driver.read(|cluster| Registry::of(cluster.store())));
        read.await.map(Cow::Owned).map_err(|_| Status::internal("the request handler failed; see the log"))
    }

    /// Handles requests for objects.
    fn carry_out(self: &Arc<Self>, call: &Arc<Call>) -> Result<Reply, Status> {
        match call.place.resource.held {
            Held::Store(kind) => {
                let reply = self.of_store(kind, call)?;
                let writes = matches!(call.method, Method::POST | Method::PUT | Method::PATCH);
                if kind == Kind::Fault && writes {
                    call.warn(faults::doubts(self));
                }
                if kind == PARTITION && writes {
                    call.warn(partitions::doubts(self));
                }
                Ok(reply)
            }
            Held::Answered => reviews::answer(&self.driver, call),
            Held::Changes => own::changes(self, call.clone()),
            Held::Clock => own::clock(&self.driver, call),
            Held::Queries => own::queries(self, call.clone()),
        }
    }

    fn of_store(self: &Arc<Self>, kind: Kind, call: &Call) -> Result<Reply, Status> {
        let driver = &self.driver;
        let named = !call.place.name.is_empty();
        let part = match call.place.part {
            Part::Whole => None,
            Part::Subresource(part) => Some(part.name),
            Part::Proxy => return pods::process(driver, kind, call, "proxy"),
        };
        // Objects of all namespaces can only be read.
        let everywhere = call.place.resource.namespaced && call.place.namespace.is_empty();
        if everywhere && !matches!(call.method, Method::GET | Method::HEAD) {
            return Err(Status::method_not_supported());
        }
        match (&call.method, part) {
            (&Method::GET | &Method::HEAD, None) if named => list::get(driver, kind, call),
            (&Method::GET, None) if call.query.watch => watch::begin(self, kind, call),
            (&Method::GET | &Method::HEAD, None) => list::list(self, kind, call),
            (&Method::POST, None) if !named => write::create(driver, kind, call),
            (&Method::PUT, None | Some("status" | "approval" | "finalize")) if named => {
                write::replace(driver, kind, call)
            }
            (&Method::PATCH, None | Some("status" | "approval")) if named => patch::patch(driver, kind, call),
            (&Method::DELETE, None) if named => delete::one(driver, kind, call),
            (&Method::DELETE, None) => delete::collection(driver, kind, call),
            (&Method::GET, Some("status" | "approval")) => list::get(driver, kind, call),
            (&Method::GET, Some("scale")) => scale::get(driver, kind, call),
            (&Method::PUT, Some("scale")) => scale::replace(driver, kind, call),
            (&Method::PATCH, Some("scale")) => scale::patch(driver, kind, call),
            (&Method::POST, Some("token")) => reviews::token(driver, call),
            (&Method::POST, Some("eviction")) => delete::evict(driver, call),
            (&Method::GET, Some("log")) => pods::log(driver, call),
            (&Method::GET | &Method::POST, Some(part @ ("exec" | "attach" | "portforward"))) => {
                pods::process(driver, kind, call, part)
            }
            _ => Err(Status::method_not_supported()),
        }
    }
}
