//! The story of a run: arguments, cluster, listeners, ready, wait, drain.

mod cli;
mod lint;

use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use clusterlocal::serve::{Listeners, View};
use clusterlocal::watch::{self, Applier, Sources};
use clusterlocal_api as api;
use clusterlocal_api::review::{self, review};
use clusterlocal_core::manifest::Severity;
use clusterlocal_core::store::{Change, Object};
use clusterlocal_core::{Clock, ControlPlane, Driver};
use tokio::sync::Notify;
use tracing::{info, warn};

use cli::{Failure, Parent, ServeArgs, Signals, Stop};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(serve)
}

/// Answers for the cluster that the manifests describe, until told to stop.
fn serve(args: ServeArgs) -> Result<ExitCode, Failure> {
    let parent = args.exit_with_parent.then(Parent::take);
    let _log = args.log.start().map_err(Failure::Input)?;
    let signals = Signals::take().map_err(|e| Failure::Network(format!("cannot take signals: {e}")))?;
    args.check_files()?;
    let (args, begun) = begin_apart(args);
    let (sources, cluster, clock) = begun?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_keep_alive(FREED_FOR_GOOD)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| Failure::Network(format!("cannot start a runtime: {e}")))?;
    let ended = runtime.block_on(answer(args, parent, signals, sources, cluster, clock));
    // What is read at this moment is not waited for.
    runtime.shutdown_background();
    ended
}

/// Age from which on the allocator returns freed memory to the system, once the thread that allocated it ends. Threads that
/// read manifests and handle requests of the API live no longer than that without work.
const FREED_FOR_GOOD: Duration = Duration::from_secs(1);

/// As [`begin`], by a thread of its own: when that ends, the allocator gives back what coming up took for a while, a
/// tenth of all. It is not waited for.
fn begin_apart(args: ServeArgs) -> (ServeArgs, Result<Begun, Failure>) {
    let (done, begun) = mpsc::channel();
    let beginning = thread::spawn(move || {
        let begun = begin(&args);
        if done.send((args, begun)).is_ok() {
            thread::sleep(FREED_FOR_GOOD);
        }
    });
    begun.recv().unwrap_or_else(|_| match beginning.join() {
        Err(panic) => resume_unwind(panic),
        Ok(()) => unreachable!("it ends after it has sent"),
    })
}

/// What there is when a cluster has come up.
type Begun = (Sources, ControlPlane, Clock);

/// Reads the manifests and lets the cluster come up, if all of them can be read.
fn begin(args: &ServeArgs) -> Result<Begun, Failure> {
    let (sources, problems) = Sources::read(args.cluster.inputs());
    let sources = sources.reviewed_by(review::changed);
    if problems.iter().any(|problem| problem.severity == Severity::Error) && !args.wait_for_manifests {
        return Err(Failure::Manifests(problems));
    }
    cli::show(&problems);
    let clock = args.clock();
    let mut cluster = ControlPlane::new(args.settings(&sources.overrides())?);
    if sources.is_ready() {
        cluster.advance_to(clock.now());
        cluster.apply_changes(sources.objects().into_values().map(Change::Put));
    } else {
        warn!("answering SERVFAIL until all manifests can be read");
    }
    Ok((sources, cluster, clock))
}

async fn answer(
    args: ServeArgs,
    parent: Option<Parent>,
    signals: Signals,
    mut sources: Sources,
    cluster: ControlPlane,
    clock: Clock,
) -> Result<ExitCode, Failure> {
    let options = args.options()?;
    let listeners = Listeners::bind(&options).await.map_err(|e| Failure::Network(e.to_string()))?;
    let addresses = listeners.addresses().to_vec();
    let api = args.bind_api().await?;
    let api_address = api.as_ref().map(api::Server::address);
    let (stop, read_again) = (Stop::default(), Arc::new(Notify::new()));
    signals.answer(stop.clone(), read_again.clone());
    args.warn_of_other_machines(&addresses);
    if let Some(parent) = parent {
        tokio::spawn(parent.stop_without(stop.clone()));
    }
    let driver = Driver::new(cluster, clock);
    let mut view = View::from(&driver);
    view.queries = args.queries();
    let api = match &view.queries {
        Some(queries) => api.map(|api| api.with_queries(queries.clone())),
        None => api,
    };
    let api = api.map(|api| api.with_upstream(options.upstream));
    let mut serving = tokio::spawn(listeners.serve(view, stop.told()));
    let ready_file = driver.read(|cluster| args.announce(&addresses, api_address, cluster))?;
    let api = api.map(|api| tokio::spawn(api.serve(driver.clone(), stop.told())));
    let living = driver.clone();
    tokio::spawn(async move { living.run().await });
    tokio::spawn(cli::tell_changes(driver.clone()));
    let unreviewed = sources.take_unreviewed();
    let reviewing = tokio::task::spawn_blocking(move || cli::show(&review(&unreviewed)));
    let mut applier = applier(&args, &sources, driver);
    let apply = move |changes: &[_], report: &_| applier.apply(changes, report);
    let drained = tokio::select! {
        () = watch::follow(sources, args.watching(), read_again, stop.told(), apply) => {
            // Not ready any more for anybody who has not asked yet. Also, a second signal does not wait for the rest.
            drop(ready_file);
            serving.await
        }
        ended = &mut serving => ended,
    };
    if let Some(api) = api {
        // It ends when all does; what it says to that is said.
        _ = api.await;
    }
    // What is wrong with the manifests is said, however early the end came.
    _ = reviewing.await;
    match drained {
        Ok(Ok(())) => info!("stopped"),
        Ok(Err(cut_off)) => warn!("{cut_off}"),
        Err(_) => return Err(Failure::Network("serving ended by itself; the log says why".into())),
    }
    Ok(ExitCode::SUCCESS)
}

/// Applies what the files say to the cluster. One that waits for its files takes its settings from the first Topologies.
fn applier(args: &ServeArgs, sources: &Sources, driver: Driver) -> Applier {
    let forbidden = |there: &Object, wanted: &Object| {
        let causes = api::admit::forbidden_changes(there, wanted);
        causes.iter().map(ToString::to_string).collect()
    };
    let applier = Applier::new(driver).judged_by(forbidden);
    if sources.is_ready() {
        return applier;
    }
    let args = args.clone();
    applier.configured_by(move |overrides| args.settings(overrides).map_err(|failure| failure.to_string()))
}
