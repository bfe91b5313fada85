//! What the operating system tells a running server: stop, read again, your parent is gone.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::{Pid, getppid};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::{info, warn};

/// The wish to stop, which everybody can be told of.
#[derive(Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Stop(Arc::new(watch::Sender::new(false)))
    }
}

impl Stop {
    /// Tells everybody.
    pub fn now(&self) {
        self.0.send_replace(true);
    }

    /// Resolves when it is time to stop.
    pub fn told(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut told = self.0.subscribe();
        async move {
            // Never "closed": whoever waits holds the sender's other half as well.
            _ = told.wait_for(|stop| *stop).await;
        }
    }
}

/// Signals, taken from the default handling before anything is promised.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Begins to take them.
    pub fn take() -> std::io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// SIGTERM and SIGINT stop, another one a moment later at once; SIGHUP has the manifests read again.
    pub async fn heed(mut self, stop: Stop, read_again: Arc<Notify>) {
        let mut stopping: Option<Instant> = None;
        loop {
            let name = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
                _ = self.hang_up.recv() => {
                    info!("SIGHUP: reading the manifests again");
                    read_again.notify_one();
                    continue;
                }
            };
            match stopping {
                None => {
                    info!("{name}: answering what has been asked, then stopping");
                    stopping = Some(Instant::now());
                    stop.now();
                }
                Some(since) if since.elapsed() < ECHO => {}
                Some(_) => {
                    warn!("{name} again: not waiting any longer");
                    // Another thread writes the log.
                    tokio::time::sleep(LAST_LINE).await;
                    std::process::exit(130);
                }
            }
        }
    }
}

/// timeout(1) sends its signal to the process and to its group, terminals and wrappers pass one key on twice: what
/// comes so soon after the first signal is the same one.
const ECHO: Duration = Duration::from_millis(200);

/// What the last line of the log may take.
const LAST_LINE: Duration = Duration::from_millis(20);

/// How often the parent is looked for.
const PARENT_CHECK: Duration = Duration::from_millis(250);

/// The process that started this one.
pub struct Parent(Pid);

impl Parent {
    /// To be taken first of all: who ends before that is not known any more.
    pub fn take() -> Self {
        Parent(getppid())
    }

    /// Stops once it is gone: orphans are given another parent. Looked for instead of announced (PR_SET_PDEATHSIG),
    /// because that is about the parent's thread, and Linux only.
    pub async fn stop_without(self, stop: Stop) {
        while getppid() == self.0 {
            tokio::time::sleep(PARENT_CHECK).await;
        }
        info!("the parent process is gone");
        stop.now();
    }
}
