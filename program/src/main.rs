//! Runs the program: arguments, cluster, listeners, ready line, shutdown.

mod cli;
#[cfg(target_os = "linux")]
mod lines;
mod lint;

#[cfg(target_os = "linux")]
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

#[cfg(target_os = "linux")]
use clusterlocal::run::Nodes;
use clusterlocal::serve::{Listeners, View};
use clusterlocal::watch::{self, Applier, Sources};
use clusterlocal_api as api;
use clusterlocal_api::review::{self, review};
use clusterlocal_core::manifest::Severity;
use clusterlocal_core::queries::QueryLog;
use clusterlocal_core::store::{Change, Object};
use clusterlocal_core::{Clock, ControlPlane, Driver, Settings};
use tokio::sync::Notify;
use tracing::{info, warn};

use cli::{Failure, Parent, PodsArgs, ServeArgs, Signals, Stop};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before anything else: a process of a node has one thread.
    #[cfg(target_os = "linux")]
    if let Some((verb, of_the_process)) = std::env::args().skip(1).collect::<Vec<_>>().split_first()
        && verb == clusterlocal_node::VERB
    {
        return clusterlocal_node::process(of_the_process);
    }
    cli::run(serve)
}

/// Serves the cluster of the manifests until the shutdown, with pods that run as processes where there are arguments for them.
fn serve(args: ServeArgs, pods: Option<PodsArgs>) -> Result<ExitCode, Failure> {
    let parent = args.exits_with_parent().then(Parent::current);
    let _log = args.log.start();
    let signals = Signals::install().map_err(|e| Failure::Network(format!("cannot handle signals: {e}")))?;
    args.check_files()?;
    let (args, started) = start_in_thread(args);
    let (sources, cluster, clock) = started?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_keep_alive(PURGE_DELAY)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| Failure::Network(format!("cannot start a runtime: {e}")))?;
    let ended = runtime.block_on(answer(args, pods, parent, signals, sources, cluster, clock));
    // Not waiting for files that are being read.
    runtime.shutdown_background();
    ended
}

/// Minimum age of freed memory that the allocator returns to the system when the thread that allocated it ends. Idle threads,
/// which read manifests and handle requests of the API, live no longer than this.
const PURGE_DELAY: Duration = Duration::from_secs(1);

/// Like [`start`], in its own thread: when that ends, the allocator returns the memory that only the start needed, a tenth of
/// all. The end of the thread is not awaited.
fn start_in_thread(args: ServeArgs) -> (ServeArgs, Result<Started, Failure>) {
    let (sender, started) = mpsc::channel();
    let starter = thread::spawn(move || {
        let started = start(&args);
        if sender.send((args, started)).is_ok() {
            thread::sleep(PURGE_DELAY);
        }
    });
    started.recv().unwrap_or_else(|_| match starter.join() {
        Err(panic) => resume_unwind(panic),
        Ok(()) => unreachable!("the thread ends after it has sent"),
    })
}

/// A started cluster: its files, its objects and its clock.
type Started = (Sources, ControlPlane, Clock);

/// Reads the manifests and starts the cluster, if all of them are readable.
fn start(args: &ServeArgs) -> Result<Started, Failure> {
    let (sources, problems) = Sources::read(args.cluster.inputs());
    let sources = sources.reviewed_by(review::changed);
    if problems.iter().any(|problem| problem.severity == Severity::Error) && !args.waits_for_manifests() {
        return Err(Failure::Manifests(problems));
    }
    cli::show(&problems);
    let clock = args.clock();
    let mut cluster = ControlPlane::new(args.settings(&sources.overrides())?);
    if sources.is_ready() {
        cluster.advance_to(clock.now());
        cluster.apply_changes(sources.objects().into_values().map(Change::Put));
    } else {
        warn!("answering SERVFAIL until all manifests are readable");
    }
    Ok((sources, cluster, clock))
}

