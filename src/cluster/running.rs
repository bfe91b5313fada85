//! The thread of a cluster: its own, so that a test that blocks does not delay answers, and everything ends with the
//! cluster. Must not depend on what runs on it.

use std::future::Future;
use std::io;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A runtime on a thread; dropping it ends both.
pub(super) struct Running {
    runtime: Handle,
    /// Dropped to stop the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Runs `begin` on a thread of its own and returns its result; tasks that it spawns run until this is dropped. `begin`
    /// may block: the caller's executor is not blocked. If the returned future is dropped early, the thread ends after
    /// `begin`.
    ///
    /// # Errors
    /// If the system has no thread or file descriptor left.
    pub(super) async fn start<T, F>(begin: impl FnOnce() -> F + Send + 'static) -> io::Result<(Self, T)>
    where
        T: Send + 'static,
        F: Future<Output = T>,
    {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (begun, begins) = oneshot::channel();
        let mut running = Running { runtime: runtime.handle().clone(), stop: Some(stop), thread: None };
        let thread = thread::Builder::new().name("clusterlocal".into()).spawn(move || {
            runtime.block_on(async {
                // Without a receiver the start was cancelled, and `stopped` resolves at once.
                _ = begun.send(begin().await);
                _ = stopped.await;
            });
        })?;
        match begins.await {
            Ok(first) => {
                // Joined from here on: before, a drop would wait for `begin`.
                running.thread = Some(thread);
                Ok((running, first))
            }
            Err(_) => Err(io::Error::other("the cluster's thread panicked at its start")),
        }
    }

    /// The current runtime, which ends without this.
    #[cfg(feature = "api")]
    pub(super) fn attached() -> Self {
        Running { runtime: Handle::current(), stop: None, thread: None }
    }

    /// The runtime, for its timers.
    pub(super) fn handle(&self) -> &Handle {
        &self.runtime
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        // The thread ends after the runtime has closed its sockets. A panic was reported when it happened.
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}
