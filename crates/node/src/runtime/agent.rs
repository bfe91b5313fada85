//! The node's process: it holds the network of the cluster, and makes namespaces and network of each pod. It has one thread,
//! because namespaces belong to threads. Must not depend on containers.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, ExitCode, Stdio};

use ipnet::IpNet;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, sethostname};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::channel::Channel;
use super::init::descriptor_of;
use super::namespaces::leave_the_machine;
use super::protocol::{NodeReply, NodeRequest, PodSandbox};
use crate::ON_HOST;
use crate::network::{Inside, Network, separate};

/// The namespaces of a pod that all its containers share, and the files of those of this process.
const OF_A_POD: [(CloneFlags, &str); 4] = [
    (CloneFlags::CLONE_NEWNET, "/proc/self/ns/net"),
    (CloneFlags::CLONE_NEWUTS, "/proc/self/ns/uts"),
    (CloneFlags::CLONE_NEWIPC, "/proc/self/ns/ipc"),
    (CloneFlags::CLONE_NEWPID, "/proc/self/ns/pid"),
];

/// Creates the namespaces of the node, and starts its process in them, which is number 1 of their PID namespace. The channel is at
/// standard input of both. Where the system allows no namespaces, it takes the reason.
pub(crate) fn enter(pods: &str, services: &str) -> ExitCode {
    _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let started = leave_the_machine().map_err(|error| error.to_string()).and_then(|caller| {
        let caller = caller.map_or_else(String::new, |(user, group)| format!("{user}:{group}"));
        let arguments = [crate::VERB, "agent", pods, services, &caller];
        let child = std::env::current_exe().and_then(|program| Command::new(program).args(arguments).spawn());
        child.map_err(|error| format!("cannot start the node's process: {error}"))
    });
    match started {
        Ok(mut agent) => match agent.wait() {
            Ok(status) if status.success() => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        },
        Err(reason) => refuse(reason),
    }
}

/// Reports to the server, by the channel at standard input, why this program is not its node's process.
pub(crate) fn refuse(reason: String) -> ExitCode {
    if let Ok(channel) = Channel::from_stdin() {
        _ = channel.send(&NodeReply::Failed(reason), &[]);
    }
    ExitCode::FAILURE
}

/// Runs the node's process without namespaces, with the channel at standard input, until the server closes it.
pub(crate) fn run_on_host() -> ExitCode {
    serve(Agent::start(None, None))
}

/// Runs the node's process with the channel at standard input, until the server closes it. The first message is a
/// [`NodeReply`] that the network is there, or why it is not. Programs run as the `caller`.
pub(crate) fn run(pods: &[IpNet], services: &[IpNet], caller: Option<(u32, u32)>) -> ExitCode {
    serve(Agent::start(Some((pods, services)), caller))
}

fn serve(started: Result<Agent, (Option<Channel>, String)>) -> ExitCode {
    match started {
        Ok(agent) => agent.run(),
        Err((channel, reason)) => {
            if let Some(channel) = channel {
                _ = channel.send(&NodeReply::Failed(reason), &[]);
            }
            ExitCode::FAILURE
        }
    }
}

struct Agent {
    channel: Channel,
    /// None where pods are on the network of the host.
    network: Option<Network>,
    runtime: tokio::runtime::Runtime,
    /// Readable when an init process has ended.
    ends: SignalFd,
    /// The namespaces that it returns to.
    home: Vec<(CloneFlags, File)>,
    /// The pods by address.
    pods: HashMap<IpAddr, PodProcess>,
    /// From which addresses each pod is separated, also before it is created.
    separations: HashMap<IpAddr, HashSet<IpAddr>>,
}

/// The init process of a pod.
struct PodProcess {
    pid: Pid,
    /// Its namespaces, without holding them.
    process: OwnedFd,
    /// The name of its node.
    node: String,
}

