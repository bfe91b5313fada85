//! The API of a running server, for the verbs that drive it.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use clusterlocal_core::store::nearest;
use serde_json::Value;

use super::client::{self, ClientError};
use super::failure::{Failure, complain};
use super::{given, servers, values};

/// Where the running server is.
#[derive(Clone, Copy, Debug, Args)]
pub struct ServerArgs {
    /// The API of the running server [default: the server that began last, at 127.0.0.1:10054 unless that was taken]
    #[arg(long, value_name = "ADDR:PORT", env = "CLUSTERLOCAL_API", value_parser = api_address)]
    api: Option<SocketAddr>,
}

/// A pod of a running server.
#[derive(Clone, Debug, Args)]
pub struct PodArgs {
    /// The pod's name, db-1 or pod/db-1
    #[arg(value_name = "POD", value_parser = values::pod_name)]
    name: String,
    /// The pod's namespace
    #[arg(short = 'n', long, value_name = "NAME", default_value = "default", env = "CLUSTERLOCAL_NAMESPACE")]
    #[arg(value_parser = values::namespace)]
    namespace: String,
    #[command(flatten)]
    pub server: ServerArgs,
}

/// The API's address, for verbs that ask it.
fn api_address(text: &str) -> Result<SocketAddr, String> {
    match text {
        "off" => {
            Err("off is for serve: expected the address of a running server, such as 127.0.0.1:10054".into())
        }
        _ => values::address(text),
    }
}

impl PodArgs {
    /// The pod's path in the API.
    fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/pods/{}", self.namespace, self.name)
    }

    /// The pod.
    ///
    /// # Errors
    /// Where there is none: where one of that name is, or which one was probably meant.
    pub fn get(&self) -> Result<Value, Failure> {
        self.server.request("GET", &self.path(), None).map_err(|error| self.explained(error))
    }

    /// Sets annotations of the pod; null takes one away.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn annotate(&self, annotations: Value) -> Result<Value, Failure> {
        let patch = serde_json::json!({ "metadata": { "annotations": annotations } });
        let body = Some((MERGE_PATCH, &patch));
        self.server.request("PATCH", &self.path(), body).map_err(|error| self.explained(error))
    }

    fn explained(&self, error: ClientError) -> Failure {
        let PodArgs { name, namespace, server } = self;
        if !matches!(error, ClientError::Refused { code: NOT_FOUND, .. }) {
            return server.failure(error);
        }
        let pods = server.get("/api/v1/pods").unwrap_or_default();
        let field = |pod: &Value, field: &str| pod["metadata"][field].as_str().unwrap_or_default().to_owned();
        let pods: Vec<(String, String)> = pods["items"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|pod| (field(pod, "namespace"), field(pod, "name")))
            .collect();
        let elsewhere: Vec<&str> =
            pods.iter().filter(|(_, other)| other == name).map(|(namespace, _)| namespace.as_str()).collect();
        let here = pods.iter().filter(|(of, _)| of == namespace).map(|(_, name)| name.as_str());
        let help = match (&elsewhere[..], nearest(name, here.clone())) {
            ([first, ..], _) => format!("it exists in namespace {}: add -n {first}", listed(&elsewhere)),
            ([], Some(near)) => format!("did you mean {near}?"),
            ([], None) => match listed(&here.collect::<Vec<_>>()) {
                names if names.is_empty() => format!("namespace {namespace} has no pods"),
                names => format!("there are {names}"),
            },
        };
        Failure::Input(format!("there is no pod {name} in namespace {namespace}; {help}"))
    }
}

/// Maximum number of names in a message.
const NAMES_SHOWN: usize = 5;

/// `a, b, c and 4 more`.
pub fn listed(names: &[&str]) -> String {
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..NAMES_SHOWN].join(", ")),
    }
}

/// The media type of RFC 7386.
const MERGE_PATCH: &str = "application/merge-patch+json";

/// HTTP status codes (RFC 9110, 15.5.5 and 15.5.18): nothing is there, and what was expected is not so.
const NOT_FOUND: u16 = 404;
const EXPECTATION_FAILED: u16 = 417;

impl ServerArgs {
    /// Whether the command line or the environment says where the server is.
    pub fn is_named(self) -> bool {
        self.api.is_some()
    }

