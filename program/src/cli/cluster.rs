//! From paths and flags to a cluster: what all verbs begin with.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clusterlocal_core::addresses::Range;
use clusterlocal_core::explain::Question;
use clusterlocal_core::manifest::{self, Inputs, Loaded, Overrides};
use clusterlocal_core::wire::DomainName;
use clusterlocal_core::zone::{PodNames, Zone};
use clusterlocal_core::{ControlPlane, RecordType, Settings};

use super::failure::{Failure, show};
use super::running::ServerArgs;
use super::values;

/// The manifests of a verb, and what the cluster is configured with beside them.
#[derive(Clone, Debug, Args)]
pub struct ClusterArgs {
    /// Manifests: files, directories (*.yaml, *.yml, *.json in them), or - for standard input [default: zones]
    #[arg(value_name = "PATH", env = "CLUSTERLOCAL_PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    folders: FolderArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// How directories are read, as kubectl's flags say it.
#[derive(Clone, Debug, Args)]
pub struct FolderArgs {
    /// Render the kustomization in this directory and read that, with the kubectl or kustomize on the PATH; repeatable
    #[arg(short = 'k', long = "kustomize", value_name = "DIR", env = "CLUSTERLOCAL_KUSTOMIZE")]
    kustomize: Vec<PathBuf>,
    /// Read the directories in directories as well
    #[arg(short = 'R', long, env = "CLUSTERLOCAL_RECURSIVE", value_parser = values::switch)]
    recursive: bool,
}

impl FolderArgs {
    /// What is to be read, with these `paths`.
    pub fn inputs(&self, paths: &[PathBuf]) -> Inputs {
        Inputs { paths: paths.to_vec(), recursive: self.recursive, kustomizations: self.kustomize.clone() }
    }

    /// As [`inputs`](Self::inputs), but the directory `zones` if nothing is named.
    fn inputs_or_zones(&self, paths: &[PathBuf]) -> Inputs {
        if paths.is_empty() && self.kustomize.is_empty() {
            self.inputs(&[DEFAULT_PATH.into()])
        } else {
            self.inputs(paths)
        }
    }
}

/// What is read if nothing is named.
const DEFAULT_PATH: &str = "zones";

/// A verb's question, the pod that asks it, and where the answer comes from.
#[derive(Clone, Debug, Args)]
pub struct QuestionArgs {
    /// The name asked for, or an address for its PTR record; one without the cluster domain is completed with the search
    /// domains of a pod
    #[arg(value_name = "NAME")]
    name: String,
    /// The record type asked for [default: A; PTR for an address]
    #[arg(value_name = "TYPE")]
    record_type: Option<RecordType>,
    /// The namespace of the pod that asks
    #[arg(short, long, default_value = "default", value_name = "NAME", env = "CLUSTERLOCAL_NAMESPACE")]
    #[arg(value_parser = values::namespace)]
    pub namespace: String,
    #[command(flatten)]
    pub server: ServerArgs,
    /// Ask no server but these manifests: a file, a directory, or - for standard input; repeatable
    #[arg(short = 'f', long = "file", value_name = "PATH", env = "CLUSTERLOCAL_PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    folders: FolderArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl QuestionArgs {
    /// What is asked.
    ///
    /// # Errors
    /// Where the name is none.
    pub fn parse(&self) -> Result<Question, Failure> {
        let parsed = Question::parse(&self.name, self.record_type);
        parsed.map_err(|e| Failure::Input(format!("{:?} is no domain name: {e}, such as db-0.db", self.name)))
    }

    /// The same for a running server.
    pub fn parameters(&self) -> [(&'static str, String); 3] {
        let record_type = self.record_type.map(|of| of.to_string()).unwrap_or_default();
        [("name", self.name.clone()), ("type", record_type), ("namespace", self.namespace.clone())]
    }

    /// The cluster that is read from files.
    pub fn into_cluster(self) -> ClusterArgs {
        ClusterArgs { paths: self.paths, folders: self.folders, settings: self.settings }
    }
}

/// What a cluster is configured with. A flag wins over a Topology's field.
#[derive(Clone, Debug, Args)]
struct SettingsArgs {
    /// The cluster domain [default: cluster.local]
    #[arg(long, env = "CLUSTERLOCAL_DOMAIN", value_name = "NAME", value_parser = values::domain)]
    domain: Option<DomainName>,
    /// TTL of every record in seconds, 0 to 3600 [default: 30]
    #[arg(long, env = "CLUSTERLOCAL_TTL", value_name = "SECONDS", value_parser = values::whole::<u32>("seconds", 0..=3600, 30))]
    ttl: Option<u32>,
    /// Which names like 10-244-0-7.NAMESPACE.pod exist
    #[arg(long, env = "CLUSTERLOCAL_PODS", value_enum, default_value_t = Pods::Insecure)]
    pods: Pods,
    /// Call endpoints without a hostname after their pod instead of their address
    #[arg(long, env = "CLUSTERLOCAL_ENDPOINT_POD_NAMES", value_parser = values::switch)]
    endpoint_pod_names: bool,
    /// Where pods get their addresses from, NET or NET4,NET6 [default: 127.244.0.0/14,fd00:10:244::/64]
    #[arg(long, env = "CLUSTERLOCAL_POD_CIDR", value_name = "NET")]
    pod_cidr: Option<Range>,
    /// Where Services get their addresses from, NET or NET4,NET6 [default: 127.96.0.0/16,fd00:10:96::/112]
    #[arg(long, env = "CLUSTERLOCAL_SERVICE_CIDR", value_name = "NET")]
    service_cidr: Option<Range>,
    /// How many nodes there are where no manifest names one [default: 3, and more where required anti-affinity by
    /// hostname needs them]
    #[arg(long, env = "CLUSTERLOCAL_NODES", value_name = "COUNT", value_parser = values::whole::<u8>("a number of nodes", 1..=250, 3))]
    nodes: Option<u8>,
}

/// The `pods` option of CoreDNS's `kubernetes` plugin.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Pods {
    /// None
    Disabled,
    /// All that spell an address, as in a kubeadm cluster
    Insecure,
    /// Those of existing pods
    Verified,
}

impl ClusterArgs {
    /// What is to be read.
    pub fn inputs(&self) -> Inputs {
        self.folders.inputs_or_zones(&self.paths)
    }

    /// Reads the manifests; warnings go to standard error.
    pub fn load(&self) -> Result<Loaded, Failure> {
        let loaded = manifest::load(self.inputs());
        if loaded.has_errors() {
            return Err(Failure::Manifests(loaded.problems));
        }
        show(&loaded.problems);
        Ok(loaded)
    }

    /// The cluster that they describe.
    pub fn cluster(&self, loaded: &Loaded) -> Result<ControlPlane, Failure> {
        let mut cluster = ControlPlane::new(self.settings(&loaded.overrides)?);
        cluster.apply(&loaded.objects());
        Ok(cluster)
    }

    /// Its zone.
    pub fn zone(&self) -> Result<Zone, Failure> {
        Ok(Zone::clone(&self.cluster(&self.load()?)?.published().load()))
    }

    /// Flags, else what a Topology says, else a kubeadm cluster's values.
    pub fn settings(&self, overrides: &Overrides) -> Result<Settings, Failure> {
        let flags = &self.settings;
        let settings = Settings::default().with_overrides(overrides);
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
