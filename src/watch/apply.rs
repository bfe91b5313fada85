//! Applies the changes of followed files to a cluster, and logs the effects. Must not depend on how changes are detected.

use tracing::{error, info, warn};

use super::Report;
use crate::manifest::Overrides;
use crate::store::{Change, Object};
use crate::{Driver, Replaced, Settings};

/// Checks the change of an object, from its current state to that in a file. Returns the reasons for which an API server
/// would forbid it.
pub type Judge = fn(&Object, &Object) -> Vec<String>;

/// Computes the settings of a cluster from its Topologies.
type Configure = Box<dyn FnOnce(&Overrides) -> Result<Settings, String> + Send>;

/// Applies the changes of followed files to a cluster.
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
    /// Applies to the cluster of `driver`, which keeps its settings.
    pub fn new(driver: Driver) -> Self {
        Applier { driver, judge: |_, _| Vec::new(), configure: None }
    }

    /// Deletes and recreates objects whose change `judge` forbids.
    #[must_use]
    pub fn judged_by(self, judge: Judge) -> Self {
        Applier { judge, ..self }
    }

    /// Resets a cluster that was started before any file could be read, with the settings that `configure` computes from
    /// the first Topologies.
    #[must_use]
    pub fn configured_by(
        self,
        configure: impl FnOnce(&Overrides) -> Result<Settings, String> + Send + 'static,
    ) -> Self {
        Applier { configure: Some(Box::new(configure)), ..self }
    }

    /// Applies the `changes` that [`follow`](super::follow) passes on.
    pub fn apply(&mut self, changes: &[Change], report: &Report) {
        let settings = self.configure.take().map(|configure| configure(&report.overrides));
        let (changed, replaced) = self.driver.write(|cluster| {
            match settings {
                Some(Ok(settings)) => cluster.reset(settings),
                Some(Err(failure)) => error!("{failure}; keeping the default settings"),
                None => {}
            }
            cluster.apply_checked(changes.iter().cloned(), self.judge)
        });
        for Replaced { key, reasons, held } in &replaced {
            let place =
                report.places.get(key).map(|(file, line)| format!("{file}:{line}: ")).unwrap_or_default();
            let reasons = reasons.join("; ");
            if *held {
                warn!("{place}{key}: {reasons}: unchanged, because finalizers block its deletion")
            } else {
                warn!("{place}{key}: {reasons}: deleted and created again, as by `kubectl replace --force`")
            }
        }
        if !changed {
            info!("no DNS records changed");
        }
    }
}
