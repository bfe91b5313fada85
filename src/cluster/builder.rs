//! What a cluster is started with. It must not know what becomes of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::running::Running;
use super::{Cluster, Error, Operation};
use crate::answer::Order;
use crate::manifest::{self, Manifest};
use crate::queries::QueryLog;
use crate::reconcile::Delays;
use crate::serve::{self, Listeners};
use crate::{Clock, ControlPlane, Driver, Settings};

/// What a [`Cluster`] is started with.
#[derive(Clone, Debug)]
#[must_use = "nothing is started before `start`"]
pub struct Builder {
    manifests: Vec<Manifest>,
    paths: Vec<PathBuf>,
    clock: Clock,
    settings: Settings,
    options: serve::Options,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            manifests: Vec::new(),
            paths: Vec::new(),
            clock: Clock::real(),
            settings: Settings::default(),
            options: serve::Options::default(),
        }
    }
}

impl Builder {
    /// With these manifests: YAML documents, or JSON. More than once adds to them.
    pub fn manifests(mut self, text: impl Into<String>) -> Self {
        let name = format!("manifests {}", self.manifests.len() + 1);
        self.manifests.push(manifest::read_bytes(&name, text.into().into_bytes()));
        self
    }

    /// With manifests that were read before.
    pub fn read(mut self, manifests: Vec<Manifest>) -> Self {
        self.manifests.extend(manifests);
        self
    }

    /// With the short form, its first lines left out: `sets: {db: {replicas: 3, ports: {peer: 7000}}}`. All there is to
    /// write is told in [`manifest::topology`](crate::manifest::topology).
    pub fn topology(self, text: &str) -> Self {
        self.manifests(format!("apiVersion: clusterlocal.dev/v1\nkind: Topology\n{text}\n"))
    }

    /// With the manifests in a file, or in all files of a directory. They are read once, at the start.
    pub fn path(mut self, path: impl AsRef<Path>) -> Self {
        self.paths.push(path.as_ref().into());
        self
    }

    /// With addresses in this order. Without a word they are shuffled, as a cluster does it, from the [`seed`](Self::seed).
    pub fn order(mut self, order: Order) -> Self {
        self.options.order = order;
        self
    }

    /// With everything that goes by lot derived from this; 0 without a word, so that tests can be repeated.
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = seed;
        self
    }

    /// With this clock. [`Clock::manual`] stands still until [`Cluster::advance`]; without a word time passes.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// With pods that take so long to start, to get ready, to stop; without a word none of it takes any time.
    pub fn delays(mut self, delays: Delays) -> Self {
        self.settings.delays = delays;
        self
    }

    /// With these settings of the cluster and its zone: domain, TTL, ranges of addresses. A Topology wins.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// At this address, over UDP and TCP; without a word at a free port of 127.0.0.1.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.options.listen = vec![address];
        self
    }

    /// With names that are not the cluster's asked of this server; by default they do not exist (NXDOMAIN).
    pub fn upstream(mut self, server: SocketAddr) -> Self {
        self.options.upstream = vec![server];
        self
    }

    /// Starts the cluster; it answers when this is done.
    ///
    /// # Errors
    /// When manifests cannot be read or are refused, or the system does not give what it takes.
    pub fn start(self) -> Operation<'static, Result<Cluster, Error>> {
        Operation::new(None, async move { self.start_now() })
    }

    fn start_now(self) -> Result<Cluster, Error> {
        let Builder { mut manifests, paths, clock, settings, options } = self;
        if !paths.is_empty() {
            let found = manifest::find(&paths).map_err(Error::Manifests)?;
            manifests.extend(found.inputs.iter().map(manifest::Input::read));
        }
        let loaded = manifest::combine(manifests);
        if loaded.has_errors() {
            return Err(Error::Manifests(loaded.problems));
        }
        let settings = settings.heed(&loaded.overrides)?;
        let domain = settings.zone.domain.clone();
        let mut control_plane = ControlPlane::new(settings);
        control_plane.advance_to(clock.now());
        control_plane.apply(&loaded.objects());
        let driver = Driver::new(control_plane, clock);
        let queries = QueryLog::default();
        let view = serve::View::from(&driver).with_queries(queries.clone());
        let living = driver.clone();
        #[cfg(feature = "api")]
        let asked = queries.clone();
        let (running, addresses) = Running::start(move || async move {
            let listeners = Listeners::bind(&options).await?;
            let dns = listeners.addresses()[0];
            #[cfg(feature = "api")]
            let api = super::api::serve(living.clone(), asked).await?;
            tokio::spawn(listeners.serve(view, std::future::pending()));
            tokio::spawn(async move { living.run().await });
            Ok::<_, Error>(super::Addresses {
                dns,
                #[cfg(feature = "api")]
                api,
            })
        })?;
        let addresses = addresses?;
        Ok(Cluster { driver, queries, addresses, domain, running })
    }
}
