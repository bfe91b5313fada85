//! The server's side of a process's standard input and output: pipes, or a terminal. Must not depend on pods.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use hyper::body::Bytes;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

/// Maximum number of pieces of input or output that wait for their reader.
pub(crate) const PIECES: usize = 16;

/// Maximum size of a piece of output, in bytes.
const PIECE_BYTES: usize = 32 << 10;

/// Numbers of standard output, which is all output of a process with a terminal, and of standard error.
pub(crate) const STDOUT: u8 = 1;
pub(crate) const STDERR: u8 = 2;

/// Output as it was read: 1 for standard output or 2 for standard error, and the bytes.
pub type Piece = (u8, Bytes);

/// What a process reads, for its writers: its standard input is closed when the last of these is dropped.
pub type Input = mpsc::Sender<Bytes>;

/// The server's end of an output stream.
pub(crate) type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// The server's ends of standard input and output.
pub(crate) struct Stdio {
    pub(crate) input: Option<Input>,
    /// Standard output and, without a terminal, standard error.
    pub(crate) output: Vec<(u8, Reader)>,
    pub(crate) terminal: Option<Terminal>,
}

impl Stdio {
    /// Opens standard input, if it is wanted, and output. The descriptors are those of the process.
    pub(crate) fn open(input: bool, terminal: bool) -> io::Result<(Stdio, [OwnedFd; 3])> {
        if terminal {
            let (terminal, process) = Terminal::open()?;
            let input = Some(write_to(terminal.clone()));
            let output: Vec<(u8, Reader)> = vec![(STDOUT, Box::new(terminal.clone()))];
            let descriptors = [process.try_clone()?, process.try_clone()?, process];
            return Ok((Stdio { input, output, terminal: Some(terminal) }, descriptors));
        }
        let (input, stdin) = if input {
            let (stdin, written) = pipe_with(PipeFlags::CLOEXEC)?;
            (Some(write_to(pipe::Sender::from_owned_fd(written)?)), stdin)
        } else {
            (None, File::open("/dev/null")?.into())
        };
        let (stdout, out) = output()?;
        let (stderr, err) = output()?;
        let output = vec![(STDOUT, stdout), (STDERR, stderr)];
        Ok((Stdio { input, output, terminal: None }, [stdin, out, err]))
    }
}

fn output() -> io::Result<(Reader, OwnedFd)> {
    let (read, written) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok((Box::new(pipe::Receiver::from_owned_fd(read)?), written))
}

/// Writes what it is sent. What a process does not read any more is dropped.
fn write_to(mut to: impl AsyncWrite + Send + Unpin + 'static) -> Input {
    let (input, mut pieces) = mpsc::channel::<Bytes>(PIECES);
    tokio::spawn(async move {
        let mut is_open = true;
        while let Some(piece) = pieces.recv().await {
            is_open = is_open && to.write_all(&piece).await.is_ok();
        }
    });
    input
}

/// Sends what is read as pieces, until its end or that of the receiver.
pub(crate) async fn forward(mut from: Reader, stream: u8, to: mpsc::Sender<Piece>) {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            () = to.closed() => return,
        };
        match read {
            Ok(read @ 1..) => {
                if to.send((stream, Bytes::copy_from_slice(&buffer[..read]))).await.is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

/// The server's side of a terminal. The processes of its session are hung up when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Terminal(Arc<AsyncFd<OwnedFd>>);

impl Terminal {
    /// A new terminal, and the descriptor of its process.
    fn open() -> io::Result<(Terminal, OwnedFd)> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let server = openpt(flags)?;
        grantpt(&server)?;
        unlockpt(&server)?;
        let process = ioctl_tiocgptpeer(&server, flags)?;
        rustix::io::ioctl_fionbio(&server, true)?;
        // The successor of `new` is unsafe, for types whose descriptor changes.
        #[allow(deprecated)]
        let server = AsyncFd::new(server)?;
        Ok((Terminal(Arc::new(server)), process))
    }

    /// Sets its size, in characters.
    pub(crate) fn resize(&self, width: u16, height: u16) {
        let size = Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
        // It fails only where the terminal is gone.
        _ = tcsetwinsize(self.0.get_ref(), size);
    }
}

impl AsyncRead for Terminal {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(context))?;
            let read = ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), buffer.initialize_unfilled())?));
            match read {
                Ok(Ok(read)) => {
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                // No process has it any more.
                Ok(Err(error)) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for Terminal {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready(context))?;
            if let Ok(written) = ready.try_io(|fd| Ok(rustix::io::write(fd.get_ref(), bytes)?)) {
                return Poll::Ready(written);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The clients that are attached to the output of a container.
#[derive(Default)]
pub(crate) struct Attached(Mutex<Vec<mpsc::Sender<Piece>>>);

impl Attached {
    /// Sends output to all clients. A container waits for clients that read slowly, as in a cluster.
    pub(crate) async fn send(&self, stream: u8, bytes: &[u8]) {
        let clients = self.clients().clone();
        if clients.is_empty() {
            return;
        }
        let piece = Bytes::copy_from_slice(bytes);
        for client in clients {
            // A client that has gone away is removed below.
            _ = client.send((stream, piece.clone())).await;
        }
        self.clients().retain(|client| !client.is_closed());
    }

    /// Adds a client. Its channel closes at the end of the output.
    pub(crate) fn add(&self) -> mpsc::Receiver<Piece> {
        let (client, output) = mpsc::channel(PIECES);
        self.clients().push(client);
        output
    }

    fn clients(&self) -> MutexGuard<'_, Vec<mpsc::Sender<Piece>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_clients_get_the_output_from_then_on() {
        let attached = Attached::default();
        attached.send(STDOUT, b"before ").await;
        let mut first = attached.add();
        attached.send(STDOUT, b"one ").await;
        let mut second = attached.add();
        attached.send(STDERR, b"both").await;
        drop(attached);
        let mut texts = [String::new(), String::new()];
        for (text, client) in texts.iter_mut().zip([&mut first, &mut second]) {
            while let Some((stream, piece)) = client.recv().await {
                *text += &format!("{stream}:{}", String::from_utf8_lossy(&piece));
            }
        }
        assert_eq!(texts, ["1:one 2:both", "2:both"]);
    }

    #[tokio::test]
    async fn a_terminal_has_a_size_and_passes_both_ways() {
        let (stdio, [process, ..]) = Stdio::open(true, true).unwrap();
        let terminal = stdio.terminal.unwrap();
        terminal.resize(123, 45);
        let size = rustix::termios::tcgetwinsize(&process).unwrap();
        assert_eq!((size.ws_col, size.ws_row), (123, 45));
        let (sender, mut output) = mpsc::channel(PIECES);
        for (stream, reader) in stdio.output {
            tokio::spawn(forward(reader, stream, sender.clone()));
        }
        // The terminal echoes what is typed.
        stdio.input.unwrap().send(Bytes::from_static(b"typed\n")).await.unwrap();
        let mut echoed = Vec::new();
        while !echoed.ends_with(b"\n") {
            echoed.extend_from_slice(&output.recv().await.unwrap().1);
        }
        assert_eq!(echoed, b"typed\r\n");
    }
}