impl Agent {
    fn start(
        ranges: Option<(&[IpNet], &[IpNet])>,
        caller: Option<(u32, u32)>,
    ) -> Result<Self, (Option<Channel>, String)> {
        let channel = Channel::from_stdin().map_err(|error| (None, error.to_string()))?;
        let started = || -> Result<_, String> {
            _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
            let home = own_namespaces().map_err(|error| error.to_string())?;
            let ends = ends().map_err(|error| error.to_string())?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| error.to_string())?;
            let network = match ranges {
                Some((pods, services)) => Some(
                    runtime.block_on(Network::create(pods, services)).map_err(|error| error.to_string())?,
                ),
                None => None,
            };
            Ok((home, ends, runtime, network))
        };
        match started() {
            Ok((home, ends, runtime, network)) => {
                _ = channel.send(&NodeReply::Ready(caller), &[]);
                let (pods, separations) = Default::default();
                Ok(Agent { channel, network, runtime, ends, home, pods, separations })
            }
            Err(reason) => Err((Some(channel), reason)),
        }
    }

    fn run(mut self) -> ExitCode {
        loop {
            let mut waiting = [
                PollFd::new(self.channel.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.ends.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut waiting, PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(_) => return ExitCode::FAILURE,
            }
            let is_there = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
            let (asked, ended) = (is_there(&waiting[0]), is_there(&waiting[1]));
            if ended {
                _ = self.ends.read_signal();
                self.reap();
            }
            if !asked {
                continue;
            }
            let Ok(Some((request, descriptors))) = self.channel.receive::<NodeRequest>() else { break };
            let (reply, sent) = match self.carry_out(request, descriptors) {
                Ok(sent) => (NodeReply::Done, sent),
                Err(error) => (NodeReply::Failed(error.to_string()), Vec::new()),
            };
            let borrowed: Vec<_> = sent.iter().map(AsFd::as_fd).collect();
            if self.channel.send(&reply, &borrowed).is_err() {
                break;
            }
        }
        ExitCode::SUCCESS
    }

    fn carry_out(&mut self, request: NodeRequest, descriptors: Vec<OwnedFd>) -> io::Result<Vec<OwnedFd>> {
        match request {
            NodeRequest::CreatePod(pod) => {
                let channel = descriptors.into_iter().next();
                let channel = channel
                    .ok_or_else(|| io::Error::other("the channel of the pod's init process is missing"))?;
                self.create_pod(&pod, channel)?;
                Ok(Vec::new())
            }
            NodeRequest::Bind(address) => self.bind(address),
            NodeRequest::Listen { address, is_udp } => {
                self.add_address(address)?;
                let socket = if is_udp { UdpSocket::bind(address)?.into() } else { listen(address)? };
                Ok(vec![socket])
            }
            NodeRequest::Dial(address) => self.dial(address).map(|socket| vec![socket]),
            NodeRequest::Sockets { is_ipv4, is_udp: true } => Ok(vec![socket(is_ipv4, SocketType::DGRAM)?]),
            NodeRequest::Sockets { is_ipv4, is_udp: false } => {
                (0..SOCKETS).map(|_| socket(is_ipv4, SocketType::STREAM)).collect()
            }
            NodeRequest::Separate { pod, others, separated } => {
                self.separate(pod, &others, separated)?;
                Ok(Vec::new())
            }
            NodeRequest::Connect { node, connected } => {
                let network = self.network.as_mut().ok_or_else(|| {
                    io::Error::other("pods on the network of the host cannot be cut off from each other")
                })?;
                self.runtime.block_on(network.connect(&node, connected))?;
                Ok(Vec::new())
            }
        }
    }

    /// Creates the namespaces of a pod, connects it, and starts its init process in them.
    fn create_pod(&mut self, pod: &PodSandbox, channel: OwnedFd) -> io::Result<()> {
        if self.network.is_none() {
            return self.spawn_init(channel, &["init", ON_HOST]).map(drop);
        }
        unshare(OF_A_POD.iter().fold(CloneFlags::empty(), |all, (kind, _)| all | *kind))?;
        let created = self.start_init(pod, channel);
        for (kind, namespace) in &self.home {
            setns(namespace, *kind).map_err(at("the way back to the node"))?;
        }
        let (inside, pid) = created?;
        // The other end of the link is in this process's network again.
        if let Some(network) = &mut self.network {
            self.runtime.block_on(network.add_pod(inside, pod))?;
        }
        for address in &pod.addresses {
            let process = PodProcess { pid, process: descriptor_of(pid)?, node: pod.node.clone() };
            self.pods.insert(*address, process);
            let others: Vec<IpAddr> = self.separations.get(address).into_iter().flatten().copied().collect();
            self.cut(*address, &others, true)?;
        }
        Ok(())
    }

    /// In the namespaces of the new pod. Returns its network and its first process.
    fn start_init(&mut self, pod: &PodSandbox, channel: OwnedFd) -> io::Result<(Inside, Pid)> {
        sethostname(&pod.hostname).map_err(at("the hostname"))?;
        let inside = Inside::open(&self.runtime).map_err(at("the network"))?;
        let pid = self.spawn_init(channel, &["init"])?;
        Ok((inside, pid))
    }

    fn spawn_init(&self, channel: OwnedFd, arguments: &[&str]) -> io::Result<Pid> {
        let program = std::env::current_exe()?;
        let init = Command::new(program)
            .arg(crate::VERB)
            .args(arguments)
            .env_clear()
            .stdin(Stdio::from(channel))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Pid::from_raw(init.id().cast_signed()))
    }

    /// Gives the bridge of the cluster an address; the loopback interface of the host has all of its own.
    fn add_address(&mut self, address: SocketAddr) -> io::Result<()> {
        match &mut self.network {
            Some(network) => self.runtime.block_on(network.add_address(address.ip())),
            None => Ok(()),
        }
    }

    /// Records from which addresses a pod is separated, and separates it if it is there.
    fn separate(&mut self, pod: IpAddr, others: &[IpAddr], separated: bool) -> io::Result<()> {
        let separations = self.separations.entry(pod).or_default();
        for other in others {
            if separated {
                separations.insert(*other);
            } else {
                separations.remove(other);
            }
        }
        if separations.is_empty() {
            self.separations.remove(&pod);
        }
        self.cut(pod, others, separated)
    }

    fn cut(&mut self, pod: IpAddr, others: &[IpAddr], separated: bool) -> io::Result<()> {
        let others: Vec<IpAddr> =
            others.iter().copied().filter(|other| other.is_ipv4() == pod.is_ipv4()).collect();
        let Some(there) = self.pods.get(&pod).filter(|_| !others.is_empty()) else { return Ok(()) };
        // One that has ended has no network.
        if setns(&there.process, CloneFlags::CLONE_NEWNET).is_err() {
            return Ok(());
        }
        let cut = self.runtime.block_on(separate(&others, separated));
        for (kind, namespace) in self.home.iter().filter(|(kind, _)| *kind == CloneFlags::CLONE_NEWNET) {
            setns(namespace, *kind).map_err(at("the way back to the node"))?;
        }
        cut
    }

    /// Begins a connection from the pod's node, as the kubelet does: a node that is cut off reaches its own pods. Whether it succeeds
    /// shows when the socket can be written to.
    fn dial(&mut self, address: SocketAddr) -> io::Result<OwnedFd> {
        let socket = socket(address.is_ipv4(), SocketType::STREAM)?;
        let pod = self.pods.get(&address.ip()).filter(|_| address.is_ipv4());
        if let (Some(pod), Some(network)) = (pod, &mut self.network) {
            let link = self.runtime.block_on(network.link_of(&pod.node))?;
            setsockopt(&socket, sockopt::BindToDevice, &OsString::from(link))?;
        }
        connect(socket, address)
    }

    /// Removes the init processes that have ended from the process table.
    fn reap(&mut self) {
        while let Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) =
            waitpid(None, Some(WaitPidFlag::WNOHANG))
        {
            self.pods.retain(|_, pod| pod.pid != pid);
        }
    }

    fn bind(&mut self, address: SocketAddr) -> io::Result<Vec<OwnedFd>> {
        self.add_address(address)?;
        let datagrams = UdpSocket::bind(address)?;
        let listener = TcpListener::bind(address)?;
        Ok(vec![datagrams.into(), listener.into()])
    }
}

