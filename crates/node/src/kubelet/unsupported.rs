//! What a pod asks for and does not get: each is an Event when the pod starts, so that nothing is left out in silence. Must not depend
//! on how pods run.

use serde_json::Value;

use super::list;

/// Fields of a pod's spec without an effect, each with the reason.
const OF_PODS: [(&str, &str); 9] = [
    ("/securityContext/runAsUser", "programs run as the user of this program"),
    ("/securityContext/fsGroup", "volumes belong to the user of this program"),
    ("/securityContext/sysctls", "only net.ipv4.ip_unprivileged_port_start is set"),
    ("/hostNetwork", "pods have the network of the cluster"),
    ("/hostPID", "containers see their own processes"),
    ("/hostIPC", "pods have IPC namespaces of their own"),
    ("/shareProcessNamespace", "containers see their own processes"),
    ("/activeDeadlineSeconds", "pods run without a deadline"),
    ("/runtimeClassName", "all pods run as processes"),
];

/// Fields of a container without an effect, each with the reason.
const OF_CONTAINERS: [(&str, &str); 8] = [
    ("/lifecycle/postStart", "hooks are not run"),
    ("/lifecycle/preStop", "hooks are not run: SIGTERM comes first"),
    ("/resources/limits", "limits are not enforced"),
    ("/securityContext/runAsUser", "programs run as the user of this program"),
    ("/securityContext/capabilities", "programs have no capabilities"),
    ("/securityContext/privileged", "programs have no capabilities"),
    ("/volumeDevices", "claims are folders"),
    ("/terminationMessagePath", "messages of terminated containers are not read"),
];

/// Probes that only ask whether the port takes connections, each with the reason.
const OF_PROBES: [(&str, &str); 2] = [
    ("/grpc", "gRPC is not asked: the port has to take connections"),
    ("/httpGet/scheme", "TLS is not spoken"),
];

/// The fields of `pod` without an effect, each with the reason.
pub(crate) fn unsupported(pod: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |json: &Value, at: &str, table: &[(&str, &str)]| {
        for (pointer, why) in table {
            if json.pointer(pointer).is_some_and(|value| is_asked(pointer, value)) {
                found.push(format!("{at}{} has no effect: {why}", pointer.replace('/', ".")));
            }
        }
    };
    let spec = pod.get("spec").unwrap_or(&Value::Null);
    check(spec, "spec", &OF_PODS);
    for containers in ["initContainers", "containers"] {
        for (index, container) in list(spec, &format!("/{containers}")).iter().enumerate() {
            let at = format!("spec.{containers}[{index}]");
            check(container, &at, &OF_CONTAINERS);
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                if let Some(json) = container.get(probe) {
                    check(json, &format!("{at}.{probe}"), &OF_PROBES);
                }
            }
        }
    }
    found
}

/// Whether a value asks for more than the default of its field.
fn is_asked(pointer: &str, value: &Value) -> bool {
    match pointer {
        "/httpGet/scheme" => value == "HTTPS",
        "/terminationMessagePath" => value != "/dev/termination-log",
        _ => !matches!(value, Value::Null | Value::Bool(false)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_without_an_effect_are_named() {
        let pod = json!({"spec": {
            "hostNetwork": false,
            "securityContext": {"runAsUser": 1000},
            "containers": [{
                "terminationMessagePath": "/dev/termination-log",
                "lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}},
                "livenessProbe": {"httpGet": {"port": 443, "scheme": "HTTPS"}},
                "readinessProbe": {"httpGet": {"port": 80, "scheme": "HTTP"}},
            }],
        }});
        let expected = [
            "spec.securityContext.runAsUser has no effect: programs run as the user of this program",
            "spec.containers[0].lifecycle.preStop has no effect: hooks are not run: SIGTERM comes first",
            "spec.containers[0].livenessProbe.httpGet.scheme has no effect: TLS is not spoken",
        ];
        assert_eq!(unsupported(&pod), expected);
    }
}
