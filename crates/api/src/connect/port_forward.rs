//! `port-forward`: connections into a pod, as streams of SPDY that a WebSocket tunnels (`apiserver/pkg/util/proxy/streamtunnel.go`,
//! cri-streaming's `portforward`). Must not depend on frames' bytes.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::location::{is_placed, text};
use super::spdy::{self, Frame, ProtocolError, Reader, Writer};
use super::websocket::{IDLE_LIMIT, Socket, accept, negotiate};
use super::{Connect, in_go};
use crate::http::reply::Body;
use crate::http::server::stopped;
use crate::http::status::Status;
use crate::kubelet::Kubelet;

const PROTOCOLS: [&str; 1] = ["SPDY/3.1+portforward.k8s.io"];

/// Maximum number of connections of one client at the same time.
const MAX_CONNECTIONS: usize = 256;

/// Maximum number of frames that wait for a connection, or for the client.
const WAITING: usize = 16;

/// Size of the pieces that are read from a connection, in bytes.
const PIECE_BYTES: usize = 32 << 10;

impl Connect {
    pub(super) async fn port_forward(self, request: Request<Incoming>) -> Result<Response<Body>, Status> {
        let pod = self.pod().await?;
        let name = self.place.name.clone();
        if !is_placed(&pod) {
            return Err(Status::bad_request(format!("pod {name} does not have a host assigned")));
        }
        let protocol = negotiate(request.headers(), &PROTOCOLS)?;
        let (response, socket) = accept(request, protocol);
        let uid = text(&pod, "/metadata/uid").to_owned();
        tokio::spawn(async move {
            let Some(socket) = socket.await else { return };
            let mut stop = self.api.stop.clone();
            let pod = Arc::new(Pod { kubelet: self.kubelet.clone(), name, uid });
            tokio::select! {
                () = serve(socket, pod) => {}
                () = stopped(&mut stop) => {}
            }
        });
        Ok(response)
    }
}

struct Pod {
    kubelet: Arc<dyn Kubelet>,
    name: String,
    uid: String,
}

/// Serves one client until it goes away. Its connections end with it.
async fn serve(socket: Socket, pod: Arc<Pod>) {
    let (mut sink, mut stream) = socket.split();
    let (frames, mut waiting) = mpsc::channel::<Bytes>(WAITING);
    let sending = async move {
        while let Some(frame) = waiting.recv().await {
            if sink.send(Message::Binary(frame)).await.is_err() {
                return;
            }
        }
    };
    let taking = async move {
        let mut tunnel = Tunnel::new(pod, frames);
        let mut reader = Reader::new();
        while let Ok(Some(Ok(message))) = timeout(IDLE_LIMIT, stream.next()).await {
            let Message::Binary(bytes) = message else { continue };
            reader.add(&bytes);
            loop {
                match reader.next() {
                    Ok(None) => break,
                    Ok(Some(Frame::GoAway)) | Err(ProtocolError) => return,
                    Ok(Some(frame)) => tunnel.take(frame).await,
                }
            }
        }
    };
    tokio::select! {
        () = sending => {}
        () = taking => {}
    }
}

/// The streams of a client.
struct Tunnel {
    pod: Arc<Pod>,
    frames: mpsc::Sender<Bytes>,
    writer: Writer,
    /// The error stream of each request whose data stream has not come yet.
    errors: HashMap<String, u32>,
    /// Data streams: what the client sends, until it has sent all.
    connections: HashMap<u32, (Option<mpsc::Sender<Bytes>>, AbortHandle)>,
    running: JoinSet<()>,
}

impl Tunnel {
    fn new(pod: Arc<Pod>, frames: mpsc::Sender<Bytes>) -> Self {
        Tunnel {
            pod,
            frames,
            writer: Writer::default(),
            errors: HashMap::new(),
            connections: HashMap::new(),
            running: JoinSet::new(),
        }
    }

