//! Services: what an update keeps of what was allocated, and what contradicts itself
//! (pkg/registry/core/service/strategy.go and storage/, pkg/apis/core/validation, validateService).

use serde_json::{Map, Value};

use super::Cause;
use super::words::{forbidden, invalid};
use crate::schema::field;

fn service_type(service: &Value) -> &str {
    match field::text(service, "/spec/type") {
        "" => "ClusterIP",
        other => other,
    }
}

fn is_alias(service: &Value) -> bool {
    service_type(service) == "ExternalName"
}

fn has_node_ports(service: &Value) -> bool {
    matches!(service_type(service), "NodePort" | "LoadBalancer")
}

/// Keeps in `after` what was allocated in `before` and is not mentioned, and drops what its new type has no use for, if
/// it is as before (`normalizeClusterIPs`, `patchAllocatedValues`, `dropTypeDependentFields`).
pub(super) fn keep_allocated(before: &Value, after: &mut Value) {
    const ALLOCATED: [&str; 4] = ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"];
    let (alias, alias_before) = (is_alias(after), is_alias(before));
    let changed_ip = field::text(before, "/spec/clusterIP") != field::text(after, "/spec/clusterIP");
    let node_ports = (has_node_ports(before), has_node_ports(after));
    let load_balancer = |service: &Value| service_type(service) == "LoadBalancer";
    let balanced = (load_balancer(before), load_balancer(after));
    if balanced == (true, false) {
        // The address of a load balancer that is none any more.
        after["status"]["loadBalancer"] = Value::Object(Map::new());
    }
    let Some(spec) = after.get_mut("spec").and_then(Value::as_object_mut) else { return };
    for field in ALLOCATED {
        let was = before.pointer(&format!("/spec/{field}"));
        let absent = spec.get(field).is_none_or(|value| matches!(value, Value::Null) || value == "");
        match was {
            Some(was) if alias && spec.get(field) == Some(was) => drop(spec.remove(field)),
            Some(was) if !alias && !alias_before && absent => drop(spec.insert(field.into(), was.clone())),
            _ => {}
        }
    }
    if !alias {
        // One address, written where only the first is: the list follows.
        if changed_ip && spec.get("clusterIPs") == before.pointer("/spec/clusterIPs") {
            spec.insert("clusterIPs".into(), spec.get("clusterIP").cloned().into_iter().collect());
        }
    }
    let mut drop_same = |field: &str| {
        if spec.get(field) == before.pointer(&format!("/spec/{field}")) {
            spec.remove(field);
        }
    };
    if alias {
        drop_same("internalTrafficPolicy");
    }
    if node_ports == (true, false) {
        drop_same("externalTrafficPolicy");
        drop_same("healthCheckNodePort");
    }
    if balanced == (true, false) {
        drop_same("allocateLoadBalancerNodePorts");
        drop_same("loadBalancerClass");
    }
    if node_ports == (true, false) {
        let same = numbers(before.pointer("/spec/ports")) == numbers(spec.get("ports"));
        for port in clusterlocal_core::store::objects(spec, "ports").filter(|_| same) {
            port.remove("nodePort");
        }
    }
}

fn numbers(ports: Option<&Value>) -> Vec<&Value> {
    let ports = ports.and_then(Value::as_array).into_iter().flatten();
    ports.filter_map(|port| port.get("nodePort")).filter(|number| **number != 0).collect()
}

/// The ports of nodes that are given to Services (kube-apiserver, `--service-node-port-range`).
const NODE_PORTS: std::ops::RangeInclusive<i64> = 30_000..=32_767;

