//! The files that a cluster follows. Must not depend on their contents.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch::Receiver;
use tokio::time::timeout;

use super::{Cluster, Error, Operation};
use crate::manifest::Problem;
use crate::store::Objects;
use crate::watch::{self, Applier, Sources};
use crate::{Driver, Settings};

/// The files of [`Builder::follow`](super::Builder::follow).
///
/// ```
/// # use clusterlocal::Cluster;
/// # use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let file = dir.path().join("ring.yaml");
/// # let ring = |replicas| format!("apiVersion: clusterlocal.dev/v1\nkind: Topology\nsets: {{db: {{replicas: {replicas}}}}}\n");
/// std::fs::write(&file, ring(1))?;
/// let cluster = Cluster::builder().follow(dir.path()).start().wait()?;
/// let mark = cluster.mark();
/// std::fs::write(&file, ring(2))?;
/// let change = cluster.wait_for_change(&mark, Duration::from_secs(10)).wait()?;
/// assert_eq!(change.names[0].name, "db-1.db.default");
///
/// std::fs::write(&file, "kind: [")?;
/// let problems = cluster.files().wait_for_problem(Duration::from_secs(10)).wait()?;
/// assert!(problems[0].file.ends_with("ring.yaml"), "and the two pods stay: {problems:?}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Files {
    problems: Receiver<Vec<Problem>>,
    runtime: Handle,
}

impl Cluster {
    /// The files that the cluster follows.
    pub fn files(&self) -> Files {
        self.files.clone()
    }
}

/// Reads the files to follow. They override `objects` and `settings`.
pub(super) fn read(
    paths: &[PathBuf],
    mut objects: Objects,
    settings: Settings,
) -> Result<(Sources, Objects, Settings), Error> {
    if paths.is_empty() {
        return Ok((Sources::waiting(paths), objects, settings));
    }
    let (mut sources, problems) = Sources::read(paths);
    if !sources.is_ready() {
        return Err(Error::Manifests(problems));
    }
    drop(sources.take_unreviewed());
    objects.extend(sources.objects());
    let settings = settings.with_overrides(&sources.overrides())?;
    Ok((sources, objects, settings))
}

impl Files {
    /// Applies each change of `sources` to the cluster of `driver`, for as long as this runtime runs.
    pub(super) fn follow(sources: Sources, driver: Driver) -> Self {
        let files = Files { problems: sources.problems(), runtime: Handle::current() };
        if sources.is_ready() {
            let mut applier = Applier::new(driver);
            let apply = move |changes: &[_], report: &_| applier.apply(changes, report);
            let never = std::future::pending();
            tokio::spawn(watch::follow(sources, watch::Options::default(), Arc::default(), never, apply));
        }
        files
    }

    /// The problems that keep the current content of files from being served, and the paths at which there is no file. The
    /// previous content is served instead. Empty if all files are served as they are.
    pub fn problems(&self) -> Vec<Problem> {
        self.problems.borrow().clone()
    }

    /// Waits at most `within` until there is a problem, and returns all problems.
    ///
    /// # Errors
    /// If there is none by then.
    pub fn wait_for_problem(&self, within: Duration) -> Operation<'static, Result<Vec<Problem>, Error>> {
        let mut problems = self.problems.clone();
        Operation::new(Some(self.runtime.clone()), async move {
            let found = timeout(within, problems.wait_for(|problems| !problems.is_empty())).await;
            match found {
                Ok(Ok(problems)) => Ok(problems.clone()),
                _ => Err(Error::Timeout {
                    awaited: "a problem of the files".into(),
                    waited: within,
                    state: "all files are served as they are".into(),
                }),
            }
        })
    }

    /// Waits at most `within` until there is no problem.
    ///
    /// # Errors
    /// The problems that are left.
    pub fn wait_until_served(&self, within: Duration) -> Operation<'static, Result<(), Error>> {
        let mut problems = self.problems.clone();
        Operation::new(Some(self.runtime.clone()), async move {
            let served = timeout(within, problems.wait_for(Vec::is_empty)).await;
            if served.is_ok_and(|served| served.is_ok()) {
                return Ok(());
            }
            let left = problems.borrow().iter().map(Problem::to_string).collect::<Vec<_>>();
            Err(Error::Timeout {
                awaited: "serving all files".into(),
                waited: within,
                state: left.join("; "),
            })
        })
    }
}
