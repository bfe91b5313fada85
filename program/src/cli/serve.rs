//! `serve`: the flags of a server, and how it reports that it is ready. `main.rs` runs it.

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
use serde_json::json;
use tracing::{debug, info, warn};

use super::cluster::ClusterArgs;
use super::failure::Failure;
use super::life::LifeArgs;
use super::log::LogArgs;
use super::output::{Output, print, print_to_reader};
use super::servers::Registered;
use super::upstream::OutsideArgs;
use super::values::{self, DEFAULT_API, DEFAULT_LISTEN};

#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub cluster: ClusterArgs,
    #[command(flatten)]
    dns: DnsArgs,
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    life: LifeArgs,
    #[command(flatten)]
    process: ProcessArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

/// The DNS of a running server.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "DNS")]
struct DnsArgs {
    /// Address for UDP and TCP; repeatable
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_values_t = [DEFAULT_LISTEN],
        env = "CLUSTERLOCAL_LISTEN",
        value_delimiter = ',',
        value_parser = values::address
    )]
    listen: Vec<SocketAddr>,
    /// Order of the addresses in an answer
    #[arg(long, value_name = "shuffle|stable", value_enum, default_value_t = OrderArg::Shuffle, env = "CLUSTERLOCAL_ORDER")]
    order: OrderArg,
    /// Seed of the shuffle; UDP then has one thread [default: random]
    #[arg(long, value_name = "NUMBER", env = "CLUSTERLOCAL_SEED", value_parser = values::whole::<u64>("a seed", 0..=u64::MAX, 7))]
    seed: Option<u64>,
    #[command(flatten)]
    outside: OutsideArgs,
    /// Maximum UDP reply [default: the client's on loopback, else 1232]
    #[arg(long, value_name = "BYTES", env = "CLUSTERLOCAL_MAX_UDP_SIZE", value_parser = values::whole::<u16>("bytes", 512..=65_535, 1232))]
    max_udp_size: Option<u16>,
    /// Memory for `log`, up to 1 GiB; 0: none
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20, env = "CLUSTERLOCAL_QUERY_LOG", value_parser = values::whole::<u64>("bytes", 0..=QUERY_LOG_MAX, 4 << 20))]
    query_log: u64,
}

/// The Kubernetes API of a running server.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Kubernetes API")]
struct ApiArgs {
    /// Address, or off [default: 127.0.0.1:10054, or any free port]
    #[arg(long = "api", value_name = "ADDR:PORT|off", env = "CLUSTERLOCAL_API")]
    address: Option<Api>,
    /// Allow access by other machines; the API does not authenticate
    #[arg(long = "api-allow-remote", env = "CLUSTERLOCAL_API_ALLOW_REMOTE", value_parser = values::switch)]
    allow_remote: bool,
    /// Write a kubeconfig, to a new file or one that clusterlocal wrote
    #[arg(long, value_name = "FILE", env = "CLUSTERLOCAL_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// Memory limit of all objects
    #[arg(long, value_name = "BYTES", default_value_t = MAX_STORE_BYTES as u64, env = "CLUSTERLOCAL_MAX_STORE_SIZE", value_parser = values::whole::<u64>("bytes", 1 << 20..=u64::MAX, MAX_STORE_BYTES as u64))]
    max_store_size: u64,
}

