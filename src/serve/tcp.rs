//! Accepts TCP connections, as many as there may be, and waits for the end of each. Must not depend on what is said on them.

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

/// Pause after descriptors or memory have run out.
const SHORTAGE: Duration = Duration::from_millis(100);

/// Minimum interval of two log lines about a shortage.
const REPORT: Duration = Duration::from_secs(5);

/// What serving TCP on one address needs.
pub(super) struct Tcp {
    pub(super) listener: TcpListener,
    pub(super) limits: TcpLimits,
    /// Shared by all listeners: descriptors are.
    pub(super) admissions: Arc<Admissions>,
    pub(super) responder: Arc<Responder>,
    pub(super) draining: Draining,
}

impl Tcp {
    /// Serves until draining begins, and then the clients that have connected by then.
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
                    Err(error) if is_the_clients(&error) => {}
                    Err(error) => {
                        if reported.is_none_or(|at: Instant| at.elapsed() >= REPORT) {
                            tracing::warn!(%error, "no TCP connection can be accepted for now; trying again");
                            reported = Some(Instant::now());
                        }
                        sleep(SHORTAGE).await;
                    }
                },
            }
        }
        // Those whose connection was complete before draining began have a right to be answered. The runtime hears of
        // the last of them only when its driver has had a turn.
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

/// Whether `accept` failed for the one connection it was about, which was gone before we came to it: the next may be
/// fine. Everything else is ours, and lasts.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
