//! The cluster's records as a zone file (RFC 1035 section 5), for the other servers. Must not depend on its reader.

use std::fmt::Write as _;

use super::cluster::{Cluster, pod_name, port_name, service_name};

/// The records of `cluster` as in its DNS: the addresses of each pod and Service, and the SRV records of each port, with
/// CoreDNS's weights.
pub fn zone_file(cluster: &Cluster) -> String {
    let mut zone = String::from(
        "$ORIGIN cluster.local.\n$TTL 30\n\
         @ IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 30\n\
         @ IN NS ns.dns.cluster.local.\nns.dns IN A 127.96.0.10\n",
    );
    let weight = 100 / cluster.pods;
    for service in 0..cluster.services {
        let (name, port) = (service_name(service), port_name(service));
        for pod in 0..cluster.pods {
            let target = pod_name(service, pod);
            let number = service * cluster.pods + pod + 1;
            let address = format!("127.{}.{}.{}", 244 + (number >> 16), number >> 8 & 255, number & 255);
            _ = writeln!(zone, "{target}. IN A {address}\n{name}. IN A {address}");
            _ = writeln!(zone, "{port}. IN SRV 0 {weight} 8080 {target}.");
        }
    }
    zone
}
