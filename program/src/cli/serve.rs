//! `serve`: the flags of a running server, and how it says that it is ready. Its story is told in `main.rs`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread;

use clap::{Args, ValueEnum};
use clusterlocal::serve::Options;
use clusterlocal::watch;
use clusterlocal_api as api;
use clusterlocal_core::answer::Order;
use clusterlocal_core::controller::DEFAULT_NODES;
use clusterlocal_core::manifest::Overrides;
use clusterlocal_core::output_file::OutputFile;
use clusterlocal_core::queries::QueryLog;
use clusterlocal_core::store::{Kind, Pod};
use clusterlocal_core::{Clock, ControlPlane, MAX_STORE_BYTES, Settings};
use tracing::{debug, info, warn};

use super::cluster::ClusterArgs;
use super::failure::Failure;
use super::life::LifeArgs;
use super::log::LogArgs;
use super::output::print;
use super::servers::Registered;
use super::upstream::OutsideArgs;
use super::values::{self, DEFAULT_API, DEFAULT_LISTEN};

#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Where to answer, over UDP and TCP; repeatable, port 0 is any free port
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_values_t = [DEFAULT_LISTEN],
        env = "CLUSTERLOCAL_LISTEN",
        value_delimiter = ',',
        value_parser = values::address
    )]
    listen: Vec<SocketAddr>,
    /// Where to serve the Kubernetes API, for kubectl and client libraries, or off; port 0 is any free port
    /// [default: 127.0.0.1:10054, or any free port if another has that]
    #[arg(long, value_name = "ADDR:PORT|off", env = "CLUSTERLOCAL_API")]
    api: Option<Api>,
    /// Let other machines use the API: it asks nobody who they are, so whoever reaches the address may change everything
    #[arg(long, env = "CLUSTERLOCAL_API_ALLOW_REMOTE", value_parser = values::switch)]
    api_allow_remote: bool,
    /// Write a kubeconfig for the API, into a new file or one that clusterlocal wrote; it stays, so that kubectl never turns to
    /// another cluster instead
    #[arg(long, value_name = "FILE", env = "CLUSTERLOCAL_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// The order of addresses in an answer
    #[arg(long, value_enum, default_value_t = OrderArg::Shuffle, env = "CLUSTERLOCAL_ORDER")]
    order: OrderArg,
    /// What shuffling follows from; the same seed gives the same orders, by one UDP thread [default: drawn by lot]
    #[arg(long, value_name = "NUMBER", env = "CLUSTERLOCAL_SEED", value_parser = values::whole::<u64>("a seed", 0..=u64::MAX, 7))]
    seed: Option<u64>,
    #[command(flatten)]
    outside: OutsideArgs,
    /// The largest UDP reply [default: what the client can take on loopback, 1232 elsewhere]
    #[arg(long, value_name = "BYTES", env = "CLUSTERLOCAL_MAX_UDP_SIZE", value_parser = values::whole::<u16>("bytes", 512..=65_535, 1232))]
    max_udp_size: Option<u16>,
    /// How many bytes of queries and replies are kept for `clusterlocal log`, at most 1 GiB; 0 keeps none
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20, env = "CLUSTERLOCAL_QUERY_LOG", value_parser = values::whole::<u64>("bytes", 0..=QUERY_LOG_MAX, 4 << 20))]
    query_log: u64,
    /// How many bytes of memory the cluster's objects may take before the API refuses to add to them
    #[arg(long, value_name = "BYTES", default_value_t = MAX_STORE_BYTES as u64, env = "CLUSTERLOCAL_MAX_STORE_SIZE", value_parser = values::whole::<u64>("bytes", 1 << 20..=u64::MAX, MAX_STORE_BYTES as u64))]
    max_store_size: u64,
    /// How changes of the manifests are noticed
    #[arg(long, value_enum, default_value_t = Watch::Auto, env = "CLUSTERLOCAL_WATCH")]
    watch: Watch,
    /// Begin without readable manifests: answer SERVFAIL until they are there
    #[arg(long, env = "CLUSTERLOCAL_WAIT_FOR_MANIFESTS", value_parser = values::switch)]
    pub wait_for_manifests: bool,
    /// Write the ready line to this file too, once everything answers: a new file, or one that clusterlocal wrote; it is
    /// removed at the end
    #[arg(long, value_name = "FILE", env = "CLUSTERLOCAL_READY_FILE")]
    ready_file: Option<PathBuf>,
    /// End when the process that started this one ends
    #[arg(long, env = "CLUSTERLOCAL_EXIT_WITH_PARENT", value_parser = values::switch)]
    pub exit_with_parent: bool,
    #[command(flatten)]
    life: LifeArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OrderArg {
    /// Anew for each answer, as a cluster does
    Shuffle,
    /// As the objects list them
    Stable,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Watch {
    /// At once where the system tells of changes, within a second elsewhere
    Auto,
    /// Within a second
    Poll,
    /// Only on SIGHUP
    Off,
}

/// Maximum of `--query-log`, in bytes: the memory is reserved when the server starts.
const QUERY_LOG_MAX: u64 = 1 << 30;

/// The address of the Kubernetes API.
#[derive(Clone, Copy, Debug)]
enum Api {
    At(SocketAddr),
    Off,
}

impl std::str::FromStr for Api {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Api::Off),
            _ => {
                let near = values::did_you_mean(text, ["off"]);
                values::address(text).map(Api::At).map_err(|error| format!("{error}; or off{near}"))
            }
        }
    }
}

