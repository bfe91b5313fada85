//! Manifests and settings of a cluster, as arguments of verbs.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clusterlocal_core::addresses::Range;
use clusterlocal_core::explain::Question;
use clusterlocal_core::manifest::{self, Inputs, Loaded, Overrides};
use clusterlocal_core::reconcile::Kubelets;
use clusterlocal_core::wire::DomainName;
use clusterlocal_core::zone::{PodNames, Zone};
use clusterlocal_core::{ControlPlane, RecordType, Settings};

use super::failure::{Failure, show};
use super::running::ServerArgs;
use super::values;

/// The manifests of a verb, and the settings of the cluster.
#[derive(Clone, Debug, Args)]
pub struct ClusterArgs {
    /// Files, directories (*.yaml, *.yml, *.json) or - for standard input [default: zones]
    #[arg(value_name = "PATH", env = "CLUSTERLOCAL_PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    folders: FolderArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// How directories are read; the flags are those of kubectl.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Manifests")]
pub struct FolderArgs {
    /// Directory that kubectl or kustomize renders; repeatable
    #[arg(short = 'k', long = "kustomize", value_name = "DIR", env = "CLUSTERLOCAL_KUSTOMIZE")]
    kustomize: Vec<PathBuf>,
    /// Read subdirectories as well
    #[arg(short = 'R', long, env = "CLUSTERLOCAL_RECURSIVE", value_parser = values::switch)]
    recursive: bool,
}

impl FolderArgs {
    /// The inputs: `paths` and kustomizations.
    pub fn inputs(&self, paths: &[PathBuf]) -> Inputs {
        Inputs { paths: paths.to_vec(), recursive: self.recursive, kustomizations: self.kustomize.clone() }
    }

    /// As [`inputs`](Self::inputs), or the directory `zones` if there are none.
    fn inputs_or_zones(&self, paths: &[PathBuf]) -> Inputs {
        if paths.is_empty() && self.kustomize.is_empty() {
            self.inputs(&[DEFAULT_PATH.into()])
        } else {
            self.inputs(paths)
        }
    }
}

/// The manifests that are read by default.
const DEFAULT_PATH: &str = "zones";

/// A query, its namespace, and the source of the answer.
#[derive(Clone, Debug, Args)]
pub struct QuestionArgs {
    /// Name, completed by a pod's search domains, or address for its PTR record
    #[arg(value_name = "NAME")]
    name: String,
    /// Record type [default: A; PTR for an address]
    #[arg(value_name = "TYPE")]
    record_type: Option<RecordType>,
    /// Namespace of the pod that queries
    #[arg(short, long, default_value = "default", value_name = "NAME", env = "CLUSTERLOCAL_NAMESPACE")]
    #[arg(value_parser = values::namespace)]
    pub namespace: String,
    #[command(flatten)]
    pub server: ServerArgs,
    /// Read this file, directory or - instead of using a server; repeatable
    #[arg(
        help_heading = "Manifests",
        short = 'f',
        long = "file",
        value_name = "PATH",
        env = "CLUSTERLOCAL_PATH"
    )]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    folders: FolderArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl QuestionArgs {
    /// Parses the query.
    ///
    /// # Errors
    /// If the name is not a domain name.
    pub fn parse(&self) -> Result<Question, Failure> {
        let parsed = Question::parse(&self.name, self.record_type);
        parsed.map_err(|e| {
            Failure::Input(format!("{:?} is not a domain name: {e}, such as db-0.db", self.name))
        })
    }

    /// The query as parameters of the API.
    pub fn parameters(&self) -> [(&'static str, String); 3] {
        let record_type = self.record_type.map(|of| of.to_string()).unwrap_or_default();
        [("name", self.name.clone()), ("type", record_type), ("namespace", self.namespace.clone())]
    }

    /// The manifests and settings.
    pub fn into_cluster(self) -> ClusterArgs {
        ClusterArgs { paths: self.paths, folders: self.folders, settings: self.settings }
    }
}

/// The settings of a cluster. A flag wins over a field of a Topology.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cluster")]
struct SettingsArgs {
    /// Cluster domain [default: cluster.local]
    #[arg(long, env = "CLUSTERLOCAL_DOMAIN", value_name = "NAME", value_parser = values::domain)]
    domain: Option<DomainName>,
    /// TTL of all records, up to 3600 [default: 30]
    #[arg(long, env = "CLUSTERLOCAL_TTL", value_name = "SECONDS", value_parser = values::whole::<u32>("seconds", 0..=3600, 30))]
    ttl: Option<u32>,
    /// Pod names: disabled, insecure or verified
    #[arg(long, value_name = "MODE", env = "CLUSTERLOCAL_PODS", value_enum, default_value_t = Pods::Insecure)]
    pods: Pods,
    /// Name endpoints without a hostname after their pod
    #[arg(long, env = "CLUSTERLOCAL_ENDPOINT_POD_NAMES", value_parser = values::switch)]
    endpoint_pod_names: bool,
    /// Addresses of pods [default: 127.244.0.0/14,fd00:10:244::/64]
    #[arg(long, env = "CLUSTERLOCAL_POD_CIDR", value_name = "NET[,NET6]")]
    pod_cidr: Option<Range>,
    /// Cluster IPs [default: 127.96.0.0/16,fd00:10:96::/112]
    #[arg(long, env = "CLUSTERLOCAL_SERVICE_CIDR", value_name = "NET[,NET6]")]
    service_cidr: Option<Range>,
    /// Nodes if no manifest has one [default: 3, more for anti-affinity]
    #[arg(long, env = "CLUSTERLOCAL_NODES", value_name = "COUNT", value_parser = values::whole::<u8>("a number of nodes", 1..=250, 3))]
    nodes: Option<u8>,
    /// Whether pods have a network of their own, with the usual ranges of a cluster by default.
    #[arg(skip)]
    own_network: bool,
    /// Whether pods run as processes.
    #[arg(skip)]
    runs_pods: bool,
}

/// The `pods` option of CoreDNS's `kubernetes` plugin.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Pods {
    /// None
    Disabled,
    /// For every address, as in a kubeadm cluster
    Insecure,
    /// For addresses of pods
    Verified,
}

