//! The queries: packets built in advance, so that sending costs the loader little. Must not depend on sockets.

use std::fmt;

use super::cluster::{Cluster, pod_name, port_name, service_name};
use super::question::query;

/// The shares of queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// A of a pod.
    Pod,
    /// SRV of a headless Service's port.
    Srv,
    /// Half A of a pod, a quarter A of a Service, 15 % SRV, 10 % names that do not exist.
    Mixed,
}

impl Mix {
    pub const ALL: [Mix; 3] = [Mix::Pod, Mix::Srv, Mix::Mixed];
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Mix::Pod => "pod",
            Mix::Srv => "srv",
            Mix::Mixed => "mix",
        })
    }
}

/// Number of different questions, sent in turn. The number of each is its id, so that a reply identifies its question.
pub const QUESTIONS: u16 = 50_000;

/// RFC 1035 and RFC 2782.
const A: u16 = 1;
const SRV: u16 = 33;

/// All questions of a mix. A question's id is its number.
pub struct Questions {
    packets: Vec<u8>,
    /// The end of each in `packets`.
    ends: Vec<usize>,
    /// Whether its name exists.
    exists: Vec<bool>,
}

impl Questions {
    /// Questions about `cluster`, the same in each run, that announce a UDP size of `edns` bytes if it is above 0.
    pub fn new(mix: Mix, cluster: &Cluster, edns: u16) -> Self {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut questions = Questions { packets: Vec::new(), ends: Vec::new(), exists: Vec::new() };
        for id in 0..QUESTIONS {
            let (service, pod) = (rng.usize(..cluster.services), rng.usize(..cluster.pods));
            let (name, record_type, exists) = match (mix, rng.u8(..100)) {
                (Mix::Pod, _) | (Mix::Mixed, 0..50) => (pod_name(service, pod), A, true),
                (Mix::Mixed, 50..75) => (service_name(service), A, true),
                (Mix::Srv, _) | (Mix::Mixed, 75..90) => (port_name(service), SRV, true),
                (Mix::Mixed, _) => (pod_name(service, cluster.pods + 5), A, false),
            };
            questions.packets.extend(query(id, &name, record_type, edns));
            questions.ends.push(questions.packets.len());
            questions.exists.push(exists);
        }
        questions
    }

    /// The packet of question `id`, which is below [`QUESTIONS`].
    pub fn packet(&self, id: u16) -> &[u8] {
        let at = usize::from(id);
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.packets[begin..self.ends[at]]
    }

    /// The id of a reply, if it is one of these questions.
    pub fn id(reply: &[u8]) -> Option<u16> {
        let header = reply.first_chunk::<12>()?;
        let id = u16::from_be_bytes([header[0], header[1]]);
        (header[2] & 0x80 != 0 && id < QUESTIONS).then_some(id)
    }

    /// Whether a reply with that id is correct: an answer (or TC if it does not fit), or NXDOMAIN.
    pub fn is_answered(&self, id: u16, reply: &[u8]) -> bool {
        let (truncated, rcode, answers) = (reply[2] & 0x02 != 0, reply[3] & 0x0f, &reply[6..8]);
        if self.exists[usize::from(id)] { rcode == 0 && (truncated || answers != [0, 0]) } else { rcode == 3 }
    }
}

/// A query for pod 0 of Service 0, which every cluster here has.
pub fn probe() -> Vec<u8> {
    question_of(&pod_name(0, 0))
}

/// A query for the addresses of `name`.
pub fn question_of(name: &str) -> Vec<u8> {
    query(0x1234, name, A, 0)
}
