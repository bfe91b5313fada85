//! What can go wrong with a fixture, told so that a failed test explains itself.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::SettingsError;
use crate::manifest::{Problem, Severity};
use crate::queries::Query;
use crate::serve::BindError;
use crate::store::nearest;

/// Why something could not be done with a cluster. Nothing of it was done then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The manifests cannot be read, or an API server would refuse them: everything that is wrong, with its place.
    #[error("{}", told(.0))]
    Manifests(Vec<Problem>),
    /// A Topology asks for what cannot be.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// There is no address to listen on.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The system gives no thread, or no descriptors.
    #[error("cannot start a cluster: {0}")]
    Start(#[from] io::Error),
    /// There is nothing of that name.
    #[error("there is no {wanted}; {}", what_there_is(wanted, there))]
    Missing {
        /// What was asked for: `Pod default/db-7`.
        wanted: String,
        /// What there is of its kind.
        there: Vec<String>,
    },
    /// What was asked for cannot be.
    #[error("{0}")]
    Refused(String),
    /// It did not come about in time.
    #[error("{awaited} did not come about within {waited:?}: {state}")]
    Overdue {
        /// What was waited for.
        awaited: String,
        /// How long.
        waited: Duration,
        /// How it stands.
        state: String,
    },
}

fn told(problems: &[Problem]) -> String {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    errors.map(|problem| problem.render(false)).collect::<Vec<_>>().join("\n\n")
}

/// So many names are told of what there is.
const TOLD: usize = 10;

fn what_there_is(wanted: &str, there: &[String]) -> String {
    let name = wanted.rsplit_once(' ').map_or(wanted, |(_, name)| name);
    match nearest(name, there.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None if there.is_empty() => "there is none of its kind".into(),
        None if there.len() > TOLD => {
            format!("there are {} and {} more", there[..TOLD].join(", "), there.len() - TOLD)
        }
        None => format!("there is {}", there.join(", ")),
    }
}

/// Queries that were waited for did not come.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub struct Unseen {
    /// How many were waited for.
    pub wanted: usize,
    /// Those that came.
    pub seen: Vec<Query>,
    /// How long was waited.
    pub within: Duration,
    /// The latest queries of any kind, to compare with.
    pub latest: Vec<Query>,
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unseen { wanted, seen, within, latest } = self;
        write!(f, "{} of {wanted} queries came within {within:?}", seen.len())?;
        match latest.as_slice() {
            [] => f.write_str("; nothing was asked at all"),
            latest => {
                f.write_str("; the latest that were asked:")?;
                latest.iter().try_for_each(|query| write!(f, "\n  {query}"))
            }
        }
    }
}
