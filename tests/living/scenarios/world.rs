//! A StatefulSet `db` with its Service on a manual clock: the events of scenarios, and what the DNS shows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clusterlocal_core::addresses::Reuse;
use clusterlocal_core::reconcile::Delays;
use clusterlocal_core::reconcile::delete_pod;
use clusterlocal_core::store::duration;
use clusterlocal_core::store::*;
use clusterlocal_core::zone::Zone;
use clusterlocal_core::{ControlPlane, Settings};

mod seen;

use crate::common;

/// Start of every scenario: not a round time, so that controllers with fixed periods are noticed.
const BEGIN: Time = Time::from_unix_millis(1_700_000_001_000);

/// The initial state of a scenario.
#[derive(Clone, Debug)]
pub struct Given {
    pub replicas: u32,
    /// The set is not created yet.
    pub empty: bool,
    /// Pods become ready only by an event.
    pub held: bool,
    pub publish: bool,
    pub parallel: bool,
    pub min_ready: u32,
    pub start: u32,
    /// `updateStrategy` in YAML, if it is set.
    pub strategy: Option<String>,
    pub claims: bool,
    pub retention: Option<String>,
    pub grace: Option<u32>,
    pub service_name: String,
    pub ports: String,
    pub target: String,
    pub max_unavailable_gate: bool,
    pub delays: Delays,
    pub reuse: Reuse,
    /// Not everything holds that states imply otherwise.
    pub unusual: bool,
    /// The zone is not synchronized yet.
    pub unsynced: bool,
}

impl Default for Given {
    fn default() -> Self {
        Given {
            replicas: 3,
            empty: false,
            held: false,
            publish: false,
            parallel: false,
            min_ready: 0,
            start: 0,
            strategy: None,
            claims: false,
            retention: None,
            grace: None,
            service_name: "db".into(),
            ports: "[{name: peer, port: 7000}]".into(),
            target: "7000".into(),
            max_unavailable_gate: false,
            delays: Delays::default(),
            reuse: Reuse::Never,
            unusual: false,
            unsynced: false,
        }
    }
}

impl Given {
    /// Parses a word of a `given` line: `parallel`, `replicas=4`.
    pub fn add(&mut self, word: &str) {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let number = || value.parse().unwrap_or_else(|_| panic!("{word}: not a number"));
        let time = || duration(value).unwrap_or_else(|| panic!("{word}: not a time"));
        match key {
            "empty" => self.empty = true,
            "held" => self.held = true,
            "publish" => self.publish = true,
            "parallel" => self.parallel = true,
            "replicas" => self.replicas = number(),
            "min-ready" => self.min_ready = number(),
            "start" => self.start = number(),
            "grace" => self.grace = Some(number()),
            "partition" => {
                self.strategy =
                    Some(format!("{{type: RollingUpdate, rollingUpdate: {{partition: {value}}}}}"))
            }
            "max-unavailable" => {
                self.strategy =
                    Some(format!("{{type: RollingUpdate, rollingUpdate: {{maxUnavailable: {value}}}}}"));
                self.max_unavailable_gate = true;
            }
            "on-delete" => self.strategy = Some("{type: OnDelete}".into()),
            "bare-strategy" => self.strategy = Some("{type: RollingUpdate}".into()),
            "claims" => self.claims = true,
            "when-scaled" => self.retention = Some(format!("{{whenScaled: {value}}}")),
            "service-name" => self.service_name = value.into(),
            "no-ports" => self.ports = "[]".into(),
            "named-target" => self.ports = "[{name: peer, port: 7000, targetPort: peer}]".into(),
            "start-delay" => self.delays.start = time(),
            "ready-delay" => self.delays.ready = time(),
            "stop-delay" => self.delays.stop = time(),
            "ready-again" => self.held = false,
            "unusual" => self.unusual = true,
            "unsynced" => self.unsynced = true,
            "lifo" => self.reuse = Reuse::Lifo,
            _ => panic!("{word}: unknown word"),
        }
    }

    fn service(&self, selector: &str) -> String {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: db}}, spec: {{clusterIP: None, selector: {{app: {selector}}}, \
             publishNotReadyAddresses: {}, ports: {}}}}}",
            self.publish, self.ports
        )
    }

    fn set(&self, image: &str) -> String {
        let mut spec = format!(
            "serviceName: {}, replicas: {}, selector: {{matchLabels: {{app: db}}}}",
            self.service_name, self.replicas
        );
        let mut add = |field: &str, value: &str| write!(spec, ", {field}: {value}").expect("a string");
        if self.parallel {
            add("podManagementPolicy", "Parallel");
        }
        add("minReadySeconds", &self.min_ready.to_string());
        add("ordinals", &format!("{{start: {}}}", self.start));
        if let Some(strategy) = &self.strategy {
            add("updateStrategy", strategy);
        }
        if self.claims {
            add("volumeClaimTemplates", "[{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce]}}]");
        }
        if let Some(retention) = &self.retention {
            add("persistentVolumeClaimRetentionPolicy", retention);
        }
        let grace =
            self.grace.map_or(String::new(), |grace| format!("terminationGracePeriodSeconds: {grace}, "));
        let held = if self.held { ", annotations: {clusterlocal.dev/ready: 'false'}" } else { "" };
        add(
            "template",
            &format!(
                "{{metadata: {{labels: {{app: db}}{held}}}, spec: {{{grace}containers: [{{name: db, image: {image}, \
                 ports: [{{name: peer, containerPort: {}}}]}}]}}}}",
                self.target
            ),
        );
        format!("{{apiVersion: apps/v1, kind: StatefulSet, metadata: {{name: db}}, spec: {{{spec}}}}}")
    }
}

