//! Renders an answer in words that are known before a run: pods instead of addresses.

use std::net::IpAddr;

use super::scenario::Says;
use crate::answer::{Record, Reply};
use crate::store::{Kind, Machine, Node, Pod, Service};
use crate::wire::{RecordType, ResponseCode};
use crate::{ControlPlane, Driver};

/// Renders `reply`.
pub(super) fn words(driver: &Driver, reply: &Reply) -> Vec<String> {
    driver.read(|cluster| {
        let mut words: Vec<String> =
            reply.answers.iter().map(|record| word(cluster, reply, record)).collect();
        if reply.code != ResponseCode::NOERROR {
            words.push(reply.code.to_string());
        } else if words.is_empty() && !reply.truncated {
            words.push("NODATA".into());
        }
        if reply.truncated {
            words.push("truncated".into());
        }
        let usual = cluster.published().load().settings().ttl;
        if let Some(other) = reply.answers.iter().find(|record| record.ttl != usual) {
            words.push(format!("ttl={}", other.ttl));
        }
        words
    })
}

/// Returns the addresses in `reply`.
pub(super) fn addresses(reply: &Reply) -> Vec<IpAddr> {
    let all = reply.answers.iter().chain(&reply.additionals);
    all.filter(|record| matches!(record.record_type, RecordType::A | RecordType::AAAA))
        .filter_map(|record| record.data.parse().ok())
        .collect()
}

/// Renders the current owners of these addresses.
pub(super) fn address_owners(driver: &Driver, addresses: &[IpAddr]) -> Vec<String> {
    driver.read(|cluster| addresses.iter().map(|ip| address_owner(cluster, *ip)).collect())
}

/// Whether `words` are as expected.
pub(super) fn match_expected(words: &[String], expected: &Says) -> bool {
    match expected {
        Says::List(list) => list == words,
        Says::Words(expected) => {
            let sorted = |words: &[String]| {
                let mut words = words.to_vec();
                words.sort();
                words
            };
            sorted(expected) == sorted(words)
        }
    }
}

fn word(cluster: &ControlPlane, reply: &Reply, record: &Record) -> String {
    match record.record_type {
        RecordType::A | RecordType::AAAA => {
            record.data.parse().map_or_else(|_| record.data.clone(), |ip| address_owner(cluster, ip))
        }
        RecordType::SRV => {
            let mut fields = record.data.split(' ').skip(2);
            let (port, target) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
            let endpoint = format!("{}:{port}", host(target));
            let glue = reply.additionals.iter().find(|glue| glue.name.eq_ignore_ascii_case(target));
            let at = glue.and_then(|glue| glue.data.parse().ok()).map(|ip| address_owner(cluster, ip));
            match at {
                None => format!("{endpoint} (no address)"),
                // The endpoint's own name, or a name derived from its address.
                Some(at)
                    if at.split(' ').next() == Some(host(target)) || !is_a_pods_name(cluster, target) =>
                {
                    endpoint
                }
                Some(at) => format!("{endpoint} (at {at})"),
            }
        }
        RecordType::CNAME => format!("cname:{}", record.data),
        RecordType::PTR => host(&record.data).into(),
        _ => record.data.clone(),
    }
}

fn host(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}

fn is_a_pods_name(cluster: &ControlPlane, target: &str) -> bool {
    cluster.store().list::<Pod>(Kind::Pod).any(|pod| pod.metadata.name == host(target))
}

/// Renders the owner of `ip`: a pod and its state, a former pod, a Service, or else the address.
fn address_owner(cluster: &ControlPlane, ip: IpAddr) -> String {
    let store = cluster.store();
    if let Some(pod) = store.list::<Pod>(Kind::Pod).find(|pod| pod.status.ips().any(|has| has == ip)) {
        let name = if pod.metadata.namespace == "default" {
            pod.metadata.name.to_string()
        } else {
            format!("{}/{}", pod.metadata.namespace, pod.metadata.name)
        };
        let node = store.get::<Node>(Kind::Node, "", &pod.spec.node_name);
        return if node.is_some_and(|node| node.machine() != Machine::Up) {
            format!("{name} (unreachable)")
        } else if pod.is_terminating() {
            format!("{name} (stopping)")
        } else if !pod.is_running_and_ready() {
            format!("{name} (not ready)")
        } else {
            name
        };
    }
    let mut nodes = store.list::<Node>(Kind::Node);
    if let Some(left) = nodes
        .find_map(|node| node.status.left_behind.iter().find(|left| left.ips.iter().any(|left| left == ip)))
    {
        return format!("{} (old process)", left.pod);
    }
    if let Some(service) =
        store.list::<Service>(Kind::Service).find(|service| service.addresses().any(|has| has == ip))
    {
        return format!("svc/{}", service.metadata.name);
    }
    match cluster.pods_at(&[ip].into()).remove(&ip) {
        Some(pod) => format!("{} (gone)", pod.strip_prefix("default/").unwrap_or(&pod)),
        None => ip.to_string(),
    }
}
