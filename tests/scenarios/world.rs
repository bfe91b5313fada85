//! One StatefulSet `db` with its Service on the manual clock: what can happen to it, and what the DNS shows of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use clusterlocal::answer::Order;
use clusterlocal::controller::{Reuse, delete_pod};
use clusterlocal::kubelet::{Delays, duration};
use clusterlocal::store::*;
use clusterlocal::{ControlPlane, Settings};
use hickory_proto::op::{Message, ResponseCode};

use crate::common;

/// When every scenario begins: not at a round time, so that loops that run at round times show.
const BEGIN: Time = Time::from_unix_millis(1_700_000_001_000);

/// What a scenario is given.
#[derive(Clone, Debug)]
pub struct Given {
    pub replicas: u32,
    /// Nobody has created the set yet.
    pub empty: bool,
    /// Pods become ready when somebody says so.
    pub held: bool,
    pub publish: bool,
    pub parallel: bool,
    pub min_ready: u32,
    pub start: u32,
    /// The YAML of `updateStrategy`, if it is written.
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
    /// Not everything holds that states usually imply.
    pub unusual: bool,
    /// Nothing has been read yet.
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
    /// Reads a word of a `given` line: `parallel`, `replicas=4`.
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
            _ => panic!("{word}: nothing that can be given"),
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
    /// The addresses in the order in which pods got them: a1, a2, …
    addresses: Vec<IpAddr>,
    noted: u64,
    traced: u64,
    /// What the DNS showed last: `db-0` → its addresses.
    pub shown: BTreeMap<String, BTreeSet<IpAddr>>,
    /// The pods' UIDs at the beginning, by ordinal.
    uids: BTreeMap<String, String>,
    /// What a cache in front would still say, and until when.
    cache: BTreeMap<String, (Time, String)>,
}

