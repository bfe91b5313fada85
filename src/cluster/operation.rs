//! Operations that wait for a cluster, for tests with and without a runtime. Must not depend on what the operation does.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::Handle;

/// An operation that runs when it is awaited, on any runtime, or with [`wait`](Operation::wait), without one.
#[must_use = "an operation does nothing until it is awaited or `wait` is called"]
pub struct Operation<'c, T> {
    work: Pin<Box<dyn Future<Output = T> + Send + 'c>>,
    /// The runtime whose timers it uses; none before the cluster runs.
    runtime: Option<Handle>,
}

impl<'c, T> Operation<'c, T> {
    pub(super) fn new(runtime: Option<Handle>, work: impl Future<Output = T> + Send + 'c) -> Self {
        Operation { work: Box::pin(work), runtime }
    }

    /// Runs the operation and blocks this thread until it is done. The cluster continues on its own thread.
    pub fn wait(self) -> T {
        struct Unpark(Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut this = pin!(self);
        loop {
            if let Poll::Ready(done) = this.as_mut().poll(&mut Context::from_waker(&waker)) {
                return done;
            }
            thread::park();
        }
    }
}

impl<T> Future for Operation<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let runtime = self.runtime.clone();
        let _timers = runtime.as_ref().map(Handle::enter);
        self.work.as_mut().poll(context)
    }
}
