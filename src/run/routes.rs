//! The Services of the cluster, for the proxy: which address leads to which endpoints. Must not depend on pods.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clusterlocal_node::proxy::{Route, Routes};
use serde_json::Value;

use super::api::shown;
use crate::ControlPlane;
use crate::store::{EndpointSlice, Kind, Service};

/// Where the Services of the cluster lead.
pub(super) fn routes(cluster: &ControlPlane) -> Routes {
    let store = cluster.store();
    let slices = slices(cluster);
    let mut routes = Routes::new();
    for service in store.list::<Service>(Kind::Service) {
        let Some(json) = shown(cluster, &service.metadata.key(Kind::Service)) else { continue };
        let spec = &json["spec"];
        let addresses = spec["clusterIPs"].as_array().into_iter().flatten();
        let addresses: Vec<IpAddr> = addresses.filter_map(|ip| ip.as_str()?.parse().ok()).collect();
        let affinity = (spec["sessionAffinity"] == "ClientIP").then(|| {
            let seconds =
                spec.pointer("/sessionAffinityConfig/clientIP/timeoutSeconds").and_then(Value::as_u64);
            Duration::from_secs(seconds.unwrap_or(DEFAULT_AFFINITY_SECONDS))
        });
        for port in spec["ports"].as_array().into_iter().flatten() {
            let Some(number) = port["port"].as_u64().and_then(|port| u16::try_from(port).ok()) else {
                continue;
            };
            if port["protocol"].as_str().is_some_and(|protocol| protocol != "TCP") {
                continue;
            }
            let name = port["name"].as_str().unwrap_or_default();
            for address in &addresses {
                let key = (service.metadata.namespace.to_string(), service.metadata.name.to_string());
                let endpoints = endpoints(slices.get(&key).map_or(&[], Vec::as_slice), name, *address);
                routes.insert(SocketAddr::new(*address, number), Route { endpoints, affinity });
            }
        }
    }
    routes
}

/// Default of `sessionAffinityConfig.clientIP.timeoutSeconds`, in seconds (`v1.DefaultClientIPServiceAffinitySeconds`).
const DEFAULT_AFFINITY_SECONDS: u64 = 10_800;

/// The EndpointSlices of each Service, by its namespace and name.
fn slices(cluster: &ControlPlane) -> HashMap<(String, String), Vec<Value>> {
    let mut slices: HashMap<(String, String), Vec<Value>> = HashMap::new();
    for slice in cluster.store().list::<EndpointSlice>(Kind::EndpointSlice) {
        let Some(json) = shown(cluster, &slice.metadata.key(Kind::EndpointSlice)) else { continue };
        let service = json.pointer("/metadata/labels/kubernetes.io~1service-name").and_then(Value::as_str);
        if let Some(service) = service {
            let key = (slice.metadata.namespace.to_string(), service.to_owned());
            slices.entry(key).or_default().push(json);
        }
    }
    slices
}

/// The ready endpoints of the port called `port`, of the family of `address`.
fn endpoints(slices: &[Value], port: &str, address: IpAddr) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for json in slices {
        let ports = json["ports"].as_array().into_iter().flatten();
        let mut named = ports.filter(|one| one["name"].as_str().unwrap_or_default() == port);
        let Some(number) = named.find_map(|one| u16::try_from(one["port"].as_u64()?).ok()) else { continue };
        for endpoint in json["endpoints"].as_array().into_iter().flatten() {
            if endpoint.pointer("/conditions/ready") == Some(&Value::Bool(false)) {
                continue;
            }
            let ips = endpoint["addresses"].as_array().into_iter().flatten();
            let ips = ips.filter_map(|ip| ip.as_str()?.parse::<IpAddr>().ok());
            let of_family = ips.filter(|ip| ip.is_ipv4() == address.is_ipv4());
            found.extend(of_family.map(|ip| SocketAddr::new(ip, number)));
        }
    }
    found
}
