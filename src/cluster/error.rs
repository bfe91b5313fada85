//! Errors of a cluster in a test. Their messages are meant to explain a failed test without a debugger.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::SettingsError;
use crate::manifest::{Problem, Severity};
use crate::queries::Query;
use crate::serve::BindError;
use crate::store::nearest;

/// Why an operation on a cluster failed. The cluster is unchanged, except after [`Timeout`](Error::Timeout).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The manifests cannot be read, or an API server would refuse them: all problems, with file, line and column.
    #[error("{}", errors_of(.0))]
    Manifests(Vec<Problem>),
    /// A Topology has invalid settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The address to listen on is not available.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The system has no thread or file descriptor left.
    #[error("cannot start a cluster: {0}")]
    Start(#[from] io::Error),
    /// Pods cannot run as processes: the message names what the system refuses, and the ways on.
    #[error("cannot run pods: {0}")]
    Run(String),
    /// The object does not exist.
    #[error("{wanted} does not exist; {}", alternatives(wanted, there))]
    Missing {
        /// The requested object: `Pod default/db-7`.
        wanted: String,
        /// Names of the existing objects of its kind.
        there: Vec<String>,
    },
    /// The request is invalid.
    #[error("{0}")]
    Refused(String),
    /// The expected state was not reached in time.
    #[error("{awaited} was not complete within {waited:?}: {state}")]
    Timeout {
        /// What was waited for.
        awaited: String,
        /// How long was waited.
        waited: Duration,
        /// The state at the end.
        state: String,
    },
}

fn errors_of(problems: &[Problem]) -> String {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    errors.map(|problem| problem.render(false)).collect::<Vec<_>>().join("\n\n")
}

/// Maximum number of names that an error lists, to keep it readable.
const LISTED_NAMES: usize = 10;

fn alternatives(wanted: &str, there: &[String]) -> String {
    let name = wanted.rsplit_once(' ').map_or(wanted, |(_, name)| name);
    match nearest(name, there.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None if there.is_empty() => "no object of this kind exists".into(),
        None if there.len() > LISTED_NAMES => {
            format!("existing: {} and {} more", there[..LISTED_NAMES].join(", "), there.len() - LISTED_NAMES)
        }
        None => format!("existing: {}", there.join(", ")),
    }
}

/// Fewer queries arrived in time than were waited for.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub struct QueryTimeout {
    /// Number of queries that were waited for.
    pub wanted: usize,
    /// The matching queries that arrived.
    pub seen: Vec<Query>,
    /// How long was waited.
    pub within: Duration,
    /// The latest queries of any kind, for comparison.
    pub latest: Vec<Query>,
}

impl fmt::Display for QueryTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let QueryTimeout { wanted, seen, within, latest } = self;
        write!(f, "{} of {wanted} queries arrived within {within:?}", seen.len())?;
        match latest.as_slice() {
            [] => f.write_str("; no query was received at all"),
            latest => {
                f.write_str("; the latest queries:")?;
                latest.iter().try_for_each(|query| write!(f, "\n  {query}"))
            }
        }
    }
}