async fn answer(
    args: ServeArgs,
    pods: Option<PodsArgs>,
    parent: Option<Parent>,
    signals: Signals,
    mut sources: Sources,
    cluster: ControlPlane,
    clock: Clock,
) -> Result<ExitCode, Failure> {
    let options = args.options()?;
    #[cfg_attr(not(target_os = "linux"), allow(unused_mut))]
    let mut listeners = Listeners::bind(&options).await.map_err(|e| Failure::Network(e.to_string()))?;
    let addresses = listeners.addresses().to_vec();
    #[cfg(not(target_os = "linux"))]
    let node = pods;
    #[cfg(target_os = "linux")]
    let mut node = None;
    #[cfg(target_os = "linux")]
    if let Some(pods) = pods {
        let begun = start_nodes(&pods, addresses[0], &args.settings(&sources.overrides())?, &cluster)?;
        let sockets = begun.bind_dns().map_err(|e| Failure::Network(format!("DNS for pods: {e}")))?;
        if let Some((datagrams, listener)) = sockets {
            let with = listeners.with_sockets(datagrams, listener);
            listeners = with.map_err(|e| Failure::Network(format!("cannot serve DNS for pods: {e}")))?;
        }
        node = Some(begun);
    }
    let api = args.bind_api().await?;
    let api_address = api.as_ref().map(api::Server::address);
    let (stop, read_again) = (Stop::default(), Arc::new(Notify::new()));
    // Pods stop before the DNS, which they need until then, and each has its grace period.
    let requested = if node.is_some() { Stop::default() } else { stop.clone() };
    signals.handle(requested.clone(), read_again.clone(), node.is_none());
    args.warn_of_other_machines(&addresses);
    if let Some(parent) = parent {
        tokio::spawn(parent.stop_after_end(requested.clone()));
    }
    let driver = Driver::new(cluster, clock);
    let mut view = View::from(&driver);
    view.queries = args.queries();
    #[cfg(target_os = "linux")]
    let api = match (api, &mut node) {
        (Some(api), Some(node)) => {
            let joined = driver.read(|cluster| node.join_api(api, cluster));
            Some(joined.map_err(|e| Failure::Network(format!("cannot serve the API for pods: {e}")))?)
        }
        (api, _) => api,
    };
    let api = match &view.queries {
        Some(queries) => api.map(|api| api.with_queries(queries.clone())),
        None => api,
    };
    let api = api.map(|api| api.with_upstream(options.upstream));
    let log = view.queries.clone().unwrap_or_else(|| QueryLog::new(0));
    let api = api.map(|api| {
        let verbs = clusterlocal::fixture(driver.clone(), log, addresses[0], api.address());
        api.with_fixture(verbs)
    });
    let mut serving = tokio::spawn(listeners.serve(view, stop.requested()));
    let ready_file = driver.read(|cluster| args.announce(&addresses, api_address, cluster))?;
    let api = api.map(|api| tokio::spawn(api.serve(driver.clone(), stop.requested())));
    let timers = driver.clone();
    tokio::spawn(async move { timers.run().await });
    tokio::spawn(cli::log_changes(driver.clone()));
    #[cfg(target_os = "linux")]
    if let Some(node) = node {
        let (driver, stop) = (driver.clone(), stop.clone());
        tokio::spawn(cli::log_pods(driver.clone()));
        tokio::spawn(async move {
            node.run(driver, requested.requested()).await;
            stop.now();
        });
    }
    let unreviewed = sources.take_unreviewed();
    let reviewing = tokio::task::spawn_blocking(move || cli::show(&review(&unreviewed)));
    let mut applier = applier(&args, &sources, driver);
    let apply = move |changes: &[_], report: &_| applier.apply(changes, report);
    let served = tokio::select! {
        () = watch::follow(sources, args.watching(), read_again, stop.requested(), apply) => {
            // Clients that have not queried yet find the server not ready. A second signal ends the process from here on.
            drop(ready_file);
            serving.await
        }
        ended = &mut serving => ended,
    };
    if let Some(api) = api {
        // The API stops with the DNS; its result changes nothing.
        _ = api.await;
    }
    // Problems of the manifests are printed, however early the shutdown is.
    _ = reviewing.await;
    match served {
        Ok(Ok(())) => info!("stopped"),
        Ok(Err(cut_off)) => warn!("{cut_off}"),
        Err(_) => {
            return Err(Failure::Network("the DNS server ended unexpectedly; the log has the reason".into()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts the network of the pods, without pods.
#[cfg(target_os = "linux")]
fn start_nodes(
    args: &PodsArgs,
    dns: SocketAddr,
    settings: &Settings,
    cluster: &ControlPlane,
) -> Result<Nodes, Failure> {
    let options = clusterlocal::run::Options {
        images: args.images()?,
        folder: args.folder()?,
        writable: args.is_writable(),
        node_ports: args.has_node_ports(),
        lines: args.lines()?,
        on_host: args.is_on_host().then_some(dns),
    };
    let program = std::env::current_exe();
    let program = program.map_err(|e| Failure::Network(format!("cannot find this program: {e}")))?;
    let nodes = Nodes::start(&program, options, settings, cluster);
    nodes.map_err(|e| Failure::Network(format!("cannot run pods: {e}")))
}

/// Applies changes of the files to the cluster. A server that awaits its files takes its settings from their Topologies.
fn applier(args: &ServeArgs, sources: &Sources, driver: Driver) -> Applier {
    let forbidden = |stored: &Object, desired: &Object| {
        let causes = api::admit::forbidden_changes(stored, desired);
        causes.iter().map(ToString::to_string).collect()
    };
    let applier = Applier::new(driver).judged_by(forbidden);
    if sources.is_ready() {
        return applier;
    }
    let args = args.clone();
    applier.configured_by(move |overrides| args.settings(overrides).map_err(|failure| failure.to_string()))
}
