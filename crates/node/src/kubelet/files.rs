//! The files of a pod that its kubelet writes: `/etc/hosts`, `/etc/resolv.conf`, `/etc/hostname`. Must not depend on where they are.

use serde_json::Value;

use super::{list, text};

/// Hostname and, where the pod has a subdomain, the name that DNS has for it (GeneratePodHostNameAndDomain).
pub(crate) fn names(pod: &Value, domain: &str) -> (String, Option<String>) {
    let other = text(pod, "/spec/hostnameOverride");
    if !other.is_empty() {
        return (other.to_string(), None);
    }
    let given = text(pod, "/spec/hostname");
    let hostname = if given.is_empty() { text(pod, "/metadata/name") } else { given };
    // A hostname has at most 63 bytes; the kubelet cuts, and takes away what a name cannot end with.
    let hostname = hostname.get(..63).unwrap_or(hostname).trim_end_matches(['-', '.']).to_string();
    let subdomain = text(pod, "/spec/subdomain");
    let full = (!subdomain.is_empty())
        .then(|| format!("{hostname}.{subdomain}.{}.svc.{domain}", text(pod, "/metadata/namespace")));
    (hostname, full)
}

/// Maximum length of the hostname of a kernel, in bytes (`__NEW_UTS_LEN`).
const MAX_HOSTNAME: usize = 64;

/// The hostname that the kernel has for a pod: with `setHostnameAsFQDN` the whole name (GetNodenameForKernel).
pub(crate) fn kernel_hostname(pod: &Value, domain: &str) -> Result<String, String> {
    let (hostname, full) = names(pod, domain);
    match full {
        Some(full) if pod.pointer("/spec/setHostnameAsFQDN") == Some(&Value::Bool(true)) => {
            if full.len() > MAX_HOSTNAME {
                return Err(format!(
                    "Failed to construct FQDN from Pod hostname and cluster domain, FQDN {full} is too long ({MAX_HOSTNAME} characters \
                     is the max, {} characters requested)",
                    full.len()
                ));
            }
            Ok(full)
        }
        _ => Ok(hostname),
    }
}

/// `/etc/hosts` (managedHostsFileContent, hostsEntriesFromHostAliases).
pub(crate) fn hosts(pod: &Value, domain: &str) -> String {
    let (hostname, full) = names(pod, domain);
    let mut hosts = String::from(
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n",
    );
    for address in list(pod, "/status/podIPs") {
        let address = text(address, "/ip");
        hosts += &match &full {
            Some(full) => format!("{address}\t{full}\t{hostname}\n"),
            None => format!("{address}\t{hostname}\n"),
        };
    }
    let aliases = list(pod, "/spec/hostAliases");
    if !aliases.is_empty() {
        hosts += "\n# Entries added by HostAliases.\n";
    }
    for alias in aliases {
        let names: Vec<&str> = list(alias, "/hostnames").iter().filter_map(Value::as_str).collect();
        hosts += &format!("{}\t{}\n", text(alias, "/ip"), names.join("\t"));
    }
    hosts
}

/// `/etc/resolv.conf` by `dnsPolicy` and `dnsConfig` (`pkg/kubelet/network/dns`). `machine` is that of the machine.
pub(crate) fn resolv_conf(pod: &Value, domain: &str, server: &str, machine: &str) -> String {
    let of_machine = |keyword: &str| -> Vec<String> {
        let lines = machine.lines().filter_map(|line| line.trim().strip_prefix(keyword));
        lines.flat_map(str::split_whitespace).map(str::to_string).collect()
    };
    let on_host = pod.pointer("/spec/hostNetwork").and_then(Value::as_bool).unwrap_or(false);
    let policy = match text(pod, "/spec/dnsPolicy") {
        "ClusterFirst" if on_host => "Default",
        "ClusterFirstWithHostNet" | "" => "ClusterFirst",
        policy => policy,
    };
    let (mut servers, mut search, mut options) = match policy {
        "None" => (Vec::new(), Vec::new(), Vec::new()),
        "Default" => (of_machine("nameserver"), of_machine("search"), of_machine("options")),
        _ => {
            let namespace = text(pod, "/metadata/namespace");
            let own = [format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.to_string()];
            (vec![server.to_string()], Vec::from(own), vec!["ndots:5".to_string()])
        }
    };
    let texts = |pointer| list(pod, pointer).iter().filter_map(Value::as_str).map(str::to_string);
    servers.extend(texts("/spec/dnsConfig/nameservers"));
    search.extend(texts("/spec/dnsConfig/searches"));
    for option in list(pod, "/spec/dnsConfig/options") {
        let name = text(option, "/name");
        let value = option.get("value").and_then(Value::as_str);
        options.retain(|there| there.split(':').next() != Some(name));
        options.push(value.map_or_else(|| name.to_string(), |value| format!("{name}:{value}")));
    }
    let mut seen = std::collections::HashSet::new();
    servers.retain(|server| seen.insert(server.clone()));
    search.retain(|domain| seen.insert(format!("search {domain}")));
    let mut conf = String::new();
    if !search.is_empty() {
        conf += &format!("search {}\n", search.join(" "));
    }
    for server in servers.iter().take(MAX_SERVERS) {
        conf += &format!("nameserver {server}\n");
    }
    if !options.is_empty() {
        conf += &format!("options {}\n", options.join(" "));
    }
    conf
}

