//! `exec` and `attach`: the streams of a process over one WebSocket (`apimachinery/pkg/util/remotecommand`, client-go's
//! `tools/remotecommand`). Must not depend on how processes start.

use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::tungstenite::Message;

use super::Connect;
use super::location::{container, is_placed};
use super::websocket::{IDLE_LIMIT, Socket, accept, close, negotiate};
use crate::http::query::boolean;
use crate::http::reply::Body;
use crate::http::server::stopped;
use crate::http::status::Status;
use crate::kubelet::{Session, Streams};

/// The subprotocols. The newer one has [`CLOSE`].
const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/// The first byte of a message: which stream it belongs to. Output has the numbers of its descriptors.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
/// The Status at the end.
const ERROR: u8 = 3;
/// `{"Width": …, "Height": …}` of the terminal.
const RESIZE: u8 = 4;
/// The stream of the next byte is closed.
const CLOSE: u8 = 255;

/// Time without output after the end of a process until its output has ended, where other processes still have it.
const DRAIN: Duration = Duration::from_millis(500);

impl Connect {
    /// `exec` and `attach`, as `verb` states.
    pub(super) async fn remote_command(
        self,
        request: Request<Incoming>,
        verb: &'static str,
    ) -> Result<Response<Body>, Status> {
        let asked = Asked::parse(request.uri().query().unwrap_or_default());
        let pod = self.pod().await?;
        let container = container(&pod, &asked.container)?;
        if !is_placed(&pod) {
            let name = &self.place.name;
            return Err(Status::bad_request(format!("pod {name} does not have a host assigned")));
        }
        if verb == "exec" && asked.command.is_empty() {
            return Err(Status::bad_request("you must specify at least one command for the container"));
        }
        let protocol = negotiate(request.headers(), &PROTOCOLS)?;
        let (response, socket) = accept(request, protocol);
        tokio::spawn(async move {
            let Some(socket) = socket.await else { return };
            let Asked { command, streams, .. } = asked;
            let session = match verb {
                "exec" => self.kubelet.exec(&container, command, streams).await,
                _ => self.kubelet.attach(&container, streams),
            };
            let mut stop = self.api.stop.clone();
            match session {
                Ok(session) => {
                    tokio::select! {
                        () = converse(socket, session) => {}
                        () = stopped(&mut stop) => {}
                    }
                }
                Err(message) => refuse(socket, &message).await,
            }
        });
        Ok(response)
    }
}

/// The parameters of a request. Output is always wanted: kube-apiserver sets `stdout` and `stderr` (`SetDefaults_PodExecOptions`).
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    container: String,
    command: Vec<String>,
    streams: Streams,
}

impl Asked {
    fn parse(query: &str) -> Asked {
        let mut asked = Asked::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "container" => asked.container = value.into_owned(),
                "command" => asked.command.push(value.into_owned()),
                "stdin" => asked.streams.stdin = boolean(&value),
                "tty" => asked.streams.tty = boolean(&value),
                _ => {}
            }
        }
        asked
    }
}

/// Passes on what client and process write, until the process has ended or the client goes away.
async fn converse(mut socket: Socket, session: Session) {
    // As kube-apiserver does it: the client sees that the connection is there.
    if socket.send(message(STDOUT, &[])).await.is_err() {
        return;
    }
    let Session { input, output, exit_code, resize } = session;
    let (sink, mut stream) = socket.split();
    let (beat, beats) = mpsc::channel(1);
    let status = {
        let incoming = take(&mut stream, input, &*resize, &beat);
        let outgoing = give(sink, output, exit_code, &beat);
        tokio::select! {
            // Dropping the session ends the process.
            () = incoming => None,
            ended = outgoing => ended,
            () = idle(beats) => None,
        }
    };
    let Some((mut sink, code)) = status else { return };
    if sink.send(message(ERROR, ended(code).to_string().as_bytes())).await.is_ok()
        && let Ok(socket) = sink.reunite(stream)
    {
        close(socket).await;
    }
}

