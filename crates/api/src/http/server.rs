//! Takes the place of kube-apiserver's server: HTTP/1.1 connections, limited in number, in the size and speed of requests,
//! and in the time for which an answer may stay unread. Must not depend on requests or answers.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use super::outgoing::{Connection, Outgoing, WAITING_BYTES};
use super::places::{Busy, Place, Places};
use super::reply::{self, Body};
use super::status::{RETRY_AFTER, Status};

/// The limits of clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum number of connections, at most a quarter of the file descriptors that the process may open; a watch needs
    /// one. At the limit, the connection that has waited longest for a request is closed; if all are being answered, new
    /// ones get 429 Too Many Requests.
    pub connections: usize,
    /// Maximum time without a complete request head. Go's client closes a connection after 90 seconds without a request;
    /// the server must not close it first, or a request may be lost.
    pub head: Duration,
    /// Maximum time of a request body.
    pub body: Duration,
    /// Maximum time in which a client reads nothing of its answer.
    pub write: Duration,
    /// Maximum size of a request body, in bytes, as in kube-apiserver.
    pub body_bytes: usize,
    /// Maximum number of unread bytes of all clients together. Beyond it, the slowest is disconnected.
    pub waiting_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 1024,
            head: Duration::from_secs(120),
            body: Duration::from_secs(30),
            write: Duration::from_secs(30),
            body_bytes: 3 << 20,
            waiting_bytes: WAITING_BYTES,
        }
    }
}

/// Maximum size of a request head, in bytes.
const HEAD_BYTES: usize = 64 << 10;

/// Pause after file descriptors or memory have run out.
const SHORTAGE: Duration = Duration::from_millis(100);

/// Minimum interval between two log lines about that.
const REPORT: Duration = Duration::from_secs(5);

/// Maximum time in which requests are still answered after the server stops.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);

/// Answers requests on `listener` with `answer` until `stop` is true, and then those in progress.
pub(crate) async fn serve<A, F>(
    listener: TcpListener,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
    answer: A,
) where
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let (places, outgoing) = (Places::new(limits.connections), Outgoing::new(limits.waiting_bytes));
    let mut connections = JoinSet::new();
    let mut reported = None;
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => match places.admit() {
                    Some(place) => {
                        let client = (place, outgoing.connection());
                        connections.spawn(converse(stream, limits, client, stop.clone(), answer.clone()));
                    }
                    None => turn_away(stream),
                },
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    if reported.is_none_or(|at: Instant| at.elapsed() >= REPORT) {
                        tracing::warn!(%error, "no API connection can be accepted for now; trying again");
                        reported = Some(Instant::now());
                    }
                    sleep(SHORTAGE).await;
                }
            },
        }
    }
    drop(listener);
    let rest = async { while connections.join_next().await.is_some() {} };
    _ = timeout(DRAIN_LIMIT, rest).await;
}

/// Returns once the server stops.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A closed channel means that the server stops.
    _ = stop.wait_for(|stop| *stop).await;
}

/// Whether `accept` failed for a single connection, which the client closed before it was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// The connection of a client.
pub(crate) type ClientStream = Pin<Box<TimeoutStream<TcpStream>>>;

/// The connection after an upgrade, without a limit for the time in which the client reads nothing: a terminal may be
/// stopped. With it comes what was read already.
#[cfg(feature = "connect")]
pub(crate) fn unlimited(upgraded: hyper::upgrade::Upgraded) -> Option<(ClientStream, Bytes)> {
    let parts = upgraded.downcast::<TokioIo<ClientStream>>().ok()?;
    let mut stream = parts.io.into_inner();
    stream.as_mut().set_write_timeout_pinned(None);
    Some((stream, parts.read_buf))
}

/// `stream` with writes that fail after the client has read nothing for `limit`.
fn bounded(stream: TcpStream, limit: Duration) -> ClientStream {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limit));
    Box::pin(stream)
}