/// The cluster of a scenario.
pub struct World {
    pub given: Given,
    pub cluster: ControlPlane,
    image: String,
    /// The addresses in the order of their assignment: a1, a2, …
    addresses: Vec<IpAddr>,
    seen_revision: u64,
    seen_change: u64,
    /// The last visible state: the addresses by host name.
    pub shown: BTreeMap<String, BTreeSet<IpAddr>>,
    /// The UIDs of the pods at the start, by ordinal.
    uids: BTreeMap<String, String>,
    /// Answers of a resolver cache, each with the time of its expiry.
    cache: BTreeMap<String, (Time, String)>,
    /// The published zones that are not checked yet.
    zones: Arc<Mutex<Vec<Zone>>>,
}

impl World {
    /// Returns the cluster at the start of a scenario.
    pub fn new(given: Given) -> Self {
        let settings = Settings {
            delays: given.delays,
            address_reuse: given.reuse,
            max_unavailable: given.max_unavailable_gate,
            ..Settings::default()
        };
        let mut cluster = ControlPlane::new(settings);
        cluster.advance_to(BEGIN);
        if given.unsynced {
            return World::of(given, cluster);
        }
        cluster.apply(&common::objects("service.yaml", given.service("db")));
        let mut world = World::of(given, cluster);
        world.apply("nothing");
        if !world.given.empty {
            world.apply("create");
            for ordinal in world.given.start..world.given.start + world.given.replicas {
                world.apply(&format!(
                    "advance {}s",
                    world.given.delays.start.as_secs() + world.given.delays.ready.as_secs()
                ));
                if world.given.held {
                    world.apply(&format!("ready {ordinal}"));
                }
                world.apply(&format!("advance {}s", world.given.min_ready));
            }
            let pods: Vec<_> = world.pods().map(|pod| pod.metadata.name.clone()).collect();
            assert_eq!(pods.len(), world.given.replicas as usize, "all pods exist at the start");
        }
        world.uids = world.all_uids();
        world
    }

    fn of(given: Given, mut cluster: ControlPlane) -> Self {
        let zones = Arc::new(Mutex::new(Vec::new()));
        let published = zones.clone();
        cluster.observe(move |zone| {
            published.lock().expect("no thread panics with the lock").push(zone.clone())
        });
        World {
            zones,
            given,
            // There are no clients before the first manifest is read.
            seen_revision: cluster.store().revision(),
            seen_change: cluster.trace().last().map_or(0, |change| change.number),
            cluster,
            image: "v1".into(),
            addresses: Vec::new(),
            shown: BTreeMap::new(),
            uids: BTreeMap::new(),
            cache: BTreeMap::new(),
        }
    }

    fn pods(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.cluster.store().list_in::<Pod>(Kind::Pod, "default")
    }

    fn pod(&self, ordinal: &str) -> Arc<Pod> {
        let name = format!("db-{ordinal}");
        self.cluster
            .store()
            .get::<Pod>(Kind::Pod, "default", &name)
            .unwrap_or_else(|| panic!("no pod {name}"))
            .clone()
    }

    fn node(&self, number: &str) -> Node {
        let name = format!("node-{number}");
        (**self.cluster.store().get::<Node>(Kind::Node, "", &name).unwrap_or_else(|| panic!("no {name}")))
            .clone()
    }

    fn all_uids(&self) -> BTreeMap<String, String> {
        let of = |stored: &Stored| {
            (stored.object.metadata().name.trim_start_matches("db-").to_string(), stored.uid().to_string())
        };
        self.cluster.store().all_stored(Kind::Pod, Some("default")).map(of).collect()
    }

