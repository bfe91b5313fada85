//! Objects, and their cells in `kubectl get -o wide`.

use serde_json::{Value, json};

use super::{Include, columns, row, table};
use clusterlocal_core::store::{Extra, Kind, Time};

const NOW: &str = "2026-11-22T12:00:00Z";

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn now() -> Time {
    NOW.parse().expect("a time")
}

fn extra(group: &str, kind: &str) -> Kind {
    Kind::Extra(Extra::built_in(group, kind).expect("a kind of Kubernetes"))
}

/// The cells of an object of `kind`, created five minutes ago.
fn cells(kind: Kind, rest: &str) -> String {
    let mut object = yaml(rest);
    object["metadata"]["name"] = "a".into();
    object["metadata"]["creationTimestamp"] = "2026-11-22T11:55:00Z".into();
    let row = row(kind, &object, now(), Include::None);
    let cells = row["cells"].as_array().expect("cells");
    assert_eq!(cells.len(), columns(kind).len(), "{kind}");
    for (cell, column) in cells.iter().zip(columns(kind)) {
        let is = match cell {
            Value::String(_) => "string",
            Value::Bool(_) => "boolean",
            _ => "integer",
        };
        assert_eq!(is, column.cells, "{kind} {}", column.name);
    }
    let text = |cell: &Value| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
    cells.iter().map(text).collect::<Vec<_>>().join("|")
}

