//! `run`: `serve`, with pods that run as processes. Must not depend on how they do.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use clusterlocal_core::manifest::Inputs;
use clusterlocal_node::{Images, Lines};

use super::failure::Failure;
use super::serve::ServeArgs;
use super::values;
use crate::lines;

#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    serve: ServeArgs,
    #[command(flatten)]
    pods: PodsArgs,
}

/// How the containers of pods run.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Pods")]
pub struct PodsArgs {
    /// Program for an image; repeatable
    #[arg(long = "image", value_name = "IMAGE=COMMAND", env = "CLUSTERLOCAL_IMAGE", value_delimiter = ';')]
    images: Vec<String>,
    /// Directory of volumes and logs [default: .clusterlocal beside PATH]
    #[arg(long, value_name = "DIR", env = "CLUSTERLOCAL_DATA")]
    data: Option<PathBuf>,
    /// Allow programs to write to the files of the machine
    #[arg(long, env = "CLUSTERLOCAL_WRITABLE", value_parser = values::switch)]
    writable: bool,
    /// Network of pods: their own, or that of the machine
    #[arg(long, value_name = "pods|host", value_enum, default_value_t = Network::Pods, env = "CLUSTERLOCAL_NETWORK")]
    network: Network,
    /// Directory with a file for the lines of each container
    #[arg(long, value_name = "DIR", env = "CLUSTERLOCAL_LOGS")]
    logs: Option<PathBuf>,
    /// Let node ports of Services be on 127.0.0.1
    #[arg(long, env = "CLUSTERLOCAL_NODE_PORTS", value_parser = values::switch)]
    node_ports: bool,
    /// Do not print the lines that containers write
    #[arg(long, env = "CLUSTERLOCAL_QUIET", value_parser = values::switch)]
    quiet: bool,
}

/// The network that pods are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Network {
    /// One of their own
    Pods,
    /// That of the machine
    Host,
}

impl RunArgs {
    /// The arguments of the server, with addresses as in a cluster, and those of the pods.
    ///
    /// # Errors
    /// If the clock is not the real one, which processes have.
    pub fn begin(self) -> Result<(ServeArgs, PodsArgs), Failure> {
        let RunArgs { mut serve, mut pods } = self;
        serve.run_pods(pods.network == Network::Pods).map_err(Failure::Input)?;
        if pods.data.is_none() {
            pods.data = Some(default_folder(&serve.cluster.inputs()));
        }
        Ok((serve, pods))
    }
}

impl PodsArgs {
    /// The programs of images.
    ///
    /// # Errors
    /// If one is not `IMAGE=COMMAND`.
    pub fn images(&self) -> Result<Images, Failure> {
        let mut images = Images::default();
        for image in &self.images {
            images.add(image).map_err(|error| Failure::Input(format!("--image {error}")))?;
        }
        Ok(images)
    }

    /// The directory of volumes and logs.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn folder(&self) -> Result<PathBuf, Failure> {
        let folder = self.data.as_deref().unwrap_or(Path::new(DEFAULT_FOLDER));
        let created = std::fs::create_dir_all(folder).and_then(|()| folder.canonicalize());
        created.map_err(|error| Failure::Input(format!("--data {}: {error}", folder.display())))
    }

    /// Whether programs may write to the files of the machine.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Whether pods are on the network of the machine, without namespaces.
    pub fn is_on_host(&self) -> bool {
        self.network == Network::Host
    }

    /// Whether node ports are on the loopback of the machine.
    pub fn has_node_ports(&self) -> bool {
        self.node_ports
    }

    /// Where the lines of containers go.
    ///
    /// # Errors
    /// If the directory of --logs cannot be created.
    pub fn lines(&self) -> Result<Lines, Failure> {
        let mut sinks = Vec::new();
        if !self.quiet {
            sinks.push(lines::printed());
        }
        if let Some(folder) = &self.logs {
            let kept = lines::kept(folder);
            sinks
                .push(kept.map_err(|error| Failure::Input(format!("--logs {}: {error}", folder.display())))?);
        }
        Ok(lines::to_all(sinks))
    }
}

/// The name of the directory of volumes and logs.
const DEFAULT_FOLDER: &str = ".clusterlocal";

/// The directory of volumes and logs beside the first path of the inputs, and in none of their directories: those are watched.
fn default_folder(inputs: &Inputs) -> PathBuf {
    let all: Vec<&PathBuf> =
        inputs.paths.iter().chain(&inputs.kustomizations).filter(|path| path.as_os_str() != "-").collect();
    let absolute = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let watched: Vec<PathBuf> = all.iter().map(|path| absolute(path)).filter(|path| path.is_dir()).collect();
    let mut beside = match all.first().map(|path| absolute(path)) {
        Some(first) => first.parent().map_or_else(|| first.clone(), Path::to_owned),
        None => PathBuf::new(),
    };
    while let Some(outer) = watched.iter().find(|folder| beside.starts_with(folder)) {
        match outer.parent() {
            Some(parent) => beside = parent.to_owned(),
            None => break,
        }
    }
    beside.join(DEFAULT_FOLDER)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inputs below a folder, and the folder beside which the directory is.
    #[test]
    fn volumes_are_beside_the_first_path_and_in_no_watched_directory() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("zones/sub")).unwrap();
        for file in ["zones/a.yaml", "zones/sub/b.yaml", "c.yaml"] {
            std::fs::write(root.join(file), "").unwrap();
        }
        let table: [(&[&str], &str); 6] = [
            (&["zones/a.yaml"], "zones"),
            (&["zones"], ""),
            (&["zones/sub/b.yaml", "zones"], ""),
            (&["zones/sub", "c.yaml"], "zones"),
            (&["zones/a.yaml", "zones/sub"], "zones"),
            (&["-", "c.yaml"], ""),
        ];
        for (paths, expected) in table {
            let paths = paths.iter().map(|path| match *path {
                "-" => PathBuf::from("-"),
                path => root.join(path),
            });
            let inputs = Inputs { paths: paths.collect(), ..Inputs::default() };
            assert_eq!(default_folder(&inputs), root.join(expected).join(".clusterlocal"), "{inputs:?}");
        }
        assert_eq!(default_folder(&Inputs::default()), Path::new(".clusterlocal"));
    }
}
