//! The builder of a [`Cluster`]. Must not depend on what is done with a running cluster.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[cfg(feature = "watch")]
use super::files::{self, Files};
#[cfg(all(feature = "run", target_os = "linux"))]
use super::processes::Run;
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

/// Configuration of a [`Cluster`] before it is started.
#[derive(Clone, Debug)]
#[must_use = "a builder starts nothing until `start` is called"]
pub struct Builder {
    manifests: Vec<Manifest>,
    paths: Vec<PathBuf>,
    #[cfg(feature = "watch")]
    followed: Vec<PathBuf>,
    clock: Clock,
    settings: Settings,
    single: Single,
    options: serve::Options,
    #[cfg(all(feature = "run", target_os = "linux"))]
    run: Option<Run>,
}

/// Values set by individual methods. They override [`Builder::settings`], in whichever order the methods are called.
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
            #[cfg(all(feature = "run", target_os = "linux"))]
            run: None,
        }
    }
}

impl Builder {
    /// Adds manifests: YAML documents, or JSON. Can be called several times.
    pub fn manifests(mut self, text: impl Into<String>) -> Self {
        let name = format!("manifests {}", self.manifests.len() + 1);
        self.manifests.push(manifest::read_bytes(&name, text.into().into_bytes()));
        self
    }

    /// Adds manifests that have been parsed already.
    #[doc(hidden)]
    pub fn read(mut self, manifests: Vec<Manifest>) -> Self {
        self.manifests.extend(manifests);
        self
    }

    /// Adds a Topology without its first lines: `sets: {db: {replicas: 3, ports: {peer: 7000}}}`. See
    /// [`manifest::topology`](crate::manifest::topology) for all fields.
    pub fn topology(self, text: &str) -> Self {
        self.manifests(format!("apiVersion: clusterlocal.dev/v1\nkind: Topology\n{text}\n"))
    }

    /// Adds the manifests of a file, or of all files in a directory. They are read once, at the start.
    pub fn path(mut self, path: impl AsRef<Path>) -> Self {
        self.paths.push(path.as_ref().into());
        self
    }

    /// Adds the manifests of a file, or of all files in a directory, and applies each later save of them: see
    /// [`files`](Cluster::files). If the new content of a file is malformed or refused, the previous content stays in use.
    /// The followed files override other manifests that have the same object, and the cluster's settings.
    #[cfg(feature = "watch")]
    pub fn follow(mut self, path: impl AsRef<Path>) -> Self {
        self.followed.push(path.as_ref().into());
        self
    }

    /// Sets the order of addresses in answers. By default they are shuffled, as CoreDNS's `loadbalance` plugin does, from
    /// the [`seed`](Self::seed).
    pub fn order(mut self, order: Order) -> Self {
        self.options.order = order;
        self
    }

