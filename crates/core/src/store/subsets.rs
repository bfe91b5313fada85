//! Subsets of Endpoints in canonical form, and those computed from a Service's slices (pkg/api/v1/endpoints/util.go,
//! pkg/controller/endpoint/endpoints_controller.go).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::names::Name;
use super::service::{
    Derived, EndpointAddress, EndpointPort, EndpointSlice, EndpointSubset, SLICE_CONTROLLER,
};

/// Maximum number of addresses in one Endpoints object (endpoints_controller.go, `maxCapacity`).
const MAX_CAPACITY: usize = 1000;

/// The addresses of one port, by their index in the list of all, and whether each is ready.
type AddressSet = BTreeMap<usize, bool>;

/// Converts `subsets` to canonical form (`RepackSubsets`): one subset for each set of addresses, with all of their
/// ports. An address that is both ready and not ready counts as not ready.
///
/// Kubernetes orders subsets by a hash over UIDs; here they are ordered by their ports.
pub fn repack(subsets: &[EndpointSubset]) -> Vec<EndpointSubset> {
    let mut addresses: Vec<(String, &EndpointAddress)> = Vec::new();
    let mut places: FxHashMap<(IpAddr, Option<&Name>), usize> = FxHashMap::default();
    // Addresses of a subset without ports have the key `None`.
    let mut by_port: BTreeMap<Option<&EndpointPort>, AddressSet> = BTreeMap::new();
    for subset in subsets {
        let ready = subset.addresses.iter().map(|address| (address, true));
        let not_ready = subset.not_ready_addresses.iter().map(|address| (address, false));
        for (address, ready) in ready.chain(not_ready) {
            let target = address.target_ref.as_ref().map(|target| &target.name);
            let place = *places.entry((address.ip, target)).or_insert_with(|| {
                addresses.push((address.ip.to_string(), address));
                addresses.len() - 1
            });
            let portless = subset.ports.is_empty().then_some(None);
            for port in subset.ports.iter().map(Some).chain(portless) {
                *by_port.entry(port).or_default().entry(place).or_insert(ready) &= ready;
            }
        }
    }
    let mut by_addresses: BTreeMap<AddressSet, Vec<EndpointPort>> = BTreeMap::new();
    for (port, set) in by_port {
        by_addresses.entry(set).or_default().extend(port.cloned());
    }
    let mut packed: Vec<EndpointSubset> = by_addresses
        .into_iter()
        .map(|(set, ports)| {
            // By text and target, as in LessEndpointAddress.
            let mut set: Vec<(usize, bool)> = set.into_iter().collect();
            let order = |place: usize| {
                let (ip, address) = &addresses[place];
                (ip.as_str(), address.target_ref.as_ref().map(|target| target.name.as_str()))
            };
            set.sort_by(|a, b| order(a.0).cmp(&order(b.0)));
            let of = |wanted: bool| {
                let all = set.iter().filter(|(_, ready)| *ready == wanted);
                all.map(|(place, _)| addresses[*place].1.clone()).collect()
            };
            EndpointSubset { addresses: of(true), not_ready_addresses: of(false), ports }
        })
        .collect();
    packed.sort_by(|a, b| a.ports.cmp(&b.ports));
    packed
}

/// The subsets that the endpoints controller writes for the slices of a Service, and whether addresses beyond the
/// capacity were omitted.
pub fn of_slices(derived: Derived, slices: &[&Arc<EndpointSlice>]) -> (Vec<EndpointSubset>, bool) {
    // A snapshot's slices may lack the label of the controller that created them.
    let managed = slices.iter().any(|slice| slice.is_managed_by(SLICE_CONTROLLER));
    let slices = slices.iter().filter(|slice| {
        (!managed || slice.is_managed_by(SLICE_CONTROLLER))
            && slice.address_type == derived.family.address_type()
            && (derived.portless || !slice.ports.is_empty())
    });
    let subsets: Vec<EndpointSubset> = slices.map(|slice| subset(derived, slice)).collect();
    let mut subsets = repack(&subsets);
    let truncated = truncate(&mut subsets);
    (subsets, truncated)
}

fn subset(derived: Derived, slice: &EndpointSlice) -> EndpointSubset {
    let mut subset = EndpointSubset { ports: slice.ports.clone(), ..EndpointSubset::default() };
    for endpoint in &slice.endpoints {
        // Terminating pods only count if not-ready pods are published (ShouldPodBeInEndpoints).
        if endpoint.conditions.terminating == Some(true) && !derived.publish_not_ready {
            continue;
        }
        let list = match endpoint.conditions.ready {
            Some(false) => &mut subset.not_ready_addresses,
            _ => &mut subset.addresses,
        };
        list.extend(endpoint.addresses.iter().filter_map(|address| {
            Some(EndpointAddress {
                ip: address.ip().ok()?,
                hostname: endpoint.hostname.clone(),
                target_ref: endpoint.target_ref.clone(),
                node_name: endpoint.node_name.clone(),
            })
        }));
    }
    subset
}

