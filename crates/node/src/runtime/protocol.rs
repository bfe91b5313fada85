//! What the server, the node's process, and the init process of each pod send each other. Must not depend on how.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// From the server to the node's process. Each is answered by a [`NodeReply`], in order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum NodeRequest {
    /// Create namespaces and network of a pod. Comes with the descriptor of its init process's channel.
    CreatePod(PodSandbox),
    /// Bind UDP and TCP at this address of the cluster's network: the reply brings both sockets.
    Bind(SocketAddr),
    /// Bind TCP or UDP at this address of the cluster's network: the reply brings the socket.
    Listen { address: SocketAddr, is_udp: bool },
    /// Begin a TCP connection from the node of the pod with this address: the reply brings the socket, which does not block.
    Dial(SocketAddr),
    /// Open a socket for UDP, or several for TCP, in the network of the cluster: the reply brings them; they do not block.
    Sockets { is_ipv4: bool, is_udp: bool },
    /// Drop what the pod at an address sends to others, or no longer do. It may be created later.
    Separate { pod: IpAddr, others: Vec<IpAddr>, separated: bool },
    /// Connect a node's pods with the other nodes and the cluster's Services, or cut them off.
    Connect { node: String, connected: bool },
}

/// What a pod has of its own before its first container starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PodSandbox {
    /// The name of the node, whose pods can be cut off from those of others.
    pub node: String,
    /// The hostname, of at most 64 bytes.
    pub hostname: String,
    /// Its addresses, at most one of each family; none on the network of the host.
    pub addresses: Vec<IpAddr>,
}

/// From the node's process to the server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum NodeReply {
    /// The network is there. The caller's user and group where the node has a user namespace of its own.
    Ready(Option<(u32, u32)>),
    Done,
    Failed(String),
}

/// From the server to a pod's init process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum PodRequest {
    /// Start a process, in the container of the process that it joins, or else in a new one. Comes with four descriptors: a
    /// file with its [`Process`], standard input, output and error.
    Start { id: u64, joins: Option<u64> },
    /// Send a signal to the process, if it has not ended.
    Signal { id: u64, signal: i32 },
    /// Begin a TCP connection from inside the pod.
    Dial { id: u64, address: SocketAddr },
}

/// From a pod's init process to the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PodEvent {
    /// The program of the process runs.
    Started {
        /// Number of the process in its pod.
        id: u64,
    },
    /// There is no such process, because its program could not be started.
    NotStarted {
        /// Number of the process in its pod.
        id: u64,
        /// Why not, in the words of the system.
        reason: String,
    },
    /// The process has ended, and with a container's first process all others of that container.
    Exited {
        /// Number of the process in its pod.
        id: u64,
        /// The exit code; 128 and the signal's number where a signal ended it.
        code: i32,
    },
    /// A connection has begun. The event comes with its socket, which does not block.
    Dialed {
        /// Number of the connection in its pod.
        id: u64,
    },
}

/// A process of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The program, looked up in the `PATH` of `env`, and its arguments.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// Where it starts, as the container sees it.
    pub working_dir: PathBuf,
    /// What differs from the machine's files, in this order.
    pub mounts: Vec<Mount>,
    /// Empty folder of the container's own, for what holds the mounts.
    pub scratch: PathBuf,
    /// Whether programs may write to the machine's files outside of mounts.
    pub writable: bool,
    /// The user and group that it runs as, where the node has a user namespace of its own.
    pub user: Option<(u32, u32)>,
    /// Whether standard input is a terminal, which becomes the controlling one.
    pub terminal: bool,
}

/// A file or folder at another place in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// The file or folder on the machine.
    pub source: PathBuf,
    /// The part of it that is mounted, as a path below it; empty for all of it. Links that lead out of it are refused.
    pub below: PathBuf,
    /// Where the container sees it; an absolute path without `..`.
    pub target: PathBuf,
    /// Whether programs cannot write there.
    pub read_only: bool,
}