    /// Sets the seed of all random choices. The default is 0, so that test runs are repeatable.
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = seed;
        self
    }

    /// Sets the clock. By default time passes; [`Clock::manual`] stands still until [`Cluster::advance`].
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets how long pods take to start, become ready and stop. By default they take no time.
    pub fn delays(mut self, delays: Delays) -> Self {
        self.single.delays = Some(delays);
        self
    }

    /// Sets the cluster domain. The default is `cluster.local`. A Topology overrides it.
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

    /// Sets the TTL of every record, in seconds. The default is 30. A Topology overrides it.
    pub fn ttl(mut self, ttl: u32) -> Self {
        self.single.ttl = Some(ttl);
        self
    }

    /// Sets the range of pod addresses. The default is 127.244.0.0/16. A Topology overrides it.
    pub fn pod_cidr(mut self, range: Range) -> Self {
        self.single.pod_cidr = Some(range);
        self
    }

    /// Sets the range of Service addresses. The default is 127.96.0.0/16. A Topology overrides it.
    pub fn service_cidr(mut self, range: Range) -> Self {
        self.single.service_cidr = Some(range);
        self
    }

    /// Sets the settings of the cluster and its zone. Other methods of this builder override them, in any order; a Topology
    /// overrides both.
    #[doc(hidden)]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets the address to listen on, over UDP and TCP. The default is a free port of 127.0.0.1.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.options.listen = vec![address];
        self
    }

    /// Sets the server to which queries outside the cluster domain are forwarded. By default they are answered with
    /// NXDOMAIN.
    pub fn upstream(mut self, server: SocketAddr) -> Self {
        self.options.upstream = vec![server];
        self
    }

    /// Runs the containers of pods as processes, each pod with a network of its own (10.244.x.x), in which the DNS of the cluster is
    /// at 10.96.0.10. A pod is ready when its readiness probe succeeds. Without root this takes user namespaces; the error
    /// names the setting that forbids them. All processes end when the cluster is dropped.
    ///
    /// ```no_run
    /// # use clusterlocal::{Cluster, Run};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = Cluster::builder().path("store.yaml").run(Run::new().image("store", "./target/debug/store")).start().wait()?;
    /// cluster.rollout("store").wait()?;
    /// cluster.pod("store-0").wait_for_line("joined", Duration::from_secs(10)).wait()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(all(feature = "run", target_os = "linux"))]
    pub fn run(mut self, run: Run) -> Self {
        self.run = Some(run);
        self
    }

    /// Starts the cluster. It answers queries when the operation is done. The cluster's own thread reads the files and runs
    /// the controllers, so a caller that awaits this does not block its executor.
    ///
    /// # Errors
    /// If manifests cannot be read or are refused, or if the system has no port, thread or file descriptor left.
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
                #[cfg(all(feature = "run", target_os = "linux"))]
                pods,
            } = begun?;
            Ok(Cluster {
                driver,
                queries,
                addresses,
                domain,
                #[cfg(feature = "watch")]
                files,
                running,
                #[cfg(all(feature = "run", target_os = "linux"))]
                pods,
            })
        })
    }

    /// Reads the manifests, reconciles the cluster and starts its listeners, on the cluster's runtime. Blocks.
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
            #[cfg(all(feature = "run", target_os = "linux"))]
            run,
        } = self;
        if !paths.is_empty() {
            let found = manifest::find(&paths).map_err(Error::Manifests)?;
            manifests.extend(found.inputs.iter().map(manifest::Input::read));
        }
        let loaded = manifest::combine(manifests);
        if loaded.has_errors() {
            return Err(Error::Manifests(loaded.problems));
        }
        #[cfg(all(feature = "run", target_os = "linux"))]
        let settings = match &run {
            Some(run) => run.over(settings),
            None => settings,
        };
        let settings = single.over(settings).with_overrides(&loaded.overrides)?;
        let objects = loaded.objects();
        #[cfg(feature = "watch")]
        let (sources, objects, settings) = files::read(&followed, objects, settings)?;
        let domain = settings.zone.domain.clone();
        #[cfg(all(feature = "run", target_os = "linux"))]
        let kept_settings = settings.clone();
        let mut control_plane = ControlPlane::new(settings);
        control_plane.advance_to(clock.now());
        control_plane.apply(&objects);
        let listeners = Listeners::bind(&options).await?;
        let dns = listeners.addresses()[0];
        #[cfg(all(feature = "run", target_os = "linux"))]
        let (mut nodes, listeners) = match run {
            Some(run) => {
                let (nodes, listeners) = run.start(&kept_settings, &clock, &control_plane, listeners)?;
                (Some(nodes), listeners)
            }
            None => (None, listeners),
        };
        let driver = Driver::new(control_plane, clock);
        let queries = QueryLog::default();
        let view = serve::View::from(&driver).with_queries(queries.clone());
        #[cfg(feature = "api")]
        let api = super::api::bind().await?;
        #[cfg(all(feature = "run", target_os = "linux"))]
        let api = match &mut nodes {
            Some(nodes) => driver.read(|cluster| nodes.join_api(api, cluster))?,
            None => api,
        };
        let addresses = Addresses {
            dns,
            #[cfg(feature = "api")]
            api: super::api::serve(api, driver.clone(), queries.clone()),
        };
        tokio::spawn(listeners.serve(view, std::future::pending()));
        let living = driver.clone();
        tokio::spawn(async move { living.run().await });
        Ok(Begun {
            #[cfg(all(feature = "run", target_os = "linux"))]
            pods: nodes.map(|nodes| nodes.spawn(driver.clone())),
            #[cfg(feature = "watch")]
            files: Files::follow(sources, driver.clone()),
            driver,
            queries,
            addresses,
            domain,
        })
    }
}

/// A running cluster without its thread.
struct Begun {
    driver: Driver,
    queries: QueryLog,
    addresses: Addresses,
    domain: DomainName,
    #[cfg(feature = "watch")]
    files: Files,
    #[cfg(all(feature = "run", target_os = "linux"))]
    pods: Option<super::processes::Pods>,
}
