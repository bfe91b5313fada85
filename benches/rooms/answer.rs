//! From the bytes of a query to those of the reply, on the fast path and on the general one.

use clusterlocal_core::answer::{Answerer, Client, Order, Outside, Query, Verdict};
use divan::{Bencher, black_box};

use crate::cluster::{Cluster, pod_name, port_name, service_name};
use crate::{A, SRV, STEPS, in_turn, living, question};

/// The size of a reply depends on the lengths of its names: with SRV records of ten pods it is about 870 bytes compressed
/// and 1,700 uncompressed.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Pod,
    ServiceOfTen,
    SrvOfTenCutAt512,
    SrvOfTenIn1232,
    SrvOfTenUncut,
    Missing,
}

const ALL: [Asked; 6] = [
    Asked::Pod,
    Asked::ServiceOfTen,
    Asked::SrvOfTenCutAt512,
    Asked::SrvOfTenIn1232,
    Asked::SrvOfTenUncut,
    Asked::Missing,
];

impl Asked {
    fn query(self, service: usize) -> Vec<u8> {
        let query = |name: String, record_type, udp_size| question::query(7, &name, record_type, udp_size);
        match self {
            Asked::Pod => query(pod_name(service, service % Cluster::USUAL.pods), A, 1232),
            Asked::ServiceOfTen => query(service_name(service), A, 1232),
            Asked::SrvOfTenCutAt512 => query(port_name(service), SRV, 0),
            Asked::SrvOfTenIn1232 | Asked::SrvOfTenUncut => query(port_name(service), SRV, 1232),
            Asked::Missing => query(pod_name(service, Cluster::USUAL.pods), A, 1232),
        }
    }

    /// Only TCP has space for all records, uncompressed.
    fn client(self) -> Client {
        Client { udp: !matches!(self, Asked::SrvOfTenUncut), ipv6: false, max_udp: u16::MAX }
    }
}

#[divan::bench(args = ALL, sample_size = STEPS)]
fn fast_path(bencher: Bencher<'_, '_>, asked: Asked) {
    answer(bencher, asked, Answerer::new(Order::Shuffle, 7, Outside::NxDomain));
}

#[divan::bench(args = ALL, sample_size = STEPS)]
fn general_path(bencher: Bencher<'_, '_>, asked: Asked) {
    answer(bencher, asked, Answerer::new(Order::Shuffle, 7, Outside::NxDomain).without_fast_path());
}

fn answer(bencher: Bencher<'_, '_>, asked: Asked, mut answerer: Answerer) {
    let zone = living(Cluster::USUAL).published();
    let zone = zone.load();
    let queries: Vec<_> = (0..Cluster::USUAL.services).map(|service| asked.query(service)).collect();
    let (mut next, client, mut reply) = (in_turn(&queries), asked.client(), Vec::new());
    bencher.bench_local(|| {
        let query = Query::new(black_box(next()), client);
        let verdict = answerer.answer(&zone, &query, &mut reply);
        assert_eq!(verdict, Verdict::Reply);
        reply.len()
    });
}
