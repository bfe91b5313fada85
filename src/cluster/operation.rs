//! What waits for a cluster, for tests with and without a runtime of their own. It must not know what is done.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::Handle;

/// Something that is done when it is awaited, on any runtime, or waited for with [`wait`](Operation::wait), on none.
#[must_use = "nothing happens before it is awaited, or waited for with `wait`"]
pub struct Operation<'c, T> {
    work: Pin<Box<dyn Future<Output = T> + Send + 'c>>,
    /// Whose timers it uses; none before the cluster runs.
    runtime: Option<Handle>,
}

impl<'c, T> Operation<'c, T> {
    pub(super) fn new(runtime: Option<Handle>, work: impl Future<Output = T> + Send + 'c) -> Self {
        Operation { work: Box::pin(work), runtime }
    }

    /// Does it, and blocks this thread until it is done. The cluster has a thread of its own and goes on meanwhile.
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
