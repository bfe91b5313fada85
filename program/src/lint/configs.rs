//! Rules about names in the environment, command and arguments of containers.

use super::{Cluster, Reviewed, Template};
use clusterlocal_core::manifest::Problem;
use clusterlocal_core::store::{Kind, Name, StatefulSet, nearest};
use clusterlocal_core::wire::{DomainName, is_subdomain};
use clusterlocal_core::zone::Found;

/// Maximum number of names of one value that are looked up: each is compared with those before it.
const HOSTS_MAX: usize = 1000;

/// Reports names that look like names of this cluster and are not in its DNS.
///
/// Of a name with a variable (`$(POD).cassandra…`), the labels without the variable are looked up.
pub(super) fn review(template: &Reviewed<'_, Template<'_>>, findings: &mut Vec<Problem>) {
    let inside = format!("{}.", template.object.path);
    for (path, text) in template.place.scalars() {
        if !path.strip_prefix(&inside).is_some_and(is_read_by_program) {
            continue;
        }
        // Names with the same fix are one finding.
        let mut unknown_names: Vec<(String, Vec<&str>)> = Vec::new();
        for host in hosts(&text).take(HOSTS_MAX) {
            let Some(help) = unknown(template.cluster, &template.key.namespace, host) else { continue };
            match unknown_names.iter_mut().find(|(same, _)| *same == help) {
                Some((_, hosts)) if hosts.contains(&host) => {}
                Some((_, hosts)) => hosts.push(host),
                None => unknown_names.push((help, vec![host])),
            }
        }
        for (help, hosts) in unknown_names {
            let message = match &*hosts {
                [host] => format!("{host} does not exist in this cluster's DNS"),
                [first, more @ ..] => {
                    format!("{first} and {} more names do not exist in this cluster's DNS", more.len())
                }
                [] => continue,
            };
            findings.push(template.finding("unknown-name", &path, message, help));
        }
    }
}

/// `containers[0].env[2].value`, `initContainers[1].args[0]`, `containers[0].command[3]`.
fn is_read_by_program(field: &str) -> bool {
    let container = ["containers[", "initContainers["].iter().find_map(|list| field.strip_prefix(list));
    let Some((_, within)) = container.and_then(|rest| rest.split_once("].")) else { return false };
    (within.starts_with("env[") && within.ends_with("].value"))
        || within.starts_with("args[")
        || within.starts_with("command[")
}

/// The likely host names in `text`, of at least two labels. A first label behind a variable is left out.
fn hosts(text: &str) -> impl Iterator<Item = &str> {
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let begin = rest.find(of_name)?;
            let before = rest[..begin].chars().next_back();
            let tail = &rest[begin..];
            let end = tail.find(|c| !of_name(c)).unwrap_or(tail.len());
            let (word, after) = tail.split_at(end);
            rest = after;
            let variable = before.is_some_and(|c| matches!(c, '$' | '{' | '}' | ')' | '%' | '>' | '*' | '`'));
            // `web-$(ORDINAL).nginx`: what follows the variable begins with the dot.
            let word = if variable && !word.starts_with('.') {
                word.split_once('.').map_or("", |(_, rest)| rest)
            } else {
                word
            };
            let word = word.trim_start_matches('.').trim_end_matches(['.', '-', '_']);
            // A variable in the middle: the text before it is only a part of a name.
            let cut = after.starts_with(['$', '{', '%', '<']);
            if word.contains('.') && !cut {
                return Some(word);
            }
        }
    })
}

/// The fix for `host`, if it looks like a name of this cluster and does not exist.
fn unknown(cluster: &Cluster<'_>, namespace: &Name, host: &str) -> Option<String> {
    let domain = &cluster.zone.settings().domain;
    let name: DomainName = host.parse().ok()?;
    let labels: Vec<&str> = host.split('.').collect();
    let absolute = is_subdomain(domain.as_wire(), name.as_wire());
    let relative = if absolute {
        host[..host.len() + 1 - domain.to_string().len()].trim_end_matches('.').to_owned()
    } else if labels.len() > 2 && labels.last() == Some(&"svc") {
        host.to_owned()
    } else if is_endpoint_of_set(cluster, namespace, &labels) {
        // `cass-3.cass` of a set `cass`, from a pod of the same namespace.
        match labels.len() {
            2 => format!("{host}.{namespace}.svc"),
            _ => format!("{host}.svc"),
        }
    } else {
        return None;
    };
    let wire = relative.parse::<DomainName>().ok()?.as_wire().to_ascii_lowercase();
    if !matches!(cluster.zone.find(&wire[..wire.len() - 1], false), Found::Missing) {
        return None;
    }
    let mut labels = relative.rsplit('.');
    match labels.next()? {
        "svc" => {}
        // The name of a pod by its address.
        "pod" => return None,
        // Below the cluster domain, meshes have names that are never looked up: identities, trust domains. A name that only
        // lacks `svc` is reported.
        tree => {
            let service = labels.next()?;
            let existing = cluster.service(tree, service)?;
            return Some(format!(
                "svc is missing: write {}.{}.svc.{domain}",
                existing.metadata.name, existing.metadata.namespace
            ));
        }
    }
    let (of_namespace, service) = (labels.next()?, labels.next()?);
    let left: Vec<&str> = labels.collect();
    help(cluster, of_namespace, service, &left)
}

