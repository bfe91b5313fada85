//! The cost of a query over UDP: processor time of the server, compared with the echo.

use super::contenders::{Contender, ECHO};
use super::figures::{median, median_of};
use super::load::{Tally, flood};
use super::questions::{Mix, Questions};
use super::server::{On, Server, Start};
use super::table::{Table, figure};
use super::{Result, Run, measure};

/// The measurements, by mix and contender.
pub struct Costs {
    /// The contenders, in the order of the tables.
    pub names: Vec<&'static str>,
    /// The costs, in the order of [`Mix::ALL`].
    pub mixes: Vec<Vec<Cost>>,
}

/// The cost of one mix for a contender.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Processor time of the server, in microseconds per query.
    pub cpu: f64,
    /// Ratio to the echo in the same round.
    pub to_echo: f64,
}

/// One load on one contender.
struct Sample {
    /// Microseconds per query.
    cpu: f64,
    /// Memory of the server afterwards, in MiB.
    memory: f64,
    tally: Tally,
}

/// Measures all contenders, and prints a table for each mix.
pub fn measure(run: &Run) -> Result<Costs> {
    let asked: Vec<_> =
        Mix::ALL.iter().map(|&mix| Questions::new(mix, &run.usual.cluster, run.edns)).collect();
    let mut samples: Vec<Vec<Vec<Sample>>> =
        asked.iter().map(|_| run.contenders.iter().map(|_| Vec::new()).collect()).collect();
    for _ in 0..run.rounds {
        for (who, contender) in run.contenders.iter().enumerate() {
            let start = Start::usual(run, contender.is_dns, On::OneCpu);
            let server = Server::start(run, &start, |place| contender.command(place))?;
            for (mix, questions) in asked.iter().enumerate() {
                samples[mix][who].push(load(run, contender, &server, questions)?);
            }
        }
    }
    let names: Vec<_> = run.contenders.iter().map(|contender| contender.name).collect();
    let echo = names.iter().position(|&name| name == ECHO).ok_or("the echo is not among the contenders")?;
    let mut costs = Costs { names, mixes: Vec::new() };
    for (mix, mut of_mix) in Mix::ALL.into_iter().zip(samples) {
        let cost = |samples: &[Sample]| {
            let ratios = samples.iter().zip(&of_mix[echo]).map(|(one, echo)| one.cpu / echo.cpu);
            Cost { cpu: median_of(samples, |sample| sample.cpu), to_echo: median(ratios) }
        };
        let of_all: Vec<Cost> = of_mix.iter().map(|samples| cost(samples)).collect();
        println!("{}", table(mix, &costs.names, &of_all, &mut of_mix));
        costs.mixes.push(of_all);
    }
    Ok(costs)
}

fn load(run: &Run, contender: &Contender, server: &Server, questions: &Questions) -> Result<Sample> {
    // The first load runs with cold caches.
    flood(server.address, questions, contender.is_dns, run.time / 10)?;
    let before = measure::cpu(server.id());
    let tally = flood(server.address, questions, contender.is_dns, run.time)
        .map_err(|error| format!("{}: {error}", contender.name))?;
    let cpu = measure::cpu(server.id()).saturating_sub(before);
    Ok(Sample { cpu: tally.each(cpu), memory: measure::memory(server.id()), tally })
}

fn table(mix: Mix, names: &[&str], costs: &[Cost], samples: &mut [Vec<Sample>]) -> Table {
    let headline = format!("UDP, {mix}: 1,000 Services of 10 pods");
    let columns =
        ["", "CPU µs/query", "to echo", "queries/s", "p50 µs", "p99 µs", "PSS MiB", "lost", "wrong"];
    let mut table = Table::new(headline, &columns);
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by(|&one, &other| costs[one].cpu.total_cmp(&costs[other].cpu));
    for who in order {
        let samples = &mut samples[who];
        let at = |samples: &mut [Sample], share| {
            median(samples.iter_mut().map(|sample| sample.tally.latencies.at(share)).collect::<Vec<_>>())
        };
        let (p50, p99) = (at(samples, 0.5), at(samples, 0.99));
        let count = |of: fn(&Tally) -> u64| samples.iter().map(|sample| of(&sample.tally)).sum::<u64>();
        table.row(
            names[who],
            [
                figure(costs[who].cpu),
                figure(costs[who].to_echo),
                figure(median_of(samples, |sample| sample.tally.per_second())),
                figure(p50),
                figure(p99),
                figure(median_of(samples, |sample| sample.memory)),
                count(|tally| tally.lost).to_string(),
                count(|tally| tally.wrong).to_string(),
            ],
        );
    }
    table
}
