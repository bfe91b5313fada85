//! What a cluster is started with. It must not know what becomes of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[cfg(feature = "watch")]
use super::files::{self, Files};
use super::running::Running;
use super::{Addresses, Cluster, Error, Operation};
use crate::addresses::Range;
use crate::answer::Order;
use crate::manifest::{self, Manifest};
use crate::queries::QueryLog;
use crate::reconcile::Delays;
use crate::serve::{self, Listeners};
use crate::wire::DomainName;
use crate::{Clock, ControlPlane, Driver, Settings};

/// What a [`Cluster`] is started with.
#[derive(Clone, Debug)]
#[must_use = "nothing is started before `start`"]
pub struct Builder {
    manifests: Vec<Manifest>,
    paths: Vec<PathBuf>,
    #[cfg(feature = "watch")]
    followed: Vec<PathBuf>,
    clock: Clock,
    settings: Settings,
    single: Single,
    options: serve::Options,
}

/// Settings of single methods: they win over those of [`Builder::settings`], whichever was called first.
#[derive(Clone, Debug, Default)]
struct Single {
    delays: Option<Delays>,
    domain: Option<DomainName>,
    ttl: Option<u32>,
    pod_cidr: Option<Range>,
    service_cidr: Option<Range>,
}

impl Single {
    fn over(self, mut settings: Settings) -> Settings {
        let Single { delays, domain, ttl, pod_cidr, service_cidr } = self;
        settings.delays = delays.unwrap_or(settings.delays);
        settings.zone.domain = domain.unwrap_or(settings.zone.domain);
        settings.zone.ttl = ttl.unwrap_or(settings.zone.ttl);
        settings.pod_range = pod_cidr.unwrap_or(settings.pod_range);
        settings.service_range = service_cidr.unwrap_or(settings.service_range);
        settings
    }
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            manifests: Vec::new(),
            paths: Vec::new(),
            #[cfg(feature = "watch")]
            followed: Vec::new(),
            clock: Clock::real(),
            settings: Settings::default(),
            single: Single::default(),
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
    #[doc(hidden)]
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

    /// With the manifests in a file, or in all files of a directory, as they are read and whenever they are saved: see
    /// [`files`](Cluster::files). A change that cannot be read or is refused leaves in place what was read before. Of an object that
    /// other manifests have as well, and of the cluster's settings, what the followed files say counts.
    #[cfg(feature = "watch")]
    pub fn follow(mut self, path: impl AsRef<Path>) -> Self {
        self.followed.push(path.as_ref().into());
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
        self.single.delays = Some(delays);
        self
    }

    /// With this cluster domain; by default `cluster.local`. A Topology wins.
    ///
    /// ```
    /// # use clusterlocal::Cluster;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = Cluster::builder().domain("k8s.test".parse()?).pod_cidr("127.10.0.0/16".parse()?).start().wait()?;
    /// assert_eq!(cluster.search("ring")[1], "svc.k8s.test");
    /// # Ok(())
    /// # }
    /// ```
    pub fn domain(mut self, domain: DomainName) -> Self {
        self.single.domain = Some(domain);
        self
    }

    /// With this TTL of every record, in seconds; by default 30. A Topology wins.
    pub fn ttl(mut self, ttl: u32) -> Self {
        self.single.ttl = Some(ttl);
        self
    }

    /// With pods' addresses from this range; by default 127.244.0.0/16. A Topology wins.
    pub fn pod_cidr(mut self, range: Range) -> Self {
        self.single.pod_cidr = Some(range);
        self
    }

    /// With Services' addresses from this range; by default 127.96.0.0/16. A Topology wins.
    pub fn service_cidr(mut self, range: Range) -> Self {
        self.single.service_cidr = Some(range);
        self
    }

    /// With these settings of the cluster and its zone. What another method of this builder sets wins, in any order; a
    /// Topology wins over both.
    #[doc(hidden)]
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

    /// Starts the cluster; it answers when this is done. Files are read, and the cluster is brought up, on its own thread: a
    /// caller that awaits this does not block its executor.
    ///
    /// # Errors
    /// When manifests cannot be read or are refused, or the system does not give what it takes.
    pub fn start(self) -> Operation<'static, Result<Cluster, Error>> {
        Operation::new(None, async move {
            let (running, begun) = Running::start(move || self.begin()).await?;
            let Begun {
                driver,
                queries,
                addresses,
                domain,
                #[cfg(feature = "watch")]
                files,
            } = begun?;
            Ok(Cluster {
                driver,
                queries,
                addresses,
                domain,
                #[cfg(feature = "watch")]
                files,
                running,
            })
        })
    }

    /// Reads, brings up and serves, on the runtime that the cluster lives on. It blocks.
    async fn begin(self) -> Result<Begun, Error> {
        let Builder {
            mut manifests,
            paths,
            #[cfg(feature = "watch")]
            followed,
            clock,
            settings,
            single,
            options,
        } = self;
        if !paths.is_empty() {
            let found = manifest::find(&paths).map_err(Error::Manifests)?;
            manifests.extend(found.inputs.iter().map(manifest::Input::read));
        }
        let loaded = manifest::combine(manifests);
        if loaded.has_errors() {
            return Err(Error::Manifests(loaded.problems));
        }
        let settings = single.over(settings).with_overrides(&loaded.overrides)?;
        let objects = loaded.objects();
        #[cfg(feature = "watch")]
        let (sources, objects, settings) = files::read(&followed, objects, settings)?;
        let domain = settings.zone.domain.clone();
        let mut control_plane = ControlPlane::new(settings);
        control_plane.advance_to(clock.now());
        control_plane.apply(&objects);
        let driver = Driver::new(control_plane, clock);
        let queries = QueryLog::default();
        let view = serve::View::from(&driver).with_queries(queries.clone());
        let listeners = Listeners::bind(&options).await?;
        let addresses = Addresses {
            dns: listeners.addresses()[0],
            #[cfg(feature = "api")]
            api: super::api::serve(driver.clone(), queries.clone()).await?,
        };
        tokio::spawn(listeners.serve(view, std::future::pending()));
        let living = driver.clone();
        tokio::spawn(async move { living.run().await });
        Ok(Begun {
            #[cfg(feature = "watch")]
            files: Files::follow(sources, driver.clone()),
            driver,
            queries,
            addresses,
            domain,
        })
    }
}

/// A cluster that answers, but for the thread that it lives on.
struct Begun {
    driver: Driver,
    queries: QueryLog,
    addresses: Addresses,
    domain: DomainName,
    #[cfg(feature = "watch")]
    files: Files,
}
