//! Signals, the shutdown of a running server, and the end of its parent process.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::{Pid, getppid};
use signal_hook::consts::{SIGALRM, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals as Taken;
use signal_hook::low_level::signal_name;
use tokio::sync::{Notify, watch};
use tracing::{info, warn};

/// Shutdown signal. Clones share it.
#[derive(Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Stop(Arc::new(watch::Sender::new(false)))
    }
}

impl Stop {
    /// Starts the shutdown.
    pub fn now(&self) {
        self.0.send_replace(true);
    }

    /// Resolves when the shutdown starts.
    pub fn requested(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut requested = self.0.subscribe();
        async move {
            // A dropped sender is the end of the process.
            _ = requested.wait_for(|stop| *stop).await;
        }
    }
}

/// Handler of signals. It has its own thread, which is independent of the runtime and remains after its end.
pub struct Signals(Arc<Mutex<Answering>>);

/// The shutdown and the rescan that signals request, once the server answers.
type Answering = Option<(Stop, Arc<Notify>, bool)>;

impl Signals {
    /// Installs the handler. Until [`handle`](Self::handle), SIGTERM and SIGINT end the process at once.
    pub fn install() -> std::io::Result<Self> {
        let signals = Taken::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM])?;
        let answering = Arc::default();
        let wait = {
            let answering = Arc::clone(&answering);
            move || handle_all(signals, &answering)
        };
        thread::Builder::new().name("signals".into()).spawn(wait)?;
        Ok(Signals(answering))
    }

    /// From now on SIGTERM and SIGINT start `stop`, a second one ends the process at once, and SIGHUP notifies `read_again`.
    /// Others are ignored. With a `deadline` the process ends in any case after [`STOP_TIMEOUT`].
    pub fn handle(self, stop: Stop, read_again: Arc<Notify>, deadline: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((stop, read_again, deadline));
    }
}

/// Handles `signals` until the process ends.
fn handle_all(mut signals: Taken, answering: &Mutex<Answering>) {
    let mut stopping: Option<Instant> = None;
    for signal in signals.forever() {
        let name = signal_name(signal).unwrap_or("a signal");
        let answering = answering.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (signal, answering, stopping) {
            (SIGHUP, Some((_, read_again, _)), _) => {
                info!("SIGHUP: reading the manifests again");
                read_again.notify_one();
            }
            (SIGTERM | SIGINT, None, _) => std::process::exit(128 + signal),
            (SIGTERM | SIGINT, Some((stop, _, deadline)), None) => {
                if deadline {
                    info!("{name}: answering the queries received so far, then stopping");
                } else {
                    info!(
                        "{name}: stopping the pods, each within its grace period; a second signal stops them at once"
                    );
                }
                stopping = Some(Instant::now());
                stop.now();
                if deadline {
                    _ = thread::Builder::new().name("deadline".into()).spawn(end_late);
                }
            }
            (SIGTERM | SIGINT, _, Some(since)) if since.elapsed() < REDELIVERY => {}
            (SIGTERM | SIGINT, ..) => {
                warn!("{name} again: stopping at once");
                end(130);
            }
            _ => info!("{name} is ignored: SIGTERM stops the server, SIGHUP reads the manifests again"),
        }
    }
}

/// Ends the process when the shutdown takes too long.
fn end_late() {
    thread::sleep(STOP_TIMEOUT);
    warn!("not stopped within {} s: ending the process", STOP_TIMEOUT.as_secs());
    end(0);
}

fn end(code: i32) -> ! {
    // Another thread writes the log.
    thread::sleep(LOG_FLUSH_TIME);
    std::process::exit(code)
}

/// Maximum time from the first signal to the end of the process. Clients are answered within the first four seconds.
const STOP_TIMEOUT: Duration = Duration::from_millis(4900);

/// Maximum time between two deliveries of one signal: timeout(1) signals the process and its group, terminals and wrappers
/// forward one key twice.
const REDELIVERY: Duration = Duration::from_millis(200);

/// Time in which the last line of the log is written.
const LOG_FLUSH_TIME: Duration = Duration::from_millis(20);

/// Interval at which the parent process is checked.
const PARENT_INTERVAL: Duration = Duration::from_millis(250);

/// The process that started this one.
pub struct Parent(Pid);

impl Parent {
    /// Must be the first call of the process: an earlier end of the parent is not detected.
    pub fn current() -> Self {
        Parent(getppid())
    }

    /// Starts `stop` when the parent has ended: orphans get another parent. Polled, because PR_SET_PDEATHSIG is bound to the
    /// parent's thread and to Linux.
    pub async fn stop_after_end(self, stop: Stop) {
        while getppid() == self.0 {
            tokio::time::sleep(PARENT_INTERVAL).await;
        }
        info!("the parent process has ended");
        stop.now();
    }
}
