//! Which questions a fault hits, and when.

use super::*;

#[test]
fn a_fault_hits_matching_questions() {
    let hit = "servfail";
    let srv = "{match: {types: SRV}, actions: [servfail]}";
    let table = [
        ("{actions: [servfail]}", A, hit),
        ("{actions: servfail}", A, hit),
        ("{match: {name: \"*.default.svc.cluster.local\"}, actions: [servfail]}", SRV, hit),
        ("{match: {name: \"_CQL._tcp.*\"}, actions: [servfail]}", SRV, hit),
        ("{match: {name: \"_cql._tcp.*\"}, actions: [servfail]}", A, "noerror"),
        (srv, SRV, hit),
        (srv, A, "noerror"),
        ("{match: {types: [A, AAAA], transport: udp}, actions: [servfail]}", A, hit),
        ("{match: {transport: tcp}, actions: [servfail]}", A, "noerror"),
        ("{match: {clients: 127.0.0.0/24}, actions: [servfail]}", A, hit),
        ("{match: {clients: [\"::1\", 127.0.0.2]}, actions: [servfail]}", A, "noerror"),
        ("{match: {clients: [cassandra-1]}, actions: [servfail]}", A, "noerror"),
        ("{match: {every: 3}, actions: [servfail]}", A, "noerror noerror servfail noerror noerror servfail"),
        ("{match: {probability: 0}, actions: [servfail]}", A, "noerror noerror noerror"),
        ("{match: {probability: 1}, actions: [servfail]}", A, "servfail servfail servfail"),
        ("{times: 2, actions: [servfail]}", A, "servfail servfail noerror noerror"),
        ("{match: {every: 2}, times: 1, actions: [servfail]}", A, "noerror servfail noerror noerror"),
        ("{sequence: [ok, drop, nxdomain]}", A, "noerror silence nxdomain noerror silence"),
        ("{sequence: [ok, [delay 1s, refused]]}", A, "noerror refused noerror"),
    ];
    for (spec, question, expected) in table {
        let count = expected.split(' ').count();
        assert_eq!(Fixture::with(spec).codes(question, count), expected, "{spec} {question}");
    }
}

#[test]
fn random_hits_depend_on_the_seed_alone() {
    let codes = |seed| {
        let spec = format!("{{match: {{probability: 0.25}}, seed: {seed}, actions: [servfail]}}");
        let codes = Fixture::with(&spec).codes(A, 400);
        (codes.matches("servfail").count(), codes)
    };
    let (some, one) = codes(7);
    assert!((60..140).contains(&some), "{some} of 400");
    assert_eq!(one, codes(7).1);
    assert_ne!(one, codes(8).1);
}

#[test]
fn a_sequence_counts_for_each_name_type_and_client() {
    let mut fixture = Fixture::with("{sequence: [servfail, ok]}");
    assert_eq!(fixture.codes(A, 2), "servfail noerror");
    assert_eq!(fixture.codes(SRV, 1), "servfail");
    fixture.asker = "127.0.0.9".parse().expect("an address");
    assert_eq!(fixture.codes(A, 2), "servfail noerror");
    assert_eq!(fixture.codes("CASSANDRA.default.svc.cluster.local A", 1), "servfail");
}

#[test]
fn only_the_first_matching_fault_applies() {
    let faults = [
        fault("z", "{match: {clients: [127.0.0.7]}, times: 1, actions: [servfail]}"),
        fault("c", "{match: {types: [SRV]}, actions: [ok]}"),
        fault("b", "{actions: [refused]}"),
    ];
    let mut fixture = Fixture::new(&faults.concat());
    assert_eq!((fixture.codes(SRV, 1), fixture.codes(A, 1)), ("noerror".into(), "refused".into()));
    fixture.asker = "127.0.0.7".parse().expect("an address");
    assert_eq!(fixture.codes(SRV, 2), "servfail noerror");
    let hits = ["z", "c", "b", "d"].map(|name| fixture.cluster.faults().hits(name));
    assert_eq!(hits, [1, 2, 1, 0]);
}

#[test]
fn a_pod_is_matched_by_its_current_address() {
    let spec = "{match: {clients: [cassandra-1]}, actions: [servfail]}";
    let mut fixture = Fixture::with(spec);
    fixture.cluster.apply(&objects(&format!("{}{}", unpinned(), fault("f", spec))));
    fixture.cluster.advance(std::time::Duration::from_secs(60));
    let old = fixture.pod("cassandra-1");
    fixture.asker = old;
    assert_eq!(fixture.codes(A, 1), "servfail");
    fixture.asker = fixture.pod("cassandra-2");
    assert_eq!(fixture.codes(A, 1), "noerror");
    let pod = Kind::Pod;
    fixture.cluster.request(vec![Change::Delete(crate::store::Key::new(pod, "default", "cassandra-1"))]);
    fixture.cluster.advance(std::time::Duration::from_secs(60));
    fixture.asker = old;
    assert_eq!(fixture.codes(A, 1), "noerror", "the address has no pod any more");
    fixture.asker = fixture.pod("cassandra-1");
    assert_ne!(fixture.asker, old);
    assert_eq!(fixture.codes(A, 1), "servfail");
}

#[test]
fn a_fault_is_in_force_between_its_start_and_its_end() {
    let mut fixture = Fixture::with("{after: 5s, for: 30s, actions: [servfail]}");
    let secs = BEGIN;
    let table =
        [(0, "noerror"), (4_999, "noerror"), (5_000, "servfail"), (34_999, "servfail"), (35_000, "noerror")];
    for (millis, expected) in table {
        let due = fixture.cluster.due();
        fixture.cluster.advance_to(secs.after(std::time::Duration::from_millis(millis)));
        assert_eq!(fixture.codes(A, 1), expected, "{millis} ms, due before: {due:?}");
        assert!(due.is_none_or(|due| due > secs));
    }
    assert_eq!(fixture.cluster.due(), None);
    assert!(fixture.cluster.faults().is_empty());
    assert_eq!(fixture.cluster.faults().hits("f"), 2, "hits are kept after the end");
}

#[test]
fn a_fault_starts_over_with_a_new_spec_and_ends_with_its_object() {
    let mut fixture = Fixture::with("{times: 1, actions: [servfail]}");
    assert_eq!(fixture.codes(A, 2), "servfail noerror");
    let apply = |fixture: &mut Fixture, faults: &str| {
        fixture.cluster.apply(&objects(&format!("{RING}{faults}")));
        fixture.codes(A, 3)
    };
    let same = fault("f", "{times: 1, actions: servfail}");
    assert_eq!(apply(&mut fixture, &same), "noerror noerror noerror", "nothing has changed");
    let other = fault("f", "{times: 2, actions: [servfail]}");
    assert_eq!(apply(&mut fixture, &other), "servfail servfail noerror");
    assert_eq!(apply(&mut fixture, ""), "noerror noerror noerror");
    assert!(fixture.cluster.faults().is_empty());
    assert_eq!(fixture.cluster.faults().hits("f"), 0);
}