impl World {
    /// The cluster that a scenario begins with.
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
        world.happen("nothing");
        if !world.given.empty {
            world.happen("create");
            for ordinal in world.given.start..world.given.start + world.given.replicas {
                world.happen(&format!(
                    "advance {}s",
                    world.given.delays.start.as_secs() + world.given.delays.ready.as_secs()
                ));
                if world.given.held {
                    world.happen(&format!("ready {ordinal}"));
                }
                world.happen(&format!("advance {}s", world.given.min_ready));
            }
            let pods: Vec<_> = world.pods().map(|pod| pod.metadata.name.clone()).collect();
            assert_eq!(pods.len(), world.given.replicas as usize, "all are there at the beginning");
        }
        world.uids = world.all_uids();
        world
    }

    fn of(given: Given, cluster: ControlPlane) -> Self {
        World {
            given,
            // Nobody watches before the first manifest is read.
            noted: cluster.store().revision(),
            traced: cluster.trace().last().map_or(0, |change| change.number),
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
            (stored.object.metadata().name.trim_start_matches("db-").to_string(), stored.uid())
        };
        self.cluster.store().all_stored(Kind::Pod, Some("default")).map(of).collect()
    }

    /// Lets something happen; returns the states that the DNS showed then, one after the other.
    pub fn happen(&mut self, event: &str) -> Vec<String> {
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
                pod.status.reason = "Evicted".into();
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
                        pod.metadata.owner = Some(Owner { kind: Kind::StatefulSet, name: "nobody".into() });
                        changes.push(Change::Put(Object::Pod(Arc::new(pod))));
                    }
                }
                changes.push(Change::Delete(set));
                self.cluster.request(changes);
            }
            _ => panic!("{event}: nothing that happens"),
        }
        self.states()
    }

    /// Whether something can happen now: it is about a pod that is there.
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
            _ => panic!("node {number} {event}: nothing that happens"),
        }
        self.cluster.request(vec![Change::Put(Object::Node(Arc::new(node)))]);
    }

    /// The states that the DNS has shown since this was asked last.
    fn states(&mut self) -> Vec<String> {
        let store = self.cluster.store();
        for event in store.watch(self.noted).expect("events are kept") {
            let Some(Object::Pod(pod)) = event.now() else { continue };
            if pod.metadata.namespace == "default" {
                for ip in pod.status.ips().take(1) {
                    let was = event.then().and_then(Pod::of).and_then(|pod| pod.status.ips().next());
                    if was != Some(ip) && !(self.addresses.contains(&ip) && self.given.reuse == Reuse::Never)
                    {
                        self.addresses.push(ip);
                    }
                }
            }
        }
        self.noted = store.revision();
        let changes: Vec<_> =
            self.cluster.trace().filter(|change| change.number > self.traced).cloned().collect();
        let mut states = Vec::new();
        for change in changes {
            let before = self.show();
            self.traced = change.number;
            for name in &change.names {
                let Some(host) = name.name.strip_suffix(".db.default") else { continue };
                let ip: IpAddr = name.target.parse().expect("an address");
                let addresses = self.shown.entry(host.into()).or_default();
                match name.added {
                    true => drop(addresses.insert(ip)),
                    false => drop(addresses.remove(&ip)),
                }
            }
            self.shown.retain(|_, addresses| !addresses.is_empty());
            let state = self.show();
            if state != before {
                states.push(state);
            }
        }
        states
    }

    /// `{0:a1,2:a3}`; endpoints without a name of their own by their address alone.
    pub fn show(&self) -> String {
        let entries = self.shown.iter().map(|(host, ips)| {
            let ips: Vec<_> = ips.iter().map(|ip| self.address(*ip)).collect();
            match host.strip_prefix("db-") {
                Some(ordinal) => format!("{ordinal}:{}", ips.join("+")),
                None => ips.join("+"),
            }
        });
        format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
    }

    fn address(&self, ip: IpAddr) -> String {
        let number = self.addresses.iter().position(|known| *known == ip);
        number.map_or_else(|| ip.to_string(), |number| format!("a{}", number + 1))
    }

    /// The pods that there are: `0 1! 2-`, with `!` for one that terminates, `-` for one that is not ready, `*` for one
    /// that has ended.
    pub fn pods_now(&self) -> String {
        let show = |pod: &Arc<Pod>| {
            let mut text = pod.metadata.name.trim_start_matches("db-").to_string();
            text.push_str(if pod.is_terminating() { "!" } else { "" });
            text.push_str(match (pod.is_terminal(), pod.status.ready) {
                (true, _) => "*",
                (false, false) => "-",
                (false, true) => "",
            });
            text
        };
        self.pods().map(show).collect::<Vec<_>>().join(" ")
    }

    /// The templates that pods are made from, by their number: `0:r1 1:r1 2:r2`.
    pub fn revisions_now(&self) -> String {
        let number = |pod: &Pod| {
            let name = pod.metadata.labels.get("controller-revision-hash").cloned().unwrap_or_default();
            let revision =
                self.cluster.store().get::<ControllerRevision>(Kind::ControllerRevision, "default", &name);
            revision.map_or(0, |revision| revision.revision)
        };
        let show =
            |pod: &Arc<Pod>| format!("{}:r{}", pod.metadata.name.trim_start_matches("db-"), number(pod));
        self.pods().map(show).collect::<Vec<_>>().join(" ")
    }

    /// The pods that are others than at the beginning.
    pub fn replaced_now(&self) -> String {
        let now = self.all_uids();
        let other =
            now.iter().filter(|(ordinal, uid)| self.uids.get(*ordinal).is_some_and(|old| old != *uid));
        other.map(|(ordinal, _)| ordinal.clone()).collect::<Vec<_>>().join(" ")
    }

    /// The claims that there are, with the revision of the store that made them.
    pub fn claims_now(&self) -> String {
        let claims = self.cluster.store().all_stored(Kind::PersistentVolumeClaim, Some("default"));
        claims.map(|claim| claim.object.metadata().name.to_string()).collect::<Vec<_>>().join(" ")
    }

    /// A claim's identity.
    pub fn claim_uid(&self, name: &str) -> Option<String> {
        let key = Key::new(Kind::PersistentVolumeClaim, "default", name);
        self.cluster.store().stored(&key).map(Stored::uid)
    }

    /// What runs on though its pod is gone: `db-1:a2`.
    pub fn left_behind(&self) -> String {
        let nodes = self.cluster.store().list::<Node>(Kind::Node).flat_map(|node| &node.status.left_behind);
        let show = |left: &LeftBehind| format!("{}:{}", left.pod, self.address(left.ips[0]));
        nodes.map(show).collect::<Vec<_>>().join(" ")
    }

    /// The reasons of all Events so far.
    pub fn reasons(&self) -> BTreeSet<String> {
        let all = self.cluster.store().list::<EventRecord>(Kind::Event);
        all.map(|event| event.reason.to_string()).collect()
    }

    /// What a resolver says that keeps answers for as long as they allow: by their TTL, or by the SOA's minimum
    /// (RFC 2308, 5), and never for more than 30 seconds (CoreDNS, `cache 30`).
    pub fn ask_cached(&mut self, question: &str) -> String {
        let now = self.cluster.now();
        if let Some((until, answer)) = self.cache.get(question).filter(|(until, _)| now < *until) {
            _ = until;
            return answer.clone();
        }
        let (message, answer) = (self.reply(question), self.ask(question));
        let positive = message.answers.iter().map(|record| record.ttl).min();
        let negative = || {
            let soa = message.authorities.iter().find_map(|record| match &record.data {
                hickory_proto::rr::RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
                _ => None,
            });
            soa.expect("a negative answer has an SOA record")
        };
        let ttl = positive.unwrap_or_else(negative).min(30);
        self.cache.insert(question.into(), (now.after_secs(ttl), answer.clone()));
        answer
    }

    /// `FLAGS ANSWERS ADDITIONALS` of a reply; the OPT record is not counted.
    pub fn count(&self, question: &str) -> String {
        let message = self.reply(question);
        let flags = if message.metadata.truncation { "TC" } else { "-" };
        format!("{flags} {} {}", message.answers.len(), message.additionals.len())
    }

    fn reply(&self, question: &str) -> Message {
        let (name, rest) = question.split_once(' ').expect("a name and a type");
        let name = match name.ends_with('.') {
            true => name.to_string(),
            false => format!("{name}.default.svc.cluster.local."),
        };
        let zone = self.cluster.published().load().clone();
        let reply = common::Asked::parse(&format!("{name} {rest}")).ask(&zone, Order::Stable);
        Message::from_vec(&reply).expect("a message")
    }

    /// What is answered to `NAME TYPE [noedns] [tcp]`, below `default.svc.cluster.local` unless the name ends in a dot.
    pub fn ask(&self, question: &str) -> String {
        let message = self.reply(question);
        match (message.metadata.response_code, message.answers.len()) {
            (ResponseCode::NXDomain, _) => "NXDOMAIN".into(),
            (ResponseCode::ServFail, _) => "SERVFAIL".into(),
            (ResponseCode::NoError, 0) => "NODATA".into(),
            (ResponseCode::NoError, _) => {
                let mut all: Vec<_> = message
                    .answers
                    .iter()
                    .map(|record| {
                        let data = common::data(&record.data).replace(".default.svc.cluster.local.", "");
                        let dashed = self.addresses.iter().enumerate().fold(data, |data, (at, ip)| {
                            data.replace(&ip.to_string().replace('.', "-"), &format!("[a{}]", at + 1))
                        });
                        let data = dashed;
                        let data = data.parse::<IpAddr>().map_or(data.clone(), |ip| self.address(ip));
                        // Of an SRV record, the port and the target.
                        data.split(' ')
                            .skip(data.split(' ').count().saturating_sub(2))
                            .collect::<Vec<_>>()
                            .join("/")
                    })
                    .collect();
                all.sort();
                all.join(" ")
            }
            (code, _) => format!("{code:?}"),
        }
    }

    /// Holds against the zone what every state implies: the Service's own names, its SRV records, the reverse names, and
    /// that nobody else has a name.
    pub fn hold_implied(&self) {
        let ordinals: BTreeMap<String, IpAddr> = self
            .shown
            .iter()
            .map(|(host, ips)| {
                assert_eq!(ips.len(), 1, "{host} has one address");
                (host.clone(), *ips.first().expect("one"))
            })
            .collect();
        let mut ips: Vec<_> = ordinals.values().map(|ip| self.address(*ip)).collect();
        ips.sort();
        let expected = if ips.is_empty() { "NXDOMAIN".into() } else { ips.join(" ") };
        assert_eq!(self.ask("db A"), expected, "A of db");
        let targets: Vec<_> = ordinals.keys().map(|host| format!("7000/{host}.db")).collect();
        let expected = if targets.is_empty() { "NXDOMAIN".into() } else { targets.join(" ") };
        assert_eq!(self.ask("_peer._tcp.db SRV"), expected, "SRV of db");
        for number in 0..8 {
            let host = format!("db-{number}");
            let expected = ordinals.get(&host).map_or("NXDOMAIN".into(), |ip| self.address(*ip));
            assert_eq!(self.ask(&format!("{host}.db A")), expected, "A of {host}");
        }
        for (host, ip) in &ordinals {
            let reverse = clusterlocal::zone::reverse_name(*ip).to_string();
            assert_eq!(self.ask(&format!("{reverse} PTR")), format!("{host}.db"), "PTR of {ip}");
        }
    }

    /// How long it has been since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.cluster.now().since(BEGIN)
    }
}
