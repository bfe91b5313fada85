//! The time from start to first answer, on all processors, as by default.

use std::fs;
use std::path::{Path, PathBuf};

use super::cluster::Cluster;
use super::contenders;
use super::figures::median;
use super::questions::{probe, question_of};
use super::server::{On, Server, Start};
use super::table::{Table, figure};
use super::{Result, Run};

/// The topologies that are served by default.
const ZONES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../zones");

/// Measures all contenders, and prints a table.
pub fn measure(run: &Run) -> Result<()> {
    let services = if run.quick { 1_000 } else { 10_000 };
    let large = Cluster { services, pods: 10 };
    let many = files(&large, 1_000, &run.scratch.join("many"))?;
    let columns = ["", "first answer ms", "least", "most", "to clusterlocal"];
    let mut table = Table::new("From the start to the first answer: 1,000 Services of 10 pods", &columns);
    let peers: Vec<_> = run.contenders.iter().filter(|contender| contender.is_dns).collect();
    let mut of_peers = vec![Vec::new(); peers.len()];
    let (mut of_zones, mut of_many) = (Vec::new(), Vec::new());
    for _ in 0..run.rounds {
        for (peer, times) in peers.iter().zip(&mut of_peers) {
            let start = Start::usual(run, true, On::AllCpus);
            times.push(milliseconds(&Server::start(run, &start, |place| peer.command(place))?));
        }
        let zones = (Path::new(ZONES), question_of("migo-svc.default.svc.cluster.local"));
        for ((manifests, probe), times) in [(zones, &mut of_zones), ((many.as_path(), probe()), &mut of_many)]
        {
            let start = Start { manifests, probe, is_dns: true, on: On::AllCpus };
            times.push(milliseconds(&Server::start(run, &start, contenders::clusterlocal)?));
        }
    }
    let ours = peers.iter().position(|peer| peer.name == contenders::OURS).unwrap_or(0);
    let mut rows: Vec<(String, &Vec<f64>)> =
        peers.iter().zip(&of_peers).map(|(peer, times)| (peer.name.to_string(), times)).collect();
    rows.sort_by(|one, other| median(one.1.iter().copied()).total_cmp(&median(other.1.iter().copied())));
    rows.push(("clusterlocal, zones/".into(), &of_zones));
    rows.push((format!("clusterlocal, {} pods in 1,000 files", services * large.pods), &of_many));
    for (name, times) in rows {
        let least = times.iter().copied().fold(f64::INFINITY, f64::min);
        let most = times.iter().copied().fold(0.0, f64::max);
        let ratios = times.iter().zip(&of_peers[ours]).map(|(one, ours)| one / ours);
        let middle = median(times.iter().copied());
        table.row(name, [figure(middle), figure(least), figure(most), figure(median(ratios))]);
    }
    println!("{table}");
    Ok(())
}

fn milliseconds(server: &Server) -> f64 {
    server.first_answer.as_secs_f64() * 1e3
}

/// Writes `cluster` to `count` files in `directory`, which it returns. A Service is in the file of its number modulo
/// `count`.
pub fn files(cluster: &Cluster, count: usize, directory: &Path) -> Result<PathBuf> {
    fs::create_dir(directory)?;
    for file in 0..count.min(cluster.services) {
        let services = (file..cluster.services).step_by(count);
        let text: String = services.map(|service| cluster.manifest(service)).collect();
        fs::write(directory.join(format!("store-{file}.yaml")), text)?;
    }
    Ok(directory.into())
}