/// Answers the requests of one connection.
async fn converse<A, F>(
    stream: TcpStream,
    limits: Limits,
    (place, client): (Place, Connection),
    mut stop: watch::Receiver<bool>,
    answer: A,
) where
    A: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    // An event of a watch must not wait for the acknowledgement of the previous one.
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(bounded(stream, limits.write));
    let (seat, outgoing) = (place.clone(), client.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(seat.clone());
        let (answered, outgoing) = (answer(request), outgoing.clone());
        async move {
            let mut response = answered.await;
            let busy = response.extensions_mut().remove();
            Ok::<_, Infallible>(response.map(|body| Counted { body, outgoing, _busy: busy }))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(io, service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = place.evicted() => return,
        () = client.cut_off() => {
            tracing::debug!("an API client that does not read was cut off");
            return;
        }
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an API connection ended");
    }
}

/// A body whose bytes are counted until the client has read them.
struct Counted {
    body: Body,
    outgoing: Connection,
    /// The connection is busy until the answer is complete.
    _busy: Option<Arc<Busy>>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        let count = |bytes| this.outgoing.send(bytes);
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(count))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Answers 429 Too Many Requests to a client beyond the limit.
fn turn_away(stream: TcpStream) {
    let body = Status::too_many().json().to_string();
    let head = format!(
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: {}\r\nRetry-After: {}\r\nContent-Length: {}\r\nConnection: \
         close\r\n\r\n",
        reply::JSON,
        RETRY_AFTER,
        body.len()
    );
    // The buffer of a new connection has room for it. It does not matter if the client never reads it.
    _ = stream.try_write(&[head.as_bytes(), body.as_bytes()].concat());
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use http_body_util::{Either, Full};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;

    use super::*;

    /// A server that answers `hello`.
    async fn server(limits: Limits) -> (SocketAddr, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let answer = |_| async { Response::new(Either::Left(Full::from("hello"))) };
        tokio::spawn(serve(listener, limits, stopped, answer));
        (address, stop)
    }

    /// Sends `sent`, and returns everything until the server closes.
    async fn reply(address: SocketAddr, sent: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    const CLOSING: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

    #[tokio::test]
    async fn idle_connections_are_evicted_and_busy_ones_are_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_stop, stopped) = watch::channel(false);
        // `/slow` is answered until the client disconnects.
        let begun = Arc::new(Notify::new());
        let slow_begins = begun.clone();
        let answer = move |request: Request<Incoming>| {
            let begun = slow_begins.clone();
            let place: Place = request.extensions().get::<Place>().expect("a place").clone();
            let slow = request.uri().path() == "/slow";
            async move {
                let _busy = place.busy();
                if slow {
                    begun.notify_one();
                    std::future::pending::<()>().await;
                }
                Response::new(Either::Left(Full::from("hello")))
            }
        };
        let limits = Limits { connections: 1, ..Limits::default() };
        tokio::spawn(serve(listener, limits, stopped, answer));
        let mut idle = TcpStream::connect(address).await.unwrap();
        assert!(reply(address, CLOSING).await.starts_with("HTTP/1.1 200 "));
        assert_eq!(idle.read(&mut [0; 12]).await.unwrap_or(0), 0, "closed");
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        begun.notified().await;
        let away = reply(address, "").await;
        assert!(
            away.starts_with("HTTP/1.1 429 ") && away.contains("\"reason\":\"TooManyRequests\""),
            "{away}"
        );
        drop(first);
        let mut tries = 0;
        while !reply(address, CLOSING).await.starts_with("HTTP/1.1 200 ") {
            tries += 1;
            assert!(tries < 1000, "the place did not come free");
            sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn requests_that_are_too_slow_or_too_large_end_the_connection() {
        let (address, _stop) = server(Limits { head: Duration::from_millis(50), ..Limits::default() }).await;
        assert_eq!(reply(address, "GET / HTTP/1.1\r\nHost:").await, "");
        let long = format!("GET / HTTP/1.1\r\nHost: {}", "x".repeat(HEAD_BYTES));
        assert!(reply(address, &long).await.starts_with("HTTP/1.1 431 "));
    }

    #[tokio::test]
    async fn stopping_closes_idle_connections() {
        let (address, stop) = server(Limits::default()).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        idle.read_exact(&mut answer).await.unwrap();
        stop.send(true).unwrap();
        let mut rest = String::new();
        idle.read_to_string(&mut rest).await.unwrap();
        assert!(rest.ends_with("hello"), "{rest}");
    }

    #[tokio::test]
    async fn a_write_fails_if_the_client_reads_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut writer = bounded(stream, Duration::from_millis(200));
        let chunk = vec![0; 1 << 20];
        // Much more than the kernel's buffers hold, read slowly.
        let taken = tokio::spawn(async move {
            let mut buffer = vec![0; 64 << 10];
            let mut left = 32 << 20;
            while left > 0 {
                left -= reader.read(&mut buffer).await.unwrap();
            }
            reader
        });
        for _ in 0..32 {
            writer.write_all(&chunk).await.expect("it is read");
        }
        let _silent = taken.await.unwrap();
        let error = loop {
            match writer.write_all(&chunk).await {
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
