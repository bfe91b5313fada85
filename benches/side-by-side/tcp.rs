//! The cost of a query over TCP: on a persistent connection, and on a new one.

use std::net::SocketAddr;
use std::time::Duration;

use super::contenders::{Contender, OURS};
use super::figures::{median, median_of};
use super::load::Tally;
use super::questions::{Mix, Questions};
use super::server::{On, Server, Start};
use super::table::{Table, figure};
use super::{Result, Run, measure, streams};

type Load = fn(SocketAddr, &Questions, Duration) -> Result<Tally>;

const WAYS: [(&str, Load); 2] = [
    ("TCP, mix: 8 connections that stay, 16 queries under way on each", streams::persistent),
    ("TCP, mix: a connection for each query", streams::single),
];

struct Sample {
    /// Microseconds per query.
    cpu: f64,
    per_second: f64,
    wrong: u64,
}

/// Measures all contenders with TCP, and prints a table for each kind of connection.
pub fn measure(run: &Run) -> Result<()> {
    let questions = Questions::new(Mix::Mixed, &run.usual.cluster, run.edns);
    let contenders: Vec<&Contender> = run.contenders.iter().filter(|contender| contender.is_dns).collect();
    let mut samples: [Vec<Vec<Sample>>; 2] =
        std::array::from_fn(|_| contenders.iter().map(|_| Vec::new()).collect());
    for _ in 0..run.rounds {
        for (who, contender) in contenders.iter().enumerate() {
            let start = Start::usual(run, true, On::OneCpu);
            let server = Server::start(run, &start, |place| contender.command(place))?;
            for ((_, load), samples) in WAYS.iter().zip(&mut samples) {
                samples[who].push(
                    sample(run, &server, &questions, *load)
                        .map_err(|error| format!("{}: {error}", contender.name))?,
                );
            }
        }
    }
    let ours = contenders.iter().position(|contender| contender.name == OURS).unwrap_or(0);
    for ((headline, _), samples) in WAYS.iter().zip(&samples) {
        let columns = ["", "CPU µs/query", "to clusterlocal", "queries/s", "wrong"];
        let mut table = Table::new(*headline, &columns);
        let mut order: Vec<usize> = (0..contenders.len()).collect();
        let cpu = |who: usize| median_of(&samples[who], |sample| sample.cpu);
        order.sort_by(|&one, &other| cpu(one).total_cmp(&cpu(other)));
        for who in order {
            let ratios = samples[who].iter().zip(&samples[ours]).map(|(one, ours)| one.cpu / ours.cpu);
            let wrong: u64 = samples[who].iter().map(|sample| sample.wrong).sum();
            let per_second = median_of(&samples[who], |sample| sample.per_second);
            table.row(
                contenders[who].name,
                [figure(cpu(who)), figure(median(ratios)), figure(per_second), wrong.to_string()],
            );
        }
        println!("{table}");
    }
    Ok(())
}

fn sample(run: &Run, server: &Server, questions: &Questions, load: Load) -> Result<Sample> {
    load(server.address, questions, run.time / 10)?;
    let before = measure::cpu(server.id());
    let tally = load(server.address, questions, run.time)?;
    let cpu = measure::cpu(server.id()).saturating_sub(before);
    Ok(Sample { cpu: tally.each(cpu), per_second: tally.per_second(), wrong: tally.wrong })
}
