//! The server's side of a node: its process, the pods there, and the processes in them. Must not depend on Kubernetes objects.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use rustix::fs::MemfdFlags;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::runtime::channel::Channel;
use crate::runtime::protocol::{NodeReply, NodeRequest, PodEvent, PodRequest, PodSandbox, Process};
use crate::separation::{Change, Separations};
use crate::{VERB, VERSION};

/// The node's process and network could not be had, or do not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NodeError(String);

impl NodeError {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        NodeError(message.into())
    }
}

impl From<io::Error> for NodeError {
    fn from(error: io::Error) -> Self {
        NodeError(error.to_string())
    }
}

/// The node's process with the network of the cluster. It ends, with all pods, when this is dropped.
#[derive(Debug)]
pub struct Node {
    channel: Mutex<Channel>,
    process: Mutex<Child>,
    /// The user and group that programs run as, where the node has a user namespace of its own.
    caller: Option<(u32, u32)>,
    on_host: bool,
    separations: watch::Sender<Arc<Separations>>,
    /// The names of the nodes of pods, by address.
    places: Mutex<HashMap<IpAddr, String>>,
    /// Sockets of the network of the cluster for TCP over IPv4, not connected.
    sockets: Mutex<Vec<OwnedFd>>,
}

impl Node {
    /// Starts the node's process of `program`, which calls [`crate::process`], with networks for pods and Services.
    ///
    /// # Errors
    /// Where the program cannot be started, or the system allows no namespaces: the message names the setting.
    pub fn start(program: &Path, pods: &[IpNet], services: &[IpNet]) -> Result<Self, NodeError> {
        let list = |ranges: &[IpNet]| ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        Node::begin(program, &["node", VERSION, &list(pods), &list(services)], false)
    }

    /// Starts the node's process of `program` without namespaces: pods are on the network of the host, with addresses of its
    /// loopback interface, and have the files of the machine.
    ///
    /// # Errors
    /// Where the program cannot be started.
    pub fn start_on_host(program: &Path) -> Result<Self, NodeError> {
        Node::begin(program, &["host", VERSION], true)
    }

    fn begin(program: &Path, arguments: &[&str], on_host: bool) -> Result<Self, NodeError> {
        let (channel, other) = Channel::pair()?;
        let process = Command::new(program)
            .arg(VERB)
            .args(arguments)
            .stdin(Stdio::from(other.into_fd()))
            .stdout(Stdio::null())
            // A key at the server's terminal is a signal for the server alone, which stops the pods.
            .process_group(0)
            .spawn()
            .map_err(|error| NodeError(format!("cannot start {}: {error}", program.display())))?;
        let caller = match channel.receive::<NodeReply>()? {
            Some((NodeReply::Ready(caller), _)) => caller,
            Some((NodeReply::Failed(reason), _)) => return Err(NodeError(reason)),
            Some((NodeReply::Done, _)) | None => {
                return Err(NodeError(format!("{} is not a program that runs pods", program.display())));
            }
        };
        Ok(Node {
            channel: Mutex::new(channel),
            process: Mutex::new(process),
            caller,
            on_host,
            separations: watch::Sender::default(),
            places: Mutex::default(),
            sockets: Mutex::default(),
        })
    }

    /// Whether pods are on the network of the host, without namespaces.
    pub fn is_on_host(&self) -> bool {
        self.on_host
    }

    /// The user and group of [`Process::user`] for programs that run as the caller.
    pub fn caller(&self) -> Option<(u32, u32)> {
        self.caller
    }

    /// Creates namespaces and network of a pod. Blocks for some milliseconds.
    ///
    /// # Errors
    /// Where the system refuses it.
    pub fn create_pod(&self, sandbox: PodSandbox) -> Result<Pod, NodeError> {
        let (channel, other) = Channel::pair()?;
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.extend(sandbox.addresses.iter().map(|address| (*address, sandbox.node.clone())));
        drop(places);
        self.ask(&NodeRequest::CreatePod(sandbox), &[other.as_fd()])?;
        Ok(Pod(Arc::new(PodChannel::new(channel)?)))
    }

    /// Binds UDP and TCP at an address of the network of the cluster, for DNS.
    ///
    /// # Errors
    /// Where the address is taken.
    pub fn bind(&self, address: SocketAddr) -> Result<(UdpSocket, TcpListener), NodeError> {
        let descriptors = self.ask(&NodeRequest::Bind(address), &[])?;
        let [datagrams, listener]: [OwnedFd; 2] =
            descriptors.try_into().map_err(|_| NodeError("two sockets are expected".to_string()))?;
        Ok((datagrams.into(), listener.into()))
    }

