//! Distribution of endpoints over slices: which stay where, and which slices get new ones.

use super::*;
use crate::store::{ObjectReference, Protocol};

fn endpoint(pod: &str) -> Endpoint {
    let number: u8 = pod.strip_prefix('p').and_then(|n| n.parse().ok()).expect("pN");
    Endpoint {
        addresses: std::net::IpAddr::from([10, 0, 0, number]).into(),
        target_ref: Some(ObjectReference {
            kind: "Pod".into(),
            name: pod.into(),
            namespace: "default".into(),
        }),
        ..Endpoint::default()
    }
}

fn builder(most: usize) -> SliceBuilder {
    let metadata = ObjectMeta {
        name: "db".into(),
        namespace: "default".into(),
        labels: [("a", "b")].into_iter().collect(),
        ..ObjectMeta::default()
    };
    SliceBuilder { most, ..SliceBuilder::of_service(&Service { metadata, ..Service::default() }, None) }
}

fn group(port: u16, pods: &[&str]) -> Group {
    let port =
        EndpointPort { name: "p".into(), port: Some(port), protocol: Protocol::TCP, app_protocol: None };
    Group {
        address_type: AddressType::IPv4,
        ports: [port].into(),
        endpoints: pods.iter().map(|pod| endpoint(pod)).collect(),
    }
}

/// `s1: p1 p2` for each slice after the changes; new slices are called `new`.
fn after(existing: &[(&str, u16, &[&str])], wanted: Vec<Group>, most: usize) -> Vec<String> {
    let builder = builder(most);
    let slices: Vec<Arc<EndpointSlice>> = existing
        .iter()
        .map(|(name, port, pods)| Arc::new(builder.slice((*name).into(), group(*port, pods))))
        .collect();
    let refs: Vec<&Arc<EndpointSlice>> = slices.iter().collect();
    let mut result: std::collections::BTreeMap<Name, Arc<EndpointSlice>> =
        slices.iter().map(|slice| (slice.metadata.name.clone(), slice.clone())).collect();
    let mut store = Store::new();
    for slice in &slices {
        store.apply(Change::Put(Object::EndpointSlice(slice.clone())));
    }
    for change in reconcile(&store, &builder, &refs, Groups(wanted)) {
        match change {
            Change::Put(Object::EndpointSlice(slice)) => {
                result.insert(slice.metadata.name.clone(), slice);
            }
            Change::Delete(key) => drop(result.remove(&key.name)),
            Change::Put(_) => unreachable!("only slices change"),
        }
    }
    let shown = |(name, slice): (&Name, &Arc<EndpointSlice>)| {
        let known = existing.iter().any(|(existing, ..)| existing == name);
        let pods = slice.endpoints.iter().flat_map(|e| &e.target_ref).map(|target| target.name.as_str());
        let pods: Vec<&str> = pods.collect();
        format!("{}: {}", if known { name.as_str() } else { "new" }, pods.join(" "))
    };
    result.iter().map(shown).collect()
}

#[test]
fn endpoints_stay_in_their_slice_and_new_ones_fill_changed_slices() {
    type Existing = &'static [(&'static str, u16, &'static [&'static str])];
    let table: [(&str, Existing, Vec<Group>, &[&str]); 11] = [
        ("the first slice", &[], vec![group(1, &["p1", "p2"])], &["new: p1 p2"]),
        (
            "more than one slice",
            &[],
            vec![group(1, &["p1", "p2", "p3", "p4"])],
            &["new: p1 p2 p3", "new: p4"],
        ),
        ("no change", &[("s1", 1, &["p2", "p1"])], vec![group(1, &["p1", "p2"])], &["s1: p2 p1"]),
        (
            "one removed, one added",
            &[("s1", 1, &["p1", "p2", "p3"]), ("s2", 1, &["p4"])],
            vec![group(1, &["p1", "p3", "p4", "p5"])],
            &["s1: p1 p3 p5", "s2: p4"],
        ),
        (
            "slices are not merged",
            &[("s1", 1, &["p1", "p2", "p3"]), ("s2", 1, &["p4", "p5"])],
            vec![group(1, &["p1", "p4"])],
            &["s1: p1", "s2: p4"],
        ),
        (
            "an empty slice is deleted",
            &[("s1", 1, &["p1"]), ("s2", 1, &["p4"])],
            vec![group(1, &["p4"])],
            &["s2: p4"],
        ),
        (
            "the fullest with capacity for all",
            &[("s1", 1, &["p1"]), ("s2", 1, &["p2", "p3"])],
            vec![group(1, &["p1", "p2", "p3", "p4"])],
            &["s1: p1", "s2: p2 p3 p4"],
        ),
        (
            "no slice has capacity for all",
            &[("s1", 1, &["p1", "p2"]), ("s2", 1, &["p3", "p4"])],
            vec![group(1, &["p1", "p2", "p3", "p4", "p5", "p6"])],
            &["new: p5 p6", "s1: p1 p2", "s2: p3 p4"],
        ),
        (
            "a changed port reuses the name",
            &[("s1", 1, &["p1", "p2"])],
            vec![group(2, &["p1", "p2"])],
            &["s1: p1 p2"],
        ),
        ("the last one removed", &[("s1", 1, &["p1"])], vec![group(1, &[])], &["s1: "]),
        ("placeholder", &[], vec![Group { ports: Arc::default(), ..group(1, &[]) }], &["new: "]),
    ];
    for (what, existing, wanted, expected) in table {
        let mut found = after(existing, wanted, 3);
        found.sort();
        assert_eq!(found, expected, "{what}");
    }
}

/// A cluster of 100,000 pods has 1,000 slices: unused capacity of their vectors would take more memory than the
/// endpoints.
#[test]
fn new_slices_have_no_unused_capacity() {
    let pods: Vec<String> = (0..250).map(|number| format!("p{number}")).collect();
    let pods: Vec<&str> = pods.iter().map(String::as_str).collect();
    let mut wanted = group(1, &pods);
    wanted.endpoints.reserve(1000);
    let changes = reconcile(&Store::new(), &builder(100), &[], Groups(vec![wanted]));
    let rooms = changes.iter().map(|change| match change {
        Change::Put(Object::EndpointSlice(slice)) => (slice.endpoints.len(), slice.endpoints.capacity()),
        other => unreachable!("only slices are made, not {other:?}"),
    });
    assert_eq!(rooms.collect::<Vec<_>>(), [(100, 100), (100, 100), (50, 50)]);
}
