//! The node ports of Services: `initNodePorts` and `updateNodePorts` of `pkg/registry/core/service/storage/alloc.go`, and
//! `pkg/registry/core/service/portallocator/operation.go`. The ports of a Service that is stored are chosen elsewhere; a dry run
//! chooses them here, from no range.

use std::ops::RangeInclusive;

use clusterlocal_core::addresses::Addresses;
use serde_json::Value;

use super::{needs_health_check, node_ports, spec, type_of};
use crate::allocation::{Allocator, Refusal};
use crate::field::{At, Causes};

/// `--service-node-port-range`
const NODE_PORTS: RangeInclusive<i64> = 30_000..=32_767;

/// `ErrAllocated`
const ALLOCATED: &str = "provided port is already allocated";

/// `PortAllocationOperation`: the ports that one request allocates.
struct PortOperation<'a> {
    allocator: &'a Allocator<'a>,
    allocated: Vec<i64>,
}

impl PortOperation<'_> {
    /// Takes `port`, or returns why it cannot be taken.
    fn allocate(&mut self, port: i64) -> Result<(), String> {
        if !self.allocator.dry_run && !NODE_PORTS.contains(&port) {
            return Err(format!(
                "provided port is not in the valid range. The range of valid ports is {}-{}",
                NODE_PORTS.start(),
                NODE_PORTS.end()
            ));
        }
        let of_service =
            |addresses: &Addresses| u16::try_from(port).is_ok_and(|port| addresses.has_node_port(port));
        if self.allocated.contains(&port) || self.allocator.addresses.is_some_and(of_service) {
            return Err(ALLOCATED.into());
        }
        self.allocated.push(port);
        Ok(())
    }

    /// The port that a dry run shows where none was asked for: the one after the greatest.
    fn allocate_next(&mut self) -> Option<i64> {
        if !self.allocator.dry_run {
            return None;
        }
        let last = match self.allocated.iter().max() {
            Some(last) => (*last).max(0),
            None => 32_768,
        };
        self.allocated.push(last + 1);
        Some(last + 1)
    }
}

/// `txnAllocNodePorts`, and `txnUpdateNodePorts` with the Service before.
pub(super) fn allocate(
    service: &mut Value,
    before: Option<&Value>,
    allocator: &Allocator<'_>,
) -> Result<(), Refusal> {
    let mut operation = PortOperation { allocator, allocated: Vec::new() };
    let new = At::root(service);
    let old = before.map(At::root);
    let has_health_check = needs_health_check(&new) && !old.as_ref().is_some_and(needs_health_check);
    if matches!(type_of(&new), "NodePort" | "LoadBalancer") {
        let chosen = match &old {
            None => init_node_ports(&new, &mut operation)?,
            Some(old) => update_node_ports(&new, old, &mut operation)?,
        };
        let ports = spec(service).and_then(|spec| spec.get_mut("ports")).and_then(Value::as_array_mut);
        for (port, chosen) in ports.into_iter().flatten().zip(chosen) {
            if let (Some(port), Some(chosen)) = (port.as_object_mut(), chosen) {
                port.insert("nodePort".into(), chosen.into());
            }
        }
    }
    if has_health_check { allocate_health_check(service, &mut operation) } else { Ok(()) }
}

/// `shouldAllocateNodePorts`
fn is_allocating(service: &At<'_>) -> bool {
    match type_of(service) {
        "LoadBalancer" => service.at("spec.allocateLoadBalancerNodePorts").value() != false,
        other => other == "NodePort",
    }
}

fn invalid(port: &At<'_>, number: i64, why: &str) -> Refusal {
    let mut causes = Causes::default();
    causes.invalid(&port.at("nodePort"), number, why);
    Refusal::Invalid(causes.into_vec())
}

/// `initNodePorts`: the node ports of the ports of a new Service, where one is chosen. Ports of one number share one.
fn init_node_ports(service: &At<'_>, operation: &mut PortOperation<'_>) -> Result<Vec<Option<i64>>, Refusal> {
    let ports: Vec<At<'_>> = service.at("spec.ports").items().collect();
    let mut by_port: Vec<(i64, i64)> = Vec::new();
    let mut chosen = Vec::new();
    for port in &ports {
        let (number, node_port) = (port.at("port").number(), port.at("nodePort").number());
        if node_port == 0 && !is_allocating(service) {
            chosen.push(None);
            continue;
        }
        let known = by_port.iter().find(|(other, _)| *other == number).map(|(_, node_port)| *node_port);
        chosen.push(match known {
            Some(known) if node_port == 0 => Some(known),
            Some(known) if node_port == known => None,
            Some(_) => {
                operation.allocate(node_port).map_err(|why| invalid(port, node_port, &why))?;
                None
            }
            None => {
                let same = ports.iter().filter(|other| other.at("port").number() == number);
                let requested = same.map(|other| other.at("nodePort").number()).find(|number| *number != 0);
                let node_port = match requested {
                    Some(requested) => {
                        operation.allocate(requested).map_err(|why| invalid(port, requested, &why))?;
                        Some(requested)
                    }
                    None => operation.allocate_next(),
                };
                by_port.extend(node_port.map(|node_port| (number, node_port)));
                node_port
            }
        });
    }
    Ok(chosen)
}