    async fn take(&mut self, frame: Frame) {
        match frame {
            Frame::Open { stream, headers, is_last } => {
                self.open(stream, &headers, is_last).await;
            }
            Frame::Data { stream, bytes, is_last } => {
                let Some((input, _)) = self.connections.get_mut(&stream) else { return };
                if let (Some(input), false) = (&input, bytes.is_empty()) {
                    // Waits for a pod that reads slowly, and with it the client.
                    _ = input.send(bytes).await;
                }
                if is_last {
                    *input = None;
                }
            }
            Frame::Reset { stream } => {
                if let Some((_, connection)) = self.connections.remove(&stream) {
                    connection.abort();
                }
            }
            Frame::Ping { id } => _ = self.frames.send(spdy::ping(id)).await,
            Frame::GoAway | Frame::Other => {}
        }
    }

    /// Opens a stream. A request for a connection is an error stream and then a data stream with the same headers.
    async fn open(&mut self, stream: u32, headers: &HashMap<String, String>, is_last: bool) {
        while self.running.try_join_next().is_some() {}
        self.connections.retain(|_, (_, connection)| !connection.is_finished());
        let field = |name: &str| headers.get(name).map_or("", String::as_str);
        let request = field("requestid");
        let accepted = match (field("streamtype"), field("port").parse::<u16>()) {
            ("error", _) if self.errors.len() < MAX_CONNECTIONS => {
                self.errors.insert(request.to_owned(), stream);
                Some(None)
            }
            ("data", Ok(port @ 1..)) if self.connections.len() < MAX_CONNECTIONS => {
                self.errors.remove(request).map(|errors| Some((errors, port)))
            }
            _ => None,
        };
        let Some(connection) = accepted else {
            _ = self.frames.send(spdy::reset(stream, spdy::REFUSED_STREAM)).await;
            return;
        };
        // The client drops data that comes before it.
        _ = self.frames.send(self.writer.reply(stream)).await;
        if let Some((errors, port)) = connection {
            let (input, received) = mpsc::channel(WAITING);
            let connection = connect(self.pod.clone(), port, (stream, errors), received, self.frames.clone());
            let connection = self.running.spawn(connection);
            self.connections.insert(stream, ((!is_last).then_some(input), connection));
        }
    }
}

/// Connects to a port of the pod, and passes on what both sides send. Both streams have ended then.
async fn connect(
    pod: Arc<Pod>,
    port: u16,
    (data, errors): (u32, u32),
    received: mpsc::Receiver<Bytes>,
    frames: mpsc::Sender<Bytes>,
) {
    let message = match pod.kubelet.forward(&pod.uid, port).await {
        Ok(stream) => {
            exchange(stream, data, received, &frames).await;
            String::new()
        }
        Err(error) => {
            let (Pod { name, uid, .. }, error) = (&*pod, in_go(&error));
            format!(
                "error forwarding port {port} to pod {name}, uid {uid}: failed to connect to localhost:{port}: {error}"
            )
        }
    };
    for last in [spdy::data(errors, message.as_bytes(), true), spdy::data(data, &[], true)] {
        _ = frames.send(last).await;
    }
}

/// Passes on what both sides send, until the pod has sent all.
async fn exchange(
    stream: TcpStream,
    data: u32,
    mut received: mpsc::Receiver<Bytes>,
    frames: &mpsc::Sender<Bytes>,
) {
    let (mut from_pod, mut to_pod) = stream.into_split();
    let sending = async move {
        while let Some(bytes) = received.recv().await {
            if to_pod.write_all(&bytes).await.is_err() {
                break;
            }
        }
        _ = to_pod.shutdown().await;
        // The pod may still answer.
        std::future::pending::<()>().await;
    };
    let taking = async {
        let mut buffer = vec![0; PIECE_BYTES];
        while let Ok(read @ 1..) = from_pod.read(&mut buffer).await {
            if frames.send(spdy::data(data, &buffer[..read], false)).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = sending => {}
        () = taking => {}
    }
}