    /// Binds TCP at an address of the network of the cluster, for a Service.
    ///
    /// # Errors
    /// Where the address is taken.
    pub fn listen(&self, address: SocketAddr) -> Result<TcpListener, NodeError> {
        self.one(&NodeRequest::Listen { address, is_udp: false }).map(TcpListener::from)
    }

    /// Binds UDP at an address of the network of the cluster, for a Service.
    ///
    /// # Errors
    /// If the address is in use.
    pub(crate) fn bind_datagrams(&self, address: SocketAddr) -> Result<UdpSocket, NodeError> {
        self.one(&NodeRequest::Listen { address, is_udp: true }).map(UdpSocket::from)
    }

    /// Connects by TCP from the network of the cluster, as the nodes of other pods do.
    ///
    /// # Errors
    /// As [`tokio::net::TcpStream::connect`].
    pub(crate) async fn connect_to(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = if address.is_ipv4() {
            let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
            if sockets.is_empty() {
                let request = NodeRequest::Sockets { is_ipv4: true, is_udp: false };
                *sockets = self.ask(&request, &[]).map_err(io::Error::other)?;
            }
            sockets.pop()
        } else {
            let request = NodeRequest::Sockets { is_ipv4: false, is_udp: false };
            self.ask(&request, &[]).map_err(io::Error::other)?.pop()
        };
        let socket = socket.ok_or_else(|| io::Error::other("a socket is expected"))?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => connected(socket).await,
            Err(error) => Err(error.into()),
        }
    }

    /// A socket for UDP of the network of the cluster, connected to `address`.
    ///
    /// # Errors
    /// If the system has no sockets left.
    pub(crate) fn datagrams_to(&self, address: SocketAddr) -> io::Result<tokio::net::UdpSocket> {
        let request = NodeRequest::Sockets { is_ipv4: address.is_ipv4(), is_udp: true };
        let socket = self.one(&request).map_err(io::Error::other)?;
        rustix::net::connect(&socket, &address)?;
        tokio::net::UdpSocket::from_std(UdpSocket::from(socket))
    }

    /// The name of the node of the pod with this address; empty if there is none.
    pub(crate) fn node_of(&self, address: IpAddr) -> String {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.get(&address).cloned().unwrap_or_default()
    }

    /// Connects by TCP from the node of a pod, as its kubelet does: a node that is cut off reaches its own pods.
    ///
    /// # Errors
    /// As those of [`tokio::net::TcpStream::connect`].
    pub async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        connected(self.one(&NodeRequest::Dial(address)).map_err(io::Error::other)?).await
    }

    /// Connects the pods of a node with other nodes, DNS, API and Services, or cuts them off.
    ///
    /// # Errors
    /// Where the system refuses it.
    pub fn connect(&self, node: &str, connected: bool) -> Result<(), NodeError> {
        self.ask(&NodeRequest::Connect { node: node.to_string(), connected }, &[]).map(drop)
    }

    /// Drops all packets between separated addresses, and no others. Pods that are created later are separated from the start.
    ///
    /// # Errors
    /// If the system refuses it: some pods may then reach each other.
    pub fn separate(&self, separations: Separations) -> Result<(), NodeError> {
        let before = self.separations.borrow().clone();
        if *before == separations {
            return Ok(());
        }
        let changes = separations.changes_from(&before);
        self.separations.send_replace(Arc::new(separations));
        for Change { of, others, separated } in changes {
            self.ask(&NodeRequest::Separate { pod: of, others, separated }, &[])?;
        }
        Ok(())
    }

    /// The addresses that are separated, and their changes.
    pub(crate) fn separations(&self) -> watch::Receiver<Arc<Separations>> {
        self.separations.subscribe()
    }

    /// The descriptor of the reply.
    fn one(&self, request: &NodeRequest) -> Result<OwnedFd, NodeError> {
        let descriptor = self.ask(request, &[])?.pop();
        descriptor.ok_or_else(|| NodeError("a socket is expected".to_string()))
    }

    fn ask(
        &self,
        request: &NodeRequest,
        descriptors: &[std::os::fd::BorrowedFd<'_>],
    ) -> Result<Vec<OwnedFd>, NodeError> {
        let channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        channel.send(request, descriptors)?;
        match channel.receive::<NodeReply>()? {
            Some((NodeReply::Failed(reason), _)) => Err(NodeError(reason)),
            Some((_, descriptors)) => Ok(descriptors),
            None => Err(NodeError("the node's process has ended".to_string())),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Its pods end with it.
        _ = process.kill();
        _ = process.wait();
    }
}

/// Waits for a connection that has begun.
pub(crate) async fn connected(socket: OwnedFd) -> io::Result<TcpStream> {
    let stream = TcpStream::from_std(std::net::TcpStream::from(socket))?;
    stream.writable().await?;
    match stream.take_error()? {
        None => Ok(stream),
        Some(error) => Err(error),
    }
}

/// A pod's namespaces and processes. They end when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Pod(Arc<PodChannel>);

#[derive(Debug)]
struct PodChannel {
    channel: AsyncFd<Channel>,
    /// The sockets of [`PodEvent::Dialed`], until they are taken.
    dialed: Mutex<HashMap<u64, OwnedFd>>,
}

impl PodChannel {
    fn new(channel: Channel) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&channel, true)?;
        // The successor of `new` is unsafe, for types whose descriptor changes. That of a channel does not.
        #[allow(deprecated)]
        AsyncFd::new(channel).map(|channel| PodChannel { channel, dialed: Mutex::default() })
    }
}

