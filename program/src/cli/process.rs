//! What the operating system tells a running server: stop, read again, your parent is gone.

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

/// Signals, taken from the default handling before anything is promised. A thread of its own waits for them: it is there
/// whatever the runtime is busy with, and after that has ended.
pub struct Signals(Arc<Mutex<Answering>>);

/// What signals act on, once the server answers.
type Answering = Option<(Stop, Arc<Notify>)>;

impl Signals {
    /// Begins to take them. Until the server [answers](Self::answer), SIGTERM and SIGINT end the process at once.
    pub fn take() -> std::io::Result<Self> {
        let signals = Taken::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM])?;
        let answering = Arc::default();
        let wait = {
            let answering = Arc::clone(&answering);
            move || act_on(signals, &answering)
        };
        thread::Builder::new().name("signals".into()).spawn(wait)?;
        Ok(Signals(answering))
    }

    /// From now on SIGTERM and SIGINT set off `stop`, another one a moment later ends the process at once, and SIGHUP has the
    /// manifests `read_again`. Others are ignored.
    pub fn answer(self, stop: Stop, read_again: Arc<Notify>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((stop, read_again));
    }
}

/// Acts on `signals` until the process ends.
fn act_on(mut signals: Taken, answering: &Mutex<Answering>) {
    let mut stopping: Option<Instant> = None;
    for signal in signals.forever() {
        let name = signal_name(signal).unwrap_or("a signal");
        let answering = answering.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (signal, answering, stopping) {
            (SIGHUP, Some((_, read_again)), _) => {
                info!("SIGHUP: reading the manifests again");
                read_again.notify_one();
            }
            (SIGTERM | SIGINT, None, _) => std::process::exit(128 + signal),
            (SIGTERM | SIGINT, Some((stop, _)), None) => {
                info!("{name}: answering what has been asked, then stopping");
                stopping = Some(Instant::now());
                stop.now();
                _ = thread::Builder::new().name("deadline".into()).spawn(end_late);
            }
            (SIGTERM | SIGINT, _, Some(since)) if since.elapsed() < ECHO => {}
            (SIGTERM | SIGINT, ..) => {
                warn!("{name} again: not waiting any longer");
                end(130);
            }
            _ => info!("{name} is ignored: SIGTERM stops the server, SIGHUP has the manifests read again"),
        }
    }
}

/// Ends the process when stopping takes too long.
fn end_late() {
    thread::sleep(STOPPING);
    warn!("not stopped within {} s: ending all the same", STOPPING.as_secs());
    end(0);
}

fn end(code: i32) -> ! {
    // Another thread writes the log.
    thread::sleep(LAST_LINE);
    std::process::exit(code)
}

/// Maximum time from the first signal to the end of the process. Clients are answered within four seconds of it.
const STOPPING: Duration = Duration::from_millis(4900);

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
