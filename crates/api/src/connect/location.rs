//! Which container, and which address, a request is for (`pkg/registry/core/pod/strategy.go`, `pkg/registry/core/service`,
//! ResourceLocation). Must not depend on what is done there.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use super::Connect;
use crate::http::path::{Part, Place};
use crate::http::status::Status;
use crate::kubelet::Container;
use crate::verbs::show;
use clusterlocal_core::ControlPlane;
use clusterlocal_core::store::{EndpointSlice, Kind};

/// The container that a request is for: `name`, or the only one.
pub(super) fn container(pod: &Value, name: &str) -> Result<Container, Status> {
    let pod_name = text(pod, "/metadata/name");
    let names = |pointer: &str| -> Vec<&str> { list(pod, pointer).map(|one| text(one, "/name")).collect() };
    let (main, init) = (names("/spec/containers"), names("/spec/initContainers"));
    let name = match (name, &main[..]) {
        ("", [only]) => only,
        ("", _) => {
            let mut message = format!(
                "a container name must be specified for pod {pod_name}, choose one of: [{}]",
                main.join(" ")
            );
            if !init.is_empty() {
                message += &format!(" or one of the init containers: [{}]", init.join(" "));
            }
            return Err(Status::bad_request(message));
        }
        (name, _) if main.contains(&name) || init.contains(&name) => name,
        (name, _) => {
            return Err(Status::bad_request(format!("container {name} is not valid for pod {pod_name}")));
        }
    };
    Ok(Container { uid: text(pod, "/metadata/uid").to_owned(), name: name.to_owned() })
}

/// Whether a pod has a node.
pub(super) fn is_placed(pod: &Value) -> bool {
    !text(pod, "/spec/nodeName").is_empty()
}

/// Scheme, name and port of a name that a proxy takes: `NAME`, `NAME:PORT`, `SCHEME:NAME:PORT` (`utilnet.SplitSchemeNamePort`).
fn split(name: &str) -> Option<(&str, &str, &str)> {
    let parts: Vec<&str> = name.split(':').collect();
    let (scheme, name, port) = match parts[..] {
        [name] => ("", name, ""),
        [name, port] => ("", name, port),
        [scheme, name, port] => (scheme, name, port),
        _ => return None,
    };
    (matches!(scheme, "" | "http" | "https") && !name.is_empty()).then_some((scheme, name, port))
}

/// Where a proxy leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) is_https: bool,
    pub(super) address: SocketAddr,
    /// The host of the URL.
    pub(super) host: String,
}

impl Connect {
    /// Where the proxy of the place leads.
    pub(super) async fn location(&self) -> Result<Location, Status> {
        let given = self.place.name.clone();
        let invalid = |kind| Status::bad_request(format!("invalid {kind} request {given:?}"));
        let is_service = self.is_of(Kind::Service);
        let (scheme, name, port) =
            split(&given).ok_or_else(|| invalid(if is_service { "service" } else { "pod" }))?;
        let place = Place {
            resource: self.place.resource,
            namespace: self.place.namespace.clone(),
            name: name.to_owned(),
            part: Part::Whole,
        };
        let (port, is_https) = (port.to_owned(), scheme == "https");
        self.read(move |cluster| {
            if is_service {
                let address = of_service(cluster, &place, &port)?;
                return Ok(Location { is_https, address, host: address.to_string() });
            }
            let pod = show::stored(cluster.store(), Kind::Pod, &place)?;
            of_pod(&show::rendered(pod, cluster), &port, is_https)
        })
        .await
    }
}

fn of_pod(pod: &Value, port: &str, is_https: bool) -> Result<Location, Status> {
    let first = || {
        let containers = list(pod, "/spec/containers");
        containers.flat_map(|one| list(one, "/ports")).find_map(|port| port["containerPort"].as_u64())
    };
    let port = match port {
        "" => first().map(|port| port.to_string()).unwrap_or_default(),
        port => port.to_owned(),
    };
    let ip: IpAddr =
        text(pod, "/status/podIP").parse().map_err(|_| Status::bad_request("address not allowed"))?;
    if port.is_empty() {
        let address = SocketAddr::new(ip, if is_https { 443 } else { 80 });
        let host = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
        return Ok(Location { is_https, address, host });
    }
    // Names of ports are for Services only: a pod's would be dialed as it stands.
    let number = port.parse().map_err(|_| {
        let dialed = format!("dial tcp: lookup tcp/{port}: unknown port");
        Status::service_unavailable(format!("error trying to reach service: {dialed}"))
    })?;
    let address = SocketAddr::new(ip, number);
    Ok(Location { is_https, address, host: address.to_string() })
}

