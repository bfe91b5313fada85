//! Accepts TCP connections within the limits, and waits for the end of each. Must not depend on what is sent on them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep};

use super::Draining;
use super::admission::Admissions;
use super::connection;
use super::options::TcpLimits;
use super::responder::Responder;

/// Pause after file descriptors or memory have run out.
const SHORTAGE: Duration = Duration::from_millis(100);

/// Minimum interval between two log lines about a shortage.
const REPORT: Duration = Duration::from_secs(5);

/// TCP on one address.
pub(super) struct Tcp {
    pub(super) listener: TcpListener,
    pub(super) limits: TcpLimits,
    /// Shared by all listeners, as the file descriptors are.
    pub(super) admissions: Arc<Admissions>,
    pub(super) responder: Arc<Responder>,
    pub(super) draining: Draining,
}

impl Tcp {
    /// Serves until draining begins, and then answers the clients that are connected by then.
    pub(super) async fn serve(mut self) {
        let mut connections = JoinSet::new();
        let mut reported = None;
        loop {
            tokio::select! {
                biased;
                () = self.draining.begun() => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, client)) => self.admit(&mut connections, stream, client),
                    Err(error) if is_of_one_client(&error) => {}
                    Err(error) => {
                        if reported.is_none_or(|at: Instant| at.elapsed() >= REPORT) {
                            tracing::warn!(%error, "cannot accept TCP connections at the moment; retrying");
                            reported = Some(Instant::now());
                        }
                        sleep(SHORTAGE).await;
                    }
                },
            }
        }
        // Clients whose connection was complete before draining began are answered. The runtime reports the last of them
        // only after its I/O driver has run once more.
        sleep(Duration::from_millis(1)).await;
        loop {
            consume_budget().await;
            tokio::select! {
                biased;
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, client)) => self.admit(&mut connections, stream, client),
                    Err(_) => break,
                },
                () = std::future::ready(()) => break,
            }
        }
        drop(self);
        while connections.join_next().await.is_some() {}
    }

    fn admit(&self, connections: &mut JoinSet<()>, stream: TcpStream, client: SocketAddr) {
        let (admission, evicted) = self.admissions.admit(client.ip());
        self.responder.stats().evicted.add(evicted.into());
        let (responder, draining) = (self.responder.clone(), self.draining.clone());
        let limits = self.limits;
        match responder.view().faults.connection(client.ip()) {
            None => {
                connections
                    .spawn(connection::converse(stream, client, limits, admission, responder, draining));
            }
            Some((_, fault, ending)) => {
                let fault = (fault, ending);
                connections.spawn(connection::fail(stream, fault, limits, admission, draining));
            }
        }
    }
}

/// Whether `accept` failed for a single connection, which the client closed before it was accepted. All other errors are
/// the server's, and persist.
fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
