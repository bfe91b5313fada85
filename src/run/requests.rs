//! The kubelet, as the API uses it: logs, processes and connections of pods. Must not depend on HTTP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use clusterlocal_api::kubelet::{Container, Kubelet, Later, Log, LogOptions, Session, Streams};
use clusterlocal_node::{Node, StreamOptions, Streaming};
use tokio::net::TcpStream;

/// The kubelet of the nodes of a cluster.
pub(super) struct Requests {
    node: Arc<Node>,
    streaming: Streaming,
}

impl Requests {
    pub(super) fn new(node: Arc<Node>, streaming: Streaming) -> Arc<Self> {
        Arc::new(Requests { node, streaming })
    }
}

impl Kubelet for Requests {
    fn log(&self, container: &Container, options: LogOptions) -> Result<Log, String> {
        let LogOptions { previous, follow, tail, limit_bytes, since, timestamps } = options;
        let options =
            clusterlocal_node::LogOptions { previous, follow, tail, limit_bytes, since, timestamps };
        self.streaming.log(&container.uid, &container.name, options).map_err(|error| error.to_string())
    }

    fn exec<'a>(
        &'a self,
        container: &'a Container,
        command: Vec<String>,
        streams: Streams,
    ) -> Later<'a, Result<Session, String>> {
        Box::pin(async move {
            let session =
                self.streaming.exec(&container.uid, &container.name, command, options(streams)).await;
            session.map(converted).map_err(|error| error.to_string())
        })
    }

    fn attach(&self, container: &Container, streams: Streams) -> Result<Session, String> {
        let session = self.streaming.attach(&container.uid, &container.name, options(streams));
        session.map(converted).map_err(|error| error.to_string())
    }

    fn forward<'a>(&'a self, uid: &'a str, port: u16) -> Later<'a, io::Result<TcpStream>> {
        Box::pin(self.streaming.connect(uid, port))
    }

    fn dial(&self, address: SocketAddr) -> Later<'_, io::Result<TcpStream>> {
        Box::pin(self.node.dial(address))
    }
}

fn options(streams: Streams) -> StreamOptions {
    StreamOptions { stdin: streams.stdin, tty: streams.tty }
}

/// The session as the API has it.
fn converted(session: clusterlocal_node::Session) -> Session {
    let clusterlocal_node::Session { input, output, exit_code, resize } = session;
    Session { input, output, exit_code, resize }
}