#[test]
fn cells_are_those_of_kubectl_get() {
    let template = "template: {spec: {nodeSelector: {disk: ssd}, containers: [{name: c, image: i}, {name: d, image: j}]}}";
    let spec = |more: &str| format!("{{spec: {{{more}, {template}}}, ");
    let table = [
        (Kind::Namespace, "{status: {phase: Active}}".into(), "a|Active|5m"),
        (
            Kind::Node,
            "{metadata: {labels: {node-role.kubernetes.io/worker: '', kubernetes.io/role: db}}, status: {conditions: [{type: Ready, status: 'True'}], nodeInfo: {kubeletVersion: v1.35.0}, addresses: [{type: Hostname, address: h}, {type: InternalIP, address: 10.0.0.1}]}}".into(),
            "a|Ready|db,worker|5m|v1.35.0|10.0.0.1|<none>|<unknown>|<unknown>|<unknown>",
        ),
        (
            Kind::Node,
            "{spec: {unschedulable: true}, status: {conditions: [{type: Ready, status: Unknown}]}}".into(),
            "a|NotReady,SchedulingDisabled|<none>|5m||<none>|<none>|<unknown>|<unknown>|<unknown>",
        ),
        (
            Kind::Service,
            "{spec: {type: ClusterIP, clusterIP: None, clusterIPs: [None], selector: {b: c, a: b}, ports: [{port: 80, protocol: TCP}, {port: 53, protocol: UDP}]}}".into(),
            "a|ClusterIP|None|<none>|80/TCP,53/UDP|5m|a=b,b=c",
        ),
        (
            Kind::Service,
            "{spec: {type: LoadBalancer, clusterIPs: [10.96.0.1], ports: [{port: 80, nodePort: 30080}]}}".into(),
            "a|LoadBalancer|10.96.0.1|<pending>|80:30080/TCP|5m|<none>",
        ),
        (
            Kind::Service,
            "{spec: {type: LoadBalancer, externalIPs: [192.0.2.9]}, status: {loadBalancer: {ingress: [{hostname: b}, {ip: 192.0.2.1}]}}}".into(),
            "a|LoadBalancer|<none>|192.0.2.1,b,192.0.2.9|<none>|5m|<none>",
        ),
        (
            Kind::Service,
            "{spec: {type: ExternalName, externalName: db.example.org}}".into(),
            "a|ExternalName|<none>|db.example.org|<none>|5m|<none>",
        ),
        (Kind::Endpoints, "{}".into(), "a|<none>|5m"),
        (
            Kind::Endpoints,
            "{subsets: [{addresses: [{ip: 10.0.0.1}, {ip: 10.0.0.2}], ports: [{port: 1}, {port: 2}]}, {addresses: [{ip: 'fd00::1'}], ports: [{port: 3}]}]}".into(),
            "a|10.0.0.1:1,10.0.0.2:1,10.0.0.1:2 + 2 more...|5m",
        ),
        (Kind::Endpoints, "{subsets: [{addresses: [{ip: 'fd00::1'}], ports: [{port: 3}]}]}".into(), "a|[fd00::1]:3|5m"),
        (Kind::Endpoints, "{subsets: [{addresses: [{ip: 10.0.0.1}]}]}".into(), "a|10.0.0.1|5m"),
        (
            Kind::EndpointSlice,
            "{addressType: IPv4, ports: [{port: 9042, name: cql}, {name: x}, {}], endpoints: [{addresses: [10.0.0.1]}]}".into(),
            "a|IPv4|9042,x,*|10.0.0.1|5m",
        ),
        (Kind::EndpointSlice, "{addressType: IPv6}".into(), "a|IPv6|<unset>|<unset>|5m"),
        (
            Kind::StatefulSet,
            spec("replicas: 3") + "status: {readyReplicas: 2}}",
            "a|2/3|5m|c,d|i,j",
        ),
        (
            Kind::Deployment,
            spec("replicas: 3, selector: {matchLabels: {b: c}}") + "status: {readyReplicas: 1, updatedReplicas: 2}}",
            "a|1/3|2|0|5m|c,d|i,j|b=c",
        ),
        (
            Kind::ReplicaSet,
            spec("replicas: 3") + "status: {replicas: 2, readyReplicas: 1}}",
            "a|3|2|1|5m|c,d|i,j|<none>",
        ),
        (
            Kind::DaemonSet,
            spec("selector: {}") + "status: {desiredNumberScheduled: 5, currentNumberScheduled: 4, numberReady: 3, updatedNumberScheduled: 2, numberAvailable: 1}}",
            "a|5|4|3|2|1|disk=ssd|5m|c,d|i,j|<none>",
        ),
        (
            Kind::Job,
            spec("parallelism: 2") + "status: {startTime: '2026-11-22T11:59:00Z'}}",
            "a|Running|0/1 of 2|60s|5m|c,d|i,j|<none>",
        ),
        (
            Kind::Job,
            spec("completions: 2") + "status: {succeeded: 2, conditions: [{type: Complete, status: 'True'}], startTime: '2026-11-22T11:50:00Z', completionTime: '2026-11-22T11:50:07Z'}}",
            "a|Complete|2/2|7s|5m|c,d|i,j|<none>",
        ),
        (
            Kind::ControllerRevision,
            "{revision: 3, metadata: {ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, controller: true}]}}".into(),
            "a|statefulset.apps/db|3|5m",
        ),
        (
            Kind::PersistentVolumeClaim,
            "{spec: {volumeName: v, storageClassName: standard, volumeMode: Filesystem}, status: {phase: Bound, capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce]}}".into(),
            "a|Bound|v|1Gi|RWO|standard|<unset>|5m|Filesystem",
        ),
        (Kind::PersistentVolumeClaim, "{status: {phase: Pending}}".into(), "a|Pending|||||<unset>|5m|<unset>"),
        (
            Kind::PersistentVolume,
            "{spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteMany, ReadWriteOnce], persistentVolumeReclaimPolicy: Delete, claimRef: {namespace: db, name: c}}, status: {phase: Bound}}".into(),
            "a|1Gi|RWO,RWX|Delete|Bound|db/c||<unset>||5m|<unset>",
        ),
        (Kind::ConfigMap, "{data: {a: b}, binaryData: {c: d}}".into(), "a|2|5m"),
        (Kind::Secret, "{stringData: {a: b}}".into(), "a|Opaque|1|5m"),
        (extra("coordination.k8s.io", "Lease"), "{spec: {holderIdentity: h}}".into(), "a|h|5m"),
        (extra("networking.k8s.io", "ServiceCIDR"), "{spec: {cidrs: [10.0.0.0/8, 'fd00::/8']}}".into(), "a|10.0.0.0/8,fd00::/8|5m"),
        (extra("node.k8s.io", "RuntimeClass"), "{handler: runc}".into(), "a|runc|5m"),
        (extra("scheduling.k8s.io", "PriorityClass"), "{value: 7}".into(), "a|7|false|5m|PreemptLowerPriority"),
        (extra("networking.k8s.io", "IngressClass"), "{spec: {controller: c}}".into(), "a|c|<none>|5m"),
        (
            extra("networking.k8s.io", "IngressClass"),
            "{spec: {controller: c, parameters: {apiGroup: example.com, kind: P, name: n}}}".into(),
            "a|c|P.example.com/n|5m",
        ),
        (Kind::ServiceAccount, "{}".into(), "a|5m"),
        (Kind::ClusterRole, "{rules: []}".into(), "a|2026-11-22T11:55:00Z"),
        (Kind::RoleBinding, "{roleRef: {kind: Role, name: r}}".into(), "a|Role/r|5m"),
        (Kind::NetworkPolicy, "{spec: {podSelector: {}}}".into(), "a|<none>|5m"),
        (Kind::PodDisruptionBudget, "{spec: {maxUnavailable: 1}}".into(), "a|N/A|1|0|5m"),
        (
            Kind::Ingress,
            "{spec: {ingressClassName: nginx, tls: [{}], rules: [{host: a.example.org}, {host: b.example.org}]}}".into(),
            "a|nginx|a.example.org,b.example.org||80, 443|5m",
        ),
        (Kind::StorageClass, "{provisioner: x.io/y}".into(), "a|x.io/y|Delete|Immediate|false|5m"),
        (
            Kind::Event,
            "{type: Normal, reason: Created, message: ' hello ', source: {component: kubelet, host: node-1}, involvedObject: {kind: Pod, name: p}, firstTimestamp: '2026-11-22T11:00:00Z', lastTimestamp: '2026-11-22T11:59:50Z', count: 4}".into(),
            "10s|Normal|Created|pod/p||kubelet, node-1|hello|60m|4|a",
        ),
        (
            Kind::Event,
            "{type: Normal, reason: R, message: m, reportingComponent: c, involvedObject: {kind: Node}, eventTime: '2026-11-22T11:59:00.000000Z'}".into(),
            "60s|Normal|R|node||c|m|60s|1|a",
        ),
    ];
    for (kind, object, expected) in table {
        assert_eq!(cells(kind, &object), expected, "{kind} {object}");
    }
}

