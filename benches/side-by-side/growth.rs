//! How our cost grows with the size of the cluster: of a query, the start, memory, and one change until it is answered.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::cluster::{Cluster, namespace, pod_name};
use super::figures::{Times, median_of};
use super::load::flood;
use super::questions::{Mix, Questions, probe, question_of};
use super::server::{On, Server, Start};
use super::table::{Table, figure};
use super::{Result, Run, contenders, measure, start, wait};

/// The cost of a cluster of one size.
#[derive(Clone, Debug)]
pub struct Size {
    /// Number of pods, ten per Service.
    pub pods: usize,
    /// Processor time of a query of the mix, in microseconds.
    pub cpu: f64,
    /// That of an echo whose replies have the same sizes.
    pub echo: f64,
    /// From the start to the first answer, in milliseconds.
    pub first_answer: f64,
    /// Memory after the start, in MiB.
    pub memory: f64,
    /// Peak memory until then, in MiB.
    pub peak: f64,
    /// From a change of a pod's readiness to the answer with it, in microseconds: median and 99th percentile.
    pub update: [f64; 2],
    /// From the rename of a Service's file to the answer with it, in microseconds: median and 99th percentile.
    pub save: [f64; 2],
}

/// A cluster of one size as files, with its measurements.
struct Growing {
    cluster: Cluster,
    manifests: PathBuf,
    rounds: Vec<Round>,
    saves: Times,
}

struct Round {
    cpu: f64,
    echo: f64,
    first_answer: f64,
    memory: f64,
    peak: f64,
}

/// Measures all sizes, and prints a table.
pub fn measure(run: &Run) -> Result<Vec<Size>> {
    let sizes: &[usize] = if run.quick { &[100, 1_000, 10_000] } else { &[100, 1_000, 10_000, 100_000] };
    let mut growing = Vec::new();
    for pods in sizes {
        let cluster = Cluster { services: pods / 10, pods: 10 };
        let directory = run.scratch.join(format!("{pods}-pods"));
        let manifests = start::files(&cluster, cluster.services, &directory)?;
        growing.push(Growing { cluster, manifests, rounds: Vec::new(), saves: Times::default() });
    }
    for _ in 0..run.rounds {
        for one in &mut growing {
            let round = round(run, one)?;
            one.rounds.push(round);
        }
    }
    let sizes = growing.into_iter().map(|one| size(run, one)).collect::<Result<Vec<_>>>()?;
    println!("{}", table(&sizes));
    Ok(sizes)
}

fn round(run: &Run, one: &mut Growing) -> Result<Round> {
    let start = |on| Start { manifests: &one.manifests, probe: probe(), is_dns: true, on };
    let server = Server::start(run, &start(On::AllCpus), contenders::clusterlocal)?;
    let (memory, peak) = (measure::memory(server.id()), measure::peak(server.id()));
    let first_answer = server.first_answer.as_secs_f64() * 1e3;
    one.saves.append(&saves(run, one, server.address)?);
    drop(server);

    let questions = Questions::new(Mix::Mixed, &one.cluster, run.edns);
    let server = Server::start(run, &start(On::OneCpu), contenders::clusterlocal)?;
    let (cpu, sizes) = cost(run, &server, &questions, true)?;
    drop(server);
    let path = run.scratch.join("sizes");
    fs::write(&path, sizes.iter().flat_map(|size| size.to_be_bytes()).collect::<Vec<u8>>())?;
    let start = Start::usual(run, false, On::OneCpu);
    let server = Server::start(run, &start, |place| contenders::sized_echo(place, &path))?;
    let (echo, _) = cost(run, &server, &questions, false)?;
    Ok(Round { cpu, echo, first_answer, memory, peak })
}

/// Processor time of a query, in microseconds, and the sizes of the replies.
fn cost(run: &Run, server: &Server, questions: &Questions, is_dns: bool) -> Result<(f64, Vec<u16>)> {
    flood(server.address, questions, is_dns, run.time / 10)?;
    let before = measure::cpu(server.id());
    let tally = flood(server.address, questions, is_dns, run.time)?;
    let cpu = measure::cpu(server.id()).saturating_sub(before);
    if tally.lost + tally.wrong > tally.answered / 100 {
        println!(
            "{} queries were lost and {} answered wrongly: these figures mean nothing",
            tally.lost, tally.wrong
        );
    }
    Ok((tally.each(cpu), tally.sizes))
}