/// `updateNodePorts`: as [`init_node_ports`], for a Service that has some.
fn update_node_ports(
    service: &At<'_>,
    old: &At<'_>,
    operation: &mut PortOperation<'_>,
) -> Result<Vec<Option<i64>>, Refusal> {
    let known = node_ports(old);
    let mut taken: Vec<(&str, i64)> = Vec::new();
    let mut chosen = Vec::new();
    for port in service.at("spec.ports").items() {
        let number = port.at("nodePort").number();
        if number == 0 && !is_allocating(service) {
            chosen.push(None);
            continue;
        }
        if number != 0 && !known.contains(&number) && !operation.allocated.contains(&number) {
            operation.allocate(number).map_err(|why| invalid(&port, number, &why))?;
        }
        let next = if number == 0 { operation.allocate_next() } else { None };
        chosen.push(next);
        let Some(number) = next.or(Some(number).filter(|number| *number != 0)) else { continue };
        let protocol = port.at("protocol").text();
        if taken.contains(&(protocol, number)) {
            // A plain error of Go, which prints the struct.
            return Err(Refusal::Failed(format!("duplicate nodePort: {{{protocol} {number}}}")));
        }
        taken.push((protocol, number));
    }
    Ok(chosen)
}

/// `allocHealthCheckNodePort`
fn allocate_health_check(service: &mut Value, operation: &mut PortOperation<'_>) -> Result<(), Refusal> {
    let port = At::root(service).at("spec.healthCheckNodePort").number();
    if port != 0 {
        return operation.allocate(port).map_err(|why| {
            Refusal::Internal(format!("failed to allocate requested HealthCheck NodePort {port}: {why}"))
        });
    }
    if let (Some(port), Some(spec)) = (operation.allocate_next(), spec(service)) {
        spec.insert("healthCheckNodePort".into(), port.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn balanced(ports: Value) -> Value {
        json!({ "spec": { "type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": ports } })
    }

    fn allocated(service: &Value, before: Option<&Value>, dry_run: bool) -> Result<(Vec<i64>, i64), String> {
        let mut service = service.clone();
        let allocator = Allocator { dry_run, ..Allocator::default() };
        allocate(&mut service, before, &allocator).map_err(|error| match error {
            Refusal::Invalid(causes) => causes[0].to_string(),
            Refusal::Failed(why) => format!("500 {why}"),
            Refusal::Internal(why) => format!("InternalError {why}"),
        })?;
        let root = At::root(&service);
        Ok((node_ports(&root), root.at("spec.healthCheckNodePort").number()))
    }

    #[test]
    fn a_dry_run_has_ports_of_no_range() {
        // The node ports that are asked for, those that are shown, and the port of the health check; as recorded.
        let table = [
            (vec![0], vec![32_769], 32_770),
            (vec![30_080], vec![30_080], 30_081),
            (vec![65_535], vec![65_535], 65_536),
            (vec![-1], vec![-1], 1),
        ];
        for (asked, shown, health_check) in table {
            let ports: Value = asked.iter().map(|port| json!({ "port": 80, "nodePort": port })).collect();
            assert_eq!(allocated(&balanced(ports), None, true), Ok((shown, health_check)), "{asked:?}");
        }
    }

    #[test]
    fn ports_that_are_stored_are_of_the_range() {
        let range = "provided port is not in the valid range. The range of valid ports is 30000-32767";
        let service = balanced(json!([{ "port": 80, "nodePort": 80 }]));
        let refused = format!("spec.ports[0].nodePort: Invalid value: 80: {range}");
        assert_eq!(allocated(&service, None, false), Err(refused));
        assert_eq!(allocated(&service, Some(&service), false), Ok((vec![80], 0)), "it had it before");
        let mut service = balanced(json!([{ "port": 80 }]));
        assert_eq!(allocated(&service, None, false), Ok((vec![], 0)), "the port is chosen when it is stored");
        service["spec"]["healthCheckNodePort"] = 7.into();
        let refused = format!("InternalError failed to allocate requested HealthCheck NodePort 7: {range}");
        assert_eq!(allocated(&service, None, false), Err(refused));
    }

    #[test]
    fn one_node_port_for_two_protocols_and_not_for_two_ports() {
        let port =
            |number: i64, protocol: &str| json!({ "port": number, "protocol": protocol, "nodePort": 30_053 });
        let dns = balanced(json!([port(53, "UDP"), port(53, "TCP")]));
        assert_eq!(allocated(&dns, None, false), Ok((vec![30_053, 30_053], 0)));
        let two = balanced(json!([port(53, "UDP"), port(54, "TCP")]));
        let refused = format!("spec.ports[1].nodePort: Invalid value: 30053: {ALLOCATED}");
        assert_eq!(allocated(&two, None, false), Err(refused));
        let twice = balanced(json!([port(53, "TCP"), port(54, "TCP")]));
        let failed = "500 duplicate nodePort: {TCP 30053}".to_owned();
        assert_eq!(allocated(&twice, Some(&dns), false), Err(failed));
    }
}
