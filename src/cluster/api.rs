//! The cluster's API, for tests that drive it by a client library.

use std::net::{Ipv4Addr, SocketAddr};

use super::Error;
use crate::Driver;
use crate::queries::QueryLog;
use clusterlocal_api::{Options, Server, ServerError};

/// Serves the API at a free port, for as long as the runtime runs.
pub(super) async fn serve(driver: Driver, queries: QueryLog) -> Result<SocketAddr, Error> {
    let server = Server::bind(Options::at((Ipv4Addr::LOCALHOST, 0).into())).await;
    let server = server.map_err(|error| match error {
        ServerError::Bind(error) => Error::Listen(error),
        remote @ ServerError::Remote(_) => Error::Refused(remote.to_string()),
    })?;
    let address = server.address();
    tokio::spawn(server.with_queries(queries).serve(driver, std::future::pending()));
    Ok(address)
}