/// Maximum number of name servers, as that of resolvers (`validation.MaxDNSNameservers`).
const MAX_SERVERS: usize = 3;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(spec: Value) -> Value {
        json!({"metadata": {"name": "ring-0", "namespace": "data"}, "spec": spec,
               "status": {"podIPs": [{"ip": "10.244.0.5"}]}})
    }

    #[test]
    fn hostnames_and_their_dns_names() {
        let long = "x".repeat(62) + "-tail";
        let table = [
            (json!({}), "ring-0", None),
            (json!({"hostname": "a", "subdomain": "ring"}), "a", Some("a.ring.data.svc.cluster.local")),
            (json!({"hostname": long}), &long[..62], None),
            (
                json!({"hostnameOverride": "other.example", "hostname": "a", "subdomain": "ring"}),
                "other.example",
                None,
            ),
        ];
        for (spec, hostname, full) in table {
            assert_eq!(names(&pod(spec), "cluster.local"), (hostname.to_string(), full.map(str::to_string)));
        }
    }

    #[test]
    fn hostnames_of_the_kernel() {
        let table = [
            (json!({"setHostnameAsFQDN": true}), Ok("ring-0")),
            (
                json!({"setHostnameAsFQDN": true, "subdomain": "ring"}),
                Ok("ring-0.ring.data.svc.cluster.local"),
            ),
            (json!({"setHostnameAsFQDN": false, "subdomain": "ring"}), Ok("ring-0")),
            (
                json!({"setHostnameAsFQDN": true, "subdomain": "s".repeat(40)}),
                Err("(64 characters is the max, 70 characters requested)"),
            ),
        ];
        for (spec, expected) in table {
            match (kernel_hostname(&pod(spec), "cluster.local"), expected) {
                (Ok(hostname), Ok(expected)) => assert_eq!(hostname, expected),
                (Err(why), Err(expected)) => assert!(why.ends_with(expected), "{why}"),
                (found, _) => panic!("{found:?}"),
            }
        }
    }

    #[test]
    fn the_pod_finds_itself_in_its_hosts() {
        let spec = json!({"subdomain": "ring", "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a", "b"]}]});
        let hosts = hosts(&pod(spec), "cluster.local");
        assert!(hosts.contains("\n10.244.0.5\tring-0.ring.data.svc.cluster.local\tring-0\n"), "{hosts}");
        assert!(hosts.ends_with("\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n"), "{hosts}");
    }

    #[test]
    fn resolvers_by_policy() {
        let machine = "nameserver 192.0.2.1\nsearch example.com\n";
        let cluster = "search data.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n";
        let table = [
            (json!({}), cluster),
            (
                json!({"dnsPolicy": "ClusterFirst", "hostNetwork": true}),
                "search example.com\nnameserver 192.0.2.1\n",
            ),
            (json!({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true}), cluster),
            (json!({"dnsPolicy": "Default"}), "search example.com\nnameserver 192.0.2.1\n"),
            (
                json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["a"],
                       "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}}),
                "search a\nnameserver 1.1.1.1\noptions ndots:2 edns0\n",
            ),
            (
                json!({"dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}}),
                "search data.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:1\n",
            ),
        ];
        for (spec, expected) in table {
            let shown = spec.to_string();
            assert_eq!(resolv_conf(&pod(spec), "cluster.local", "10.96.0.10", machine), expected, "{shown}");
        }
    }
}
