//! What joins followed files to a cluster: applies each change of theirs to a driven control plane, and logs what came of it. Must not
//! depend on how changes are noticed.

use tracing::{error, info, warn};

use super::Report;
use crate::manifest::Overrides;
use crate::store::{Change, Object};
use crate::{Driver, Replaced, Settings};

/// Judges the change of an object by a file, from what there is to what the file asks for: the reasons for which an API server
/// would forbid it.
pub type Judge = fn(&Object, &Object) -> Vec<String>;

/// The settings of a cluster whose Topologies say this.
type Configure = Box<dyn FnOnce(&Overrides) -> Result<Settings, String> + Send>;

/// Applies what followed files ask for to a cluster.
///
/// ```no_run
/// # use clusterlocal::watch::{Applier, Options, Sources, follow};
/// # async fn follow_zones(driver: clusterlocal_core::Driver, sources: Sources) {
/// let mut applier = Applier::new(driver);
/// let apply = move |changes: &[_], report: &_| applier.apply(changes, report);
/// follow(sources, Options::default(), Default::default(), std::future::pending(), apply).await;
/// # }
/// ```
pub struct Applier {
    driver: Driver,
    judge: Judge,
    configure: Option<Configure>,
}

impl Applier {
    /// Applies to the cluster of `driver`, which has its settings already.
    pub fn new(driver: Driver) -> Self {
        Applier { driver, judge: |_, _| Vec::new(), configure: None }
    }

    /// The same; an object whose change `judge` gives reasons against is deleted and created anew.
    #[must_use]
    pub fn judged_by(self, judge: Judge) -> Self {
        Applier { judge, ..self }
    }

    /// The same for a cluster that was started before any file could be read: it begins anew with the settings that `configure`
    /// makes of the first Topologies.
    #[must_use]
    pub fn configured_by(
        self,
        configure: impl FnOnce(&Overrides) -> Result<Settings, String> + Send + 'static,
    ) -> Self {
        Applier { configure: Some(Box::new(configure)), ..self }
    }

    /// Applies `changes`, as [`follow`](super::follow) hands them over.
    pub fn apply(&mut self, changes: &[Change], report: &Report) {
        let settings = self.configure.take().map(|configure| configure(&report.overrides));
        let (changed, replaced) = self.driver.write(|cluster| {
            match settings {
                Some(Ok(settings)) => cluster.reset(settings),
                Some(Err(failure)) => error!("{failure}; going on without"),
                None => {}
            }
            cluster.apply_checked(changes.iter().cloned(), self.judge)
        });
        for Replaced { key, reasons, held } in &replaced {
            let place =
                report.places.get(key).map(|(file, line)| format!("{file}:{line}: ")).unwrap_or_default();
            let reasons = reasons.join("; ");
            if *held {
                warn!("{place}{key}: {reasons}: left as it was, because finalizers hold it")
            } else {
                warn!("{place}{key}: {reasons}: deleted and created anew, as by `kubectl replace --force`")
            }
        }
        if !changed {
            info!("nothing that shows in the DNS has changed");
        }
    }
}
