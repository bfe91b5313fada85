//! Watches of what is not in the store: a client receives the current items and then new ones, each once. Must not depend
//! on the items.

use std::sync::Arc;

use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch as signal;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::{Columns, of_form};
use crate::http::accept::Form;
use crate::http::reply::{Reply, Streamed};
use crate::http::server::stopped;
use crate::verbs::call::{Api, Call};
use crate::verbs::watch;

/// A source of items.
pub(super) trait Source: Send + 'static {
    /// Returns the items that are not sent yet, as objects; the first part if there are many.
    fn gather(&mut self) -> Vec<Value>;

    /// Returns once there may be more; `false` if there never will be.
    fn more(&mut self) -> impl Future<Output = bool> + Send;
}

/// A watch that sends the items of a source.
pub(super) struct Follower<S> {
    source: S,
    call: Arc<Call>,
    columns: &'static Columns,
    columns_told: bool,
    ends: Instant,
    stop: signal::Receiver<bool>,
}

impl<S: Source> Follower<S> {
    /// Answers `call` with a watch of `source`.
    pub(super) fn reply(api: &Api, call: Arc<Call>, columns: &'static Columns, source: S) -> Reply {
        let (ends, stop) = (watch::end(&call.query), api.stop.clone());
        Reply::Stream(Follower { source, call, columns, columns_told: false, ends, stop }.stream())
    }

    fn stream(self) -> Streamed {
        Streamed::new(async move {
            let (lines, rest) = self.next().await?;
            Some((lines, rest.stream()))
        })
    }

    /// The next lines, once there are any; nothing at the end.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        loop {
            let lines;
            // DNS queries are answered on the threads of the runtime.
            (self, lines) = spawn_blocking(move || {
                let lines = self.lines();
                (self, lines)
            })
            .await
            .ok()?;
            if !lines.is_empty() {
                return Some((lines.into(), self));
            }
            tokio::select! {
                () = stopped(&mut self.stop) => return None,
                () = sleep_until(self.ends) => return None,
                more = self.source.more() => more.then_some(())?,
            }
        }
    }

    fn lines(&mut self) -> Vec<u8> {
        let Follower { source, call, columns, columns_told, .. } = self;
        let line = |object: Value| {
            let shown = match call.form {
                Form::Table => {
                    let mut table = columns.table(&[object], json!({}), call);
                    if std::mem::replace(columns_told, true) {
                        table["columnDefinitions"] = Value::Null;
                    }
                    table
                }
                form => of_form(object, form),
            };
            watch::line("ADDED", &shown)
        };
        source.gather().into_iter().flat_map(line).collect()
    }
}
