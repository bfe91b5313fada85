//! Takes the place of kube-apiserver's front door: HTTP/1.1 connections, as many as there may be, each bounded in what
//! it sends, how slowly, and how long it leaves an answer unread. It must not know what is asked or answered.

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

/// What clients may take of us.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time, and no more than a quarter of the descriptors that the process may open; a watch needs one.
    /// When there are as many, the one that has waited longest for a request is closed; where all are being answered, later
    /// ones are told to try again.
    pub connections: usize,
    /// How long a connection may be open without a whole request head. Go's client closes one after 90 seconds without
    /// a request; whoever closes first must not be us, or a request may be lost on the way.
    pub head: Duration,
    /// How long the body of a request may take.
    pub body: Duration,
    /// How long a client may take to take any of its answer.
    pub write: Duration,
    /// The longest body of a request in bytes, as kube-apiserver has it.
    pub body_bytes: usize,
    /// Maximum of the bytes that all clients together have not taken yet. Where it is more, the slowest is cut off.
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

/// The longest head of a request in bytes.
const HEAD_BYTES: usize = 64 << 10;

/// How long to wait for descriptors or memory to come free, once they have run out.
const SHORTAGE: Duration = Duration::from_millis(100);

/// Minimum interval of warnings about that.
const REPORT: Duration = Duration::from_secs(5);

/// How long requests that are being answered may still take once the server stops.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Answers requests on `listener` with `answer` until `stop` holds true, and then those under way.
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
            () = told(&mut stop) => break,
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
    _ = timeout(LAST_WORDS, rest).await;
}

/// Returns when the server stops.
pub(crate) async fn told(stop: &mut watch::Receiver<bool>) {
    // Whoever could tell otherwise is gone.
    _ = stop.wait_for(|stop| *stop).await;
}

/// Whether `accept` failed for the one connection it was about, which was gone before we came to it.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// `stream` with writes that fail once the client has taken nothing for `limit`.
fn bounded(stream: TcpStream, limit: Duration) -> Pin<Box<TimeoutStream<TcpStream>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limit));
    Box::pin(stream)
}

/// One connection, request by request.
async fn converse<A, F>(
    stream: TcpStream,
    limits: Limits,
    (place, client): (Place, Connection),
    mut stop: watch::Receiver<bool>,
    answer: A,
) where
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Body>>,
{
    // An event of a watch must not wait for the last one to be acknowledged.
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
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = place.evicted() => return,
        () = client.cut_off() => {
            tracing::debug!("an API client that does not read was cut off");
            return;
        }
        () = told(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an API connection ended");
    }
}

/// A body whose bytes count for as long as the client has not taken them.
struct Counted {
    body: Body,
    outgoing: Connection,
    /// The connection is busy until the answer is whole.
    _busy: Option<Arc<Busy>>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        let count = |bytes| this.outgoing.send(bytes);
        Poll::Ready(frame.map(|frame| match frame {
            Ok(frame) => Ok(frame.map_data(count)),
            Err(never) => match *never.downcast::<Infallible>().expect("neither kind of body fails") {},
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Tells a client for whom there is no place to try again.
fn turn_away(stream: TcpStream) {
    let body = Status::too_many().json().to_string();
    let head = format!(
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: {}\r\nRetry-After: {}\r\nContent-Length: {}\r\nConnection: \
         close\r\n\r\n",
        reply::JSON,
        RETRY_AFTER,
        body.len()
    );
    // A new connection's buffer has room for it. Whoever never looks has lost nothing.
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

    /// What comes back for `sent`, until the server closes.
    async fn said(address: SocketAddr, sent: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    const CLOSING: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

    #[tokio::test]
    async fn idle_connections_make_room_and_busy_ones_do_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_stop, stopped) = watch::channel(false);
        // `/slow` is answered until the client leaves.
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
        assert!(said(address, CLOSING).await.starts_with("HTTP/1.1 200 "));
        assert_eq!(idle.read(&mut [0; 12]).await.unwrap_or(0), 0, "closed");
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        begun.notified().await;
        let away = said(address, "").await;
        assert!(
            away.starts_with("HTTP/1.1 429 ") && away.contains("\"reason\":\"TooManyRequests\""),
            "{away}"
        );
        drop(first);
        let mut tries = 0;
        while !said(address, CLOSING).await.starts_with("HTTP/1.1 200 ") {
            tries += 1;
            assert!(tries < 1000, "the place did not come free");
            sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn whoever_sends_too_slowly_or_too_much_is_cut_off() {
        let (address, _stop) = server(Limits { head: Duration::from_millis(50), ..Limits::default() }).await;
        assert_eq!(said(address, "GET / HTTP/1.1\r\nHost:").await, "");
        let long = format!("GET / HTTP/1.1\r\nHost: {}", "x".repeat(HEAD_BYTES));
        assert!(said(address, &long).await.starts_with("HTTP/1.1 431 "));
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
    async fn a_write_fails_where_the_client_reads_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut writer = bounded(stream, Duration::from_millis(200));
        let chunk = vec![0; 1 << 20];
        // Much more than the buffers of the kernel hold, slowly taken.
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
