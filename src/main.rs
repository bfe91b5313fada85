//! The story of a run: arguments, cluster, listeners, ready, wait, drain.

mod cli;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clusterlocal::ControlPlane;
use clusterlocal::manifest::Severity;
use clusterlocal::serve::Listeners;
use clusterlocal::store::Objects;
use clusterlocal::watch::{self, Report, Sources};
use tokio::sync::Notify;
use tracing::{error, info, warn};

use cli::{ClusterArgs, Failure, Parent, ServeArgs, Signals, Stop};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(serve)
}

/// Answers for the cluster that the manifests describe, until told to stop.
fn serve(args: ServeArgs) -> Result<ExitCode, Failure> {
    let parent = args.exit_with_parent.then(Parent::take);
    let _log = args.log.start().map_err(Failure::Input)?;
    let (sources, problems) = Sources::read(&args.cluster.paths);
    if problems.iter().any(|problem| problem.severity == Severity::Error) && !args.wait_for_manifests {
        return Err(Failure::Manifests(problems));
    }
    cli::show(&problems);
    let mut cluster = ControlPlane::new(args.cluster.settings(&sources.overrides())?);
    if sources.is_ready() {
        cluster.apply(&sources.objects(), now(), None);
    } else {
        warn!("answering SERVFAIL until all manifests can be read");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|e| Failure::Network(format!("cannot start a runtime: {e}")))?;
    runtime.block_on(answer(args, parent, sources, cluster))
}

async fn answer(
    args: ServeArgs,
    parent: Option<Parent>,
    sources: Sources,
    cluster: ControlPlane,
) -> Result<ExitCode, Failure> {
    let listeners = Listeners::bind(&args.options()).await.map_err(|e| Failure::Network(e.to_string()))?;
    let addresses = listeners.addresses().to_vec();
    let (stop, read_again) = (Stop::default(), Arc::new(Notify::new()));
    let signals = Signals::take().map_err(|e| Failure::Network(format!("cannot take signals: {e}")))?;
    tokio::spawn(signals.heed(stop.clone(), read_again.clone()));
    if let Some(parent) = parent {
        tokio::spawn(parent.stop_without(stop.clone()));
    }
    let mut serving = tokio::spawn(listeners.serve(cluster.published(), stop.told()));
    let ready_file = args.announce(&addresses, &cluster)?;
    let follower = follower(args.cluster.clone(), sources.is_ready(), cluster);
    let drained = tokio::select! {
        () = watch::follow(sources, args.watching(), read_again, stop.told(), follower) => {
            // Not ready any more for anybody who has not asked yet. Also, a second signal does not wait for the rest.
            drop(ready_file);
            serving.await
        }
        ended = &mut serving => ended,
    };
    match drained {
        Ok(Ok(())) => info!("stopped"),
        Ok(Err(cut_off)) => warn!("{cut_off}"),
        Err(_) => return Err(Failure::Network("serving ended by itself; the log says why".into())),
    }
    Ok(ExitCode::SUCCESS)
}

/// So many names that came or went are told one by one; of more, only the number is.
const NAMES_TOLD: usize = 100;

/// Brings the cluster to what the manifests say now, and tells which names came and went.
///
/// A cluster that is not `configured`, because no Topology could be read so far, takes what the first ones say.
fn follower(
    args: ClusterArgs,
    mut configured: bool,
    mut cluster: ControlPlane,
) -> impl FnMut(&Objects, &Report) + Send + 'static {
    move |objects, report| {
        if !std::mem::replace(&mut configured, true) {
            match args.settings(&report.overrides) {
                Ok(settings) => cluster.begin_anew(settings),
                Err(failure) => error!("{failure}; going on without"),
            }
        }
        let mut names = Vec::new();
        let changed = cluster.apply(objects, now(), Some(&mut names));
        for name in names.iter().take(NAMES_TOLD) {
            info!("{name}");
        }
        let untold = names.len().saturating_sub(NAMES_TOLD);
        let serial = cluster.published().load().serial();
        match changed {
            true if untold > 0 => info!("and {untold} names more; serial {serial}"),
            true => info!("serial {serial}"),
            false => info!("nothing that shows in the DNS has changed"),
        }
    }
}

/// Seconds since 1970, as SOA serials have them.
fn now() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as u32)
}
