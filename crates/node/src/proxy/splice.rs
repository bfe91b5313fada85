//! Bytes between two TCP sockets, without a copy in this process: splice(2) through pipes, which are held only while there are bytes in
//! them. Must not depend on which sockets.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Size of a pipe, in bytes; the kernel's default for users that have many.
const PIPE_SIZE: usize = 256 << 10;

/// Maximum number of empty pipes that are kept.
const PIPES_MAX: usize = 64;

/// Empty pipes.
static PIPES: Mutex<Vec<Pipe>> = Mutex::new(Vec::new());

struct Pipe {
    output: OwnedFd,
    input: OwnedFd,
}

impl Pipe {
    fn take() -> io::Result<Pipe> {
        if let Some(pipe) = PIPES.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(pipe);
        }
        let (output, input) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Refused to a user who has many: the default size is used.
        _ = fcntl_setpipe_size(&input, PIPE_SIZE);
        Ok(Pipe { output, input })
    }

    /// Keeps the pipe, which must be empty.
    fn keep(self) {
        let mut pipes = PIPES.lock().unwrap_or_else(PoisonError::into_inner);
        if pipes.len() < PIPES_MAX {
            pipes.push(self);
        }
    }
}

/// Copies in both directions, until both ends are closed or one fails.
pub(super) async fn both_ways(one: &TcpStream, other: &TcpStream) -> io::Result<()> {
    tokio::try_join!(one_way(one, other), one_way(other, one)).map(drop)
}

async fn one_way(from: &TcpStream, to: &TcpStream) -> io::Result<()> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    loop {
        from.readable().await?;
        let pipe = Pipe::take()?;
        loop {
            let taken = from.try_io(Interest::READABLE, || {
                Ok(splice(from.as_fd(), None, pipe.input.as_fd(), None, PIPE_SIZE, flags)?)
            });
            let mut left = match taken {
                Ok(0) => {
                    pipe.keep();
                    // The other end may be gone already.
                    _ = rustix::net::shutdown(to, rustix::net::Shutdown::Write);
                    return Ok(());
                }
                Ok(taken) => taken,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            while left > 0 {
                left -= to
                    .async_io(Interest::WRITABLE, || {
                        Ok(splice(pipe.output.as_fd(), None, to.as_fd(), None, left, flags)?)
                    })
                    .await?;
            }
            // One that always has bytes must not keep others waiting.
            tokio::task::coop::consume_budget().await;
        }
        pipe.keep();
    }
}