/// Takes the messages of the client until it goes away.
async fn take(
    stream: &mut SplitStream<Socket>,
    mut input: Option<mpsc::Sender<Bytes>>,
    resize: &(dyn Fn(u16, u16) + Send + Sync),
    beat: &mpsc::Sender<()>,
) {
    while let Some(Ok(received)) = stream.next().await {
        _ = beat.try_send(());
        let Message::Binary(bytes) = received else { continue };
        match bytes.first() {
            Some(&STDIN) => {
                if let Some(to) = &input
                    && bytes.len() > 1
                {
                    // Waits for a process that reads slowly, and with it the client.
                    _ = to.send(bytes.slice(1..)).await;
                }
            }
            Some(&RESIZE) => {
                if let Some((width, height)) = size(&bytes[1..]) {
                    resize(width, height);
                }
            }
            Some(&CLOSE) if bytes.get(1) == Some(&STDIN) => input = None,
            _ => {}
        }
    }
}

/// Sends the output of a process, until it has ended and with it its output. Returns the exit code; nothing if the client has
/// gone away.
async fn give(
    mut sink: SplitSink<Socket, Message>,
    mut output: mpsc::Receiver<(u8, Bytes)>,
    mut exit_code: oneshot::Receiver<i32>,
    beat: &mpsc::Sender<()>,
) -> Option<(SplitSink<Socket, Message>, i32)> {
    let (mut is_open, mut code) = (true, None);
    loop {
        if let (false, Some(code)) = (is_open, code) {
            return Some((sink, code));
        }
        tokio::select! {
            piece = output.recv(), if is_open => match piece {
                Some((stream, bytes)) => {
                    _ = beat.try_send(());
                    sink.send(message(stream, &bytes)).await.ok()?;
                }
                None => is_open = false,
            },
            ended = &mut exit_code, if code.is_none() => code = Some(ended.unwrap_or(KILLED)),
            () = sleep(DRAIN), if code.is_some() => is_open = false,
        }
    }
}

/// Exit code of a process that ended with its pod: 128 and SIGKILL.
const KILLED: i32 = 137;

/// Returns once there was no beat for some time.
async fn idle(mut beats: mpsc::Receiver<()>) {
    loop {
        tokio::select! {
            Some(()) = beats.recv() => {}
            () = sleep_until(Instant::now() + IDLE_LIMIT) => return,
        }
    }
}

/// Sends the error of a process that could not be started.
async fn refuse(mut socket: Socket, why: &str) {
    let status = Status::internal(why).json();
    if socket.send(message(ERROR, status.to_string().as_bytes())).await.is_ok() {
        close(socket).await;
    }
}

fn message(stream: u8, bytes: &[u8]) -> Message {
    Message::Binary([&[stream], bytes].concat().into())
}

/// The Status of a process that has ended (`codeExitToStatusError`).
fn ended(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

/// Width and height of a terminal.
fn size(json: &[u8]) -> Option<(u16, u16)> {
    let size: Value = serde_json::from_slice(json).ok()?;
    let side = |name: &str| size[name].as_u64().and_then(|side| u16::try_from(side).ok());
    Some((side("Width")?, side("Height")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_a_command() {
        let parsed =
            Asked::parse("command=sh&command=-c&command=a+b&container=db&stdin=true&tty=true&stdout=false");
        let expected = Asked {
            container: "db".into(),
            command: ["sh", "-c", "a b"].map(String::from).into(),
            streams: Streams { stdin: true, tty: true },
        };
        assert_eq!(parsed, expected);
    }

    #[test]
    fn sizes_of_terminals() {
        let table = [
            (r#"{"Width":80,"Height":24}"#, Some((80, 24))),
            (r#"{"Width":-1,"Height":24}"#, None),
            (r#"{"Width":70000,"Height":24}"#, None),
            ("[]", None),
            ("", None),
        ];
        for (json, expected) in table {
            assert_eq!(size(json.as_bytes()), expected, "{json}");
        }
    }
}
