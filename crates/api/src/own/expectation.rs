//! The expected number of DNS queries in a request: a minimum, a maximum, and a time to wait. Takes the place of a loop
//! around `kubectl get`. Must not depend on how queries are rendered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::queries::log;
use super::selection::Selection;
use crate::http::query;
use crate::http::server::stopped;
use crate::http::status::Status;
use crate::schema::resource::Held;
use crate::verbs::call::{Api, Call};
use clusterlocal_core::queries::QueryLog;

/// Maximum number of queries that a failure lists.
const LISTED_QUERIES: usize = 10;

/// Returns once the expectation of `call` holds; at once if it has none.
///
/// # Errors
/// As soon as it can no longer hold, with the queries that were seen.
pub(crate) async fn expected(api: &Arc<Api>, call: &Call) -> Result<(), Status> {
    let (Held::Queries, false) = (call.place.resource.held, call.query.watch) else { return Ok(()) };
    let Some(expectation) = Expectation::read(&call.query)? else { return Ok(()) };
    let (log, mut stop) = (log(api)?, api.stop.clone());
    let selection = Arc::new(Selection::read(&call.query)?);
    let mut ends = Instant::now() + expectation.within;
    let mut seen = Seen::default();
    loop {
        let is_over = Instant::now() >= ends;
        let (selection_too, log_too, api_too) = (selection.clone(), log.clone(), api.clone());
        // DNS queries are answered on the threads of the runtime, and a long log takes some time.
        let update = move || {
            seen.update(&selection_too, &log_too, &api_too);
            seen
        };
        seen = spawn_blocking(update).await.map_err(|_| Status::internal("reading the query log failed"))?;
        if let Some(holds) = expectation.judge(&seen, is_over) {
            return if holds { Ok(()) } else { Err(seen.failed(&expectation, &selection)) };
        }
        tokio::select! {
            // If no query can arrive any more, the current number is final.
            more = log.arrived(seen.checked) => ends = if more { ends } else { Instant::now() },
            () = sleep_until(ends) => {}
            () = stopped(&mut stop) => return Err(seen.failed(&expectation, &selection)),
        }
    }
}

/// An expected number of queries.
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

    /// Whether it holds, as soon as that is certain. A maximum is only certain at the end.
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

/// The queries seen so far.
#[derive(Debug, Default)]
struct Seen {
    count: u64,
    /// Number of the last query that was checked.
    checked: u64,
    /// Whether queries that may match were dropped from the log before they were checked.
    lost: bool,
    /// Some matching queries, and the latest of any kind.
    matching: Vec<String>,
    latest: Vec<String>,
}

impl Seen {
    /// Adds the queries since the last call.
    fn update(&mut self, selection: &Selection, log: &QueryLog, api: &Api) {
        let (new, latest) = selection.after(self.checked, log, &api.driver);
        let is_gap = new.first().map_or(latest, |first| first.number - 1) > self.checked;
        // Queries before the first one that is kept are older than it.
        self.lost |= is_gap && new.first().is_none_or(|first| selection.is_in_time(first));
        self.checked = latest;
        for query in new.iter().filter(|query| selection.admits(query)) {
            self.count += 1;
            if self.matching.len() < LISTED_QUERIES {
                self.matching.push(query.to_string());
            }
        }
        self.latest.extend(new.iter().rev().take(LISTED_QUERIES).rev().map(ToString::to_string));
        self.latest.drain(..self.latest.len().saturating_sub(LISTED_QUERIES));
    }

    fn failed(&self, expectation: &Expectation, selection: &Selection) -> Status {
        let mut message = format!("expected {expectation}{selection}, there were {}", self.count);
        if self.lost {
            message.push_str(
                "; older ones are no longer kept, so their number is unknown: pass sinceSerial, or see serve --query-log",
            );
        }
        let (intro, lines) = match (self.matching.is_empty(), self.latest.is_empty()) {
            (false, _) => ("", &self.matching),
            (true, false) => ("; the latest of any kind", &self.latest),
            (true, true) => ("; there were no queries of any kind", &self.latest),
        };
        message.push_str(intro);
        for line in lines {
            message.push_str("\n  ");
            message.push_str(line);
        }
        Status::expectation_failed(message)
    }
}
