//! Sockets of servers that a test runs itself.

use tokio::net::{TcpListener, UdpSocket};

/// Returns sockets of one port for both transports: a port that is free for UDP may be in use by another test for TCP.
pub async fn both_of_one_port() -> (UdpSocket, TcpListener) {
    loop {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(listener) = TcpListener::bind(socket.local_addr().unwrap()).await {
            return (socket, listener);
        }
    }
}