/// Names the step that failed.
fn at<E: Into<io::Error>>(step: &'static str) -> impl FnOnce(E) -> io::Error {
    move |error| {
        let error = error.into();
        io::Error::new(error.kind(), format!("{step}: {error}"))
    }
}

/// Begins a connection. Whether it succeeds shows when the socket can be written to.
pub(super) fn dial(address: SocketAddr) -> io::Result<OwnedFd> {
    connect(socket(address.is_ipv4(), SocketType::STREAM)?, address)
}

fn connect(socket: OwnedFd, address: SocketAddr) -> io::Result<OwnedFd> {
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// Number of sockets of one reply.
const SOCKETS: usize = 16;

/// Maximum number of connections that wait to be accepted (`net.core.somaxconn`): clients connect at the same moment.
const BACKLOG: i32 = 4096;

fn listen(address: SocketAddr) -> io::Result<OwnedFd> {
    let listener = socket(address.is_ipv4(), SocketType::STREAM)?;
    rustix::net::sockopt::set_socket_reuseaddr(&listener, true)?;
    rustix::net::bind(&listener, &address)?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// A socket that does not block.
fn socket(is_ipv4: bool, kind: SocketType) -> io::Result<OwnedFd> {
    let family = if is_ipv4 { AddressFamily::INET } else { AddressFamily::INET6 };
    Ok(rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?)
}

/// The namespaces of this process, for `setns`.
fn own_namespaces() -> io::Result<Vec<(CloneFlags, File)>> {
    OF_A_POD.into_iter().map(|(kind, file)| Ok((kind, File::open(file)?))).collect()
}

/// A descriptor that takes the signals about children that have ended.
fn ends() -> nix::Result<SignalFd> {
    let mut ends = SigSet::empty();
    ends.add(Signal::SIGCHLD);
    ends.thread_block()?;
    SignalFd::new(&ends)
}
