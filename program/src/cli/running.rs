//! The API of a running server, for the verbs that drive it.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use clusterlocal::api::client::{self, ClientError};
use serde_json::Value;

use super::Failure;

/// Where the running server is.
#[derive(Clone, Copy, Debug, Args)]
pub struct ServerArgs {
    /// The API of the running server
    #[arg(long, value_name = "ADDR:PORT", default_value_t = super::serve::DEFAULT_API, env = "CLUSTERLOCAL_API")]
    api: SocketAddr,
}

/// A pod of a running server.
#[derive(Clone, Debug, Args)]
pub struct PodArgs {
    /// The pod's name
    #[arg(value_name = "POD")]
    name: String,
    /// The pod's namespace
    #[arg(short = 'n', long, value_name = "NAME", default_value = "default", env = "CLUSTERLOCAL_NAMESPACE")]
    namespace: String,
    #[command(flatten)]
    pub server: ServerArgs,
}

impl PodArgs {
    /// The pod's path in the API.
    pub fn path(&self) -> Result<String, Failure> {
        Ok(format!("/api/v1/namespaces/{}/pods/{}", name(&self.namespace)?, name(&self.name)?))
    }
}

/// A name as a part of a path; the API has none that would have to be escaped.
pub fn name(text: &str) -> Result<&str, Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    match !text.is_empty() && text.chars().all(plain) {
        true => Ok(text),
        false => Err(Failure::Input(format!("{text:?} is nothing's name"))),
    }
}

impl ServerArgs {
    /// Asks for what is at `path`.
    pub fn get(self, path: &str) -> Result<Value, Failure> {
        self.ask("GET", path, None)
    }

    /// Sets annotations of the object at `path`; null takes one away.
    pub fn annotate(self, path: &str, annotations: Value) -> Result<Value, Failure> {
        let patch = serde_json::json!({ "metadata": { "annotations": annotations } });
        self.ask("PATCH", path, Some(("application/merge-patch+json", &patch)))
    }

    /// Sends `body` to `path`.
    pub fn post(self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask("POST", path, Some(("application/json", body)))
    }

    /// Deletes what is at `path`.
    pub fn delete(self, path: &str) -> Result<Value, Failure> {
        self.ask("DELETE", path, None)
    }

    /// Asks for what is at `path`, which the server may take `within` to find out.
    pub fn wait(self, path: &str, within: Duration) -> Result<Value, Failure> {
        carry_out(client::wait(self.api, path, within))
    }

    /// Hands every event of the watch at `path` to `told`, until that says that it was the last, or the server ends it.
    pub fn follow(self, path: &str, told: impl FnMut(&Value) -> bool) -> Result<(), Failure> {
        carry_out(client::follow(self.api, path, told))
    }

    fn ask(self, method: &str, path: &str, body: Option<(&str, &Value)>) -> Result<Value, Failure> {
        carry_out(client::ask(self.api, method, path, body))
    }
}

/// What becomes of a request.
fn carry_out<T>(request: impl Future<Output = Result<T, ClientError>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::Network(format!("cannot start a runtime: {e}")))?;
    runtime.block_on(request).map_err(|error| match error {
        ClientError::Refused { code: EXPECTATION_FAILED, message } => Failure::Expectation(message),
        ClientError::Refused { .. } => Failure::Input(error.to_string()),
        ClientError::Unreachable { .. } => Failure::Network(error.to_string()),
    })
}

/// The HTTP status code of what was expected and is not so (RFC 9110, 15.5.18).
const EXPECTATION_FAILED: u16 = 417;
