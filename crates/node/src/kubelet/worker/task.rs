//! A task that ends with its owner. Must not depend on pods.

use tokio::task::AbortHandle;

/// A task that is cancelled when this is dropped.
pub(super) struct Task(AbortHandle);

impl Task {
    pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Task(tokio::spawn(future).abort_handle())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
