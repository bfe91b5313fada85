//! Hostile and random input is refused within bounds.

use super::*;

/// Time-out that only work out of proportion to the input exceeds, which would take minutes; not a measure of speed.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs `read`, which must end within [`DEADLINE`] and refuse everything.
fn refused(what: &str, read: impl FnOnce() -> Manifest) -> String {
    let begin = Instant::now();
    let manifest = read();
    assert!(begin.elapsed() < DEADLINE, "{what} took {:?}", begin.elapsed());
    assert_eq!(manifest.objects.len(), 0, "{what}");
    assert_eq!(manifest.problems[0].severity, Severity::Error);
    let shown = manifest.problems[0].to_string() + &manifest.problems[0].render(false);
    assert!(shown.len() < 4_000, "{what}: {shown}");
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{what}: {shown:?}");
    shown
}

#[test]
fn hostile_text_is_refused_within_bounds() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n";
    let bomb =
        format!("{service}l: &l [{}]\nspec: {{ports: [{}]}}\n", "x,".repeat(100_000), "*l,".repeat(2_000));
    let laughs: String =
        (1..10).map(|n| format!("a{n}: &a{n} [{}]\n", format!("*a{},", n - 1).repeat(10))).collect();
    let table: [(&str, Vec<u8>, &str); 12] = [
        ("deep", "[".repeat(200_000).into(), "nested deeper than"),
        (
            "deep block",
            (service.to_owned() + "x:\n  " + &"- ".repeat(200_000)).into(),
            "more than 250000 fields",
        ),
        ("wide", format!("{service}x: [{}]", "a,".repeat(1_000_000)).into(), "more than 250000 fields"),
        ("bomb", bomb.into(), "aliases expand"),
        ("laughs", format!("{service}a0: &a0 [x]\n{laughs}").into(), "aliases expand"),
        ("one scalar", format!("{service}spec: {}", "a".repeat(5 << 20)).into(), "at most 4194304 are read"),
        (
            "long name",
            service.replace("name: a", &format!("name: {}", "a".repeat(1 << 20))).into(),
            "has 1048576 bytes",
        ),
        (
            "bad ports",
            format!("{service}spec: {{ports: [{}]}}", "{port: 1, name: A},".repeat(20_000)).into(),
            "not a valid name",
        ),
        ("problems", "---\nkind: Pod\n".repeat(50_000).into(), "apiVersion is missing"),
        ("binary", b"\x7fELF\x02\x01\x01\0\0\0".to_vec(), "control character"),
        ("UTF-16", b"\xff\xfea\0:\0 \x001\0".to_vec(), "save the file as UTF-8"),
        ("Latin-1", b"# caf\xe9\n".to_vec(), "byte 0xe9 is not UTF-8"),
    ];
    for (what, bytes, expected) in table {
        let shown = refused(what, || manifest::read_bytes("a.yaml", bytes));
        assert!(shown.contains(expected), "{what}: {shown}");
    }
    // Beyond a number, warnings are only counted, without any lookup.
    for document in ["apiVersion: v1\nkind: Nonsense\n", "apiVersion: v1\nkind: Node\nmetadata: {name: a}\n"]
    {
        let begin = Instant::now();
        let many = manifest::read_bytes("a.yaml", format!("---\n{document}").repeat(50_000).into());
        assert!(begin.elapsed() < DEADLINE, "{document} took {:?}", begin.elapsed());
        let last = many.problems.last().map(ToString::to_string).unwrap_or_default();
        assert!(last.contains("more warnings in this file are omitted"), "{document}: {last}");
        assert!(many.problems.len() < 60 && many.objects.len() < 2, "{document}: {}", many.problems.len());
    }
    let nested =
        format!("{}{}", r#"{"apiVersion":"v1","kind":"List","items":["#.repeat(5_000), "]}".repeat(5_000));
    refused("nested Lists", || manifest::read_bytes("a.json", nested.into_bytes()));
}

#[cfg(unix)]
#[test]
fn other_kinds_of_files_are_refused_without_blocking() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    nix::unistd::mkfifo(&path("fifo.yaml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::File::create(path("huge.yaml")).unwrap().set_len(200 << 20).unwrap();
    std::os::unix::fs::symlink(path("loop.yaml"), path("loop.yaml")).unwrap();
    let table: [(PathBuf, &str); 5] = [
        (path("fifo.yaml"), "not a regular file"),
        (path("huge.yaml"), "larger than 48 MiB"),
        (path("loop.yaml"), "cannot open"),
        ("/dev/zero".into(), "not a regular file"),
        (directory.path().into(), "not a regular file"),
    ];
    for (path, expected) in table {
        let shown = refused(expected, || manifest::read_file(&path));
        assert!(shown.contains(expected), "{}: {shown}", path.display());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Any bytes give objects and problems, without a panic; the body of the fuzz target `manifest`.
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..512), json: bool) {
        manifest::read_bytes(if json { "a.json" } else { "a.yaml" }, bytes);
    }

    /// The same for almost valid manifests: real ones with pieces inserted.
    #[test]
    fn broken_manifests_are_read_without_a_panic(
        which in 0..3_usize,
        pieces in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(PIECES)), 1..6),
        json: bool,
    ) {
        let mut text = [BY_HAND, RENDERED, DUMPED][which].to_owned();
        for (at, piece) in pieces {
            let at = at.index(text.len());
            if text.is_char_boundary(at) {
                text.insert_str(at, piece);
            }
        }
        let manifest = manifest::read_bytes(if json { "a.json" } else { "a.yaml" }, text.into_bytes());
        for problem in &manifest.problems {
            problem.render(false);
        }
        for read in &manifest.objects {
            read.place.locate("spec.ports[0].name");
        }
    }
}

/// Pieces for breaking manifests: everything with a meaning in YAML, JSON or manifests.
const PIECES: &[&str] = &[
    "\n---\n",
    "\n...\n",
    "- ",
    ": ",
    "\n",
    "  ",
    "\t",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "&a ",
    "*a",
    "<<: *a\n",
    "!x ",
    "|",
    ">",
    "#",
    "? ",
    "%",
    "\0",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "é",
    "\r",
    "items:\n",
    "kind: List\n",
    "{{ .x }}",
    "clusterIP: None\n",
    ",",
    "null",
    "~",
    "0x1f",
    "1e9",
    "-1",
];