/// An endpoint of a Service at random. A Service port has a number or, in all other cases, a name, which may be empty.
fn of_service(cluster: &ControlPlane, place: &Place, port: &str) -> Result<SocketAddr, Status> {
    let service = show::rendered(show::stored(cluster.store(), Kind::Service, place)?, cluster);
    let name = &place.name;
    let port_name = match port.parse::<u64>() {
        Err(_) => port,
        Ok(number) => {
            let mut ports = list(&service, "/spec/ports");
            let found = ports.find(|one| one["port"].as_u64() == Some(number));
            let none = || format!("no service port {number} found for service {name:?}");
            text(found.ok_or_else(|| Status::service_unavailable(none()))?, "/name")
        }
    };
    let mut endpoints = Vec::new();
    for slice in cluster.store().list_in::<EndpointSlice>(Kind::EndpointSlice, &place.namespace) {
        if slice.metadata.labels.get("kubernetes.io/service-name").is_none_or(|of| *of != **name) {
            continue;
        }
        let Some(stored) = cluster.store().stored(&slice.metadata.key(Kind::EndpointSlice)) else { continue };
        endpoints.extend(ready(&show::rendered(stored, cluster), port_name));
    }
    let none = || Status::service_unavailable(format!("no endpoints available for service {name:?}"));
    let index = (!endpoints.is_empty()).then(|| fastrand::usize(..endpoints.len()));
    index.map(|index| endpoints[index]).ok_or_else(none)
}

/// The ready endpoints of a slice at the port called `name`.
fn ready(slice: &Value, name: &str) -> Vec<SocketAddr> {
    let mut ports = list(slice, "/ports");
    let port = ports.find(|port| text(port, "/name") == name);
    let Some(port) = port.and_then(|port| u16::try_from(port["port"].as_u64()?).ok()) else {
        return Vec::new();
    };
    let is_ready = |one: &&Value| one.pointer("/conditions/ready") != Some(&Value::Bool(false));
    let addresses = list(slice, "/endpoints").filter(is_ready).flat_map(|one| list(one, "/addresses"));
    addresses.filter_map(|ip| Some(SocketAddr::new(ip.as_str()?.parse().ok()?, port))).collect()
}

/// The text at `pointer`, or an empty one.
pub(super) fn text<'a>(json: &'a Value, pointer: &str) -> &'a str {
    json.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(json: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    json.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    type Row = (&'static [&'static str], &'static [&'static str], &'static str, Chosen);
    type Chosen = Result<&'static str, &'static str>;

    /// Containers and init containers of a pod, the name in the request, and the container or the message.
    #[test]
    fn containers_are_chosen_as_by_kube_apiserver() {
        let table: [Row; 6] = [
            (&["db"], &[], "", Ok("db")),
            (&["db"], &["init"], "", Ok("db")),
            (&["db", "log"], &[], "log", Ok("log")),
            (&["db"], &["init"], "init", Ok("init")),
            (&["db"], &[], "x", Err("container x is not valid for pod db-0")),
            (
                &["db", "log"],
                &["init"],
                "",
                Err(
                    "a container name must be specified for pod db-0, choose one of: [db log] or one of the init \
                     containers: [init]",
                ),
            ),
        ];
        for (main, init, name, expected) in table {
            let named = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
            let pod = json!({
                "metadata": {"name": "db-0", "uid": "u"},
                "spec": {"containers": named(main), "initContainers": named(init)},
            });
            let chosen =
                container(&pod, name).map(|container| container.name).map_err(|status| status.message);
            assert_eq!(chosen, expected.map(String::from).map_err(String::from));
        }
    }

    #[test]
    fn names_of_proxies_have_scheme_and_port() {
        let table = [
            ("db-0", Some(("", "db-0", ""))),
            ("db-0:8080", Some(("", "db-0", "8080"))),
            ("https:db-0:", Some(("https", "db-0", ""))),
            ("http:db:web", Some(("http", "db", "web"))),
            ("ftp:db:web", None),
            (":8080", None),
            ("a:b:c:d", None),
        ];
        for (name, expected) in table {
            assert_eq!(split(name), expected, "{name}");
        }
    }

    #[test]
    fn a_pods_first_port_is_the_default() {
        let pod = |ports: Value| json!({"spec": {"containers": [{}, {"ports": ports}]}, "status": {"podIP": "10.244.0.7"}});
        let ports = json!([{"containerPort": 8080}, {"containerPort": 9090}]);
        let table = [
            (pod(json!([])), "", Ok("10.244.0.7:80")),
            (pod(ports.clone()), "", Ok("10.244.0.7:8080")),
            (pod(ports.clone()), "9090", Ok("10.244.0.7:9090")),
            (pod(ports), "web", Err("error trying to reach service: dial tcp: lookup tcp/web: unknown port")),
            (json!({}), "80", Err("address not allowed")),
        ];
        for (pod, port, expected) in table {
            let location = of_pod(&pod, port, false);
            let location =
                location.map(|location| location.address.to_string()).map_err(|status| status.message);
            assert_eq!(location, expected.map(String::from).map_err(String::from));
        }
    }
}