impl ServeArgs {
    /// How to serve.
    ///
    /// # Errors
    /// Where --upstream leads nowhere but to this server.
    pub fn options(&self) -> Result<Options, Failure> {
        Ok(Options {
            listen: self.listen.clone(),
            max_udp_size: self.max_udp_size,
            order: match self.order {
                OrderArg::Shuffle => Order::Shuffle,
                OrderArg::Stable => Order::Stable,
            },
            seed: self.seed.unwrap_or_else(|| fastrand::u64(..)),
            upstream: self.outside.upstream(&self.listen)?,
            outside: self.outside.outside(),
            // Which thread a client comes to is the kernel's choice: only a single one gives orders that come again.
            udp_threads: match self.seed {
                Some(_) => NonZeroUsize::MIN,
                None => thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            },
            ..Options::default()
        })
    }

    /// Where queries are written down, if they are.
    pub fn queries(&self) -> Option<QueryLog> {
        let bytes = usize::try_from(self.query_log).unwrap_or(usize::MAX);
        (bytes > 0).then(|| QueryLog::new(bytes))
    }

    /// The cluster's clock, running from now on.
    pub fn clock(&self) -> Clock {
        self.life.clock()
    }

    /// What the cluster is set up with.
    pub fn settings(&self, overrides: &Overrides) -> Result<Settings, Failure> {
        let max_store_bytes = usize::try_from(self.max_store_size).unwrap_or(usize::MAX);
        let settings = Settings { max_store_bytes, ..self.cluster.settings(overrides)? };
        Ok(self.life.set(settings))
    }

    /// The API's socket, if it is to be served. Without a word about it, a second server on a machine does not fail
    /// because of the first one's.
    pub async fn bind_api(&self) -> Result<Option<api::Server>, Failure> {
        let at = |listen| api::Options { allow_remote: self.api_allow_remote, ..api::Options::at(listen) };
        let bound = match self.api {
            Some(Api::Off) if self.kubeconfig.is_some() => {
                return Err(Failure::Input(
                    "--kubeconfig leads to the API, and --api off leaves it out".into(),
                ));
            }
            Some(Api::Off) => return Ok(None),
            Some(Api::At(listen)) => api::Server::bind(at(listen)).await,
            None => match api::Server::bind(at(DEFAULT_API)).await {
                Err(error) if error.is_in_use() => {
                    let bound = api::Server::bind(at(SocketAddr::new(DEFAULT_API.ip(), 0))).await;
                    if let Ok(server) = &bound {
                        warn!(
                            "the API is at http://{}, because {DEFAULT_API} is in use; verbs without --api ask this server \
                             as long as it runs",
                            server.address()
                        );
                    }
                    bound
                }
                bound => bound,
            },
        };
        bound.map(Some).map_err(|error| match error {
            api::ServerError::Remote(_) => Failure::Input(error.to_string()),
            api::ServerError::Bind(_) => Failure::Network(error.to_string()),
        })
    }

