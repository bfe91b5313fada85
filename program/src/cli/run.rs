//! `run`: `serve`, with pods that run as processes. Must not depend on how they do.

use std::path::{Path, PathBuf};

use clap::Args;
use clusterlocal_node::Images;

use super::failure::Failure;
use super::serve::ServeArgs;
use super::values;

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
    /// Directory of volumes and logs [default: .clusterlocal]
    #[arg(long, value_name = "DIR", env = "CLUSTERLOCAL_DATA")]
    data: Option<PathBuf>,
    /// Allow programs to write to the files of the machine
    #[arg(long, env = "CLUSTERLOCAL_WRITABLE", value_parser = values::switch)]
    writable: bool,
    /// Do not print the lines that containers write
    #[arg(long, env = "CLUSTERLOCAL_QUIET", value_parser = values::switch)]
    quiet: bool,
}

impl RunArgs {
    /// The arguments of the server, with addresses as in a cluster, and those of the pods.
    ///
    /// # Errors
    /// If the clock is not the real one, which processes have.
    pub fn begin(self) -> Result<(ServeArgs, PodsArgs), Failure> {
        let RunArgs { mut serve, pods } = self;
        serve.run_pods().map_err(Failure::Input)?;
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
        let folder = self.data.as_deref().unwrap_or(Path::new(".clusterlocal"));
        let created = std::fs::create_dir_all(folder).and_then(|()| folder.canonicalize());
        created.map_err(|error| Failure::Input(format!("--data {}: {error}", folder.display())))
    }

    /// Whether programs may write to the files of the machine.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Whether the lines of containers are printed.
    pub fn prints_lines(&self) -> bool {
        !self.quiet
    }
}