#[test]
fn the_status_of_a_pod_is_that_of_kubectl_get() {
    let two = "spec: {nodeName: n, containers: [{name: c}, {name: d}]}";
    let init =
        "spec: {initContainers: [{name: i}, {name: s, restartPolicy: Always}], containers: [{name: c}]}";
    let running = "{name: c, ready: true, restartCount: 1, state: {running: {}}, lastState: {terminated: {finishedAt: '2026-11-22T11:58:00Z'}}}";
    let up = "{ready: true, state: {running: {}}}";
    // The rest of the pod, READY|STATUS|RESTARTS.
    let table = [
        (format!("{{{two}, status: {{phase: Pending}}}}"), "0/2|Pending|0"),
        (
            format!(
                "{{{two}, status: {{phase: Running, podIPs: [{{ip: 10.0.0.1}}], containerStatuses: [{running}, {up}]}}}}"
            ),
            "2/2|Running|1 (2m ago)",
        ),
        (
            format!(
                "{{{two}, status: {{phase: Running, containerStatuses: [{up}, {{state: {{waiting: {{reason: CrashLoopBackOff}}}}, restartCount: 3}}]}}}}"
            ),
            "1/2|CrashLoopBackOff|3",
        ),
        (
            format!(
                "{{{two}, status: {{phase: Succeeded, containerStatuses: [{{state: {{terminated: {{reason: Completed}}}}}}, {{state: {{terminated: {{exitCode: 0}}}}}}]}}}}"
            ),
            "0/2|Completed|0",
        ),
        (
            format!(
                "{{{two}, status: {{phase: Failed, containerStatuses: [{{state: {{terminated: {{exitCode: 7}}}}}}]}}}}"
            ),
            "0/2|ExitCode:7|0",
        ),
        (
            format!(
                "{{{two}, status: {{phase: Failed, containerStatuses: [{{state: {{terminated: {{signal: 9}}}}}}]}}}}"
            ),
            "0/2|Signal:9|0",
        ),
        (
            format!(
                "{{{two}, status: {{phase: Running, conditions: [{{type: Ready, status: 'True'}}], containerStatuses: [{{state: {{terminated: {{reason: Completed}}}}}}, {up}]}}}}"
            ),
            "1/2|Running|0",
        ),
        (
            format!(
                "{{{two}, status: {{phase: Running, containerStatuses: [{{state: {{terminated: {{reason: Completed}}}}}}, {up}]}}}}"
            ),
            "1/2|NotReady|0",
        ),
        (format!("{{{two}, status: {{phase: Failed, reason: Evicted}}}}"), "0/2|Evicted|0"),
        (
            format!(
                "{{{two}, metadata: {{deletionTimestamp: {NOW:?}}}, status: {{phase: Running, containerStatuses: [{up}, {up}]}}}}"
            ),
            "2/2|Terminating|0",
        ),
        (
            format!(
                "{{{two}, metadata: {{deletionTimestamp: {NOW:?}}}, status: {{phase: Failed, reason: Evicted}}}}"
            ),
            "0/2|Evicted|0",
        ),
        (
            format!(
                "{{{two}, metadata: {{deletionTimestamp: {NOW:?}}}, status: {{phase: Running, reason: NodeLost}}}}"
            ),
            "0/2|Unknown|0",
        ),
        (
            format!(
                "{{{two}, status: {{phase: Pending, conditions: [{{type: PodScheduled, status: 'False', reason: SchedulingGated}}]}}}}"
            ),
            "0/2|SchedulingGated|0",
        ),
        (
            format!(
                "{{{init}, status: {{phase: Pending, initContainerStatuses: [{{name: i, state: {{waiting: {{reason: PodInitializing}}}}}}]}}}}"
            ),
            "0/2|Init:0/2|0",
        ),
        (
            format!(
                "{{{init}, status: {{phase: Pending, initContainerStatuses: [{{name: i, restartCount: 2, state: {{waiting: {{reason: CrashLoopBackOff}}}}}}]}}}}"
            ),
            "0/2|Init:CrashLoopBackOff|2",
        ),
        (
            format!(
                "{{{init}, status: {{phase: Pending, initContainerStatuses: [{{name: i, state: {{terminated: {{exitCode: 1}}}}}}]}}}}"
            ),
            "0/2|Init:ExitCode:1|0",
        ),
        (
            format!(
                "{{{init}, status: {{phase: Running, initContainerStatuses: [{{name: i, restartCount: 5, state: {{terminated: {{exitCode: 0}}}}}}, {{name: s, started: true, ready: true, restartCount: 2, state: {{running: {{}}}}}}], containerStatuses: [{up}]}}}}"
            ),
            "2/2|Running|2",
        ),
    ];
    for (pod, expected) in table {
        let cells = cells(Kind::Pod, &pod);
        let cells: Vec<_> = cells.split('|').collect();
        assert_eq!(cells[1..4].join("|"), expected, "{pod}");
    }
    let gates = "{spec: {readinessGates: [{conditionType: a}, {conditionType: b}]}, status: {podIP: 10.0.0.1, conditions: [{type: a, status: 'True'}]}}";
    assert_eq!(cells(Kind::Pod, gates), "a|0/0||0|5m|10.0.0.1|<none>|<none>|1/2");
}

#[test]
fn tables_have_columns_and_rows() {
    let pod = json!({
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": { "name": "a", "resourceVersion": "7" },
        "status": { "phase": "Succeeded" },
    });
    let table = |include| table(Kind::Pod, [&pod], json!({ "resourceVersion": "9" }), now(), include);
    let shown = table(Include::Metadata);
    assert_eq!((&shown["kind"], &shown["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    assert_eq!(shown["metadata"]["resourceVersion"], "9");
    let name = &shown["columnDefinitions"][0];
    assert_eq!((&name["format"], &name["priority"]), (&json!("name"), &json!(0)));
    assert_eq!(shown["columnDefinitions"][5]["priority"], 1);
    let row = &shown["rows"][0];
    assert_eq!(row["conditions"][0]["reason"], "Succeeded");
    let partial = json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": pod["metadata"] });
    assert_eq!(row["object"], partial);
    assert_eq!(table(Include::Object)["rows"][0]["object"], pod);
    assert_eq!(table(Include::None)["rows"][0].get("object"), None);
    assert!(Include::parse("All").is_err());
}