/// What contradicts itself in the spec of a Service in which nothing has been filled in yet (`validateService`).
pub(super) fn check(service: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (at, port) in field::items(service, "/spec/ports").iter().enumerate() {
        let target = port.get("targetPort");
        let number = target
            .and_then(Value::as_str)
            .is_some_and(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
        if number {
            let why = "must contain at least one letter (a-z)";
            causes.push(invalid(format!("spec.ports[{at}].targetPort"), target, why));
        }
    }
    let of_type = service_type(service);
    let listed = field::items(service, "/spec/clusterIPs");
    let first = listed.first().and_then(Value::as_str);
    let single = field::text(service, "/spec/clusterIP");
    let headless = first.unwrap_or(single) == "None";
    if headless && has_node_ports(service) {
        let why = format!("may not be set to 'None' for {of_type} services");
        causes.push(invalid("spec.clusterIPs[0]", Some(&"None".into()), &why));
    }
    if of_type == "ExternalName" {
        for (name, there) in [
            ("clusterIPs", !listed.is_empty() || !single.is_empty()),
            ("ipFamilies", !field::items(service, "/spec/ipFamilies").is_empty()),
            ("ipFamilyPolicy", !field::text(service, "/spec/ipFamilyPolicy").is_empty()),
        ] {
            if there {
                causes.push(forbidden(format!("spec.{name}"), "may not be set for ExternalName services"));
            }
        }
    }
    if has_node_ports(service) {
        for (at, port) in field::items(service, "/spec/ports").iter().enumerate() {
            let number = port.get("nodePort").and_then(Value::as_i64).filter(|number| *number != 0);
            if let Some(number) = number.filter(|number| !NODE_PORTS.contains(number)) {
                let why = "provided port is not in the valid range. The range of valid ports is 30000-32767";
                causes.push(invalid(format!("spec.ports[{at}].nodePort"), Some(&number.into()), why));
            }
        }
    }
    if of_type == "ClusterIP" {
        for (at, port) in field::items(service, "/spec/ports").iter().enumerate() {
            if port.get("nodePort").is_some_and(|number| !number.is_null() && *number != 0) {
                let path = format!("spec.ports[{at}].nodePort");
                causes.push(forbidden(path, "may not be used when `type` is 'ClusterIP'"));
            }
        }
    }
    causes
}

/// What contradicts the family policy: in a new Service, or in the change of one (`initIPFamilyFields`).
pub(super) fn check_families(before: Option<&Value>, after: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if is_alias(after) {
        return causes;
    }
    let policy = after.pointer("/spec/ipFamilyPolicy").filter(|policy| !policy.is_null());
    let single = policy.is_none_or(|policy| policy == "SingleStack");
    for (name, what, several) in
        [("clusterIPs", "cluster IP", "cluster IPs"), ("ipFamilies", "IP family", "IP families")]
    {
        let pointer = format!("/spec/{name}");
        let items = field::items(after, &pointer);
        let was = before.map(|before| field::items(before, &pointer)).unwrap_or_default();
        let mut refuse = |why: String| causes.push(invalid("spec.ipFamilyPolicy", policy, &why));
        match before {
            // Released by the policy alone.
            Some(_) if single && items == was => {}
            Some(_) if !single && items.len() < was.len() => {
                refuse(format!("must be 'SingleStack' to release the secondary {what}"));
            }
            _ if single && policy.is_some() && items.len() == 2 => refuse(format!(
                "must be 'RequireDualStack' or 'PreferDualStack' when multiple {several} are specified"
            )),
            _ => {}
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(text: &str) -> Value {
        json!({ "spec": serde_yaml::from_str::<Value>(text).expect(text) })
    }

    #[test]
    fn what_contradicts_itself() {
        let table: [(&str, &[&str]); 8] = [
            ("{type: ClusterIP, clusterIP: None}", &[]),
            (
                "{type: LoadBalancer, clusterIP: None}",
                &[
                    "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for LoadBalancer services",
                ],
            ),
            (
                "{type: NodePort, clusterIPs: [None]}",
                &[
                    "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
                ],
            ),
            (
                "{type: ExternalName, clusterIP: 10.0.0.1}",
                &["spec.clusterIPs: Forbidden: may not be set for ExternalName services"],
            ),
            (
                "{type: ExternalName, ipFamilyPolicy: SingleStack}",
                &["spec.ipFamilyPolicy: Forbidden: may not be set for ExternalName services"],
            ),
            ("{type: ExternalName, externalName: a.b}", &[]),
            (
                "{ports: [{port: 1, nodePort: 30001}]}",
                &["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
            ),
            ("{type: NodePort, ports: [{port: 1, nodePort: 30001}]}", &[]),
        ];
        for (text, expected) in table {
            let causes = check(&spec(text));
            let causes: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            assert_eq!(causes, expected, "{text}");
        }
    }

    #[test]
    fn families_and_their_policy() {
        const DUAL: &str =
            "{clusterIPs: [10.0.0.1, 'fd00::1'], ipFamilies: [IPv4, IPv6], ipFamilyPolicy: RequireDualStack}";
        let table: [(Option<&str>, &str, &[&str]); 6] = [
            (None, "{ipFamilies: [IPv4, IPv6]}", &[]),
            (
                None,
                "{ipFamilies: [IPv4, IPv6], ipFamilyPolicy: SingleStack}",
                &["must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified"],
            ),
            (
                Some(DUAL),
                "{clusterIPs: [10.0.0.1, 'fd00::1'], ipFamilies: [IPv4, IPv6], ipFamilyPolicy: SingleStack}",
                &[],
            ),
            (
                Some(DUAL),
                "{clusterIPs: [10.0.0.1], ipFamilies: [IPv4, IPv6], ipFamilyPolicy: RequireDualStack}",
                &["must be 'SingleStack' to release the secondary cluster IP"],
            ),
            (
                Some(DUAL),
                "{clusterIPs: [10.0.0.1, 'fd00::1'], ipFamilies: [IPv4], ipFamilyPolicy: PreferDualStack}",
                &["must be 'SingleStack' to release the secondary IP family"],
            ),
            (
                Some("{clusterIPs: [10.0.0.1], ipFamilies: [IPv4], ipFamilyPolicy: SingleStack}"),
                "{clusterIPs: [10.0.0.1, 'fd00::1'], ipFamilies: [IPv4], ipFamilyPolicy: SingleStack}",
                &["must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified"],
            ),
        ];
        for (before, after, expected) in table {
            let causes = check_families(before.map(spec).as_ref(), &spec(after));
            let found = causes.iter().map(|cause| cause.message.as_str());
            assert_eq!(found.clone().count(), expected.len(), "{after}: {causes:?}");
            for (found, expected) in found.zip(expected) {
                assert!(found.ends_with(expected), "{after}: {found}");
            }
        }
    }

    #[test]
    fn an_update_keeps_what_was_allocated() {
        let table = [
            (
                "{type: NodePort, clusterIP: 10.0.0.1, ports: [{port: 1, nodePort: 30001}], externalTrafficPolicy: Cluster}",
                "{type: ClusterIP, clusterIP: 10.0.0.1, ports: [{port: 1, nodePort: 30001}], externalTrafficPolicy: Cluster}",
                "{type: ClusterIP, clusterIP: 10.0.0.1, ports: [{port: 1}]}",
            ),
            (
                "{type: NodePort, ports: [{port: 1, nodePort: 30001}]}",
                "{type: ClusterIP, ports: [{port: 1, nodePort: 30002}]}",
                "{type: ClusterIP, ports: [{port: 1, nodePort: 30002}]}",
            ),
            (
                "{clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ipFamilies: [IPv4], ipFamilyPolicy: SingleStack}",
                "{selector: {a: b}}",
                "{clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ipFamilies: [IPv4], ipFamilyPolicy: SingleStack, selector: {a: b}}",
            ),
            (
                "{clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ipFamilies: [IPv4], ipFamilyPolicy: SingleStack}",
                "{type: ExternalName, externalName: a.b, clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ipFamilies: [IPv4], ipFamilyPolicy: SingleStack}",
                "{type: ExternalName, externalName: a.b}",
            ),
        ];
        for (before, after, expected) in table {
            let mut kept = spec(after);
            keep_allocated(&spec(before), &mut kept);
            assert_eq!(kept, spec(expected), "{before} → {after}");
        }
    }
}