impl ClusterArgs {
    /// Runs pods as processes, with the usual addresses of a cluster where they have a network of their own.
    pub fn run_pods(&mut self, own_network: bool) {
        (self.settings.runs_pods, self.settings.own_network) = (true, own_network);
    }

    /// The inputs, `zones` by default.
    pub fn inputs(&self) -> Inputs {
        self.folders.inputs_or_zones(&self.paths)
    }

    /// Reads the manifests and prints warnings to standard error.
    pub fn load(&self) -> Result<Loaded, Failure> {
        let loaded = manifest::load(self.inputs());
        if loaded.has_errors() {
            return Err(Failure::Manifests(loaded.problems));
        }
        show(&loaded.problems);
        Ok(loaded)
    }

    /// The cluster of the manifests.
    pub fn cluster(&self, loaded: &Loaded) -> Result<ControlPlane, Failure> {
        let mut cluster = ControlPlane::new(self.settings(&loaded.overrides)?);
        cluster.apply(&loaded.objects());
        Ok(cluster)
    }

    /// The zone of the cluster.
    pub fn zone(&self) -> Result<Zone, Failure> {
        Ok(Zone::clone(&self.cluster(&self.load()?)?.published().load()))
    }

    /// The settings: flags, then fields of a Topology, then the values of a kubeadm cluster.
    pub fn settings(&self, overrides: &Overrides) -> Result<Settings, Failure> {
        let flags = &self.settings;
        let mut settings = Settings::default();
        if flags.own_network {
            (settings.pod_range, settings.service_range) = (Range::usual_pods(), Range::usual_services());
        }
        if flags.runs_pods {
            settings.kubelets = Kubelets::External;
        }
        let settings = settings.with_overrides(overrides);
        let mut settings = settings.map_err(|error| Failure::Input(error.to_string()))?;
        let zone = &mut settings.zone;
        zone.domain = flags.domain.clone().unwrap_or_else(|| zone.domain.clone());
        zone.ttl = flags.ttl.unwrap_or(zone.ttl);
        zone.pods = match flags.pods {
            Pods::Disabled => PodNames::Disabled,
            Pods::Insecure => PodNames::Insecure,
            Pods::Verified => PodNames::Verified,
        };
        zone.endpoint_pod_names = flags.endpoint_pod_names;
        settings.pod_range = flags.pod_cidr.clone().unwrap_or(settings.pod_range);
        settings.nodes = flags.nodes;
        settings.service_range = flags.service_cidr.clone().unwrap_or(settings.service_range);
        Ok(settings)
    }
}
