//! What a request expects of the DNS queries: so many at least, so many at most, within a time. It takes the place of a
//! loop around `kubectl get`. It must not know how queries are shown.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::queries::log;
use super::wanted::Wanted;
use crate::http::query;
use crate::http::server::told;
use crate::http::status::Status;
use crate::schema::resource::Held;
use crate::verbs::call::{Api, Call};
use clusterlocal_core::queries::QueryLog;

/// So many queries are told where they are not as they should be.
const TOLD: usize = 10;

/// Returns once what `call` expects of the queries holds; at once if it expects nothing.
///
/// # Errors
/// As soon as it cannot hold any more: what was seen instead.
pub(crate) async fn expected(api: &Arc<Api>, call: &Call) -> Result<(), Status> {
    let (Held::Queries, false) = (call.place.resource.held, call.query.watch) else { return Ok(()) };
    let Some(expectation) = Expectation::read(&call.query)? else { return Ok(()) };
    let (log, mut stop) = (log(api)?, api.stop.clone());
    let wanted = Arc::new(Wanted::read(&call.query)?);
    let mut ends = Instant::now() + expectation.within;
    let mut seen = Seen::default();
    loop {
        let is_over = Instant::now() >= ends;
        let (wanted_too, log_too, api_too) = (wanted.clone(), log.clone(), api.clone());
        // Others answer DNS queries on the threads of the runtime; a long log takes its time.
        let look = move || {
            seen.look(&wanted_too, &log_too, &api_too);
            seen
        };
        seen = spawn_blocking(look).await.map_err(|_| Status::internal("reading the query log failed"))?;
        if let Some(holds) = expectation.judge(&seen, is_over) {
            return if holds { Ok(()) } else { Err(seen.failed(&expectation, &wanted)) };
        }
        tokio::select! {
            // Where nothing comes any more, what there is now is what there will be.
            more = log.arrived(seen.looked_at) => ends = if more { ends } else { Instant::now() },
            () = sleep_until(ends) => {}
            () = told(&mut stop) => return Err(seen.failed(&expectation, &wanted)),
        }
    }
}

/// What is expected.
#[derive(Clone, Copy, Debug)]
struct Expectation {
    at_least: u64,
    at_most: Option<u64>,
    within: Duration,
}

impl Expectation {
    fn read(query: &query::Query) -> Result<Option<Self>, Status> {
        match (query.at_least, query.at_most) {
            (None, None) if query.within.is_zero() => Ok(None),
            (None, None) => {
                Err(Status::bad_request("within needs atLeast or atMost: how many queries to wait for"))
            }
            (at_least, at_most) => {
                Ok(Some(Expectation { at_least: at_least.unwrap_or(0), at_most, within: query.within }))
            }
        }
    }

    /// Whether it holds, if that is certain. That there are not too many is so at the end only.
    fn judge(&self, seen: &Seen, is_over: bool) -> Option<bool> {
        let enough = seen.count >= self.at_least;
        match self.at_most {
            Some(at_most) if seen.count > at_most || seen.lost => Some(false),
            Some(_) => is_over.then_some(enough),
            None => (enough || is_over).then_some(enough),
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Expectation { at_least, at_most, within } = self;
        match at_most {
            None => write!(f, "at least {at_least}")?,
            Some(0) => f.write_str("no")?,
            Some(at_most) if at_least == at_most => write!(f, "{at_most}")?,
            Some(at_most) if *at_least == 0 => write!(f, "at most {at_most}")?,
            Some(at_most) => write!(f, "{at_least} to {at_most}")?,
        }
        f.write_str(if at_most.unwrap_or(*at_least) == 1 { " query" } else { " queries" })?;
        if within.is_zero() { Ok(()) } else { write!(f, " within {within:?}") }
    }
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Seen {
    count: u64,
    /// The number of the last query that was looked at.
    looked_at: u64,
    /// Queries that may have been meant were gone from the log before anybody looked.
    lost: bool,
    /// Some that were meant, and the latest of any kind.
    meant: Vec<String>,
    latest: Vec<String>,
}

impl Seen {
    /// Takes in what came since the last look.
    fn look(&mut self, wanted: &Wanted, log: &QueryLog, api: &Api) {
        let (new, latest) = wanted.after(self.looked_at, log, &api.driver);
        let is_gap = new.first().map_or(latest, |first| first.number - 1) > self.looked_at;
        // What came before the first that is kept is older than it.
        self.lost |= is_gap && new.first().is_none_or(|first| wanted.is_in_time(first));
        self.looked_at = latest;
        for query in new.iter().filter(|query| wanted.admits(query)) {
            self.count += 1;
            if self.meant.len() < TOLD {
                self.meant.push(query.to_string());
            }
        }
        self.latest.extend(new.iter().rev().take(TOLD).rev().map(ToString::to_string));
        self.latest.drain(..self.latest.len().saturating_sub(TOLD));
    }

    fn failed(&self, expectation: &Expectation, wanted: &Wanted) -> Status {
        let mut message = format!("expected {expectation}{wanted}, there were {}", self.count);
        if self.lost {
            message.push_str(
                "; older ones are not kept any more, so nobody can tell: say since when, or see serve --query-log",
            );
        }
        let (intro, lines) = match (self.meant.is_empty(), self.latest.is_empty()) {
            (false, _) => ("", &self.meant),
            (true, false) => ("; the latest of any kind", &self.latest),
            (true, true) => ("; nothing was asked", &self.latest),
        };
        message.push_str(intro);
        for line in lines {
            message.push_str("\n  ");
            message.push_str(line);
        }
        Status::expectation_failed(message)
    }
}
