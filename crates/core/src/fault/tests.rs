use super::*;

/// The notation of each action, with its placeholders replaced by examples.
fn examples() -> impl Iterator<Item = String> {
    ACTIONS.iter().map(|row| {
        let filled = row.written.replace("GLOB|N|asker", "cassandra-1.*").replace(" [D]", " 5");
        let words = filled.split(' ').map(|word| match word {
            "D" => "1m30s",
            "[±J]" => "±500ms",
            "N" | "S" => "600",
            "[N]" => "2",
            word => word,
        });
        words.collect::<Vec<_>>().join(" ")
    })
}

#[test]
fn actions_are_parsed_and_displayed() {
    for text in examples().chain(["delay 3s", "truncate", "omit 2", "keep asker", "cache 30"].map(Into::into))
    {
        let action: Action = text.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(action.to_string(), text);
    }
    let same = [
        ("delay 3s +-500ms", "delay 3s ±500ms"),
        ("delay  3s  ± 500ms", "delay 3s ±500ms"),
        ("truncate 0", "truncate"),
        ("cache 30 30", "cache 30"),
        ("cache 30s 5s", "cache 30 5"),
        ("omit Cassandra-1.", "omit cassandra-1"),
    ];
    for (text, expected) in same {
        assert_eq!(text.parse::<Action>().map(|action| action.to_string()).as_deref(), Ok(expected));
    }
    let several: Actions = "delay 1s, nxdomain".parse().expect("two actions");
    assert_eq!((several.0.len(), several.to_string().as_str()), (2, "delay 1s, nxdomain"));
}

#[test]
fn errors_suggest_the_closest_notation() {
    let table = [
        (
            "servfial",
            "\"servfial\" is not an action such as servfail, drop or delay 3s; did you mean `servfail`?",
        ),
        ("delay soon", "\"delay soon\" is not `delay D [±J]`, such as delay 3s"),
        ("tcp rest", "\"tcp rest\" is not `tcp refuse` or `tcp reset` or `tcp hang`"),
        (
            "dealy 3s",
            "\"dealy 3s\" is not an action such as servfail, drop or delay 3s; did you mean `delay`?",
        ),
        ("edns 100", "\"edns 100\" is not `edns ignore` or `edns formerr` or `edns N`"),
        ("delay 25h", "\"delay 25h\" is not `delay D [±J]`, such as delay 3s"),
        ("", "\"\" is not an action such as servfail, drop or delay 3s"),
    ];
    for (text, expected) in table {
        assert_eq!(text.parse::<Action>().expect_err(text).to_string(), expected);
    }
    let preset = |text: &str| text.parse::<Preset>().expect_err(text).to_string();
    assert_eq!(preset("dns-outage"), "\"dns-outage\" is not `dns-outage D`, such as dns-outage 3s");
    assert_eq!(preset("flakey"), "\"flakey\" is not a preset such as dns-outage 30s; did you mean `flaky`?");
}

#[test]
fn presets_are_expanded() {
    let table = [
        ("cache 30", "cache 30"),
        ("negative-cache 30s", "cache 0 30"),
        ("nodelocal", "nodelocal"),
        ("two-replicas-disagree", "flap"),
        ("two-replicas-disagree 10s", "flap; for 10s"),
        ("dns-outage 30s", "drop; for 30s"),
        ("slow 3s", "delay 3s"),
        ("unsynced 5s", "unsynced; for 5s"),
        ("kube-dns-3-of-n", "cut 3; transport=udp"),
        ("no-tcp", "truncate, tcp refuse"),
        ("flaky", "drop; probability=0.25"),
        ("flaky 0.5", "drop; probability=0.5"),
        ("no-glue", "glue none"),
        ("no-edns", "edns formerr"),
        ("only-self", "keep asker"),
    ];
    for (text, expected) in table {
        let preset = text.parse().unwrap_or_else(|error| panic!("{error}"));
        let spec = FaultSpec { preset: Some(preset), ..FaultSpec::default() };
        assert_eq!(spec.to_string(), expected, "{text}");
    }
    for info in &PRESETS {
        assert!(table.iter().any(|(text, _)| text.split(' ').next() == Some(info.name)), "{}", info.name);
    }
}

#[test]
fn patterns_match_names() {
    let table = [
        ("_cql._tcp.*", "_cql._tcp.cassandra.default.svc.cluster.local", true),
        ("*.svc.cluster.local", "a.b.svc.cluster.local", true),
        ("*.svc.cluster.local", "svc.cluster.local", false),
        ("cassandra-?.*", "cassandra-1.cassandra", true),
        ("cassandra-?.*", "cassandra-10.cassandra", false),
        ("*a*b*a", "xaxbxa", true),
        ("*a*b*a", "xaxaxa", false),
        ("*", "", true),
        ("?", "", false),
        ("Web.", "web", true),
    ];
    for (pattern, name, expected) in table {
        let glob: Glob = pattern.parse().expect("a pattern");
        assert_eq!(glob.matches(name.as_bytes()), expected, "{pattern} {name}");
    }
    assert!("a b".parse::<Glob>().is_err() && "".parse::<Glob>().is_err());
}

#[test]
fn clients_are_parsed_and_displayed() {
    let table = [
        ("cassandra-1", Some("cassandra-1")),
        ("default/cassandra-1", Some("cassandra-1")),
        ("ring/db-0", Some("ring/db-0")),
        ("127.0.0.1", Some("127.0.0.1")),
        ("127.244.1.0/16", Some("127.244.0.0/16")),
        ("fd00::/64", Some("fd00::/64")),
        ("127.0.0.300", None),
        ("Web", None),
        ("a/b/c", None),
    ];
    for (text, expected) in table {
        let client = text.parse::<Client>().ok().map(|client| client.to_string());
        assert_eq!(client.as_deref(), expected, "{text}");
    }
}

#[test]
fn specs_are_serialized_as_json() {
    let text = r#"{"match": {"name": "_cql._tcp.*", "types": ["SRV"], "transport": "tcp", "clients": ["cassandra-1"],
        "every": 3, "probability": 0.25}, "times": 2, "after": "5s", "for": "30s", "seed": 7,
        "sequence": [["ok"], ["delay 1s", "nxdomain"]]}"#;
    let spec: FaultSpec = serde_json::from_str(text).expect("a spec");
    let again = serde_json::to_value(&spec).expect("JSON");
    assert_eq!(again, serde_json::from_str::<serde_json::Value>(text).expect("JSON"));
    assert_eq!(
        spec.to_string(),
        "in turn: ok | delay 1s, nxdomain; name=_cql._tcp.* types=SRV transport=tcp clients=cassandra-1 every=3 \
         probability=0.25; after 5s for 30s 2 times"
    );
}

/// The example in an error can be parsed.
#[test]
fn examples_in_errors_can_be_parsed() {
    for action in ACTIONS {
        let example = notation::example(action.written);
        assert!(example.parse::<Action>().is_ok(), "{}: {example}", action.written);
    }
    for preset in &PRESETS {
        let example = notation::example(preset.written);
        assert!(example.parse::<Preset>().is_ok(), "{}: {example}", preset.written);
    }
}
