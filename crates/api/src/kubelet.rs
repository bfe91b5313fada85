//! What kube-apiserver requests from kubelets, whose pods run: logs, processes in containers, and connections. Must not depend on
//! HTTP.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use clusterlocal_core::store::Time;
use hyper::body::Bytes;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

/// The result of a request, later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The kubelets of a cluster. Their errors are messages in the kubelet's words.
pub trait Kubelet: Send + Sync {
    /// The log of a container.
    ///
    /// # Errors
    /// If there is none.
    fn log(&self, container: &Container, options: LogOptions) -> Result<Log, String>;

    /// Starts a process in a container.
    fn exec<'a>(
        &'a self,
        container: &'a Container,
        command: Vec<String>,
        streams: Streams,
    ) -> Later<'a, Result<Session, String>>;

    /// Attaches to the first process of a container.
    ///
    /// # Errors
    /// If the container does not run.
    fn attach(&self, container: &Container, streams: Streams) -> Result<Session, String>;

    /// Connects to a port at the loopback address of the pod with this UID.
    fn forward<'a>(&'a self, uid: &'a str, port: u16) -> Later<'a, io::Result<TcpStream>>;

    /// Connects to an address of the network of the pods.
    fn dial(&self, address: SocketAddr) -> Later<'_, io::Result<TcpStream>>;
}

/// A log as it is read. The channel closes at its end.
pub type Log = mpsc::Receiver<Bytes>;

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The UID of the pod.
    pub uid: String,
    /// The name of the container.
    pub name: String,
}

/// Which part of a log (`PodLogOptions`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// That of the run before.
    pub previous: bool,
    /// New lines as well, until the container ends.
    pub follow: bool,
    /// Maximum number of lines, from the end.
    pub tail: Option<u64>,
    /// Maximum number of bytes.
    pub limit_bytes: Option<u64>,
    /// Time of the first line.
    pub since: Option<Time>,
    /// Each line begins with its time.
    pub timestamps: bool,
}

/// Which streams of a process a client uses. All of them get its output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    /// Whether the client writes standard input.
    pub stdin: bool,
    /// Whether the process has a terminal.
    pub tty: bool,
}

/// A process that a client uses. The process is hung up when this is dropped.
pub struct Session {
    /// Standard input, which is closed when this is dropped.
    pub input: Option<mpsc::Sender<Bytes>>,
    /// What the process writes, until all writers have closed it: 1 for standard output or 2 for standard error, and the bytes.
    pub output: mpsc::Receiver<(u8, Bytes)>,
    /// The exit code, once the process has ended; 0 for one that is attached to.
    pub exit_code: oneshot::Receiver<i32>,
    /// Sets width and height of the terminal, in characters.
    pub resize: Box<dyn Fn(u16, u16) + Send + Sync>,
}
