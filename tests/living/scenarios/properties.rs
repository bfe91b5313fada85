//! Properties that hold for any events, checked with some thousand random sequences.
//!
//! `PROPTEST_CASES` sets their number.

use std::collections::BTreeMap;
use std::net::IpAddr;

use clusterlocal_core::DnsChange;
use clusterlocal_core::store::{Event, Kind, Object, Pod, Resource, Time, Uid};
use proptest::prelude::*;

use super::world::{Given, World};

/// Minimum number of sequences.
const SEQUENCES: u32 = 2_000;

fn given() -> impl Strategy<Value = Given> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let times = prop::sample::select(vec!["0s", "0s", "3s", "20s"]);
    (flags, 1u32..5, times.clone(), times.clone(), times).prop_map(|(flags, replicas, start, ready, stop)| {
        let mut given = Given { replicas, ..Given::default() };
        let (publish, parallel, claims, numbered) = flags;
        let words = [("publish", publish), ("parallel", parallel), ("claims", claims), ("start=2", numbered)];
        words.iter().filter(|(_, on)| *on).for_each(|(word, _)| given.add(word));
        for (what, time) in [("start", start), ("ready", ready), ("stop", stop)] {
            given.add(&format!("{what}-delay={time}"));
        }
        given
    })
}

fn event() -> impl Strategy<Value = String> {
    let pod = 0u32..7;
    let on_pod =
        prop::sample::select(vec!["ready", "unready", "delete", "delete", "force-delete", "crash", "fail"]);
    let on_node = prop::sample::select(vec!["down", "up", "up", "off", "reboot", "out-of-service"]);
    let time = prop::sample::select(vec!["1s", "5s", "20s", "60s", "400s", "2000s"]);
    prop_oneof![
        4 => (on_pod, pod).prop_map(|(what, pod)| format!("{what} {pod}")),
        2 => (0u32..6).prop_map(|replicas| format!("scale {replicas}")),
        2 => (0u32..4).prop_map(|image| format!("set image=v{image}")),
        1 => (0u32..4).prop_map(|partition| format!("set partition={partition}")),
        1 => Just("set on-delete".to_string()),
        1 => (0u32..4).prop_map(|start| format!("set start={start}")),
        3 => (1u32..4, on_node).prop_map(|(node, what)| format!("node {node} {what}")),
        6 => time.prop_map(|time| format!("advance {time}")),
        1 => prop::sample::select(vec!["service delete", "service create", "service selects nothing"])
            .prop_map(str::to_string),
        1 => prop::sample::select(vec!["delete-set", "create"]).prop_map(str::to_string),
    ]
}

/// Applies all possible events, and checks all properties after each.
fn check(given: Given, events: &[String]) -> Result<Vec<DnsChange>, TestCaseError> {
    let ordered = !given.parallel;
    let mut world = World::new(given);
    let mut follower = Follower::new(&world);
    for event in events.iter().filter(|event| !event.is_empty()) {
        if !world.can(event) {
            continue;
        }
        world.apply(event);
        let mut check_properties = || {
            follower.follow(&world, ordered)?;
            names_belong_to_running_pods(&world)
        };
        check_properties().map_err(|why| TestCaseError::fail(format!("after {event}: {why}")))?;
    }
    let trace: Vec<_> = world.cluster.trace().cloned().collect();
    // (f) The serial grows with every visible change.
    for pair in trace.windows(2) {
        prop_assert!(pair[0].serial < pair[1].serial, "{:?} then {:?}", pair[0], pair[1]);
    }
    Ok(trace)
}

/// (a), (b): every name has one address, that of a pod that has not ended; unless not-ready addresses are published, the
/// pod is ready and not terminating.
fn names_belong_to_running_pods(world: &World) -> Result<(), String> {
    for (host, ips) in &world.shown {
        let ip = match ips.iter().collect::<Vec<_>>()[..] {
            [ip] => *ip,
            _ => return Err(format!("{host} has {ips:?}")),
        };
        let pod = world.cluster.store().get::<Pod>(Kind::Pod, "default", host);
        let pod = pod.ok_or_else(|| format!("no pod has the name {host}"))?;
        if pod.is_terminal() || !pod.status.ips().any(|own| own == ip) {
            return Err(format!("{host} is at {ip}, but {:?}", pod.status));
        }
        if !world.given.publish && (!pod.status.ready || pod.is_terminating()) {
            return Err(format!("{host} is listed, but {:?}", pod.status));
        }
    }
    Ok(())
}