    /// Checks that the files that are asked for can be written without replacing what is another's.
    pub fn check_files(&self) -> Result<(), Failure> {
        if let Some(path) = &self.kubeconfig {
            let failed =
                |error| Failure::Input(format!("cannot write the kubeconfig {}: {error}", path.display()));
            api::kubeconfig_file(path).check().map_err(failed)?;
        }
        if let Some(path) = &self.ready_file {
            let failed =
                |error| Failure::Input(format!("cannot write the ready file {}: {error}", path.display()));
            ready_file(path).check().map_err(failed)?;
        }
        Ok(())
    }

    /// Warns of addresses at which other machines can ask: the DNS answers them all.
    pub fn warn_of_other_machines(&self, addresses: &[SocketAddr]) {
        let others = addresses.iter().filter(|address| !address.ip().is_loopback());
        let others: Vec<String> = others.map(ToString::to_string).collect();
        if !others.is_empty() {
            warn!(
                "other machines can ask the DNS at {}, if no firewall is between: listen on a loopback address such as \
                 127.0.0.1 unless that is wanted",
                others.join(", ")
            );
        }
    }

    /// Leads kubectl to the API at `address`, where a file for that was asked for.
    fn write_kubeconfig(&self, address: SocketAddr) -> Result<(), Failure> {
        let Some(path) = &self.kubeconfig else { return Ok(()) };
        let failed =
            |error| Failure::Input(format!("cannot write the kubeconfig {}: {error}", path.display()));
        api::write_kubeconfig(path, address).map_err(failed)
    }

    /// How to follow the manifests.
    pub fn watching(&self) -> watch::Options {
        let mode = match self.watch {
            Watch::Auto => watch::Mode::Auto,
            Watch::Poll => watch::Mode::Poll,
            Watch::Off => watch::Mode::Off,
        };
        watch::Options { mode, ..watch::Options::default() }
    }

    /// Says on standard output, and in a file if one is asked for, where the cluster answers and what it has.
    pub fn announce(
        &self,
        addresses: &[SocketAddr],
        api: Option<SocketAddr>,
        cluster: &ControlPlane,
    ) -> Result<Announced, Failure> {
        if let Some(nodes) = cluster.grown_nodes() {
            info!(
                "{nodes} nodes instead of {DEFAULT_NODES}: required anti-affinity by hostname needs them; --nodes sets the number"
            );
        }
        let zone = cluster.published().load().clone();
        let records = zone.record_count();
        let (services, pods) = (zone.service_count(), cluster.store().list::<Pod>(Kind::Pod).count());
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        api.map_or(Ok(()), |address| self.write_kubeconfig(address))?;
        let (address, api) = (api, api.map(|address| format!(" api={address}")).unwrap_or_default());
        let dns = addresses.join(",");
        let line = format!("ready dns={dns}{api} services={services} pods={pods} records={records}\n");
        let file = self.ready_file.as_ref().map(|path| ReadyFile::write(path, &line)).transpose()?;
        // Before the line: a reader of that may send a request at once.
        let registered = address.and_then(|api| {
            let registered = Registered::new(api, self.api.is_some());
            registered.map_err(|error| debug!("verbs do not find this server without --api: {error}")).ok()
        });
        print(&line);
        Ok(Announced { _ready_file: file, _registered: registered })
    }
}

/// What says that the server answers, for as long as it does.
pub struct Announced {
    _ready_file: Option<ReadyFile>,
    _registered: Option<Registered>,
}

/// A file that is there while the server answers.
pub struct ReadyFile {
    file: OutputFile,
    line: String,
}

/// The ready file at `path`, not yet written. It is known again by how its one line begins.
fn ready_file(path: &Path) -> OutputFile {
    OutputFile::new(path, "ready dns=", false)
}

impl ReadyFile {
    /// Whole or not at all: whoever waits for the file may read it at once.
    fn write(path: &Path, line: &str) -> Result<Self, Failure> {
        let file = ready_file(path);
        let failed =
            |error| Failure::Input(format!("cannot write the ready file {}: {error}", path.display()));
        file.write(line).map_err(failed)?;
        Ok(ReadyFile { file, line: line.into() })
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        self.file.remove(&self.line);
    }
}
