//! The thread that a cluster lives on: its own, so that nothing a test does or blocks can keep it from answering, and all
//! of it ends with the cluster. It must not know who drives it.

use std::future::Future;
use std::io;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A runtime on a thread; both end when this is dropped.
pub(super) struct Running {
    runtime: Handle,
    /// Dropped to say that it is over.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Runs `begin` on a thread of its own; what it spawns lives until this is dropped. Returns what it gives. The caller's
    /// executor is not blocked: `begin` may block. Where the returned future is dropped early, the thread ends after `begin`.
    ///
    /// # Errors
    /// When the system gives no thread or descriptors.
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
                // Without a receiver the start was given up, and `stopped` resolves at once.
                _ = begun.send(begin().await);
                _ = stopped.await;
            });
        })?;
        match begins.await {
            Ok(first) => {
                // Joined from now on. Before, a drop would wait for `begin`.
                running.thread = Some(thread);
                Ok((running, first))
            }
            Err(_) => Err(io::Error::other("the cluster's thread panicked while it began")),
        }
    }

    /// Where its timers are.
    pub(super) fn handle(&self) -> &Handle {
        &self.runtime
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Sockets are closed when the runtime is gone, and that is when the thread ends. A panic there was told there.
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}