/// Follows the events of the store, with the state that the properties need.
struct Follower {
    seen: u64,
    pods: BTreeMap<String, Pod>,
    /// By name: the address, the UID of the pod that has or had it, and the boot of its node.
    had: BTreeMap<String, (IpAddr, Uid, u32)>,
}

impl Follower {
    fn new(world: &World) -> Self {
        let mut follower =
            Follower { seen: world.cluster.store().revision(), pods: BTreeMap::new(), had: BTreeMap::new() };
        for pod in world.cluster.store().list_in::<Pod>(Kind::Pod, "default") {
            follower.pods.insert(pod.metadata.name.to_string(), (**pod).clone());
        }
        follower
    }

    fn follow(&mut self, world: &World, ordered: bool) -> Result<(), String> {
        let store = world.cluster.store();
        for event in store.watch(self.seen).map_err(|gone| gone.to_string())? {
            let Object::Pod(pod) = event.object() else { continue };
            if pod.metadata.namespace == "default" {
                self.see(event, pod, world, ordered)?;
            }
        }
        self.seen = store.revision();
        Ok(())
    }

    fn see(&mut self, event: &Event, pod: &Pod, world: &World, ordered: bool) -> Result<(), String> {
        let name = pod.metadata.name.to_string();
        match (&event.before, &event.after) {
            (None, Some(stored)) => {
                // (d) No pod is created under the name of an existing one.
                if let Some(other) = self.pods.get(&name) {
                    return Err(format!("{name} was created while {other:?} existed"));
                }
                if ordered {
                    self.no_gap_below(&name, world, stored.created)?;
                }
            }
            (Some(_), None) => drop(self.pods.remove(&name)),
            _ => {}
        }
        if let Some(pod) = event.now().and_then(Pod::of) {
            let stored = event.after.as_ref().expect("the pod");
            if let Some(ip) = pod.status.ips().next() {
                // (e) The address of a name changes if, and only if, the pod is replaced or its node was rebooted.
                let now = (ip, stored.uid(), pod.status.boot);
                if let Some(had) = self.had.get(&name) {
                    let other = (had.1 != now.1) || (had.2 != now.2);
                    if other != (had.0 != now.0) {
                        return Err(format!("{name} had {had:?}, and has {now:?}"));
                    }
                }
                self.had.insert(name.clone(), now);
            }
            self.pods.insert(name, (**pod).clone());
        }
        Ok(())
    }

    /// (c) A controller creates a pod only if all pods of lower ordinals exist and are ready.
    fn no_gap_below(&self, name: &str, world: &World, now: Time) -> Result<(), String> {
        let ordinal: u32 = name.trim_start_matches("db-").parse().map_err(|_| format!("{name}?"))?;
        for below in world.given.start..ordinal {
            match self.pods.get(&format!("db-{below}")) {
                Some(pod) if pod.is_running_and_ready() && !pod.is_terminating() => {}
                other => {
                    return Err(format!(
                        "{name} was created at {now}, but db-{below} is {:?}",
                        other.map(|pod| &pod.status)
                    ));
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: SEQUENCES.max(ProptestConfig::default().cases), ..ProptestConfig::default() })]

    #[test]
    fn any_events_keep_the_properties(given in given(), events in prop::collection::vec(event(), 1..24)) {
        let trace = check(given.clone(), &events)?;
        // (g) The same events give the same changes.
        prop_assert_eq!(check(given, &events)?, trace);
    }
}

/// The checks detect violations: each fails for a manipulated state.
#[test]
fn the_properties_can_fail() {
    let mut world = World::new(Given::default());
    let mut follower = Follower::new(&world);
    follower.pods.insert("db-3".into(), Pod::default());
    world.apply("scale 4");
    assert!(follower.follow(&world, true).is_err(), "(d)");
    let mut follower = Follower::new(&world);
    follower.had.insert(
        "db-4".into(),
        (
            "10.0.0.1".parse().expect("an address"),
            "00000000-0000-4000-8000-000000000000".parse().expect("a UID"),
            0,
        ),
    );
    follower.pods.remove("db-1");
    world.apply("scale 5");
    assert!(follower.follow(&world, true).is_err_and(|why| why.contains("db-1 is None")), "(c)");
    world.shown.insert("db-9".into(), ["10.0.0.1".parse().expect("an address")].into());
    assert!(names_belong_to_running_pods(&world).is_err(), "(a)");
}
