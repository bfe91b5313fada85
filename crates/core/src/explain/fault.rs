//! Explains why a fault may not hit any question: there is no match, no question can match, or another fault comes
//! first. Must not depend on the effect of faults on an answer.

use std::net::IpAddr;

use crate::fault::{Client, FaultSpec, Glob};
use crate::store::{Fault, Kind, Pod, Store, Stored, is_label, nearest};
use crate::wire::Presentation;
use crate::zone::Zone;

/// Reasons why `fault` may not hit anything, as sentences; empty if there are none.
///
/// `asked` are the addresses of the clients so far, if they are known.
pub fn doubts(store: &Store, zone: &Zone, fault: &Fault, asked: Option<&[IpAddr]>) -> Vec<String> {
    let spec = fault.spec.expanded();
    let mut doubts = Vec::new();
    let clients = &spec.matching.clients;
    doubts.extend(clients.iter().filter_map(|client| client_doubt(store, client, asked)));
    doubts.extend(spec.matching.name.as_ref().and_then(|glob| name_doubt(zone, glob)));
    doubts.extend(shadow(store, fault));
    doubts
}

fn client_doubt(store: &Store, client: &Client, asked: Option<&[IpAddr]>) -> Option<String> {
    let Client::Pod { namespace, name } = client else { return None };
    let Some(pod) = store.get::<Pod>(Kind::Pod, namespace, name) else {
        let elsewhere = store.list::<Pod>(Kind::Pod).find(|pod| pod.metadata.name == *name);
        let names = store.list_in::<Pod>(Kind::Pod, namespace).map(|pod| pod.metadata.name.as_str());
        let help = match (elsewhere, nearest(name, names)) {
            (Some(pod), _) => format!("it exists in namespace {0}: write {0}/{name}", pod.metadata.namespace),
            (None, Some(near)) => format!("did you mean {near}?"),
            (None, None) => "it is hit once there is such a pod".into(),
        };
        return Some(format!("client {client}: there is no pod {name} in namespace {namespace}; {help}"));
    };
    let ips: Vec<IpAddr> = pod.status.ips().collect();
    let Some(ip) = ips.first() else {
        return Some(format!("client {client}: the pod has no address yet; it is hit once it has one"));
    };
    let asked = asked?;
    if asked.iter().any(|from| ips.contains(from)) {
        return None;
    }
    Some(match asked.iter().find(|from| from.is_loopback() && !is_pods(store, **from)) {
        Some(from) => format!(
            "client {client}: no query has come from the pod's address {ip}; queries come from {from}, which is no pod's: \
             let the process bind its sockets to {ip}, or match --client {from}"
        ),
        None => format!(
            "client {client}: no query has come from the pod's address {ip} so far; a process is hit only if it asks from \
             that address"
        ),
    })
}

fn is_pods(store: &Store, ip: IpAddr) -> bool {
    store.list::<Pod>(Kind::Pod).any(|pod| pod.status.ips().any(|own| own == ip))
}

/// A pattern that matches none of the cluster's names, although some start with it.
fn name_doubt(zone: &Zone, glob: &Glob) -> Option<String> {
    let pattern = glob.to_string();
    let longer: Glob = format!("{pattern}.*").parse().ok()?;
    let mut longest = None;
    for name in zone.names().into_iter().chain(zone.reverse_names()) {
        let text = Presentation(name.as_wire()).to_string().to_ascii_lowercase();
        let text = text.trim_end_matches('.');
        if glob.matches(text.as_bytes()) {
            return None;
        }
        if longest.is_none() && longer.matches(text.as_bytes()) {
            longest = Some(text.to_owned());
        }
    }
    match longest {
        Some(name) => {
            Some(format!("name {pattern}: the pattern is for whole names, such as {name}; write {pattern}.*"))
        }
        // A single label is not a name that a search list produces.
        None if is_label(&pattern) => Some(format!(
            "name {pattern}: no name of the cluster is like this, and patterns are for whole names; write {pattern}.*"
        )),
        None => None,
    }
}

/// Another fault that is matched first and hits every question.
fn shadow(store: &Store, fault: &Fault) -> Option<String> {
    let all: Vec<&Stored> = in_order(store);
    let before = all.iter().map_while(|stored| match &stored.object {
        crate::store::Object::Fault(other) if other.metadata.name != fault.metadata.name => Some(&**other),
        _ => None,
    });
    let takes_all = |spec: &FaultSpec| {
        spec.matching.is_everything()
            && spec.times.is_none()
            && spec.lasting.is_none()
            && spec.after.is_zero()
            && spec.all_actions().any(|action| !matches!(action, crate::fault::Action::Tcp(_)))
    };
    let first = before.into_iter().find(|other| takes_all(&other.spec.expanded()))?;
    Some(format!(
        "fault {} is matched first and hits every question; delete it, or give this one a higher priority",
        first.metadata.name
    ))
}

/// The faults of `store` in the order in which they are matched: by priority, then by creation.
fn in_order(store: &Store) -> Vec<&Stored> {
    let mut all: Vec<&Stored> = store.all_stored(Kind::Fault, None).collect();
    all.sort_by_key(|stored| match &stored.object {
        crate::store::Object::Fault(fault) => (std::cmp::Reverse(fault.spec.priority), stored.born()),
        _ => (std::cmp::Reverse(0), stored.born()),
    });
    all
}