    /// Where the server is: as it is said, or else that of the server which began last and was not given an address; the
    /// usual one if none is known.
    fn address(self) -> SocketAddr {
        if let Some(api) = self.api {
            return api;
        }
        let found: Vec<_> = servers::running().into_iter().filter(|server| !server.explicit).collect();
        let Some(latest) = found.first() else { return values::DEFAULT_API };
        if found.len() > 1 {
            let others: Vec<_> = found[1..].iter().map(|server| server.api.to_string()).collect();
            let others: Vec<&str> = others.iter().map(String::as_str).collect();
            complain(format_args!(
                "note: {} servers are running: asking the one that began last, at {}; --api asks another: {}",
                found.len(),
                latest.api,
                listed(&others)
            ));
        }
        latest.api
    }

    /// Asks for what is at `path`.
    pub fn get(self, path: &str) -> Result<Value, Failure> {
        self.ask("GET", path, None)
    }

    /// Sets annotations of the object at `path`; null takes one away.
    pub fn annotate(self, path: &str, annotations: Value) -> Result<Value, Failure> {
        let patch = serde_json::json!({ "metadata": { "annotations": annotations } });
        self.ask("PATCH", path, Some((MERGE_PATCH, &patch)))
    }

    /// Sends `body` to `path`.
    pub fn post(self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask("POST", path, Some(("application/json", body)))
    }

    /// Sends `body` to `path`, and shows what the server warns of.
    pub fn create(self, path: &str, body: &Value) -> Result<Value, Failure> {
        let body = Some(("application/json", body));
        let created = client::ask_warned(self.address(), "POST", path, body);
        let (created, warnings) = created.map_err(|error| self.failure(error))?;
        for warning in warnings {
            complain(format_args!("warning: {warning}"));
        }
        Ok(created)
    }

    /// Deletes what is at `path`.
    pub fn delete(self, path: &str) -> Result<Value, Failure> {
        self.ask("DELETE", path, None)
    }

    /// Asks for what is at `path`, which the server may take `within` to find out.
    pub fn wait(self, path: &str, within: Duration) -> Result<Value, Failure> {
        client::wait(self.address(), path, within).map_err(|error| self.failure(error))
    }

    /// Passes every event of the watch at `path` to `handle`, until that returns false or the server ends the watch.
    pub fn follow(self, path: &str, handle: impl FnMut(&Value) -> bool) -> Result<(), Failure> {
        client::follow(self.address(), path, handle).map_err(|error| self.failure(error))
    }

    fn ask(self, method: &str, path: &str, body: Option<(&str, &Value)>) -> Result<Value, Failure> {
        self.request(method, path, body).map_err(|error| self.failure(error))
    }

    /// Sends a request, and returns what becomes of it.
    fn request(self, method: &str, path: &str, body: Option<(&str, &Value)>) -> Result<Value, ClientError> {
        client::ask(self.address(), method, path, body)
    }

    /// Says of a 404 which object was probably meant: `names` are those that there are, of this kind.
    pub fn or_near(
        self,
        result: Result<Value, Failure>,
        kind: &str,
        name: &str,
        path: &str,
    ) -> Result<Value, Failure> {
        let Err(Failure::Missing(_)) = &result else { return result };
        let list = self.get(path).unwrap_or_default();
        let names = list["items"].as_array().into_iter().flatten();
        let names: Vec<&str> = names.filter_map(|item| item["metadata"]["name"].as_str()).collect();
        let help = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None if names.is_empty() => format!("there is no {kind} at all"),
            None => format!("there are {}", listed(&names)),
        };
        Err(Failure::Input(format!("there is no {kind} {name}; {help}")))
    }

    /// What a verb ends with after a request that came to nothing.
    fn failure(self, error: ClientError) -> Failure {
        match error {
            ClientError::Refused { code: EXPECTATION_FAILED, message } => Failure::Expectation(message),
            ClientError::Refused { code: NOT_FOUND, message } => Failure::Missing(message),
            ClientError::Refused { .. } => Failure::Input(error.to_string()),
            ClientError::Unreachable { .. } if !given::is_given("api") => {
                let others = servers::running();
                let others: Vec<_> = others.iter().map(|server| format!("--api {}", server.api)).collect();
                let others: Vec<&str> = others.iter().map(String::as_str).collect();
                let others = if others.is_empty() {
                    String::new()
                } else {
                    format!(" Servers are running: {}.", listed(&others))
                };
                Failure::Network(format!("{error}{others}"))
            }
            ClientError::Unreachable { .. } => Failure::Network(error.to_string()),
        }
    }
}
