//! The program as a user runs it: started on free ports, and stopped by its process id when the test ends.
#![allow(dead_code, reason = "each test uses its part")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running server.
pub struct Server {
    child: Child,
    pub dns: SocketAddr,
    /// The address of the API, if it is served.
    pub api: Option<SocketAddr>,
}

impl Server {
    /// Serves `manifest` with further arguments, and waits until it is ready.
    pub fn start(manifest: &Path, arguments: &[&str]) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clusterlocal"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"])
            .args(arguments)
            .arg(manifest);
        Server::spawn(&mut command)
    }

    /// The same with another command line.
    pub fn spawn(command: &mut Command) -> Server {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
        let mut ready = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut ready).expect("a line");
        let address =
            |key: &str| ready.split_whitespace().find_map(|word| word.strip_prefix(key)?.parse().ok());
        let Some(dns) = address("dns=") else { panic!("no ready line but {ready:?}") };
        Server { child, dns, api: address("api=") }
    }
}

impl Server {
    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