/// Reduces the addresses to `MAX_CAPACITY`, proportionally by subset, ready ones first (`truncateEndpoints`). Returns
/// whether there were more.
fn truncate(subsets: &mut [EndpointSubset]) -> bool {
    let ready: usize = subsets.iter().map(|subset| subset.addresses.len()).sum();
    let not_ready: usize = subsets.iter().map(|subset| subset.not_ready_addresses.len()).sum();
    if ready + not_ready <= MAX_CAPACITY {
        return false;
    }
    let too_many_ready = ready > MAX_CAPACITY;
    let (most, all) = if too_many_ready { (MAX_CAPACITY, ready) } else { (MAX_CAPACITY - ready, not_ready) };
    let mut left = most;
    for subset in subsets {
        let list = if too_many_ready { &mut subset.addresses } else { &mut subset.not_ready_addresses };
        let share = (list.len() * most).div_ceil(all).min(left);
        list.truncate(share);
        left -= list.len();
        if too_many_ready {
            subset.not_ready_addresses.clear();
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Protocol;

    fn port(text: &str) -> EndpointPort {
        let (name, number) = text.split_once(':').expect("NAME:PORT");
        EndpointPort {
            name: name.into(),
            port: number.parse().ok(),
            protocol: Protocol::TCP,
            app_protocol: None,
        }
    }

    fn subset_of(ready: &[&str], not_ready: &[&str], ports: &[&str]) -> EndpointSubset {
        let address = |ip: &&str| EndpointAddress {
            ip: ip.parse().expect("an address"),
            hostname: Name::default(),
            target_ref: None,
            node_name: Name::default(),
        };
        EndpointSubset {
            addresses: ready.iter().map(address).collect(),
            not_ready_addresses: not_ready.iter().map(address).collect(),
            ports: ports.iter().map(|text| port(text)).collect(),
        }
    }

    #[test]
    fn subsets_are_repacked_by_the_ports_that_addresses_share() {
        let of = subset_of;
        let table = [
            ("nothing", vec![], vec![]),
            (
                "the same ports twice are one subset",
                vec![of(&["10.0.0.2"], &[], &["a:1"]), of(&["10.0.0.1"], &[], &["a:1"])],
                vec![of(&["10.0.0.1", "10.0.0.2"], &[], &["a:1"])],
            ),
            (
                "ports of the same addresses are one subset",
                vec![of(&["10.0.0.1"], &[], &["b:2"]), of(&["10.0.0.1"], &[], &["a:1"])],
                vec![of(&["10.0.0.1"], &[], &["a:1", "b:2"])],
            ),
            (
                "addresses that share one port of two",
                vec![of(&["10.0.0.1"], &[], &["a:1", "b:2"]), of(&["10.0.0.2"], &[], &["a:1", "b:3"])],
                vec![
                    of(&["10.0.0.1", "10.0.0.2"], &[], &["a:1"]),
                    of(&["10.0.0.1"], &[], &["b:2"]),
                    of(&["10.0.0.2"], &[], &["b:3"]),
                ],
            ),
            (
                "not ready wins",
                vec![of(&["10.0.0.1"], &["10.0.0.1"], &["a:1"])],
                vec![of(&[], &["10.0.0.1"], &["a:1"])],
            ),
            (
                "addresses without ports",
                vec![of(&["10.0.0.1"], &[], &[]), of(&["10.0.0.1"], &[], &[])],
                vec![of(&["10.0.0.1"], &[], &[])],
            ),
            (
                "by text",
                vec![of(&["10.0.0.2", "10.0.0.10"], &[], &["a:1"])],
                vec![of(&["10.0.0.10", "10.0.0.2"], &[], &["a:1"])],
            ),
        ];
        for (what, subsets, expected) in table {
            assert_eq!(repack(&subsets), expected, "{what}");
        }
    }

    #[test]
    fn a_thousand_addresses_fit_and_ready_ones_come_first() {
        let ips = |from: u16, to: u16| -> Vec<String> {
            (from..to).map(|n| format!("10.0.{}.{}", n / 250, n % 250)).collect()
        };
        let sized = |ready: usize, not_ready: usize, port: &str| {
            let all = ips(0, (ready + not_ready) as u16);
            let texts: Vec<&str> = all.iter().map(String::as_str).collect();
            subset_of(&texts[..ready], &texts[ready..], &[port])
        };
        let sizes = |subsets: &[EndpointSubset]| -> Vec<(usize, usize)> {
            subsets.iter().map(|s| (s.addresses.len(), s.not_ready_addresses.len())).collect()
        };
        let table = [
            (vec![sized(600, 400, "a:1")], false, vec![(600, 400)]),
            (vec![sized(600, 900, "a:1")], true, vec![(600, 400)]),
            (vec![sized(1500, 10, "a:1"), sized(500, 0, "b:2")], true, vec![(750, 0), (250, 0)]),
        ];
        for (mut subsets, expected, left) in table {
            assert_eq!(truncate(&mut subsets), expected);
            assert_eq!(sizes(&subsets), left);
        }
    }
}
