//! Requests to the API of a running server.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use clusterlocal_core::store::nearest;
use serde_json::Value;

use super::client::{self, ClientError};
use super::failure::{Failure, complain};
use super::{given, servers, values};

/// The address of a running server.
#[derive(Clone, Copy, Debug, Args)]
pub struct ServerArgs {
    /// API of the server [default: the last started]
    #[arg(long, value_name = "ADDR:PORT", env = "CLUSTERLOCAL_API", value_parser = api_address)]
    api: Option<SocketAddr>,
}

/// A pod of a running server.
#[derive(Clone, Debug, Args)]
pub struct PodArgs {
    /// Name, db-1 or pod/db-1
    #[arg(value_name = "POD", value_parser = values::pod_name)]
    name: String,
    /// Namespace of the pod
    #[arg(short = 'n', long, value_name = "NAME", default_value = "default", env = "CLUSTERLOCAL_NAMESPACE")]
    #[arg(value_parser = values::namespace)]
    namespace: String,
    #[command(flatten)]
    pub server: ServerArgs,
}

/// The API's address, for clap.
fn api_address(text: &str) -> Result<SocketAddr, String> {
    match text {
        "off" => {
            Err("off is for serve only: expected the address of a running server, such as 127.0.0.1:10054"
                .into())
        }
        _ => values::address(text),
    }
}

impl PodArgs {
    /// The pod of that name and namespace.
    pub fn named(name: &str, namespace: &str, server: ServerArgs) -> Self {
        PodArgs { name: name.into(), namespace: namespace.into(), server }
    }

    /// The pod's path in the API.
    pub fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/pods/{}", self.namespace, self.name)
    }

    /// Gets the pod.
    ///
    /// # Errors
    /// If it does not exist, with the namespace of a pod of that name, or with a similar name.
    pub fn get(&self) -> Result<Value, Failure> {
        self.server.request("GET", &self.path(), None).map_err(|error| self.explained(error))
    }

    /// The container that is meant where none is named: that of kubectl's annotation, or else the first of several, with a note.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn default_container(&self) -> Result<Option<String>, Failure> {
        let pod = self.get()?;
        let annotation = pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"].as_str();
        if let Some(name) = annotation {
            return Ok(Some(name.to_owned()));
        }
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        let names: Vec<&str> = containers.filter_map(|one| one["name"].as_str()).collect();
        let [first, _, ..] = names[..] else { return Ok(None) };
        complain(format_args!("note: using container {first} of {}; for another use -c", listed(&names)));
        Ok(Some(first.to_owned()))
    }

    /// Sets annotations of the pod; null removes one.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn annotate(&self, annotations: Value) -> Result<Value, Failure> {
        let patch = serde_json::json!({ "metadata": { "annotations": annotations } });
        let body = Some((MERGE_PATCH, &patch));
        self.server.request("PATCH", &self.path(), body).map_err(|error| self.explained(error))
    }

    /// Copies what is `below` the pod's path to `out`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn copy(&self, below: &str, out: &mut dyn Write) -> Result<(), Failure> {
        let path = format!("{}{below}", self.path());
        client::copy(self.server.address(), &path, out).map_err(|error| self.explained(error))
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

/// HTTP status codes (RFC 9110, 15.5.5 and 15.5.18).
const NOT_FOUND: u16 = 404;
const EXPECTATION_FAILED: u16 = 417;

impl ServerArgs {
    /// Whether the command line or the environment has the address.
    pub fn is_named(self) -> bool {
        self.api.is_some()
    }

    /// The address: that of --api, or that of the last started server without --api, or the default one.
    pub fn address(self) -> SocketAddr {
        if let Some(api) = self.api {
            return api;
        }
        let found: Vec<_> = servers::running().into_iter().filter(|server| !server.explicit).collect();
        let Some(latest) = found.first() else { return values::DEFAULT_API };
        if found.len() > 1 {
            let others: Vec<_> = found[1..].iter().map(|server| server.api.to_string()).collect();
            let others: Vec<&str> = others.iter().map(String::as_str).collect();
            complain(format_args!(
                "note: {} servers are running: using the last started, at {}; for another use --api {}",
                found.len(),
                latest.api,
                listed(&others)
            ));
        }
        latest.api
    }

    /// Gets `path`.
    pub fn get(self, path: &str) -> Result<Value, Failure> {
        self.ask("GET", path, None)
    }

    /// Sets annotations of the object at `path`; null removes one.
    pub fn annotate(self, path: &str, annotations: Value) -> Result<Value, Failure> {
        let patch = serde_json::json!({ "metadata": { "annotations": annotations } });
        self.ask("PATCH", path, Some((MERGE_PATCH, &patch)))
    }

    /// Posts `body` to `path`.
    pub fn post(self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask("POST", path, Some(("application/json", body)))
    }

    /// Posts `body` to `path`, and prints the warnings of the server.
    pub fn create(self, path: &str, body: &Value) -> Result<Value, Failure> {
        let body = Some(("application/json", body));
        let created = client::ask_warned(self.address(), "POST", path, body);
        let (created, warnings) = created.map_err(|error| self.failure(error))?;
        for warning in warnings {
            complain(format_args!("warning: {warning}"));
        }
        Ok(created)
    }

    /// Deletes `path`.
    pub fn delete(self, path: &str) -> Result<Value, Failure> {
        self.ask("DELETE", path, None)
    }

    /// Gets `path`, for which the server may take `within` longer than usual.
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

    /// Sends a request.
    fn request(self, method: &str, path: &str, body: Option<(&str, &Value)>) -> Result<Value, ClientError> {
        client::ask(self.address(), method, path, body)
    }

    /// Adds similar or existing names of objects of this kind to a 404.
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
            None if names.is_empty() => format!("there are no {kind}s"),
            None => format!("there are {}", listed(&names)),
        };
        Err(Failure::Input(format!("there is no {kind} {name}; {help}")))
    }

    /// The failure of a verb whose request failed.
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