/// How the server starts, follows its files and stops.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Process")]
struct ProcessArgs {
    /// Detection of changed manifests; off: SIGHUP
    #[arg(long, value_name = "auto|poll|off", value_enum, default_value_t = Watch::Auto, env = "CLUSTERLOCAL_WATCH")]
    watch: Watch,
    /// Start without readable manifests: SERVFAIL until they are there
    #[arg(long, env = "CLUSTERLOCAL_WAIT_FOR_MANIFESTS", value_parser = values::switch)]
    wait_for_manifests: bool,
    /// Ready line: text, or JSON for test fixtures
    #[arg(short, long, value_name = "text|json", value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Write the ready line to this file as well; removed at the end
    #[arg(long, value_name = "FILE", env = "CLUSTERLOCAL_READY_FILE")]
    ready_file: Option<PathBuf>,
    /// Stop when the parent process ends
    #[arg(long, env = "CLUSTERLOCAL_EXIT_WITH_PARENT", value_parser = values::switch)]
    exit_with_parent: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OrderArg {
    /// Random for each answer, as in a cluster
    Shuffle,
    /// The order of the objects
    Stable,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Watch {
    /// At once where the system reports changes, within a second elsewhere
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
    /// Whether the server stops with its parent process.
    pub fn exits_with_parent(&self) -> bool {
        self.process.exit_with_parent
    }

    /// Whether the server starts before its manifests are readable.
    pub fn waits_for_manifests(&self) -> bool {
        self.process.wait_for_manifests
    }

    /// The options of the DNS.
    ///
    /// # Errors
    /// If --upstream names no server but this one.
    pub fn options(&self) -> Result<Options, Failure> {
        let mut options = Options::default();
        options.listen = self.dns.listen.clone();
        options.max_udp_size = self.dns.max_udp_size;
        options.order = match self.dns.order {
            OrderArg::Shuffle => Order::Shuffle,
            OrderArg::Stable => Order::Stable,
        };
        options.seed = self.dns.seed.unwrap_or_else(|| fastrand::u64(..));
        options.upstream = self.dns.outside.upstream(&self.dns.listen)?;
        options.outside = self.dns.outside.outside();
        // The kernel assigns clients to threads: only a single thread repeats the orders.
        options.udp_threads = match self.dns.seed {
            Some(_) => NonZeroUsize::MIN,
            None => thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        };
        Ok(options)
    }

    /// The log of queries, unless it is off.
    pub fn queries(&self) -> Option<QueryLog> {
        let bytes = usize::try_from(self.dns.query_log).unwrap_or(usize::MAX);
        (bytes > 0).then(|| QueryLog::new(bytes))
    }

    /// The cluster's clock, started.
    pub fn clock(&self) -> Clock {
        self.life.clock()
    }

    /// Runs pods as processes, in a network of their own or in that of the machine.
    ///
    /// # Errors
    /// If the clock is not the real one: processes have no other.
    pub fn run_pods(&mut self, own_network: bool) -> Result<(), String> {
        if !self.life.is_real() {
            return Err("--clock manual and --speed are for simulated pods: processes have the real clock. Use serve, or \
                        omit the flag"
                .into());
        }
        self.cluster.run_pods(own_network);
        Ok(())
    }

    /// The settings of the cluster.
    pub fn settings(&self, overrides: &Overrides) -> Result<Settings, Failure> {
        let max_store_bytes = usize::try_from(self.api.max_store_size).unwrap_or(usize::MAX);
        let settings = Settings { max_store_bytes, ..self.cluster.settings(overrides)? };
        Ok(self.life.apply(settings))
    }

    /// Binds the API's socket, unless the API is off. Without --api, a second server on a machine takes a free port.
    pub async fn bind_api(&self) -> Result<Option<api::Server>, Failure> {
        let at = |listen| api::Options { allow_remote: self.api.allow_remote, ..api::Options::at(listen) };
        let bound = match self.api.address {
            Some(Api::Off) if self.api.kubeconfig.is_some() => {
                return Err(Failure::Input(
                    "--kubeconfig is for the API, which --api off disables: omit one of the two".into(),
                ));
            }
            Some(Api::Off) => return Ok(None),
            Some(Api::At(listen)) => api::Server::bind(at(listen)).await,
            None => match api::Server::bind(at(DEFAULT_API)).await {
                Err(error) if error.is_in_use() => {
                    let bound = api::Server::bind(at(SocketAddr::new(DEFAULT_API.ip(), 0))).await;
                    if let Ok(server) = &bound {
                        warn!(
                            "the API is at http://{}, because {DEFAULT_API} is in use; verbs without --api use this server \
                             while it runs",
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

    /// Checks that the kubeconfig and the ready file can be written and replace no file of the user.
    pub fn check_files(&self) -> Result<(), Failure> {
        if let Some(path) = &self.api.kubeconfig {
            let failed =
                |error| Failure::Input(format!("cannot write the kubeconfig {}: {error}", path.display()));
            api::kubeconfig_file(path).check().map_err(failed)?;
        }
        if let Some(path) = &self.process.ready_file {
            let failed =
                |error| Failure::Input(format!("cannot write the ready file {}: {error}", path.display()));
            ready_file(path).check().map_err(failed)?;
        }
        Ok(())
    }

    /// Warns of addresses that other machines can query: the DNS answers all clients.
    pub fn warn_of_other_machines(&self, addresses: &[SocketAddr]) {
        let others = addresses.iter().filter(|address| !address.ip().is_loopback());
        let others: Vec<String> = others.map(ToString::to_string).collect();
        if !others.is_empty() {
            warn!(
                "other machines can query the DNS at {}, unless a firewall prevents it: listen on a loopback address such \
                 as 127.0.0.1 if only this machine should",
                others.join(", ")
            );
        }
    }

    /// Writes the kubeconfig for the API at `address`, if there is to be one.
    fn write_kubeconfig(&self, address: SocketAddr) -> Result<(), Failure> {
        let Some(path) = &self.api.kubeconfig else { return Ok(()) };
        let failed =
            |error| Failure::Input(format!("cannot write the kubeconfig {}: {error}", path.display()));
        api::write_kubeconfig(path, address).map_err(failed)
    }

    /// How changes of the manifests are detected.
    pub fn watching(&self) -> watch::Options {
        let mode = match self.process.watch {
            Watch::Auto => watch::Mode::Auto,
            Watch::Poll => watch::Mode::Poll,
            Watch::Off => watch::Mode::Off,
        };
        watch::Options { mode, ..watch::Options::default() }
    }

    /// Prints the ready line (`docs/fixture-protocol.md` has its form as JSON), with addresses and numbers of objects, and writes it to the ready file.
    pub fn announce(
        &self,
        addresses: &[SocketAddr],
        api: Option<SocketAddr>,
        cluster: &ControlPlane,
    ) -> Result<Announced, Failure> {
        if let Some(nodes) = cluster.grown_nodes() {
            info!(
                "{nodes} nodes instead of {DEFAULT_NODES}, for required anti-affinity by hostname; --nodes sets the number"
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
        let file = self.process.ready_file.as_ref().map(|path| ReadyFile::write(path, &line)).transpose()?;
        // Before the line: its reader may send a request at once.
        let registered = address.and_then(|api| {
            let registered = Registered::new(api, self.api.address.is_some());
            registered.map_err(|error| debug!("verbs need --api for this server: {error}")).ok()
        });
        match (self.process.output, address) {
            (Output::Text, _) => _ = print(&line),
            (Output::Json, api) => {
                let settings = zone.settings();
                let ready = json!({
                    "dns": addresses,
                    "api": api.map(|address| format!("http://{address}")),
                    "kubeconfig": api.map(api::kubeconfig),
                    "domain": settings.domain.to_string().trim_end_matches('.'),
                    "version": env!("CARGO_PKG_VERSION"),
                    "kubernetes": api::KUBERNETES_VERSION,
                    "serial": cluster.serial(),
                    "services": services,
                    "pods": pods,
                    "records": records,
                });
                // A parent that ended before this process could note it has closed the pipe.
                if !print_to_reader(&format!("{ready}\n")) && self.process.exit_with_parent {
                    return Err(Failure::Network("the reader of the ready line has ended".into()));
                }
            }
        }
        Ok(Announced { _ready_file: file, _registered: registered })
    }
}

/// The files that announce a server; removed when it ends.
pub struct Announced {
    _ready_file: Option<ReadyFile>,
    _registered: Option<Registered>,
}

/// A file that exists while the server answers.
pub struct ReadyFile {
    file: OutputFile,
    line: String,
}

/// The ready file at `path`, not yet written. A file that begins with the mark may be replaced.
fn ready_file(path: &Path) -> OutputFile {
    OutputFile::new(path, "ready dns=", false)
}

impl ReadyFile {
    /// Writes the file atomically: a reader never finds half a line.
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