fn is_endpoint_of_set(cluster: &Cluster<'_>, namespace: &str, labels: &[&str]) -> bool {
    let (Some((set, _)), Some(service)) = (clusterlocal_core::store::ordinal(labels[0]), labels.get(1))
    else {
        return false;
    };
    let of_namespace = *labels.get(2).unwrap_or(&namespace);
    labels.len() <= 3
        && cluster.store.get::<StatefulSet>(Kind::StatefulSet, of_namespace, set).is_some()
        && cluster.service(of_namespace, service).is_some()
}

/// The fix; `None` if the manifests are right: the pod exists, and is not ready in a snapshot.
///
/// `left` are the labels left of the Service, the nearest first. A name is suggested only if it exists.
fn help(cluster: &Cluster<'_>, namespace: &str, service: &str, left: &[&str]) -> Option<String> {
    let endpoint = left.first().copied();
    if let Some(known) = cluster.service(namespace, service) {
        let endpoint = endpoint.filter(|label| !label.starts_with('_'));
        let pods = cluster.store.select_pods(&known.metadata.namespace, &known.spec.selector);
        return match endpoint {
            Some(label)
                if pods
                    .iter()
                    .any(|pod| pod.metadata.name == label && pod.spec.shared.subdomain == service) =>
            {
                None
            }
            None if pods.iter().any(|pod| !pod.status.ready) => None,
            _ if pods.is_empty() => Some(format!("Service {namespace}/{service} selects no pods")),
            _ => Some(format!(
                "Service {namespace}/{service} exists: `clusterlocal explain` shows which of its names exist"
            )),
        };
    }
    let elsewhere = || {
        let mut all = cluster
            .store
            .list::<clusterlocal_core::store::Service>(Kind::Service)
            .map(|service| &service.metadata);
        all.find(|meta| meta.name == service).map(|meta| meta.namespace.clone())
    };
    let name = |service: &str, namespace: &str| {
        let labels = left.iter().rev().copied().chain([service, namespace]);
        labels.collect::<Vec<_>>().join(".")
    };
    let is_known = |name: &str| {
        let wire =
            format!("{name}.svc").parse::<DomainName>().map(|name| name.as_wire().to_ascii_lowercase());
        wire.is_ok_and(|wire| !matches!(cluster.zone.find(&wire[..wire.len() - 1], false), Found::Missing))
    };
    // For several names there is one fix: it names the Service only.
    let near = nearest(service, cluster.service_names(namespace));
    Some(match near.filter(|near| is_known(&name(near, namespace))) {
        Some(near) => format!("did you mean {near}.{namespace}?"),
        None => match elsewhere() {
            Some(of) if is_known(&name(service, &of)) => {
                format!("did you mean {service}.{of}? otherwise set namespace: {namespace} in the objects")
            }
            Some(of) => {
                format!("there is a Service {service} in namespace {of}, but it has no such name")
            }
            // A namespace without manifests may have any Services.
            None if !cluster.templates.iter().any(|template| template.key.namespace == namespace) => {
                return None;
            }
            None => format!(
                "there is no Service {service} in namespace {namespace}: add its manifest, or correct the name"
            ),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_in_arguments() {
        let table: [(&str, &[&str]); 10] = [
            ("--join=cass-0.cass:7000,cass-1.cass", &["cass-0.cass", "cass-1.cass"]),
            ("http://db.prod.svc.cluster.local:80/a.b", &["db.prod.svc.cluster.local", "a.b"]),
            ("$(POD_NAME).db.prod.svc", &["db.prod.svc"]),
            ("${NAME}.db.svc", &["db.svc"]),
            ("web-$i.nginx.default.svc", &["nginx.default.svc"]),
            ("minio-{0...3}.minio.default.svc", &["minio.default.svc"]),
            ("*.db.prod.svc", &["db.prod.svc"]),
            ("db.$(NAMESPACE).svc.cluster.local", &["svc.cluster.local"]),
            ("%s.db.prod.svc", &["db.prod.svc"]),
            ("exec java", &[]),
        ];
        for (text, expected) in table {
            assert_eq!(hosts(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
