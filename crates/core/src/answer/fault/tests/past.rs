//! Answers from the past: of earlier zones, and of caches.

use super::*;

/// `stale`, `flap` and `lag` while the set is scaled to four.
#[test]
fn stale_flap_and_lag_answer_from_past_zones() {
    let count = |fixture: &mut Fixture| fixture.line(A).matches("127.").count();
    let four = RING.replace("replicas: 3", "replicas: 4");
    let scaled = |spec: &str| {
        let mut fixture = Fixture::new("");
        let faults = fault("f", spec);
        fixture.cluster.apply(&objects(&format!("{four}{faults}")));
        fixture.cluster.advance(std::time::Duration::from_millis(1));
        fixture
    };
    let settled = |fixture: &mut Fixture| fixture.cluster.advance(std::time::Duration::from_secs(60));
    let mut stale = scaled("{actions: [stale]}");
    settled(&mut stale);
    assert_eq!(count(&mut stale), 3);
    stale.cluster.apply(&objects(&four));
    assert_eq!(count(&mut stale), 4, "without the fault");
    let mut flap = scaled("{actions: [flap]}");
    settled(&mut flap);
    let counts: std::collections::BTreeSet<usize> = (0..40).map(|_| count(&mut flap)).collect();
    assert_eq!(counts, [3, 4].into());
    let mut lag = scaled("{actions: [lag 10m]}");
    settled(&mut lag);
    assert_eq!(count(&mut lag), 3);
    lag.cluster.advance(std::time::Duration::from_secs(600));
    assert_eq!(count(&mut lag), 4);
}

/// What CoreDNS's cache stores and for how long, by the TTL of a second answer some seconds after the first.
#[test]
fn a_cache_stores_what_coredns_stores() {
    const EXTERNAL: &str = "mail.default.svc.cluster.local A";
    // Seconds between the two, TTL of the first and the second answer.
    let table: &[(&str, &str, u64, u32, u32)] = &[
        ("cache 30", A, 10, 30, 20),
        ("cache 30", A, 30, 30, 30),
        ("cache 12", A, 10, 12, 2),
        ("cache 3", A, 2, 3, 1),
        ("cache 3600", A, 29, 30, 1),
        ("cache 30 10", GONE, 4, 10, 6),
        ("cache 30 10", "cassandra.default.svc.cluster.local AAAA", 4, 10, 6),
        ("cache 0 10", A, 4, 30, 30),
        ("cache 10 0", GONE, 4, 30, 30),
        ("cache 30, unsynced", GONE, 4, 5, 1),
        ("cache 30, unsynced", GONE, 5, 5, 5),
        // There is no upstream for the target, so the alias stands alone: not cached since CoreDNS 1.14.7.
        ("cache 20", EXTERNAL, 4, 20, 20),
        ("nodelocal", GONE, 3, 5, 2),
    ];
    for &(actions, question, seconds, first, second) in table {
        let external = RING.replace("external: {", "external: {mail: smtp.example.org, ");
        let mut fixture = Fixture::new("");
        let actions = format!("{{actions: [\"{actions}\"]}}");
        fixture.cluster.apply(&objects(&format!("{external}{}", fault("f", &actions))));
        let ttls = |fixture: &mut Fixture| -> std::collections::BTreeSet<u32> {
            // Both replicas, and each more than once.
            let ttl = |fixture: &mut Fixture| {
                let (reply, _) = fixture.ask(question);
                let sections = sections(&reply).expect("a plain reply");
                sections.iter().flatten().map(|record| record.ttl).collect::<Vec<_>>()
            };
            (0..20).flat_map(|_| ttl(fixture)).collect()
        };
        let before = ttls(&mut fixture);
        fixture.cluster.advance(std::time::Duration::from_secs(seconds));
        let after = ttls(&mut fixture);
        assert_eq!((before, after), ([first].into(), [second].into()), "{actions} {question} {seconds} s");
    }
}

#[test]
fn a_cache_has_the_keys_of_coredns() {
    let mut fixture = Fixture::with("{actions: [nodelocal]}");
    assert_eq!(fixture.codes(A, 1), "noerror");
    let four = RING.replace("replicas: 3", "replicas: 4");
    fixture.cluster.apply(&objects(&format!("{four}{}", fault("f", "{actions: [nodelocal]}"))));
    fixture.cluster.advance(std::time::Duration::from_secs(20));
    let count = |fixture: &mut Fixture, question: &str| fixture.line(question).matches("127.").count();
    assert_eq!(count(&mut fixture, "CASSANDRA.default.svc.cluster.local A"), 3, "without case");
    let dnssec_ok = |fixture: &Fixture| {
        let mut request = fixture.request(A);
        let at = request.len() - 4;
        request[at] = 0x80;
        request
    };
    let checking_disabled = |fixture: &Fixture| {
        let mut request = fixture.request(A);
        request[3] |= 0x10;
        request
    };
    for request in [dnssec_ok(&fixture), checking_disabled(&fixture)] {
        let mut reply = Vec::new();
        let (faults, zone) = (fixture.cluster.faults(), fixture.cluster.published());
        let hit = faults.hit(&request, fixture.client, fixture.asker, fixture.cluster.now());
        let query = Query { fault: hit.as_ref(), ..Query::new(&request, fixture.client) };
        fixture.answerer.answer(&zone.load(), &query, &mut reply);
        assert_eq!(reply[7], 4, "another question to the cache: not from the cache");
    }
    fixture.client.udp = false;
    assert_eq!(count(&mut fixture, A), 3, "the transport does not matter");
}