    /// Applies an event. Returns the states that the DNS showed afterwards, in order.
    pub fn apply(&mut self, event: &str) -> Vec<String> {
        let mut words = event.split_whitespace();
        let verb = words.next().unwrap_or_default();
        let rest: Vec<&str> = words.collect();
        let first = rest.first().copied().unwrap_or_default();
        match verb {
            "nothing" => {}
            "advance" => self.cluster.advance(duration(first).unwrap_or_else(|| panic!("{event}: not a time"))),
            "create" => self.write(&self.given.set(&self.image).clone()),
            "scale" => {
                self.given.replicas = first.parse().expect("a number");
                self.write(&self.given.set(&self.image).clone());
            }
            "image" | "set" => {
                for word in &rest {
                    match word.strip_prefix("image=") {
                        Some(image) => self.image = image.into(),
                        None => match word.strip_prefix("target=") {
                            Some(port) => self.given.target = port.into(),
                            None => self.given.add(word),
                        },
                    }
                }
                self.write(&self.given.set(&self.image).clone());
            }
            "ready" => rest.iter().for_each(|pod| self.annotate_pod(pod, READY_ANNOTATION, "true")),
            "unready" => rest.iter().for_each(|pod| self.annotate_pod(pod, READY_ANNOTATION, "false")),
            "annotate" => {
                let (key, value) = rest[1].split_once('=').expect("KEY=VALUE");
                self.annotate_pod(first, key, value);
            }
            "crash" => {
                let crashes = self.pod(first).status.restarts + 1;
                self.annotate_pod(first, CRASHES_ANNOTATION, &crashes.to_string());
            }
            "fail" => {
                let mut pod = (*self.pod(first)).clone();
                (pod.status.phase, pod.status.ready) = (Some(PodPhase::Failed), false);
                pod.status.details = Some(Box::new(StatusDetails { reason: "Evicted".into(), ..StatusDetails::default() }));
                self.cluster.request_status(&Object::Pod(Arc::new(pod)));
            }
            "delete" => {
                let now = self.cluster.now();
                let pods = rest.iter().map(|pod| self.pod(pod));
                let changes = pods.map(|pod| delete_pod(&pod, now, pod.spec.grace())).collect();
                self.cluster.request(changes);
            }
            "force-delete" => {
                let key = Key::new(Kind::Pod, "default", format!("db-{first}"));
                self.cluster.request(vec![Change::Delete(key)]);
            }
            "node" => self.node_event(first, rest.get(1).copied().unwrap_or_default()),
            "service" => match first {
                "delete" => self.cluster.request(vec![Change::Delete(Key::new(Kind::Service, "default", "db"))]),
                "create" => self.write(&self.given.service("db").clone()),
                "selects" => self.write(&self.given.service(rest[1]).clone()),
                _ => panic!("{event}"),
            },
            "pod" => self.write(&format!(
                "{{apiVersion: v1, kind: Pod, metadata: {{name: {first}, labels: {{app: db}}}}, spec: {{containers: [{{name: x}}]}}}}"
            )),
            "delete-set" => {
                let set = Key::new(Kind::StatefulSet, "default", "db");
                let mut changes = Vec::new();
                if first == "orphan" {
                    for pod in self.pods() {
                        let mut pod = (**pod).clone();
                        pod.metadata.links.set_owners([Owner::controller(Kind::StatefulSet, "missing", None)]);
                        changes.push(Change::Put(Object::Pod(Arc::new(pod))));
                    }
                }
                changes.push(Change::Delete(set));
                self.cluster.request(changes);
            }
            _ => panic!("{event}: unknown event"),
        }
        self.states()
    }

    /// Whether an event is possible: the pod that it is about exists.
    pub fn can(&self, event: &str) -> bool {
        let mut words = event.split_whitespace();
        let (verb, first) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let store = self.cluster.store();
        match verb {
            "ready" | "unready" | "delete" | "force-delete" | "crash" | "fail" => {
                store.get::<Pod>(Kind::Pod, "default", &format!("db-{first}")).is_some()
            }
            _ => true,
        }
    }

    fn write(&mut self, manifest: &str) {
        let objects = common::objects("x.yaml", manifest);
        self.cluster.request(objects.into_values().map(Change::Put).collect());
    }

    fn annotate_pod(&mut self, ordinal: &str, key: &str, value: &str) {
        let mut pod = (*self.pod(ordinal)).clone();
        pod.metadata.annotations = pod.metadata.annotations.with([(key, value)]);
        self.cluster.request(vec![Change::Put(Object::Pod(Arc::new(pod)))]);
    }

    fn node_event(&mut self, number: &str, event: &str) {
        let mut node = self.node(number);
        let annotations = node.metadata.annotations.clone();
        match event {
            "down" => node.metadata.annotations = annotations.with([(MACHINE_ANNOTATION, "unreachable")]),
            "off" => node.metadata.annotations = annotations.with([(MACHINE_ANNOTATION, "off")]),
            "up" => node.metadata.annotations = annotations.with([(MACHINE_ANNOTATION, "up")]),
            "reboot" => {
                let boots = (node.boots() + 1).to_string();
                node.metadata.annotations =
                    annotations.with([(MACHINE_ANNOTATION, "up"), (BOOTS_ANNOTATION, boots.as_str())]);
            }
            "out-of-service" => node.spec.taints.push(Taint {
                key: OUT_OF_SERVICE_TAINT.into(),
                effect: "NoExecute".into(),
                ..Taint::default()
            }),
            "delete" => {
                let key = Key::new(Kind::Node, "", node.metadata.name.clone());
                return self.cluster.request(vec![Change::Delete(key)]);
            }
            _ => panic!("node {number} {event}: unknown event"),
        }
        self.cluster.request(vec![Change::Put(Object::Node(Arc::new(node)))]);
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.cluster.now().since(BEGIN)
    }
}
