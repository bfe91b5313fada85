//! Writes log lines to standard error by a thread of its own, so that a full pipe does not hold up what is logged.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

/// Maximum number of lines that wait to be written; later ones are dropped.
const LINES_MAX: usize = 10_000;

/// Maximum time that the end of the program waits for the last lines.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// How often, and at which interval, the end looks for room among the lines that wait.
const ROOM_TRIES: u32 = 100;
const ROOM_INTERVAL: Duration = Duration::from_millis(1);

enum Message {
    Line(Vec<u8>),
    /// The last message; an answer is sent when all before it is written.
    End(SyncSender<()>),
}

/// Takes lines, each in one write, and never waits.
#[derive(Clone)]
pub struct Writer(SyncSender<Message>);

/// Waits for the last lines when it is dropped.
pub struct Guard(SyncSender<Message>);

/// A writer to `out`, with the thread that writes.
///
/// # Errors
/// Where the system has no thread.
pub fn start(out: impl Write + Send + 'static) -> io::Result<(Writer, Guard)> {
    let (lines, waiting) = sync_channel(LINES_MAX);
    thread::Builder::new().name("log".into()).spawn(move || write(out, &waiting))?;
    Ok((Writer(lines.clone()), Guard(lines)))
}

fn write(mut out: impl Write, waiting: &Receiver<Message>) {
    for message in waiting {
        match message {
            // Nothing can be logged about a log that cannot be written.
            Message::Line(line) => drop(out.write_all(&line)),
            Message::End(written) => {
                _ = written.send(());
                return;
            }
        }
    }
}

impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        _ = self.0.try_send(Message::Line(line.to_vec()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let (written, ended) = sync_channel(1);
        let mut end = Message::End(written);
        for _ in 0..ROOM_TRIES {
            match self.0.try_send(end) {
                Ok(()) => {
                    _ = ended.recv_timeout(END_TIMEOUT);
                    return;
                }
                Err(TrySendError::Full(back)) => end = back,
                Err(TrySendError::Disconnected(_)) => return,
            }
            thread::sleep(ROOM_INTERVAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// Hands on what is written, when it may.
    struct Slow(Receiver<()>, std::sync::mpsc::Sender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            _ = self.0.recv();
            _ = self.1.send(line.to_vec());
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_do_not_fit_are_dropped() {
        let ((may, asked), (written, lines)) = (channel(), channel());
        let (mut writer, guard) = start(Slow(asked, written)).expect("a thread");
        let more = 100;
        for number in 0..LINES_MAX + more {
            writer.write_all(format!("{number}\n").as_bytes()).expect("a writer that never fails");
        }
        drop(may);
        drop(guard);
        let lines: Vec<_> = lines.try_iter().collect();
        // One more may be on its way to a reader.
        assert!((LINES_MAX..=LINES_MAX + 1).contains(&lines.len()), "{}", lines.len());
        assert_eq!(lines[0], b"0\n");
    }
}
