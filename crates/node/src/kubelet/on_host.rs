//! Pods on the network of the host: without namespaces nothing can be mounted, so a program gets in its environment what it has in
//! its files elsewhere. Must not depend on processes.

use serde_json::Value;

use super::{list, text};
use crate::runtime::protocol::Mount;

/// Variables of a program on the network of the host, for a pod in a cluster with this domain whose DNS is at `dns`.
pub(crate) fn variables(pod: &Value, domain: &str, dns: &str) -> Vec<(String, String)> {
    let namespace = text(pod, "/metadata/namespace");
    let host = dns.rsplit_once(':').map_or(dns, |(host, _)| host);
    let variables = [
        // The address that the program has to bind.
        ("POD_IP", text(pod, "/status/podIP").to_string()),
        ("CLUSTERLOCAL_DNS", dns.to_string()),
        ("CLUSTERLOCAL_DNS_HOST", host.to_string()),
        ("CLUSTERLOCAL_DNS_PORT", dns.rsplit_once(':').map_or("53", |(_, port)| port).to_string()),
        // What the C library takes instead of lines of resolv.conf (resolv.conf(5)); it has none for the name server.
        ("LOCALDOMAIN", format!("{namespace}.svc.{domain} svc.{domain} {domain}")),
        ("RES_OPTIONS", "ndots:5".to_string()),
    ];
    variables.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

/// The variables with the folders of the volumes of a container, whose mounts are in the order of its `volumeMounts`:
/// `VOLUME_DATA` for a volume called `data`.
pub(crate) fn folders(container: &Value, mounts: &[Mount]) -> Vec<(String, String)> {
    let names = list(container, "/volumeMounts").iter().map(|mount| variable(text(mount, "/name")));
    names.zip(mounts).map(|(name, mount)| (name, mount.source.display().to_string())).collect()
}

fn variable(volume: &str) -> String {
    format!("VOLUME_{}", volume.to_uppercase().replace(['-', '.'], "_"))
}

/// What a pod asks for that takes namespaces.
pub(crate) fn unsupported(pod: &Value) -> Vec<String> {
    let all = list(pod, "/spec/initContainers").iter().chain(list(pod, "/spec/containers"));
    let mounted = all.flat_map(|container| {
        list(container, "/volumeMounts").iter().map(move |mount| {
            format!(
                "container {}: without namespaces nothing is mounted at {}; the folder of the volume is in ${}",
                text(container, "/name"),
                text(mount, "/mountPath"),
                variable(text(mount, "/name"))
            )
        })
    });
    mounted.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_a_file_elsewhere_is_a_variable() {
        let container =
            json!({"name": "store", "volumeMounts": [{"name": "my-data", "mountPath": "/var/data"}]});
        let pod = json!({"metadata": {"namespace": "ring"}, "status": {"podIP": "127.244.0.5"},
                         "spec": {"containers": [container]}});
        let variables = variables(&pod, "cluster.local", "127.0.0.1:10053");
        let expected = [
            ("POD_IP", "127.244.0.5"),
            ("CLUSTERLOCAL_DNS", "127.0.0.1:10053"),
            ("CLUSTERLOCAL_DNS_HOST", "127.0.0.1"),
            ("CLUSTERLOCAL_DNS_PORT", "10053"),
            ("LOCALDOMAIN", "ring.svc.cluster.local svc.cluster.local cluster.local"),
            ("RES_OPTIONS", "ndots:5"),
        ];
        assert_eq!(variables, expected.map(|(name, value)| (name.to_string(), value.to_string())));
        let mount = Mount { source: "/claims/data".into(), target: "/var/data".into(), ..Mount::default() };
        assert_eq!(folders(&container, &[mount]), [("VOLUME_MY_DATA".into(), "/claims/data".into())]);
        assert_eq!(
            unsupported(&pod),
            [
                "container store: without namespaces nothing is mounted at /var/data; the folder of the volume is in $VOLUME_MY_DATA"
            ]
        );
    }
}
