//! The API of a running server, for the verbs that drive it.

use std::net::SocketAddr;

use clap::Args;
use clusterlocal::api::client;
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

    fn ask(self, method: &str, path: &str, body: Option<(&str, &Value)>) -> Result<Value, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Failure::Network(format!("cannot start a runtime: {e}")))?;
        runtime.block_on(client::ask(self.api, method, path, body)).map_err(|error| match error {
            client::ClientError::Refused { .. } => Failure::Input(error.to_string()),
            client::ClientError::Unreachable { .. } => Failure::Network(error.to_string()),
        })
    }
}
