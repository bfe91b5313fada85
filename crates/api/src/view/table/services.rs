//! The columns of Services and their endpoints.

use std::collections::BTreeSet;

use serde_json::Value;

use super::age::age;
use super::workloads::labels;
use super::{AGE, Column, NAME, SELECTOR, field, name, or};
use clusterlocal_core::store::Time;

pub(super) const SERVICE: &[Column] = &[
    NAME,
    Column::text("Type", "The type of the Service."),
    Column::text("Cluster-IP", "The cluster IP of the Service; None if it is headless."),
    Column::text("External-IP", "Its external addresses, or the name that it is an alias of."),
    Column::text("Port(s)", "Its ports, with their node ports."),
    AGE,
    SELECTOR,
];

pub(super) fn service(service: &Value, now: Time) -> Vec<Value> {
    let cluster_ip = field::items(service, "/spec/clusterIPs").first().and_then(Value::as_str);
    let cluster_ip = cluster_ip.unwrap_or_else(|| field::text(service, "/spec/clusterIP"));
    let ports: Vec<_> = field::items(service, "/spec/ports").iter().map(service_port).collect();
    vec![
        name(service),
        field::text(service, "/spec/type").into(),
        or(cluster_ip, "<none>").into(),
        external_ip(service).into(),
        or(&ports.join(","), "<none>").into(),
        age(service, now).into(),
        labels(service.pointer("/spec/selector")).into(),
    ]
}

fn service_port(port: &Value) -> String {
    let (number, protocol) = (field::number(port, "/port"), or(field::text(port, "/protocol"), "TCP"));
    match field::number(port, "/nodePort") {
        0 => format!("{number}/{protocol}"),
        node_port => format!("{number}:{node_port}/{protocol}"),
    }
}

fn external_ip(service: &Value) -> String {
    let external = field::items(service, "/spec/externalIPs").iter().filter_map(Value::as_str);
    let external: Vec<_> = external.collect();
    match field::text(service, "/spec/type") {
        "ExternalName" => field::text(service, "/spec/externalName").into(),
        "LoadBalancer" => {
            let ingress = field::items(service, "/status/loadBalancer/ingress").iter();
            let ingress: BTreeSet<_> =
                ingress.map(|at| or(field::text(at, "/ip"), field::text(at, "/hostname"))).collect();
            let all: Vec<_> = ingress.into_iter().filter(|at| !at.is_empty()).chain(external).collect();
            or(&all.join(","), "<pending>").into()
        }
        _ => or(&external.join(","), "<none>").into(),
    }
}

pub(super) const ENDPOINTS: &[Column] =
    &[NAME, Column::text("Endpoints", "The ready addresses with their ports."), AGE];

pub(super) fn endpoints(endpoints: &Value, now: Time) -> Vec<Value> {
    vec![name(endpoints), addresses(endpoints).into(), age(endpoints, now).into()]
}

fn addresses(endpoints: &Value) -> String {
    let subsets = field::items(endpoints, "/subsets");
    if subsets.is_empty() {
        return "<none>".into();
    }
    let mut shown = Shown::default();
    for subset in subsets {
        let ips = || field::items(subset, "/addresses").iter().map(|address| field::text(address, "/ip"));
        let ports = field::items(subset, "/ports");
        if ports.is_empty() {
            ips().for_each(|ip| shown.push(ip.into()));
        }
        for port in ports {
            let port = field::number(port, "/port");
            ips().for_each(|ip| {
                shown.push(if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") });
            });
        }
    }
    shown.text()
}

pub(super) const ENDPOINT_SLICE: &[Column] = &[
    NAME,
    Column::text("AddressType", "The type of its addresses."),
    Column::text("Ports", "The ports of all its endpoints."),
    Column::text("Endpoints", "The addresses of its endpoints, ready or not."),
    AGE,
];

pub(super) fn endpoint_slice(slice: &Value, now: Time) -> Vec<Value> {
    let (mut ports, mut addresses) = (Shown::default(), Shown::default());
    for port in field::items(slice, "/ports") {
        ports.push(if field::is_set(port, "/port") {
            field::number(port, "/port").to_string()
        } else {
            or(field::text(port, "/name"), "*").into()
        });
    }
    for endpoint in field::items(slice, "/endpoints") {
        for address in field::items(endpoint, "/addresses") {
            addresses.push(address.as_str().unwrap_or_default().into());
        }
    }
    vec![
        name(slice),
        field::text(slice, "/addressType").into(),
        or(&ports.text(), "<unset>").into(),
        or(&addresses.text(), "<unset>").into(),
        age(slice, now).into(),
    ]
}

/// A list of which the first three items are shown.
#[derive(Default)]
struct Shown {
    first: Vec<String>,
    more: usize,
}

impl Shown {
    fn push(&mut self, item: String) {
        if self.first.len() < 3 { self.first.push(item) } else { self.more += 1 }
    }

    fn text(&self) -> String {
        let first = self.first.join(",");
        match self.more {
            0 => first,
            more => format!("{first} + {more} more..."),
        }
    }
}
