//! Answer times at a steady rate, without changes and while the readiness of pods changes all the time.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::cluster::{Cluster, namespace};
use super::contenders;
use super::figures::{Times, median};
use super::load::Tally;
use super::paced::paced;
use super::questions::{Mix, Questions};
use super::server::{On, Server, Start, free_port};
use super::table::{Table, figure};
use super::{Result, Run};

/// 20,000 queries a second.
const STEP: Duration = Duration::from_micros(50);

/// 100 changes a second.
const CHANGE: Duration = Duration::from_millis(10);

/// The result of one round.
struct Round {
    latencies: Times,
    lost: u64,
    /// Number of changes.
    changes: usize,
}

/// Measures both, and prints a table.
pub fn measure(run: &Run) -> Result<()> {
    let questions = Questions::new(Mix::Pod, &run.usual.cluster, run.edns);
    let (mut quiet, mut changing) = (Vec::new(), Vec::new());
    for _ in 0..run.rounds {
        let api = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), free_port()?);
        let start = Start::usual(run, true, On::OneCpu);
        let server = Server::start(run, &start, |place| {
            let mut command = contenders::clusterlocal(place)?;
            command.args(["--api", &api.to_string()]);
            Ok(command)
        })?;
        paced(server.address, &questions, STEP, run.time / 10, |_| Ok(()))?;
        let tally = paced(server.address, &questions, STEP, run.time, |_| Ok(()))?;
        quiet.push(round(tally, 0));
        let mut changes = Changes::new(api, run.usual.cluster)?;
        let tally = paced(server.address, &questions, STEP, run.time, |now| changes.turn(now))?;
        changing.push(round(tally, changes.answered()));
    }
    let headline = "Latency of clusterlocal: pod, 20,000 queries/s evenly spaced, 1,000 Services of 10 pods";
    let columns = ["", "p50 µs", "p99 µs", "p99.9 µs", "replies", "lost", "changes"];
    let mut table = Table::new(headline, &columns);
    for (name, mut rounds) in [("nothing changes", quiet), ("100 changes/s over the API", changing)] {
        let at = |rounds: &mut [Round], share| {
            figure(median(rounds.iter_mut().map(|round| round.latencies.at(share)).collect::<Vec<_>>()))
        };
        let times = [0.5, 0.99, 0.999].map(|share| at(&mut rounds, share));
        let replies: usize = rounds.iter().map(|round| round.latencies.len()).sum();
        let lost: u64 = rounds.iter().map(|round| round.lost).sum();
        let changes: usize = rounds.iter().map(|round| round.changes).sum();
        let counts = [replies.to_string(), lost.to_string(), changes.to_string()];
        table.row(name, times.into_iter().chain(counts));
    }
    println!("{table}");
    Ok(())
}

/// Answers are not compared: a pod that is not ready at the moment has no name.
fn round(tally: Tally, changes: usize) -> Round {
    Round { latencies: tally.latencies, lost: tally.lost, changes }
}

/// Changes pods through the Kubernetes API, one after the other: not ready, and then ready again. It has no thread of its
/// own, which would use the loader's processor at the wrong moments.
struct Changes {
    connection: TcpStream,
    api: SocketAddr,
    cluster: Cluster,
    made: usize,
    /// All responses of the server.
    responses: Vec<u8>,
}

impl Changes {
    fn new(api: SocketAddr, cluster: Cluster) -> Result<Self> {
        let connection = TcpStream::connect(api)
            .map_err(|error| format!("cannot connect to the API at {api}: {error}"))?;
        connection.set_nodelay(true)?;
        connection.set_nonblocking(true)?;
        Ok(Changes { connection, api, cluster, made: 0, responses: Vec::new() })
    }

    /// Makes the next change if it is due, and reads the responses to earlier ones.
    fn turn(&mut self, now: Duration) -> Result<()> {
        if now < CHANGE * self.made as u32 {
            return Ok(());
        }
        let request = self.request();
        self.connection.write_all(&request)?;
        self.made += 1;
        let mut buffer = [0; 16 << 10];
        loop {
            match self.connection.read(&mut buffer) {
                Ok(0) => return Err("the API has closed the connection".into()),
                Ok(length) => self.responses.extend(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(format!("the API does not answer: {error}").into()),
            }
        }
    }

    fn request(&self) -> Vec<u8> {
        let Cluster { services, pods } = self.cluster;
        let (service, ready) = (self.made / 2 % services, self.made % 2 == 1);
        let (namespace, pod) = (namespace(service), service % pods);
        let body = format!(r#"{{"metadata":{{"annotations":{{"clusterlocal.dev/ready":"{ready}"}}}}}}"#);
        format!(
            "PATCH /api/v1/namespaces/{namespace}/pods/store-{service}-{pod} HTTP/1.1\r\nhost: {}\r\n\
             content-type: application/merge-patch+json\r\ncontent-length: {}\r\n\r\n{body}",
            self.api,
            body.len()
        )
        .into_bytes()
    }

    /// The number of successful changes in the responses read so far.
    fn answered(&self) -> usize {
        let done = b"HTTP/1.1 200";
        self.responses.windows(done.len()).filter(|window| window == done).count()
    }
}
