//! Observations of a world: the states of the DNS, answers, and facts about objects.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use clusterlocal_core::addresses::Reuse;
use clusterlocal_core::answer::Order;
use clusterlocal_core::store::*;
use clusterlocal_core::zone::Zone;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RData;

use super::World;
use crate::common;

impl World {
    /// The states that the DNS has shown since the last call.
    pub(super) fn states(&mut self) -> Vec<String> {
        let store = self.cluster.store();
        for event in store.watch(self.seen_revision).expect("events are kept") {
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
        self.seen_revision = store.revision();
        let changes: Vec<_> =
            self.cluster.trace().filter(|change| change.number > self.seen_change).cloned().collect();
        let zones = std::mem::take(&mut *self.zones.lock().expect("no thread panics with the lock"));
        assert_eq!(zones.len(), changes.len(), "every change of the DNS is recorded");
        let mut states = Vec::new();
        for (change, zone) in changes.into_iter().zip(zones) {
            let before = self.show();
            self.seen_change = change.number;
            for name in &change.names {
                let Some(host) = name.name.strip_suffix(".db.default") else { continue };
                let ip: IpAddr = name.target.parse().expect("an address");
                let addresses = self.shown.entry(host.into()).or_default();
                if name.added {
                    addresses.insert(ip);
                } else {
                    addresses.remove(&ip);
                }
            }
            self.shown.retain(|_, addresses| !addresses.is_empty());
            if !self.given.unusual {
                self.check_implied(&zone);
            }
            let state = self.show();
            if state != before {
                states.push(state);
            }
        }
        states
    }

    /// `{0:a1,2:a3}`; endpoints without a hostname only by their address.
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

    /// The existing pods: `0 1! 2-`, with `!` for a terminating one, `-` for one that is not ready, `*` for one that has
    /// ended.
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

    /// The revision of each pod's template: `0:r1 1:r1 2:r2`.
    pub fn revisions_now(&self) -> String {
        let number = |pod: &Pod| {
            let name = pod.metadata.labels.written("controller-revision-hash").cloned().unwrap_or_default();
            let revision =
                self.cluster.store().get::<ControllerRevision>(Kind::ControllerRevision, "default", &name);
            revision.map_or(0, |revision| revision.revision)
        };
        let show =
            |pod: &Arc<Pod>| format!("{}:r{}", pod.metadata.name.trim_start_matches("db-"), number(pod));
        self.pods().map(show).collect::<Vec<_>>().join(" ")
    }

    /// The pods whose UIDs differ from those at the start.
    pub fn replaced_now(&self) -> String {
        let now = self.all_uids();
        let other =
            now.iter().filter(|(ordinal, uid)| self.uids.get(*ordinal).is_some_and(|old| old != *uid));
        other.map(|(ordinal, _)| ordinal.clone()).collect::<Vec<_>>().join(" ")
    }

    /// The existing claims.
    pub fn claims_now(&self) -> String {
        let claims = self.cluster.store().all_stored(Kind::PersistentVolumeClaim, Some("default"));
        claims.map(|claim| claim.object.metadata().name.to_string()).collect::<Vec<_>>().join(" ")
    }

    /// The UID of a claim.
    pub fn claim_uid(&self, name: &str) -> Option<String> {
        let key = Key::new(Kind::PersistentVolumeClaim, "default", name);
        self.cluster.store().stored(&key).map(|claim| claim.uid().to_string())
    }

    /// Containers that still run although their pod is deleted: `db-1:a2`.
    pub fn left_behind(&self) -> String {
        let nodes = self.cluster.store().list::<Node>(Kind::Node).flat_map(|node| &node.status.left_behind);
        let show = |left: &LeftBehind| {
            format!("{}:{}", left.pod, self.address(left.ips.first().expect("an address")))
        };
        nodes.map(show).collect::<Vec<_>>().join(" ")
    }

    /// The reasons of all Events so far.
    pub fn reasons(&self) -> BTreeSet<String> {
        let all = self.cluster.store().list::<EventRecord>(Kind::Event);
        all.map(|event| event.reason.to_string()).collect()
    }

    /// The answer of a resolver that caches answers for their TTL, or for the SOA's minimum (RFC 2308 section 5), and at
    /// most 30 seconds (CoreDNS, `cache 30`).
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
                RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
                _ => None,
            });
            soa.expect("a negative answer has an SOA record")
        };
        let ttl = positive.unwrap_or_else(negative).min(30);
        self.cache.insert(question.into(), (now.after_secs(ttl), answer.clone()));
        answer
    }

    /// `FLAGS ANSWERS ADDITIONALS` of a reply, without the OPT record.
    pub fn count(&self, question: &str) -> String {
        let message = self.reply(question);
        let flags = if message.metadata.truncation { "TC" } else { "-" };
        format!("{flags} {} {}", message.answers.len(), message.additionals.len())
    }

    fn reply(&self, question: &str) -> Message {
        reply(&self.cluster.published().load(), question)
    }

    /// The answer to `NAME TYPE [noedns] [tcp]`, below `default.svc.cluster.local` unless the name ends in a dot.
    pub fn ask(&self, question: &str) -> String {
        self.ask_zone(&self.cluster.published().load(), question)
    }

    /// The answer of `zone`, with numbered addresses.
    fn ask_zone(&self, zone: &Zone, question: &str) -> String {
        let message = reply(zone, question);
        match (message.metadata.response_code, message.answers.len()) {
            (ResponseCode::NXDomain, _) => "NXDOMAIN".into(),
            (ResponseCode::ServFail, _) => "SERVFAIL".into(),
            (ResponseCode::NoError, 0) => "NODATA".into(),
            (ResponseCode::NoError, _) => {
                let mut all: Vec<_> = message.answers.iter().map(|record| self.data(&record.data)).collect();
                all.sort();
                all.join(" ")
            }
            (code, _) => format!("{code:?}"),
        }
    }

    /// The data of a record: `a2`, `db-1.db`, and of an SRV record `7000/db-1.db`.
    fn data(&self, data: &RData) -> String {
        let text = common::data(data).replace(".default.svc.cluster.local.", "");
        if let Ok(ip) = text.parse() {
            return self.address(ip);
        }
        let text = self.addresses.iter().fold(text, |text, ip| {
            let dashed = ip.to_string().replace('.', "-");
            text.replace(&dashed, &format!("[{}]", self.address(*ip)))
        });
        // Priority and weight are the same for all records.
        let words: Vec<_> = text.split(' ').collect();
        words[words.len().saturating_sub(2)..].join("/")
    }

    /// Checks what every state implies in the zone: the Service's own names, its SRV records, the reverse names, and that no other
    /// pod has a name.
    fn check_implied(&self, zone: &Zone) {
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
        assert_eq!(self.ask_zone(zone, "db A"), expected, "A of db");
        let targets: Vec<_> = ordinals.keys().map(|host| format!("7000/{host}.db")).collect();
        let expected = if targets.is_empty() { "NXDOMAIN".into() } else { targets.join(" ") };
        assert_eq!(self.ask_zone(zone, "_peer._tcp.db SRV"), expected, "SRV of db");
        for number in 0..8 {
            let host = format!("db-{number}");
            let expected = ordinals.get(&host).map_or("NXDOMAIN".into(), |ip| self.address(*ip));
            assert_eq!(self.ask_zone(zone, &format!("{host}.db A")), expected, "A of {host}");
        }
        for (host, ip) in &ordinals {
            let reverse = clusterlocal_core::wire::reverse_name(*ip).to_string();
            assert_eq!(self.ask_zone(zone, &format!("{reverse} PTR")), format!("{host}.db"), "PTR of {ip}");
        }
    }
}

/// The reply to `NAME TYPE [noedns] [tcp]`.
fn reply(zone: &Zone, question: &str) -> Message {
    let (name, rest) = question.split_once(' ').expect("a name and a type");
    let name =
        if name.ends_with('.') { name.to_string() } else { format!("{name}.default.svc.cluster.local.") };
    let reply = common::Asked::parse(&format!("{name} {rest}")).ask(zone, Order::Stable);
    Message::from_vec(&reply).expect("a message")
}