/// Interval between saves. At shorter intervals several saves are read together, which is another figure.
const BETWEEN_SAVES: Duration = Duration::from_millis(150);

/// Saves Services' files, alternately with one pod more and with the original number, and waits for the answer of each.
/// Files are replaced by a rename, as by a careful editor.
fn saves(run: &Run, one: &Growing, server: SocketAddr) -> Result<Times> {
    let count = if run.quick { 3 } else { 10 };
    let more = Cluster { pods: one.cluster.pods + 1, ..one.cluster };
    let mut times = Times::default();
    for service in (0..one.cluster.services).step_by((one.cluster.services / count).max(1)).take(count) {
        let question = question_of(&pod_name(service, one.cluster.pods));
        for (cluster, is_there) in [(more, true), (one.cluster, false)] {
            thread::sleep(BETWEEN_SAVES);
            let written = run.scratch.join("unfinished.yaml");
            fs::write(&written, cluster.manifest(service))?;
            let begin = Instant::now();
            fs::rename(&written, file_of(&one.manifests, service))?;
            wait::until(server, &question, |reply| wait::has_answers(reply) == is_there, || false)?;
            times.push(begin.elapsed());
        }
    }
    Ok(times)
}

fn file_of(manifests: &Path, service: usize) -> PathBuf {
    manifests.join(format!("store-{service}.yaml"))
}

fn size(run: &Run, mut one: Growing) -> Result<Size> {
    let mut updates = updates(run, &one)?;
    let of = |figure: fn(&Round) -> f64| median_of(&one.rounds, figure);
    Ok(Size {
        pods: one.cluster.services * one.cluster.pods,
        cpu: of(|round| round.cpu),
        echo: of(|round| round.echo),
        first_answer: of(|round| round.first_answer),
        memory: of(|round| round.memory),
        peak: of(|round| round.peak),
        update: [0.5, 0.99].map(|share| updates.at(share)),
        save: [0.5, 0.99].map(|share| one.saves.at(share)),
    })
}

/// Changes the readiness of pods of a cluster in this process, and waits for the answer of each.
fn updates(run: &Run, one: &Growing) -> Result<Times> {
    let begun = || clusterlocal::Cluster::builder().path(&one.manifests).start().wait();
    // Its threads run on the servers' processor.
    let cluster = run.cpus.as_server(begun)??;
    let count = if run.quick { 20 } else { 100 * run.rounds as usize };
    let mut times = Times::default();
    for turn in 0..count {
        // Any pod, but not the neighbour of the last one.
        let (service, number) = (turn * 7919 % one.cluster.services, turn % one.cluster.pods);
        let question = question_of(&pod_name(service, number));
        let pod = cluster.pod(&format!("{}/store-{service}-{number}", namespace(service)));
        for ready in [false, true] {
            let begin = Instant::now();
            if ready { pod.ready() } else { pod.unready() }?;
            let shows = |reply: &[u8]| wait::has_answers(reply) == ready;
            wait::until(cluster.dns_addr(), &question, shows, || false)?;
            times.push(begin.elapsed());
        }
    }
    Ok(times)
}

fn table(sizes: &[Size]) -> Table {
    let columns = [
        "pods",
        "CPU µs/query",
        "echo, same sizes",
        "ratio",
        "first answer ms",
        "PSS MiB",
        "peak MiB",
        "update p50 µs",
        "p99",
        "save p50 ms",
        "p99",
    ];
    let mut table = Table::new("Growth of clusterlocal: mix, 10 pods to a Service, a file each", &columns);
    for size in sizes {
        let ratio = size.cpu / size.echo;
        let figures = [size.cpu, size.echo, ratio, size.first_answer, size.memory, size.peak];
        let changes = [size.update[0], size.update[1], size.save[0] / 1e3, size.save[1] / 1e3];
        table.row(size.pods, figures.into_iter().chain(changes).map(figure));
    }
    table
}
