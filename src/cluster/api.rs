//! The cluster's API, for tests that drive it by a client library.

use std::net::{Ipv4Addr, SocketAddr};

use super::Error;
use crate::Driver;
use crate::queries::QueryLog;
use clusterlocal_api::{Options, Server, ServerError};

/// Binds the API at a free port.
pub(super) async fn bind() -> Result<Server, Error> {
    let server = Server::bind(Options::at((Ipv4Addr::LOCALHOST, 0).into())).await;
    server.map_err(|error| match error {
        ServerError::Bind(error) => Error::Listen(error),
        remote @ ServerError::Remote(_) => Error::Refused(remote.to_string()),
    })
}

/// Serves the API for as long as the runtime runs, and returns its address.
pub(super) fn serve(server: Server, driver: Driver, queries: QueryLog) -> SocketAddr {
    let address = server.address();
    tokio::spawn(server.with_queries(queries).serve(driver, std::future::pending()));
    address
}
