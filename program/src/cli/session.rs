//! The client's side of `exec`: the streams of a process over a WebSocket (`v5.channel.k8s.io`), with the terminal of this program.
//! Must not depend on which program runs.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use futures_util::{SinkExt, StreamExt};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::failure::Failure;

/// What a process has for a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    None,
    /// That of this program, which passes on every key.
    Raw,
}

/// The first byte of a message, as in the API's `remote_command`.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// Size of the pieces that are read from standard input, in bytes.
const PIECE_BYTES: usize = 32 << 10;

/// Runs the process at `path` of the API at `address`, until it ends. Returns its exit code.
///
/// # Errors
/// If the server cannot be reached, or refuses.
pub fn run(address: SocketAddr, path: &str, terminal: Terminal) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Network(format!("cannot start a runtime: {error}")))?;
    let ended = runtime.block_on(converse(address, path, terminal));
    // Not waiting for a thread that reads standard input.
    runtime.shutdown_background();
    ended
}

async fn converse(address: SocketAddr, path: &str, terminal: Terminal) -> Result<ExitCode, Failure> {
    let unreachable = |error: &dyn std::fmt::Display| {
        Failure::Network(format!("cannot reach the API at http://{address}: {error}"))
    };
    let stream = TcpStream::connect(address).await.map_err(|error| unreachable(&error))?;
    let mut request =
        format!("ws://{address}{path}").into_client_request().map_err(|error| unreachable(&error))?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("v5.channel.k8s.io"));
    let connected = tokio_tungstenite::client_async(request, stream).await;
    let (socket, _) = connected.map_err(|error| match error {
        Error::Http(response) => refused(response.body().as_deref().unwrap_or_default()),
        error => unreachable(&error),
    })?;
    let raw = Raw::of(terminal);
    let (mut sink, mut messages) = socket.split();
    let (input, mut typed) = mpsc::channel(1);
    std::thread::spawn(move || read_input(&input));
    let resized = signal(SignalKind::window_change());
    let mut resized = resized.map_err(|error| Failure::Network(format!("cannot handle signals: {error}")))?;
    let size = || raw.is_some().then(size).flatten();
    if let Some(size) = size() {
        _ = sink.send(size).await;
    }
    let mut is_open = true;
    loop {
        tokio::select! {
            received = messages.next() => match received {
                Some(Ok(Message::Binary(bytes))) => match bytes.first() {
                    Some(&STDOUT) => _ = write(std::io::stdout(), &bytes[1..]),
                    Some(&STDERR) => _ = write(std::io::stderr(), &bytes[1..]),
                    Some(&ERROR) => return ended(&bytes[1..]),
                    _ => {}
                },
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(unreachable(&error)),
                None => return Err(unreachable(&"the connection has ended")),
            },
            piece = typed.recv(), if is_open => {
                is_open = piece.is_some();
                let message = match piece {
                    Some(piece) => [vec![STDIN], piece].concat(),
                    None => vec![CLOSE, STDIN],
                };
                _ = sink.send(Message::Binary(message.into())).await;
            }
            Some(()) = resized.recv() => if let Some(size) = size() {
                _ = sink.send(size).await;
            },
        }
    }
}

/// The exit code in the Status at the end, or its message.
fn ended(status: &[u8]) -> Result<ExitCode, Failure> {
    let status: Value = serde_json::from_slice(status).unwrap_or_default();
    if status["status"] == "Success" {
        return Ok(ExitCode::SUCCESS);
    }
    let code =
        (status["reason"] == "NonZeroExitCode").then(|| status["details"]["causes"][0]["message"].as_str());
    match code.flatten().and_then(|code| code.parse::<u8>().ok()) {
        Some(code) => Ok(ExitCode::from(code)),
        None => {
            Err(Failure::Input(status["message"].as_str().unwrap_or("the server has no message").to_owned()))
        }
    }
}

/// What the server answers in place of an upgrade.
fn refused(body: &[u8]) -> Failure {
    let status: Value = serde_json::from_slice(body).unwrap_or_default();
    Failure::Input(
        status["message"].as_str().unwrap_or("the server does not upgrade the connection").to_owned(),
    )
}

fn read_input(to: &mpsc::Sender<Vec<u8>>) {
    let mut buffer = vec![0; PIECE_BYTES];
    while let Ok(read @ 1..) = std::io::stdin().lock().read(&mut buffer) {
        if to.blocking_send(buffer[..read].to_vec()).is_err() {
            return;
        }
    }
}

fn write(mut to: impl Write, bytes: &[u8]) -> std::io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

/// The message with the size of the terminal.
fn size() -> Option<Message> {
    let size = tcgetwinsize(std::io::stdout()).ok()?;
    let size = json!({"Width": size.ws_col, "Height": size.ws_row}).to_string();
    Some(Message::Binary([&[RESIZE], size.as_bytes()].concat().into()))
}

/// The terminal in raw mode, until this is dropped.
struct Raw(Termios);

impl Raw {
    fn of(terminal: Terminal) -> Option<Raw> {
        let before = tcgetattr(std::io::stdin()).ok().filter(|_| terminal == Terminal::Raw)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Raw(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