impl PodChannel {
    fn dialed(&self) -> MutexGuard<'_, HashMap<u64, OwnedFd>> {
        self.dialed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pod {
    /// Starts a process, in the container whose first process has the number `joins` or else in a new container. What comes of
    /// it is a [`PodEvent`] with this `id`.
    ///
    /// # Errors
    /// Where the pod has ended.
    pub async fn start(
        &self,
        id: u64,
        joins: Option<u64>,
        process: &Process,
        stdio: [OwnedFd; 3],
    ) -> io::Result<()> {
        let described = rustix::fs::memfd_create("process", MemfdFlags::CLOEXEC)?;
        let mut described = std::fs::File::from(described);
        described.write_all(&serde_json::to_vec(process)?)?;
        let [stdin, stdout, stderr] = &stdio;
        let descriptors = [described.as_fd(), stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
        self.send(&PodRequest::Start { id, joins }, &descriptors).await
    }

    /// Sends a signal to a process, if it has not ended.
    ///
    /// # Errors
    /// Where the pod has ended.
    pub async fn signal(&self, id: u64, signal: i32) -> io::Result<()> {
        self.send(&PodRequest::Signal { id, signal }, &[]).await
    }

    /// Begins a TCP connection from inside the pod. The event [`PodEvent::Dialed`] has this `id`.
    ///
    /// # Errors
    /// Where the pod has ended.
    pub async fn dial(&self, id: u64, address: SocketAddr) -> io::Result<()> {
        self.send(&PodRequest::Dial { id, address }, &[]).await
    }

    /// Waits for the connection of a [`PodEvent::Dialed`] that was received.
    ///
    /// # Errors
    /// As those of [`tokio::net::TcpStream::connect`].
    pub async fn dialed(&self, id: u64) -> io::Result<TcpStream> {
        let socket = self.0.dialed().remove(&id);
        connected(socket.ok_or_else(|| io::Error::other("there is no such connection"))?).await
    }

    /// The next event; `None` once the pod has ended.
    ///
    /// # Errors
    /// Where the channel fails.
    pub async fn event(&self) -> io::Result<Option<PodEvent>> {
        loop {
            let mut ready = self.0.channel.readable().await?;
            let Ok(received) = ready.try_io(|channel| channel.get_ref().receive::<PodEvent>()) else {
                continue;
            };
            let Some((event, descriptors)) = received? else { return Ok(None) };
            if let (PodEvent::Dialed { id }, Some(socket)) = (&event, descriptors.into_iter().next()) {
                self.0.dialed().insert(*id, socket);
            }
            return Ok(Some(event));
        }
    }

    async fn send(
        &self,
        request: &PodRequest,
        descriptors: &[std::os::fd::BorrowedFd<'_>],
    ) -> io::Result<()> {
        loop {
            let mut ready = self.0.channel.writable().await?;
            if let Ok(sent) = ready.try_io(|channel| channel.get_ref().send(request, descriptors)) {
                return sent;
            }
        }
    }
}
